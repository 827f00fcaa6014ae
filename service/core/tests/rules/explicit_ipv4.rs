//! Rule 2: the DHCPv4 lease joins the one explicit provisioning domain of the link that sets L.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{DHCP, ETH0, ETH1, KERNEL, address, address_gone, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::{lease, lease_gone};
use crate::common::{ip, prefix};
use mif_core::configuration::Element;
use mif_core::event::Event;
use mif_core::pvd::Family;

const ISP: &str = "isp.example";
const CORP: &str = "corp.example";
const IPV4: &str = "implicit:eth0:ipv4";

fn isp() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(ISP)
}

fn corp() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(CORP)
}

/// With a lease, its address and its routes.
fn host() -> Host {
    let mut host = Host::started();
    let until = host.within(36_000);
    host.see(events![
        up(ETH0),
        address(ETH0, "192.0.2.5/24").lasting(until, until),
        lease(ETH0, "192.0.2.5/24", until).router("192.0.2.1").dns("192.0.2.53"),
        route(ETH0, "192.0.2.0/24").protocol(KERNEL),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").protocol(DHCP),
    ]);
    host
}

#[test]
fn exactly_one_with_l_gets_the_lease() {
    let mut host = host();
    host.see(events![
        isp().legacy().prefix("2001:db8:1::/64", 7200, 3600).dns("2001:db8::53", 900),
        corp(),
        address(ETH0, "2001:db8:1::5/64").autoconfigured(),
    ]);
    assert_eq!(host.ids(), [CORP, ISP], "no implicit IPv4 one is left");
    let pvd = host.pvd(ISP);
    assert_eq!(pvd.family, Family::Dual);
    assert_eq!(host.elements(ISP), ["ra", "dhcpv4"]);
    assert_eq!(host.addresses(ISP), ["192.0.2.5/24 preferred dhcpv4", "2001:db8:1::5/64 preferred ra"]);
    assert_eq!(pvd.used.dns_servers, [ip("2001:db8::53"), ip("192.0.2.53")], "those of RAs first");
    assert!(host.gave(ISP, Element::Dhcpv4).lease_expires.is_some());
    assert_eq!((host.pvd(CORP).family, host.addresses(CORP).len()), (Family::Ipv6, 0));
    assert_eq!(host.defaults(), [ISP], "the IPv4 default route is its own");
}

#[test]
fn none_with_l_leaves_it_to_the_implicit_one() {
    let mut host = host();
    host.see([isp(), corp()]);
    assert_eq!(host.ids(), [CORP, IPV4, ISP]);
    assert_eq!(host.elements(IPV4), ["dhcpv4"]);
    assert_eq!(host.defaults(), [IPV4]);
}

#[test]
fn two_with_l_leave_it_to_the_implicit_one() {
    let mut host = host();
    host.see([isp().legacy(), corp().legacy()]);
    assert_eq!(host.ids(), [CORP, IPV4, ISP]);
    assert_eq!(host.elements(IPV4), ["dhcpv4"]);
    assert_eq!((host.pvd(ISP).family, host.pvd(CORP).family), (Family::Ipv6, Family::Ipv6));
    // When one of them ends, the other gets it.
    host.see([corp().legacy().router_lifetime(0)]);
    assert_eq!(host.ids(), [ISP]);
    assert_eq!(host.pvd(ISP).family, Family::Dual);
}

#[test]
fn two_routers_of_one_id_are_one_with_l() {
    let mut host = host();
    host.see([isp().legacy(), advertisement(ETH0, "fe80::2").pvd(ISP).legacy()]);
    assert_eq!(host.ids(), [ISP]);
    assert_eq!(host.pvd(ISP).family, Family::Dual);
}

#[test]
fn l_on_another_link_is_nothing_to_this_one() {
    let mut host = host();
    host.see(events![up(ETH1), advertisement(ETH1, "fe80::1").pvd(ISP).legacy()]);
    assert_eq!(host.ids(), [IPV4, ISP]);
}

#[test]
fn l_appears_and_disappears() {
    let mut host = host();
    host.see([isp()]);
    let serial = host.pvd(ISP).serial;
    host.see([isp().legacy()]);
    assert_eq!(host.announcements(), [&format!("-{IPV4}"), "+192.0.2.5", "+ra", "+dhcpv4"]);
    assert_eq!((host.pvd(ISP).family, host.pvd(ISP).revision), (Family::Dual, 2));
    host.see([isp()]);
    assert_eq!(host.announcements(), ["-192.0.2.5", "-dhcpv4", "+ra", &format!("+{IPV4}")]);
    assert_eq!((host.pvd(ISP).family, host.pvd(ISP).serial), (Family::Ipv6, serial));
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred dhcpv4"]);
}

#[test]
fn the_lease_goes_back_when_the_explicit_one_ends() {
    let mut host = host();
    host.see([isp().legacy().router_lifetime(60)]);
    assert_eq!(host.ids(), [ISP]);
    host.wait(60);
    assert_eq!(host.ids(), [IPV4]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred dhcpv4"]);
}

#[test]
fn a_lease_that_comes_and_goes_takes_the_family_along() {
    let mut host = Host::started();
    host.see(events![up(ETH0), isp().legacy()]);
    assert_eq!(host.pvd(ISP).family, Family::Ipv6, "L alone brings no IPv4");
    let until = host.within(3600);
    host.see([lease(ETH0, "192.0.2.5/24", until).dns("192.0.2.53")]);
    assert_eq!(host.announcements(), ["+dhcpv4"]);
    assert_eq!(host.pvd(ISP).family, Family::Dual);
    host.see([address(ETH0, "192.0.2.5/24").lasting(until, until)]);
    assert_eq!(host.announcements(), ["+192.0.2.5"]);
    host.see(events![lease_gone(ETH0), address_gone(ETH0, "192.0.2.5/24")]);
    assert_eq!(host.announcements(), ["-192.0.2.5", "-dhcpv4"]);
    assert_eq!(host.pvd(ISP).family, Family::Ipv6);
}

#[test]
fn by_hand_beside_a_lease_that_is_elsewhere_has_the_implicit_one_to_itself() {
    let mut host = host();
    host.see(events![
        isp().legacy(),
        address(ETH0, "198.51.100.7/24"),
        route(ETH0, "198.51.100.0/24").protocol(KERNEL),
        route(ETH0, "203.0.113.0/24").via("198.51.100.1"),
    ]);
    assert_eq!(host.ids(), [IPV4, ISP]);
    assert_eq!(host.elements(IPV4), ["static"]);
    assert_eq!(host.addresses(IPV4), ["198.51.100.7/24 preferred static"]);
    let routes: Vec<String> =
        host.gave(IPV4, Element::Static).routes.keys().map(|key| key.destination.to_string()).collect();
    assert_eq!(routes, ["198.51.100.0/24", "203.0.113.0/24"], "the network of the lease is not its own");
    assert_eq!(host.addresses(ISP), ["192.0.2.5/24 preferred dhcpv4"]);
    assert_eq!(host.defaults(), [ISP]);
}

#[test]
fn by_hand_in_the_network_of_the_lease_has_its_route_too() {
    let mut host = host();
    host.see(events![isp().legacy(), address(ETH0, "192.0.2.77/24")]);
    let gave = host.gave(IPV4, Element::Static);
    assert!(gave.routes.keys().any(|key| key.destination == prefix("192.0.2.0/24")));
    assert!(gave.prefixes.contains_key(&prefix("192.0.2.0/24")));
}

#[test]
fn link_local_beside_a_lease_that_is_elsewhere_has_its_own() {
    let mut host = host();
    host.see(events![isp().legacy(), address(ETH0, "169.254.7.7/16")]);
    assert_eq!(host.ids(), [IPV4, ISP]);
    assert_eq!(host.elements(IPV4), ["link-local"]);
}

#[test]
fn the_same_again_is_no_news() {
    let mut host = host();
    let says = isp().legacy().own_header();
    host.see([says.clone()]);
    host.see([Event::from(says)]);
    assert_eq!(host.last().changes, []);
}
