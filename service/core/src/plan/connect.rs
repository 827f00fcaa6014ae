//! Connect to Address and Connect to Address From Address (the draft, 3.5.19 and 3.5.20).

use super::dns_servers::Encryption;
use super::translate::{Families, TranslatePlan, TranslateRequest, translate};
use super::{
    BadDestination, BadSource, Invalid, NotSupported, Refusal, System, Systems, Unreachable, check_timeout,
    find, sources,
};
use crate::address_selection::is_link_local;
use crate::configuration::{AddressFamily, Prefix};
use crate::event::Ifindex;
use crate::nat64::{IPV4_ONLY_NAME, synthesize};
use crate::pvd::{Family, Pvd, Serial};
use crate::routing::{Routing, Table};
use crate::snapshot::Snapshot;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Where to.
    pub address: IpAddr,
    /// Which port there.
    pub port: u16,
    /// From where, when the caller cares.
    pub source: Option<IpAddr>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
    /// Which protocol.
    pub protocol: Protocol,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 9293.
    #[default]
    Tcp,
    /// RFC 8684. What is promised of sources and routes covers the first subflow.
    Mptcp,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Mptcp];

    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Mptcp => "mptcp",
        }
    }

    /// The protocol that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.word() == word)
    }
}

/// Everything that connecting needs. All of it is of one provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectPlan {
    /// The provisioning domain.
    pub pvd: Serial,
    /// Its interface.
    pub ifindex: Ifindex,
    /// The sources to try, best first; never empty.
    pub sources: Vec<IpAddr>,
    /// Where to; a link-local address carries the interface as its scope.
    pub destination: SocketAddr,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
    /// Which protocol.
    pub protocol: Protocol,
}

impl ConnectPlan {
    /// Whether `source` still is an address of the provisioning domain. When that is gone altogether, others have
    /// that to say.
    pub fn has_source(&self, snapshot: &Snapshot, source: IpAddr) -> bool {
        let Some(pvd) = snapshot.pvd(self.pvd) else { return true };
        pvd.usable_addresses().any(|own| own.address == source)
    }
}

/// How to connect as `request` says inside `pvd`.
///
/// # Errors
/// Every reason that can be seen without sending anything, [`Refusal`].
pub fn connect(snapshot: &Snapshot, pvd: Serial, request: &ConnectRequest) -> Result<ConnectPlan, Refusal> {
    let pvd = find(snapshot, pvd)?;
    check_destination(snapshot, pvd, request.address)?;
    if request.port == 0 {
        return Err(Refusal::InvalidArgs(Invalid::Port));
    }
    check_timeout(request.timeout_ms)?;
    let request = &ConnectRequest { address: behind_nat64(pvd, request.address), ..request.clone() };
    let sources = choose_sources(pvd, request)?;
    check_link(pvd)?;
    check_way(snapshot, pvd, request.address)?;
    Ok(ConnectPlan {
        pvd: pvd.serial,
        ifindex: pvd.ifindex,
        sources,
        destination: scoped(request.address, request.port, pvd.ifindex),
        timeout_ms: request.timeout_ms,
        protocol: request.protocol,
    })
}

/// What is to be asked before `request` can be planned: an IPv4 destination may lie behind a NAT64 that the network does
/// not announce, but that its DNS gives away (RFC 7050 3). The answer is for [`connect_behind`]. `None`: nothing.
pub fn nat64_question(
    snapshot: &Snapshot,
    pvd: Serial,
    request: &ConnectRequest,
    (available, encryption): (Systems, Encryption),
) -> Option<TranslatePlan> {
    let known = snapshot.pvd(pvd)?;
    if request.address.is_ipv6() || known.family != Family::Ipv6 || !known.used.pref64.is_empty() {
        return None;
    }
    let behind = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let is_wrong = request.port == 0
        || check_destination(snapshot, known, request.address).is_err()
        || check_timeout(request.timeout_ms).is_err()
        || request.source.is_some_and(|source| check_source(known, source, behind).is_err());
    if is_wrong {
        return None;
    }
    let question = TranslateRequest {
        name: IPV4_ONLY_NAME.to_owned(),
        families: Families::Ipv6,
        // The rest is for the connection.
        timeout_ms: request.timeout_ms.div_ceil(2),
        systems: Some(vec![System::Dns]),
        available,
    };
    translate(snapshot, pvd, &question, encryption).ok()
}

/// [`connect`], to an IPv4 destination through a translator with one of these prefixes, if there are any.
///
/// # Errors
/// As [`connect`].
pub fn connect_behind(
    snapshot: &Snapshot,
    pvd: Serial,
    request: &ConnectRequest,
    prefixes: &[Prefix],
) -> Result<ConnectPlan, Refusal> {
    let to = |address| connect(snapshot, pvd, &ConnectRequest { address, ..request.clone() });
    let IpAddr::V4(v4) = request.address else { return to(request.address) };
    let mut behind = prefixes.iter().filter_map(|prefix| synthesize(*prefix, v4));
    // What a prefix leads to is checked like any other destination: it is the word of a DNS server.
    behind.find_map(|v6| to(v6.into()).ok()).map_or_else(|| to(request.address), Ok)
}

/// `address` and `port` as a socket takes them: link-local addresses mean nothing without their link (RFC 4007 6).
pub(super) const fn scoped(address: IpAddr, port: u16, ifindex: Ifindex) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if is_link_local(v6) => SocketAddr::V6(SocketAddrV6::new(v6, port, 0, ifindex)),
        IpAddr::V4(_) | IpAddr::V6(_) => SocketAddr::new(address, port),
    }
}

/// Whether packets can leave at all.
pub(super) fn check_link(pvd: &Pvd) -> Result<(), Refusal> {
    if pvd.link_up {
        return Ok(());
    }
    Err(Refusal::NetworkUnreachable(Unreachable::InterfaceDown(pvd.id.clone())))
}

/// Whether `address` is one that connections through `pvd` may go to.
pub(super) fn check_destination(snapshot: &Snapshot, pvd: &Pvd, address: IpAddr) -> Result<(), Refusal> {
    let why = match address {
        _ if address.is_loopback() => Some(BadDestination::Loopback),
        _ if address.is_unspecified() => Some(BadDestination::Unspecified),
        _ if address.is_multicast() => Some(BadDestination::Multicast),
        IpAddr::V4(v4) if v4.is_broadcast() || is_subnet_broadcast(pvd, v4) => {
            Some(BadDestination::Broadcast)
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => v6.to_ipv4_mapped().map(BadDestination::V4Mapped),
        _ if snapshot.is_own(address, pvd.ifindex) => Some(BadDestination::OwnHost),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    why.map_or(Ok(()), |why| Err(Refusal::InvalidArgs(Invalid::Destination(address, why))))
}

/// Whether `address` is the last one of a prefix of `pvd` (RFC 919). /31 and /32 have no such address (RFC 3021).
fn is_subnet_broadcast(pvd: &Pvd, address: Ipv4Addr) -> bool {
    pvd.addresses.iter().filter(|own| own.address.is_ipv4() && own.prefix_length < 31).any(|own| {
        let prefix = Prefix::covering(own.address, own.prefix_length);
        let host_bits = u32::MAX.checked_shr(u32::from(own.prefix_length)).unwrap_or(0);
        prefix.covers(IpAddr::V4(address)) && u32::from(address) & host_bits == host_bits
    })
}

/// What `address` is from inside `pvd`: an IPv4 address where there is no IPv4 but an announced NAT64 (RFC 8781) is the
/// IPv6 one that stands for it (RFC 6052).
pub(super) fn behind_nat64(pvd: &Pvd, address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if pvd.family == Family::Ipv6 => {
            let mut prefixes = pvd.used.pref64.iter();
            prefixes.find_map(|prefix| synthesize(*prefix, v4)).map_or(address, IpAddr::V6)
        }
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

fn choose_sources(pvd: &Pvd, request: &ConnectRequest) -> Result<Vec<IpAddr>, Refusal> {
    let family = AddressFamily::of(request.address);
    if !pvd.family.includes(family) {
        return Err(Refusal::NetworkUnreachable(Unreachable::NoFamily(pvd.id.clone(), family)));
    }
    if let Some(source) = request.source {
        return check_source(pvd, source, request.address).map(|()| vec![source]);
    }
    let sources = sources(pvd, request.address);
    if sources.is_empty() {
        return Err(Refusal::NetworkUnreachable(Unreachable::NoUsableAddress(pvd.id.clone(), family)));
    }
    Ok(sources)
}

fn check_source(pvd: &Pvd, source: IpAddr, destination: IpAddr) -> Result<(), Refusal> {
    let why = match pvd.addresses.iter().find(|own| own.address == source) {
        None => BadSource::NotOfPvd(source, pvd.id.clone()),
        Some(_) if source.is_ipv4() != destination.is_ipv4() => {
            BadSource::OtherFamily { source, destination }
        }
        Some(own) if !own.usable() => BadSource::NotUsable(source),
        Some(_) => return Ok(()),
    };
    Err(Refusal::SourceNotValid(why))
}

/// Whether packets to `destination` take the way of `pvd`. A route that is not there must be missed here: a socket that
/// is bound to an interface takes everything for on-link when it finds none (IPv4).
pub(super) fn check_way(snapshot: &Snapshot, pvd: &Pvd, destination: IpAddr) -> Result<(), Refusal> {
    match snapshot.routing() {
        Routing::Shared => check_apart(snapshot, pvd, AddressFamily::of(destination)),
        Routing::PerPvd => match Table::of(pvd).route_to(destination) {
            Some(_) => Ok(()),
            None => Err(Refusal::NetworkUnreachable(Unreachable::NoRoute(pvd.id.clone(), destination))),
        },
    }
}

/// Without routing per provisioning domain, the kernel's one routing table decides which router of an interface a
/// packet takes. That is the right one for sure only when there is no other of the family.
pub(super) fn check_apart(snapshot: &Snapshot, pvd: &Pvd, family: AddressFamily) -> Result<(), Refusal> {
    if snapshot.routing() == Routing::PerPvd {
        return Ok(());
    }
    let shares = |interface| snapshot.pvds_of_family(interface, family) > 1;
    if snapshot.interface(pvd.interface).is_some_and(|interface| shares(interface)) {
        return Err(Refusal::NotSupported(NotSupported::SeveralPvds(pvd.id.clone(), family)));
    }
    Ok(())
}
