//! RTM_NEWADDR and RTM_DELADDR, read attribute by attribute: the label of an address is the link's name, and may
//! be no text.

use super::message::{attributes, read_u32};
use mif_core::BootTime;
use mif_core::event::{Address, AddressKey};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressFlags, AddressHeader, AddressProtocol, CacheInfo};
use std::net::IpAddr;

/// `struct ifaddrmsg`.
const HEADER_LENGTH: usize = 8;
/// linux/if_addr.h; not in libc yet.
const IFA_PROTO: u16 = 11;

/// The address that the message describes, read at `now`.
pub(super) fn decode(payload: &[u8], now: BootTime) -> Option<Address> {
    let header = AddressHeader::parse(payload).ok()?;
    let mut local = None;
    let mut peer = None;
    let mut flags = AddressFlags::from_bits_retain(u32::from(header.flags.bits()));
    let mut lifetimes = None;
    let mut protocol = None;
    for (kind, value) in attributes(payload.get(HEADER_LENGTH..)?) {
        match kind {
            libc::IFA_LOCAL => local = read_address(header.family, value),
            libc::IFA_ADDRESS => peer = read_address(header.family, value),
            libc::IFA_CACHEINFO => lifetimes = CacheInfo::parse(value).ok(),
            libc::IFA_FLAGS => flags = read_u32(value).map_or(flags, AddressFlags::from_bits_retain),
            IFA_PROTO => protocol = value.first().map(|protocol| AddressProtocol::from(*protocol)),
            _ => {}
        }
    }
    let lifetime = |seconds: Option<u32>| now.after_lifetime(seconds.unwrap_or(u32::MAX));
    let other_end = peer.filter(|peer| local.is_some_and(|local| local != *peer));
    Some(Address {
        // On a point-to-point link IFA_ADDRESS is the other end.
        key: key_of(&header, local.or(peer)?)?,
        preferred_until: lifetime(lifetimes.as_ref().map(|info| info.ifa_preferred)),
        valid_until: lifetime(lifetimes.as_ref().map(|info| info.ifa_valid)),
        tentative: is_tentative(flags),
        deprecated: flags.contains(AddressFlags::Deprecated),
        // The same bit says "secondary" of an IPv4 address.
        temporary: header.family == AddressFamily::Inet6 && flags.contains(AddressFlags::Secondary),
        permanent: flags.contains(AddressFlags::Permanent),
        from_router_advertisement: protocol == Some(AddressProtocol::RouterAnnouncement),
        peer: other_end,
    })
}

/// An address under duplicate address detection is no source, unless it is optimistic (RFC 4429).
fn is_tentative(flags: AddressFlags) -> bool {
    flags.contains(AddressFlags::Dadfailed)
        || flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic)
}

fn key_of(header: &AddressHeader, address: IpAddr) -> Option<AddressKey> {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (header.index != 0 && header.prefix_len <= longest).then_some(AddressKey {
        ifindex: header.index,
        address,
        prefix_length: header.prefix_len,
    })
}

/// An address attribute of `family`.
pub(super) fn read_address(family: AddressFamily, value: &[u8]) -> Option<IpAddr> {
    match family {
        AddressFamily::Inet => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        AddressFamily::Inet6 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use netlink_packet_core::{DefaultNla, Emitable};
    use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

    const NOW: BootTime = BootTime::from_micros(1_000_000);

    fn message(prefix_length: u8, attributes: Vec<AddressAttribute>) -> AddressMessage {
        let mut message = AddressMessage::default();
        let v4 =
            attributes.iter().any(|attribute| matches!(attribute, AddressAttribute::Address(IpAddr::V4(_))));
        message.header.family = if v4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.index = 3;
        message.header.prefix_len = prefix_length;
        message.attributes = attributes;
        message
    }

    fn bytes(message: &AddressMessage) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn address(text: &str) -> AddressAttribute {
        AddressAttribute::Address(text.parse().unwrap())
    }

    fn lifetimes(preferred: u32, valid: u32) -> CacheInfo {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = preferred;
        lifetimes.ifa_valid = valid;
        lifetimes
    }

    fn flagged(flags: AddressFlags) -> Address {
        decode(&bytes(&message(64, vec![address("2001:db8::1"), AddressAttribute::Flags(flags)])), NOW)
            .unwrap()
    }

    #[test]
    fn lifetimes_become_deadlines() {
        let lifetimes = lifetimes(10, 20);
        let attributes = vec![
            address("2001:db8::1"),
            AddressAttribute::CacheInfo(lifetimes),
            AddressAttribute::Protocol(AddressProtocol::RouterAnnouncement),
        ];
        let found = decode(&bytes(&message(64, attributes)), NOW).unwrap();
        let expected = Address {
            key: AddressKey { ifindex: 3, address: "2001:db8::1".parse().unwrap(), prefix_length: 64 },
            preferred_until: BootTime::from_micros(11_000_000),
            valid_until: BootTime::from_micros(21_000_000),
            tentative: false,
            deprecated: false,
            temporary: false,
            permanent: false,
            from_router_advertisement: true,
            peer: None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn infinite_and_missing_lifetimes_are_for_ever() {
        let lifetimes = lifetimes(u32::MAX, u32::MAX);
        let attributes = vec![address("192.0.2.1"), AddressAttribute::CacheInfo(lifetimes)];
        let found = decode(&bytes(&message(24, attributes)), NOW).unwrap();
        assert_eq!((found.preferred_until, found.valid_until), (BootTime::FOREVER, BootTime::FOREVER));
        let found = decode(&bytes(&message(24, vec![address("192.0.2.1")])), NOW).unwrap();
        assert_eq!(found.valid_until, BootTime::FOREVER);
    }

    #[test]
    fn optimistic_addresses_are_usable_and_duplicates_are_not() {
        assert!(flagged(AddressFlags::Tentative).tentative);
        assert!(!flagged(AddressFlags::Tentative | AddressFlags::Optimistic).tentative);
        assert!(flagged(AddressFlags::Dadfailed | AddressFlags::Permanent).tentative);
        assert!(!flagged(AddressFlags::Permanent).tentative);
        assert!(flagged(AddressFlags::Deprecated).deprecated);
        assert!(flagged(AddressFlags::Secondary).temporary);
        assert!(flagged(AddressFlags::Permanent).permanent);
    }

    #[test]
    fn flags_of_the_header_count_where_there_is_no_attribute() {
        let mut secondary = message(24, vec![address("192.0.2.1")]);
        secondary.header.flags = AddressHeaderFlags::Secondary | AddressHeaderFlags::Permanent;
        let found = decode(&bytes(&secondary), NOW).unwrap();
        assert!(found.permanent && !found.temporary);
    }

    #[test]
    fn the_near_end_of_a_point_to_point_link_counts() {
        let attributes = vec![address("10.0.0.2"), AddressAttribute::Local("10.0.0.1".parse().unwrap())];
        let found = decode(&bytes(&message(32, attributes)), NOW).unwrap();
        assert_eq!(found.key.address.to_string(), "10.0.0.1");
        assert_eq!(found.peer, Some("10.0.0.2".parse().unwrap()));
        let attributes = vec![address("10.0.0.1"), AddressAttribute::Local("10.0.0.1".parse().unwrap())];
        assert_eq!(
            decode(&bytes(&message(24, attributes)), NOW).unwrap().peer,
            None,
            "as of every other link"
        );
    }

    #[test]
    fn a_label_that_is_no_text_hides_nothing() {
        let label = AddressAttribute::Other(DefaultNla::new(3, b"a\xff\0".to_vec()));
        assert!(decode(&bytes(&message(24, vec![label, address("192.0.2.1")])), NOW).is_some());
    }

    #[test]
    fn nonsense_is_no_address() {
        assert_eq!(decode(&bytes(&message(129, vec![address("2001:db8::1")])), NOW), None);
        assert_eq!(decode(&bytes(&message(64, vec![])), NOW), None);
        assert_eq!(decode(&[0; 7], NOW), None);
    }
}
