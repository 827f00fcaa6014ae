//! Translate Name (the draft, 3.5.16).

use super::dns_servers::{DnsServer, Encryption, servers};
use super::name::{Host, HostName};
use super::{Invalid, NotSupported, Refusal, Unreachable, UntranslatableName, check_timeout, find};
use crate::configuration::{AddressFamily, Configuration, Prefix};
use crate::event::Ifindex;
use crate::pvd::{Family, Pvd, Serial};
use crate::routing::{Routing, Table};
use crate::snapshot::Snapshot;
use std::net::IpAddr;

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslateRequest {
    /// A host name or a literal address, as the caller wrote it.
    pub name: String,
    /// Which addresses.
    pub families: Families,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
    /// The systems to ask and no other; `None` means what suits the name.
    pub systems: Option<Vec<System>>,
}

/// The families that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// Both.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Families {
    /// All.
    pub const ALL: [Self; 3] = [Self::Any, Self::Ipv4, Self::Ipv6];

    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The families that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|families| families.word() == word)
    }

    /// Whether `family` is asked for.
    pub const fn includes(self, family: AddressFamily) -> bool {
        matches!(
            (self, family),
            (Self::Any, _) | (Self::Ipv4, AddressFamily::Ipv4) | (Self::Ipv6, AddressFamily::Ipv6)
        )
    }
}

/// A system that knows names (the draft, 2.2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
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
}

impl System {
    /// All, in the order in which the contract names them.
    pub const ALL: [Self; 5] = [Self::Dns, Self::Hosts, Self::Mdns, Self::Llmnr, Self::Nis];
    /// Those that this service can ask.
    pub const AVAILABLE: [Self; 2] = [Self::Dns, Self::Hosts];

    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Hosts => "hosts",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
            Self::Nis => "nis",
        }
    }

    /// The system that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.word() == word)
    }

    pub(super) fn available_words() -> String {
        Self::AVAILABLE.map(Self::word).join(", ")
    }
}

/// Everything that translating needs. All of it is of one provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatePlan {
    /// The provisioning domain.
    pub pvd: Serial,
    /// Its interface.
    pub ifindex: Ifindex,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
    /// What is to be done.
    pub translation: Translation,
}

/// What is to be done for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Translation {
    /// Nothing: it is an address.
    Literal(IpAddr),
    /// It is to be looked up.
    Lookup(Lookup),
}

/// What is to be asked, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name as DNS writes it, no final dot.
    pub name: String,
    /// Which addresses.
    pub families: Families,
    /// Whether to look into the host table first.
    pub hosts: bool,
    /// How to ask DNS; or why not, which is then the answer when the host table does not know the name.
    pub dns: Result<DnsPlan, Refusal>,
}

/// How to ask DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPlan {
    /// The servers, in the order to ask them; never empty.
    pub servers: Vec<DnsServer>,
    /// The absolute names to ask for until one exists, no final dot; never empty.
    pub names: Vec<String>,
    /// Whether and how to make IPv6 addresses of IPv4 ones.
    pub nat64: Option<Nat64>,
}

/// How IPv6 addresses are made for names that have none, where IPv4 is reached through a NAT64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nat64 {
    /// With these prefixes, which the network announces (RFC 8781).
    Announced(Vec<Prefix>),
    /// With those that DNS gives away, if there are any (RFC 7050).
    AskDns,
}

/// How to translate as `request` says inside `pvd`.
///
/// # Errors
/// Every reason that can be seen without asking anybody, [`Refusal`].
pub fn translate(
    snapshot: &Snapshot,
    pvd: Serial,
    request: &TranslateRequest,
    encryption: Encryption,
) -> Result<TranslatePlan, Refusal> {
    let pvd = find(snapshot, pvd)?;
    let invalid_name = |why| Refusal::InvalidArgs(Invalid::Name(request.name.clone(), why));
    let host = Host::parse(&request.name).map_err(invalid_name)?;
    check_timeout(request.timeout_ms)?;
    let systems = Systems::of(request.systems.as_deref())?;
    let translation = match host {
        Host::Literal(address) if request.families.includes(AddressFamily::of(address)) => {
            Translation::Literal(address)
        }
        Host::Literal(address) => return Err(Refusal::NoAddress(address)),
        Host::Name(name) => {
            let lookup = look_up(pvd, name, request.families, systems, encryption)?;
            Translation::Lookup(led(snapshot, pvd, lookup)?)
        }
    };
    Ok(TranslatePlan { pvd: pvd.serial, ifindex: pvd.ifindex, timeout_ms: request.timeout_ms, translation })
}

/// The systems that may be asked, as far as this service can.
#[derive(Clone, Copy)]
struct Systems {
    hosts: bool,
    dns: bool,
}

impl Systems {
    fn of(named: Option<&[System]>) -> Result<Self, Refusal> {
        let Some(named) = named else { return Ok(Self { hosts: true, dns: true }) };
        if named.is_empty() {
            return Err(Refusal::InvalidArgs(Invalid::NoSystems));
        }
        if let Some(missing) = named.iter().find(|system| !System::AVAILABLE.contains(system)) {
            return Err(Refusal::NotSupported(NotSupported::System(*missing)));
        }
        Ok(Self { hosts: named.contains(&System::Hosts), dns: named.contains(&System::Dns) })
    }
}

fn look_up(
    pvd: &Pvd,
    name: HostName,
    families: Families,
    systems: Systems,
    encryption: Encryption,
) -> Result<Lookup, Refusal> {
    let dns = if systems.dns {
        ask_dns(pvd, &name, families, encryption)
    } else {
        Err(Refusal::NameNotFound(UntranslatableName::NotInHosts(name.ascii.clone())))
    };
    match dns {
        Err(refusal) if !systems.hosts => Err(refusal),
        dns => Ok(Lookup { name: name.ascii, families, hosts: systems.hosts, dns }),
    }
}

fn ask_dns(
    pvd: &Pvd,
    name: &HostName,
    families: Families,
    encryption: Encryption,
) -> Result<DnsPlan, Refusal> {
    let names = candidates(pvd, name).map_err(Refusal::NameNotFound)?;
    let servers = servers(pvd, encryption);
    if servers.is_empty() {
        return Err(Refusal::NoNameServers(pvd.id.clone()));
    }
    if !pvd.link_up {
        return Err(Refusal::NetworkUnreachable(Unreachable::InterfaceDown(pvd.id.clone())));
    }
    Ok(DnsPlan { servers, names, nat64: nat64(pvd, families) })
}

/// The absolute names to ask for. A single label leaves the host only inside a search domain, and search domains
/// are for single labels only: otherwise a name could mean one host here and another one there.
fn candidates(pvd: &Pvd, name: &HostName) -> Result<Vec<String>, UntranslatableName> {
    if let Some(domain) = name.special_use() {
        return Err(UntranslatableName::SpecialUse { name: name.ascii.clone(), domain });
    }
    if !name.is_one_label() {
        return Ok(vec![name.ascii.clone()]);
    }
    if name.absolute {
        return Err(UntranslatableName::AbsoluteLabel(format!("{}.", name.ascii)));
    }
    let mut names: Vec<String> = Vec::new();
    for full in search_domains(&pvd.used).filter_map(|domain| name.inside(domain)) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&full)) {
            names.push(full);
        }
    }
    if names.is_empty() {
        return Err(UntranslatableName::NoSearchDomain { name: name.ascii.clone(), pvd: pvd.id.clone() });
    }
    Ok(names)
}

/// The search list (RFC 3397, RFC 3646, RFC 8106), or else the one domain name of the network, which is "to be used
/// when resolving hostnames" (RFC 2132 3.17).
fn search_domains(configuration: &Configuration) -> impl Iterator<Item = &str> {
    let list = configuration.search_domains.iter();
    let only = configuration.domain_name.iter().filter(|_| configuration.search_domains.is_empty());
    list.chain(only).map(String::as_str)
}

/// Leaves out servers that no route of `pvd` leads to: their questions would be refused, or (IPv4) asked on the link.
fn led(snapshot: &Snapshot, pvd: &Pvd, mut lookup: Lookup) -> Result<Lookup, Refusal> {
    if snapshot.routing() == Routing::PerPvd
        && let Ok(dns) = &mut lookup.dns
    {
        let table = Table::of(pvd);
        dns.servers.retain(|server| table.route_to(server.address.ip()).is_some());
        if dns.servers.is_empty() {
            lookup.dns = Err(Refusal::NoNameServers(pvd.id.clone()));
        }
    }
    match lookup.dns {
        Err(refusal) if !lookup.hosts => Err(refusal),
        dns => Ok(Lookup { dns, ..lookup }),
    }
}

/// RFC 6147 for provisioning domains of IPv6 only.
fn nat64(pvd: &Pvd, families: Families) -> Option<Nat64> {
    if pvd.family != Family::Ipv6 || !families.includes(AddressFamily::Ipv6) {
        return None;
    }
    let announced = &pvd.used.pref64;
    Some(if announced.is_empty() { Nat64::AskDns } else { Nat64::Announced(announced.clone()) })
}
