//! Plans: a request and the provisioning domain that it names become everything that carrying it out needs, or a
//! refusal that says what was wrong.
//!
//! A plan is made from a frozen [`Snapshot`](crate::snapshot::Snapshot) and holds addresses, servers and an interface
//! of one provisioning domain only. That nothing of another one is used is a property of this module (and of its
//! tests), not a hope about sockets.

mod bind;
mod connect;
mod dns_servers;
mod explain;
pub mod fetch;
mod name;
mod neighbours;
mod nis_servers;
mod outcome;
mod race;
mod refusal;
mod systems;
mod translate;

#[cfg(test)]
mod tests;

pub use bind::{BindPlan, BindRequest, CallerSocket, SocketKind, SocketRules, bind};
pub use connect::{ConnectPlan, ConnectRequest, Protocol, connect, connect_behind, nat64_question};
pub use dns_servers::{DnsProtocol, DnsServer, Encryption, NamedResolvers, can_be_asked};
pub use explain::{
    ExplainRequest, ExplainedRoute, ExplainedSource, Explanation, RouteVerdict, SourceVerdict, explain,
};
pub use neighbours::{Group, LinkPlan, LinkQuestion};
pub use nis_servers::{NisPlan, NisServer};
pub use outcome::{
    Answer, AnswerSource, BindFailure, ConnectFailure, ConnectFailureReason, TranslationEnd,
    TranslationFailure, Transport,
};
pub use race::{RaceRequest, contenders};
pub use refusal::{
    BadDestination, BadName, BadSocket, BadSource, Invalid, NotSupported, Refusal, Unreachable,
    UntranslatableName,
};
pub use systems::{System, Systems};
pub use translate::{
    DnsPlan, Families, Lookup, Nat64, TranslatePlan, TranslateRequest, Translation, translate,
};

use crate::pvd::{Pvd, PvdAddress, Serial};
use crate::snapshot::Snapshot;
use std::net::IpAddr;
use std::sync::Arc;

/// The longest time that a request may take, in milliseconds.
pub const LONGEST_TIMEOUT_MS: u32 = 120_000;
/// How long connecting may take when the caller does not say, in milliseconds.
pub const CONNECT_TIMEOUT_MS: u32 = 20_000;
/// How long a translation may take when the caller does not say, in milliseconds.
pub const TRANSLATE_TIMEOUT_MS: u32 = 10_000;
/// The longest name that a caller may give, in bytes, before anything is made of it.
pub const NAME_LENGTH: usize = 1024;
/// The most addresses that one translation gives.
pub const ADDRESSES_PER_TRANSLATION: usize = 64;

/// Answers in the order to try them (RFC 6724 6), with the addresses of `pvd` as the only sources.
pub fn best_first(pvd: &Pvd, answers: Vec<Answer>) -> Vec<Answer> {
    use crate::address_selection::{Candidate, order_destinations};
    let candidates: Vec<Candidate> = pvd.addresses.iter().filter_map(PvdAddress::candidate).collect();
    let addresses: Vec<IpAddr> = answers.iter().map(|answer| answer.address).collect();
    let order: Vec<IpAddr> =
        order_destinations(&addresses, &candidates).into_iter().map(|ranked| ranked.address).collect();
    let mut answers = answers;
    answers.sort_by_key(|answer| order.iter().position(|address| *address == answer.address));
    answers
}

fn find(snapshot: &Snapshot, serial: Serial) -> Result<&Arc<Pvd>, Refusal> {
    snapshot.pvd(serial).ok_or(Refusal::PvdGone(serial))
}

fn check_timeout(timeout_ms: u32) -> Result<(), Refusal> {
    if (1..=LONGEST_TIMEOUT_MS).contains(&timeout_ms) {
        Ok(())
    } else {
        Err(Refusal::InvalidArgs(Invalid::Timeout(timeout_ms)))
    }
}

/// The usable addresses of `pvd` for `destination`, best first (RFC 6724 5).
fn sources(pvd: &Pvd, destination: IpAddr) -> Vec<IpAddr> {
    use crate::address_selection::rank_sources;
    let candidates = pvd.addresses.iter().filter_map(PvdAddress::candidate);
    rank_sources(destination, candidates).into_iter().map(|ranked| ranked.candidate.address).collect()
}
