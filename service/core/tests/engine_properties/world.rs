//! A model of the world that an engine looks at: what holds now, kept as simply as possible.
//!
//! It says what an engine must know in the end, so that a second engine can be told that and nothing else.

use crate::driver::Driver;
use crate::ground::Place;
use crate::step::{BEGINNING, Step};
use mif_core::BootTime;
use mif_core::event::{Address, Event, Ifindex, LeaseClient, LinkKind};
use std::collections::BTreeMap;

/// All links and what was heard on them.
pub struct World {
    now: BootTime,
    places: BTreeMap<Ifindex, Place>,
}

impl World {
    /// An empty one, at the beginning of histories.
    pub fn new() -> Self {
        Self { now: BEGINNING, places: BTreeMap::new() }
    }

    /// Lives through `steps` and shows the driver what a kernel would show.
    pub fn live(&mut self, steps: &[Step], driver: &mut Driver) {
        for step in steps {
            self.pass_to(driver.now());
            match step {
                // Dumps are told by `resync`, of what holds.
                Step::Event(Event::ResyncBegin | Event::ResyncEnd) => {}
                Step::Event(event) => self.show(event, driver),
                Step::Pass(_) | Step::Sleep(_) | Step::Commit => drop(driver.take(step)),
            }
        }
    }

    /// `lost` happens unseen, then a dump in some order tells what holds, and `meanwhile` happens before it ends.
    pub fn resync(&mut self, lost: &[Event], meanwhile: &[Step], order: u64, driver: &mut Driver) {
        self.pass_to(driver.now());
        for event in lost {
            match event {
                Event::LinkGone { ifindex } => self.place(*ifindex).vanish(),
                event => self.change(event),
            }
        }
        driver.see(Event::ResyncBegin);
        for event in shuffled(self.dump(), order) {
            driver.see(event);
        }
        for place in self.places.values_mut() {
            if place.link.is_none() {
                place.vanish();
            }
            place.believed.extend(place.addresses.clone());
            place.observe(self.now);
        }
        self.live(meanwhile, driver);
        driver.see(Event::ResyncEnd);
        for place in self.places.values_mut() {
            place.believed = place.addresses.clone();
        }
        self.pass_to(driver.now());
        self.places.retain(|_, place| place.link.is_some());
    }

    /// Tells a new engine what holds, and nothing of how it came about.
    pub fn tell_everything(&self, driver: &mut Driver) {
        for event in self.dump() {
            driver.see(event);
        }
        driver.see(Event::ResyncEnd);
        for (ifindex, place) in self.places.iter().filter(|(_, place)| place.link.is_some()) {
            for (router, advertisement) in place.heard.as_advertisements(self.now) {
                driver.see(Event::RouterAdvertisement { ifindex: *ifindex, router, advertisement });
            }
            if let Some(lease) = place.lease.clone().map(Box::new) {
                driver.see(Event::Lease { ifindex: *ifindex, client: LeaseClient::Dhcpcd, lease });
            }
            if let Some(lease) = place.dhcpv6.clone().map(Box::new) {
                driver.see(Event::Dhcpv6 { ifindex: *ifindex, client: LeaseClient::Dhcpcd, lease });
            }
        }
    }

    /// Lets what ends by `now` end.
    pub fn pass_to(&mut self, now: BootTime) {
        self.now = now;
        for place in self.places.values_mut() {
            place.expire(now);
        }
    }

    fn show(&mut self, event: &Event, driver: &mut Driver) {
        if let Event::Link(link) = event
            && self.kind_of(link.ifindex).is_some_and(|kind| kind != link.kind)
        {
            // A kernel that is listened to says that the former one is gone.
            self.show(&Event::LinkGone { ifindex: link.ifindex }, driver);
        }
        self.change(event);
        let now = self.now;
        if let Event::Address(Address { key, .. }) | Event::AddressGone { key } = event {
            self.place(key.ifindex).believe(now, event);
        }
        if let Event::Link(link) = event {
            self.place(link.ifindex).observe(now);
        }
        driver.see(event.clone());
    }

    fn kind_of(&self, ifindex: Ifindex) -> Option<LinkKind> {
        self.places.get(&ifindex)?.link.as_ref().map(|link| link.kind)
    }

    fn place(&mut self, ifindex: Ifindex) -> &mut Place {
        self.places.entry(ifindex).or_default()
    }

    fn change(&mut self, event: &Event) {
        let now = self.now;
        match event.clone() {
            Event::Link(link) => {
                let ifindex = link.ifindex;
                self.place(ifindex).link = Some(link);
            }
            Event::LinkGone { ifindex } => {
                self.places.remove(&ifindex);
            }
            Event::Address(address) => {
                self.place(address.key.ifindex).addresses.insert(address.key, address);
            }
            Event::AddressGone { key } => {
                self.place(key.ifindex).addresses.remove(&key);
            }
            Event::Route(route) => {
                self.place(route.ifindex).routes.insert(route);
            }
            Event::RouteGone { route } => {
                self.place(route.ifindex).routes.remove(&route);
            }
            Event::RouterAdvertisement { ifindex, router, advertisement } => {
                let place = self.place(ifindex);
                if !place.is_port {
                    place.heard.hear(now, router, &advertisement, &place.believed);
                }
            }
            Event::Lease { ifindex, lease, .. } => {
                self.place(ifindex).lease = Some(*lease).filter(|lease| !lease.expires.passed(now));
            }
            Event::LeaseGone { ifindex, .. } => self.place(ifindex).lease = None,
            Event::Dhcpv6 { ifindex, lease, .. } => {
                let ended = lease.expires.is_some_and(|expires| expires.passed(now));
                self.place(ifindex).dhcpv6 = Some(*lease).filter(|_| !ended);
            }
            Event::Dhcpv6Gone { ifindex, .. } => self.place(ifindex).dhcpv6 = None,
            // Not in these histories: what is set depends on what was given before, on purpose.
            Event::Settings { .. } | Event::SettingsGone { .. } => {}
            // What web servers say is about provisioning domains, and makes none.
            Event::ResyncBegin | Event::ResyncEnd | Event::Fetched(_) => {}
        }
    }

    /// What the kernel would answer: of links that it does not know it knows nothing.
    fn dump(&self) -> Vec<Event> {
        let known = self.places.values().filter(|place| place.link.is_some());
        known.flat_map(Place::dump).collect()
    }
}

/// `events` in an order that only `seed` decides.
fn shuffled(mut events: Vec<Event>, seed: u64) -> Vec<Event> {
    let mut state = seed | 1;
    for end in (1..events.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap() % (end + 1);
        events.swap(end, other);
    }
    events
}
