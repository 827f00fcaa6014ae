//! Ground state: what sources told and what has not run out. Everything else is derived from this.

mod discovery;
mod ended;
mod inquiry;
mod link;
mod router;
mod told;

pub use discovery::{Discovery, PATIENCE};
pub use inquiry::{InquiryPolicy, Question, Subject};
pub use link::{AddressFact, Carrier, LinkFacts};
pub use router::{Advertiser, RouterFacts};

use crate::BootTime;
use crate::configuration::AddressFamily;
use crate::event::{Event, Ifindex, Link, Route};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// All facts, by link.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    links: BTreeMap<Ifindex, LinkFacts>,
    default_routes: BTreeSet<DefaultRoute>,
    resyncing: bool,
    births: u64,
    noticed_interfaces: bool,
}

/// A default route of the main table, ordered so that the best comes first in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DefaultRoute {
    /// Its family.
    pub family: AddressFamily,
    /// Its metric: the smallest wins.
    pub metric: u32,
    /// Its link.
    pub ifindex: Ifindex,
    /// Its router.
    pub gateway: Option<IpAddr>,
}

/// Something that was left out because a cap was reached. Worth one line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overflow {
    /// More links than there may be objects.
    Interfaces,
    /// More provisioning domains than there may be objects.
    Pvds,
    /// More addresses on a link than are remembered.
    Addresses,
    /// More routes on a link than are remembered.
    Routes,
    /// More routers on a link than are remembered, and none to give way.
    Routers,
    /// More prefixes, routes, servers or domains from one router than are remembered.
    RouterOptions,
    /// More servers, domains or routers in one provisioning domain than are shown.
    Configuration,
}

/// What one event did to the facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The link whose facts changed.
    pub touched: Option<Ifindex>,
    /// The cap that was hit, the first time that this link hit it.
    pub overflow: Option<Overflow>,
}

impl Effect {
    const NONE: Self = Self { touched: None, overflow: None };

    const fn touched(ifindex: Ifindex) -> Self {
        Self { touched: Some(ifindex), overflow: None }
    }

    const fn with(ifindex: Ifindex, overflow: Option<Overflow>) -> Self {
        Self { touched: Some(ifindex), overflow }
    }
}

impl Facts {
    /// No facts, waiting for the first dump.
    pub fn new() -> Self {
        Self { resyncing: true, ..Self::default() }
    }

    /// Whether a dump is under way: what is known now is not the whole truth.
    pub const fn resyncing(&self) -> bool {
        self.resyncing
    }

    /// The facts of a link.
    pub fn link(&self, ifindex: Ifindex) -> Option<&LinkFacts> {
        self.links.get(&ifindex)
    }

    /// Ends the belief in a link that is without carrier for longer than `grace`, even when nobody woke in time
    /// to see it end: the machine may have slept, and its cable may lead elsewhere now.
    pub fn end_grace(&mut self, ifindex: Ifindex, now: BootTime, grace: Duration) {
        if let Some(facts) = self.links.get_mut(&ifindex) {
            facts.end_grace(now, grace);
        }
    }

    /// Drops what has run out of a link's facts at `now`; what is left, to be changed by time. A link that nothing
    /// is known of any more is forgotten.
    pub fn expire(&mut self, ifindex: Ifindex, now: BootTime, grace: Duration) -> Option<&mut LinkFacts> {
        self.links.get_mut(&ifindex)?.expire(now, grace);
        if self.links.get(&ifindex).is_some_and(LinkFacts::is_empty) {
            self.links.remove(&ifindex);
        }
        self.links.get_mut(&ifindex)
    }

    /// Whether this cap was not hit on a link before. Counts it as hit.
    pub fn notice(&mut self, ifindex: Ifindex, overflow: Overflow) -> bool {
        self.links.get_mut(&ifindex).is_some_and(|facts| facts.notice(overflow))
    }

    /// The links that are known.
    pub fn ifindexes(&self) -> impl Iterator<Item = Ifindex> {
        self.links.keys().copied()
    }

    /// The default routes of `family`, best metric first.
    pub fn default_routes(&self, family: AddressFamily) -> impl Iterator<Item = &DefaultRoute> {
        self.default_routes.iter().filter(move |route| route.family == family)
    }

    /// Takes in one event, except the begin and end of a dump.
    pub fn apply(&mut self, now: BootTime, event: Event) -> Effect {
        match event {
            Event::ResyncBegin => {
                self.resyncing = true;
                self.links.values_mut().for_each(LinkFacts::begin_dump);
                Effect::NONE
            }
            // The engine calls `finish_resync`, which has more than one link to name.
            Event::ResyncEnd => Effect::NONE,
            Event::Link(link) => {
                let ifindex = link.ifindex;
                self.forget_reused_index(now, &link);
                self.with_link(ifindex, |facts| {
                    facts.set_link(now, link);
                    None
                })
            }
            Event::LinkGone { ifindex } => self.remove_link(ifindex),
            Event::Address(address) => {
                self.with_link(address.key.ifindex, |facts| facts.put_address(now, address))
            }
            Event::AddressGone { key } => self.change(key.ifindex, |facts| {
                facts.expire_routers(now);
                facts.remove_address(&key);
            }),
            Event::Route(route) => self.put_route(route),
            Event::RouteGone { route } => self.remove_route(&route),
            Event::RouterAdvertisement { ifindex, router, advertisement } => {
                self.with_link(ifindex, |facts| facts.put_router(now, router, &advertisement))
            }
            Event::Lease { ifindex, client, lease } => self.with_link(ifindex, |facts| {
                facts.put_lease(now, client, *lease);
                None
            }),
            Event::LeaseGone { ifindex, client } => self.change(ifindex, |facts| facts.remove_lease(client)),
            Event::Dhcpv6 { ifindex, client, lease } => self.with_link(ifindex, |facts| {
                facts.put_dhcpv6(now, client, *lease);
                None
            }),
            Event::Dhcpv6Gone { ifindex, client } => {
                self.change(ifindex, |facts| facts.remove_dhcpv6(client))
            }
            Event::Settings { ifindex, manager, settings } => self.with_link(ifindex, |facts| {
                facts.put_settings(manager, *settings);
                None
            }),
            Event::SettingsGone { ifindex, manager } => {
                self.change(ifindex, |facts| facts.remove_settings(manager))
            }
            Event::Fetched(fetched) => {
                self.change(fetched.ifindex, |facts| facts.take_fetched(now, &fetched))
            }
        }
    }

    /// Ends a dump: what it did not name is gone. Gives the links that this touched.
    pub fn finish_resync(&mut self) -> BTreeSet<Ifindex> {
        let mut touched = BTreeSet::new();
        if !std::mem::take(&mut self.resyncing) {
            return touched;
        }
        let gone: Vec<Ifindex> =
            self.links.iter().filter(|(_, facts)| !facts.named()).map(|(ifindex, _)| *ifindex).collect();
        for ifindex in gone {
            touched.extend(self.remove_link(ifindex).touched);
        }
        let mut lost_routes = Vec::new();
        for (ifindex, facts) in &mut self.links {
            for address in facts.addresses_named(false) {
                facts.remove_address(&address.key);
                touched.insert(*ifindex);
            }
            lost_routes.extend(facts.routes_named(false));
        }
        for route in lost_routes {
            touched.extend(self.remove_route(&route).touched);
        }
        touched
    }

    /// Changes a link that may not be known yet: inside a dump and between sources nothing is ordered.
    fn with_link(
        &mut self,
        ifindex: Ifindex,
        change: impl FnOnce(&mut LinkFacts) -> Option<Overflow>,
    ) -> Effect {
        if !self.links.contains_key(&ifindex) && self.links.len() >= limits::INTERFACES {
            let first = !std::mem::replace(&mut self.noticed_interfaces, true);
            return Effect { touched: None, overflow: first.then_some(Overflow::Interfaces) };
        }
        let births = &mut self.births;
        let facts = self.links.entry(ifindex).or_insert_with(|| {
            *births += 1;
            LinkFacts::born(*births)
        });
        let overflow = change(facts).filter(|overflow| facts.notice(*overflow));
        Effect::with(ifindex, overflow)
    }

    /// A link never changes its kind: another kind under the same number is another link, whose
    /// predecessor's end was lost in an overrun. What this dump has told already is about the new one.
    fn forget_reused_index(&mut self, now: BootTime, link: &Link) {
        let former = self.links.get(&link.ifindex);
        let Some(former) = former.filter(|facts| facts.link().is_some_and(|known| known.kind != link.kind))
        else {
            return;
        };
        let (addresses, routes) = if self.resyncing {
            (former.addresses_named(true), former.routes_named(true))
        } else {
            (Vec::new(), Vec::new())
        };
        self.remove_link(link.ifindex);
        for address in addresses {
            self.with_link(link.ifindex, |facts| facts.put_address(now, address));
        }
        for route in routes {
            self.put_route(route);
        }
    }

    fn change(&mut self, ifindex: Ifindex, change: impl FnOnce(&mut LinkFacts)) -> Effect {
        let Some(facts) = self.links.get_mut(&ifindex) else { return Effect::NONE };
        change(facts);
        Effect::touched(ifindex)
    }

    fn remove_link(&mut self, ifindex: Ifindex) -> Effect {
        let Some(facts) = self.links.remove(&ifindex) else { return Effect::NONE };
        for route in facts.routes().filter_map(DefaultRoute::of) {
            self.default_routes.remove(&route);
        }
        Effect::touched(ifindex)
    }

    fn put_route(&mut self, route: Route) -> Effect {
        let (ifindex, default) = (route.ifindex, DefaultRoute::of(&route));
        let mut stored = false;
        let effect = self.with_link(ifindex, |facts| {
            let overflow = facts.put_route(route.clone());
            stored = facts.has_route(&route);
            overflow
        });
        self.default_routes.extend(default.filter(|_| stored));
        effect
    }

    fn remove_route(&mut self, route: &Route) -> Effect {
        let effect = self.change(route.ifindex, |facts| facts.remove_route(route));
        if let Some(default) = DefaultRoute::of(route) {
            // Another that differs only in who made it may be left.
            let same = |other: &Route| DefaultRoute::of(other) == Some(default);
            if !self.links.get(&route.ifindex).is_some_and(|facts| facts.routes().any(same)) {
                self.default_routes.remove(&default);
            }
        }
        effect
    }
}

impl DefaultRoute {
    fn of(route: &Route) -> Option<Self> {
        let family = AddressFamily::of(route.destination.address);
        (route.destination.length == 0).then_some(Self {
            family,
            metric: route.metric,
            ifindex: route.ifindex,
            gateway: route.gateway,
        })
    }
}
