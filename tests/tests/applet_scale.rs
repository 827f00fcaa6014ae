//! The applet with five hundred networks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use mif_tests::desktop::{Desktop, Panel, Seen, focused, rows};
use mif_tests::served_host::ServedHost;
use mif_tests::tool;
use mif_tests::universe;

/// Two interfaces each.
const PAIRS: usize = 250;

/// Changes of the storm, and how many of them are made in a tenth of a second.
const CHANGES: usize = 1_000;
const AT_ONCE: usize = 50;

/// The last network of the list.
const LAST: &str = "IPv4 on a249";

/// Five hundred networks are listed. One that goes takes neither selection nor focus nor place from the one that a person
/// looks at; a storm of changes, 500 a second, ends with the last one on the screen.
#[test]
fn five_hundred_networks_come_change_and_go() {
    universe::run(async |universe| {
        let mut batch = String::new();
        for pair in 0..PAIRS {
            batch += &format!("link add a{pair} type veth peer name b{pair}\n");
            for (side, number) in [("a", 1), ("b", 2)] {
                batch += &format!("link set {side}{pair} up\n");
                batch += &format!("address add 10.{number}.0.{}/32 dev {side}{pair}\n", pair + 1);
            }
        }
        fs::write("/tmp/batch", batch).unwrap();
        universe.host().run("ip", ["-batch", "/tmp/batch"]);
        let host = ServedHost::start(&universe).await;
        host.until("all networks", |state| (state.pvds().count() >= 2 * PAIRS).then_some(())).await;
        let desktop = Desktop::start(&universe).await;
        let _panel = Panel::start().await;
        let applet = desktop.applet(&[], &[]).await;
        desktop.reads(&["500 networks"]).await;
        desktop.screenshot("five-hundred");

        desktop.keys(&["alt+Left", "End"]);
        let place = desktop.until("the last network, selected and focused", looked_at).await;
        universe.host().ip("address delete 10.1.0.100/32 dev a99");
        desktop.reads(&["499 networks"]).await;
        let still = desktop.until("the last network, as before", looked_at).await;
        assert_eq!(still, place, "it stays where it is");

        storm().await;
        universe.host().ip("address change 10.1.0.250/32 dev a249 valid_lft 1000 preferred_lft 1000");
        desktop.reads(&["16 min "]).await;
        assert_eq!(desktop.until("the last network, as before", looked_at).await, place);
        universe.host().ip("link set a249 down");
        desktop.reads(&["a249 · Ethernet · Not connected"]).await;
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}

/// Where the last network is, if it is selected and has the keyboard.
fn looked_at(seen: &[Seen]) -> Option<[i32; 4]> {
    let list = rows(seen, "Interfaces");
    let row = list.iter().find(|row| row.words().starts_with(LAST) && row.is("selected"))?;
    focused(seen)?.starts_with(LAST).then_some(row.extents)
}

/// The addresses of all networks get deadlines, one after the other and again.
async fn storm() {
    let mut command = tool::command("ip");
    command.args(["-force", "-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut ip = command.spawn().unwrap();
    let mut lines = ip.stdin.take().unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for begin in (0..CHANGES).step_by(AT_ONCE) {
        pace.tick().await;
        for change in begin..begin + AT_ONCE {
            let (pair, seconds) = (change % (PAIRS - 1), 9_000_000 - change);
            let address = format!("10.2.0.{}/32 dev b{pair}", pair + 1);
            let lifetimes = format!("valid_lft {seconds} preferred_lft {seconds}");
            writeln!(lines, "address change {address} {lifetimes}").unwrap();
        }
    }
    drop(lines);
    assert!(ip.wait().unwrap().success());
}
