//! The Encrypted DNS option (RFC 9463 6.1), and the service parameters that all designations of resolvers share
//! (RFC 9460 2.2).

use super::{Timed, domain_names};
use crate::configuration::EncryptedDns;
use crate::text;
use std::net::{IpAddr, Ipv6Addr};

/// The most addresses that are taken of one resolver.
const MAX_ADDRESSES: usize = 16;
/// The most protocols that are taken of one resolver.
const MAX_ALPN: usize = 8;

const KEY_MANDATORY: u16 = 0;
const KEY_ALPN: u16 = 1;
const KEY_PORT: u16 = 3;
const KEY_DOHPATH: u16 = 7;

/// A resolver as an advertisement designates it; `value` is the option without type and length.
pub(super) fn from_advertisement(value: &[u8]) -> Option<Timed<EncryptedDns>> {
    let (head, rest) = value.split_first_chunk::<6>()?;
    let [priority_high, priority_low, lifetime @ ..] = *head;
    let priority = u16::from_be_bytes([priority_high, priority_low]);
    let lifetime = u32::from_be_bytes(lifetime);
    let (name, rest) = counted(rest)?;
    let mut resolver = EncryptedDns { priority, name: domain_names::whole(name)?, ..EncryptedDns::default() };
    // AliasMode: the name says it all (RFC 9463 3.1.5).
    if priority > 0 {
        let (addresses, rest) = counted(rest)?;
        let (addresses, odd) = addresses.as_chunks::<16>();
        if !odd.is_empty() {
            return None;
        }
        let usable = addresses
            .iter()
            .map(|octets| Ipv6Addr::from(*octets))
            .filter(|address| !address.is_multicast() && !address.is_loopback() && !address.is_unspecified());
        resolver.addresses = usable.map(IpAddr::V6).take(MAX_ADDRESSES).collect();
        // Nothing behind the addresses but padding means no parameters.
        let (parameters, _padding) = counted(rest).unwrap_or((&[], &[]));
        take_parameters(&mut resolver, parameters)?;
    }
    Some(Timed { value: resolver, lifetime })
}

/// Puts service parameters into `resolver`. `None` when they are malformed, or when it cannot be used without
/// understanding one that is not known here (RFC 9460 8).
fn take_parameters(resolver: &mut EncryptedDns, parameters: &[u8]) -> Option<()> {
    let mut rest = parameters;
    let mut last = None;
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
            KEY_MANDATORY if !all_known(value) => return None,
            KEY_ALPN => resolver.alpn = protocols(value)?,
            KEY_PORT => resolver.port = Some(u16::from_be_bytes(*value.first_chunk::<2>()?)),
            KEY_DOHPATH => resolver.path = Some(text::escape(value)),
            _ => {}
        }
    }
    rest.is_empty().then_some(())
}

fn all_known(mandatory: &[u8]) -> bool {
    let (keys, odd) = mandatory.as_chunks::<2>();
    let known = |key: &[u8; 2]| matches!(u16::from_be_bytes(*key), KEY_ALPN | KEY_PORT | KEY_DOHPATH);
    odd.is_empty() && keys.iter().all(known)
}

/// ALPN identifiers, each with its length in front (RFC 9460 7.1.1).
fn protocols(value: &[u8]) -> Option<Vec<String>> {
    let mut rest = value;
    let mut protocols = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (identifier, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        if protocols.len() < MAX_ALPN {
            protocols.push(text::escape(identifier));
        }
    }
    Some(protocols)
}

/// What a length in two bytes counts, and what comes after it.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const NAME: &[u8] = b"\x03dns\x07example\x00";

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
    fn a_name_alone_is_an_alias() {
        let read = from_advertisement(&option(0, &[], &[])).unwrap();
        assert_eq!((read.value.priority, read.value.addresses.len()), (0, 0));
    }

    #[test]
    fn what_is_not_understood_but_mandatory_is_not_used() {
        let with = |keys: &[u8]| from_advertisement(&option(1, &address(), &parameter(0, keys)));
        assert!(with(&[0, 1, 0, 3]).is_some());
        assert!(with(&[0, 1, 0, 99]).is_none());
        assert!(with(&[0]).is_none());
        let unknown = parameter(99, b"whatever");
        assert!(from_advertisement(&option(1, &address(), &unknown)).is_some(), "unknown, and not mandatory");
    }

    #[test]
    fn malformed_ones_are_refused() {
        let good = option(1, &address(), &parameter(1, b"\x03dot"));
        for length in 0..30 {
            assert!(from_advertisement(&good[..length]).is_none(), "cut at {length}");
        }
        assert!(from_advertisement(&option(1, &address()[..15], &[])).is_none(), "odd addresses");
        assert!(from_advertisement(&option(1, &address(), &parameter(1, b"\x09dot"))).is_none(), "ALPN");
        let disordered = [parameter(3, &[0, 53]), parameter(1, b"\x03dot")].concat();
        assert!(from_advertisement(&option(1, &address(), &disordered)).is_none(), "order");
        assert!(from_advertisement(&option(1, &address(), &[0, 1, 0])).is_none(), "a cut parameter");
    }
}
