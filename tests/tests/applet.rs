//! The applet, as a person sees it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif_tests::desktop::{Desktop, Panel};
use mif_tests::echo::ECHO_PORT;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::SHARED_NAME;
use mif_tests::universe;

#[test]
fn the_window_shows_what_mifctl_shows() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        let desktop = Desktop::start(&universe).await;
        let _panel = Panel::start().await;
        let applet = desktop.applet(&[], &[]).await;
        desktop.reads(&["eth1", "Ready"]).await;
        let state = host.state().await;
        for pvd in state.pvds() {
            let title = title(pvd);
            desktop.click("list item", &title).await;
            for address in &pvd.addresses {
                desktop.reads(&[&format!("{}/{}", address.address, address.prefix_length)]).await;
            }
        }
        desktop.screenshot("details");

        desktop.keys(&["ctrl+t"]);
        desktop.reads(&["Host name"]).await;
        desktop.types(SHARED_NAME);
        desktop.keys(&["Tab", "ctrl+a"]);
        desktop.types(&ECHO_PORT.to_string());
        desktop.press("push button", "Try").await;
        let answers = [isps.first.server_v4(), isps.second.server_v4()].map(|address| address.to_string());
        desktop.reads(&["is fastest", &answers[0], &answers[1], "Connected in"]).await;
        desktop.screenshot("try");

        desktop.keys(&["alt+3"]);
        isps.second.pull_cable().await;
        desktop.reads(&["Network IPv4 on eth2 went"]).await;
        desktop.screenshot("timeline");
        assert_eq!(applet.log(), "", "GTK has nothing to complain about");
    });
}

/// What the list calls a PvD.
fn title(pvd: &mif::ProvisioningDomain) -> String {
    match pvd.id.strip_prefix("implicit:eth").and_then(|rest| rest.split_once(':')) {
        Some((number, "ipv4")) => format!("IPv4 on eth{number}"),
        Some((number, "ipv6")) => format!("IPv6 on eth{number}"),
        Some((_, rest)) => format!("IPv6 via {}", rest.trim_start_matches("ipv6:")),
        None => pvd.id.clone(),
    }
}
