//! Why a connection leaves as it does: which source, by which rule, through which router, and why no other.
//!
//! Made of what [`connect`](super::connect()) plans with and of the [`Table`] that packets look into, so that they
//! cannot disagree.

use super::connect::behind_nat64;
use super::{CONNECT_TIMEOUT_MS, ConnectRequest, Protocol, Refusal, connect, find};
use crate::address_selection::{SourceRule, rank_sources};
use crate::configuration::{AddressFamily, Preference, Prefix, RouteKey};
use crate::event::Ifindex;
use crate::pvd::{Pvd, PvdAddress, Serial};
use crate::routing::{Table, TableRoute};
use crate::snapshot::Snapshot;
use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;

/// Any port: none is better than another.
const SOME_PORT: u16 = 1;

/// What is to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainRequest {
    /// Where to.
    pub address: IpAddr,
    /// From where, when the caller cares.
    pub source: Option<IpAddr>,
}

/// How a connection to an address would leave a provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Why there would be none at all.
    pub refusal: Option<Refusal>,
    /// The interface.
    pub ifindex: Ifindex,
    /// Its name, escaped.
    pub device: String,
    /// All addresses of the provisioning domain: those that would be tried, in that order, then the others.
    pub sources: Vec<ExplainedSource>,
    /// All routes of the provisioning domain: those that lead there, best first, then the others.
    pub routes: Vec<ExplainedRoute>,
}

/// An address and its part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedSource {
    /// The address.
    pub address: PvdAddress,
    /// Its part.
    pub verdict: SourceVerdict,
}

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceVerdict {
    /// It is the source, and there is no other to choose from.
    Only,
    /// It is the source, by this rule before the next one.
    Chosen(SourceRule),
    /// It would be tried when those before it fail; this rule put the one before it there.
    Behind(SourceRule),
    /// It may not be used: duplicate address detection has not ended, or has found another host.
    NotUsable,
    /// It is of the other family.
    OtherFamily,
    /// Another one was asked for.
    NotAskedFor,
}

/// A route and its part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedRoute {
    /// Where it leads to.
    pub destination: Prefix,
    /// The router; `None` means on-link.
    pub gateway: Option<IpAddr>,
    /// Its preference.
    pub preference: Preference,
    /// Its part.
    pub verdict: RouteVerdict,
}

/// What becomes of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteVerdict {
    /// Packets take it.
    Chosen,
    /// It leads there too, but a longer prefix counts more (RFC 4191 3.1).
    LessSpecific,
    /// It leads there too, but the destination is on the link itself, where no router is needed.
    BehindOnLink,
    /// It leads there too, but its router does not answer.
    Silent,
    /// It leads there too, but the network prefers another router (RFC 4191 2.1).
    LessPreferred,
    /// It leads there too; packets take it when the router before it does not answer.
    NamedLater,
    /// It leads elsewhere.
    Elsewhere,
}

/// Explains `request` in `pvd`, where the IPv4 routers in `silent` do not answer.
///
/// # Errors
/// The provisioning domain is gone. Every other refusal is part of the explanation.
pub fn explain(
    snapshot: &Snapshot,
    pvd: Serial,
    request: ExplainRequest,
    silent: &[IpAddr],
) -> Result<Explanation, Refusal> {
    let pvd = find(snapshot, pvd)?;
    let planned = connect(
        snapshot,
        pvd.serial,
        &ConnectRequest {
            address: request.address,
            port: SOME_PORT,
            source: request.source,
            timeout_ms: CONNECT_TIMEOUT_MS,
            protocol: Protocol::Tcp,
        },
    );
    // What packets are really sent to.
    let request = ExplainRequest { address: behind_nat64(pvd, request.address), ..request };
    let device = snapshot.interface(pvd.interface).map(|interface| interface.name.clone());
    Ok(Explanation {
        refusal: planned.err(),
        ifindex: pvd.ifindex,
        device: device.unwrap_or_default(),
        sources: explain_sources(pvd, request),
        routes: explain_routes(pvd, request.address, silent),
    })
}

impl Explanation {
    /// The source.
    pub fn source(&self) -> Option<&ExplainedSource> {
        self.sources
            .first()
            .filter(|source| matches!(source.verdict, SourceVerdict::Only | SourceVerdict::Chosen(_)))
    }

    /// The route.
    pub fn route(&self) -> Option<&ExplainedRoute> {
        self.routes.first().filter(|route| route.verdict == RouteVerdict::Chosen)
    }
}

fn explain_sources(pvd: &Pvd, request: ExplainRequest) -> Vec<ExplainedSource> {
    let asked_for = |own: &&PvdAddress| request.source.is_none_or(|source| source == own.address);
    let candidates = pvd.addresses.iter().filter(asked_for).filter_map(PvdAddress::candidate);
    let ranked = rank_sources(request.address, candidates);
    let mut before = None;
    let mut explained = Vec::new();
    for (place, source) in ranked.iter().enumerate() {
        let verdict = match (place, source.before_next_by, before) {
            (0, Some(rule), _) => SourceVerdict::Chosen(rule),
            (_, _, Some(rule)) => SourceVerdict::Behind(rule),
            (_, _, None) => SourceVerdict::Only,
        };
        before = source.before_next_by;
        let address = pvd.addresses.iter().find(|own| own.address == source.candidate.address);
        explained.extend(address.map(|address| ExplainedSource { address: address.clone(), verdict }));
    }
    let others = pvd
        .addresses
        .iter()
        .filter(|own| !ranked.iter().any(|source| source.candidate.address == own.address));
    explained.extend(others.map(|own| {
        let verdict = if AddressFamily::of(own.address) != AddressFamily::of(request.address) {
            SourceVerdict::OtherFamily
        } else if own.usable() {
            SourceVerdict::NotAskedFor
        } else {
            SourceVerdict::NotUsable
        };
        ExplainedSource { address: own.clone(), verdict }
    }));
    explained
}

/// All routes of the table that packets look into, in the order in which it is looked through.
fn explain_routes(pvd: &Pvd, destination: IpAddr, silent: &[IpAddr]) -> Vec<ExplainedRoute> {
    let table = Table::of_answering(pvd, silent);
    let leads_there = |route: &TableRoute| route.destination.covers(destination);
    let mut routes = table.routes().to_vec();
    // Stable: of routes with one metric the one that is installed first stays first.
    routes.sort_by_key(|route| (!leads_there(route), Reverse(route.destination.length), route.metric));
    let preference = |route: &TableRoute| {
        let key = RouteKey { destination: route.destination, gateway: route.gateway };
        pvd.used.routes.get(&key).map_or(Preference::Medium, |data| data.preference)
    };
    let best = routes.first().copied();
    let verdict = |place: usize, route: &TableRoute| match best {
        _ if !leads_there(route) => RouteVerdict::Elsewhere,
        _ if place == 0 => RouteVerdict::Chosen,
        Some(best) if best.destination.length > route.destination.length => RouteVerdict::LessSpecific,
        Some(_) if route.gateway.is_some_and(|it| it.is_ipv4() && silent.contains(&it)) => {
            RouteVerdict::Silent
        }
        Some(best) if best.gateway.is_none() => RouteVerdict::BehindOnLink,
        Some(best) if preference(&best) > preference(route) => RouteVerdict::LessPreferred,
        Some(_) | None => RouteVerdict::NamedLater,
    };
    let explained = |(place, route): (usize, &TableRoute)| ExplainedRoute {
        destination: route.destination,
        gateway: route.gateway,
        preference: preference(route),
        verdict: verdict(place, route),
    };
    routes.iter().enumerate().map(explained).collect()
}

impl SourceVerdict {
    /// One word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Only | Self::Chosen(_) => "chosen",
            Self::Behind(_) => "behind",
            Self::NotUsable => "not-usable",
            Self::OtherFamily => "other-family",
            Self::NotAskedFor => "not-asked-for",
        }
    }

    /// The rule that decided, if one did.
    pub const fn rule(self) -> Option<SourceRule> {
        match self {
            Self::Chosen(rule) | Self::Behind(rule) => Some(rule),
            Self::Only | Self::NotUsable | Self::OtherFamily | Self::NotAskedFor => None,
        }
    }
}

impl fmt::Display for SourceVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => write!(out, "the only address to choose from"),
            Self::Chosen(rule) => write!(out, "{}", Reason(*rule, "it")),
            Self::Behind(rule) => write!(out, "{}", Reason(*rule, "the one before it")),
            Self::NotUsable => {
                write!(out, "duplicate address detection has not ended, or has found another host")
            }
            Self::OtherFamily => write!(out, "it is not of the destination's family"),
            Self::NotAskedFor => write!(out, "another source was asked for"),
        }
    }
}

/// A rule of RFC 6724 5 in words, and whom it speaks for.
struct Reason(SourceRule, &'static str);

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rule, who) = self;
        match rule {
            SourceRule::SameAddress => write!(out, "{who} is the destination itself"),
            SourceRule::Scope => write!(out, "{who} has the scope that suits the destination's"),
            SourceRule::Deprecated => write!(out, "{who} is preferred, not deprecated"),
            SourceRule::HomeAddress => write!(out, "{who} is a home address"),
            SourceRule::Label => write!(out, "{who} has the destination's label in the policy table"),
            SourceRule::Temporary => write!(out, "{who} is temporary (RFC 8981)"),
            SourceRule::LongestPrefix => {
                write!(out, "{who} has more leading bits in common with the destination")
            }
            SourceRule::SmallerAddress => {
                write!(out, "nothing tells them apart; {who} is the smaller number")
            }
        }?;
        match rule.number() {
            Some(number) => write!(out, " (RFC 6724, source rule {number})"),
            None => Ok(()),
        }
    }
}

impl RouteVerdict {
    /// One word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::LessSpecific => "less-specific",
            Self::BehindOnLink => "behind-on-link",
            Self::Silent => "silent",
            Self::LessPreferred => "less-preferred",
            Self::NamedLater => "named-later",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl fmt::Display for RouteVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Chosen => "it leads there, and none does better",
            Self::LessSpecific => "one for a longer prefix leads there",
            Self::BehindOnLink => "the destination is on the link itself, where no router is needed",
            Self::Silent => "its router does not answer",
            Self::LessPreferred => "the network prefers another router",
            Self::NamedLater => {
                "another router is as good and was named before it; taken when that does not answer"
            }
            Self::Elsewhere => "it does not lead there",
        })
    }
}
