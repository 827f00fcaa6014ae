//! DefaultProvisioningDomains: behind the best default route of the main table, one a family.

use crate::common::advertisement::advertisement;
use crate::common::event::{DHCP, ETH0, ETH1, RA, TUN0, address, down, gone, route, up};
use crate::common::events;
use crate::common::host::Host;
use mif_core::change::Change;
use mif_core::configuration::Preference;

const ETH0_IPV4: &str = "implicit:eth0:ipv4";
const ETH1_IPV4: &str = "implicit:eth1:ipv4";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";
const ROUTER2: &str = "implicit:eth0:ipv6:fe80::2";

/// Two links with an IPv4 address each.
fn host() -> Host {
    let mut host = Host::started();
    host.see(events![up(ETH0), up(ETH1), address(ETH0, "192.0.2.5/24"), address(ETH1, "198.51.100.7/24")]);
    host
}

#[test]
fn without_a_default_route_there_is_none() {
    let mut host = host();
    host.see([route(ETH0, "192.0.2.0/24")]);
    assert_eq!(host.defaults(), [""; 0]);
}

#[test]
fn the_smallest_metric_wins() {
    let mut host = host();
    let second = route(ETH1, "0.0.0.0/0").via("198.51.100.1").metric(200);
    let first = route(ETH0, "0.0.0.0/0").via("192.0.2.1").metric(100);
    host.see([second]);
    assert_eq!(host.defaults(), [ETH1_IPV4]);
    host.see([first.clone()]);
    assert_eq!(host.defaults(), [ETH0_IPV4]);
    host.see([first.gone()]);
    assert_eq!(host.defaults(), [ETH1_IPV4]);
}

#[test]
fn each_family_has_its_own() {
    let mut host = host();
    host.see(events![
        advertisement(ETH0, "fe80::1"),
        route(ETH0, "::/0").via("fe80::1").protocol(RA),
        route(ETH1, "0.0.0.0/0").via("198.51.100.1").protocol(DHCP),
    ]);
    assert_eq!(host.defaults(), [ETH1_IPV4, ROUTER1]);
}

#[test]
fn of_equal_routes_the_preferred_router_wins() {
    let mut host = host();
    host.see(events![
        advertisement(ETH0, "fe80::1").preference(Preference::Low),
        advertisement(ETH0, "fe80::2").preference(Preference::High),
        route(ETH0, "::/0").via("fe80::1").metric(1024).protocol(RA),
        route(ETH0, "::/0").via("fe80::2").metric(1024).protocol(RA),
    ]);
    assert_eq!(host.defaults(), [ROUTER2]);
    host.see([advertisement(ETH0, "fe80::2").preference(Preference::Low)]);
    assert_eq!(host.defaults(), [ROUTER1], "equal again: the first");
    // A smaller metric beats any preference.
    host.see([advertisement(ETH0, "fe80::2").preference(Preference::High)]);
    host.see([route(ETH0, "::/0").via("fe80::1").metric(100).protocol(RA)]);
    assert_eq!(host.defaults(), [ROUTER1]);
}

#[test]
fn a_route_by_hand_leads_through_the_one_without_a_router() {
    let mut host = host();
    host.see(events![address(ETH0, "2001:db8:5::5/64"), route(ETH0, "::/0").via("fe80::77")]);
    assert_eq!(host.defaults(), ["implicit:eth0:ipv6"]);
}

#[test]
fn a_route_without_a_router_leads_into_the_tunnel() {
    let mut host = host();
    host.see(events![
        up(TUN0),
        address(TUN0, "198.51.100.9/32"),
        route(TUN0, "0.0.0.0/0").metric(50),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").metric(100),
    ]);
    assert_eq!(host.defaults(), ["implicit:tun0:ipv4"]);
}

#[test]
fn a_route_that_nothing_stands_behind_is_passed_over() {
    let mut host = host();
    host.see(events![
        route(9, "0.0.0.0/0").via("203.0.113.1").metric(1),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").metric(100),
    ]);
    assert_eq!(host.defaults(), [ETH0_IPV4]);
}

#[test]
fn two_routes_that_differ_only_in_who_made_them_are_two() {
    let mut host = host();
    let by_hand = route(ETH0, "0.0.0.0/0").via("192.0.2.1");
    let by_dhcp = by_hand.clone().protocol(DHCP);
    host.see([by_hand.clone(), by_dhcp]);
    host.see([by_hand.gone()]);
    assert_eq!(host.defaults(), [ETH0_IPV4]);
}

#[test]
fn it_never_names_what_is_gone() {
    // The listener behind `host` checks the property after every single change (O3).
    let mut host = host();
    host.see([
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").metric(100),
        route(ETH1, "0.0.0.0/0").via("198.51.100.1").metric(200),
    ]);
    host.see([down(ETH0)]);
    host.wait(2);
    assert_eq!(host.defaults(), [ETH1_IPV4]);
    let changes = &host.last().changes;
    let told = changes.iter().filter(|change| matches!(change, Change::DefaultsChanged(_))).count();
    assert_eq!(told, 1, "from one to the other, with nothing in between");
    host.see([gone(ETH1)]);
    assert_eq!(host.defaults(), [""; 0]);
}

#[test]
fn a_default_that_is_replaced_in_one_step_is_told_in_two() {
    let mut host = host();
    host.see([route(ETH0, "0.0.0.0/0").via("192.0.2.1")]);
    host.see(events![
        gone(ETH0),
        up(ETH0),
        address(ETH0, "192.0.2.5/24"),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1")
    ]);
    assert_eq!(host.defaults(), [ETH0_IPV4]);
}
