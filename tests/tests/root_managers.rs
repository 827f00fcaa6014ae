//! NetworkManager as an ordinary service user hears it, over a bus with its own policy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use mif::wire::Element;
use mif_tests::daemons::NetworkManager;
use mif_tests::peers;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::DhcpProvider;
use mif_tests::universe;
use serde_json::json;

#[test]
fn the_service_user_hears_what_network_manager_tells() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let sections = "[ipv4]\nmethod=auto\ndns=192.0.2.9;\n[ipv6]\nmethod=disabled\n";
        NetworkManager::on(universe.host()).link(provider.cable.near(), sections).start().await;
        let servers: [IpAddr; 2] = ["192.0.2.53".parse().unwrap(), "192.0.2.9".parse().unwrap()];
        let pvd = host.pvd_where("implicit:eth1:ipv4", |pvd| pvd.dns_servers == servers).await;
        assert_eq!(pvd.elements, [Element::Dhcpv4, Element::Static]);
        let told = host.configuration(&pvd, "dhcpv4").await;
        assert_eq!(told["told-by"]["data"], json!("NetworkManager"), "{told:#}");
    });
}
