//! Router Advertisements on the wire: what holds of every message, however broken, and the vectors of the RFCs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod invariants;
mod vectors;
mod wire;

use invariants::check;
use mif_core::ra::RouterAdvertisement;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence};
use wire::{
    FLAG_RA, HEADER, captive_portal, dns_server, encrypted_dns, message, name, octets, option, pref64,
    prefix_information, pvd,
};

/// A message that says everything, outside and inside a PvD option.
fn full_message() -> Vec<u8> {
    let parameters = [
        &b"\x00\x00\x00\x02\x00\x01"[..],
        b"\x00\x01\x00\x07\x03dot\x02h2",
        b"\x00\x03\x00\x02\x03\x55",
        b"\x00\x07\x00\x07/{?dns}",
    ]
    .concat();
    let addresses = [octets("2001:db8::53"), octets("fe80::53")].concat();
    let mut inner = HEADER.to_vec();
    inner[5] = 0xd8;
    let said = [
        prefix_information("2001:db8:1::", 3600, 1800),
        dns_server(600, "2001:db8::53"),
        option(24, &[48, 0x08, 0, 0, 2, 88, 0x20, 1, 0xd, 0xb8, 0, 2, 0, 0]),
        option(31, b"\x00\x00\x00\x00\x02\x58\x03isp\x07example\x00\x02go\x00"),
        option(5, &[0, 0, 0, 0, 5, 0x78]),
        pref64(75, 0, "64:ff9b::"),
        captive_portal(b"https://portal.example/api"),
        encrypted_dns(1, 600, &name("dns.example"), &addresses, &parameters),
    ];
    let inside = [&[inner], &said[..]].concat();
    message(&[&said[..], &[pvd(FLAG_RA | 0xc00f, 0x1234, &name("Pvd.Example"), &inside)]].concat())
}

fn config() -> Config {
    let path = "tests/advertisements/regressions.txt";
    Config { failure_persistence: Some(Box::new(FileFailurePersistence::Direct(path))), ..Config::default() }
}

#[test]
fn the_full_message_is_full() {
    let (said, dropped) = RouterAdvertisement::parse(&full_message()).unwrap();
    assert!(dropped.is_empty());
    assert_eq!(said.pvd.as_ref().map(|pvd| pvd.id.as_str()), Some("pvd.example"));
    assert!(said.managed && said.other, "the inner header");
    let lengths = [
        said.prefixes.len(),
        said.routes.len(),
        said.dns_servers.len(),
        said.pref64.len(),
        said.encrypted_dns.len(),
    ];
    assert_eq!(lengths, [2; 5]);
    assert_eq!(said.search_domains.len(), 4);
    assert_eq!(said.encrypted_dns[1].value.alpn, ["dot", "h2"]);
    assert_eq!(said.mtu, Some(1400));
    check(&full_message());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn mutated_messages_are_survived(
        changes in vec((any::<Index>(), any::<u8>()), 0..8),
        cut in any::<Index>(),
    ) {
        let mut message = full_message();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        check(&message);
        message.truncate(cut.index(message.len()));
        check(&message);
    }

    /// Options of the known types with any bytes in them, alone and inside a PvD option.
    #[test]
    fn known_options_of_any_bytes_are_survived(
        options in vec((prop::sample::select(vec![3_u8, 5, 21, 24, 25, 31, 37, 38, 144]), vec(any::<u8>(), 0..120)), 0..8),
        id in vec(vec(any::<u8>(), 1..64), 1..6),
        flags in any::<u16>(),
    ) {
        let options: Vec<Vec<u8>> = options.iter().map(|(kind, value)| option(*kind, value)).collect();
        check(&message(&options));
        let mut wire: Vec<u8> = id.iter().flat_map(|label| [&[u8::try_from(label.len()).unwrap()], &label[..]].concat()).collect();
        wire.push(0);
        let inside = if flags & FLAG_RA == 0 { Vec::new() } else { vec![HEADER.to_vec()] };
        let option = pvd(flags, 0, &wire, &[inside, options].concat());
        check(&message(std::slice::from_ref(&option)));
        let found = RouterAdvertisement::parse(&message(&[option])).unwrap().0.pvd;
        prop_assert_eq!(found.is_some(), wire.len() <= 255);
    }

    /// One option that is damaged takes nothing of the others along.
    #[test]
    fn a_damaged_option_stands_alone(
        kind in prop::sample::select(vec![21_u8, 37, 38, 144]),
        value in vec(any::<u8>(), 0..60),
    ) {
        let good = [prefix_information("2001:db8:1::", 3600, 1800), dns_server(600, "2001:db8::53")];
        let damaged = option(kind, &value);
        let (said, _) = RouterAdvertisement::parse(&message(&[good[0].clone(), damaged, good[1].clone()])).unwrap();
        let prefix = said.prefixes.iter().find(|option| option.prefix.to_string() == "2001:db8:1::/64");
        prop_assert_eq!(prefix.map(|option| option.valid_lifetime), Some(3600));
        let server = said.dns_servers.iter().find(|server| server.value.to_string() == "2001:db8::53");
        prop_assert_eq!(server.map(|server| server.lifetime), Some(600));
    }
}
