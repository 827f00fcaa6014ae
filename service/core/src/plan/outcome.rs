//! What comes of carrying a plan out.

use super::{Refusal, Systems};
use crate::address_selection::is_link_local;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One address that a name has (the draft's Name Translation, 3.5.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The address.
    pub address: IpAddr,
    /// The system that knew it.
    pub source: AnswerSource,
    /// How long it may be kept, in seconds; where the system says so.
    pub ttl: Option<u32>,
    /// The server that said it.
    pub server: Option<IpAddr>,
    /// How the server was asked.
    pub transport: Option<Transport>,
    /// Nobody on the way could read or change it: it came over an encrypted connection from a server that has proved
    /// its name.
    pub encrypted: bool,
    /// Made from an IPv4 address for a NAT64 (RFC 6147).
    pub synthesized: bool,
}

impl Answer {
    /// An answer that came from this host itself.
    pub const fn local(address: IpAddr, source: AnswerSource) -> Self {
        Self {
            address,
            source,
            ttl: None,
            server: None,
            transport: None,
            encrypted: false,
            synthesized: false,
        }
    }
}

/// The system that gave an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerSource {
    /// DNS.
    Dns,
    /// The host table.
    Hosts,
    /// Multicast DNS (RFC 6762).
    Mdns,
    /// Link-local multicast name resolution (RFC 4795).
    Llmnr,
    /// NIS.
    Nis,
    /// The name was an address.
    Literal,
}

impl AnswerSource {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Hosts => "hosts",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
            Self::Nis => "nis",
            Self::Literal => "literal",
        }
    }
}

/// How a DNS server was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain UDP.
    Udp,
    /// Plain TCP.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS (RFC 8484).
    Doh,
    /// DNS over QUIC (RFC 9250).
    Doq,
}

impl Transport {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doq => "doq",
        }
    }
}

/// The end of a translation that gave at least one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TranslationEnd {
    /// The name that the addresses belong to, after search domains and aliases; no final dot.
    pub canonical_name: Option<String>,
    /// There were more addresses than were given.
    pub truncated: bool,
    /// The response code of DNS, if it was asked (RFC 6895 2.3).
    pub rcode: Option<u16>,
}

/// The end of a translation that gave none. The name that was asked for is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranslationFailure {
    /// No system that was asked could answer, and DNS must not or cannot be asked.
    Refused(Refusal),
    /// DNS says that there is no such name, and nobody else knows it.
    NameNotFound(String),
    /// None of these systems knows the name; DNS was not asked.
    Unknown(String, Systems),
    /// The name exists but has no address of the families asked for.
    NoAddress(String),
    /// Every server failed or refused; the last response code, if one answered at all.
    ServerFailure(String, Option<u16>),
    /// The network announces encrypted DNS, and none of its resolvers can be reached or has proved its name; others
    /// must not be asked.
    NoEncryptedServer(String),
    /// No server answered in time.
    TimedOut(String),
}

impl TranslationFailure {
    /// Of the failures of two systems that were asked for one name, the one to tell: what is not known for sure before
    /// what is, and what a server said before what nobody said.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown(name, these), Self::Unknown(_, those)) => Self::Unknown(name, these.and(those)),
            (first, second) if second.weight() > first.weight() => second,
            (first, _) => first,
        }
    }

    const fn weight(&self) -> u8 {
        match self {
            Self::Refused(Refusal::NameNotFound(_)) => 0,
            Self::Unknown(..) => 1,
            Self::NameNotFound(_) => 2,
            Self::NoAddress(_) => 3,
            Self::Refused(_) => 4,
            Self::TimedOut(_) => 5,
            Self::NoEncryptedServer(_) => 6,
            Self::ServerFailure(..) => 7,
        }
    }

    /// The response code of DNS, if a server gave one (RFC 6895 2.3).
    pub const fn rcode(&self) -> Option<u16> {
        match self {
            Self::Refused(_) | Self::Unknown(..) | Self::NoEncryptedServer(_) | Self::TimedOut(_) => None,
            Self::NameNotFound(_) => Some(3),
            Self::NoAddress(_) => Some(0),
            Self::ServerFailure(_, rcode) => *rcode,
        }
    }
}

impl std::error::Error for TranslationFailure {}

impl fmt::Display for TranslationFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(out),
            Self::NameNotFound(name) => write!(out, "{name} does not exist in this provisioning domain"),
            Self::Unknown(name, systems) => {
                write!(out, "nobody knows {name} in this provisioning domain: {systems} had no answer")
            }
            Self::NoAddress(name) => write!(out, "{name} exists but has no address of the family asked for"),
            Self::ServerFailure(name, Some(rcode)) => {
                write!(out, "no DNS server could answer for {name}: the response code was {}", Rcode(*rcode))
            }
            Self::ServerFailure(name, None) => write!(out, "no server could be asked for {name}"),
            Self::NoEncryptedServer(name) => write!(
                out,
                "{name} could not be asked for: the network announces encrypted DNS, but none of its servers \
                 could be reached or prove its name (the log says why), and asking in the clear instead is \
                 only for the setting encryption = \"opportunistic\" of [dns]"
            ),
            Self::TimedOut(name) => write!(out, "no server answered for {name} in time"),
        }
    }
}

/// A response code with its name in RFC 6895 2.3, for those that are common.
struct Rcode(u16);

impl fmt::Display for Rcode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => write!(out, "1 (FormErr)"),
            2 => write!(out, "2 (ServFail)"),
            4 => write!(out, "4 (NotImp)"),
            5 => write!(out, "5 (Refused)"),
            other => write!(out, "{other}"),
        }
    }
}

/// A connection that did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectFailure {
    /// What it means.
    pub reason: ConnectFailureReason,
    /// What the kernel said (0: it said nothing).
    pub errno: i32,
    /// Where to it was.
    pub destination: SocketAddr,
}

/// What a failure to connect means to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailureReason {
    /// The other host is there; nothing listens on that port.
    ConnectionRefused,
    /// The other host, or the last router, does not answer.
    HostUnreachable,
    /// No way leads there from this provisioning domain.
    NetworkUnreachable,
    /// No answer in time.
    TimedOut,
    /// The source has just ceased to be an address of this host.
    SourceNotValid,
    /// The firewall of this host or of a router forbids it.
    Forbidden,
    /// Out of local ports, file descriptors or memory.
    NoResources,
    /// The kernel has no such protocol, or has it switched off.
    NotSupported,
    /// Anything else.
    Other,
}

impl std::error::Error for ConnectFailure {}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, errno) = (Unscoped(self.destination), self.errno);
        match self.reason {
            ConnectFailureReason::ConnectionRefused => {
                write!(out, "{to} refused the connection: nothing listens there")
            }
            ConnectFailureReason::HostUnreachable => write!(out, "{to} does not answer on its network"),
            ConnectFailureReason::NetworkUnreachable => {
                write!(out, "no route leads to {to} from this provisioning domain")
            }
            ConnectFailureReason::TimedOut => write!(out, "{to} did not answer in time"),
            ConnectFailureReason::SourceNotValid => {
                write!(out, "the source for {to} is not an address of this host any more")
            }
            ConnectFailureReason::Forbidden => {
                write!(out, "a firewall forbids the connection to {to} (errno {errno})")
            }
            ConnectFailureReason::NoResources => {
                write!(out, "no local port, file descriptor or memory was left for {to} (errno {errno})")
            }
            ConnectFailureReason::NotSupported => {
                write!(out, "the kernel makes no socket of that protocol for {to} (errno {errno})")
            }
            ConnectFailureReason::Other => write!(out, "connecting to {to} failed (errno {errno})"),
        }
    }
}

/// The end of binding a caller's socket that did not work; the socket is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindFailure {
    /// It was not tried.
    Refused(Refusal),
    /// The source has just ceased to be an address of this host.
    SourceNotValid(IpAddr),
    /// Another socket has that port.
    PortTaken(SocketAddr),
    /// A port was to be chosen, and this source has none left.
    NoPort(IpAddr),
    /// The interface has just gone.
    InterfaceGone,
    /// Anything else; the errno.
    Other(i32),
}

impl std::error::Error for BindFailure {}

impl fmt::Display for BindFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(out),
            Self::SourceNotValid(source) => {
                write!(out, "the source {source} is not an address of this host any more")
            }
            Self::PortTaken(local) => {
                write!(out, "port {} of {} is taken: give another, or 0", local.port(), local.ip())
            }
            Self::NoPort(source) => {
                write!(out, "all ports of {source} are taken: close sockets, or widen ip_local_port_range")
            }
            Self::InterfaceGone => write!(out, "the interface has just gone"),
            Self::Other(errno) => write!(out, "binding the socket failed (errno {errno})"),
        }
    }
}

/// Addresses are shown without a zone: the provisioning domain fixes the interface.
struct Unscoped(SocketAddr);

impl fmt::Display for Unscoped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip() {
            IpAddr::V6(v6) if is_link_local(v6) => write!(out, "[{v6}]:{}", self.0.port()),
            IpAddr::V4(_) | IpAddr::V6(_) => self.0.fmt(out),
        }
    }
}
