//! Router Advertisements byte by byte, as their RFCs lay them out.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::net::Ipv6Addr;

/// The fixed part (RFC 4861 4.2): lifetime 1800 s, medium preference, neither M nor O.
pub const HEADER: [u8; 16] = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];

/// A message of that header and these options.
pub fn message(options: &[Vec<u8>]) -> Vec<u8> {
    [HEADER.to_vec(), options.concat()].concat()
}

/// An option of this type, padded with zeros.
pub fn option(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut option = [&[kind, 0], value].concat();
    option.resize(option.len().next_multiple_of(8), 0);
    option[1] = u8::try_from(option.len() / 8).unwrap();
    option
}

/// An address as it is on the wire.
pub fn octets(address: &str) -> [u8; 16] {
    address.parse::<Ipv6Addr>().expect(address).octets()
}

/// RFC 4861 4.6.2, flags L and A.
pub fn prefix_information(prefix: &str, valid: u32, preferred: u32) -> Vec<u8> {
    let lifetimes = [valid.to_be_bytes(), preferred.to_be_bytes()].concat();
    option(3, &[&[64, 0xc0][..], &lifetimes, &[0; 4], &octets(prefix)].concat())
}

/// RFC 8106 5.1.
pub fn dns_server(lifetime: u32, server: &str) -> Vec<u8> {
    option(25, &[&[0, 0][..], &lifetime.to_be_bytes(), &octets(server)].concat())
}

/// RFC 8781 4: the scaled lifetime and the code of a prefix length share two bytes.
pub fn pref64(scaled_lifetime: u16, code: u16, prefix: &str) -> Vec<u8> {
    let head = (scaled_lifetime << 3 | code).to_be_bytes();
    option(38, &[&head[..], &octets(prefix)[..12]].concat())
}

/// RFC 8910 2.3.
pub fn captive_portal(uri: &[u8]) -> Vec<u8> {
    option(37, uri)
}

/// RFC 9463 6.1.
pub fn encrypted_dns(
    priority: u16,
    lifetime: u32,
    name: &[u8],
    addresses: &[u8],
    parameters: &[u8],
) -> Vec<u8> {
    let mut value = [&priority.to_be_bytes()[..], &lifetime.to_be_bytes()].concat();
    for field in [name, addresses, parameters] {
        value.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
        value.extend(field);
    }
    option(144, &value)
}

/// A name as uncompressed labels (RFC 1035 3.1).
pub fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.') {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// RFC 8801 3.1: flags with delay, a sequence number, the ID in labels, and what is inside.
pub fn pvd(flags: u16, sequence: u16, id: &[u8], inside: &[Vec<u8>]) -> Vec<u8> {
    let head = option(21, &[&flags.to_be_bytes()[..], &sequence.to_be_bytes(), id].concat());
    let mut option = [head, inside.concat()].concat();
    option[1] = u8::try_from(option.len() / 8).unwrap();
    option
}

/// Flag R of the PvD option.
pub const FLAG_RA: u16 = 0x2000;
