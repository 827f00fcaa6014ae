//! The facts of one link.

use super::{Advertiser, Discovery, Overflow, RouterFacts};
use crate::BootTime;
use crate::event::{Address, AddressKey, Lease, LeaseClient, Link, LinkKind, LinkState, Route};
use crate::limits;
use crate::ra::RouterAdvertisement;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// What is known of one link.
#[derive(Clone, Debug, Default)]
pub struct LinkFacts {
    birth: u64,
    link: Option<Link>,
    named: bool,
    carrier: Carrier,
    discovery: Discovery,
    addresses: BTreeMap<AddressKey, AddressFact>,
    /// With whether the last dump has named them.
    routes: BTreeMap<Route, bool>,
    routers: BTreeMap<Advertiser, RouterFacts>,
    leases: BTreeMap<LeaseClient, Lease>,
    noticed: BTreeSet<Overflow>,
}

/// Whether facts of a link may be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// Down for longer than the grace, or never seen up: nothing learnt on it holds.
    #[default]
    Down,
    /// Lost at this moment: everything stays until the grace is over.
    LostAt(BootTime),
    /// Up since this moment.
    UpSince(BootTime),
}

/// An address and since when it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFact {
    /// What the kernel says.
    pub address: Address,
    /// When it was first seen since the link came up.
    pub seen: BootTime,
    /// Told since the last dump began.
    named: bool,
}

impl LinkFacts {
    pub(super) fn born(birth: u64) -> Self {
        Self { birth, ..Self::default() }
    }

    /// Tells this link from an earlier one of the same number.
    pub const fn birth(&self) -> u64 {
        self.birth
    }

    /// The link itself, once the kernel has told of it.
    pub const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Whether facts may be believed.
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &AddressFact> {
        self.addresses.values()
    }

    /// The routes of the main table that lead out here.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.keys()
    }

    /// The routers heard here and what they advertise.
    pub const fn routers(&self) -> &BTreeMap<Advertiser, RouterFacts> {
        &self.routers
    }

    /// The DHCP lease, if a client told of one. Of several the first client's counts.
    pub fn lease(&self) -> Option<&Lease> {
        self.leases.values().next()
    }

    /// Until when `fact` may wait for an advertisement that explains it.
    pub fn explains_until(&self, fact: &AddressFact) -> BootTime {
        self.discovery.explains_until(fact.seen)
    }

    /// Whether a Router Solicitation is to be sent now. Counts it as sent.
    pub fn solicit(&mut self, now: BootTime) -> bool {
        self.up_since().is_some() && self.has_link_local_source() && self.discovery.solicit(now)
    }

    /// Whether there is nothing to wait for: not up, or a router answered, or it was given its time.
    pub fn settled(&self, now: BootTime) -> bool {
        self.up_since().is_none_or(|up| self.discovery.settled(now, up))
    }

    /// Since when the link can send; never for loopback.
    pub fn up_since(&self) -> Option<BootTime> {
        match (self.carrier, self.link.as_ref()?.kind) {
            (_, LinkKind::Loopback) => None,
            (Carrier::UpSince(since), _) => Some(since),
            (Carrier::Down | Carrier::LostAt(_), _) => None,
        }
    }

    pub(super) fn set_link(&mut self, now: BootTime, link: Link) {
        self.carrier = match (self.carrier, link.state) {
            (Carrier::UpSince(since), LinkState::Up) => Carrier::UpSince(since),
            (Carrier::LostAt(_), LinkState::Up) => Carrier::UpSince(now),
            (Carrier::Down, LinkState::Up) => {
                self.start_afresh(now);
                Carrier::UpSince(now)
            }
            (Carrier::UpSince(_), LinkState::Down | LinkState::Dormant) => Carrier::LostAt(now),
            (carrier @ (Carrier::LostAt(_) | Carrier::Down), LinkState::Down | LinkState::Dormant) => carrier,
        };
        self.link = Some(link);
        self.named = true;
    }

    pub(super) fn put_address(&mut self, now: BootTime, address: Address) -> Option<Overflow> {
        if let Some(fact) = self.addresses.get_mut(&address.key) {
            fact.address = address;
            fact.named = true;
            return None;
        }
        if self.addresses.len() >= limits::ADDRESSES_PER_INTERFACE {
            return Some(Overflow::Addresses);
        }
        self.addresses.insert(address.key, AddressFact { address, seen: now, named: true });
        None
    }

    pub(super) fn remove_address(&mut self, key: &AddressKey) {
        self.addresses.remove(key);
    }

    /// A full list makes room for a default route: it is the one that everything hangs on.
    pub(super) fn put_route(&mut self, route: Route) -> Option<Overflow> {
        let mut overflow = None;
        if self.routes.len() >= limits::ROUTES_PER_INTERFACE && !self.has_route(&route) {
            overflow = Some(Overflow::Routes);
            let other = self.routes().filter(|other| is_default(&route) && !is_default(other)).last();
            let Some(other) = other.cloned() else { return overflow };
            self.routes.remove(&other);
        }
        self.routes.insert(route, true);
        overflow
    }

    pub(super) fn has_route(&self, route: &Route) -> bool {
        self.routes.contains_key(route)
    }

    pub(super) fn remove_route(&mut self, route: &Route) {
        self.routes.remove(route);
    }

    pub(super) fn put_router(
        &mut self,
        now: BootTime,
        router: Ipv6Addr,
        advertisement: &RouterAdvertisement,
    ) -> Option<Overflow> {
        self.discovery.answer();
        let advertiser = Advertiser::of(router, advertisement);
        let mut facts = self.routers.remove(&advertiser).filter(|facts| facts.alive(now)).unwrap_or_default();
        let overflow = facts.update(now, &self.settle_ownership(now, &advertiser, advertisement));
        if !facts.alive(now) {
            return overflow;
        }
        if self.routers.len() >= limits::ROUTERS_PER_INTERFACE && !self.make_room(&facts) {
            return Some(Overflow::Routers);
        }
        self.routers.insert(advertiser, facts);
        overflow
    }

    pub(super) fn put_lease(&mut self, client: LeaseClient, lease: Lease) {
        self.leases.insert(client, lease);
    }

    pub(super) fn remove_lease(&mut self, client: LeaseClient) {
        self.leases.remove(&client);
    }

    /// Whether this cap was not hit here before. Counts it as hit.
    pub(super) fn notice(&mut self, overflow: Overflow) -> bool {
        self.noticed.insert(overflow)
    }

    /// A dump begins: nothing is named yet.
    pub(super) fn begin_dump(&mut self) {
        self.named = false;
        self.addresses.values_mut().for_each(|fact| fact.named = false);
        self.routes.values_mut().for_each(|named| *named = false);
    }

    /// Whether the dump has named this link.
    pub(super) const fn named(&self) -> bool {
        self.named
    }

    /// The addresses that the dump has named, or those that it has not.
    pub(super) fn addresses_named(&self, named: bool) -> Vec<Address> {
        self.addresses().filter(|fact| fact.named == named).map(|fact| fact.address.clone()).collect()
    }

    /// The routes that the dump has named, or those that it has not.
    pub(super) fn routes_named(&self, named: bool) -> Vec<Route> {
        self.routes.iter().filter(|(_, of)| **of == named).map(|(route, _)| route.clone()).collect()
    }

    /// Whether nothing is known, not even the link.
    pub(super) fn is_empty(&self) -> bool {
        self.link.is_none()
            && self.addresses.is_empty()
            && self.routes.is_empty()
            && self.routers.is_empty()
            && self.leases.is_empty()
    }

    /// Ends the belief in what was learnt on a link that is without carrier for longer than `grace`.
    pub fn end_grace(&mut self, now: BootTime, grace: Duration) {
        if let Carrier::LostAt(lost) = self.carrier
            && lost.after(grace).passed(now)
        {
            self.carrier = Carrier::Down;
            self.routers.clear();
            self.leases.clear();
        }
    }

    /// Drops what has run out at `now`; `grace` is how long a link without carrier is believed.
    pub fn expire(&mut self, now: BootTime, grace: Duration) {
        self.end_grace(now, grace);
        self.routers.retain(|_, router| {
            router.expire(now);
            router.alive(now)
        });
        self.leases.retain(|_, lease| !lease.expires.passed(now));
    }

    /// When the next fact runs out.
    pub fn next_deadline(&self, now: BootTime, grace: Duration) -> Option<BootTime> {
        let grace_ends = match self.carrier {
            Carrier::LostAt(lost) => Some(lost.after(grace)),
            Carrier::Down | Carrier::UpSince(_) => None,
        };
        let routers = self.routers.values().filter_map(RouterFacts::next_deadline);
        let leases = self.leases.values().map(|lease| lease.expires);
        let discovery = self.up_since().and_then(|up| self.discovery.next_deadline(now, up));
        let deadlines = routers.chain(leases).chain(grace_ends).chain(discovery);
        deadlines.filter(|deadline| *deadline != BootTime::FOREVER).min()
    }

    /// Asks routers anew; addresses from before wait for an explanation as if they were new.
    fn start_afresh(&mut self, now: BootTime) {
        self.discovery = Discovery::default();
        for fact in self.addresses.values_mut() {
            fact.seen = now;
        }
    }

    /// Makes room for a router whose prefixes are in use here by one whose are not; whether there was one.
    ///
    /// So a flood of made-up routers never drives out, nor keeps out, one that this host has an address from.
    fn make_room(&mut self, newcomer: &RouterFacts) -> bool {
        if !self.in_use(newcomer) {
            return false;
        }
        let idle = self.routers.iter().find(|(_, router)| !self.in_use(router));
        let idle = idle.map(|(advertiser, _)| advertiser.clone());
        idle.is_some_and(|advertiser| self.routers.remove(&advertiser).is_some())
    }

    /// An object belongs to the provisioning domain of the advertisement that last carried it (RFC 8801 3.2), so
    /// others lose it. So that nothing flaps, implicit ones take nothing from an explicit one that still holds it,
    /// and share among themselves (contract, rule 3). What is left of the advertisement for its sender.
    fn settle_ownership<'a>(
        &mut self,
        now: BootTime,
        sender: &Advertiser,
        advertisement: &'a RouterAdvertisement,
    ) -> Cow<'a, RouterAdvertisement> {
        let mut left = Cow::Borrowed(advertisement);
        let others = self.routers.iter_mut().filter(|(other, _)| other.pvd != sender.pvd);
        for (other, facts) in others {
            let same_router = other.router == sender.router;
            match (&sender.pvd, &other.pvd) {
                (Some(_), _) => facts.cede(advertisement, same_router),
                (None, Some(_)) => {
                    facts.expire(now);
                    facts.keep_from(left.to_mut(), same_router);
                }
                (None, None) => {}
            }
        }
        left
    }

    /// Solicitations leave from a link-local address (RFC 4861 4.1).
    fn has_link_local_source(&self) -> bool {
        self.addresses().any(|fact| match fact.address.key.address {
            IpAddr::V6(address) => address.is_unicast_link_local() && !fact.address.tentative,
            IpAddr::V4(_) => false,
        })
    }

    fn in_use(&self, router: &RouterFacts) -> bool {
        let leased = !self.leases.is_empty() && router.option().is_some_and(|option| option.legacy);
        leased
            || self.addresses().any(|fact| !fact.address.tentative && router.covers(fact.address.key.address))
    }
}

const fn is_default(route: &Route) -> bool {
    route.destination.length == 0
}
