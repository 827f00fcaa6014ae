//! Events of the kernel in few words: `up(ETH0)`, `address(ETH0, "192.0.2.5/24")`, `route(ETH0, "0.0.0.0/0")`.

use super::{ip, prefix, with_length};
use mif_core::BootTime;
use mif_core::event::{Address, AddressKey, Event, Ifindex, Link, LinkKind, LinkState, Route};

/// The loopback link.
pub const LO: Ifindex = 1;
/// An Ethernet link.
pub const ETH0: Ifindex = 2;
/// Another.
pub const ETH1: Ifindex = 3;
/// A tunnel.
pub const TUN0: Ifindex = 4;

/// rtm_protocol of a connected route.
pub const KERNEL: u8 = 2;
/// rtm_protocol of a route by hand.
pub const STATIC: u8 = 4;
/// rtm_protocol of a route from a Router Advertisement.
pub const RA: u8 = 9;
/// rtm_protocol of a route from a DHCP client.
pub const DHCP: u8 = 16;

/// A link with the name and kind that its number stands for in these tests.
pub fn link(ifindex: Ifindex, state: LinkState) -> Link {
    let (name, kind) = match ifindex {
        LO => ("lo".to_owned(), LinkKind::Loopback),
        ETH0 => ("eth0".to_owned(), LinkKind::Ethernet),
        ETH1 => ("eth1".to_owned(), LinkKind::Ethernet),
        TUN0 => ("tun0".to_owned(), LinkKind::Tunnel),
        other => (format!("veth{other}"), LinkKind::Ethernet),
    };
    Link { ifindex, name, alias: None, kind, state, master: None }
}

/// A link that is up, new or changed.
pub fn up(ifindex: Ifindex) -> Event {
    Event::Link(link(ifindex, LinkState::Up))
}

/// A link without carrier, new or changed.
pub fn down(ifindex: Ifindex) -> Event {
    Event::Link(link(ifindex, LinkState::Down))
}

/// A link that is up and a port of another.
pub fn port(ifindex: Ifindex, master: Ifindex) -> Event {
    Event::Link(Link { master: Some(master), ..link(ifindex, LinkState::Up) })
}

/// A link is gone.
pub fn gone(ifindex: Ifindex) -> Event {
    Event::LinkGone { ifindex }
}

/// An address: permanent and usable unless a method says otherwise.
#[derive(Clone, Debug)]
pub struct AddressWords(Address);

/// An address by hand.
pub fn address(ifindex: Ifindex, text: &str) -> AddressWords {
    let (address, prefix_length) = with_length(text);
    AddressWords(Address {
        key: AddressKey { ifindex, address, prefix_length },
        preferred_until: BootTime::FOREVER,
        valid_until: BootTime::FOREVER,
        tentative: false,
        deprecated: false,
        temporary: false,
        permanent: true,
        from_router_advertisement: false,
        peer: None,
    })
}

impl AddressWords {
    /// With lifetimes: from DHCP or a Router Advertisement.
    pub fn lasting(mut self, preferred_until: BootTime, valid_until: BootTime) -> Self {
        self.0.preferred_until = preferred_until;
        self.0.valid_until = valid_until;
        self.0.permanent = false;
        self
    }

    /// The kernel made it from a Router Advertisement.
    pub fn autoconfigured(mut self) -> Self {
        self.0.permanent = false;
        self.0.from_router_advertisement = true;
        self
    }

    /// Duplicate address detection runs, or has failed.
    pub fn tentative(mut self) -> Self {
        self.0.tentative = true;
        self
    }

    /// Past its preferred lifetime.
    pub fn deprecated(mut self) -> Self {
        self.0.deprecated = true;
        self
    }

    /// Of a link that has only one other end.
    pub fn peer(mut self, peer: &str) -> Self {
        self.0.peer = Some(peer.parse().unwrap());
        self
    }

    /// RFC 8981.
    pub fn temporary(mut self) -> Self {
        self.0.temporary = true;
        self
    }
}

impl From<AddressWords> for Event {
    fn from(words: AddressWords) -> Self {
        Self::Address(words.0)
    }
}

/// An address is gone.
pub fn address_gone(ifindex: Ifindex, text: &str) -> Event {
    Event::AddressGone { key: address(ifindex, text).0.key }
}

/// A route: on-link, by hand and of metric 100 unless a method says otherwise.
#[derive(Clone, Debug)]
pub struct RouteWords(Route);

/// A route by hand.
pub fn route(ifindex: Ifindex, destination: &str) -> RouteWords {
    let destination = prefix(destination);
    RouteWords(Route { ifindex, destination, gateway: None, metric: 100, protocol: STATIC })
}

impl RouteWords {
    /// Through this router.
    pub fn via(mut self, gateway: &str) -> Self {
        self.0.gateway = Some(ip(gateway));
        self
    }

    /// The smallest wins.
    pub fn metric(mut self, metric: u32) -> Self {
        self.0.metric = metric;
        self
    }

    /// Who made it.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.0.protocol = protocol;
        self
    }

    /// The route is gone.
    pub fn gone(self) -> Event {
        Event::RouteGone { route: self.0 }
    }
}

impl From<RouteWords> for Event {
    fn from(words: RouteWords) -> Self {
        Self::Route(words.0)
    }
}
