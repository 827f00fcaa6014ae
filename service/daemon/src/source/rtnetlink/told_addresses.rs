//! Which IPv4 addresses each link has: with the last one the kernel takes the link's IPv4 routes away without a word.

use mif_core::event::{AddressKey, Ifindex};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The IPv4 addresses of all links.
#[derive(Clone, Debug)]
pub(super) struct ToldAddresses {
    /// Those of a link ascending, with their prefix lengths.
    by_link: BTreeMap<Ifindex, Vec<(IpAddr, u8)>>,
}

/// What is left on a link when one of its addresses goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Others.
    Some,
    /// No IPv4 address.
    None,
    /// The address had not been told of: who knows.
    Unknown,
}

impl ToldAddresses {
    /// Nothing was told.
    pub(super) const NONE: Self = Self { by_link: BTreeMap::new() };

    /// The link has this address; those of other families are passed over.
    pub(super) fn insert(&mut self, key: &AddressKey) {
        if key.address.is_ipv4() {
            let told = self.by_link.entry(key.ifindex).or_default();
            if let Err(place) = told.binary_search(&value(key)) {
                told.insert(place, value(key));
            }
        }
    }

    /// The link has it no more.
    pub(super) fn remove(&mut self, key: &AddressKey) -> Left {
        let Some(told) = self.by_link.get_mut(&key.ifindex) else { return Left::Unknown };
        let Ok(place) = told.binary_search(&value(key)) else { return Left::Unknown };
        told.remove(place);
        if !told.is_empty() {
            return Left::Some;
        }
        self.by_link.remove(&key.ifindex);
        Left::None
    }

    /// Forgets a link that is gone.
    pub(super) fn remove_link(&mut self, ifindex: Ifindex) {
        self.by_link.remove(&ifindex);
    }
}

const fn value(key: &AddressKey) -> (IpAddr, u8) {
    (key.address, key.prefix_length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(ifindex: Ifindex, address: &str, prefix_length: u8) -> AddressKey {
        AddressKey { ifindex, address: address.parse().unwrap(), prefix_length }
    }

    #[test]
    fn the_last_one_is_told_from_the_others() {
        let mut told = ToldAddresses::NONE;
        for key in [key(1, "192.0.2.1", 24), key(1, "192.0.2.1", 32), key(2, "192.0.2.1", 24)] {
            told.insert(&key);
            told.insert(&key);
        }
        assert_eq!(told.remove(&key(1, "192.0.2.1", 24)), Left::Some);
        assert_eq!(told.remove(&key(1, "192.0.2.1", 24)), Left::Unknown);
        assert_eq!(told.remove(&key(1, "192.0.2.1", 32)), Left::None);
        assert_eq!(told.remove(&key(1, "192.0.2.1", 32)), Left::Unknown);
        told.remove_link(2);
        assert_eq!(told.remove(&key(2, "192.0.2.1", 24)), Left::Unknown);
    }

    #[test]
    fn ipv6_addresses_do_not_count() {
        let mut told = ToldAddresses::NONE;
        told.insert(&key(1, "2001:db8::1", 64));
        assert!(told.by_link.is_empty());
    }
}
