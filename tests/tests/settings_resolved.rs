//! What VPNs tell a real systemd-resolved of their links.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use mif::wire::Element;
use mif::{Message, ProvisioningDomain, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhclient, Resolved};
use mif_tests::peers;
use mif_tests::served_host::{ServedHost, next};
use mif_tests::topology::DhcpProvider;
use mif_tests::universe::{self, Universe};
use serde_json::json;

const VPN: &str = "implicit:vpn0:ipv4";

/// A tunnel of the host, as a VPN makes it, and its number.
async fn tunnel(universe: &Universe) -> u32 {
    let provider = universe.node("provider");
    let cable = Cable::between(universe.host().end("eth1"), provider.end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    let host = universe.host();
    host.ip("link add vpn0 type vxlan id 7 remote 192.0.2.1 dstport 4789 dev eth1");
    host.ip("link set vpn0 up");
    host.ip("address add 10.8.0.2/24 dev vpn0");
    host.end("vpn0").ifindex()
}

fn has_servers(pvd: &ProvisioningDomain, servers: &[&str]) -> bool {
    let servers: Vec<IpAddr> = servers.iter().map(|server| server.parse().unwrap()).collect();
    pvd.dns_servers == servers
}

#[test]
fn servers_and_domains_of_a_vpn_come_and_go() {
    universe::run(async |universe| {
        peers::mount();
        let ifindex = tunnel(&universe).await;
        let host = ServedHost::start(&universe).await;
        let resolved = Resolved::start(universe.host()).await;
        resolved.set_dns(ifindex, &["10.8.0.53"]);
        let pvd = host.pvd_where(VPN, |pvd| has_servers(pvd, &["10.8.0.53"])).await;
        assert_eq!(pvd.elements, [Element::Vpn]);
        // resolved signals nothing of domains.
        resolved.set_domains(ifindex, &["vpn.test", "~corp.test"]);
        let pvd = host.pvd_where(VPN, |pvd| pvd.search_domains == ["vpn.test"]).await;
        let told = host.configuration(&pvd, "vpn").await;
        assert_eq!(told["told-by"]["data"], json!("systemd-resolved"), "{told:#}");

        // What it was told holds while it is away.
        assert!(resolved.process().terminate().await.success());
        let resolved = Resolved::start(universe.host()).await;
        resolved.set_dns(ifindex, &["10.8.0.53", "10.8.0.54"]);
        let still = host.pvd_where(VPN, |pvd| has_servers(pvd, &["10.8.0.53", "10.8.0.54"])).await;
        assert_eq!((&still.path, &still.search_domains), (&pvd.path, &pvd.search_domains));
        resolved.revert(ifindex);
        host.pvd_where(VPN, |pvd| pvd.dns_servers.is_empty() && pvd.search_domains.is_empty()).await;
    });
}

#[test]
fn a_resolved_that_is_killed_and_back_changes_nothing() {
    universe::run(async |universe| {
        peers::mount();
        let ifindex = tunnel(&universe).await;
        let host = ServedHost::start(&universe).await;
        let resolved = Resolved::start(universe.host()).await;
        resolved.set_dns(ifindex, &["10.8.0.53"]);
        resolved.set_domains(ifindex, &["vpn.test"]);
        let told =
            |pvd: &ProvisioningDomain| has_servers(pvd, &["10.8.0.53"]) && pvd.search_domains == ["vpn.test"];
        let pvd = host.pvd_where(VPN, told).await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "elements").await.unwrap();
        subscriber.announce_configuration_elements(&pvd.path).await.unwrap();

        resolved.process().kill().await;
        // Something that comes after it, to be sure that it was seen.
        universe.host().ip("address add 10.9.0.2/24 dev vpn0");
        let still = host.pvd_where(VPN, |pvd| pvd.addresses.len() == 2).await;
        assert!(still.path == pvd.path && told(&still), "{still:#?}");
        let resolved = Resolved::start(universe.host()).await;
        resolved.set_dns(ifindex, &["10.8.0.53", "10.8.0.54"]);
        host.pvd_where(VPN, |pvd| has_servers(pvd, &["10.8.0.53", "10.8.0.54"])).await;
        // What it was, with the address, and with the other server: it never went.
        for _ in 0..3 {
            match next(&mut messages).await {
                Message::ConfigurationElementAnnouncement { element, .. } => {
                    assert_eq!(element, Element::Vpn)
                }
                other => panic!("the element went: {other:?}"),
            }
        }
    });
}

#[test]
fn what_was_told_before_is_there_from_the_start() {
    universe::run(async |universe| {
        peers::mount();
        let ifindex = tunnel(&universe).await;
        let host = ServedHost::start(&universe).await;
        let resolved = Resolved::start(universe.host()).await;
        resolved.set_dns(ifindex, &["10.8.0.53"]);
        let mut mifd = host.mifd.clone();
        host.pvd_where(VPN, |pvd| has_servers(pvd, &["10.8.0.53"])).await;
        mifd.terminate().await;
        mifd.restart().await;
        let state = host.state().await;
        let pvd = state.pvds().find(|pvd| pvd.id == VPN).expect("a PvD as soon as mifd has its name");
        assert!(has_servers(pvd, &["10.8.0.53"]), "{pvd:#?}");
    });
}

#[test]
fn what_a_dhcp_client_told_it_is_not_set_by_hand() {
    universe::run(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let resolved = Resolved::start(universe.host()).await;
        Dhclient::on(provider.cable.near()).start().await;
        let id = "implicit:eth1:ipv4";
        host.pvd_where(id, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        // As dhclient's script tells it, and what an administrator adds.
        let ifindex = provider.cable.near().ifindex();
        resolved.set_domains(ifindex, &["isp.test"]);
        resolved.set_dns(ifindex, &["192.0.2.53", "192.0.2.9"]);
        let pvd = host.pvd_where(id, |pvd| has_servers(pvd, &["192.0.2.53", "192.0.2.9"])).await;
        let set = host.configuration(&pvd, "static").await;
        assert_eq!(set["dns-servers"]["data"], json!(["192.0.2.9"]), "{set:#}");
        assert_eq!(set.get("search-domains"), None, "{set:#}");
    });
}
