//! BindSocket: the caller's own socket becomes one of a provisioning domain.
//!
//! Not a message of the draft, which has the service make the socket (3.5.19). A socket of the caller's own keeps
//! what the kernel notes of its maker (user, cgroup, security label), and may be of UDP or listen.

use super::connect::{check_apart, check_destination, check_link, check_way, scoped};
use super::{BadSocket, BadSource, Invalid, Refusal, Unreachable, find, sources};
use crate::address_selection::rank_unaimed;
use crate::configuration::AddressFamily;
use crate::event::Ifindex;
use crate::pvd::{Pvd, PvdAddress, Serial};
use crate::snapshot::Snapshot;
use std::net::{IpAddr, SocketAddr};

/// What a caller wants of its socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindRequest {
    /// The source, when the caller cares.
    pub source: Option<IpAddr>,
    /// The destination that the source is to be chosen for; nothing is sent.
    pub destination: Option<IpAddr>,
    /// The port of this end; 0 leaves it to the kernel.
    pub local_port: u16,
}

/// What the kernel tells of a caller's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerSocket {
    /// SO_DOMAIN; `None` for everything that is not of the Internet.
    pub family: Option<AddressFamily>,
    /// SO_TYPE and SO_PROTOCOL; `None` for everything that cannot be bound here.
    pub kind: Option<SocketKind>,
    /// Where it is bound, if it is.
    pub local: Option<SocketAddr>,
    /// It has a peer, or is about to.
    pub connected: bool,
    /// SO_ACCEPTCONN.
    pub listening: bool,
    /// SO_BINDTOIFINDEX; 0 is none.
    pub device: Ifindex,
    /// SO_MARK.
    pub mark: u32,
    /// SO_NETNS_COOKIE is the service's own.
    pub in_own_namespace: bool,
}

/// The sockets that can be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// RFC 9293.
    Tcp,
    /// RFC 8684.
    Mptcp,
    /// RFC 768.
    Udp,
}

/// What this host says of sockets in general.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRules {
    /// Ports below are for the privileged (net.ipv4.ip_unprivileged_port_start).
    pub first_unprivileged_port: u16,
    /// The bits of SO_MARK that are the service's; 0 when it marks nothing.
    pub mark_mask: u32,
}

/// Everything that binding needs. All of it is of one provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindPlan {
    /// The provisioning domain.
    pub pvd: Serial,
    /// Its interface.
    pub ifindex: Ifindex,
    /// That interface's name, escaped.
    pub device: String,
    /// The addresses to try, best first, with the port; a link-local one carries the interface as its scope. Never
    /// empty.
    pub sources: Vec<SocketAddr>,
    /// The port is to be chosen when the socket connects or listens: chosen now, ports would run out as soon as one
    /// source had used each of them once. Not so for UDP, where a port serves for all peers, and where programs tell
    /// others of theirs before they send anything.
    pub late_port: bool,
    /// The bits of the socket's mark that are not the service's. They stay.
    pub foreign_mark: u32,
}

/// How to bind `socket` inside `pvd` as `request` says.
///
/// # Errors
/// Every reason that can be seen before the socket is touched, [`Refusal`].
pub fn bind(
    snapshot: &Snapshot,
    pvd: Serial,
    socket: &CallerSocket,
    request: &BindRequest,
    rules: SocketRules,
) -> Result<BindPlan, Refusal> {
    let pvd = find(snapshot, pvd)?;
    let (family, kind) = check_socket(pvd, socket, rules)?;
    check_port(request.local_port, rules)?;
    if let Some(destination) = request.destination {
        if AddressFamily::of(destination) != family {
            return Err(Refusal::InvalidArgs(Invalid::OtherFamily(destination, family)));
        }
        check_destination(snapshot, pvd, destination)?;
    }
    let sources = choose_sources(pvd, family, request)?;
    check_link(pvd)?;
    match request.destination {
        Some(destination) => check_way(snapshot, pvd, destination)?,
        None => check_apart(snapshot, pvd, family)?,
    }
    let device = snapshot.interface(pvd.interface).map(|interface| interface.name.clone());
    Ok(BindPlan {
        pvd: pvd.serial,
        ifindex: pvd.ifindex,
        device: device.unwrap_or_default(),
        sources: sources.into_iter().map(|source| scoped(source, request.local_port, pvd.ifindex)).collect(),
        late_port: request.local_port == 0 && kind != SocketKind::Udp,
        foreign_mark: socket.mark & !rules.mark_mask,
    })
}

/// The socket must be fresh, so that nothing of another network is in it, and nothing of the caller's is undone.
fn check_socket(
    pvd: &Pvd,
    socket: &CallerSocket,
    rules: SocketRules,
) -> Result<(AddressFamily, SocketKind), Refusal> {
    // First: of a socket in another namespace nothing else means what it says.
    if !socket.in_own_namespace {
        return Err(Refusal::ForeignNamespace);
    }
    let bad = match (socket.family, socket.kind) {
        (None, _) => BadSocket::NotInternet,
        (Some(_), None) => BadSocket::Protocol,
        _ if socket.listening => BadSocket::Listening,
        _ if socket.connected => BadSocket::Connected,
        (Some(family), Some(kind)) => match socket.local {
            Some(local) => BadSocket::Bound(local),
            None if socket.device != 0 => BadSocket::OnDevice(socket.device),
            None if socket.mark & rules.mark_mask != 0 => BadSocket::Marked(socket.mark, rules.mark_mask),
            None if !pvd.family.includes(family) => BadSocket::OtherFamily(pvd.id.clone(), family),
            None => return Ok((family, kind)),
        },
    };
    Err(Refusal::SocketNotUsable(bad))
}

/// The service has a right to low ports that its callers need not have.
fn check_port(port: u16, rules: SocketRules) -> Result<(), Refusal> {
    let first = rules.first_unprivileged_port;
    if port != 0 && port < first {
        return Err(Refusal::InvalidArgs(Invalid::PrivilegedPort { port, first }));
    }
    Ok(())
}

fn choose_sources(pvd: &Pvd, family: AddressFamily, request: &BindRequest) -> Result<Vec<IpAddr>, Refusal> {
    if let Some(source) = request.source {
        let why = match pvd.addresses.iter().find(|own| own.address == source) {
            None => BadSource::NotOfPvd(source, pvd.id.clone()),
            Some(_) if AddressFamily::of(source) != family => BadSource::NotOfSocket(source, family),
            Some(own) if !own.usable() => BadSource::NotUsable(source),
            Some(_) => return Ok(vec![source]),
        };
        return Err(Refusal::SourceNotValid(why));
    }
    let sources = match request.destination {
        Some(destination) => sources(pvd, destination),
        None => {
            let of_family = |own: &&PvdAddress| AddressFamily::of(own.address) == family;
            let candidates = pvd.addresses.iter().filter(of_family).filter_map(PvdAddress::candidate);
            rank_unaimed(candidates).into_iter().map(|candidate| candidate.address).collect()
        }
    };
    if sources.is_empty() {
        return Err(Refusal::NetworkUnreachable(Unreachable::NoUsableAddress(pvd.id.clone(), family)));
    }
    Ok(sources)
}
