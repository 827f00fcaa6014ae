//! The applet with five hundred networks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use mif_tests::desktop::{Desktop, Panel};
use mif_tests::served_host::ServedHost;
use mif_tests::universe;

/// Two interfaces each.
const PAIRS: usize = 250;

/// Five hundred networks are listed, and one that comes is seen among them.
#[test]
fn five_hundred_networks_are_listed() {
    universe::run(async |universe| {
        let mut batch = String::new();
        for pair in 0..PAIRS {
            batch += &format!("link add a{pair} type veth peer name b{pair}\n");
            for (side, number) in [("a", 1), ("b", 2)] {
                let (high, low) = (pair / 250, pair % 250);
                batch += &format!("link set {side}{pair} up\n");
                batch += &format!("address add 10.{number}.{}.{}/32 dev {side}{pair}\n", high, low + 1);
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
        universe.host().ip("link set a0 down");
        desktop.reads(&["Not connected"]).await;
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}
