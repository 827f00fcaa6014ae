//! The facts of one link.

use super::ended::{self, OwnAddresses};
use super::inquiry::Inquiries;
use super::told::Told;
use super::{Advertiser, Discovery, Overflow, RouterFacts};
use crate::BootTime;
use crate::configuration::Prefix;
use crate::event::{Address, AddressKey, Link, LinkKind, LinkState, Route};
use crate::fetch::{Fetched, Fetches};
use crate::lease::{Dhcpv6Lease, Lease, LeaseClient, LinkSettings, SettingsManager};
use crate::limits;
use crate::pvd::PvdKey;
use crate::ra::{PvdOption, RouterAdvertisement};
use litemap::LiteMap;
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
    addresses: LiteMap<AddressKey, AddressFact>,
    /// With whether the last dump has named them.
    routes: LiteMap<Route, bool>,
    routers: BTreeMap<Advertiser, RouterFacts>,
    told: Told,
    inquiries: Inquiries,
    fetches: Fetches,
    noticed: BTreeSet<Overflow>,
}

/// Whether facts of a link may be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// Down for longer than the grace, never seen up, or a port of another link: nothing learnt on it holds.
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

    /// The routers heard here, those among them that advertise nothing any more but did advertise what an address here
    /// was made from.
    pub const fn routers(&self) -> &BTreeMap<Advertiser, RouterFacts> {
        &self.routers
    }

    /// The routers that advertise something here.
    pub fn advertising(&self) -> impl Iterator<Item = (&Advertiser, &RouterFacts)> {
        self.routers.iter().filter(|(_, facts)| facts.advertises())
    }

    /// The DHCPv4 lease, if a client told of one. Of several the first client's counts ([`LeaseClient`]), and of
    /// records only those whose address the kernel has here, until it says so.
    pub fn lease(&self) -> Option<(LeaseClient, Cow<'_, Lease>)> {
        self.told.lease(|address| self.valid_until(address))
    }

    /// What DHCPv6 gave, if a client told of it. With addresses it counts while the kernel has one of them here.
    pub fn dhcpv6(&self) -> Option<(LeaseClient, Cow<'_, Dhcpv6Lease>)> {
        self.told.dhcpv6(|address| self.valid_until(address))
    }

    /// What people or a VPN set on the link, as its manager told, without what was given by the network.
    pub fn settings(&self) -> Option<(SettingsManager, &LinkSettings)> {
        self.told.settings()
    }

    /// The PvD option that stands for this ID now.
    pub fn pvd_option(&self, id: &str) -> Option<&PvdOption> {
        option_of(&self.routers, id)
    }

    /// What web servers of this link were asked, and what they said.
    pub const fn fetches(&self) -> &Fetches {
        &self.fetches
    }

    /// The same, to decide what is asked next.
    pub const fn fetches_mut(&mut self) -> &mut Fetches {
        &mut self.fetches
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
        let state = link.state;
        let is_port = link.master.is_some();
        self.link = Some(link);
        self.named = true;
        if is_port {
            // To a port nothing comes in. The grace is for a cable that is pulled and put back.
            self.forget_network();
            return;
        }
        self.carrier = match (self.carrier, state) {
            (Carrier::UpSince(since), LinkState::Up) => Carrier::UpSince(since),
            (Carrier::LostAt(_), LinkState::Up) => Carrier::UpSince(now),
            (Carrier::Down, LinkState::Up) => {
                self.start_afresh(now);
                Carrier::UpSince(now)
            }
            (Carrier::UpSince(_), LinkState::Down | LinkState::Dormant) => Carrier::LostAt(now),
            (carrier @ (Carrier::LostAt(_) | Carrier::Down), LinkState::Down | LinkState::Dormant) => carrier,
        };
    }

    fn is_port(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.master.is_some())
    }

    pub(super) fn put_address(&mut self, now: BootTime, address: Address) -> Option<Overflow> {
        let known = self.addresses.get(&address.key);
        if !known.is_some_and(|fact| ended::same_origin(&fact.address, &address)) {
            self.expire_routers(now);
        }
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

    pub(super) const fn told_mut(&mut self) -> &mut Told {
        &mut self.told
    }

    pub(super) const fn inquiries(&self) -> &Inquiries {
        &self.inquiries
    }

    pub(super) const fn inquiries_mut(&mut self) -> &mut Inquiries {
        &mut self.inquiries
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
        // What a port hears is its master's. A host that routes hears itself, and what it tells others is not its own
        // configuration.
        if self.is_port() || self.addresses.keys().any(|key| key.address == IpAddr::V6(router)) {
            return None;
        }
        self.discovery.answer();
        self.expire_routers(now);
        let advertiser = Advertiser::of(router, advertisement);
        let mut facts = self.routers.remove(&advertiser).unwrap_or_default();
        for colleague in self.colleagues(&advertiser) {
            facts.succeed(colleague);
        }
        let own = OwnAddresses(&self.addresses);
        let mut overflow = facts.update(now, &self.without_what_is_kept(&advertiser, advertisement), own);
        if facts.alive(now) {
            let room = self.make_room(&advertiser, &facts);
            if room == Room::None {
                // Who is not believed takes nothing from anybody.
                return Some(Overflow::Routers);
            }
            overflow = overflow.or((room == Room::OfColleague).then_some(Overflow::Routers));
        }
        self.cede(&advertiser, advertisement);
        for colleague in self.colleagues(&advertiser) {
            colleague.share_untimed(&facts);
        }
        if self.told.has_settings() {
            self.told.leave_to(&facts.configuration(router));
        }
        self.routers.insert(advertiser, facts);
        self.expire_routers(now);
        overflow
    }

    pub(super) fn put_lease(&mut self, now: BootTime, client: LeaseClient, lease: Lease) {
        if client == LeaseClient::Own && !self.takes_information(now, &lease) {
            return;
        }
        self.told.put_lease(client, lease);
    }

    pub(super) fn remove_lease(&mut self, client: LeaseClient) {
        self.told.remove_lease(client);
    }

    pub(super) fn put_dhcpv6(&mut self, now: BootTime, client: LeaseClient, lease: Dhcpv6Lease) {
        if client == LeaseClient::Own && !self.takes_dhcpv6_information(now, lease.refresh) {
            return;
        }
        self.told.put_dhcpv6(client, lease);
    }

    pub(super) fn remove_dhcpv6(&mut self, client: LeaseClient) {
        self.told.remove_dhcpv6(client);
    }

    pub(super) fn put_settings(&mut self, manager: SettingsManager, settings: LinkSettings) {
        let advertised: Vec<_> = self
            .routers
            .iter()
            .map(|(advertiser, advertised)| advertised.configuration(advertiser.router))
            .collect();
        self.told.put_settings(manager, settings, advertised.iter());
    }

    pub(super) fn remove_settings(&mut self, manager: SettingsManager) {
        self.told.remove_settings(manager);
    }

    pub(super) fn take_fetched(&mut self, now: BootTime, fetched: &Fetched) {
        self.expire_routers(now);
        let advertised: Vec<Prefix> = match &fetched.pvd {
            PvdKey::Explicit(id) => {
                let speakers = self.routers.iter().filter(|(speaker, _)| speaker.pvd.as_ref() == Some(id));
                speakers.flat_map(|(_, facts)| facts.prefixes().copied()).collect()
            }
            PvdKey::ImplicitIpv4 | PvdKey::ImplicitIpv6Router(_) | PvdKey::ImplicitIpv6 => Vec::new(),
        };
        self.fetches.take(now, fetched, &advertised);
    }

    /// Whether this cap was not hit here before. Counts it as hit.
    pub(super) fn notice(&mut self, overflow: Overflow) -> bool {
        self.noticed.insert(overflow)
    }

    /// A dump begins: nothing is named yet.
    pub(super) fn begin_dump(&mut self) {
        self.named = false;
        self.addresses.iter_mut().for_each(|(_, fact)| fact.named = false);
        self.routes.iter_mut().for_each(|(_, named)| *named = false);
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
            && self.told.is_empty()
    }

    /// Ends the belief in what was learnt on a link that is without carrier for longer than `grace`.
    pub fn end_grace(&mut self, now: BootTime, grace: Duration) {
        if let Carrier::LostAt(lost) = self.carrier
            && lost.after(grace).passed(now)
        {
            self.forget_network();
        }
    }

    /// Ends the belief in what was learnt on the link.
    fn forget_network(&mut self) {
        self.carrier = Carrier::Down;
        self.routers.clear();
        self.told.end_with_carrier();
        self.inquiries = Inquiries::default();
    }

    /// Drops what has run out at `now`; `grace` is how long a link without carrier is believed.
    pub fn expire(&mut self, now: BootTime, grace: Duration) {
        self.end_grace(now, grace);
        self.expire_routers(now);
        self.told.expire(now);
        let (fetches, routers) = (&mut self.fetches, &self.routers);
        fetches.expire(now, |pvd| match pvd {
            PvdKey::Explicit(id) => option_of(routers, id).map(|option| (option.sequence, option.http)),
            PvdKey::ImplicitIpv4 | PvdKey::ImplicitIpv6Router(_) | PvdKey::ImplicitIpv6 => None,
        });
    }

    /// When the next fact runs out.
    pub fn next_deadline(&self, now: BootTime, grace: Duration) -> Option<BootTime> {
        let grace_ends = match self.carrier {
            Carrier::LostAt(lost) => Some(lost.after(grace)),
            Carrier::Down | Carrier::UpSince(_) => None,
        };
        let routers = self.routers.values().filter_map(RouterFacts::next_deadline);
        let leases = self.told.deadlines();
        let discovery = self.up_since().and_then(|up| self.discovery.next_deadline(now, up));
        let deadlines = routers.chain(leases).chain(grace_ends).chain(discovery);
        deadlines.filter(|deadline| *deadline != BootTime::FOREVER).min()
    }

    /// Asks routers anew; addresses from before wait for an explanation as if they were new.
    fn start_afresh(&mut self, now: BootTime) {
        self.discovery = Discovery::default();
        // The limits on requests are those of one attachment to the network (RFC 8801 4.1).
        self.fetches = Fetches::default();
        for (_, fact) in self.addresses.iter_mut() {
            fact.seen = now;
        }
    }

    /// Makes room for `sender`, unless it has its place already.
    ///
    /// One that is in use here takes the place of one that is not, so that a flood of made-up routers never drives
    /// out, nor keeps out, one that this host has an address or a lease from. A provisioning domain that uses more
    /// routers than it may, or than there is room for, keeps those whose word holds longest.
    fn make_room(&mut self, sender: &Advertiser, facts: &RouterFacts) -> Room {
        let colleagues = self.routers.keys().filter(|other| other.speaks_with(sender)).count();
        let full = self.routers.len() >= limits::ROUTERS_PER_INTERFACE;
        if !full && colleagues < limits::ROUTERS_PER_PVD {
            return Room::Free;
        }
        let elsewhere = colleagues < limits::ROUTERS_PER_PVD;
        if let Some(silent) = self.silent_advertiser(sender, elsewhere) {
            self.routers.remove(&silent);
            return Room::Free;
        }
        let idle = elsewhere && self.in_use(sender, facts);
        if let Some(idle) = idle.then(|| self.idle_advertiser(sender)).flatten() {
            self.routers.remove(&idle);
            return Room::Free;
        }
        let others = self.routers.iter().filter(|(other, _)| other.speaks_with(sender));
        let Some((first_to_end, _)) = others.min_by_key(|(_, facts)| facts.last_deadline()) else {
            return Room::None;
        };
        let first_to_end = first_to_end.clone();
        self.routers.remove(&first_to_end);
        Room::OfColleague
    }

    /// One that may go for `sender`: of a provisioning domain that nothing here comes from.
    fn idle_advertiser(&self, sender: &Advertiser) -> Option<Advertiser> {
        let in_use = self.routers.iter().filter(|(other, facts)| self.in_use(other, facts));
        let in_use: Vec<&Advertiser> = in_use.map(|(other, _)| other).collect();
        let used = |of: &Advertiser| in_use.iter().any(|other| *other == of || other.speaks_with(of));
        self.routers.keys().find(|other| !other.speaks_with(sender) && !used(other)).cloned()
    }

    /// One that advertises nothing any more: of the same provisioning domain as `sender`, or of another.
    fn silent_advertiser(&self, sender: &Advertiser, elsewhere: bool) -> Option<Advertiser> {
        let mut silent = self.routers.iter().filter(|(_, facts)| !facts.advertises());
        silent.find(|(other, _)| elsewhere || other.speaks_with(sender)).map(|(other, _)| other.clone())
    }

    /// The other routers that speak for the explicit provisioning domain that `sender` speaks for.
    fn colleagues(&mut self, sender: &Advertiser) -> impl Iterator<Item = &mut RouterFacts> {
        self.routers.iter_mut().filter(|(other, _)| other.speaks_with(sender)).map(|(_, facts)| facts)
    }

    /// An object belongs to the provisioning domain of the advertisement that last carried it (RFC 8801 3.2), so
    /// others lose it. Implicit ones share among themselves (contract, rule 3).
    fn cede(&mut self, sender: &Advertiser, advertisement: &RouterAdvertisement) {
        if sender.pvd.is_none() {
            return;
        }
        for (other, facts) in self.routers.iter_mut().filter(|(other, _)| other.pvd != sender.pvd) {
            facts.cede(advertisement, other.router == sender.router);
        }
    }

    /// What is left of `advertisement` for its sender: so that nothing flaps, implicit provisioning domains take
    /// nothing from an explicit one that still holds it (contract, rule 3).
    fn without_what_is_kept<'a>(
        &self,
        sender: &Advertiser,
        advertisement: &'a RouterAdvertisement,
    ) -> Cow<'a, RouterAdvertisement> {
        let mut left = Cow::Borrowed(advertisement);
        if sender.pvd.is_none() {
            for (other, facts) in self.routers.iter().filter(|(other, _)| other.pvd.is_some()) {
                facts.keep_from(left.to_mut(), other.router == sender.router);
            }
        }
        left
    }

    /// Drops what has run out of what routers said. What depends on this host's addresses calls it before they change,
    /// so that it does not matter who woke when.
    pub(super) fn expire_routers(&mut self, now: BootTime) {
        let own = OwnAddresses(&self.addresses);
        self.routers.values_mut().for_each(|router| router.expire(now, own));
        ended::settle(&mut self.routers);
        self.routers.values_mut().for_each(RouterFacts::expire_untimed);
        self.routers.retain(|_, router| router.alive(now));
    }

    /// Solicitations leave from a link-local address (RFC 4861 4.1).
    pub(super) fn has_link_local_source(&self) -> bool {
        self.addresses().any(|fact| match fact.address.key.address {
            IpAddr::V6(address) => address.is_unicast_link_local() && !fact.address.tentative,
            IpAddr::V4(_) => false,
        })
    }

    /// Until when the kernel has `address` here.
    fn valid_until(&self, address: IpAddr) -> Option<BootTime> {
        let of_address = self.addresses().filter(|fact| fact.address.key.address == address);
        of_address.map(|fact| fact.address.valid_until).max()
    }

    fn has_leased_address(&self) -> bool {
        self.lease().is_some_and(|(client, _)| client.leases_addresses())
    }

    /// Whether this host has a usable address or its lease from what `advertiser` says.
    fn in_use(&self, advertiser: &Advertiser, facts: &RouterFacts) -> bool {
        let leased = || {
            let mut rivals = self.routers.iter().filter(|(other, _)| other.pvd != advertiser.pvd);
            self.has_leased_address() && facts.legacy() && !rivals.any(|(_, facts)| facts.legacy())
        };
        let covered = |fact: &AddressFact| !fact.address.tentative && facts.owns(&fact.address);
        facts.advertises() && (self.addresses().any(covered) || leased())
    }
}

/// Where a newcomer's place comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It was free, or one that nothing here comes from had it.
    Free,
    /// Another router of the same provisioning domain had it.
    OfColleague,
    /// There is none.
    None,
}

fn option_of<'a>(routers: &'a BTreeMap<Advertiser, RouterFacts>, id: &str) -> Option<&'a PvdOption> {
    let speaks = |speaker: &Advertiser| speaker.pvd.as_deref() == Some(id);
    routers.iter().filter(|(speaker, _)| speaks(speaker)).find_map(|(_, facts)| facts.option())
}

const fn is_default(route: &Route) -> bool {
    route.destination.length == 0
}
