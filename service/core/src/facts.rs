//! Ground state: what sources told and what has not run out. Everything else is derived from this.

mod discovery;
mod link;
mod router;

pub use discovery::{Discovery, PATIENCE};
pub use link::{AddressFact, Carrier, LinkFacts};
pub use router::RouterFacts;

use crate::BootTime;
use crate::configuration::AddressFamily;
use crate::event::{AddressKey, Event, Ifindex, Link, Route};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// All facts, by link.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    links: BTreeMap<Ifindex, LinkFacts>,
    default_routes: BTreeSet<DefaultRoute>,
    resync: Option<Seen>,
    births: u64,
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
    /// More addresses on a link than are remembered.
    Addresses,
    /// More routes on a link than are remembered.
    Routes,
    /// More routers on a link than are remembered, and none to give way.
    Routers,
    /// More prefixes, routes, servers or domains from one router than are remembered.
    RouterOptions,
}

/// What one event did to the facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The link whose facts changed.
    pub touched: Option<Ifindex>,
    /// The cap that was hit.
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

/// What a dump of the kernel has named so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    links: BTreeSet<Ifindex>,
    addresses: BTreeSet<AddressKey>,
    routes: BTreeSet<Route>,
}

impl Facts {
    /// No facts, waiting for the first dump.
    pub fn new() -> Self {
        Self { resync: Some(Seen::default()), ..Self::default() }
    }

    /// Whether a dump is under way: what is known now is not the whole truth.
    pub const fn resyncing(&self) -> bool {
        self.resync.is_some()
    }

    /// The facts of a link.
    pub fn link(&self, ifindex: Ifindex) -> Option<&LinkFacts> {
        self.links.get(&ifindex)
    }

    /// The facts of a link, to be changed by time.
    pub fn link_mut(&mut self, ifindex: Ifindex) -> Option<&mut LinkFacts> {
        self.links.get_mut(&ifindex)
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
                self.resync = Some(Seen::default());
                Effect::NONE
            }
            // The engine calls `finish_resync`, which has more than one link to name.
            Event::ResyncEnd => Effect::NONE,
            Event::Link(link) => {
                let ifindex = link.ifindex;
                self.mark(|seen| seen.links.insert(ifindex));
                self.forget_reused_index(&link);
                self.with_link(ifindex, |facts| {
                    facts.set_link(now, link);
                    None
                })
            }
            Event::LinkGone { ifindex } => self.remove_link(ifindex),
            Event::Address(address) => {
                self.mark(|seen| seen.addresses.insert(address.key));
                self.with_link(address.key.ifindex, |facts| facts.put_address(now, address))
            }
            Event::AddressGone { key } => self.change(key.ifindex, |facts| facts.remove_address(&key)),
            Event::Route(route) => self.put_route(route),
            Event::RouteGone { route } => self.remove_route(&route),
            Event::Solicited { .. } => Effect::NONE,
            Event::RouterAdvertisement { ifindex, router, advertisement } => {
                self.with_link(ifindex, |facts| facts.put_router(now, router, &advertisement))
            }
            Event::Lease { ifindex, client, lease } => self.with_link(ifindex, |facts| {
                facts.put_lease(client, *lease);
                None
            }),
            Event::LeaseGone { ifindex, client } => self.change(ifindex, |facts| facts.remove_lease(client)),
        }
    }

    /// Ends a dump: what it did not name is gone. Gives the links that this touched.
    pub fn finish_resync(&mut self) -> BTreeSet<Ifindex> {
        let Some(seen) = self.resync.take() else { return BTreeSet::new() };
        let mut touched = BTreeSet::new();
        let gone: Vec<Ifindex> = self.ifindexes().filter(|ifindex| !seen.links.contains(ifindex)).collect();
        for ifindex in gone {
            self.remove_link(ifindex);
            touched.insert(ifindex);
        }
        let mut lost_routes = Vec::new();
        for (ifindex, facts) in &mut self.links {
            if facts.sweep_addresses(&seen.addresses) {
                touched.insert(*ifindex);
            }
            lost_routes.extend(facts.routes().filter(|route| !seen.routes.contains(route)).cloned());
        }
        for route in lost_routes {
            touched.extend(self.remove_route(&route).touched);
        }
        touched
    }

    fn mark(&mut self, mark: impl FnOnce(&mut Seen) -> bool) {
        if let Some(seen) = &mut self.resync {
            mark(seen);
        }
    }

    /// Changes a link that may not be known yet: inside a dump and between sources nothing is ordered.
    fn with_link(
        &mut self,
        ifindex: Ifindex,
        change: impl FnOnce(&mut LinkFacts) -> Option<Overflow>,
    ) -> Effect {
        if !self.links.contains_key(&ifindex) && self.links.len() >= limits::INTERFACES {
            return Effect { touched: None, overflow: Some(Overflow::Interfaces) };
        }
        let births = &mut self.births;
        let facts = self.links.entry(ifindex).or_insert_with(|| {
            *births += 1;
            LinkFacts::born(*births)
        });
        Effect::with(ifindex, change(facts))
    }

    /// A link never changes its kind: another kind under the same number is another link, whose
    /// predecessor's end was lost in an overrun.
    fn forget_reused_index(&mut self, link: &Link) {
        let known = self.links.get(&link.ifindex).and_then(LinkFacts::link);
        if known.is_some_and(|known| known.kind != link.kind) {
            self.remove_link(link.ifindex);
            self.mark(|seen| seen.links.insert(link.ifindex));
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
        self.mark(|seen| seen.links.remove(&ifindex));
        Effect::touched(ifindex)
    }

    fn put_route(&mut self, route: Route) -> Effect {
        self.mark(|seen| seen.routes.insert(route.clone()));
        let default = DefaultRoute::of(&route);
        let effect = self.with_link(route.ifindex, |facts| facts.put_route(route));
        if effect.overflow.is_none() {
            self.default_routes.extend(default);
        }
        effect
    }

    fn remove_route(&mut self, route: &Route) -> Effect {
        self.mark(|seen| seen.routes.remove(route));
        if let Some(default) = DefaultRoute::of(route) {
            self.default_routes.remove(&default);
        }
        self.change(route.ifindex, |facts| facts.remove_route(route))
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
