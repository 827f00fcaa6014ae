//! The applet when the service is away, comes and goes; notifications, status icon, preferences.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use mif_tests::daemons::{Bus, Mifd};
use mif_tests::desktop::{Desktop, MenuEntry, Seen, Session, rows};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::TwoIsps;
use mif_tests::universe;
use mif_tests::wait::eventually;

/// Where the applet keeps what a person prefers.
const PREFERENCES: &str = "/run/testbed/home/.config/mif-applet/preferences.ini";

/// No service: what to do; then it comes by itself; then it is killed under the window, and comes again.
#[test]
fn the_window_outlives_the_service() {
    universe::run(async |universe| {
        let bus = Bus::start(&universe).await;
        let isps = TwoIsps::start(&universe).await;
        let desktop = Desktop::start(&universe).await;
        let applet = desktop.applet(&[], &[]).await;
        desktop.reads(&["The Service Is Not Running", "sudo systemctl start mifd"]).await;
        desktop.screenshot("not-running");
        desktop.press("push button", "Copy Command").await;
        desktop.reads(&["Copied"]).await;

        let mut mifd = Mifd::start(&universe, &bus).await;
        desktop.reads(&["IPv4 on eth2", "Ready"]).await;
        desktop.click("list item", "IPv4 on eth2").await;
        desktop.reads(&["198.51.100.1", "isp2.test"]).await;

        mifd.kill().await;
        desktop.reads(&["The Service Is Not Running"]).await;
        // What was announced is there still.
        desktop.keys(&["alt+3"]);
        desktop.reads(&["The service went", "Network IPv4 on eth2 is there"]).await;
        desktop.keys(&["alt+1"]);
        mifd.restart().await;
        // What was selected is so again, though every path is another one.
        desktop.reads(&["198.51.100.1", "isp2.test"]).await;
        let selected =
            |seen: &[Seen]| rows(seen, "Interfaces").iter().find(|it| it.is("selected")).map(|it| it.words());
        let selected = desktop.until("a network that is selected", selected).await;
        assert!(selected.starts_with("IPv4 on eth2"), "{selected}");

        assert_eq!(mifd.terminate().await.code(), Some(0));
        desktop.reads(&["The Service Is Not Running"]).await;
        drop(isps);
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}

/// Whom the bus does not let in is told so, and what to look at.
#[test]
fn not_allowed_is_said_in_words() {
    universe::run(async |universe| {
        let nobody = "<policy context=\"mandatory\"><deny send_destination=\"org.ietf.Mif1\"/></policy>";
        let bus = Bus::start_with_limits(&universe, nobody).await;
        let _mifd = Mifd::start(&universe, &bus).await;
        let desktop = Desktop::start(&universe).await;
        let _applet = desktop.applet(&[], &[]).await;
        desktop.reads(&["Not Allowed", "busctl status org.ietf.Mif1"]).await;
        desktop.screenshot("not-allowed");
    });
}

/// Without a network the window says so.
#[test]
fn no_network_is_said_in_words() {
    universe::run(async |universe| {
        let _host = ServedHost::start(&universe).await;
        let desktop = Desktop::start(&universe).await;
        let _applet = desktop.applet(&[], &[]).await;
        desktop.reads(&["No Network", "Plug in a cable"]).await;
        desktop.screenshot("no-network");
    });
}

/// The status icon with its menu, notifications of what goes and comes, and how to switch them off.
#[test]
fn the_panel_shows_an_icon_and_notifications() {
    universe::run(async |universe| {
        let Session { isps, host: _host, desktop, panel, applet } =
            Session::between_two_isps(&universe, &[]).await;
        eventually("the icon to say how many networks there are", async || {
            let title: String = panel.property("Title").await.try_into().unwrap();
            if title == "4 networks" { Ok(()) } else { Err(title) }
        })
        .await;
        let menu = panel.menu().await;
        assert_eq!(menu[0].1, "4 networks");
        number_of(&menu, "IPv4 on eth1 · Ready");
        assert_eq!(panel.notifications(), [], "what is there already is no news");

        isps.second.pull_cable().await;
        let went = panel.notified("Network went").await;
        assert!(went.body.contains("eth2") || went.body.contains("fe80::"), "{went:?}");
        panel.press(&went, "Don’t Show Again").await;

        eventually("that to be kept", async || {
            let kept = fs::read_to_string(PREFERENCES).unwrap_or_default();
            if kept.contains("notify-lost=false") { Ok(()) } else { Err(kept) }
        })
        .await;

        // A menu that was opened before is another one by now: what was clicked on is what is done.
        let gone = number_of(&menu, "IPv4 on eth2 · Ready");
        let now = eventually("the network to leave the menu", async || {
            let now = panel.menu().await;
            if now.iter().all(|(number, _)| *number != gone) { Ok(now) } else { Err(format!("{now:?}")) }
        })
        .await;
        for label in ["IPv4 on eth1 · Ready", "Open Provisioning Domains", "Preferences", "Quit"] {
            assert_eq!(number_of(&now, label), number_of(&menu, label), "{label}");
        }
        panel.click_number(gone).await;
        panel.click_number(number_of(&menu, "Preferences")).await;
        desktop.reads(&["Run in the background"]).await;
        desktop
            .until("the switch to be off", |seen| {
                let switch =
                    seen.iter().find(|it| it.role == "check box" && it.name.starts_with("Network went"));
                switch.filter(|it| !it.is("checked")).map(|_| ())
            })
            .await;
        desktop.screenshot("preferences");
        panel.click("Quit").await;
        assert_eq!(applet.ended().await.code(), Some(0));
    });
}

/// The number of an entry of a menu.
fn number_of(menu: &[MenuEntry], label: &str) -> i32 {
    let entry = menu.iter().find(|(_, known)| known == label);
    entry.unwrap_or_else(|| panic!("{label:?} in {menu:?}")).0
}
