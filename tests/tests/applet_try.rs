//! Trying a name in the applet: raced, given up, tried anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::time::Duration;

use mif_tests::desktop::{Desktop, Seen, Session, below, rows};
use mif_tests::echo::ECHO_PORT;
use mif_tests::topology::SHARED_NAME;
use mif_tests::universe;
use mif_tests::wait::{eventually, within};

/// Where the applet keeps what was tried.
const HISTORY: &str = "/run/testbed/home/.local/state/mif-applet/attempts.jsonl";

/// How long anything may take that is to be done at once.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Types a name and a port.
async fn type_target(desktop: &Desktop) {
    desktop.keys(&["ctrl+t"]);
    desktop.reads(&["Host name"]).await;
    desktop.types(SHARED_NAME);
    let typed = |it: &Seen| it.name == "Host name" && it.text.as_deref() == Some(SHARED_NAME);
    desktop.until("what was typed", |seen| seen.iter().any(typed).then_some(())).await;
    desktop.keys(&["Tab", "ctrl+a"]);
    desktop.types(&ECHO_PORT.to_string());
}

/// A card of the results, in words from top to bottom.
fn card(seen: &[Seen], network: &str) -> String {
    let results = below(seen, "table", "Results");
    below(results, "table cell", network).iter().map(Seen::words).collect::<Vec<_>>().join(" ")
}

/// A race over all networks, one of which drops every connection: the other one wins, with an address of its own.
#[test]
fn a_race_has_a_winner() {
    universe::run(async |universe| {
        let Session { isps, host, desktop, panel: _panel, applet } =
            Session::between_two_isps(&universe, &["--try"]).await;
        isps.first.drop_connections();
        type_target(&desktop).await;
        choose(&desktop, "Race over all networks").await;
        desktop.press("push button", "Try").await;
        desktop
            .until("the race in the history", |seen| {
                let past = rows(seen, "Last attempts");
                past.iter().any(|row| row.words().contains(SHARED_NAME)).then_some(())
            })
            .await;
        let seen = desktop.look();
        let won = seen.iter().map(Seen::words).find(|words| words.ends_with(" won")).unwrap();
        let told = card(&seen, won.strip_suffix(" won").unwrap());
        assert!(told.contains("Connected"), "{won:?}: {told:?}");
        let state = host.state().await;
        let of_second = state.pvds().filter(|pvd| pvd.id.contains("eth2"));
        let mut addresses = of_second.flat_map(|pvd| &pvd.addresses).map(|it| it.address.to_string());
        assert!(addresses.any(|own| told.contains(&format!("From {own}"))), "{told}: not of {state:#?}");
        for loser in ["IPv4 on eth1", "IPv6 via fe80::ff:fe00:102"] {
            assert!(card(&seen, loser).contains("Given up"), "{}", card(&seen, loser));
        }
        // The winner is above all others.
        let cards = below(&seen, "table", "Results");
        let first =
            cards.iter().filter(|it| it.role == "table cell").min_by_key(|it| (it.extents[1], it.extents[0]));
        assert!(
            won.starts_with(&first.unwrap().words().split(" · ").next().unwrap().to_owned()),
            "{first:?}"
        );
        desktop.screenshot("race");
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
        desktop.keys(&["ctrl+q"]);
        applet.ended().await;
        what_was_tried_is_remembered(&desktop).await;
    });
}

/// After a restart the history is there; the keyboard reaches it and tries once more; and it is forgotten when a person
/// wants that.
async fn what_was_tried_is_remembered(desktop: &Desktop) {
    let applet = desktop.applet(&[], &[]).await;
    desktop.reads(&["IPv4 on eth1 · Ready", "IPv4 on eth2 · Ready"]).await;
    desktop.keys(&["ctrl+t"]);
    let past = async |count: usize| {
        let past = |seen: &[Seen]| {
            let rows = rows(seen, "Last attempts");
            let named = rows.iter().all(|row| row.words().contains(SHARED_NAME));
            (rows.len() == count && named).then_some(())
        };
        desktop.until(&format!("{count} attempts in the history"), past).await;
    };
    past(1).await;
    desktop.walk("Tab", SHARED_NAME).await;
    desktop.screenshot("history");
    desktop.keys(&["Return"]);
    past(2).await;
    desktop.press("push button", "Forget").await;
    past(0).await;
    assert_eq!(fs::read_to_string(HISTORY).unwrap(), "");
    assert_eq!(applet.log(), "", "GTK has nothing to complain about");
}

/// Chooses where to try.
async fn choose(desktop: &Desktop, scope: &str) {
    desktop.walk("Tab", "Where").await;
    desktop.keys(&["Return"]);
    desktop.reads(&[scope]).await;
    desktop.keys(&["Down", "Down", "Return"]);
}

/// An attempt that nobody answers is given up, and with it all that the service did for it; the next one works.
#[test]
fn an_attempt_is_given_up() {
    universe::run(async |universe| {
        let Session { isps, host, desktop, panel: _panel, applet } =
            Session::between_two_isps(&universe, &["--try"]).await;
        isps.first.drop_connections();
        type_target(&desktop).await;
        desktop.keys(&["Return"]);
        desktop.reads(&["Connecting to", "of 4 networks done"]).await;
        eventually("connections under way", async || match connecting(&universe) {
            0 => Err("none"),
            _ => Ok(()),
        })
        .await;
        desktop.screenshot("under-way");
        desktop.keys(&["Escape"]);
        desktop.reads(&["Cancelled", "Given up"]).await;
        // Sooner than they would end by themselves.
        within(AT_ONCE, "an end of all connections", async || match connecting(&universe) {
            0 => Ok(()),
            some => Err(some),
        })
        .await;

        // Only what works is left of the networks.
        isps.first.pull_cable().await;
        desktop.until("the network to go", |seen| rows(seen, "Interfaces").len().eq(&4).then_some(())).await;
        desktop.press("push button", "Try").await;
        desktop.reads(&["2 networks work"]).await;
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
        drop(host);
    });
}

/// TCP connections that nobody has answered yet.
fn connecting(universe: &universe::Universe) -> usize {
    universe.host().run("ss", ["-Htn", "state", "syn-sent"]).lines().count()
}
