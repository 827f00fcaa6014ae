//! Requests to a network's web servers, inside the provisioning domain that offers them.

use super::{
    Answer, BadDestination, ConnectPlan, ConnectRequest, Encryption, Families, Invalid, Protocol, Refusal,
    System, Systems, TranslatePlan, TranslateRequest, best_first, connect, find, translate,
};
use crate::address_selection::is_link_local;
use crate::fetch::TIMEOUT;
use crate::pvd::Serial;
use crate::snapshot::Snapshot;
use std::net::IpAddr;

/// How to find the addresses of `host`: by the DNS servers of `pvd` and by nothing else; this host's own table is no
/// word of that network.
///
/// # Errors
/// As [`translate`].
pub fn find_server(
    snapshot: &Snapshot,
    pvd: Serial,
    host: &str,
    encryption: Encryption,
) -> Result<TranslatePlan, Refusal> {
    let request = TranslateRequest {
        name: host.to_owned(),
        families: Families::Any,
        timeout_ms: timeout_ms(),
        systems: Some(vec![System::Dns]),
        // Whatever callers may have asked: there is no other way to a web server.
        available: Systems::ALL,
    };
    translate(snapshot, pvd, &request, encryption)
}

/// `answers` in the order to try them.
///
/// # Errors
/// The provisioning domain is gone.
pub fn order(snapshot: &Snapshot, pvd: Serial, answers: Vec<Answer>) -> Result<Vec<IpAddr>, Refusal> {
    let pvd = find(snapshot, pvd)?;
    Ok(best_first(pvd, answers).into_iter().map(|answer| answer.address).collect())
}

/// How to reach a server at `address`. What a network names must lead into that network: not to this host, and to
/// nothing that is only meant for neighbours.
///
/// # Errors
/// As [`connect`], and for link-local addresses.
pub fn reach_server(
    snapshot: &Snapshot,
    pvd: Serial,
    address: IpAddr,
    port: u16,
) -> Result<ConnectPlan, Refusal> {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => is_link_local(v6),
    };
    if link_local {
        return Err(Refusal::InvalidArgs(Invalid::Destination(address, BadDestination::LinkLocal)));
    }
    let request =
        ConnectRequest { address, port, source: None, timeout_ms: timeout_ms(), protocol: Protocol::Tcp };
    connect(snapshot, pvd, &request)
}

fn timeout_ms() -> u32 {
    u32::try_from(TIMEOUT.as_millis()).unwrap_or(u32::MAX)
}
