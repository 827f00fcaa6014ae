//! What DHCPv6 gave, and to whom it belongs (contract rule 2).

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, address, address_gone, down, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::ip;
use crate::common::told::{dhcpv6, dhcpv6_gone};
use mif_core::BootTime;
use mif_core::configuration::Element;
use mif_core::event::LeaseClient;

const FIRST: &str = "implicit:eth0:ipv6:fe80::1";
const SECOND: &str = "implicit:eth0:ipv6:fe80::2";
const NO_ROUTER: &str = "implicit:eth0:ipv6";
const LEASED: &str = "2001:db8:1::77";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

fn servers(host: &Host, id: &str) -> Vec<String> {
    let given = host.pvd(id).elements.get(&Element::Dhcpv6);
    given.map_or_else(Vec::new, |given| given.dns_servers.iter().map(ToString::to_string).collect())
}

#[test]
fn other_configuration_belongs_to_everyone_whose_router_asked_for_it() {
    let mut host = host();
    host.see(events![
        advertisement(ETH0, "fe80::1").other(),
        advertisement(ETH0, "fe80::2").managed(),
        advertisement(ETH0, "fe80::3"),
        advertisement(ETH0, "fe80::4").pvd("isp.example").other(),
        dhcpv6(ETH0).dns("2001:db8::53"),
    ]);
    for id in [FIRST, SECOND, "isp.example"] {
        assert_eq!(servers(&host, id), ["2001:db8::53"], "{id}");
        assert_eq!(host.gave(id, Element::Dhcpv6).told_by.as_deref(), Some("dhcpcd"));
        assert_eq!(host.gave(id, Element::Dhcpv6).lease_expires, None);
    }
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::3"), ["ra"]);
    assert!(!host.ids().contains(&NO_ROUTER));
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.elements(FIRST), ["ra"], "it asks no more");
    host.see([dhcpv6_gone(ETH0)]);
    assert_eq!(host.elements(SECOND), ["ra"]);
}

#[test]
fn without_a_router_that_asks_it_follows_its_addresses() {
    let mut host = host();
    let expires = host.within(3600);
    let lease = || dhcpv6(ETH0).address(LEASED, expires).dns("2001:db8::53");
    host.see([lease()]);
    assert_eq!(host.ids(), [""; 0], "the kernel does not have its address");
    host.see(events![address(ETH0, "2001:db8:1::77/128").lasting(expires, expires)]);
    host.wait(4);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:1::77/128 preferred dhcpv6"]);
    assert_eq!(servers(&host, NO_ROUTER), ["2001:db8::53"]);
    assert_eq!(host.gave(NO_ROUTER, Element::Dhcpv6).lease_expires, Some(expires));
    let advertised = advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 1800, 1800);
    host.see([advertised]);
    assert_eq!(host.ids(), [FIRST], "the prefix covers the address");
    assert_eq!(servers(&host, FIRST), ["2001:db8::53"]);
    host.see([address_gone(ETH0, "2001:db8:1::77/128")]);
    assert_eq!(host.elements(FIRST), ["ra"]);
}

#[test]
fn a_lease_ends_with_its_time_and_no_later_than_its_addresses() {
    let mut host = host();
    let (soon, later) = (host.within(60), host.within(3600));
    host.see(events![
        advertisement(ETH0, "fe80::1").managed(),
        dhcpv6(ETH0).address(LEASED, later).dns("2001:db8::53"),
        address(ETH0, "2001:db8:1::77/128").lasting(soon, soon),
    ]);
    assert_eq!(host.gave(FIRST, Element::Dhcpv6).lease_expires, Some(soon));
    host.see(events![address(ETH0, "2001:db8:1::77/128").lasting(later, later)]);
    assert_eq!(host.gave(FIRST, Element::Dhcpv6).lease_expires, Some(later));
    host.see([dhcpv6(ETH0).address(LEASED, soon).dns("2001:db8::53")]);
    host.wait(60);
    assert_eq!(servers(&host, FIRST), [""; 0]);
}

#[test]
fn an_endless_address_is_leased_all_the_same() {
    let mut host = host();
    host.see(events![
        advertisement(ETH0, "fe80::1").managed(),
        dhcpv6(ETH0).address(LEASED, BootTime::FOREVER),
        address(ETH0, "2001:db8:1::77/128"),
        address(ETH0, "2001:db8:1::78/128"),
    ]);
    host.wait(4);
    assert_eq!(host.addresses(FIRST), ["2001:db8:1::77/128 preferred dhcpv6"]);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:1::78/128 preferred static"]);
}

#[test]
fn a_lease_whose_address_is_still_tentative_is_a_pvd() {
    let mut host = host();
    let expires = host.within(3600);
    host.see(events![
        dhcpv6(ETH0).address(LEASED, expires).dns("2001:db8::53"),
        address(ETH0, "2001:db8:1::77/128").lasting(expires, expires).tentative(),
    ]);
    host.wait(4);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:1::77/128 tentative dhcpv6"]);
}

#[test]
fn managers_look_at_the_carrier_themselves() {
    let mut host = host();
    let from = |client, server| dhcpv6(ETH0).told_by(client).dns(server);
    let asks = || advertisement(ETH0, "fe80::1").other();
    host.see(events![
        asks(),
        from(LeaseClient::Networkd, "2001:db8::2"),
        from(LeaseClient::Dhcpcd, "2001:db8::3"),
    ]);
    assert_eq!(host.gave(FIRST, Element::Dhcpv6).dns_servers, [ip("2001:db8::3")]);
    host.see([down(ETH0)]);
    host.wait(10);
    host.see(events![up(ETH0), asks()]);
    assert_eq!(servers(&host, FIRST), ["2001:db8::2"]);
    host.see([mif_core::event::Event::Dhcpv6Gone { ifindex: ETH0, client: LeaseClient::Networkd }]);
    assert_eq!(servers(&host, FIRST), [""; 0]);
}
