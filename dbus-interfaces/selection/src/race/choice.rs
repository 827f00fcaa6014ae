//! Which address is tried next.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::policy::Rank;
use super::{Domain, Family};
use crate::addresses::{Destination, DestinationRule, compare_destinations, rank_sources};

/// After so many addresses of a PvD and family the PvDs in reserve have their turn too: somebody who publishes
/// a long list of dead addresses does not keep the race away from them.
const BEFORE_RESERVE: u32 = 4;

/// An address to be tried in a PvD.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) domain: usize,
    pub(super) interface: String,
    pub(super) rank: Rank,
    pub(super) family: Family,
    pub(super) address: IpAddr,
    /// Its place in the answer.
    place: usize,
    /// The address with the source that it would have in that PvD.
    destination: Destination,
}

impl Entry {
    pub(super) fn new(domain: usize, of: &Domain, rank: Rank, place: usize, address: IpAddr) -> Self {
        let best = rank_sources(address, of.sources.iter().copied());
        let source = best.first().map(|best| best.candidate);
        Self {
            domain,
            interface: of.interface.clone(),
            rank,
            family: Family::of(address),
            address,
            place,
            destination: Destination { address, source },
        }
    }

    /// Whether RFC 6724 has nothing against it.
    pub(super) fn is_suited(&self) -> bool {
        self.destination.is_suited()
    }
}

/// What was tried so far.
#[derive(Debug, Default)]
pub(super) struct Tried {
    last_family: Option<Family>,
    by_interface: BTreeMap<String, u32>,
    by_domain: BTreeMap<(usize, Family), u32>,
}

impl Tried {
    pub(super) fn note(&mut self, entry: &Entry) {
        self.last_family = Some(entry.family);
        *self.by_interface.entry(entry.interface.clone()).or_default() += 1;
        *self.by_domain.entry((entry.domain, entry.family)).or_default() += 1;
    }

    fn of_interface(&self, entry: &Entry) -> u32 {
        self.by_interface.get(&entry.interface).copied().unwrap_or(0)
    }

    fn of_domain(&self, entry: &Entry) -> u32 {
        self.by_domain.get(&(entry.domain, entry.family)).copied().unwrap_or(0)
    }
}

/// The place in `waiting` of the address to be tried next.
pub(super) fn next(waiting: &[Entry], tried: &Tried) -> Option<usize> {
    let compare = |a: &usize, b: &usize| compare(&waiting[*a], &waiting[*b], tried);
    (0..waiting.len()).min_by(compare)
}

/// `Less`: `a` is to be tried first.
fn compare(a: &Entry, b: &Entry, tried: &Tried) -> Ordering {
    let turn = |entry: &Entry| (tried.of_domain(entry) / BEFORE_RESERVE, entry.rank.tier());
    // Section 4: the families take turns (First Address Family Count is 1).
    let same_family = |entry: &Entry| tried.last_family == Some(entry.family);
    let worn = |entry: &Entry| (tried.of_interface(entry), tried.of_domain(entry));
    turn(a)
        .cmp(&turn(b))
        .then_with(|| same_family(a).cmp(&same_family(b)))
        .then_with(|| worn(a).cmp(&worn(b)))
        .then_with(|| a.rank.preference().cmp(&b.rank.preference()))
        .then_with(|| suitability(a, b))
        .then_with(|| a.rank.order().cmp(&b.rank.order()))
        .then_with(|| (a.place, a.address).cmp(&(b.place, b.address)))
}

/// RFC 6724 section 6 over PvDs. Its rule 9 compares leading bits, which between PvDs says nothing.
fn suitability(a: &Entry, b: &Entry) -> Ordering {
    match compare_destinations(&a.destination, &b.destination) {
        (_, DestinationRule::LongestPrefix | DestinationRule::GivenOrder) => Ordering::Equal,
        (ordering, _) => ordering,
    }
}
