//! Prefixes that are advertised no more while the kernel still has addresses made from them.
//!
//! A router cannot end an address at once: the kernel keeps one for up to two hours more (RFC 4862 5.5.3 e), and it is
//! a moment late when both end together. Until then such a prefix says whose the address is (rule 3), and nothing else:
//! a provisioning domain exists for as long as something is advertised for it (rule 5).

use super::{AddressFact, Advertiser, RouterFacts};
use crate::BootTime;
use crate::configuration::Prefix;
use crate::event::{Address, AddressKey};
use litemap::LiteMap;
use std::collections::BTreeMap;

/// A prefix that was advertised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Flag A: hosts made addresses in it themselves (RFC 4862).
    pub(super) autonomous: bool,
    /// Until when it was advertised here; `None` when only its end was.
    pub(super) held_until: Option<BootTime>,
}

impl Ended {
    /// Whether a host made `address` from `prefix`. Not every kernel, and no client in its place, says where an
    /// address comes from.
    pub(super) fn made(&self, prefix: &Prefix, address: &Address) -> bool {
        let made = address.from_router_advertisement || (self.autonomous && !address.permanent);
        made && address.key.prefix_length == prefix.length && prefix.covers(address.key.address)
    }
}

/// Whether what can be told of where an address comes from is the same in both.
pub(super) fn same_origin(one: &Address, other: &Address) -> bool {
    (one.permanent, one.from_router_advertisement) == (other.permanent, other.from_router_advertisement)
}

/// The addresses that the kernel has on a link. There is no more than one prefix for each that was made from it, which
/// bounds what is kept here.
#[derive(Clone, Copy)]
pub(super) struct OwnAddresses<'a>(pub(super) &'a LiteMap<AddressKey, AddressFact>);

impl OwnAddresses<'_> {
    /// Whether one was made from `prefix`.
    pub(super) fn need(self, prefix: &Prefix, ended: &Ended) -> bool {
        self.0.values().any(|fact| ended.made(prefix, &fact.address))
    }
}

/// Leaves each ended prefix to those that have more to say of it: who advertises it, or advertised it for longest. Two
/// that only end it over and over take it neither from each other nor from who did advertise it.
pub(super) fn settle(routers: &mut BTreeMap<Advertiser, RouterFacts>) {
    if routers.values().all(|facts| facts.ended().is_empty()) {
        return;
    }
    let mut lost = Vec::new();
    for (advertiser, facts) in &*routers {
        let others = || routers.iter().filter(|(other, _)| *other != advertiser).map(|(_, facts)| facts);
        for (prefix, ended) in facts.ended() {
            if others().any(|other| other.outlasts(prefix, ended)) {
                lost.push((advertiser.clone(), *prefix));
            }
        }
    }
    for (advertiser, prefix) in lost {
        if let Some(facts) = routers.get_mut(&advertiser) {
            facts.forget_ended(&prefix);
        }
    }
}
