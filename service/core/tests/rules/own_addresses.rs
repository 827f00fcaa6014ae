//! Addresses of this host are no destinations, of whatever link they are.

use crate::common::event::{ETH0, ETH1, LO, address, address_gone, gone, up};
use crate::common::host::Host;
use crate::common::ip;
use mif_core::plan::{self, BadDestination, ConnectRequest, Invalid, Protocol, Refusal};

/// Whether connecting to `destination` in the provisioning domain `id` is refused because it is this host's.
fn own(host: &Host, id: &str, destination: &str) -> bool {
    let request = ConnectRequest {
        address: ip(destination),
        port: 80,
        source: None,
        timeout_ms: plan::CONNECT_TIMEOUT_MS,
        protocol: Protocol::Tcp,
    };
    let why = BadDestination::OwnHost;
    match plan::connect(host.snapshot(), host.pvd(id).serial, &request) {
        Err(refusal) => refusal == Refusal::InvalidArgs(Invalid::Destination(ip(destination), why)),
        Ok(_) => false,
    }
}

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(ETH1)]);
    host.see([
        address(ETH0, "192.0.2.5/24"),
        address(ETH0, "2001:db8:5::5/64"),
        address(ETH1, "198.51.100.5/24"),
    ]);
    host
}

#[test]
fn whatever_link_has_them() {
    let mut host = host();
    for destination in ["192.0.2.5", "198.51.100.5"] {
        assert!(own(&host, "implicit:eth0:ipv4", destination), "{destination}");
        assert!(own(&host, "implicit:eth1:ipv4", destination), "{destination}");
    }
    assert!(!own(&host, "implicit:eth0:ipv4", "192.0.2.6"));
    // Of no provisioning domain at all, and nobody is told of it.
    let batch = host.see([address(LO, "10.1.1.1/32")]);
    assert!(batch.changes.is_empty() && !batch.is_quiet(), "whoever makes plans sees it at once");
    host.see([address(ETH0, "192.0.2.77/24").tentative()]);
    assert!(own(&host, "implicit:eth0:ipv4", "10.1.1.1"));
    assert!(own(&host, "implicit:eth0:ipv4", "192.0.2.77"), "tentative ones too");
    host.see([address_gone(LO, "10.1.1.1/32")]);
    assert!(!own(&host, "implicit:eth0:ipv4", "10.1.1.1"));
}

#[test]
fn link_local_ones_on_their_link_only() {
    let mut host = host();
    host.see([address(ETH0, "fe80::5/64"), address(ETH1, "fe80::1/64")]);
    assert!(own(&host, "implicit:eth0:ipv6", "fe80::5"));
    assert!(!own(&host, "implicit:eth0:ipv6", "fe80::1"), "there it may well be the router");
}

#[test]
fn until_the_last_link_has_them_no_more() {
    let mut host = host();
    host.see([address(ETH1, "192.0.2.5/24"), address(ETH1, "192.0.2.5/32")]);
    host.see([address_gone(ETH1, "192.0.2.5/24")]);
    assert!(own(&host, "implicit:eth1:ipv4", "192.0.2.5"));
    host.see([gone(ETH1)]);
    assert!(own(&host, "implicit:eth0:ipv4", "192.0.2.5"), "eth0 has it");
    host.see([address(ETH0, "192.0.2.6/24")]);
    host.see([address_gone(ETH0, "192.0.2.5/24")]);
    assert!(!own(&host, "implicit:eth0:ipv4", "192.0.2.5"));
}
