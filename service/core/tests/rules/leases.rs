//! Leases of several clients on one link, and those that are records on disk: the kernel's address is the witness.

use crate::common::event::{ETH0, address, address_gone, down, gone, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::ip;
use crate::common::lease::{LeaseWords, lease, lease_gone};
use mif_core::BootTime;
use mif_core::configuration::Element;
use mif_core::event::LeaseClient;

const IPV4: &str = "implicit:eth0:ipv4";
const ADDRESS: &str = "192.0.2.5/24";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

/// A lease that networkd has written down, with a DNS server.
fn record(expires: BootTime) -> LeaseWords {
    lease(ETH0, ADDRESS, expires).told_by(LeaseClient::Networkd).dns("192.0.2.53")
}

#[test]
fn a_record_holds_while_the_kernel_has_its_address() {
    let mut host = host();
    let expires = host.within(3600);
    host.see([record(expires)]);
    assert_eq!(host.ids(), [""; 0], "it may be of yesterday");
    host.see(events![address(ETH0, ADDRESS).lasting(expires, expires)]);
    assert_eq!(host.ids(), [IPV4]);
    assert_eq!(host.gave(IPV4, Element::Dhcpv4).dns_servers, [ip("192.0.2.53")]);
    host.see([address_gone(ETH0, ADDRESS)]);
    assert_eq!(host.ids(), [""; 0]);
    host.see(events![address(ETH0, "192.0.2.6/24").lasting(expires, expires)]);
    assert!(host.gave(IPV4, Element::Dhcpv4).dns_servers.is_empty(), "another address is no witness");
}

#[test]
fn a_record_ends_no_later_than_the_address() {
    let mut host = host();
    let (soon, later) = (host.within(60), host.within(3600));
    host.see(events![
        record(BootTime::FOREVER).router("192.0.2.1"),
        address(ETH0, ADDRESS).lasting(soon, soon)
    ]);
    let ends = |host: &Host| {
        let gave = host.gave(IPV4, Element::Dhcpv4);
        (gave.lease_expires, gave.routes.values().map(|route| route.valid_until).collect::<Vec<_>>())
    };
    assert_eq!(ends(&host), (Some(soon), vec![soon]));
    host.see(events![address(ETH0, ADDRESS).lasting(later, later)]);
    assert_eq!(ends(&host), (Some(later), vec![later]), "it was renewed");
    host.see([record(soon).router("192.0.2.1")]);
    assert_eq!(ends(&host), (Some(soon), vec![soon]), "nor later than is written down");
    host.wait(60);
    assert!(host.gave(IPV4, Element::Dhcpv4).dns_servers.is_empty());
}

#[test]
fn a_record_stands_when_the_carrier_comes_back_and_the_address_stayed() {
    let mut host = host();
    let expires = host.within(3600);
    host.see(events![record(expires), address(ETH0, ADDRESS).lasting(expires, expires)]);
    host.see([down(ETH0)]);
    host.wait(10);
    assert_eq!(host.ids(), [""; 0]);
    // Nothing was written in the meantime: not every client looks at the carrier.
    host.see([up(ETH0)]);
    assert_eq!(host.gave(IPV4, Element::Dhcpv4).dns_servers, [ip("192.0.2.53")]);
    host.see([gone(ETH0), up(ETH0)]);
    host.see(events![address(ETH0, ADDRESS).lasting(expires, expires)]);
    assert!(host.gave(IPV4, Element::Dhcpv4).dns_servers.is_empty(), "it was of another link");
}

#[test]
fn of_several_clients_the_one_that_stands_behind_its_lease_counts() {
    let mut host = host();
    let expires = host.within(3600);
    let told = |client, server| lease(ETH0, ADDRESS, expires).told_by(client).dns(server);
    host.see(events![
        address(ETH0, ADDRESS).lasting(expires, expires),
        told(LeaseClient::Dhclient, "192.0.2.3"),
        told(LeaseClient::Dhcpcd, "192.0.2.1"),
        told(LeaseClient::Networkd, "192.0.2.2"),
    ]);
    let servers = |host: &Host| host.gave(IPV4, Element::Dhcpv4).dns_servers.clone();
    assert_eq!(servers(&host), [ip("192.0.2.1")]);
    host.see([lease_gone(ETH0)]);
    assert_eq!(servers(&host), [ip("192.0.2.2")]);
    // A record without witness does not stand in the way of the next.
    host.see([lease(ETH0, "192.0.2.9/24", expires).told_by(LeaseClient::Networkd).dns("192.0.2.2")]);
    assert_eq!(servers(&host), [ip("192.0.2.3")]);
}
