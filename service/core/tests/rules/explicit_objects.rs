//! Rule 3: an object belongs to the provisioning domain of the advertisement that last carried it, with the
//! exceptions that keep things from flapping.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, ETH1, address, up};
use crate::common::host::Host;
use crate::common::ip;
use mif_core::configuration::Element;

const RED: &str = "red.example";
const BLUE: &str = "blue.example";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";
const ROUTER2: &str = "implicit:eth0:ipv6:fe80::2";
const PREFIX: &str = "2001:db8:1::/64";
const ADDRESS: &str = "2001:db8:1::5/64 preferred ra";

/// With an address of the prefix that everything is about.
fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(ETH1)]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host
}

fn red() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(RED)
}

fn blue() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(BLUE)
}

fn implicit(router: &str) -> AdvertisementWords {
    advertisement(ETH0, router)
}

/// Prefixes, routes other than the default route, and servers of one.
fn objects(host: &Host, id: &str) -> [usize; 3] {
    let gave = host.gave(id, Element::Ra);
    let routes = gave.routes.keys().filter(|key| key.destination.length > 0).count();
    [gave.prefixes.len(), routes, gave.dns_servers.len()]
}

fn all(words: AdvertisementWords) -> AdvertisementWords {
    words.prefix(PREFIX, 7200, 3600).route("2001:db8:ff::/48", 600).dns("2001:db8::53", 900)
}

#[test]
fn they_move_from_one_explicit_to_another_and_back() {
    let mut host = host();
    host.see([all(red()), blue()]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([1; 3], [0; 3]));
    assert_eq!((host.addresses(RED), host.addresses(BLUE)), (vec![ADDRESS.to_owned()], vec![]));
    host.see([all(blue())]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([0; 3], [1; 3]));
    assert_eq!((host.addresses(RED), host.addresses(BLUE)), (vec![], vec![ADDRESS.to_owned()]));
    // Which is told in the order of the objects.
    assert_eq!(host.announcements(), ["+2001:db8:1::5", "+ra", "-2001:db8:1::5", "+ra"]);
    host.see([all(red())]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([1; 3], [0; 3]));
}

#[test]
fn an_address_that_moves_is_in_one_at_every_moment() {
    // The listener behind the host compares every state; here both advertisements come at once.
    let mut host = host();
    host.see([all(red()), all(blue())]);
    let owners: Vec<&str> =
        host.snapshot().pvds_by_address(ip("2001:db8:1::5")).map(|pvd| pvd.id.as_str()).collect();
    assert_eq!(owners, [BLUE]);
}

#[test]
fn they_move_from_an_implicit_one_to_an_explicit_one() {
    let mut host = host();
    host.see([all(implicit("fe80::1")), implicit("fe80::2").prefix(PREFIX, 7200, 3600)]);
    assert_eq!(objects(&host, ROUTER1), [1; 3]);
    assert_eq!(host.addresses(ROUTER2), [ADDRESS], "two implicit ones share");
    host.see([all(red())]);
    assert_eq!(objects(&host, RED), [1; 3]);
    assert_eq!((objects(&host, ROUTER1), objects(&host, ROUTER2)), ([0; 3], [0; 3]));
    assert_eq!((host.addresses(ROUTER1).len(), host.addresses(ROUTER2).len()), (0, 0));
    assert_eq!(host.addresses(RED), [ADDRESS]);
}

#[test]
fn what_an_unexpired_explicit_one_holds_does_not_move_to_an_implicit_one() {
    let mut host = host();
    host.see([all(red())]);
    host.see([all(implicit("fe80::1")), all(implicit("fe80::2"))]);
    assert_eq!(objects(&host, RED), [1; 3]);
    assert_eq!(objects(&host, ROUTER1), [0; 3]);
    assert_eq!(objects(&host, ROUTER2), [0, 1, 0], "a route is one of its router");
    assert_eq!(host.addresses(RED), [ADDRESS]);
    // Nor can they shorten or withdraw it.
    host.see([implicit("fe80::1").prefix(PREFIX, 0, 0).dns("2001:db8::53", 0).route("2001:db8:ff::/48", 0)]);
    host.see([implicit("fe80::1").prefix(PREFIX, 1, 1)]);
    host.wait(2);
    assert_eq!(objects(&host, RED), [1; 3]);
}

#[test]
fn after_its_lifetime_it_may_move_to_an_implicit_one() {
    let mut host = host();
    host.see([red().prefix(PREFIX, 60, 60).route("2001:db8:ff::/48", 60).dns("2001:db8::53", 60)]);
    host.see([all(implicit("fe80::1"))]);
    host.wait(59);
    host.see([all(implicit("fe80::1"))]);
    assert_eq!(objects(&host, ROUTER1), [0; 3]);
    host.wait(1);
    host.see([all(implicit("fe80::1"))]);
    assert_eq!((objects(&host, RED), objects(&host, ROUTER1)), ([0; 3], [1; 3]));
    assert_eq!(host.addresses(ROUTER1), [ADDRESS]);
}

#[test]
fn after_its_lifetime_it_may_move_even_when_nobody_woke_in_time() {
    let mut host = host();
    host.see([red().router_lifetime(0).prefix(PREFIX, 60, 60)]);
    host.suspend(3600);
    host.see([all(implicit("fe80::1"))]);
    assert_eq!(host.ids(), [ROUTER1]);
    assert_eq!(objects(&host, ROUTER1), [1; 3]);
}

#[test]
fn when_the_explicit_one_withdraws_it_an_implicit_one_may_have_it() {
    let mut host = host();
    host.see([all(red()), all(implicit("fe80::1"))]);
    host.see([red().prefix(PREFIX, 0, 0), all(implicit("fe80::1"))]);
    assert_eq!((objects(&host, RED), objects(&host, ROUTER1)), ([0, 1, 1], [1, 0, 0]));
    assert_eq!(host.addresses(ROUTER1), [ADDRESS]);
}

#[test]
fn a_withdrawal_counts_whoever_carries_it() {
    // The kernel, too, drops what any advertisement withdraws.
    let mut host = host();
    host.see([all(red())]);
    host.see([blue().prefix(PREFIX, 0, 0).dns("2001:db8::53", 0).route("2001:db8:ff::/48", 0)]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([0; 3], [0; 3]));
}

#[test]
fn routes_of_different_routers_are_different_objects() {
    let mut host = host();
    let other = advertisement(ETH0, "fe80::2").pvd(BLUE);
    host.see([red().route("2001:db8:ff::/48", 600), other.route("2001:db8:ff::/48", 600)]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([0, 1, 0], [0, 1, 0]));
}

#[test]
fn prefixes_of_different_lengths_are_different_objects() {
    let mut host = host();
    host.see([red().prefix(PREFIX, 7200, 3600), blue().prefix("2001:db8:1::/48", 7200, 3600)]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([1, 0, 0], [1, 0, 0]));
}

#[test]
fn nothing_moves_between_links() {
    let mut host = host();
    host.see([all(red()), all(advertisement(ETH1, "fe80::1").pvd(BLUE))]);
    assert_eq!((objects(&host, RED), objects(&host, BLUE)), ([1; 3], [1; 3]));
}

#[test]
fn domains_nat64_prefixes_and_resolvers_are_no_objects_and_stay_with_each() {
    let mut host = host();
    let words = |says: AdvertisementWords| {
        says.search("a.test", 900).pref64("64:ff9b::/96", 600).resolver("dns.test", 1, 600)
    };
    host.see([words(red()), words(blue()), words(implicit("fe80::1"))]);
    for id in [RED, BLUE, ROUTER1] {
        let gave = host.gave(id, Element::Ra);
        assert_eq!((gave.search_domains.len(), gave.pref64.len(), gave.encrypted_dns.len()), (1, 1, 1));
    }
}
