//! The applet in a session: started by the bus, one for all, quiet where nobody sees it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use mif_tests::desktop::{Desktop, Panel};
use mif_tests::installed::install;
use mif_tests::served_host::ServedHost;
use mif_tests::tool;
use mif_tests::universe;
use mif_tests::wait::eventually;

/// As it is installed: the desktop starts it by its name on the bus, with its action; who starts the program once more
/// gets the window that is there.
#[test]
fn the_bus_starts_it_and_one_is_enough() {
    universe::run(async |universe| {
        install("mif-applet");
        let _host = ServedHost::start(&universe).await;
        let desktop = Desktop::start(&universe).await;
        let _panel = Panel::start().await;
        let mut launch = tool::command("gapplication");
        launch.args(["launch", "org.ietf.Mif1.Applet"]);
        assert_eq!(desktop.spawn("launch", launch).ended().await.code(), Some(0));
        desktop.reads(&["No Network", "Plug in a cable"]).await;
        let mut action = tool::command("gapplication");
        action.args(["action", "org.ietf.Mif1.Applet", "try"]);
        assert_eq!(desktop.spawn("action", action).ended().await.code(), Some(0));
        desktop.reads(&["Try a name in every network"]).await;

        desktop.minimize();
        windows(&desktop, 0).await;
        let second = desktop.spawn("second", Command::new("/usr/bin/mif-applet"));
        assert_eq!(second.ended().await.code(), Some(0));
        windows(&desktop, 1).await;
        desktop.keys(&["ctrl+q"]);
        windows(&desktop, 0).await;
    });
}

async fn windows(desktop: &Desktop, wanted: usize) {
    eventually(&format!("{wanted} windows"), async || match desktop.windows() {
        count if count == wanted => Ok(()),
        count => Err(count),
    })
    .await;
}
