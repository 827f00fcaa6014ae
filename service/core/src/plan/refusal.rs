//! Why no plan was made. The variants of [`Refusal`] are the error names of the D-Bus contract, one each; what is
//! inside says what was wrong and, as `Display`, what would be right.

use super::{LONGEST_TIMEOUT_MS, NAME_LENGTH, Protocol, System, Systems};
use crate::configuration::AddressFamily;
use crate::event::Ifindex;
use crate::pvd::Serial;
use crate::text;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A request that cannot be carried out as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The provisioning domain is not there (any more).
    PvdGone(Serial),
    /// An argument is wrong by itself.
    InvalidArgs(Invalid),
    /// A name of more than [`NAME_LENGTH`] bytes.
    LimitsExceeded(String),
    /// The provisioning domain does not lead there.
    NetworkUnreachable(Unreachable),
    /// The source that was asked for is none.
    SourceNotValid(BadSource),
    /// The caller's socket cannot be bound.
    SocketNotUsable(BadSocket),
    /// The caller's socket is of another network namespace than the service.
    ForeignNamespace,
    /// This instance cannot do that.
    NotSupported(NotSupported),
    /// No system that may be asked knows such names.
    NameNotFound(UntranslatableName),
    /// A literal of a family that was not asked for.
    NoAddress(IpAddr),
    /// The provisioning domain has no name server that can be reached; its Id.
    NoNameServers(String),
    /// Only NIS was to be asked, and the provisioning domain gave no NIS domain, or no server of it; its Id.
    NoNisServers(String),
}

/// What is wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Such an address is not connected to through a provisioning domain.
    Destination(IpAddr, BadDestination),
    /// Port 0.
    Port,
    /// A timeout in milliseconds, out of range.
    Timeout(u32),
    /// No host name and no literal address.
    Name(String, BadName),
    /// An empty list of systems; those that can be asked.
    NoSystems(Systems),
    /// A local port that not everybody may take.
    PrivilegedPort {
        /// The one asked for.
        port: u16,
        /// The first that everybody may take.
        first: u16,
    },
    /// A destination that sockets of this family cannot reach.
    OtherFamily(IpAddr, AddressFamily),
}

/// Why a caller's socket cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSocket {
    /// A file descriptor of something else.
    NotASocket,
    /// A socket, but neither of AF_INET nor of AF_INET6.
    NotInternet,
    /// Neither TCP, MPTCP nor UDP.
    Protocol,
    /// It is bound already.
    Bound(SocketAddr),
    /// It is connected already, or on the way.
    Connected,
    /// It listens.
    Listening,
    /// It is bound to this interface already.
    OnDevice(Ifindex),
    /// Its mark has bits that are the service's: the mark and the mask.
    Marked(u32, u32),
    /// Its family is none of the provisioning domain's; the Id.
    OtherFamily(String, AddressFamily),
    /// It was used while it was being bound.
    InUse,
}

/// Why an address is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDestination {
    /// 127/8, ::1.
    Loopback,
    /// 0.0.0.0, ::.
    Unspecified,
    /// 224/4, ff00::/8.
    Multicast,
    /// 255.255.255.255, or that of a prefix of the provisioning domain.
    Broadcast,
    /// ::ffff:0:0/96, with what is inside.
    V4Mapped(Ipv4Addr),
    /// An address of this host.
    OwnHost,
    /// 169.254/16, fe80::/10, where a server is to be asked that a network names.
    LinkLocal,
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Nothing.
    Empty,
    /// ".".
    Root,
    /// More than 253 characters as DNS writes it: how many.
    TooLong(usize),
    /// A label of more than 63 characters.
    LabelTooLong(String),
    /// Two dots in a row, or one in front.
    EmptyLabel,
    /// A literal with a zone.
    Zone,
    /// A character that host names do not have.
    Character(char),
    /// Not ASCII, and not a valid internationalised name (UTS 46) either.
    NotInternationalized,
}

/// Why there is no way there; the Id of the provisioning domain is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It does not provide this family.
    NoFamily(String, AddressFamily),
    /// It has no usable address of this family at the moment.
    NoUsableAddress(String, AddressFamily),
    /// Its interface is down.
    InterfaceDown(String),
    /// Its network told of no route there.
    NoRoute(String, IpAddr),
}

/// Why an address is no source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSource {
    /// The provisioning domain of this Id does not have it.
    NotOfPvd(IpAddr, String),
    /// It is not of the destination's family.
    OtherFamily {
        /// The source.
        source: IpAddr,
        /// Where to.
        destination: IpAddr,
    },
    /// It is there but may not be used yet, or never (tentative or duplicate).
    NotUsable(IpAddr),
    /// It is not of the family of the caller's socket.
    NotOfSocket(IpAddr, AddressFamily),
}

/// What this instance cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSupported {
    /// Tell several provisioning domains of one family on one interface apart; the Id of the one asked for.
    SeveralPvds(String, AddressFamily),
    /// Ask this system for names; those that can be asked.
    System(System, Systems),
    /// Make sockets of this protocol: the kernel has it not, or switched off.
    Protocol(Protocol),
}

/// Why a name is asked of no system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UntranslatableName {
    /// One label, and the provisioning domain (its Id) has no search domain to complete it.
    NoSearchDomain {
        /// The name.
        name: String,
        /// The Id.
        pvd: String,
    },
    /// One label with a final dot: search domains must not, and DNS without them is not to see it.
    AbsoluteLabel(String),
    /// A name of a kind that the only system that was to be asked does not know.
    NotFor {
        /// The name.
        name: String,
        /// The system.
        system: System,
    },
    /// A name under a domain that DNS is not to be asked for (RFC 6761, RFC 6762, RFC 7686).
    SpecialUse {
        /// The name.
        name: String,
        /// The domain.
        domain: &'static str,
    },
    /// Only the host table was to be asked, and does not have it.
    NotInHosts(String),
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PvdGone(serial) => write!(
                out,
                "provisioning domain {serial} is gone: take one of those that the interfaces list now"
            ),
            Self::InvalidArgs(invalid) => invalid.fmt(out),
            Self::LimitsExceeded(name) => write!(
                out,
                "{} is too long: it has {} bytes, and at most {NAME_LENGTH} are looked at",
                Quoted(name),
                name.len()
            ),
            Self::NetworkUnreachable(unreachable) => unreachable.fmt(out),
            Self::SourceNotValid(source) => source.fmt(out),
            Self::SocketNotUsable(socket) => socket.fmt(out),
            Self::ForeignNamespace => write!(
                out,
                "the socket is of another network namespace than the service, and reaches other networks; ask a \
                 service that runs in its namespace"
            ),
            Self::NotSupported(what) => what.fmt(out),
            Self::NameNotFound(why) => why.fmt(out),
            Self::NoAddress(literal) => {
                write!(
                    out,
                    "{literal} is an address of the family that was not asked for: ask for any family"
                )
            }
            Self::NoNameServers(pvd) => {
                write!(out, "{pvd} has no DNS server that it could reach: it got none, or none of its family")
            }
            Self::NoNisServers(pvd) => {
                write!(out, "{pvd} has no NIS server that it could reach, or no NIS domain: it got none")
            }
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(address, why) => write!(out, "{address} {why}"),
            Self::Port => write!(out, "port 0 cannot be connected to: give one from 1 to 65535"),
            Self::Timeout(given) => {
                write!(out, "timeout {given} is out of range: give 1 to {LONGEST_TIMEOUT_MS} milliseconds")
            }
            Self::Name(name, why) => write!(out, "{} {why}", Quoted(name)),
            Self::NoSystems(available) => {
                write!(out, "systems is empty: name one of {available}, or leave it out")
            }
            Self::PrivilegedPort { port, first } => write!(
                out,
                "local-port {port} is for the privileged: give 0 or one from {first} \
                 (net.ipv4.ip_unprivileged_port_start) to 65535"
            ),
            Self::OtherFamily(address, family) => {
                write!(
                    out,
                    "an {} socket cannot reach {address}: give a destination of its family",
                    Named(*family)
                )
            }
        }
    }
}

impl fmt::Display for BadSocket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fresh = "give a fresh one, before anything is done with it";
        match self {
            Self::NotASocket => write!(out, "the file descriptor is no socket"),
            Self::NotInternet => {
                write!(out, "the socket is not of the Internet: give one of AF_INET or AF_INET6")
            }
            Self::Protocol => {
                write!(out, "the socket is of a protocol that cannot be bound here: give TCP, MPTCP or UDP")
            }
            Self::Bound(local) => write!(out, "the socket is bound to {local} already: {fresh}"),
            Self::Connected => write!(out, "the socket is connected already: {fresh}"),
            Self::Listening => write!(out, "the socket listens already: {fresh}"),
            Self::OnDevice(ifindex) => {
                write!(out, "the socket is bound to the interface with index {ifindex} already: {fresh}")
            }
            Self::Marked(mark, mask) => write!(
                out,
                "the socket has the mark {mark:#x}, which is inside this service's mask {mask:#x}: mark it outside \
                 of that, or not at all"
            ),
            Self::OtherFamily(pvd, family) => {
                write!(out, "the socket is of {}, which {pvd} does not provide", Named(*family))
            }
            Self::InUse => write!(out, "the socket was used while it was being bound: {fresh}"),
        }
    }
}

impl fmt::Display for BadDestination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => write!(out, "is a loopback address"),
            Self::Unspecified => write!(out, "is the unspecified address"),
            Self::Multicast => write!(out, "is a multicast address"),
            Self::Broadcast => write!(out, "is a broadcast address"),
            Self::OwnHost => write!(out, "is an address of this host"),
            Self::LinkLocal => write!(out, "is a link-local address"),
            Self::V4Mapped(inner) => {
                return write!(
                    out,
                    "is an IPv4-mapped address: give {inner} and an IPv4 provisioning domain"
                );
            }
        }?;
        write!(out, ": give the unicast address of another host")
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "is empty: give a host name or an address"),
            Self::Root => write!(out, "is the root of DNS, not a host: give a host name or an address"),
            Self::TooLong(length) => {
                write!(out, "is {length} characters long as DNS writes it: at most 253 are allowed")
            }
            Self::LabelTooLong(label) => write!(
                out,
                "has a label of {} characters ({}): at most 63 are allowed between dots",
                label.len(),
                Quoted(label)
            ),
            Self::EmptyLabel => write!(out, "has nothing between two dots, or before the first one"),
            Self::Zone => {
                write!(
                    out,
                    "names a zone: leave out what follows \"%\", the provisioning domain fixes the link"
                )
            }
            Self::Character(character) => write!(
                out,
                "has {} in it: host names are letters, digits, hyphens and underscores with dots between",
                Quoted(character.encode_utf8(&mut [0; 4]))
            ),
            Self::NotInternationalized => {
                write!(
                    out,
                    "is no valid internationalised host name (UTS 46): check the characters, or give its xn-- form"
                )
            }
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFamily(pvd, family) => {
                write!(out, "{pvd} does not provide {}: take a provisioning domain that does", Named(*family))
            }
            Self::NoUsableAddress(pvd, family) => {
                write!(out, "{pvd} has no {} address that may be used at the moment", Named(*family))
            }
            Self::InterfaceDown(pvd) => write!(out, "the interface of {pvd} is down"),
            Self::NoRoute(pvd, destination) => write!(
                out,
                "{pvd} has no route to {destination}: its network told of no router or prefix that leads there"
            ),
        }
    }
}

impl fmt::Display for BadSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOfPvd(source, pvd) => {
                write!(out, "source {source} is not an address of {pvd}: take one of its Addresses")
            }
            Self::OtherFamily { source, destination } => {
                write!(out, "source {source} and destination {destination} are not of the same family")
            }
            Self::NotUsable(source) => write!(
                out,
                "source {source} may not be used: duplicate address detection has not ended, or has found another host"
            ),
            Self::NotOfSocket(source, family) => {
                write!(out, "source {source} is not for an {} socket: give one of its family", Named(*family))
            }
        }
    }
}

impl fmt::Display for NotSupported {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralPvds(pvd, family) => write!(
                out,
                "{pvd} shares its interface with another {} provisioning domain, and without routing per \
                 provisioning domain the two cannot be kept apart",
                Named(*family)
            ),
            Self::System(system, available) => {
                write!(out, "{} cannot be asked: this service can ask {available}", system.word())
            }
            Self::Protocol(protocol) => {
                write!(out, "the kernel makes no {} sockets here: take tcp", protocol.word())
            }
        }
    }
}

impl fmt::Display for UntranslatableName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSearchDomain { name, pvd } => write!(
                out,
                "{name} is a single label and {pvd} has no search domain to complete it: give the full name"
            ),
            Self::AbsoluteLabel(name) => write!(
                out,
                "{name} is a single label with a final dot: such names are never asked of DNS; leave out the dot or give the full name"
            ),
            Self::NotFor { name, system: System::Mdns } => {
                write!(out, "{name} is not under .local: mdns is not asked for such names")
            }
            Self::NotFor { name, system: System::Llmnr } => {
                write!(out, "{name} is not a single label: llmnr is not asked for such names")
            }
            Self::NotFor { name, system } => {
                write!(out, "{name} is never asked of {}", system.word())
            }
            Self::SpecialUse { name, domain } => {
                write!(out, "{name} is under .{domain}: such names are never asked of DNS")
            }
            Self::NotInHosts(name) => {
                write!(out, "{name} is not in the host table, and nothing else was to be asked")
            }
        }
    }
}

/// Text from a caller, fit to be shown: quoted, escaped, at most 64 characters.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown: String = self.0.chars().take(SHOWN).collect();
        let rest = if shown.len() < self.0.len() { "..." } else { "" };
        write!(out, "\"{}{rest}\"", text::escape(shown.as_bytes()))
    }
}

struct Named(AddressFamily);

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            AddressFamily::Ipv4 => "IPv4",
            AddressFamily::Ipv6 => "IPv6",
        })
    }
}
