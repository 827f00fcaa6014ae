//! The dictionaries of Explain.

use zbus::{DeserializeDict, SerializeDict, Type};

use super::AddressState;

/// Options of Explain.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct ExplainOptions {
    /// A source address of the PvD.
    pub source: Option<String>,
}

/// The reply of Explain.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct ExplanationDetails {
    /// The source.
    pub source: Option<String>,
    /// The interface.
    pub device: Option<String>,
    /// Its index.
    pub ifindex: Option<u32>,
    /// The destination of the route that would be taken.
    pub route: Option<String>,
    /// Its router.
    pub router: Option<String>,
    /// The routing table of the PvD, if it has one of its own.
    pub table: Option<u32>,
    /// The firewall mark that leads there.
    pub mark: Option<u32>,
    /// The bits of marks that are the service's.
    pub mark_mask: Option<u32>,
    /// All addresses, those that would be tried first.
    pub candidates: Option<Vec<CandidateDetails>>,
    /// All routes, the best first.
    pub routes: Option<Vec<RouteDetails>>,
    /// Why ConnectToAddress would refuse: the error.
    pub error_name: Option<String>,
    /// Why, in words.
    pub message: Option<String>,
}

/// An address that could be the source.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct CandidateDetails {
    /// Address as text.
    pub address: String,
    /// State.
    pub state: Option<AddressState>,
    /// A temporary address (RFC 8981).
    pub temporary: Option<bool>,
    /// chosen, behind, not-usable, other-family, not-asked-for.
    pub verdict: String,
    /// The source rule of RFC 6724 that decided.
    pub rule: Option<u8>,
    /// For people.
    pub why: Option<String>,
}

/// A route of the PvD.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct RouteDetails {
    /// Prefix as text.
    pub destination: String,
    /// The router; `None` means on-link.
    pub gateway: Option<String>,
    /// low, medium, high.
    pub preference: Option<String>,
    /// chosen, less-specific, behind-on-link, silent, less-preferred, named-later, elsewhere.
    pub verdict: String,
    /// For people.
    pub why: Option<String>,
}
