//! Interfaces and provisioning domains as everybody outside the engine sees them: frozen, complete, cheap to share.

use crate::BootTime;
use crate::address_selection::{Candidate, Mobility};
use crate::configuration::{AddressFamily, Configuration, Element};
use crate::event::{Ifindex, LinkKind, LinkState};
use crate::shared::Shared;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The number in an object path: unique among its kind in a boot, never reused. The paths are the draft's interface and
/// provisioning domain identifiers (3.5.3, 3.5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Serial(pub u64);

/// An interface with the provisioning domains on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its identifier.
    pub serial: Serial,
    /// The kernel's number.
    pub ifindex: Ifindex,
    /// The kernel's name, escaped.
    pub name: String,
    /// What to call it to people: the alias, else the name.
    pub display_name: String,
    /// What sort of link it is.
    pub kind: LinkKind,
    /// Whether it carries packets.
    pub state: LinkState,
    /// The provisioning domains on it, in order of appearance.
    pub pvds: Vec<Serial>,
}

/// How a provisioning domain got its name (RFC 7556 2.1, 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The network named it (RFC 8801).
    Explicit,
    /// This host made it up from where the configuration came from.
    Implicit,
}

impl Origin {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Implicit => "implicit",
        }
    }
}

/// The families that a provisioning domain provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both (an explicit provisioning domain that a DHCPv4 lease joined).
    Dual,
}

impl Family {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Dual => "dual",
        }
    }

    /// Whether addresses of `family` belong here.
    pub const fn includes(self, family: AddressFamily) -> bool {
        match (self, family) {
            (Self::Dual, _) | (Self::Ipv4, AddressFamily::Ipv4) | (Self::Ipv6, AddressFamily::Ipv6) => true,
            (Self::Ipv4, AddressFamily::Ipv6) | (Self::Ipv6, AddressFamily::Ipv4) => false,
        }
    }
}

/// What makes a provisioning domain on a link the same one over time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PvdKey {
    /// An explicit provisioning domain, by its PvD ID (RFC 8801): one ID on two links is two of them.
    #[serde(serialize_with = "serialize_id", deserialize_with = "deserialize_id")]
    Explicit(Arc<str>),
    /// The implicit IPv4 provisioning domain of a link.
    ImplicitIpv4,
    /// The implicit IPv6 provisioning domain of a router, by its link-local address (RFC 8801 3.2).
    ImplicitIpv6Router(Ipv6Addr),
    /// IPv6 configuration that no router stands behind.
    ImplicitIpv6,
}

impl PvdKey {
    /// The Id that a provisioning domain born now on the link `name` gets.
    pub fn id(&self, name: &str) -> String {
        match self {
            Self::Explicit(id) => id.to_string(),
            Self::ImplicitIpv4 => format!("implicit:{name}:ipv4"),
            Self::ImplicitIpv6Router(router) => format!("implicit:{name}:ipv6:{router}"),
            Self::ImplicitIpv6 => format!("implicit:{name}:ipv6"),
        }
    }

    /// How the provisioning domain got its name.
    pub const fn origin(&self) -> Origin {
        match self {
            Self::Explicit(_) => Origin::Explicit,
            Self::ImplicitIpv4 | Self::ImplicitIpv6Router(_) | Self::ImplicitIpv6 => Origin::Implicit,
        }
    }
}

/// Whether an address may be used as a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressState {
    /// Not yet: duplicate address detection runs, or has failed.
    Tentative,
    /// Yes.
    Preferred,
    /// Only when nothing else will do (RFC 4862 5.5.4).
    Deprecated,
}

impl AddressState {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tentative => "tentative",
            Self::Preferred => "preferred",
            Self::Deprecated => "deprecated",
        }
    }
}

/// An address of a provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PvdAddress {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_length: u8,
    /// Whether it is a source.
    pub state: AddressState,
    /// What gave it.
    pub element: Element,
    /// An RFC 8981 temporary address.
    pub temporary: bool,
    /// Deprecated from then on.
    pub preferred_until: BootTime,
    /// Gone then.
    pub valid_until: BootTime,
}

impl PvdAddress {
    /// Whether sockets may be bound to it: everything but tentative and duplicate addresses (RFC 4862 5.4).
    pub fn usable(&self) -> bool {
        self.state != AddressState::Tentative
    }

    /// As RFC 6724 looks at it, or `None` when sockets must not be bound to it.
    pub fn candidate(&self) -> Option<Candidate> {
        self.usable().then(|| Candidate {
            address: self.address,
            prefix_length: self.prefix_length,
            deprecated: self.state == AddressState::Deprecated,
            temporary: self.temporary,
            mobility: Mobility::default(),
        })
    }
}

/// A provisioning domain: a link and all the configuration got on it for this domain (the draft, 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pvd {
    /// Its identifier on this host.
    pub serial: Serial,
    /// What makes it the same one over time.
    pub key: PvdKey,
    /// The interface that it lives on.
    pub interface: Serial,
    /// That interface's number in the kernel.
    pub ifindex: Ifindex,
    /// The PvD ID; implicit ones are named after the link as it was called when they were born.
    pub id: String,
    /// The families that it provides.
    pub family: Family,
    /// Its addresses, tentative ones included, in ascending order.
    pub addresses: Vec<PvdAddress>,
    /// The elements that are present, and what each of them gave.
    pub elements: BTreeMap<Element, Shared<Configuration>>,
    /// What the service itself uses: all elements joined in order.
    pub used: Shared<Configuration>,
    /// Goes up by one whenever a value of a configuration other than a time changes.
    pub revision: u32,
    /// The interface is up: packets can leave now.
    pub link_up: bool,
}

impl Pvd {
    /// Its addresses that sockets may be bound to.
    pub fn usable_addresses(&self) -> impl Iterator<Item = &PvdAddress> {
        self.addresses.iter().filter(|address| address.usable())
    }
}

fn serialize_id<S: Serializer>(id: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id)
}

fn deserialize_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Arc::from)
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
