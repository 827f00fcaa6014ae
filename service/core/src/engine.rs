//! The engine: events and time in, batches out. The only writer of the model.

use crate::BootTime;
use crate::assemble::assemble;
use crate::change::Change;
use crate::configuration::{AddressFamily, Preference, Prefix, RouteKey};
use crate::diff::{Published, Serials, Target};
use crate::event::{Event, Ifindex};
use crate::facts::{DefaultRoute, Facts, InquiryPolicy, LinkFacts, Overflow, Question};
use crate::fetch::{self, Fetch, FetchKind, FetchPolicy, FetchReport, Random, Steps, Topic};
use crate::pvd::{Origin, Pvd, PvdKey, Serial};
use crate::routing::Routing;
use crate::snapshot::{Defaults, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What an engine is made with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a link without carrier keeps its provisioning domains.
    pub grace: Duration,
    /// The first object number: one that no earlier run in this boot has given out.
    pub first_serial: u64,
    /// What web servers of networks may be asked for.
    pub fetches: FetchPolicy,
    /// What DHCP servers may be asked for where nobody else tells.
    pub inquiries: InquiryPolicy,
    /// Where the row of random moments begins: another value on every host and in every run.
    pub seed: u64,
}

/// What the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a Router Solicitation on this link.
    Solicit {
        /// Where.
        ifindex: Ifindex,
    },
    /// Ask the DHCP servers of this link. What they say is told by [`Event::Lease`] and [`Event::Dhcpv6`].
    Inquire {
        /// Where.
        ifindex: Ifindex,
        /// For what.
        question: Question,
    },
    /// Ask a web server inside a provisioning domain. What came of it is told by [`Event::Fetched`].
    Fetch(Box<Fetch>),
    /// Give up a request of this sort, if one is under way. That a provisioning domain is gone ends its requests
    /// without this.
    CancelFetch {
        /// The provisioning domain.
        pvd: Serial,
        /// What was asked.
        kind: FetchKind,
    },
}

/// A cap that was hit: one line in the log, once for each link and kind until the link goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// The link; zero when it is about all of them.
    pub ifindex: Ifindex,
    /// What was left out.
    pub overflow: Overflow,
}

/// Everything that came of the events since the last batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The new state. To be published before anybody is told of the changes.
    pub snapshot: Snapshot,
    /// What became different, in the order to tell it.
    pub changes: Vec<Change>,
    /// Deadlines moved: nobody is told.
    pub refreshed: bool,
    /// This host got or lost an address that may be of no provisioning domain. Nobody is told, but plans differ.
    pub readdressed: bool,
    /// What is to be done.
    pub commands: Vec<Command>,
    /// What was left out.
    pub notices: Vec<Notice>,
    /// What became of requests to web servers, by link.
    pub reports: Vec<(Ifindex, FetchReport)>,
}

impl Batch {
    /// Whether the state is another one than before.
    pub fn is_news(&self) -> bool {
        self.refreshed || !self.is_quiet()
    }

    /// Whether at most deadlines moved: who looks at the state sees them, and nobody need look for them.
    pub fn is_quiet(&self) -> bool {
        self.changes.is_empty() && !self.readdressed
    }
}

/// Facts, what is published of them, and the clock-driven rest.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    facts: Facts,
    published: BTreeMap<Ifindex, Published>,
    /// What of the snapshot's own addresses is of which link.
    own_addresses: BTreeMap<Ifindex, Box<[IpAddr]>>,
    snapshot: Snapshot,
    serials: Serials,
    touched: BTreeSet<Ifindex>,
    timers: Timers,
    startup: Startup,
    notices: Vec<Notice>,
    /// Links with provisioning domains for which there was no room.
    crowded: BTreeSet<Ifindex>,
    noticed_crowd: bool,
    random: Random,
}

/// The links that the first dump found up and that are not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Startup {
    BeforeInventory,
    Settling(BTreeSet<Ifindex>),
    Finished,
}

impl Engine {
    /// An engine that has seen nothing. It publishes nothing before the first dump is complete.
    pub fn new(settings: Settings) -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.set_startup(true);
        Self {
            settings,
            facts: Facts::new(),
            published: BTreeMap::new(),
            own_addresses: BTreeMap::new(),
            snapshot,
            serials: Serials::starting_at(settings.first_serial),
            touched: BTreeSet::new(),
            timers: Timers::default(),
            startup: Startup::BeforeInventory,
            notices: Vec::new(),
            crowded: BTreeSet::new(),
            noticed_crowd: false,
            random: Random::new(settings.seed),
        }
    }

    /// The same on a host that leads packets so.
    #[must_use]
    pub fn with_routing(mut self, routing: Routing) -> Self {
        self.snapshot.set_routing(routing);
        self
    }

    /// Takes in one event that was seen at `now`.
    pub fn handle_event(&mut self, now: BootTime, event: Event) {
        if matches!(event, Event::ResyncEnd) {
            self.touched.append(&mut self.facts.finish_resync());
            return;
        }
        let ifindex = ifindex_of(&event);
        if let Some(ifindex) = ifindex {
            self.facts.end_grace(ifindex, now, self.settings.grace);
        }
        let effect = self.facts.apply(now, event);
        self.touched.extend(effect.touched);
        if let (Some(ifindex), Some(overflow)) = (ifindex, effect.overflow) {
            // Links beyond the cap are not remembered, so that one line must do for all of them.
            let ifindex = if overflow == Overflow::Interfaces { 0 } else { ifindex };
            self.notices.push(Notice { ifindex, overflow });
        }
    }

    /// Lets time pass: what runs out by `now` is looked at in the next batch.
    pub fn handle_timeout(&mut self, now: BootTime) {
        self.touched.append(&mut self.timers.take_due(now));
    }

    /// Changes how long a link without carrier keeps its provisioning domains; links that are in that state already
    /// are judged by it too.
    pub fn set_grace(&mut self, grace: Duration) {
        self.settings.grace = grace;
        self.touched.extend(self.facts.ifindexes());
    }

    /// When [`Engine::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<BootTime> {
        if self.facts.resyncing() { None } else { self.timers.next() }
    }

    /// The ground state, to look at.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether a dump is under way (the first one is from the beginning): nothing is derived until it ends.
    pub const fn is_resyncing(&self) -> bool {
        self.facts.resyncing()
    }

    /// Derives everything anew for the links that were touched, and tells what became different.
    ///
    /// Costs what the touched links cost, however many others there are. During a dump nothing is derived.
    pub fn commit(&mut self, now: BootTime) -> Batch {
        let mut batch = Batch { notices: std::mem::take(&mut self.notices), ..Batch::default() };
        if !self.facts.resyncing() {
            let touched = std::mem::take(&mut self.touched);
            let first = self.startup == Startup::BeforeInventory;
            let anything = !touched.is_empty() || first;
            if first {
                self.startup = Startup::Settling(self.links_up());
            }
            for ifindex in &touched {
                self.derive(*ifindex, now, &mut batch);
            }
            while self.snapshot.has_room()
                && let Some(ifindex) = self.crowded.pop_first()
            {
                self.derive(ifindex, now, &mut batch);
            }
            if anything {
                self.derive_defaults(&mut batch.changes);
                self.derive_startup(&touched, now, &mut batch.changes);
            }
        }
        batch.snapshot = self.snapshot.clone();
        batch
    }

    fn derive(&mut self, ifindex: Ifindex, now: BootTime, batch: &mut Batch) {
        let grace = self.settings.grace;
        self.crowded.remove(&ifindex);
        self.derive_own_addresses(ifindex, batch);
        let Some(facts) = self.facts.expire(ifindex, now, grace) else {
            self.timers.clear(ifindex);
            self.unpublish(ifindex, batch);
            return;
        };
        if facts.solicit(now) {
            batch.commands.push(Command::Solicit { ifindex });
        }
        let questions = facts.ask(now, self.settings.inquiries, &mut self.random).into_iter();
        batch.commands.extend(questions.map(|question| Command::Inquire { ifindex, question }));
        let assembly = assemble(facts, now);
        let wanted = fetch::wanted(facts, &assembly.pvds, self.settings.fetches);
        let steps = facts.fetches_mut().update(now, &wanted, &mut self.random);
        let wakes = [facts.next_deadline(now, grace), facts.next_question(), assembly.wake, steps.wake];
        let deadline = wakes.into_iter().flatten().min();
        self.timers.set(ifindex, deadline);
        let (link, birth) = (facts.link().cloned(), facts.birth());
        // Gone and back with the same number since the last batch: that is another interface.
        if self.published.get(&ifindex).is_some_and(|former| former.birth() != birth) {
            self.unpublish(ifindex, batch);
        }
        // Other sources may be ahead of the kernel's own word of a link.
        let Some(link) = link else { return };
        let mut crowded = false;
        let mut cut = assembly.cut;
        let mut target = Target {
            snapshot: &mut self.snapshot,
            changes: &mut batch.changes,
            serials: &mut self.serials,
            refreshed: &mut batch.refreshed,
            crowded: &mut crowded,
            cut: &mut cut,
        };
        let published = self.published.entry(ifindex);
        let published = published.or_insert_with(|| Published::appear(birth, &link, &mut target));
        published.update(&link, assembly.pvds, &mut target);
        let published = &*published;
        carry_over(ifindex, published, steps, batch);
        if crowded {
            self.crowded.insert(ifindex);
            if !std::mem::replace(&mut self.noticed_crowd, true) {
                batch.notices.push(Notice { ifindex: 0, overflow: Overflow::Pvds });
            }
        }
        if cut && self.facts.notice(ifindex, Overflow::Configuration) {
            batch.notices.push(Notice { ifindex, overflow: Overflow::Configuration });
        }
    }

    /// Nobody is told of these, but whoever asks must see them.
    fn derive_own_addresses(&mut self, ifindex: Ifindex, batch: &mut Batch) {
        let told = self.facts.link(ifindex).into_iter().flat_map(LinkFacts::addresses);
        // Ascending, as the keys are that they come with; one with several prefix lengths is one.
        let mut now: Vec<IpAddr> = told.map(|fact| fact.address.key.address).collect();
        now.dedup();
        let now = now.into_boxed_slice();
        let former = self.own_addresses.remove(&ifindex).unwrap_or_default();
        if now != former {
            let beyond = |these: &[IpAddr], those: &[IpAddr]| -> Vec<IpAddr> {
                these.iter().filter(|address| those.binary_search(address).is_err()).copied().collect()
            };
            for address in beyond(&now, &former) {
                self.snapshot.add_own(address, ifindex);
            }
            for address in beyond(&former, &now) {
                self.snapshot.remove_own(address, ifindex);
            }
            batch.readdressed = true;
        }
        if !now.is_empty() {
            self.own_addresses.insert(ifindex, now);
        }
    }

    fn unpublish(&mut self, ifindex: Ifindex, batch: &mut Batch) {
        let Some(published) = self.published.remove(&ifindex) else { return };
        published.disappear(&mut Target {
            snapshot: &mut self.snapshot,
            changes: &mut batch.changes,
            serials: &mut self.serials,
            refreshed: &mut batch.refreshed,
            crowded: &mut false,
            cut: &mut false,
        });
    }

    fn derive_defaults(&mut self, changes: &mut Vec<Change>) {
        let defaults = Defaults {
            ipv4: self.default_pvd(AddressFamily::Ipv4).map(|pvd| pvd.serial),
            ipv6: self.default_pvd(AddressFamily::Ipv6).map(|pvd| pvd.serial),
        };
        let former = self.snapshot.defaults();
        self.snapshot.set_defaults(defaults);
        let mut told = former;
        // O3: what goes is no longer named when it goes, and what comes is not named before it is there.
        let names = |defaults: Defaults, pvd: &Pvd| defaults.iter().any(|serial| serial == pvd.serial);
        let going = |change: &Change| matches!(change, Change::PvdRemoved(pvd) if names(former, pvd));
        if let Some(position) = changes.iter().position(going) {
            let comes = |change: &Change, new| matches!(change, Change::PvdAdded(pvd) if pvd.serial == new);
            let is_there = |new: &Serial| !changes[position..].iter().any(|change| comes(change, *new));
            told = Defaults { ipv4: defaults.ipv4.filter(is_there), ipv6: defaults.ipv6.filter(is_there) };
            changes.insert(position, Change::DefaultsChanged(told));
        }
        if told != defaults {
            changes.push(Change::DefaultsChanged(defaults));
        }
    }

    /// The provisioning domain behind the best default route of the main table; of routes that are equally good
    /// the one whose router is preferred (RFC 4191), as the kernel does.
    fn default_pvd(&self, family: AddressFamily) -> Option<&Arc<Pvd>> {
        let mut best: Option<(u32, Preference, &Arc<Pvd>)> = None;
        for route in self.facts.default_routes(family) {
            if best.is_some_and(|(metric, ..)| metric < route.metric) {
                break;
            }
            let Some(pvd) = self.pvd_behind(route) else { continue };
            let preference = self.preference_of(route);
            if best.is_none_or(|(_, known, _)| known < preference) {
                best = Some((route.metric, preference, pvd));
            }
            if preference == Preference::High || family == AddressFamily::Ipv4 {
                break;
            }
        }
        best.map(|(.., pvd)| pvd)
    }

    /// The provisioning domain that a default route is part of: its router's own, else an explicit one that the
    /// router leads out of, else the one without a router.
    fn pvd_behind(&self, route: &DefaultRoute) -> Option<&Arc<Pvd>> {
        let published = self.published.get(&route.ifindex)?;
        let without_router = match route.family {
            AddressFamily::Ipv4 => PvdKey::ImplicitIpv4,
            AddressFamily::Ipv6 => PvdKey::ImplicitIpv6,
        };
        let own = match route.gateway {
            Some(IpAddr::V6(gateway)) => published.pvd(&PvdKey::ImplicitIpv6Router(gateway)),
            Some(IpAddr::V4(_)) | None => None,
        };
        let key = RouteKey { destination: Prefix::default_route(route.family), gateway: route.gateway };
        let leads_out_of = |pvd: &&Arc<Pvd>| {
            pvd.key.origin() == Origin::Explicit
                && pvd.family.includes(route.family)
                && (route.gateway.is_none() || pvd.used.routes.contains_key(&key))
        };
        own.or_else(|| published.pvds().find(leads_out_of)).or_else(|| published.pvd(&without_router))
    }

    fn preference_of(&self, route: &DefaultRoute) -> Preference {
        let (Some(IpAddr::V6(gateway)), Some(facts)) = (route.gateway, self.facts.link(route.ifindex)) else {
            return Preference::Medium;
        };
        let speaks = facts.advertising().filter(|(advertiser, _)| advertiser.router == gateway);
        speaks.filter_map(|(_, router)| router.default_preference()).max().unwrap_or_default()
    }

    /// A link settles when it is touched: by an answer, by its deadline, by its end. All that are up are touched by
    /// the first dump.
    fn derive_startup(&mut self, touched: &BTreeSet<Ifindex>, now: BootTime, changes: &mut Vec<Change>) {
        let Startup::Settling(links) = &mut self.startup else { return };
        let unsettled =
            |ifindex: &Ifindex| self.facts.link(*ifindex).is_some_and(|facts| !facts.settled(now));
        for ifindex in touched.iter().filter(|ifindex| !unsettled(ifindex)) {
            links.remove(ifindex);
        }
        if links.is_empty() {
            self.startup = Startup::Finished;
            self.snapshot.set_startup(false);
            changes.push(Change::StartupFinished);
        }
    }

    fn links_up(&self) -> BTreeSet<Ifindex> {
        let up =
            |ifindex: &Ifindex| self.facts.link(*ifindex).is_some_and(|facts| facts.up_since().is_some());
        self.facts.ifindexes().filter(up).collect()
    }
}

/// Makes commands of what a link's requests need.
fn carry_over(ifindex: Ifindex, published: &Published, steps: Steps, batch: &mut Batch) {
    for Topic { pvd, kind } in steps.cancel {
        let pvd = published.pvd(&pvd).map(|pvd| pvd.serial);
        batch.commands.extend(pvd.map(|pvd| Command::CancelFetch { pvd, kind }));
    }
    for (key, subject) in steps.fetch {
        let pvd = published.pvd(&key).map(|pvd| pvd.serial);
        batch.commands.extend(pvd.map(|pvd| Command::Fetch(Box::new(Fetch { ifindex, pvd, key, subject }))));
    }
    batch.reports.extend(steps.reports.into_iter().map(|report| (ifindex, report)));
}

const fn ifindex_of(event: &Event) -> Option<Ifindex> {
    match event {
        Event::ResyncBegin | Event::ResyncEnd => None,
        Event::Link(link) => Some(link.ifindex),
        Event::Address(address) => Some(address.key.ifindex),
        Event::AddressGone { key } => Some(key.ifindex),
        Event::Route(route) | Event::RouteGone { route } => Some(route.ifindex),
        Event::Fetched(fetched) => Some(fetched.ifindex),
        Event::LinkGone { ifindex }
        | Event::RouterAdvertisement { ifindex, .. }
        | Event::Lease { ifindex, .. }
        | Event::LeaseGone { ifindex, .. }
        | Event::Dhcpv6 { ifindex, .. }
        | Event::Dhcpv6Gone { ifindex, .. }
        | Event::Settings { ifindex, .. }
        | Event::SettingsGone { ifindex, .. } => Some(*ifindex),
    }
}

/// One deadline a link, the soonest first.
#[derive(Clone, Debug, Default)]
struct Timers {
    by_time: BTreeSet<(BootTime, Ifindex)>,
    by_link: BTreeMap<Ifindex, BootTime>,
}

impl Timers {
    fn next(&self) -> Option<BootTime> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }

    fn set(&mut self, ifindex: Ifindex, deadline: Option<BootTime>) {
        if self.by_link.get(&ifindex) == deadline.as_ref() {
            return;
        }
        self.clear(ifindex);
        if let Some(deadline) = deadline {
            self.by_link.insert(ifindex, deadline);
            self.by_time.insert((deadline, ifindex));
        }
    }

    fn clear(&mut self, ifindex: Ifindex) {
        if let Some(deadline) = self.by_link.remove(&ifindex) {
            self.by_time.remove(&(deadline, ifindex));
        }
    }

    fn take_due(&mut self, now: BootTime) -> BTreeSet<Ifindex> {
        let due: BTreeSet<Ifindex> = self
            .by_time
            .iter()
            .take_while(|(deadline, _)| deadline.passed(now))
            .map(|(_, ifindex)| *ifindex)
            .collect();
        for ifindex in &due {
            self.clear(*ifindex);
        }
        due
    }
}
