//! The options of RFC 8781, RFC 8910, RFC 9463 and RFC 8801 with odd lengths and reserved values.

use crate::wire::{
    FLAG_RA, captive_portal, dns_server, encrypted_dns, message, name, octets, option, pref64, pvd,
};
use mif_core::captive_portal::{CaptivePortal, MAX_URI_LENGTH};
use mif_core::ra::{Dropped, MAX_ENCRYPTED_DNS, MAX_PREF64, RouterAdvertisement};

const URN: &[u8] = b"urn:ietf:params:capport:unrestricted";

fn parse(options: &[Vec<u8>]) -> (RouterAdvertisement, Dropped) {
    RouterAdvertisement::parse(&message(options)).expect("a good message")
}

fn malformed(count: usize) -> Dropped {
    Dropped { malformed: count, over_limit: 0 }
}

fn uri(text: &str) -> Option<CaptivePortal> {
    Some(CaptivePortal::Uri(text.to_owned()))
}

#[test]
fn pref64_codes_stand_for_lengths_and_cut_the_prefix() {
    let (said, dropped) =
        parse(&(0..8).map(|code| pref64(75, code, "64:ff9b:1:2:3:4::")).collect::<Vec<_>>());
    let prefixes: Vec<String> = said.pref64.iter().map(|prefix| prefix.value.to_string()).collect();
    let expected = [
        "64:ff9b:1:2:3:4::/96",
        "64:ff9b:1:2::/64",
        "64:ff9b:1::/56",
        "64:ff9b:1::/48",
        "64:ff9b::/40",
        "64:ff9b::/32",
    ];
    assert_eq!(prefixes, expected);
    assert_eq!(dropped, malformed(2), "codes 6 and 7 are reserved");
}

#[test]
fn pref64_lifetimes_count_in_eights_up_to_65528() {
    let (said, _) =
        parse(&[pref64(0, 0, "64:ff9b::"), pref64(1, 1, "64:ff9b::"), pref64(0x1fff, 2, "64:ff9b::")]);
    let lifetimes: Vec<u32> = said.pref64.iter().map(|prefix| prefix.lifetime).collect();
    assert_eq!(lifetimes, [0, 8, 65_528]);
}

#[test]
fn pref64_of_another_length_is_ignored() {
    let good = pref64(75, 0, "64:ff9b::");
    let longer = option(38, &[&good[2..], &[0; 8]].concat());
    let shorter = option(38, &good[2..8]);
    let (said, dropped) = parse(&[longer, shorter]);
    assert_eq!((said.pref64.len(), dropped), (0, malformed(2)));
}

#[test]
fn pref64_has_a_cap() {
    let (said, dropped) = parse(&vec![pref64(75, 0, "64:ff9b::"); MAX_PREF64 + 3]);
    assert_eq!((said.pref64.len(), dropped.over_limit), (MAX_PREF64, 3));
}

#[test]
fn a_portal_ends_at_its_padding() {
    // A unit that the URI fills to the last byte has no padding at all.
    for text in ["https://a.test", "https://a.test/", "https://a.test/12"] {
        let (said, dropped) = parse(&[captive_portal(text.as_bytes())]);
        assert_eq!(said.captive_portal, uri(text));
        assert!(dropped.is_empty());
    }
    let (said, _) = parse(&[captive_portal(b"https://a.test\0garbage")]);
    assert_eq!(said.captive_portal, uri("https://a.test"));
}

#[test]
fn a_portal_is_escaped() {
    let (said, _) = parse(&[captive_portal(b"https://a.test/\x1b]0;owned\x07\xff")]);
    assert_eq!(said.captive_portal, uri("https://a.test/\\027]0;owned\\007\\255"));
}

#[test]
fn an_empty_portal_is_none_and_one_too_long_is_too() {
    let (said, dropped) = parse(&[captive_portal(b"")]);
    assert_eq!((said.captive_portal, dropped), (None, malformed(1)));
    let long = vec![b'x'; MAX_URI_LENGTH + 1];
    let (said, dropped) = parse(&[captive_portal(&long), captive_portal(&long[1..])]);
    assert!(said.captive_portal.is_some(), "as long as may be");
    assert_eq!(dropped, Dropped { malformed: 0, over_limit: 1 });
}

#[test]
fn of_several_portals_the_first_counts_and_the_difference_is_worth_a_line() {
    let [one, two] = [b"https://one.test", b"https://two.test"].map(|uri| captive_portal(uri));
    let (said, dropped) = parse(&[one.clone(), two, one.clone()]);
    assert_eq!((said.captive_portal, dropped), (uri("https://one.test"), malformed(1)));
    let (said, dropped) = parse(&[captive_portal(URN), one.clone()]);
    assert_eq!((said.captive_portal, dropped), (Some(CaptivePortal::Unrestricted), malformed(1)));
    assert!(parse(&[one.clone(), one]).1.is_empty(), "identical ones are fine (RFC 8910 3)");
}

#[test]
fn the_portal_inside_a_pvd_option_wins() {
    let inside = captive_portal(b"https://inside.test");
    let outside = captive_portal(b"https://outside.test");
    let with = |inside: &[Vec<u8>]| pvd(0, 0, &name("a.test"), inside);
    let (said, _) = parse(&[outside.clone(), with(std::slice::from_ref(&inside))]);
    assert_eq!(said.captive_portal, uri("https://inside.test"));
    let (said, _) = parse(&[with(&[inside]), outside.clone()]);
    assert_eq!(said.captive_portal, uri("https://inside.test"), "in whatever order");
    let (said, _) = parse(&[outside, with(&[captive_portal(URN)])]);
    assert_eq!(said.captive_portal, Some(CaptivePortal::Unrestricted));
}

#[test]
fn encrypted_dns_in_all_its_lengths() {
    let address = octets("2001:db8::53");
    let full = encrypted_dns(1, 600, &name("dns.test"), &address, b"\x00\x01\x00\x04\x03dot");
    let (said, dropped) = parse(&[full, encrypted_dns(2, 0, &name("a.test"), &address, &[])]);
    let read: Vec<_> = said.encrypted_dns.iter().map(|of| (of.value.name.as_str(), of.lifetime)).collect();
    assert_eq!(read, [("dns.test", 600), ("a.test", 0)]);
    assert_eq!(said.encrypted_dns[0].value.alpn, ["dot"]);
    assert!(dropped.is_empty());

    let shortest = option(144, &[0, 1, 0, 0, 0, 60]);
    let name_cut = option(144, &[0, 1, 0, 0, 0, 60, 0, 200, 1, b'a', 0]);
    let (said, dropped) = parse(&[shortest, name_cut]);
    assert_eq!((said.encrypted_dns.len(), dropped), (0, malformed(2)));

    let (said, dropped) =
        parse(&vec![encrypted_dns(1, 60, &name("a.test"), &address, &[]); MAX_ENCRYPTED_DNS + 1]);
    assert_eq!((said.encrypted_dns.len(), dropped.over_limit), (MAX_ENCRYPTED_DNS, 1));
}

#[test]
fn a_pvd_option_counts_against_the_same_caps() {
    let inside = vec![pref64(75, 0, "64:ff9b::"); MAX_PREF64];
    let (said, dropped) = parse(&[pref64(75, 1, "64:ff9b::"), pvd(0, 0, &name("a.test"), &inside)]);
    assert_eq!((said.pref64.len(), dropped.over_limit), (MAX_PREF64, 1));
}

#[test]
fn a_pvd_option_of_every_id_length_is_aligned() {
    for length in 1..=63 {
        let id = name(&"a".repeat(length));
        let inner = [0_u8, 0, 0xff, 0xff, 64, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
        let (said, dropped) = parse(&[pvd(FLAG_RA, 7, &id, &[inner, dns_server(60, "2001:db8::53")])]);
        assert_eq!((said.router_lifetime, said.dns_servers.len()), (60, 1), "ID of {length}");
        assert_eq!(said.pvd.map(|pvd| (pvd.id.len(), pvd.sequence)), Some((length, 7)));
        assert!(dropped.is_empty());
    }
}

#[test]
fn padding_after_the_id_may_be_anything() {
    let mut option = pvd(0, 0, &name("a"), &[dns_server(60, "2001:db8::53")]);
    option[9..16].fill(0xff);
    let (said, dropped) = parse(&[option]);
    assert_eq!((said.pvd.map(|pvd| pvd.id), said.dns_servers.len()), (Some("a".to_owned()), 1));
    assert!(dropped.is_empty());
}
