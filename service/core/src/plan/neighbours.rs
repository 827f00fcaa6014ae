//! What is asked of everybody on the link: multicast DNS (RFC 6762) and LLMNR (RFC 4795).

use super::name::{HostName, Place};
use super::{BadName, Families, Invalid, Refusal, System, Unreachable, UntranslatableName, sources};
use crate::configuration::{AddressFamily, Prefix};
use crate::pvd::Pvd;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

const MDNS_PORT: u16 = 5353;
const MDNS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const LLMNR_PORT: u16 = 5355;
const LLMNR_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 252);
const LLMNR_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3);

/// How to ask the neighbours of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPlan {
    /// What to ask.
    pub question: LinkQuestion,
    /// The groups to ask, one a family of the provisioning domain; never empty.
    pub groups: Vec<Group>,
}

/// What to ask the neighbours of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkQuestion {
    /// The addresses of this name. Both protocols take it as UTF-8, not as A-labels (RFC 6762 16, RFC 4795 2).
    Addresses(String),
    /// Who has this address (RFC 6762 4), asked for by this name.
    Owner(IpAddr, String),
}

/// A multicast group and who may answer for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Where to ask; a group of IPv6 carries the interface as its scope.
    pub address: SocketAddr,
    /// The source to ask from. `None` for IPv6: the kernel takes the link's own link-local address, which belongs to
    /// no provisioning domain.
    pub source: Option<IpAddr>,
    /// Prefixes of the link: who answers from elsewhere is no neighbour (RFC 6762 11, RFC 4795 2.5).
    pub on_link: Vec<Prefix>,
}

impl LinkPlan {
    /// The name that is asked for.
    pub fn name(&self) -> &str {
        match &self.question {
            LinkQuestion::Addresses(name) | LinkQuestion::Owner(_, name) => name,
        }
    }
}

impl Group {
    /// Whether `address` is one of a neighbour.
    pub fn is_neighbour(&self, address: IpAddr) -> bool {
        self.on_link.iter().any(|prefix| prefix.covers(address))
    }
}

/// Names under .local, and the reverse names of link-local addresses, are asked of the link and of nobody else
/// (RFC 6762 3 and 4); other names by mDNS never.
pub(super) fn ask_mdns(pvd: &Pvd, name: &HostName, families: Families) -> Result<LinkPlan, Refusal> {
    let question = match name.place() {
        Place::Local => LinkQuestion::Addresses(name.unicode.clone()),
        Place::LinkLocalReverse(Some(address)) if !families.includes(AddressFamily::of(address)) => {
            return Err(Refusal::NoAddress(address));
        }
        Place::LinkLocalReverse(Some(address)) => LinkQuestion::Owner(address, name.ascii.clone()),
        Place::LinkLocalReverse(None) | Place::Special(_) | Place::Label | Place::Global => {
            return Err(not_for(name, System::Mdns));
        }
    };
    ask(pvd, name, question, (MDNS_V4, MDNS_V6, MDNS_PORT))
}

/// A single label: nothing else is (RFC 4795 2, "by default").
pub(super) fn ask_llmnr(pvd: &Pvd, name: &HostName) -> Result<LinkPlan, Refusal> {
    if name.place() != Place::Label {
        return Err(not_for(name, System::Llmnr));
    }
    ask(pvd, name, LinkQuestion::Addresses(name.unicode.clone()), (LLMNR_V4, LLMNR_V6, LLMNR_PORT))
}

fn ask(
    pvd: &Pvd,
    name: &HostName,
    question: LinkQuestion,
    (v4, v6, port): (Ipv4Addr, Ipv6Addr, u16),
) -> Result<LinkPlan, Refusal> {
    const LONGEST_LABEL: usize = 63;
    // Written as UTF-8, a label may be longer than as an A-label.
    if let Some(label) = name.unicode.split('.').find(|label| label.len() > LONGEST_LABEL) {
        let long = BadName::LabelTooLong(label.to_owned());
        return Err(Refusal::InvalidArgs(Invalid::Name(name.unicode.clone(), long)));
    }
    if !pvd.link_up {
        return Err(Refusal::NetworkUnreachable(Unreachable::InterfaceDown(pvd.id.clone())));
    }
    let groups: Vec<Group> =
        [group_v4(pvd, v4, port), group_v6(pvd, v6, port)].into_iter().flatten().collect();
    if groups.is_empty() {
        let family =
            if pvd.family.includes(AddressFamily::Ipv4) { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
        return Err(Refusal::NetworkUnreachable(Unreachable::NoUsableAddress(pvd.id.clone(), family)));
    }
    Ok(LinkPlan { question, groups })
}

fn group_v4(pvd: &Pvd, address: Ipv4Addr, port: u16) -> Option<Group> {
    const LINK_LOCAL: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), length: 16 };
    let source = sources(pvd, address.into()).first().copied()?;
    let mut on_link = own_prefixes(pvd, AddressFamily::Ipv4);
    on_link.push(LINK_LOCAL);
    Some(Group { address: SocketAddr::new(address.into(), port), source: Some(source), on_link })
}

/// The link-local address is there before any other, and so before the provisioning domain is.
fn group_v6(pvd: &Pvd, address: Ipv6Addr, port: u16) -> Option<Group> {
    const LINK_LOCAL: Prefix =
        Prefix { address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), length: 10 };
    if !pvd.family.includes(AddressFamily::Ipv6) {
        return None;
    }
    let mut on_link = own_prefixes(pvd, AddressFamily::Ipv6);
    on_link.push(LINK_LOCAL);
    let address = SocketAddr::V6(SocketAddrV6::new(address, port, 0, pvd.ifindex));
    Some(Group { address, source: None, on_link })
}

/// The prefixes that the provisioning domain has on its link: those of its addresses, and those that its routers
/// advertise as on-link (RFC 4861 4.6.2).
fn own_prefixes(pvd: &Pvd, family: AddressFamily) -> Vec<Prefix> {
    let of_addresses = pvd.addresses.iter().map(|own| Prefix::covering(own.address, own.prefix_length));
    let advertised = pvd.used.prefixes.iter().filter(|(_, data)| data.on_link).map(|(prefix, _)| *prefix);
    let mut prefixes: Vec<Prefix> = Vec::new();
    for prefix in of_addresses.chain(advertised).filter(|prefix| AddressFamily::of(prefix.address) == family)
    {
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }
    prefixes
}

pub(super) fn not_for(name: &HostName, system: System) -> Refusal {
    Refusal::NameNotFound(UntranslatableName::NotFor { name: name.ascii.clone(), system })
}
