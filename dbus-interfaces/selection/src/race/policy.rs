//! What the caller wants of provisioning domains.

use std::str::FromStr;

use super::{Domain, Exclusion, Family, Origin};

/// Which provisioning domains (PvDs) to use, and which first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Only PvDs that one of these names; all when empty.
    pub require: Vec<Selector>,
    /// These get the first attempt, in this order; after it, every PvD has its turn.
    pub prefer: Vec<Selector>,
    /// These are in reserve: only when the others have had their chance. It wins over `prefer`.
    pub avoid: Vec<Selector>,
    /// What to do with PvDs that have a captive portal in the way.
    pub captive: Reserve,
    /// What to do with PvDs that say that they lead to no Internet. Those that say that they lead to the name are not
    /// put last for that.
    pub no_internet: Reserve,
}

/// What to do with PvDs that will probably lead nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reserve {
    /// Use them when all others, those to avoid among them, have had their chance.
    #[default]
    Last,
    /// Never use them.
    Never,
    /// Use them like any other.
    Equal,
}

/// Names PvDs, by one of their properties.
///
/// As text: `interface:eth0`, `kind:wifi`, `origin:explicit`, or `id:home.example`; anything else is an Id, so
/// that `home.example` and `implicit:eth0:ipv4` need no prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The PvD of this Id (letter case and a final dot do not matter).
    Id(String),
    /// All on the interface of this name.
    Interface(String),
    /// All on interfaces of this kind, a word of the contract.
    Kind(String),
    /// All of this origin.
    Origin(Origin),
}

/// A text that names no PvDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectorError {
    /// Nothing stands behind the prefix, or nothing at all.
    Empty(String),
    /// The origin is neither of the two.
    Origin(String),
}

/// The place of a PvD among the others: smaller is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    tier: u8,
    preference: usize,
    out_of_zone: bool,
    not_default: bool,
    place: usize,
}

impl Rank {
    /// Regular, to be avoided, or probably leading nowhere.
    pub(super) const fn tier(self) -> u8 {
        self.tier
    }

    /// What is worth waiting for: everything but the order in which PvDs were given.
    pub(super) const fn preference(self) -> (u8, usize, bool) {
        (self.tier, self.preference, self.out_of_zone)
    }

    /// Between PvDs that are equal otherwise.
    pub(super) const fn order(self) -> (bool, usize) {
        (self.not_default, self.place)
    }
}

impl Policy {
    /// The rank of a PvD, or why it does not take part.
    pub(super) fn judge(
        &self,
        domain: &Domain,
        place: usize,
        families: &[Family],
    ) -> Result<Rank, Exclusion> {
        if !self.require.is_empty() && !self.require.iter().any(|selector| selector.names(domain)) {
            return Err(Exclusion::NotRequired);
        }
        if !domain.up {
            return Err(Exclusion::Down);
        }
        if !families.iter().any(|family| domain.has(*family)) {
            return Err(Exclusion::NoSource);
        }
        let mut tier = u8::from(self.avoid.iter().any(|selector| selector.names(domain)));
        for (applies, what, why) in [
            (domain.captive, self.captive, Exclusion::Captive),
            (domain.no_internet, self.no_internet, Exclusion::NoInternet),
        ] {
            match (applies, what) {
                (true, Reserve::Never) => return Err(why),
                (true, Reserve::Last) if domain.in_zone && why == Exclusion::NoInternet => {}
                (true, Reserve::Last) => tier = 2,
                (true, Reserve::Equal) | (false, _) => {}
            }
        }
        let preferred = self.prefer.iter().position(|selector| selector.names(domain));
        let preference = preferred.unwrap_or(self.prefer.len());
        let (out_of_zone, not_default) = (!domain.in_zone, !domain.default);
        Ok(Rank { tier, preference, out_of_zone, not_default, place })
    }
}

impl Selector {
    /// Whether it names this PvD.
    #[must_use]
    pub fn names(&self, domain: &Domain) -> bool {
        match self {
            Self::Id(id) => id.strip_suffix('.').unwrap_or(id).eq_ignore_ascii_case(&domain.id),
            Self::Interface(name) => *name == domain.interface,
            Self::Kind(kind) => *kind == domain.kind,
            Self::Origin(origin) => *origin == domain.origin,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let (prefix, rest) = text.split_once(':').unwrap_or(("", text));
        let known = ["id", "interface", "kind", "origin"].contains(&prefix);
        let value = if known { rest } else { text };
        if value.is_empty() {
            return Err(SelectorError::Empty(text.to_owned()));
        }
        match (prefix, value) {
            ("interface", name) => Ok(Self::Interface(name.to_owned())),
            ("kind", kind) => Ok(Self::Kind(kind.to_owned())),
            ("origin", "explicit") => Ok(Self::Origin(Origin::Explicit)),
            ("origin", "implicit") => Ok(Self::Origin(Origin::Implicit)),
            ("origin", other) => Err(SelectorError::Origin(other.to_owned())),
            (_, id) => Ok(Self::Id(id.to_owned())),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(out, "id:{id}"),
            Self::Interface(name) => write!(out, "interface:{name}"),
            Self::Kind(kind) => write!(out, "kind:{kind}"),
            Self::Origin(origin) => write!(out, "origin:{}", origin.word()),
        }
    }
}

impl std::error::Error for SelectorError {}

impl std::fmt::Display for SelectorError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty(text) => write!(
                out,
                "{text:?} names no provisioning domain: an Id, interface:NAME, kind:KIND or origin:ORIGIN would"
            ),
            Self::Origin(word) => write!(out, "origin {word:?} is neither explicit nor implicit"),
        }
    }
}
