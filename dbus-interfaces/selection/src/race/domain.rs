//! A provisioning domain as a race looks at it.

use super::Family;
use crate::addresses::Candidate;

/// A provisioning domain (PvD).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its Id.
    pub id: String,
    /// The name of its interface.
    pub interface: String,
    /// The kind of its interface, a word of the contract (ethernet, wifi, wwan, tunnel ...).
    pub kind: String,
    /// Whether the network named it.
    pub origin: Origin,
    /// The interface is up.
    pub up: bool,
    /// What programs that know nothing of PvDs use.
    pub default: bool,
    /// A captive portal is in the way, as far as is known.
    pub captive: bool,
    /// It says that it leads to no Internet (RFC 8801 `noInternet`).
    pub no_internet: bool,
    /// It says that its name servers know the zone of the name ([`is_in_zone`] of one of its `dnsZones`, RFC 8801).
    pub in_zone: bool,
    /// Its source addresses.
    pub sources: Vec<Candidate>,
}

/// How a PvD came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named by the network (RFC 8801).
    Explicit,
    /// Made up from what a link was configured with.
    Implicit,
}

impl Origin {
    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Implicit => "implicit",
        }
    }
}

/// Whether `name` is `zone` or below it; letter case and a final dot do not matter.
#[must_use]
pub fn is_in_zone(name: &str, zone: &str) -> bool {
    let (name, zone) = (name.strip_suffix('.').unwrap_or(name), zone.strip_suffix('.').unwrap_or(zone));
    let Some(begin) = name.len().checked_sub(zone.len()) else { return false };
    let ends_so = name.as_bytes()[begin..].eq_ignore_ascii_case(zone.as_bytes());
    !zone.is_empty() && ends_so && (begin == 0 || name.as_bytes()[begin - 1] == b'.')
}

impl Domain {
    /// Whether it has source addresses of that family.
    #[must_use]
    pub fn has(&self, family: Family) -> bool {
        self.sources.iter().any(|source| Family::of(source.address) == family)
    }
}
