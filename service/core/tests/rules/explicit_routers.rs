//! An explicit provisioning domain and its routers: several speak for one, one for several, and they come and go.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, address, up};
use crate::common::host::Host;
use crate::common::{at, ip, prefix};
use mif_core::configuration::{Element, Preference};

const ISP: &str = "isp.example";
const PREFIX: &str = "2001:db8:1::/64";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

fn says(router: &str) -> AdvertisementWords {
    advertisement(ETH0, router).pvd(ISP)
}

fn servers(host: &Host) -> Vec<String> {
    host.gave(ISP, Element::Ra).dns_servers.iter().map(ToString::to_string).collect()
}

fn routers(host: &Host) -> Vec<String> {
    host.gave(ISP, Element::Ra).routers.iter().map(ToString::to_string).collect()
}

#[test]
fn two_routers_speak_for_one() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([
        says("fe80::1").prefix(PREFIX, 7200, 3600).route("2001:db8:ff::/48", 600),
        says("fe80::2").prefix(PREFIX, 7200, 3600).route("2001:db8:ff::/48", 600),
    ]);
    assert_eq!(host.ids(), [ISP]);
    let gave = host.gave(ISP, Element::Ra);
    assert_eq!(gave.routers, [ip("fe80::1"), ip("fe80::2")]);
    assert_eq!((gave.routes.len(), gave.prefixes.len()), (4, 1), "two routes through each");
    assert_eq!(host.addresses(ISP), ["2001:db8:1::5/64 preferred ra"], "told once");
}

#[test]
fn the_preferred_router_comes_first() {
    let mut host = host();
    host.see([
        says("fe80::1").preference(Preference::Low),
        says("fe80::2"),
        says("fe80::3").preference(Preference::High),
        says("fe80::4").router_lifetime(0).route("2001:db8:ff::/48", 600),
    ]);
    assert_eq!(routers(&host), ["fe80::3", "fe80::2", "fe80::1"]);
}

#[test]
fn one_router_dies_and_the_other_takes_over() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    let full = |router| says(router).router_lifetime(60).prefix(PREFIX, 120, 60).dns("2001:db8::53", 120);
    host.see([full("fe80::1").mtu(1480), full("fe80::2")]);
    let serial = host.pvd(ISP).serial;
    for _ in 0..20 {
        host.wait(30);
        host.see([full("fe80::2")]);
    }
    assert_eq!(host.pvd(ISP).serial, serial);
    assert_eq!(routers(&host), ["fe80::2"]);
    assert_eq!((servers(&host), host.addresses(ISP).len()), (vec!["2001:db8::53".to_owned()], 1));
    assert_eq!(host.gave(ISP, Element::Ra).mtu, Some(1480), "no lifetime of its own: it lives with the PvD");
    assert_eq!(host.pvd(ISP).revision, 2, "one router less, and nothing else");
    let known = host.engine().facts().link(ETH0).unwrap().routers().len();
    assert_eq!(known, 1, "nothing is kept of the other");
}

#[test]
fn a_router_that_changes_its_address_keeps_the_provisioning_domain() {
    let mut host = host();
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([says("fe80::1").prefix(PREFIX, 7200, 3600).dns("2001:db8::53", 900)]);
    let serial = host.pvd(ISP).serial;
    // RFC 4861 6.2.8: it says first that the former address routes no more.
    host.see([says("fe80::1").router_lifetime(0)]);
    host.see([says("fe80::2").prefix(PREFIX, 7200, 3600).dns("2001:db8::53", 900)]);
    assert_eq!(host.pvd(ISP).serial, serial);
    assert_eq!(routers(&host), ["fe80::2"]);
    assert_eq!(host.addresses(ISP), ["2001:db8:1::5/64 preferred ra"]);
    // And without a word of it the former one ends with its lifetime.
    host.see([says("fe80::3").router_lifetime(9000).prefix(PREFIX, 90_000, 3600)]);
    assert_eq!(routers(&host), ["fe80::2", "fe80::3"]);
    host.wait(1800);
    assert_eq!((routers(&host), host.pvd(ISP).serial), (vec!["fe80::3".to_owned()], serial));
}

#[test]
fn the_most_recent_word_counts_whichever_router_speaks() {
    let mut host = host();
    host.see([says("fe80::1").prefix(PREFIX, 90_000, 3600).dns("2001:db8::53", 900).search("a.test", 900)]);
    host.see([says("fe80::2").prefix(PREFIX, 7200, 3600)]);
    let network = host.gave(ISP, Element::Ra).prefixes[&prefix(PREFIX)];
    assert_eq!(network.valid_until, at(8200), "RFC 4861 6.3.4");
    host.see([says("fe80::2").prefix(PREFIX, 0, 0).dns("2001:db8::53", 0).search("a.test", 0)]);
    let gave = host.gave(ISP, Element::Ra);
    assert!(gave.prefixes.is_empty() && gave.dns_servers.is_empty() && gave.search_domains.is_empty());
    assert_eq!(routers(&host), ["fe80::1", "fe80::2"], "a router lifetime is each router's own");
}

#[test]
fn the_most_recent_option_counts_too() {
    let mut host = host();
    host.see([says("fe80::1").sequence(1).http().legacy(), says("fe80::2").sequence(1).http().legacy()]);
    // The first router is gone by now: what it said lives on for half an hour.
    host.see([says("fe80::2").sequence(2)]);
    let option = host.gave(ISP, Element::Ra).pvd_option.unwrap();
    assert_eq!((option.sequence, option.words().count()), (2, 0));
    host.wait(1799);
    host.see([says("fe80::3").router_lifetime(10).sequence(9)]);
    host.wait(2);
    assert_eq!(host.gave(ISP, Element::Ra).pvd_option.unwrap().sequence, 9);
    host.wait(10);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn routers_that_take_turns_reorder_nothing() {
    let mut host = host();
    let one = says("fe80::1").dns("2001:db8::53", 900).dns("2001:db8::54", 900);
    let other = says("fe80::2").dns("2001:db8::54", 900).dns("2001:db8::53", 900).dns("2001:db8::55", 900);
    host.see([one.clone(), other.clone()]);
    assert_eq!(servers(&host), ["2001:db8::53", "2001:db8::54", "2001:db8::55"]);
    for says in [one.clone(), other.clone(), one, other] {
        host.wait(100);
        host.see([says]);
        assert_eq!(host.last().changes, []);
    }
}

#[test]
fn one_router_speaks_for_several_and_for_itself() {
    let mut host = host();
    let other = advertisement(ETH0, "fe80::1").pvd("corp.example").sequence(5);
    host.see([says("fe80::1").sequence(4), other, advertisement(ETH0, "fe80::1")]);
    let sequence = |id| host.gave(id, Element::Ra).pvd_option.map(|option| option.sequence);
    assert_eq!(sequence(ISP), Some(4));
    assert_eq!(sequence("corp.example"), Some(5));
    assert_eq!(sequence("implicit:eth0:ipv6:fe80::1"), None);
    host.see([says("fe80::1").router_lifetime(0)]);
    assert_eq!(host.ids(), ["corp.example", "implicit:eth0:ipv6:fe80::1"]);
}
