//! Implicit provisioning domains of routers: rule 1, and lifetimes (rules 1 and 5).

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, ETH1, address, up};
use crate::common::host::Host;
use crate::common::{at, ip, prefix};
use mif_core::BootTime;
use mif_core::configuration::{AddressFamily, Element, Preference, Prefix, RouteKey};
use mif_core::pvd::{Family, Origin};

const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";
const ROUTER2: &str = "implicit:eth0:ipv6:fe80::2";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

fn default_via(router: &str) -> RouteKey {
    RouteKey { destination: Prefix::default_route(AddressFamily::Ipv6), gateway: Some(ip(router)) }
}

#[test]
fn an_advertisement_makes_one_for_its_interface_and_router() {
    let mut host = host();
    let says = advertisement(ETH0, "fe80::1")
        .preference(Preference::High)
        .prefix("2001:db8:1::/64", 7200, 3600)
        .route("2001:db8:ff::/48", 600)
        .dns("2001:db8::53", 900)
        .search("isp.test", 900)
        .mtu(1480);
    host.see([says]);

    let pvd = host.pvd(ROUTER1);
    assert_eq!((pvd.key.origin(), pvd.family, pvd.revision), (Origin::Implicit, Family::Ipv6, 1));
    assert_eq!(host.elements(ROUTER1), ["ra"]);
    let gave = host.gave(ROUTER1, Element::Ra);
    assert_eq!(gave.routers, [ip("fe80::1")]);
    assert_eq!(gave.dns_servers, [ip("2001:db8::53")]);
    assert_eq!(gave.search_domains, ["isp.test"]);
    assert_eq!(gave.mtu, Some(1480));
    let network = gave.prefixes[&prefix("2001:db8:1::/64")];
    assert!(network.on_link && network.autonomous);
    assert_eq!((network.preferred_until, network.valid_until), (at(4600), at(8200)));
    let default = gave.routes[&default_via("fe80::1")];
    assert_eq!((default.preference, default.valid_until), (Preference::High, at(2800)));
    assert_eq!(gave.routes.len(), 2);
}

/// A host that routes hears the advertisements that it sends itself (multicast is looped back).
#[test]
fn what_this_host_advertises_to_others_is_not_its_own() {
    let mut host = host();
    host.see([address(ETH0, "fe80::1/64")]);
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600)]);
    assert_eq!(host.snapshot().pvds().count(), 0);
    host.see([advertisement(ETH0, "fe80::2").prefix("2001:db8:1::/64", 7200, 3600)]);
    assert_eq!(host.pvd(ROUTER2).id, ROUTER2);
}

#[test]
fn each_router_and_each_interface_has_its_own() {
    let mut host = host();
    host.see([up(ETH1)]);
    host.see([
        advertisement(ETH0, "fe80::1"),
        advertisement(ETH0, "fe80::2"),
        advertisement(ETH1, "fe80::1"),
    ]);
    assert_eq!(host.ids(), [ROUTER1, ROUTER2, "implicit:eth1:ipv6:fe80::1"]);
    assert_eq!(host.interface("eth0").pvds.len(), 2);
}

#[test]
fn the_same_advertisement_again_is_no_news() {
    let mut host = host();
    let says = advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600).dns("2001:db8::53", 900);
    host.see([says.clone()]);
    host.wait(200);
    host.see([says]);
    assert_eq!(host.last().changes, []);
    assert_eq!(host.gave(ROUTER1, Element::Ra).prefixes[&prefix("2001:db8:1::/64")].valid_until, at(8400));
}

#[test]
fn a_missing_option_withdraws_nothing() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1")
        .prefix("2001:db8:1::/64", 7200, 3600)
        .route("2001:db8:ff::/48", 600)
        .dns("2001:db8::53", 900)
        .search("isp.test", 900)
        .mtu(1480)]);
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.last().changes, []);
    // RFC 8801 3.2: what does not fit into one message comes in several.
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::54", 900)]);
    let servers = &host.gave(ROUTER1, Element::Ra).dns_servers;
    assert_eq!(*servers, [ip("2001:db8::53"), ip("2001:db8::54")]);
}

#[test]
fn a_zero_lifetime_withdraws_at_once() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1")
        .prefix("2001:db8:1::/64", 7200, 3600)
        .route("2001:db8:ff::/48", 600)
        .dns("2001:db8::53", 900)
        .search("isp.test", 900)]);
    host.see([advertisement(ETH0, "fe80::1")
        .prefix("2001:db8:1::/64", 0, 0)
        .route("2001:db8:ff::/48", 0)
        .dns("2001:db8::53", 0)
        .search("isp.test", 0)]);
    let gave = host.gave(ROUTER1, Element::Ra);
    assert!(gave.prefixes.is_empty() && gave.dns_servers.is_empty() && gave.search_domains.is_empty());
    assert_eq!(gave.routes.len(), 1, "the default route stays");
    assert_eq!(host.announcements(), ["+ra"]);
}

#[test]
fn a_router_that_is_no_default_router_any_more_keeps_its_prefixes() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600)]);
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(0)]);
    let gave = host.gave(ROUTER1, Element::Ra);
    assert_eq!(gave.routers.len(), 0);
    assert!(!gave.routes.contains_key(&default_via("fe80::1")));
    assert!(gave.prefixes.contains_key(&prefix("2001:db8:1::/64")));
}

#[test]
fn an_advertisement_of_nothing_makes_none_and_ends_one() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(0).mtu(1480)]);
    assert_eq!(host.ids(), [""; 0]);
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.ids(), [ROUTER1]);
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(0)]);
    assert_eq!(host.announcements(), [format!("-{ROUTER1}")]);
}

#[test]
fn everything_ends_with_its_own_lifetime() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1")
        .router_lifetime(100)
        .dns("2001:db8::53", 200)
        .route("2001:db8:ff::/48", 300)
        .prefix("2001:db8:1::/64", 400, 400)]);
    let remains = |host: &Host| {
        let gave = host.gave(ROUTER1, Element::Ra);
        (gave.routers.len(), gave.dns_servers.len(), gave.routes.len(), gave.prefixes.len())
    };
    host.wait(99);
    assert_eq!(remains(&host), (1, 1, 2, 1));
    host.wait(1);
    assert_eq!(remains(&host), (0, 1, 1, 1));
    host.wait(100);
    assert_eq!(remains(&host), (0, 0, 1, 1));
    host.wait(100);
    assert_eq!(remains(&host), (0, 0, 0, 1));
    host.wait(99);
    assert_eq!(host.pvd(ROUTER1).revision, 4);
    host.wait(1);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn infinite_lifetimes_do_not_end() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(0).prefix(
        "2001:db8:1::/64",
        u32::MAX,
        u32::MAX,
    )]);
    host.wait(10_000_000);
    assert_eq!(
        host.gave(ROUTER1, Element::Ra).prefixes[&prefix("2001:db8:1::/64")].valid_until,
        BootTime::FOREVER
    );
    assert_eq!(host.engine().next_timeout(), None);
}

#[test]
fn a_list_in_parts_keeps_its_order() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::53", 900).dns("2001:db8::54", 900)]);
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::54", 900)]);
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::53", 900)]);
    assert_eq!(host.last().changes, []);
    assert_eq!(host.gave(ROUTER1, Element::Ra).dns_servers, [ip("2001:db8::53"), ip("2001:db8::54")]);
}

#[test]
fn a_router_with_a_new_link_local_address_is_another_one() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600)]);
    let first = host.pvd(ROUTER1).serial;
    host.see([
        advertisement(ETH0, "fe80::1").router_lifetime(0).prefix("2001:db8:1::/64", 0, 0),
        advertisement(ETH0, "fe80::2").prefix("2001:db8:1::/64", 7200, 3600),
    ]);
    assert_eq!(host.ids(), [ROUTER2]);
    assert_ne!(host.pvd(ROUTER2).serial, first);
}

#[test]
fn what_is_heard_of_a_link_before_the_kernel_tells_of_it_counts_while_it_lasts() {
    let mut host = Host::started();
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(30)]);
    assert_eq!(host.ids(), [""; 0]);
    host.see([up(ETH0)]);
    assert_eq!(host.ids(), [ROUTER1]);

    host.see([advertisement(ETH1, "fe80::1").router_lifetime(30)]);
    host.wait(30);
    assert!(host.engine().facts().link(ETH1).is_none(), "nothing is left of a link that never came");
}
