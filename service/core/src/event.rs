//! What enters the core. Sources decode the kernel, the wire and leases into these, and nothing else comes in.

use crate::BootTime;
use crate::configuration::Prefix;
use crate::fetch::Fetched;
use crate::ra::RouterAdvertisement;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr};

pub use crate::lease::{Dhcpv6Lease, Lease, LeaseClient, LinkSettings, SettingsManager};

/// The kernel's number of an interface, unique in its network namespace while the interface lives.
pub type Ifindex = u32;

/// One thing that a source saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A dump of the kernel's links, addresses and routes begins: what it does not name by [`Event::ResyncEnd`]
    /// is gone. Nothing is published in between.
    ResyncBegin,
    /// The dump is complete, and everything that changed while it ran has been told after it.
    ResyncEnd,
    /// A link, new or changed.
    Link(Link),
    /// A link is no more in this network namespace.
    LinkGone {
        /// Which.
        ifindex: Ifindex,
    },
    /// An address, new or changed.
    Address(Address),
    /// An address was removed.
    AddressGone {
        /// Which.
        key: AddressKey,
    },
    /// A route of the main table, new or changed.
    Route(Route),
    /// A route of the main table was removed.
    RouteGone {
        /// Which.
        route: Route,
    },
    /// A valid Router Advertisement came in (all checks of RFC 4861 6.1.2 done).
    RouterAdvertisement {
        /// The receiving link.
        ifindex: Ifindex,
        /// The router's link-local address.
        router: Ipv6Addr,
        /// What it says.
        advertisement: RouterAdvertisement,
    },
    /// A DHCPv4 client holds a lease, new, renewed or changed.
    Lease {
        /// The link that it configures.
        ifindex: Ifindex,
        /// Who told.
        client: LeaseClient,
        /// What was leased.
        lease: Box<Lease>,
    },
    /// A DHCPv4 client holds no lease on this link any more, or the client itself is gone.
    LeaseGone {
        /// The link.
        ifindex: Ifindex,
        /// Who told.
        client: LeaseClient,
    },
    /// A DHCPv6 client has something from a server, new, renewed or changed.
    Dhcpv6 {
        /// The link that it configures.
        ifindex: Ifindex,
        /// Who told.
        client: LeaseClient,
        /// What the server gave.
        lease: Box<Dhcpv6Lease>,
    },
    /// A DHCPv6 client has nothing from a server on this link any more, or the client itself is gone.
    Dhcpv6Gone {
        /// The link.
        ifindex: Ifindex,
        /// Who told.
        client: LeaseClient,
    },
    /// What a network manager says that people or a VPN set on a link, new or changed.
    Settings {
        /// The link.
        ifindex: Ifindex,
        /// Who told.
        manager: SettingsManager,
        /// What is set.
        settings: Box<LinkSettings>,
    },
    /// A network manager has nothing set on a link any more.
    SettingsGone {
        /// The link.
        ifindex: Ifindex,
        /// Who told.
        manager: SettingsManager,
    },
    /// A web server was asked as the engine commanded, and this came of it.
    Fetched(Box<Fetched>),
}

/// A link as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The kernel's number.
    pub ifindex: Ifindex,
    /// The kernel's name, escaped ([`crate::text::escape`]).
    pub name: String,
    /// The alias that an administrator gave, escaped.
    pub alias: Option<String>,
    /// What sort of link it is.
    pub kind: LinkKind,
    /// Whether it carries packets.
    pub state: LinkState,
    /// The link that it is a port of (bridge, bond, team, Open vSwitch): what comes in is that one's. Not where a master
    /// only chooses another routing table (VRF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Ifindex>,
}

/// The sort of a link, as far as people care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// Ethernet and what looks like it (veth).
    Ethernet,
    /// IEEE 802.11.
    Wifi,
    /// Mobile broadband.
    Wwan,
    /// Tunnels and VPNs (tun, wireguard, ipip, sit, gre, vxlan ...).
    Tunnel,
    /// An Ethernet bridge.
    Bridge,
    /// IEEE 802.1Q.
    Vlan,
    /// Aggregated links (bond, team).
    Bond,
    /// The loopback link.
    Loopback,
    /// Anything else.
    Other,
}

impl LinkKind {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Wifi => "wifi",
            Self::Wwan => "wwan",
            Self::Tunnel => "tunnel",
            Self::Bridge => "bridge",
            Self::Vlan => "vlan",
            Self::Bond => "bond",
            Self::Loopback => "loopback",
            Self::Other => "other",
        }
    }
}

/// Whether a link carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Administratively up, with carrier.
    Up,
    /// Administratively down, or without carrier.
    Down,
    /// Has carrier, waits for something above (IEEE 802.1X, RFC 2863 "dormant").
    Dormant,
}

impl LinkState {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Dormant => "dormant",
        }
    }
}

/// What tells one address of the kernel from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressKey {
    /// The link that has it.
    pub ifindex: Ifindex,
    /// The address (the local one of a point-to-point link).
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_length: u8,
}

/// An address as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Which.
    #[serde(flatten)]
    pub key: AddressKey,
    /// Deprecated from then on, by the kernel's count.
    pub preferred_until: BootTime,
    /// Gone then, by the kernel's count.
    pub valid_until: BootTime,
    /// Duplicate address detection still runs, or has failed: it is no source.
    pub tentative: bool,
    /// Past its preferred lifetime (RFC 4862 5.5.4).
    pub deprecated: bool,
    /// An RFC 8981 temporary address.
    pub temporary: bool,
    /// Configured without a lifetime: by hand, or by something that does not say so.
    pub permanent: bool,
    /// The kernel made it from a Router Advertisement (IFA_PROTO, kernel 5.18 and later).
    pub from_router_advertisement: bool,
    /// The other end, of an address that was given with one: not the network of the address but the peer's is on the
    /// link then, and that may be the peer alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
}

/// A unicast route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// The outgoing link.
    pub ifindex: Ifindex,
    /// Where it leads to.
    pub destination: Prefix,
    /// The router; `None` means on-link.
    pub gateway: Option<IpAddr>,
    /// Its metric: the smallest wins.
    pub metric: u32,
    /// Who made it (rtm_protocol: 2 kernel, 3 boot, 4 static, 9 ra, 16 dhcp ...).
    pub protocol: u8,
}
