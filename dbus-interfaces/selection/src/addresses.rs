//! Default address selection of RFC 6724, inside one provisioning domain: which source address suits a destination
//! (section 5), and in which order to try destinations (section 6).
//!
//! Candidate sources are only those that the caller gives: the addresses of one provisioning domain. So source
//! rules 5 (outgoing interface) and 5.5 (the router's own prefix) hold by construction and do not appear here. Every
//! comparison also says which rule decided, so that a choice can be explained.

mod policy;

use policy::{label, precedence, scope};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv6Addr};

/// An address that could be a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length: rule 8 compares no further.
    pub prefix_length: u8,
    /// Past its preferred lifetime (RFC 4862 5.5.4).
    pub deprecated: bool,
    /// An RFC 8981 temporary address.
    pub temporary: bool,
    /// Where the address stands in Mobile IPv6.
    pub mobility: Mobility,
}

/// Where an address stands in Mobile IPv6 (RFC 6275), in ascending order of preference (source rule 4).
///
/// The rule compares a home address with a care-of address and leaves an address that is neither out. Here such an
/// address counts as one at home: otherwise "better than" would run in circles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mobility {
    /// Where the host is, away from home.
    CareOf,
    /// A home address, or no mobility at all: what this service ever sees.
    #[default]
    Home,
    /// Home and care-of address at once: the host is at home.
    AtHome,
}

/// The source rule that made one candidate better than another (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceRule {
    /// Rule 1: it is the destination.
    SameAddress,
    /// Rule 2: its scope suits the destination's.
    Scope,
    /// Rule 3: it is not deprecated.
    Deprecated,
    /// Rule 4: it is a home address.
    HomeAddress,
    /// Rule 6: its label is the destination's.
    Label,
    /// Rule 7: it is temporary.
    Temporary,
    /// Rule 8: it has more leading bits in common with the destination.
    LongestPrefix,
    /// No rule of the RFC: it is the numerically smaller address. Only this makes the choice always the same.
    SmallerAddress,
}

impl SourceRule {
    /// Its number in RFC 6724 section 5; `None` for what the RFC leaves open.
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::SameAddress => Some(1),
            Self::Scope => Some(2),
            Self::Deprecated => Some(3),
            Self::HomeAddress => Some(4),
            Self::Label => Some(6),
            Self::Temporary => Some(7),
            Self::LongestPrefix => Some(8),
            Self::SmallerAddress => None,
        }
    }
}

/// The destination rule that put one destination before another (section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DestinationRule {
    /// Rule 1: it can be reached: there is a source for it.
    Usable,
    /// Rule 2: its source has its scope.
    Scope,
    /// Rule 3: its source is not deprecated.
    Deprecated,
    /// Rule 4: its source is a home address.
    HomeAddress,
    /// Rule 5: its source has its label.
    Label,
    /// Rule 6: it has the higher precedence.
    Precedence,
    /// Rule 8: it has the smaller scope. (Rule 7, native transport, cannot differ inside one interface.)
    SmallerScope,
    /// Rule 9: it has more leading bits in common with its source.
    LongestPrefix,
    /// Rule 10: it was given first.
    GivenOrder,
}

/// A source in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankedSource {
    /// The candidate.
    pub candidate: Candidate,
    /// The rule that put it before the next one; `None` for the last.
    pub before_next_by: Option<SourceRule>,
}

/// A destination in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankedDestination {
    /// Where to.
    pub address: IpAddr,
    /// The source that it would be reached from.
    pub source: Option<IpAddr>,
    /// The rule that put it before the next one; `None` for the last.
    pub before_next_by: Option<DestinationRule>,
}

/// The candidates of the destination's family, best first (section 5). The order in which they are given is of no
/// account.
pub fn rank_sources(
    destination: IpAddr,
    candidates: impl IntoIterator<Item = Candidate>,
) -> Vec<RankedSource> {
    let suits = |candidate: &Candidate| same_family(candidate.address, destination);
    let mut sources: Vec<Candidate> = candidates.into_iter().filter(suits).collect();
    sources.sort_by(|a, b| compare_sources(destination, a, b).0);
    let rule_after = |(index, candidate): (usize, &Candidate)| RankedSource {
        candidate: *candidate,
        before_next_by: sources.get(index + 1).map(|next| compare_sources(destination, candidate, next).1),
    };
    sources.iter().enumerate().map(rule_after).collect()
}

/// The candidates for a socket of which it is not known where it will send to, best first: preferred before
/// deprecated ones, the widest scope first, temporary ones before others.
pub fn rank_unaimed(candidates: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
    let mut sources: Vec<Candidate> = candidates.into_iter().collect();
    sources.sort_by_key(|candidate| {
        let narrowness = std::cmp::Reverse(scope(candidate.address));
        (candidate.deprecated, narrowness, !candidate.temporary, candidate.address)
    });
    sources
}

/// `destinations` in the order to try them, each with its source among `candidates` (section 6).
pub fn order_destinations(destinations: &[IpAddr], candidates: &[Candidate]) -> Vec<RankedDestination> {
    let with_source = |&address: &IpAddr| Destination {
        address,
        source: rank_sources(address, candidates.iter().copied()).first().map(|best| best.candidate),
    };
    let mut pairs: Vec<Destination> = destinations.iter().map(with_source).collect();
    // A stable sort: that is rule 10.
    pairs.sort_by(|a, b| compare_destinations(a, b).0);
    let rule_after = |(index, pair): (usize, &Destination)| RankedDestination {
        address: pair.address,
        source: pair.source.map(|source| source.address),
        before_next_by: pairs.get(index + 1).map(|next| compare_destinations(pair, next).1),
    };
    pairs.iter().enumerate().map(rule_after).collect()
}

/// A destination and the source that section 5 chooses for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Where to.
    pub address: IpAddr,
    /// From where; `None` when there is no source for it.
    pub source: Option<Candidate>,
}

/// `Less` means that `a` is the better source.
fn compare_sources(destination: IpAddr, a: &Candidate, b: &Candidate) -> (Ordering, SourceRule) {
    let scope_rank = |candidate: &Candidate| {
        let (own, wanted) = (scope(candidate.address), scope(destination));
        // Wide enough beats too narrow; of the wide the narrowest, of the narrow the widest.
        if own >= wanted { (0, own - wanted) } else { (1, wanted - own) }
    };
    let same = |candidate: &Candidate| candidate.address != destination;
    let other_label = |candidate: &Candidate| label(candidate.address) != label(destination);
    let bits = |candidate: &Candidate| common_prefix_length(candidate, destination);
    first_difference([
        (same(a).cmp(&same(b)), SourceRule::SameAddress),
        (scope_rank(a).cmp(&scope_rank(b)), SourceRule::Scope),
        (a.deprecated.cmp(&b.deprecated), SourceRule::Deprecated),
        (b.mobility.cmp(&a.mobility), SourceRule::HomeAddress),
        (other_label(a).cmp(&other_label(b)), SourceRule::Label),
        (b.temporary.cmp(&a.temporary), SourceRule::Temporary),
        (bits(b).cmp(&bits(a)), SourceRule::LongestPrefix),
        (a.address.cmp(&b.address), SourceRule::SmallerAddress),
    ])
}

/// `Less` means that `a` is to be tried first (section 6).
pub fn compare_destinations(a: &Destination, b: &Destination) -> (Ordering, DestinationRule) {
    let precedences = precedence(b.address).cmp(&precedence(a.address));
    let scopes = scope(a.address).cmp(&scope(b.address));
    let (Some(from_a), Some(from_b)) = (&a.source, &b.source) else {
        // Rules 2 to 5 and 9 speak of sources, and at least one of the two has none.
        return first_difference([
            (a.source.is_none().cmp(&b.source.is_none()), DestinationRule::Usable),
            (precedences, DestinationRule::Precedence),
            (scopes, DestinationRule::SmallerScope),
            (Ordering::Equal, DestinationRule::GivenOrder),
        ]);
    };
    let other_scope = |pair: &Destination, source: &Candidate| scope(pair.address) != scope(source.address);
    let other_label = |pair: &Destination, source: &Candidate| label(pair.address) != label(source.address);
    let bits = if same_family(a.address, b.address) {
        common_prefix_length(from_b, b.address).cmp(&common_prefix_length(from_a, a.address))
    } else {
        Ordering::Equal
    };
    first_difference([
        (other_scope(a, from_a).cmp(&other_scope(b, from_b)), DestinationRule::Scope),
        (from_a.deprecated.cmp(&from_b.deprecated), DestinationRule::Deprecated),
        (from_b.mobility.cmp(&from_a.mobility), DestinationRule::HomeAddress),
        (other_label(a, from_a).cmp(&other_label(b, from_b)), DestinationRule::Label),
        (precedences, DestinationRule::Precedence),
        (scopes, DestinationRule::SmallerScope),
        (bits, DestinationRule::LongestPrefix),
        (Ordering::Equal, DestinationRule::GivenOrder),
    ])
}

impl Destination {
    /// Whether none of the rules about sources (1, 2, 3 and 5 of section 6) speaks against it.
    #[must_use]
    pub fn is_suited(&self) -> bool {
        self.source.is_some_and(|source| {
            scope(source.address) == scope(self.address)
                && label(source.address) == label(self.address)
                && !source.deprecated
        })
    }
}

/// The first comparison that is not a tie, with its rule; the last one when all are ties.
fn first_difference<Rule: Copy, const N: usize>(steps: [(Ordering, Rule); N]) -> (Ordering, Rule) {
    steps.into_iter().find(|(ordering, _)| ordering.is_ne()).unwrap_or(steps[N - 1])
}

/// The number of leading bits that the two have in common, not counting the interface identifier (section 2.2).
fn common_prefix_length(source: &Candidate, destination: IpAddr) -> u32 {
    let bits = match (source.address, destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
    };
    bits.min(u32::from(source.prefix_length))
}

const fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// Whether `address` is in fe80::/10.
pub const fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests;
