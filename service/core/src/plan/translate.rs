//! Translate Name (the draft, 3.5.16).

use super::dns_servers::{DnsServer, Encryption, NamedResolvers, named, servers};
use super::name::{Host, HostName, Place};
use super::neighbours::{LinkPlan, ask_llmnr, ask_mdns};
use super::nis_servers::{NisPlan, ask_nis};
use super::{
    Invalid, NotSupported, Refusal, System, Systems, Unreachable, UntranslatableName, check_timeout, find,
};
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
    /// The systems that this service can ask.
    pub available: Systems,
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
#[expect(clippy::large_enum_variant, reason = "one is made for each request, and nearly all are lookups")]
pub enum Translation {
    /// Nothing: it is an address.
    Literal(IpAddr),
    /// It is to be looked up.
    Lookup(Lookup),
}

/// What is to be asked, in the order of the fields, until one gives an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name as DNS writes it, no final dot.
    pub name: String,
    /// Which addresses.
    pub families: Families,
    /// Whether to look into the host table first.
    pub hosts: bool,
    /// How to ask by mDNS.
    pub mdns: Option<LinkPlan>,
    /// How to ask DNS; or why not, which is then the answer when nobody else knows the name.
    pub dns: Result<DnsPlan, Refusal>,
    /// How to ask by LLMNR.
    pub llmnr: Option<LinkPlan>,
    /// How to ask NIS.
    pub nis: Option<NisPlan>,
}

/// How to ask DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPlan {
    /// The servers, in the order to ask them; never empty.
    pub servers: Vec<DnsServer>,
    /// Resolvers that are to be looked up first, and asked instead.
    pub named: Option<Box<NamedResolvers>>,
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
    let host = Host::read(&request.name)?;
    check_timeout(request.timeout_ms)?;
    check_systems(request)?;
    let translation = match host {
        Host::Literal(address) if request.families.includes(AddressFamily::of(address)) => {
            Translation::Literal(address)
        }
        Host::Literal(address) => return Err(Refusal::NoAddress(address)),
        Host::Name(name) => {
            let lookup = look_up(pvd, &name, request, encryption)?;
            Translation::Lookup(led(snapshot, pvd, lookup)?)
        }
    };
    Ok(TranslatePlan { pvd: pvd.serial, ifindex: pvd.ifindex, timeout_ms: request.timeout_ms, translation })
}

/// Systems that the caller names must be there. Those of the default are left out when they are not.
fn check_systems(request: &TranslateRequest) -> Result<(), Refusal> {
    let available = request.available;
    let Some(named) = &request.systems else { return Ok(()) };
    if named.is_empty() {
        return Err(Refusal::InvalidArgs(Invalid::NoSystems(available)));
    }
    match named.iter().find(|system| !available.contains(**system)) {
        Some(missing) => Err(Refusal::NotSupported(NotSupported::System(*missing, available))),
        None => Ok(()),
    }
}

/// The systems to ask for `name` when the caller names none: the host table, then whoever the name belongs to.
fn suiting(pvd: &Pvd, name: &HostName) -> Systems {
    let systems = match name.place() {
        Place::Local | Place::LinkLocalReverse(_) => Systems::NONE.with(System::Mdns),
        Place::Special(_) => Systems::NONE.with(System::Dns),
        Place::Label => Systems::NONE.with(System::Dns).with(System::Llmnr).with(System::Nis),
        Place::Global => Systems::NONE.with(System::Dns).with(System::Nis),
    };
    let has_nis = pvd.used.nis_domain.is_some() && !pvd.used.nis_servers.is_empty();
    let systems = if has_nis { systems } else { systems.without(System::Nis) };
    systems.with(System::Hosts)
}

fn look_up(
    pvd: &Pvd,
    name: &HostName,
    request: &TranslateRequest,
    encryption: Encryption,
) -> Result<Lookup, Refusal> {
    let wanted = match &request.systems {
        Some(named) => named.iter().fold(Systems::NONE, |systems, system| systems.with(*system)),
        None => suiting(pvd, name),
    };
    let asked = |system| wanted.contains(system) && request.available.contains(system);
    let mut told = None;
    let dns = asked(System::Dns)
        .then(|| ask_dns(pvd, name, request.families, encryption))
        .and_then(|plan| plan_or(&mut told, plan));
    let mdns = asked(System::Mdns).then(|| ask_mdns(pvd, name, request.families));
    let mdns = mdns.and_then(|plan| plan_or(&mut told, plan));
    let llmnr = asked(System::Llmnr).then(|| ask_llmnr(pvd, name)).and_then(|plan| plan_or(&mut told, plan));
    let nis = asked(System::Nis).then(|| ask_nis(pvd, name)).and_then(|plan| plan_or(&mut told, plan));
    let told =
        told.unwrap_or_else(|| Refusal::NameNotFound(UntranslatableName::NotInHosts(name.ascii.clone())));
    let hosts = asked(System::Hosts);
    if !hosts && mdns.is_none() && dns.is_none() && llmnr.is_none() && nis.is_none() {
        return Err(told);
    }
    let (name, families) = (name.ascii.clone(), request.families);
    Ok(Lookup { name, families, hosts, mdns, dns: dns.ok_or(told), llmnr, nis })
}

/// The plan, or none and why: a refusal that lies in the provisioning domain tells more than one that lies in the name.
fn plan_or<Plan>(told: &mut Option<Refusal>, plan: Result<Plan, Refusal>) -> Option<Plan> {
    let by_name = |refusal: &Refusal| matches!(refusal, Refusal::NameNotFound(_));
    plan.map_err(|refusal| {
        if told.as_ref().is_none_or(|known| by_name(known) && !by_name(&refusal)) {
            *told = Some(refusal);
        }
    })
    .ok()
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
    Ok(DnsPlan { servers, named: named(pvd, encryption), names, nat64: nat64(pvd, families) })
}

/// The absolute names to ask for. A single label leaves the host only inside a search domain, and search domains
/// are for single labels only: otherwise a name could mean one host here and another one there.
fn candidates(pvd: &Pvd, name: &HostName) -> Result<Vec<String>, UntranslatableName> {
    let special = |domain| Err(UntranslatableName::SpecialUse { name: name.ascii.clone(), domain });
    match name.place() {
        Place::Local => return special("local"),
        Place::LinkLocalReverse(_) => return special("arpa for link-local addresses"),
        Place::Special(domain) => return special(domain),
        Place::Label | Place::Global => {}
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
    if snapshot.routing() == Routing::PerPvd {
        let table = Table::of(pvd);
        let is_led = |address: std::net::SocketAddr| table.route_to(address.ip()).is_some();
        if let Ok(dns) = &mut lookup.dns {
            dns.servers.retain(|server| is_led(server.address));
            dns.named.iter_mut().for_each(|named| named.routed = true);
            if dns.servers.is_empty() {
                lookup.dns = Err(Refusal::NoNameServers(pvd.id.clone()));
            }
        }
        if let Some(nis) = &mut lookup.nis {
            nis.servers.retain(|server| is_led(server.address));
        }
        lookup.nis = lookup.nis.filter(|nis| !nis.servers.is_empty());
    }
    match lookup {
        Lookup { hosts: false, mdns: None, dns: Err(refusal), llmnr: None, nis: None, .. } => Err(refusal),
        lookup => Ok(lookup),
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
