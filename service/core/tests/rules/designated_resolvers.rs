//! Designated resolvers in Router Advertisements (RFC 9463 6.1): the lifetime is that of the name, and name and priority
//! tell one from another.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, up};
use crate::common::host::Host;
use crate::common::ip;
use mif_core::configuration::{Element, EncryptedDns};

const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";

fn resolver(name: &str, priority: u16, address: &str) -> EncryptedDns {
    let (name, addresses) = (name.to_owned(), vec![ip(address)]);
    EncryptedDns { priority, name, addresses, alpn: vec!["dot".to_owned()], ..EncryptedDns::default() }
}

/// The router advertises these with these lifetimes.
fn hear(host: &mut Host, resolvers: &[(&EncryptedDns, u32)]) {
    let says = advertisement(ETH0, "fe80::1");
    let add = |words: crate::common::advertisement::AdvertisementWords,
               (value, lifetime): &(&EncryptedDns, u32)| {
        words.designated(EncryptedDns::clone(value), *lifetime)
    };
    host.see([resolvers.iter().fold(says, add)]);
}

fn host(resolvers: &[(&EncryptedDns, u32)]) -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    hear(&mut host, resolvers);
    host
}

/// `name priority address`, best first.
fn held(host: &Host) -> Vec<String> {
    let words = |it: &EncryptedDns| format!("{} {} {:?}", it.name, it.priority, it.addresses);
    host.gave(ROUTER1, Element::Ra).encrypted_dns.iter().map(words).collect()
}

#[test]
fn what_is_told_anew_of_one_replaces_what_was_told_before() {
    let (old, new) = (resolver("a.test", 1, "2001:db8::1"), resolver("a.test", 1, "2001:db8::2"));
    let (second, other) = (resolver("a.test", 2, "2001:db8::3"), resolver("b.test", 1, "2001:db8::4"));
    let mut host = host(&[(&old, 600), (&second, 600), (&other, 600)]);
    hear(&mut host, &[(&new, 600)]);
    let mut all = held(&host);
    all.sort_unstable();
    assert_eq!(all, ["a.test 1 [2001:db8::2]", "a.test 2 [2001:db8::3]", "b.test 1 [2001:db8::4]"]);
}

#[test]
fn a_lifetime_of_zero_ends_the_name_whatever_else_the_option_says() {
    let (first, second) = (resolver("a.test", 1, "2001:db8::1"), resolver("a.test", 2, "2001:db8::2"));
    let other = resolver("b.test", 3, "2001:db8::3");
    let name_only = EncryptedDns { name: "a.test".to_owned(), priority: 1, ..EncryptedDns::default() };
    for over in [name_only, resolver("a.test", 1, "2001:db8::9"), first.clone()] {
        let mut host = host(&[(&first, 600), (&second, 600), (&other, 600)]);
        hear(&mut host, &[(&over, 0)]);
        assert_eq!(held(&host), ["b.test 3 [2001:db8::3]"], "{over:?}");
    }
}

#[test]
fn what_the_same_advertisement_gives_a_lifetime_stays() {
    let (old, new) = (resolver("a.test", 2, "2001:db8::1"), resolver("a.test", 1, "2001:db8::2"));
    for order in [[(&old, 0), (&new, 600)], [(&new, 600), (&old, 0)]] {
        let mut host = host(&[(&old, 600), (&new, 600)]);
        hear(&mut host, &order);
        assert_eq!(held(&host), ["a.test 1 [2001:db8::2]"]);
    }
    // Nor do two that one advertisement tells apart by nothing but their parameters drive each other out.
    let (dot, doq) = (resolver("a.test", 1, "2001:db8::1"), resolver("a.test", 1, "2001:db8::2"));
    let mut host = host(&[(&dot, 600), (&doq, 600)]);
    hear(&mut host, &[(&dot, 600), (&doq, 600)]);
    assert_eq!(host.last().changes, []);
    assert_eq!(held(&host), ["a.test 1 [2001:db8::1]", "a.test 1 [2001:db8::2]"]);
}
