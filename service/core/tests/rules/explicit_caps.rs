//! Floods of PvD IDs and of routers that speak for one: what is in use stays, and takes its place.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, address, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::lease;
use mif_core::configuration::Element;
use mif_core::engine::Notice;
use mif_core::facts::Overflow;
use mif_core::limits;
use mif_core::pvd::Family;

const ISP: &str = "isp.example";
const FLOOD: usize = 1000;

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

fn flood(number: usize) -> AdvertisementWords {
    advertisement(ETH0, "fe80::bad").pvd(&format!("flood{number}.test"))
}

fn isp() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(ISP)
}

fn used() -> AdvertisementWords {
    isp().prefix("2001:db8:1::/64", 7200, 3600)
}

#[test]
fn a_flood_of_ids_ends_at_the_cap_and_leaves_nothing_behind() {
    let mut host = host();
    host.see((0..FLOOD).map(flood));
    assert_eq!(host.interface("eth0").pvds.len(), limits::ROUTERS_PER_INTERFACE);
    assert_eq!(host.last().notices, [Notice { ifindex: ETH0, overflow: Overflow::Routers }]);
    host.see(events![address(ETH0, "192.0.2.5/24"), address(ETH0, "2001:db8:5::5/64")]);
    assert_eq!(host.interface("eth0").pvds.len(), limits::PVDS_PER_INTERFACE, "two places were kept");
    host.wait(1800);
    assert_eq!(host.ids(), ["implicit:eth0:ipv4", "implicit:eth0:ipv6"]);
}

#[test]
fn one_with_a_usable_address_is_neither_driven_out_nor_kept_out() {
    for late in [false, true] {
        let mut host = host();
        host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
        let (before, after) = if late { (None, Some(used())) } else { (Some(used()), None) };
        host.see(before);
        host.see((0..FLOOD).map(flood));
        host.see(after);
        assert_eq!(host.addresses(ISP), ["2001:db8:1::5/64 preferred ra"]);
        assert_eq!(host.snapshot().pvds().count(), limits::ROUTERS_PER_INTERFACE);
    }
}

#[test]
fn a_tentative_address_is_no_use() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured().tentative()]);
    host.see((0..FLOOD).map(flood));
    host.see([used()]);
    assert_eq!(host.snapshot().pvds_by_id(ISP).count(), 0);
}

#[test]
fn one_with_the_lease_is_neither_driven_out_nor_kept_out() {
    for late in [false, true] {
        let mut host = host();
        host.see([lease(ETH0, "192.0.2.5/24", host.within(3600))]);
        let (before, after) = if late { (None, Some(isp().legacy())) } else { (Some(isp().legacy()), None) };
        host.see(before);
        host.see((0..FLOOD).map(flood));
        // Those of a flood that cover an address may take the place of idle ones only.
        host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
        host.see((0..FLOOD).map(|number| flood(number + FLOOD).prefix("2001:db8:1::/64", 7200, 3600)));
        host.see(after);
        assert_eq!(host.pvd(ISP).family, Family::Dual);
    }
}

#[test]
fn l_is_no_use_without_the_lease() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([lease(ETH0, "192.0.2.5/24", host.within(3600))]);
    // Each of these wants the lease, so that none of them gets it.
    host.see((0..FLOOD).map(|number| flood(number).legacy()));
    assert_eq!(host.elements("implicit:eth0:ipv4"), ["dhcpv4"]);
    host.see([used()]);
    assert_eq!(host.addresses(ISP), ["2001:db8:1::5/64 preferred ra"]);
}

#[test]
fn one_that_is_not_believed_takes_nothing_from_anybody() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([used().dns("2001:db8::53", 900)]);
    host.see((0..limits::ROUTERS_PER_INTERFACE).map(flood));
    host.see((0..FLOOD).map(|number| flood(number + FLOOD).dns("2001:db8::53", 900).dns("2001:db8::54", 0)));
    assert_eq!(host.gave(ISP, Element::Ra).dns_servers.len(), 1);
}

#[test]
fn an_id_uses_so_many_routers_and_no_more() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    let says = |number: usize| advertisement(ETH0, &format!("fe80::{number:x}")).pvd(ISP);
    host.see((0..FLOOD).map(|number| says(number).dns(&format!("2001:db8::{number:x}"), 900)));
    let gave = host.gave(ISP, Element::Ra);
    assert_eq!(
        (gave.routers.len(), gave.dns_servers.len()),
        (limits::ROUTERS_PER_PVD, limits::SERVERS_PER_PVD)
    );
    let known = host.engine().facts().link(ETH0).unwrap().routers().len();
    assert_eq!(known, limits::ROUTERS_PER_PVD);
    assert!(host.last().notices.contains(&Notice { ifindex: ETH0, overflow: Overflow::Routers }));
    // A router whose word holds longest is the last to go.
    host.see([used().router_lifetime(9000)]);
    host.see((2..FLOOD).map(says));
    assert!(host.gave(ISP, Element::Ra).routers.contains(&crate::common::ip("fe80::1")));
    assert_eq!(host.addresses(ISP), ["2001:db8:1::5/64 preferred ra"], "and what is in use stays");
    assert_eq!(host.ids(), [ISP]);
}

#[test]
fn routers_of_an_id_in_use_find_a_place_on_a_full_link() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([used()]);
    host.see((0..FLOOD).map(flood));
    host.see([advertisement(ETH0, "fe80::2").pvd(ISP)]);
    let routers: Vec<String> = host.gave(ISP, Element::Ra).routers.iter().map(ToString::to_string).collect();
    assert_eq!(routers, ["fe80::1", "fe80::2"]);
}

#[test]
fn one_in_use_keeps_all_its_routers_while_there_are_idle_ones() {
    let mut host = host();
    let says = |router: &str, id: &str| advertisement(ETH0, router).pvd(id);
    host.see([address(ETH0, "2001:db8:1::5/64"), address(ETH0, "2001:db8:2::5/64")]);
    host.see([says("fe80::1", "a.test").prefix("2001:db8:1::/64", 7200, 3600), says("fe80::2", "a.test")]);
    host.see((0..FLOOD).map(flood));
    host.see([says("fe80::3", "b.test").prefix("2001:db8:2::/64", 7200, 3600)]);
    assert_eq!(host.addresses("b.test").len(), 1);
    assert_eq!(host.gave("a.test", Element::Ra).routers.len(), 2);
}

#[test]
fn addresses_are_not_counted_twice() {
    let mut host = host();
    host.see(
        (0..limits::ADDRESSES_PER_PVD).map(|number| address(ETH0, &format!("2001:db8:1::{number:x}/64"))),
    );
    host.see([used(), advertisement(ETH0, "fe80::2").pvd(ISP).prefix("2001:db8:1::/64", 7200, 3600)]);
    assert_eq!(host.pvd(ISP).addresses.len(), limits::ADDRESSES_PER_PVD);
    // The same ones once more with another length.
    host.see(
        (0..limits::ADDRESSES_PER_PVD).map(|number| address(ETH0, &format!("2001:db8:1::{number:x}/128"))),
    );
    assert_eq!(host.pvd(ISP).addresses.len(), limits::ADDRESSES_PER_PVD);
}
