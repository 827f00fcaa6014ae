//! Explicit provisioning domains (RFC 8801): rule 1 of the contract, their names, and what ends them.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, ETH1, RA, address, down, gone, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::{ip, prefix};
use crate::wire;
use mif_core::configuration::{AddressFamily, Element, Prefix, RouteKey};
use mif_core::event::Event;
use mif_core::pvd::{Family, Origin};
use mif_core::ra::RouterAdvertisement;

const ISP: &str = "isp.example";
const VPN: &str = "corp.example";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(ETH1)]);
    host
}

fn isp() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(ISP)
}

fn vpn() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(VPN)
}

fn default_via(router: &str) -> RouteKey {
    RouteKey { destination: Prefix::default_route(AddressFamily::Ipv6), gateway: Some(ip(router)) }
}

/// What a router sends, byte by byte.
fn sent(router: &str, message: &[u8]) -> Event {
    let (advertisement, _) = RouterAdvertisement::parse(message).expect("a good message");
    Event::RouterAdvertisement { ifindex: ETH0, router: router.parse().expect(router), advertisement }
}

#[test]
fn an_advertisement_with_a_pvd_option_feeds_the_explicit_one_of_that_id() {
    let mut host = host();
    host.see([isp().http().sequence(7).prefix("2001:db8:1::/64", 7200, 3600).dns("2001:db8::53", 900)]);
    assert_eq!(host.ids(), [ISP], "and no implicit one of its router");
    let pvd = host.pvd(ISP);
    assert_eq!((pvd.key.origin(), pvd.family, pvd.revision), (Origin::Explicit, Family::Ipv6, 1));
    assert_eq!(host.elements(ISP), ["ra"]);
    let gave = host.gave(ISP, Element::Ra);
    assert_eq!(gave.dns_servers, [ip("2001:db8::53")]);
    assert!(gave.routes.contains_key(&default_via("fe80::1")));
    let option = gave.pvd_option.expect("flags and sequence");
    assert_eq!((option.sequence, option.words().collect::<Vec<_>>()), (7, vec!["http"]));
}

#[test]
fn several_explicit_and_an_implicit_one_live_on_one_link() {
    let mut host = host();
    host.see([
        isp().prefix("2001:db8:1::/64", 7200, 3600),
        vpn().prefix("2001:db8:2::/64", 7200, 3600),
        advertisement(ETH0, "fe80::1").prefix("2001:db8:3::/64", 7200, 3600),
        advertisement(ETH0, "fe80::2"),
    ]);
    assert_eq!(host.ids(), [VPN, ROUTER1, "implicit:eth0:ipv6:fe80::2", ISP]);
    host.see((1..4).map(|net| address(ETH0, &format!("2001:db8:{net}::5/64")).autoconfigured()));
    assert_eq!(host.addresses(ISP), ["2001:db8:1::5/64 preferred ra"]);
    assert_eq!(host.addresses(VPN), ["2001:db8:2::5/64 preferred ra"]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:3::5/64 preferred ra"]);
}

#[test]
fn one_id_on_two_links_is_two_objects_with_one_id() {
    let mut host = host();
    host.see([isp(), advertisement(ETH1, "fe80::1").pvd(ISP)]);
    for id in [ISP, "ISP.Example", "isp.example.", "ISP.EXAMPLE."] {
        let links: Vec<u32> = host.snapshot().pvds_by_id(id).map(|pvd| pvd.ifindex).collect();
        assert_eq!(links, [ETH0, ETH1], "{id}");
    }
    for id in ["isp.example..", ".isp.example", "isp", "example", ""] {
        assert_eq!(host.snapshot().pvds_by_id(id).count(), 0, "{id}");
    }
    let serials: Vec<_> = host.snapshot().pvds_by_id(ISP).map(|pvd| pvd.serial).collect();
    assert_ne!(serials[0], serials[1]);
    host.see([gone(ETH0)]);
    assert_eq!(host.pvd(ISP).serial, serials[1], "the other one stays");
}

#[test]
fn the_case_of_an_id_on_the_wire_makes_no_other_one() {
    let mut host = host();
    let with = |id: &str| wire::message(&[wire::pvd(0, 0, &wire::name(id), &[])]);
    host.see([sent("fe80::1", &with("ISP.Example"))]);
    host.see([sent("fe80::1", &with("isp.eXAMPLE"))]);
    assert_eq!(host.last().changes, []);
    assert_eq!(host.ids(), [ISP]);
}

#[test]
fn no_id_can_look_implicit_or_be_dangerous() {
    let mut host = host();
    host.see([address(ETH0, "192.0.2.5/24")]);
    let with = |id: &[u8]| wire::message(&[wire::pvd(0, 0, id, &[])]);
    host.see([
        sent("fe80::1", &with(b"\x12implicit:eth0:ipv4\x00")),
        sent("fe80::1", &with(b"\x0d../etc/passwd\x00")),
        sent("fe80::1", &with(b"\x05a\nb\x00c\x00")),
        sent("fe80::1", &with(b"\x03a.b\x01c\x00")),
        sent("fe80::1", &with("\x05z\u{fc}rI\x00".as_bytes())),
    ]);
    let expected = [
        "\\046\\046\\047etc\\047passwd",
        "a\\010b\\000c",
        "a\\046b.c",
        "implicit:eth0:ipv4",
        "implicit\\058eth0\\058ipv4",
        "z\\195\\188ri",
    ];
    assert_eq!(host.ids(), expected);
    assert_eq!(host.pvd("implicit:eth0:ipv4").key.origin(), Origin::Implicit, "found by its own Id only");
    assert_eq!(host.pvd("IMPLICIT\\058eth0\\058ipv4.").key.origin(), Origin::Explicit);
    assert_eq!(host.snapshot().pvds_by_id("a.b.c").count(), 0, "a dot inside a label is none between labels");
}

#[test]
fn an_advertisement_without_the_option_takes_nothing_from_the_explicit_one() {
    let mut host = host();
    host.see([isp().prefix("2001:db8:1::/64", 7200, 3600)]);
    let serial = host.pvd(ISP).serial;
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(0)]);
    assert_eq!(host.last().changes, []);
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.ids(), [ROUTER1, ISP]);
    assert_eq!(host.pvd(ISP).serial, serial);
    assert!(host.gave(ISP, Element::Ra).routes.contains_key(&default_via("fe80::1")), "each has its header");
}

#[test]
fn a_missing_option_withdraws_nothing() {
    let mut host = host();
    let everything = isp()
        .prefix("2001:db8:1::/64", 7200, 3600)
        .route("2001:db8:ff::/48", 600)
        .dns("2001:db8::53", 900)
        .search("isp.test", 900)
        .pref64("64:ff9b::/96", 600)
        .resolver("dns.test", 1, 600)
        .portal("https://portal.test/api")
        .mtu(1480);
    host.see([everything]);
    host.see([isp()]);
    assert_eq!(host.last().changes, []);
}

#[test]
fn zero_lifetimes_withdraw_at_once() {
    let mut host = host();
    host.see([isp()
        .prefix("2001:db8:1::/64", 7200, 3600)
        .route("2001:db8:ff::/48", 600)
        .dns("2001:db8::53", 900)
        .search("isp.test", 900)
        .pref64("64:ff9b::/96", 600)
        .resolver("dns.test", 1, 600)]);
    host.see([isp()
        .prefix("2001:db8:1::/64", 0, 0)
        .route("2001:db8:ff::/48", 0)
        .dns("2001:db8::53", 0)
        .search("isp.test", 0)
        .pref64("64:ff9b::/96", 0)
        .resolver("dns.test", 1, 0)]);
    assert_eq!(host.announcements(), ["+ra"]);
    let gave = host.gave(ISP, Element::Ra);
    assert!(gave.prefixes.is_empty() && gave.dns_servers.is_empty() && gave.search_domains.is_empty());
    assert!(gave.pref64.is_empty() && gave.encrypted_dns.is_empty());
    assert_eq!(gave.routes.len(), 1, "the default route stays");
}

#[test]
fn it_ends_with_its_last_fact() {
    let mut host = host();
    host.see([isp().router_lifetime(100).prefix("2001:db8:1::/64", 300, 300).http()]);
    host.wait(100);
    assert_eq!(host.gave(ISP, Element::Ra).routers.len(), 0);
    host.wait(199);
    assert_eq!(host.ids(), [ISP]);
    host.wait(1);
    assert_eq!(host.ids(), [""; 0]);
    assert_eq!(host.announcements(), [format!("-{ISP}")]);

    host.see([isp().router_lifetime(0).http().portal("https://portal.test")]);
    assert_eq!(host.ids(), [""; 0], "an option with nothing that lasts makes none");
}

#[test]
fn what_does_not_fit_into_one_message_comes_in_several_with_the_header_repeated() {
    let mut host = host();
    let inside = |options: &[Vec<u8>]| {
        let mut header = wire::HEADER.to_vec();
        header[5] = 0xc0;
        let inside = [&[header], options].concat();
        wire::message(&[wire::pvd(wire::FLAG_RA, 3, &wire::name(ISP), &inside)])
    };
    let parts = [
        inside(&[wire::prefix_information("2001:db8:1::", 7200, 3600)]),
        inside(&[wire::dns_server(900, "2001:db8::53")]),
        inside(&[wire::dns_server(900, "2001:db8::54"), wire::pref64(75, 0, "64:ff9b::")]),
    ];
    host.see(parts.iter().map(|part| sent("fe80::1", part)));
    let gave = host.gave(ISP, Element::Ra);
    assert_eq!(gave.dns_servers, [ip("2001:db8::53"), ip("2001:db8::54")]);
    assert_eq!((gave.prefixes.len(), gave.pref64.len(), gave.routers.len()), (1, 1, 1));
    for part in parts.iter().rev() {
        host.see([sent("fe80::1", part)]);
        assert_eq!(host.last().changes, [], "again, in whatever order");
    }
}

#[test]
fn the_inner_header_decides_over_the_default_route() {
    let header = |lifetime: u8| {
        let mut header = wire::HEADER.to_vec();
        header[6..8].copy_from_slice(&[0, lifetime]);
        header
    };
    let message = |outer: u8, inner: Option<u8>| {
        let flags = if inner.is_some() { wire::FLAG_RA } else { 0 };
        let mut inside: Vec<Vec<u8>> = inner.map(header).into_iter().collect();
        inside.push(wire::prefix_information("2001:db8:1::", 7200, 3600));
        sent("fe80::1", &[header(outer), wire::pvd(flags, 0, &wire::name(ISP), &inside)].concat())
    };
    let mut host = host();
    host.see([message(0, Some(60))]);
    assert_eq!(host.gave(ISP, Element::Ra).routers, [ip("fe80::1")], "for those who know of PvDs only");
    host.see([message(60, Some(0))]);
    assert_eq!(host.gave(ISP, Element::Ra).routers.len(), 0, "for those who do not");
    host.see([message(60, None)]);
    assert_eq!(host.gave(ISP, Element::Ra).routers, [ip("fe80::1")]);
    host.see([message(0, None)]);
    let gave = host.gave(ISP, Element::Ra);
    assert_eq!((gave.routers.len(), gave.routes.len(), gave.prefixes.len()), (0, 0, 1));
}

#[test]
fn its_grace_is_that_of_its_link() {
    let mut host = host();
    host.see([isp()]);
    let before = host.pvd(ISP).serial;
    host.see([down(ETH0)]);
    host.wait(1);
    host.see([up(ETH0)]);
    assert_eq!(host.pvd(ISP).serial, before);
    host.see([down(ETH0)]);
    host.wait(2);
    assert_eq!(host.ids(), [""; 0]);
    host.see([up(ETH0)]);
    assert_eq!(host.ids(), [""; 0], "what was heard before is not believed");
    host.see([isp()]);
    assert_ne!(host.pvd(ISP).serial, before);
}

#[test]
fn an_address_of_dhcpv6_joins_the_one_with_a_covering_prefix() {
    let mut host = host();
    host.see([
        isp().managed().prefix_without_autoconfiguration("2001:db8:1::/64", 7200, 3600),
        advertisement(ETH0, "fe80::2").managed(),
    ]);
    let until = host.within(3600);
    host.see([address(ETH0, "2001:db8:1::99/128").lasting(until, until)]);
    assert_eq!(host.addresses(ISP), ["2001:db8:1::99/128 preferred dhcpv6"]);
    assert_eq!(host.elements(ISP), ["ra", "dhcpv6"]);
    assert_eq!(host.addresses("implicit:eth0:ipv6:fe80::2"), [""; 0]);
}

#[test]
fn without_a_covering_prefix_it_joins_the_implicit_ones_that_asked_and_never_an_explicit_one() {
    let mut host = host();
    host.see([isp().managed().other()]);
    let until = host.within(3600);
    host.see([address(ETH0, "2001:db8:9::9/128").lasting(until, until)]);
    host.wait(4);
    assert_eq!(host.addresses("implicit:eth0:ipv6"), ["2001:db8:9::9/128 preferred dhcpv6"]);
    assert_eq!(host.addresses(ISP), [""; 0]);
    host.see([advertisement(ETH0, "fe80::2").managed()]);
    assert_eq!(host.addresses("implicit:eth0:ipv6:fe80::2"), ["2001:db8:9::9/128 preferred dhcpv6"]);
    assert_eq!(host.ids(), ["implicit:eth0:ipv6:fe80::2", ISP]);
}

#[test]
fn it_is_the_default_when_the_best_route_leads_through_its_router() {
    let mut host = host();
    let through = |router: &str| route(ETH0, "::/0").via(router).protocol(RA);
    host.see(events![isp(), through("fe80::1")]);
    assert_eq!(host.defaults(), [ISP]);
    // Who knows nothing of provisioning domains uses the implicit one of a router that has both.
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.defaults(), [ROUTER1]);
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(0)]);
    assert_eq!(host.defaults(), [ISP]);
    // One that says that it leads nowhere is not behind a route.
    host.see([isp().router_lifetime(0).prefix("2001:db8:1::/64", 7200, 3600)]);
    assert_eq!(host.defaults(), [""; 0]);
    host.see([isp().router_lifetime(0).route("::/0", 600)]);
    assert_eq!(host.defaults(), [ISP], "a route to everywhere will do (RFC 4191)");
}

#[test]
fn a_route_of_the_explicit_one_is_nobody_elses() {
    let mut host = host();
    host.see(events![
        isp().route("2001:db8:ff::/48", 600),
        address(ETH0, "2001:db8:5::5/64"),
        route(ETH0, "2001:db8:ff::/48").via("fe80::1"),
    ]);
    let key = RouteKey { destination: prefix("2001:db8:ff::/48"), gateway: Some(ip("fe80::1")) };
    assert!(host.gave(ISP, Element::Ra).routes.contains_key(&key));
    assert!(host.gave("implicit:eth0:ipv6", Element::Static).routes.is_empty());
}
