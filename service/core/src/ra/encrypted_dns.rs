//! The Encrypted DNS option of Router Advertisements (RFC 9463 6), and the service parameters that all designations of
//! resolvers share (RFC 9460 2.2); those of DHCP are in [`crate::dhcp`].

use super::{Timed, domain_names};
use crate::configuration::EncryptedDns;
use crate::text;
use std::net::{IpAddr, Ipv6Addr};

/// The most addresses that are taken of one resolver.
pub(crate) const MAX_ADDRESSES: usize = 16;
/// The most protocols that are taken of one resolver.
const MAX_ALPN: usize = 8;

const KEY_MANDATORY: u16 = 0;
const KEY_ALPN: u16 = 1;
const KEY_PORT: u16 = 3;
const KEY_DOHPATH: u16 = 7;

/// A resolver as an advertisement designates it; the six bytes behind type and length, and the rest.
pub(super) fn from_advertisement(head: [u8; 6], rest: &[u8]) -> Option<Timed<EncryptedDns>> {
    let [priority_high, priority_low, lifetime @ ..] = head;
    let priority = u16::from_be_bytes([priority_high, priority_low]);
    let lifetime = u32::from_be_bytes(lifetime);
    let (name, rest) = counted(rest)?;
    let mut resolver = EncryptedDns { priority, name: domain_names::whole(name)?, ..EncryptedDns::default() };
    // The name alone, because it is an alias (RFC 9460 2.4.2), or because nothing but padding comes after it
    // (RFC 9463 3.1.6): the rest is to be asked for.
    if priority > 0 && rest.iter().any(|byte| *byte != 0) {
        let (addresses, rest) = counted(rest)?;
        take_ipv6_addresses(&mut resolver, addresses)?;
        // Nothing behind the addresses but padding means no parameters.
        let padding_only = || rest.iter().all(|byte| *byte == 0).then_some((&[][..], rest));
        let (parameters, _padding) = counted(rest).or_else(padding_only)?;
        take_parameters(&mut resolver, parameters)?;
    }
    Some(Timed { value: resolver, lifetime })
}

/// Puts the addresses that packets can be sent to into `resolver`.
pub(crate) fn take_ipv6_addresses(resolver: &mut EncryptedDns, addresses: &[u8]) -> Option<()> {
    let (addresses, odd) = addresses.as_chunks::<16>();
    let usable = addresses
        .iter()
        .map(|octets| Ipv6Addr::from(*octets))
        .filter(|address| !address.is_multicast() && !address.is_loopback() && !address.is_unspecified());
    resolver.addresses = usable.map(IpAddr::V6).take(MAX_ADDRESSES).collect();
    // A resolver of impossible addresses must not look like one that has none.
    let impossible = resolver.addresses.is_empty() && !addresses.is_empty();
    (odd.is_empty() && !impossible).then_some(())
}

/// Puts service parameters into `resolver`. `None` when they are malformed, or when it cannot be used without
/// understanding one that is not known here (RFC 9460 8).
pub(crate) fn take_parameters(resolver: &mut EncryptedDns, parameters: &[u8]) -> Option<()> {
    let mut rest = parameters;
    let mut last = None;
    let mut mandatory: &[u8] = &[];
    while let Some((key, after)) = rest.split_first_chunk::<2>() {
        let key = u16::from_be_bytes(*key);
        // Keys come in strictly increasing order (RFC 9460 2.2).
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        let (value, after) = counted(after)?;
        rest = after;
        match key {
            KEY_MANDATORY if value.is_empty() => return None,
            KEY_MANDATORY => mandatory = value,
            KEY_ALPN => resolver.alpn = protocols(value)?,
            KEY_PORT => resolver.port = Some(u16::from_be_bytes(value.try_into().ok()?)),
            KEY_DOHPATH => resolver.path = Some(text::escape(value)),
            _ => {}
        }
    }
    (rest.is_empty() && has_all(resolver, mandatory)).then_some(())
}

/// Whether `resolver` has every parameter of this list, which names no other.
fn has_all(resolver: &EncryptedDns, mandatory: &[u8]) -> bool {
    let (keys, odd) = mandatory.as_chunks::<2>();
    let has = |key: &[u8; 2]| match u16::from_be_bytes(*key) {
        KEY_ALPN => !resolver.alpn.is_empty(),
        KEY_PORT => resolver.port.is_some(),
        KEY_DOHPATH => resolver.path.is_some(),
        _ => false,
    };
    odd.is_empty() && keys.iter().all(has)
}

/// ALPN identifiers, one or more, each with its length in front and none of them empty (RFC 9460 7.1.1).
fn protocols(value: &[u8]) -> Option<Vec<String>> {
    let mut rest = value;
    let mut protocols = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (identifier, after) = after.split_at_checked(usize::from(*length))?;
        if identifier.is_empty() {
            return None;
        }
        rest = after;
        if protocols.len() < MAX_ALPN {
            protocols.push(text::escape(identifier));
        }
    }
    (!protocols.is_empty()).then_some(protocols)
}

/// What a length in two bytes counts, and what comes after it.
pub(crate) fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const NAME: &[u8] = b"\x03dns\x07example\x00";

    /// The option without type and length.
    fn from_advertisement(value: &[u8]) -> Option<Timed<EncryptedDns>> {
        let (head, rest) = value.split_first_chunk()?;
        super::from_advertisement(*head, rest)
    }

    fn counted_bytes(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn parameter(key: u16, value: &[u8]) -> Vec<u8> {
        [key.to_be_bytes().to_vec(), counted_bytes(value)].concat()
    }

    /// RFC 9463 6.1, laid out field by field and padded with zeros.
    fn option(priority: u16, addresses: &[u8], parameters: &[u8]) -> Vec<u8> {
        let mut value = priority.to_be_bytes().to_vec();
        value.extend(600_u32.to_be_bytes());
        value.extend(counted_bytes(NAME));
        value.extend(counted_bytes(addresses));
        value.extend(counted_bytes(parameters));
        value.resize((value.len() + 2).next_multiple_of(8) - 2, 0);
        value
    }

    fn address() -> [u8; 16] {
        "2001:db8::53".parse::<Ipv6Addr>().unwrap().octets()
    }

    #[test]
    fn a_resolver_with_everything() {
        let parameters =
            [parameter(1, b"\x03dot\x02h2"), parameter(3, &[0x20, 0xfb]), parameter(7, b"/q{?dns}")].concat();
        let read = from_advertisement(&option(2, &address(), &parameters)).unwrap();
        assert_eq!(read.lifetime, 600);
        let expected = EncryptedDns {
            priority: 2,
            name: "dns.example".to_owned(),
            addresses: vec!["2001:db8::53".parse().unwrap()],
            alpn: vec!["dot".to_owned(), "h2".to_owned()],
            port: Some(8443),
            path: Some("/q{?dns}".to_owned()),
        };
        assert_eq!(read.value, expected);
    }

    #[test]
    fn a_name_alone_is_to_be_asked_for_more() {
        let read = from_advertisement(&option(0, &[], &[])).unwrap();
        assert_eq!((read.value.priority, read.value.addresses.len()), (0, 0));
        // With a priority and nothing behind the name, however little padding that leaves (RFC 9463 3.1.6).
        for name in [&b"\x04name\x00"[..], b"\x03dns\x00", b"\x02ns\x00", NAME] {
            let mut value = [&[0, 1, 0, 0, 0, 60][..], &counted_bytes(name)].concat();
            value.resize((value.len() + 2).next_multiple_of(8) - 2, 0);
            let read = from_advertisement(&value).unwrap();
            assert_eq!((read.value.priority, read.lifetime, read.value.alpn.len()), (1, 60, 0), "{name:?}");
        }
    }

    #[test]
    fn parameters_of_an_alias_are_ignored() {
        let read = from_advertisement(&option(0, &address(), &parameter(1, b"\x03dot"))).unwrap();
        assert_eq!((read.value.addresses.len(), read.value.alpn.len()), (0, 0));
    }

    #[test]
    fn what_is_not_understood_but_mandatory_is_not_used() {
        let alpn_and_port = [parameter(1, b"\x03dot"), parameter(3, &[0x03, 0x55])].concat();
        let with = |keys: &[u8]| {
            from_advertisement(&option(1, &address(), &[parameter(0, keys), alpn_and_port.clone()].concat()))
        };
        assert!(with(&[0, 1, 0, 3]).is_some());
        assert!(with(&[0, 1, 0, 99]).is_none());
        assert!(with(&[0, 7]).is_none(), "mandatory and not there");
        assert!(with(&[0]).is_none() && with(&[]).is_none());
        let unknown = parameter(99, b"whatever");
        assert!(from_advertisement(&option(1, &address(), &unknown)).is_some(), "unknown, and not mandatory");
    }

    #[test]
    fn malformed_ones_are_refused() {
        let refused = |addresses: &[u8], parameters: &[u8]| {
            from_advertisement(&option(1, addresses, parameters)).is_none()
        };
        let good = option(1, &address(), &parameter(1, b"\x03dot"));
        // Cut behind the name or the addresses, or one zero later, it is another good one.
        for length in (0..21).chain(23..39).chain(41..49) {
            assert!(from_advertisement(&good[..length]).is_none(), "cut at {length}");
        }
        assert!(refused(&address()[..15], &[]), "odd addresses");
        let disordered = [parameter(3, &[0, 53]), parameter(1, b"\x03dot")].concat();
        assert!(refused(&address(), &disordered), "order");
        let twice = parameter(3, &[0, 53]).repeat(2);
        assert!(refused(&address(), &twice), "twice");
        assert!(refused(&address(), &[0, 1, 0]), "a cut parameter");
        for alpn in [&b"\x09dot"[..], b"", b"\x00", b"\x03dot\x00"] {
            assert!(refused(&address(), &parameter(1, alpn)), "ALPN {alpn:?}");
        }
        for port in [&[][..], &[53], &[0, 53, 0]] {
            assert!(refused(&address(), &parameter(3, port)), "port {port:?}");
        }
    }

    #[test]
    fn addresses_that_no_packet_can_be_sent_to_are_dropped() {
        let octets = |address: &str| address.parse::<Ipv6Addr>().unwrap().octets();
        let impossible = [octets("ff02::fb"), octets("::1"), octets("::")].concat();
        let mixed = [&impossible[..], &octets("fe80::53"), &octets("fd00::53")].concat();
        let read = from_advertisement(&option(1, &mixed, &[])).unwrap();
        let left: Vec<String> = read.value.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(left, ["fe80::53", "fd00::53"]);
        assert!(from_advertisement(&option(1, &impossible, &[])).is_none(), "none is left");
    }

    #[test]
    fn lists_and_names_have_their_limits() {
        let many = from_advertisement(&option(1, &address().repeat(MAX_ADDRESSES + 1), &[])).unwrap();
        assert_eq!(many.value.addresses.len(), MAX_ADDRESSES);
        let alpn = parameter(1, &b"\x02h2".repeat(MAX_ALPN + 1));
        let many = from_advertisement(&option(1, &address(), &alpn)).unwrap();
        assert_eq!(many.value.alpn.len(), MAX_ALPN);
        let path = parameter(7, b"/q\n{?dns}\xff");
        let odd = from_advertisement(&option(1, &address(), &path)).unwrap();
        assert_eq!(odd.value.path.as_deref(), Some("/q\\010{?dns}\\255"));
        let name =
            |name: &[u8]| from_advertisement(&[&[0, 1, 0, 0, 0, 60][..], &counted_bytes(name)].concat());
        assert!(name(b"\x00").is_none() && name(b"").is_none(), "the root");
        assert!(name(b"\x01a\x00\x01b\x00").is_none(), "two names");
        assert!(name(b"\x01a\xc0\x00").is_none(), "a pointer");
        assert_eq!(name(b"\x03a.b\x00").unwrap().value.name, "a\\046b");
    }
}
