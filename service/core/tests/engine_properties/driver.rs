//! Drives an engine through steps, with a listener who hears every batch.

use crate::common::host::SETTINGS;
use crate::common::listener::Listener;
use crate::step::{BEGINNING, Step};
use mif_core::BootTime;
use mif_core::change::Change;
use mif_core::configuration::{Configuration, Element};
use mif_core::engine::{Batch, Engine};
use mif_core::event::{Event, Ifindex, LinkKind, LinkState};
use mif_core::pvd::{Family, PvdAddress, PvdKey, Serial};
use mif_core::shared::Shared;
use mif_core::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::time::Duration;

/// No time that passes in a step needs more wake-ups than this.
const WAKE_UPS: usize = 300;

/// An engine, its listener and the time.
pub struct Driver {
    engine: Engine,
    listener: Listener,
    now: BootTime,
}

impl Driver {
    /// At the beginning of histories, before the first dump.
    pub fn new() -> Self {
        Self::beginning_at(BEGINNING)
    }

    /// At the beginning of histories, after a first dump of nothing.
    pub fn started() -> Self {
        let mut driver = Self::new();
        driver.see(Event::ResyncEnd);
        driver.settle();
        driver
    }

    /// At another moment, before the first dump.
    pub fn beginning_at(now: BootTime) -> Self {
        Self { engine: Engine::new(SETTINGS), listener: Listener::new(), now }
    }

    /// The time.
    pub const fn now(&self) -> BootTime {
        self.now
    }

    /// The engine, to look at.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Takes a step; the changes that came of it.
    pub fn take(&mut self, step: &Step) -> Vec<Change> {
        match step {
            Step::Event(event) => {
                self.see(event.clone());
                Vec::new()
            }
            Step::Pass(seconds) => self.pass(*seconds),
            Step::Sleep(seconds) => {
                self.now = self.now.after(Duration::from_secs(*seconds));
                Vec::new()
            }
            Step::Commit => self.commit().changes,
        }
    }

    /// Shows an event, and derives nothing yet.
    pub fn see(&mut self, event: Event) {
        self.engine.handle_event(self.now, event);
    }

    /// Derives what came of everything so far. Unless a dump is under way, the next timeout is then to come.
    pub fn settle(&mut self) -> Batch {
        self.engine.handle_timeout(self.now);
        let batch = self.commit();
        let next = self.engine.next_timeout();
        assert!(next.is_none_or(|next| next > self.now), "at {:?} due again at {next:?}", self.now);
        batch
    }

    fn pass(&mut self, seconds: u64) -> Vec<Change> {
        let until = self.now.after(Duration::from_secs(seconds));
        // Nobody waits for anything with events at hand.
        let mut changes = self.commit().changes;
        for _ in 0..WAKE_UPS {
            let Some(wake) = self.engine.next_timeout().filter(|wake| *wake <= until) else {
                self.now = until;
                return changes;
            };
            self.now = self.now.max(wake);
            changes.extend(self.settle().changes);
        }
        panic!("more than {WAKE_UPS} wake-ups in {seconds} s");
    }

    fn commit(&mut self) -> Batch {
        let batch = self.engine.commit(self.now);
        self.listener.hear(&batch);
        batch
    }
}

/// A snapshot without what depends on history: serials, revisions and names of birth.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    links: BTreeMap<Ifindex, LinkShape>,
    defaults: [Option<(Ifindex, PvdKey)>; 2],
}

#[derive(Debug, PartialEq, Eq)]
struct LinkShape {
    names: [String; 2],
    kind: LinkKind,
    state: LinkState,
    pvds: BTreeMap<PvdKey, PvdShape>,
}

#[derive(Debug, PartialEq, Eq)]
struct PvdShape {
    family: Family,
    addresses: Vec<PvdAddress>,
    elements: BTreeMap<Element, Shared<Configuration>>,
    used: Shared<Configuration>,
    link_up: bool,
}

impl Shape {
    /// The shape of `snapshot` at `now`.
    pub fn of(snapshot: &Snapshot, now: BootTime) -> Self {
        let link = |interface: &mif_core::pvd::Interface| LinkShape {
            names: [interface.name.clone(), interface.display_name.clone()],
            kind: interface.kind,
            state: interface.state,
            pvds: snapshot.pvds_of(interface).map(|pvd| (pvd.key.clone(), PvdShape::of(pvd, now))).collect(),
        };
        let default = |serial: Option<Serial>| {
            let pvd = snapshot.pvd(serial?)?;
            Some((pvd.ifindex, pvd.key.clone()))
        };
        Self {
            links: snapshot.interfaces().map(|interface| (interface.ifindex, link(interface))).collect(),
            defaults: [snapshot.defaults().ipv4, snapshot.defaults().ipv6].map(default),
        }
    }
}

impl PvdShape {
    fn of(pvd: &mif_core::pvd::Pvd, now: BootTime) -> Self {
        let mut shape = Self {
            family: pvd.family,
            addresses: pvd.addresses.clone(),
            elements: pvd.elements.clone(),
            used: pvd.used.clone(),
            link_up: pvd.link_up,
        };
        for configuration in shape.elements.values_mut().chain([&mut shape.used]) {
            for data in configuration.prefixes.values_mut() {
                // Who is told only what holds does not learn since when a prefix is deprecated.
                data.preferred_until = data.preferred_until.max(now);
            }
        }
        shape
    }
}
