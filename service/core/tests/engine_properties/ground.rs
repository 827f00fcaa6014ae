//! What holds on one link of the model, and what was heard of its routers.

use crate::common::host::SETTINGS;
use mif_core::BootTime;
use mif_core::configuration::{Preference, Prefix, PrefixData, RouteData};
use mif_core::event::{Address, AddressKey, Event, Lease, Link, LinkKind, LinkState, Route};
use mif_core::ra::{PrefixInformation, RouteInformation, RouterAdvertisement, Timed};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

/// One link.
#[derive(Default)]
pub struct Place {
    /// As the kernel has it.
    pub link: Option<Link>,
    /// As the kernel has them.
    pub addresses: BTreeMap<AddressKey, Address>,
    /// As the kernel has them.
    pub routes: BTreeSet<Route>,
    /// What still holds of what routers said.
    pub routers: BTreeMap<Ipv6Addr, Heard>,
    /// What still holds of what the DHCP client said.
    pub lease: Option<Lease>,
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

/// What still holds of what a router said.
#[derive(Default)]
pub struct Heard {
    default_until: Option<BootTime>,
    preference: Preference,
    managed: bool,
    mtu: Option<u32>,
    prefixes: BTreeMap<Prefix, PrefixData>,
    routes: BTreeMap<Prefix, RouteData>,
    servers: Vec<(Ipv6Addr, BootTime)>,
}

impl Place {
    /// Somebody looks at the link.
    pub fn observe(&mut self, now: BootTime) {
        let Some((kind, state)) = self.link.as_ref().map(|link| (link.kind, link.state)) else { return };
        if self.kind.replace(kind).is_some_and(|known| known != kind) {
            self.distrust();
        }
        let up = state == LinkState::Up;
        self.carrier = match self.carrier {
            _ if up => Carrier::Up,
            Carrier::Up => Carrier::Lost(now),
            carrier @ (Carrier::Down | Carrier::Lost(_)) => carrier,
        };
    }

    /// The kernel has it no more, and nobody saw it go.
    pub fn vanish(&mut self) {
        self.link = None;
        self.addresses.clear();
        self.routes.clear();
    }

    /// A router advertises.
    pub fn hear(&mut self, now: BootTime, router: Ipv6Addr, says: &RouterAdvertisement) {
        self.routers.entry(router).or_default().hear(now, says);
        self.routers.retain(|_, heard| heard.holds());
    }

    /// Lets what ends by `now` end.
    pub fn expire(&mut self, now: BootTime) {
        if let Carrier::Lost(since) = self.carrier
            && since.after(SETTINGS.grace) <= now
        {
            self.distrust();
        }
        self.lease = self.lease.take().filter(|lease| !lease.expires.passed(now));
        self.routers.values_mut().for_each(|heard| heard.expire(now));
        self.routers.retain(|_, heard| heard.holds());
    }

    /// What the kernel would say in a dump.
    pub fn dump(&self) -> Vec<Event> {
        let link = self.link.iter().cloned().map(Event::Link);
        let addresses = self.addresses.values().cloned().map(Event::Address);
        link.chain(addresses).chain(self.routes.iter().cloned().map(Event::Route)).collect()
    }

    fn distrust(&mut self) {
        self.carrier = Carrier::Down;
        self.routers.clear();
        self.lease = None;
    }
}

impl Heard {
    /// One advertisement that says all of it again.
    pub fn as_advertisement(&self, now: BootTime) -> RouterAdvertisement {
        let left = |until: BootTime| {
            now.until(until).map_or(u32::MAX, |left| u32::try_from(left.as_secs()).unwrap())
        };
        let prefix = |(prefix, data): (&Prefix, &PrefixData)| PrefixInformation {
            prefix: *prefix,
            on_link: data.on_link,
            autonomous: data.autonomous,
            valid_lifetime: left(data.valid_until),
            preferred_lifetime: left(data.preferred_until),
        };
        let route = |(destination, data): (&Prefix, &RouteData)| RouteInformation {
            destination: *destination,
            preference: data.preference,
            lifetime: left(data.valid_until),
        };
        RouterAdvertisement {
            router_lifetime: self.default_until.map_or(0, |until| u16::try_from(left(until)).unwrap()),
            preference: self.preference,
            managed: self.managed,
            mtu: self.mtu,
            prefixes: self.prefixes.iter().map(prefix).collect(),
            routes: self.routes.iter().map(route).collect(),
            dns_servers: self
                .servers
                .iter()
                .map(|(value, until)| Timed { value: *value, lifetime: left(*until) })
                .collect(),
            ..RouterAdvertisement::default()
        }
    }

    fn hear(&mut self, now: BootTime, says: &RouterAdvertisement) {
        let lifetime = u32::from(says.router_lifetime);
        self.default_until = (lifetime != 0).then(|| now.after_lifetime(lifetime));
        (self.preference, self.managed) = (says.preference, says.managed);
        self.mtu = says.mtu.or(self.mtu);
        for option in &says.prefixes {
            let data = PrefixData {
                on_link: option.on_link,
                autonomous: option.autonomous,
                preferred_until: now.after_lifetime(option.preferred_lifetime),
                valid_until: now.after_lifetime(option.valid_lifetime),
            };
            self.prefixes.insert(option.prefix, data);
        }
        for option in &says.routes {
            let valid_until = now.after_lifetime(option.lifetime);
            self.routes.insert(option.destination, RouteData { preference: option.preference, valid_until });
        }
        for option in &says.dns_servers {
            let until = now.after_lifetime(option.lifetime);
            match self.servers.iter_mut().find(|(server, _)| *server == option.value) {
                Some((_, known)) if option.lifetime != 0 => *known = until,
                Some(_) => self.servers.retain(|(server, _)| *server != option.value),
                None if option.lifetime == 0 => {}
                None => self.servers.push((option.value, until)),
            }
        }
        self.expire(now);
    }

    fn expire(&mut self, now: BootTime) {
        self.default_until = self.default_until.filter(|until| !until.passed(now));
        self.prefixes.retain(|_, data| !data.valid_until.passed(now));
        self.routes.retain(|_, data| !data.valid_until.passed(now));
        self.servers.retain(|(_, until)| !until.passed(now));
    }

    fn holds(&self) -> bool {
        self.default_until.is_some()
            || !self.prefixes.is_empty()
            || !self.routes.is_empty()
            || !self.servers.is_empty()
    }
}
