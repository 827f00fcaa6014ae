//! Questions to DHCP servers that need no lease, and the answers: DHCPINFORM (RFC 2131 3.4) and Information-Request
//! (RFC 8415 18.2.6).
//!
//! dhcproto writes the questions. The answers are read here: that library ends at the first option that makes no sense,
//! and does not look into the fields that may hold options (RFC 2132 9.3). What servers send is often odd in one option,
//! which must not cost the others: each that makes no sense counts as not there.

pub(crate) mod encrypted_dns;
pub mod v4;
pub mod v6;

use crate::ra::domain_names::{MAX_LABEL_LENGTH, MAX_NAME_LENGTH, escape_label};
use std::net::IpAddr;

pub use dhcproto::error::EncodeError;

/// Addresses of `N` bytes each that a host can have, up to `limit`.
fn addresses<const N: usize>(bytes: &[u8], limit: usize) -> Vec<IpAddr>
where
    IpAddr: From<[u8; N]>,
{
    let all = bytes.as_chunks::<N>().0.iter().map(|octets| IpAddr::from(*octets));
    let usable =
        |address: &IpAddr| !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    all.filter(usable).take(limit).collect()
}

/// The names of a search list, which may point back into it (RFC 3397 2; DHCPv6 does not, RFC 8415 10). What comes
/// after one that makes no sense is lost.
fn search_list(bytes: &[u8], limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while names.len() < limit
        && at < bytes.len()
        && let Some((name, next)) = name_at(bytes, at)
    {
        names.extend((!name.is_empty()).then_some(name));
        at = next;
    }
    names
}

/// The name at `begin`, and where the next one begins. A pointer leads back, so that there is an end.
fn name_at(bytes: &[u8], begin: usize) -> Option<(String, usize)> {
    const POINTER: u8 = 0xc0;
    let mut labels: Vec<String> = Vec::new();
    let (mut at, mut next, mut length, mut before) = (begin, None, 0, begin);
    loop {
        let first = *bytes.get(at)?;
        if first == 0 {
            return Some((labels.join("."), next.unwrap_or(at + 1)));
        }
        if first & POINTER == POINTER {
            let target = usize::from(u16::from_be_bytes([first & !POINTER, *bytes.get(at + 1)?]));
            next.get_or_insert(at + 2);
            if target >= before {
                return None;
            }
            (at, before) = (target, target);
            continue;
        }
        if first > MAX_LABEL_LENGTH {
            return None;
        }
        length += usize::from(first) + 1;
        if length >= MAX_NAME_LENGTH {
            return None;
        }
        labels.push(escape_label(bytes.get(at + 1..=at + usize::from(first))?));
        at += usize::from(first) + 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_search_list_may_point_back() {
        // RFC 3397 2: eng.apple.com, marketing.apple.com.
        let list = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04";
        assert_eq!(search_list(list, 9), ["eng.apple.com", "marketing.apple.com"]);
        assert_eq!(search_list(list, 1), ["eng.apple.com"]);
        assert_eq!(search_list(b"\x01a\x00\xc0\x03\x01b\x00", 9), ["a"], "it points at itself");
        assert_eq!(search_list(b"\x01a\xc0\x00", 9), [""; 0], "round and round");
        assert_eq!(search_list(b"\x01a\x00\xc0\x40", 9), ["a"], "forward");
        assert_eq!(search_list(b"\x01a\x00\x05b", 9), ["a"]);
    }

    proptest! {
        #[test]
        fn any_search_list_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(search_list(&bytes, 64).len() <= 64);
        }
    }
}
