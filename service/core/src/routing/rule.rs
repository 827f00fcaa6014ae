//! The rules that lead marked packets to their tables.
//!
//! ```text
//! P    not fwmark TAG/TAG-MASK goto P+5     packets of others pass by all that follows
//! P+1  fwmark MARK/MASK oif LINK goto P+3   for a tunnel: what its provisioning domain's sockets send
//! P+2  fwmark MARK/MASK goto P+5            for a tunnel: what carries that
//! P+3  fwmark MARK/MASK lookup MARK         one for each provisioning domain in use
//! P+4  fwmark TAG/TAG-MASK unreachable      what its table does not know, and what has no table any more
//! P+5  nop
//! P+6  from ADDRESS uidrange 0-0 lookup MARK   only where the reverse path filter is strict
//! P+6  from ADDRESS lookup MARK                only if so configured ([`SourceRules::Always`])
//! ```
//!
//! Some of the kernel's tunnels (VXLAN, Geneve, IPsec interfaces) look for the way of the packets that carry others with
//! the mark of what they carry. The table of the tunnel would lead those into the tunnel again, and the kernel drops
//! them. Sockets of the service are always bound to the link, which those packets are not.
//!
//! Rules are looked through for every packet of the machine. The first one is what keeps thousands of provisioning
//! domains from costing anybody else.

use super::{LinkName, Mark, MarkSpace};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The lowest priority number that rules may have: zero is the kernel's own rule for local addresses.
const FIRST: u32 = 1;
/// The highest: the kernel's own rule for the main table is 32766, and those of others before it.
const LAST: u32 = 32_000;

/// A rule of this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Where packets of others go on.
    End,
    /// Packets of this service that found no route end here.
    Refuse,
    /// Packets with this mark look into the table of that number.
    LookUp(Mark),
    /// Packets with this mark that a socket of this tunnel sends go on to the look-up.
    Inside(Mark, LinkName),
    /// All others with this mark carry those, and go where those of others go. To be made after [`Rule::Inside`], and
    /// removed before it.
    Carrier(Mark),
    /// Packets of others go to the end at once.
    Pass,
    /// Where the reverse path filter is strict (rp_filter 1) it looks for the way back to a peer without the
    /// packet's mark, and drops what came by another link than the main table would take. This leads it, and root's
    /// unmarked sockets that are bound to the address (the filter asks as uid 0), to the table of the mark.
    Source(Ipv4Addr, Mark),
    /// Leads all unmarked sockets that are bound to the address, whoever's, to the table of the mark.
    AnySource(IpAddr, Mark),
}

/// Which addresses of provisioning domains in use have rules of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceRules {
    /// IPv4 addresses, where the reverse path filter is strict: for the filter. Sockets that are not the service's
    /// behave as without it, but for those of root that are bound to such an address.
    #[default]
    WhereNeeded,
    /// All but link-local ones, for everybody: a program that binds its socket to an address and knows nothing of
    /// provisioning domains has the routers of that address too.
    Always,
}

impl Rule {
    /// The mark that the rule is for; `None` for those that are for all.
    pub const fn mark(self) -> Option<Mark> {
        match self {
            Self::End | Self::Refuse | Self::Pass => None,
            Self::LookUp(mark)
            | Self::Inside(mark, _)
            | Self::Carrier(mark)
            | Self::Source(_, mark)
            | Self::AnySource(_, mark) => Some(mark),
        }
    }
}

/// How rules are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The bits of marks.
    pub space: MarkSpace,
    /// Which addresses have rules.
    pub sources: SourceRules,
    priority: u32,
}

/// A priority that rules cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPriority(pub u32);

impl Layout {
    /// Rules for marks of `space`, the first one at `priority`.
    ///
    /// # Errors
    /// The rules would stand before the kernel's own for local addresses, or behind its main table.
    pub const fn new(space: MarkSpace, priority: u32) -> Result<Self, BadPriority> {
        if priority < FIRST || priority > LAST {
            return Err(BadPriority(priority));
        }
        Ok(Self { space, sources: SourceRules::WhereNeeded, priority })
    }

    /// The same with other rules for sources.
    #[must_use]
    pub const fn with_sources(self, sources: SourceRules) -> Self {
        Self { sources, ..self }
    }

    /// The rules that stand as soon as any provisioning domain is in use, in the order to make them.
    pub const FRAME: [Rule; 3] = [Rule::End, Rule::Refuse, Rule::Pass];

    /// The priority of `rule`.
    pub const fn priority(&self, rule: Rule) -> u32 {
        self.priority
            + match rule {
                Rule::Pass => 0,
                Rule::Inside(..) => 1,
                Rule::Carrier(_) => 2,
                Rule::LookUp(_) => 3,
                Rule::Refuse => 4,
                Rule::End => 5,
                Rule::Source(..) | Rule::AnySource(..) => 6,
            }
    }
}

impl Default for Layout {
    /// Before everything that commonly has rules (VPNs from 5,000 on, VRFs at 1,000).
    fn default() -> Self {
        Self { space: MarkSpace::default(), sources: SourceRules::default(), priority: 700 }
    }
}

impl std::error::Error for BadPriority {}

impl fmt::Display for BadPriority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rule-priority is {}: give a number from {FIRST} to {LAST}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_tunnel_is_complete_before_what_carries_it_passes() {
        let mark = Mark(0x4d00_0001);
        let inside = Rule::Inside(mark, LinkName::new("vpn0").unwrap());
        assert!(Rule::LookUp(mark) < inside && inside < Rule::Carrier(mark), "the order of making them");
    }

    #[test]
    fn packets_meet_the_rules_in_this_order() {
        let layout = Layout::default();
        let (mark, address) = (Mark(0x4d00_0001), Ipv4Addr::new(192, 0, 2, 1));
        let inside = Rule::Inside(mark, LinkName::new("vpn0").unwrap());
        let order = [
            Rule::Pass,
            inside,
            Rule::Carrier(mark),
            Rule::LookUp(mark),
            Rule::Refuse,
            Rule::End,
            Rule::Source(address, mark),
        ];
        let priorities = order.map(|rule| layout.priority(rule));
        assert!(priorities.is_sorted_by(|one, next| one < next), "{priorities:?}");
    }

    #[test]
    fn rules_stand_between_those_of_the_kernel() {
        let space = MarkSpace::default();
        assert_eq!(Layout::new(space, 0), Err(BadPriority(0)));
        assert!(Layout::new(space, 1).is_ok());
        assert!(Layout::new(space, 32_000).is_ok());
        assert_eq!(Layout::new(space, 32_001), Err(BadPriority(32_001)));
    }
}
