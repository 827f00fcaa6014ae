//! Leases when servers contradict each other, refuse, or go.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use mif::ProvisioningDomain;
use mif::wire::Element;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhclient, Dnsmasq};
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::DhcpProvider;
use mif_tests::universe::{self, Universe};
use serde_json::json;

const PVD: &str = "implicit:eth1:ipv4";

/// A server at `192.0.2.NUMBER` that gives out `192.0.2.NUMBER0` and on, and a DNS server of its own.
async fn server(node: &Node, number: u8) -> Process {
    let (first, last) = (format!("192.0.2.{number}0"), format!("192.0.2.{number}9"));
    let dns = format!("--dhcp-option=option:dns-server,192.0.2.20{number}");
    Dnsmasq::on(node, "lan").dhcp4(&first, &last, "10m").argument(&dns).argument("--port=0").start().await
}

/// Two servers and the host on one Ethernet.
async fn two_servers(universe: &Universe) -> (Cable, [Process; 2]) {
    let switch = universe.node("switch");
    switch.ip("link add bridge type bridge");
    let near = Cable::between(universe.host().end("eth1"), switch.end("port0")).await;
    let mut servers = Vec::new();
    for number in [1, 2] {
        let node = universe.node(&format!("isp{number}"));
        let cable = Cable::between(node.end("lan"), switch.end(&format!("port{number}"))).await;
        cable.near().add_address(&format!("192.0.2.{number}/24"));
        servers.push(node);
    }
    for port in ["port0", "port1", "port2"] {
        switch.ip(&format!("link set {port} master bridge"));
    }
    switch.ip("link set bridge up");
    let first = server(&servers[0], 1).await;
    let second = server(&servers[1], 2).await;
    (near, [first, second])
}

/// The number of the server that all of a lease comes from.
async fn server_of(host: &ServedHost, pvd: &ProvisioningDomain) -> usize {
    let told = host.configuration(pvd, "dhcpv4").await;
    let number = if told["server-identifier"]["data"] == json!("192.0.2.1") { 1 } else { 2 };
    assert_eq!(told["dns-servers"]["data"], json!([format!("192.0.2.20{number}")]), "{told:#}");
    let address = format!("192.0.2.{number}");
    assert!(pvd.addresses.iter().all(|own| own.address.to_string().starts_with(&address)), "{pvd:#?}");
    number
}

fn complete(pvd: &ProvisioningDomain) -> bool {
    pvd.addresses.len() == 1 && pvd.dns_servers.len() == 1 && pvd.elements == [Element::Dhcpv4]
}

#[test]
fn of_two_servers_one_is_believed_and_then_the_other() {
    universe::run(async |universe| {
        let (cable, servers) = two_servers(&universe).await;
        let host = ServedHost::start(&universe).await;
        Dhclient::on(cable.near()).start().await;
        let pvd = host.pvd_where(PVD, complete).await;
        let first = server_of(&host, &pvd).await;
        servers[first - 1].terminate().await;
        Dhclient::on(cable.near()).release().await;
        host.only_pvds(&[]).await;
        std::fs::remove_file("/var/lib/dhcp/dhclient.leases").unwrap();
        Dhclient::on(cable.near()).start().await;
        let pvd = host.pvd_where(PVD, complete).await;
        assert_eq!(server_of(&host, &pvd).await, 3 - first);
        host.only_pvds(&[PVD]).await;
    });
}

#[test]
fn a_lease_that_is_refused_leaves_nothing_behind() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let former = server(&provider.node, 1).await;
        let host = ServedHost::start(&universe).await;
        let client = Dhclient::on(provider.cable.near()).start().await;
        let before = host.pvd_where(PVD, complete).await;
        client.kill().await;
        former.terminate().await;
        // It remembers no leases and gives out others: it says no to what the client asks for again.
        let lease_file = "/run/testbed/dnsmasq-isp-lan.leases";
        std::fs::remove_file(lease_file).unwrap();
        let server = server(&provider.node, 3).await;
        Dhclient::on(provider.cable.near()).start().await;
        let after = host
            .pvd_where(PVD, |pvd| {
                complete(pvd) && pvd.dns_servers == ["192.0.2.203".parse::<IpAddr>().unwrap()]
            })
            .await;
        assert!(server.log().contains("DHCPNAK"), "{}", server.log());
        assert_ne!(after.addresses[0].address, before.addresses[0].address);
        host.only_pvds(&[PVD]).await;
    });
}

#[test]
fn a_lease_ends_in_time_although_its_client_is_dead() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let client = Dhclient::on(provider.cable.near()).start().await;
        let pvd = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        client.kill().await;
        // As if the lease were a short one: nobody is left to remove the address, or to say that it is over.
        let address = pvd.addresses[0].address;
        universe.host().ip(&format!("address change {address}/24 dev eth1 valid_lft 3 preferred_lft 3"));
        host.only_pvds(&[]).await;
    });
}
