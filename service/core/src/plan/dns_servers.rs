//! Which DNS servers of a provisioning domain are asked, over which protocol, and in which order.

use super::connect::scoped;
use super::name::is_host_name;
use super::sources;
use crate::address_selection::is_link_local;
use crate::configuration::{AddressFamily, EncryptedDns};
use crate::limits::SERVERS_PER_PVD;
use crate::pvd::Pvd;
use crate::routing::Table;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A server and how to ask it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsServer {
    /// Where it is; a link-local address carries the interface as its scope.
    pub address: SocketAddr,
    /// The source to ask from. `None` for a link-local server: the kernel takes the link's own link-local address,
    /// which belongs to no provisioning domain.
    pub source: Option<IpAddr>,
    /// What it speaks there.
    pub protocol: DnsProtocol,
}

/// The protocol that a server speaks at its address and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DnsProtocol {
    /// UDP, and TCP for what does not fit (RFC 1035, RFC 7766).
    Plain,
    /// DNS over TLS (RFC 7858) by a server that must prove to have this name.
    Tls {
        /// The authentication domain name.
        name: Arc<str>,
    },
    /// DNS over HTTPS (RFC 8484), HTTP/2, by a server that must prove to have this name.
    Https {
        /// The authentication domain name.
        name: Arc<str>,
        /// Where questions are sent to, in absolute form.
        path: Arc<str>,
    },
    /// DNS over QUIC (RFC 9250) by a server that must prove to have this name.
    Quic {
        /// The authentication domain name.
        name: Arc<str>,
    },
    /// DNS over TLS by a server that need not prove anything: the opportunistic profile of RFC 7858 4.1. Keeps out
    /// those who only listen.
    UnverifiedTls,
}

impl DnsProtocol {
    /// Whether only the server can read the questions and give the answers.
    pub const fn is_verified(&self) -> bool {
        match self {
            Self::Plain | Self::UnverifiedTls => false,
            Self::Tls { .. } | Self::Https { .. } | Self::Quic { .. } => true,
        }
    }
}

/// How much encryption of DNS is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// None: what networks announce is not used.
    Off,
    /// What the network announces (RFC 9463), and then nothing else: a resolver that cannot be reached, or cannot
    /// prove its name, is not replaced by one in the clear, or whoever can drop packets could have everything sent
    /// in the clear (the strict profile of RFC 8310 5).
    #[default]
    Announced,
    /// Wherever there is any: announced resolvers first, servers that announced nothing by unverified TLS; and in
    /// the clear where that fails (the opportunistic profile of RFC 8310 5).
    Opportunistic,
}

/// Resolvers that the network tells by name alone (RFC 9463 3.1.6). Where they are and what they speak is to be asked of
/// its servers in the clear (RFC 9462 5); nothing else is, once it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedResolvers {
    /// Their authentication domain names, no final dot, best first; never empty.
    pub names: Vec<Arc<str>>,
    pvd: Pvd,
    encryption: Encryption,
    /// Only servers that a route of the provisioning domain leads to.
    pub(super) routed: bool,
}

impl NamedResolvers {
    /// The servers to ask: these resolvers as they were `found`; `others`, which are known anyway, where there is none of
    /// them, or besides where encryption is opportunistic. None where it is not known whether there are any (`None`):
    /// whoever can drop that answer could have everything sent in the clear.
    pub fn servers(&self, found: Option<Vec<EncryptedDns>>, others: &[DnsServer]) -> Vec<DnsServer> {
        let is_known = found.is_some();
        let mut pvd = self.pvd.clone();
        pvd.used.encrypted_dns = found.unwrap_or_default();
        let mut servers = designated(&pvd);
        if self.routed {
            let table = Table::of(&pvd);
            servers.retain(|server| table.route_to(server.address.ip()).is_some());
        }
        if self.encryption == Encryption::Opportunistic || (is_known && servers.is_empty()) {
            servers.extend_from_slice(others);
        }
        servers
    }
}

/// The resolvers that are still to be looked up: none where the network says of one where it is.
pub(super) fn named(pvd: &Pvd, encryption: Encryption) -> Option<Box<NamedResolvers>> {
    if encryption == Encryption::Off || !designated(pvd).is_empty() {
        return None;
    }
    let by_name = |resolver: &&EncryptedDns| resolver.addresses.is_empty() && is_host_name(&resolver.name);
    let mut resolvers: Vec<&EncryptedDns> = pvd.used.encrypted_dns.iter().filter(by_name).collect();
    resolvers.sort_by_key(|resolver| resolver.priority);
    let mut names: Vec<Arc<str>> = resolvers.into_iter().map(|resolver| Arc::from(&*resolver.name)).collect();
    names.dedup();
    names.truncate(MOST_NAMED);
    (!names.is_empty())
        .then(|| Box::new(NamedResolvers { names, pvd: pvd.clone(), encryption, routed: false }))
}

/// The most resolvers that are looked up.
const MOST_NAMED: usize = 4;

/// The servers that can be reached from inside `pvd`, in the order to ask them.
pub(super) fn servers(pvd: &Pvd, encryption: Encryption) -> Vec<DnsServer> {
    let plain = plain(pvd);
    match encryption {
        Encryption::Off => plain,
        Encryption::Announced => Some(designated(pvd)).filter(|found| !found.is_empty()).unwrap_or(plain),
        Encryption::Opportunistic => {
            let mut servers = designated(pvd);
            if servers.is_empty() {
                servers = plain.iter().map(by_unverified_tls).collect();
            }
            servers.extend(plain);
            servers
        }
    }
}

/// The servers that speak plain DNS.
fn plain(pvd: &Pvd) -> Vec<DnsServer> {
    const DNS_PORT: u16 = 53;
    let servers = pvd.used.dns_servers.iter();
    servers.filter_map(|address| server(pvd, *address, DNS_PORT, DnsProtocol::Plain)).collect()
}

fn by_unverified_tls(server: &DnsServer) -> DnsServer {
    let mut address = server.address;
    address.set_port(TLS_PORT);
    DnsServer { address, protocol: DnsProtocol::UnverifiedTls, ..server.clone() }
}

/// RFC 7858 3.1, RFC 9250 4.1.1
const TLS_PORT: u16 = 853;
const HTTPS_PORT: u16 = 443;

/// The resolvers that the network designates (RFC 9463), best first, with every protocol that is known here.
fn designated(pvd: &Pvd) -> Vec<DnsServer> {
    let mut resolvers: Vec<&EncryptedDns> = pvd.used.encrypted_dns.iter().collect();
    resolvers.sort_by_key(|resolver| resolver.priority);
    let mut servers = Vec::new();
    for resolver in resolvers {
        for protocol in protocols(resolver) {
            let port = resolver.port.unwrap_or(match protocol {
                DnsProtocol::Https { .. } => HTTPS_PORT,
                _ => TLS_PORT,
            });
            let addresses = resolver.addresses.iter();
            servers.extend(addresses.filter_map(|address| server(pvd, *address, port, protocol.clone())));
        }
    }
    servers.truncate(SERVERS_PER_PVD);
    servers
}

/// Whether the network says of `resolver` where it is, and one of the protocols that are known here.
pub fn can_be_asked(resolver: &EncryptedDns) -> bool {
    !resolver.addresses.is_empty() && !protocols(resolver).is_empty()
}

/// What can be spoken with `resolver`, in the order to try: TLS gets through most firewalls that know of DNS, HTTPS
/// through most of the others.
fn protocols(resolver: &EncryptedDns) -> Vec<DnsProtocol> {
    if resolver.priority == 0 || !is_host_name(&resolver.name) {
        return Vec::new();
    }
    let speaks = |alpn: &str| resolver.alpn.iter().any(|known| known == alpn);
    let name = || Arc::from(&*resolver.name);
    let path = || resolver.path.as_deref().and_then(without_variables);
    let tls = speaks("dot").then(|| DnsProtocol::Tls { name: name() });
    let https = path().filter(|_| speaks("h2")).map(|path| DnsProtocol::Https { name: name(), path });
    let quic = speaks("doq").then(|| DnsProtocol::Quic { name: name() });
    [tls, https, quic].into_iter().flatten().collect()
}

/// A URI template (RFC 6570) as it is expanded for POST, which has no variables (RFC 8484 4.1): every expression
/// becomes nothing. `None` when it is no template of an absolute path.
fn without_variables(template: &str) -> Option<Arc<str>> {
    let mut path = String::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        path.push_str(literal);
        (_, rest) = after.split_once('}')?;
    }
    path.push_str(rest);
    let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'}' | b'\\' | b'#');
    (path.starts_with('/') && !path.bytes().any(odd)).then(|| path.into())
}

/// Where `address` is from inside `pvd` and the source to ask it from, if a packet from there can get to it at all.
pub(super) fn reach(pvd: &Pvd, address: IpAddr, port: u16) -> Option<(SocketAddr, Option<IpAddr>)> {
    let from = |source| (scoped(address, port, pvd.ifindex), source);
    match address {
        IpAddr::V6(v6) if is_link_local(v6) => pvd.family.includes(AddressFamily::Ipv6).then(|| from(None)),
        // A network has no business with this host's own servers, and no server is behind the others.
        address if address.is_loopback() || address.is_unspecified() || address.is_multicast() => None,
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => None,
        address => sources(pvd, address).first().map(|source| from(Some(*source))),
    }
}

fn server(pvd: &Pvd, address: IpAddr, port: u16, protocol: DnsProtocol) -> Option<DnsServer> {
    reach(pvd, address, port).map(|(address, source)| DnsServer { address, source, protocol })
}
