//! IPv4 addresses inside IPv6 ones, for networks that reach IPv4 through a NAT64 (RFC 6052, RFC 7050).

use crate::configuration::Prefix;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The name whose IPv6 addresses only a DNS64 can give (RFC 7050 2.2).
pub const IPV4_ONLY_NAME: &str = "ipv4only.arpa";

/// The addresses of [`IPV4_ONLY_NAME`] (RFC 7050 2.2).
const IPV4_ONLY: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// 64:ff9b::/96 (RFC 6052 2.1)
const WELL_KNOWN: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// The lengths of prefix that a translator may have (RFC 6052 2.2), the most common first.
const LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// The most prefixes that are learned from DNS.
const MAX_PREFIXES: usize = 8;

/// The IPv6 address that stands for `v4` behind the translator of `prefix`. `None` when `prefix` is not one of a
/// translator, or is the well-known one and `v4` not a global address (RFC 6052 3.1).
pub fn synthesize(prefix: Prefix, v4: Ipv4Addr) -> Option<Ipv6Addr> {
    let IpAddr::V6(network) = prefix.address else { return None };
    if !LENGTHS.contains(&prefix.length) || (network == WELL_KNOWN && !is_global(v4)) {
        return None;
    }
    let mut octets = network.octets();
    for (place, octet) in places(prefix.length).into_iter().zip(v4.octets()) {
        octets[place] = octet;
    }
    Some(octets.into())
}

/// The prefixes of translators that the addresses of [`IPV4_ONLY_NAME`] give away (RFC 7050 3), without repeats.
pub fn prefixes_of(addresses: impl IntoIterator<Item = Ipv6Addr>) -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    for prefix in addresses.into_iter().filter_map(prefix_of) {
        if !prefixes.contains(&prefix) && prefixes.len() < MAX_PREFIXES {
            prefixes.push(prefix);
        }
    }
    prefixes
}

/// The well-known IPv4 address must be found at exactly one place, or nothing is known.
fn prefix_of(address: Ipv6Addr) -> Option<Prefix> {
    let octets = address.octets();
    let at = |length: u8| {
        let embedded = places(length).map(|place| octets[place]);
        // Octet 8 is not part of any address but of the prefix of 96 bits (RFC 6052 2.2).
        (length == 96 || octets[8] == 0) && IPV4_ONLY.contains(&Ipv4Addr::from(embedded))
    };
    let mut lengths = LENGTHS.into_iter().filter(|length| at(*length));
    let length = lengths.next()?;
    lengths.next().is_none().then(|| Prefix::covering(address.into(), length))
}

/// The octets that hold the IPv4 address behind a prefix of `length` bits. Octet 8 is never one (RFC 6052 2.2).
const fn places(length: u8) -> [usize; 4] {
    match length {
        32 => [4, 5, 6, 7],
        40 => [5, 6, 7, 9],
        48 => [6, 7, 9, 10],
        56 => [7, 9, 10, 11],
        64 => [9, 10, 11, 12],
        _ => [12, 13, 14, 15],
    }
}

/// Not one of the ranges that mean something else in each network (RFC 6890). Those of examples count as global, as in
/// the examples of RFC 6052 2.4.
const fn is_global(v4: Ipv4Addr) -> bool {
    let [first, second, third, _] = v4.octets();
    let shared = first == 100 && second & 0xc0 == 64;
    let benchmarking = first == 198 && second & 0xfe == 18;
    let protocol = first == 192 && second == 0 && third == 0;
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || first == 0
        || first >= 224
        || shared
        || benchmarking
        || protocol)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::covering(address.parse().unwrap(), length.parse().unwrap())
    }

    fn synthesized(text: &str, v4: &str) -> Option<String> {
        synthesize(prefix(text), v4.parse().unwrap()).map(|address| address.to_string())
    }

    #[test]
    fn the_examples_of_rfc_6052_2_4() {
        for (network, expected) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::c000:221"),
        ] {
            assert_eq!(synthesized(network, "192.0.2.33").as_deref(), Some(expected), "{network}");
        }
        assert_eq!(synthesized("64:ff9b::/96", "192.0.2.33").as_deref(), Some("64:ff9b::c000:221"));
    }

    #[test]
    fn what_no_translator_translates_is_not_synthesized() {
        for network in ["2001:db8::/33", "2001:db8::/128", "::/0", "192.0.2.0/24"] {
            assert_eq!(synthesized(network, "8.8.8.8"), None, "{network}");
        }
        for private in ["10.0.0.1", "192.168.1.1", "169.254.1.1", "127.0.0.1", "100.64.0.1", "224.0.0.1"] {
            assert_eq!(synthesized("64:ff9b::/96", private), None, "{private}");
            assert!(synthesized("2001:db8::/96", private).is_some(), "the network's own prefix: {private}");
        }
    }

    #[test]
    fn prefixes_are_found_where_the_well_known_address_is() {
        let found = |addresses: &[&str]| -> Vec<String> {
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            prefixes_of(addresses).iter().map(Prefix::to_string).collect()
        };
        assert_eq!(found(&["64:ff9b::192.0.0.170", "64:ff9b::192.0.0.171"]), ["64:ff9b::/96"]);
        assert!(found(&["2001:db8::1", "2001:db8::192.0.0.172"]).is_empty());
        // At two places: nothing is known.
        assert!(found(&["2001:db8:c000:aa::192.0.0.170"]).is_empty());
        let many: Vec<String> = (0..20).map(|n| format!("2001:db8:{n}::192.0.0.170")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(found(&many).len(), MAX_PREFIXES);
    }

    proptest! {
        #[test]
        fn every_prefix_is_found_again(network: u128, length in proptest::sample::select(&LENGTHS[..]), second: bool) {
            let network = Prefix::covering(Ipv6Addr::from(network & !(0xff << 56)).into(), length);
            let address = synthesize(network, IPV4_ONLY[usize::from(second)]).unwrap();
            let found = prefixes_of([address]);
            // A random prefix may hold the well-known address itself; then nothing is known.
            let other = |other: &u8| {
                let embedded = places(*other).map(|place| address.octets()[place]);
                *other != length && IPV4_ONLY.contains(&Ipv4Addr::from(embedded))
            };
            let expected = if LENGTHS.iter().any(other) { Vec::new() } else { vec![network] };
            prop_assert_eq!(found, expected);
        }
    }
}
