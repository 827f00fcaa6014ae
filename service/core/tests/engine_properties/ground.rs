//! What holds on one link of the model.

use crate::common::host::SETTINGS;
use crate::heard::{Heard, OwnAddresses};
use mif_core::BootTime;
use mif_core::event::{Address, AddressKey, Dhcpv6Lease, Event, Lease, Link, LinkKind, LinkState, Route};
use std::collections::{BTreeMap, BTreeSet};

/// One link.
#[derive(Default)]
pub struct Place {
    /// As the kernel has it.
    pub link: Option<Link>,
    /// As the kernel has them.
    pub addresses: BTreeMap<AddressKey, Address>,
    /// As an observer believes them to be, who has not seen all and does not take for gone what a dump may still name.
    pub believed: OwnAddresses,
    /// As the kernel has them.
    pub routes: BTreeSet<Route>,
    /// What still holds of what routers said.
    pub heard: Heard,
    /// What still holds of what the DHCP client said.
    pub lease: Option<Lease>,
    /// What still holds of what the DHCPv6 client said.
    pub dhcpv6: Option<Dhcpv6Lease>,
    /// Seen as a port of another link.
    pub is_port: bool,
    carrier: Carrier,
    kind: Option<LinkKind>,
}

/// What an observer believes of the carrier.
#[derive(Clone, Copy, Default)]
enum Carrier {
    #[default]
    Down,
    Lost(BootTime),
    Up,
}

impl Place {
    /// Somebody looks at the link.
    pub fn observe(&mut self, now: BootTime) {
        let Some(link) = self.link.as_ref() else { return };
        let (kind, state, is_port) = (link.kind, link.state, link.master.is_some());
        if self.kind.replace(kind).is_some_and(|known| known != kind) {
            self.distrust();
            self.believed = self.addresses.clone();
        }
        self.is_port = is_port;
        if is_port {
            self.distrust();
            return;
        }
        let up = state == LinkState::Up;
        self.carrier = match self.carrier {
            _ if up => Carrier::Up,
            Carrier::Up => Carrier::Lost(now),
            carrier @ (Carrier::Down | Carrier::Lost(_)) => carrier,
        };
    }

    /// Somebody sees what the kernel says of an address.
    pub fn believe(&mut self, now: BootTime, event: &Event) {
        match event {
            Event::Address(address) => drop(self.believed.insert(address.key, address.clone())),
            Event::AddressGone { key } => drop(self.believed.remove(key)),
            _ => {}
        }
        self.heard.expire(now, &self.believed);
    }

    /// The kernel has it no more, and nobody saw it go.
    pub fn vanish(&mut self) {
        self.link = None;
        self.addresses.clear();
        self.routes.clear();
    }

    /// Lets what ends by `now` end.
    pub fn expire(&mut self, now: BootTime) {
        if let Carrier::Lost(since) = self.carrier
            && since.after(SETTINGS.grace) <= now
        {
            self.distrust();
        }
        self.lease = self.lease.take().filter(|lease| !lease.expires.passed(now));
        let ended = |lease: &Dhcpv6Lease| lease.expires.is_some_and(|expires| expires.passed(now));
        self.dhcpv6 = self.dhcpv6.take().filter(|lease| !ended(lease));
        self.heard.expire(now, &self.believed);
    }

    /// What the kernel would say in a dump.
    pub fn dump(&self) -> Vec<Event> {
        let link = self.link.iter().cloned().map(Event::Link);
        let addresses = self.addresses.values().cloned().map(Event::Address);
        link.chain(addresses).chain(self.routes.iter().cloned().map(Event::Route)).collect()
    }

    fn distrust(&mut self) {
        self.carrier = Carrier::Down;
        self.heard.forget();
        self.lease = None;
        self.dhcpv6 = None;
    }
}
