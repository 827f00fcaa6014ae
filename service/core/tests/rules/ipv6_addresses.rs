//! Where IPv6 addresses belong: rule 2 (covering prefix, flag M), rule 3 (two routers, one prefix), rule 4
//! (by hand), rule 6 (waiting for an explanation), and what sort of address counts.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, KERNEL, RA, address, address_gone, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::{ip, prefix};
use mif_core::configuration::Element;

const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";
const ROUTER2: &str = "implicit:eth0:ipv6:fe80::2";
const NO_ROUTER: &str = "implicit:eth0:ipv6";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

fn advertised(router: &str, prefix: &str) -> AdvertisementWords {
    advertisement(ETH0, router).prefix(prefix, 7200, 3600)
}

#[test]
fn an_address_joins_the_router_whose_prefix_covers_it() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64"), advertised("fe80::2", "2001:db8:2::/64")]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 preferred ra"]);
    assert_eq!(host.addresses(ROUTER2), [""; 0]);
    assert_eq!(host.ids(), [ROUTER1, ROUTER2]);
}

#[test]
fn two_routers_of_one_prefix_both_own_it() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64"), advertised("fe80::2", "2001:db8:1::/64")]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    for id in [ROUTER1, ROUTER2] {
        assert_eq!(host.addresses(id), ["2001:db8:1::5/64 preferred ra"]);
    }
    // The one that repeats it takes it from nobody.
    host.see([advertised("fe80::2", "2001:db8:1::/64")]);
    assert_eq!(host.last().changes, []);
    host.see([advertised("fe80::2", "2001:db8:1::/64").prefix("2001:db8:1::/64", 0, 0)]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 preferred ra"]);
    assert_eq!(host.addresses(ROUTER2), [""; 0]);
}

#[test]
fn a_textual_prefix_covers_nothing() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/48")]);
    host.see([address(ETH0, "2001:db8:10::5/64")]);
    assert_eq!(host.addresses(ROUTER1), [""; 0]);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:10::5/64 preferred static"]);
}

#[test]
fn an_address_of_dhcpv6_joins_by_its_prefix_too() {
    let mut host = host();
    let says = advertisement(ETH0, "fe80::1").managed();
    host.see([says.prefix_without_autoconfiguration("2001:db8:1::/64", 7200, 3600)]);
    let until = host.within(3600);
    host.see([address(ETH0, "2001:db8:1::99/128").lasting(until, until)]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::99/128 preferred dhcpv6"]);
    assert_eq!(host.elements(ROUTER1), ["ra", "dhcpv6"]);
}

#[test]
fn an_address_that_no_prefix_covers_joins_the_routers_with_flag_m() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64").managed(), advertised("fe80::2", "2001:db8:2::/64")]);
    let until = host.within(3600);
    host.see([address(ETH0, "2001:db8:9::9/128").lasting(until, until)]);
    host.wait(4);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:9::9/128 preferred dhcpv6"]);
    assert_eq!(host.ids(), [ROUTER1, ROUTER2]);
}

#[test]
fn without_flag_m_it_has_no_router() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    let until = host.within(3600);
    host.see([address(ETH0, "2001:db8:9::9/128").lasting(until, until)]);
    host.wait(4);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:9::9/128 preferred dhcpv6"]);
    assert_eq!(host.ids(), [NO_ROUTER, ROUTER1]);
}

#[test]
fn by_hand_without_a_router_forms_one_at_once() {
    let mut host = host();
    host.see(events![
        address(ETH0, "2001:db8:5::5/64"),
        route(ETH0, "::/0").via("fe80::77"),
        route(ETH0, "2001:db8:6::/48").via("2001:db8:5::1"),
        route(ETH0, "2001:db8:7::/48").via("fe80::1").protocol(RA),
        route(ETH0, "fe80::/64").protocol(KERNEL).metric(256),
    ]);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:5::5/64 preferred static"]);
    let gave = host.gave(NO_ROUTER, Element::Static);
    assert_eq!(gave.routers, [ip("fe80::77")]);
    let destinations: Vec<String> = gave.routes.keys().map(|key| key.destination.to_string()).collect();
    assert_eq!(destinations, ["::/0", "2001:db8:6::/48"]);
    assert!(gave.prefixes.contains_key(&prefix("2001:db8:5::/64")));
}

#[test]
fn by_hand_inside_an_advertised_prefix_joins_its_router_as_static() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    host.see([address(ETH0, "2001:db8:1::1234/64")]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::1234/64 preferred static"]);
    assert_eq!(host.elements(ROUTER1), ["ra", "static"]);
}

#[test]
fn link_local_alone_forms_none() {
    let mut host = host();
    host.see([address(ETH0, "fe80::a/64")]);
    host.wait(30);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn unique_local_addresses_are_as_good_as_others() {
    let mut host = host();
    host.see([advertised("fe80::1", "fd00:1::/64")]);
    host.see([address(ETH0, "fd00:1::5/64").autoconfigured(), address(ETH0, "fd00:2::5/64")]);
    assert_eq!(host.addresses(ROUTER1), ["fd00:1::5/64 preferred ra"]);
    assert_eq!(host.addresses(NO_ROUTER), ["fd00:2::5/64 preferred static"]);
}

#[test]
fn point_to_point_and_host_prefixes() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:5::/127"), address(ETH0, "2001:db8:6::6/128")]);
    let prefixes: Vec<String> =
        host.gave(NO_ROUTER, Element::Static).prefixes.keys().map(ToString::to_string).collect();
    assert_eq!(prefixes, ["2001:db8:5::/127"]);
}

#[test]
fn an_autoconfigured_address_waits_for_its_advertisement() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.wait(3);
    assert_eq!(host.ids(), [""; 0]);
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    assert_eq!(host.ids(), [ROUTER1]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 preferred ra"]);
}

#[test]
fn four_seconds_without_one_and_it_has_no_router() {
    let mut host = host();
    host.see(events![address(ETH0, "fe80::a/64"), address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.wait(3);
    assert_eq!(host.ids(), [""; 0]);
    host.wait(1);
    assert_eq!(host.addresses(NO_ROUTER), ["2001:db8:1::5/64 preferred ra"]);
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    assert_eq!(host.ids(), [ROUTER1], "a late advertisement explains it all the same");
}

#[test]
fn waiting_is_over_once_and_for_all() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.wait(10);
    assert_eq!(host.ids(), [NO_ROUTER]);
    // Only now can the link ask for routers.
    host.see([address(ETH0, "fe80::a/64")]);
    assert_eq!(host.last().commands.len(), 1);
    assert_eq!(host.ids(), [NO_ROUTER]);
}

#[test]
fn a_tentative_address_forms_none_and_is_not_announced() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:5::5/64").tentative()]);
    assert_eq!(host.ids(), [""; 0]);
    host.see([address(ETH0, "2001:db8:5::5/64")]);
    assert_eq!(host.ids(), [NO_ROUTER]);

    host.see([address(ETH0, "2001:db8:5::6/64").tentative()]);
    assert_eq!(host.announcements(), [""; 0]);
    assert_eq!(
        host.addresses(NO_ROUTER),
        ["2001:db8:5::5/64 preferred static", "2001:db8:5::6/64 tentative static"]
    );
    host.see([address(ETH0, "2001:db8:5::6/64")]);
    assert_eq!(host.announcements(), ["+2001:db8:5::6"]);
}

#[test]
fn an_address_that_turns_out_a_duplicate_is_withdrawn() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured().tentative()]);
    assert_eq!(host.announcements(), ["-2001:db8:1::5"]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 tentative ra"]);
}

#[test]
fn temporary_addresses_say_so() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    let (preferred, valid) = (host.within(3600), host.within(7200));
    // Kernels before 5.18 do not say where it comes from: flag A and the length of the prefix do.
    host.see([address(ETH0, "2001:db8:1::7e3f/64").lasting(preferred, valid).temporary()]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::7e3f/64 preferred ra temporary"]);
}

#[test]
fn deadlines_are_those_of_the_kernel() {
    let mut host = host();
    host.see([advertised("fe80::1", "2001:db8:1::/64")]);
    // The two-hour rule (RFC 4862 5.5.3 e): the kernel may keep an address for longer than the router says.
    let (preferred, valid) = (host.within(0), host.within(7200));
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured().lasting(preferred, valid).deprecated()]);
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 10, 0)]);
    let pvd = host.pvd(ROUTER1);
    assert_eq!((pvd.addresses[0].preferred_until, pvd.addresses[0].valid_until), (preferred, valid));
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 deprecated ra"]);
}

#[test]
fn the_last_usable_address_takes_the_one_without_a_router_along() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:5::5/64"), address(ETH0, "2001:db8:5::6/64").tentative()]);
    host.see([address_gone(ETH0, "2001:db8:5::5/64")]);
    assert_eq!(host.ids(), [""; 0]);
}
