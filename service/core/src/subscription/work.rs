//! The work under way for one subscriber: translations and connections, two spaces of identifiers.

use crate::pvd::Serial;
use crate::time::BootTime;
use std::collections::BTreeMap;
use std::fmt;

/// Numbers every piece of work of the service, so that late outcomes of an id used again are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkNumber(pub u64);

/// The two kinds of work that a subscriber can have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkKind {
    /// Begun by Translate Name.
    Translation,
    /// Begun by Connect to Address.
    Connection,
}

/// Work that is over or no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What it was.
    pub kind: WorkKind,
    /// Which.
    pub number: WorkNumber,
}

#[derive(Clone, Copy, Debug)]
struct Work {
    number: WorkNumber,
    pvd: Serial,
    /// Until when a connected socket waits to be taken.
    unclaimed: Option<BootTime>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Works {
    by_id: BTreeMap<(WorkKind, u32), Work>,
    by_number: BTreeMap<WorkNumber, (WorkKind, u32)>,
}

impl Works {
    pub(super) fn contains(&self, kind: WorkKind, id: u32) -> bool {
        self.by_id.contains_key(&(kind, id))
    }

    pub(super) fn find(&self, number: WorkNumber) -> Option<(u32, WorkKind)> {
        self.by_number.get(&number).map(|(kind, id)| (*id, *kind))
    }

    pub(super) fn start(&mut self, kind: WorkKind, id: u32, pvd: Serial, number: WorkNumber) {
        self.by_id.insert((kind, id), Work { number, pvd, unclaimed: None });
        self.by_number.insert(number, (kind, id));
    }

    pub(super) fn remove(&mut self, kind: WorkKind, id: u32) -> Option<Ended> {
        let work = self.by_id.remove(&(kind, id))?;
        self.by_number.remove(&work.number);
        Some(Ended { kind, number: work.number })
    }

    pub(super) fn set_connected(&mut self, id: u32, unclaimed: BootTime) {
        if let Some(work) = self.by_id.get_mut(&(WorkKind::Connection, id)) {
            work.unclaimed = Some(unclaimed);
        }
    }

    pub(super) fn take_connected(&mut self, id: u32) -> Option<Ended> {
        let work = self.by_id.get(&(WorkKind::Connection, id))?;
        work.unclaimed?;
        self.remove(WorkKind::Connection, id)
    }

    pub(super) fn take_unclaimed(&mut self, now: BootTime) -> Vec<(u32, Ended)> {
        self.take_if(|work| work.unclaimed.is_some_and(|until| until.passed(now)))
    }

    pub(super) fn take_on(&mut self, pvd: Serial) -> Vec<(u32, Ended)> {
        self.take_if(|work| work.pvd == pvd)
    }

    pub(super) fn drain(&mut self) -> Vec<Ended> {
        self.take_if(|_| true).into_iter().map(|(_, ended)| ended).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<BootTime> {
        self.by_id.values().filter_map(|work| work.unclaimed).min()
    }

    fn take_if(&mut self, wanted: impl Fn(&Work) -> bool) -> Vec<(u32, Ended)> {
        let ids: Vec<(WorkKind, u32)> =
            self.by_id.iter().filter(|(_, work)| wanted(work)).map(|(key, _)| *key).collect();
        ids.into_iter().filter_map(|(kind, id)| Some((id, self.remove(kind, id)?))).collect()
    }
}

impl fmt::Display for WorkKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Translation => "translation",
            Self::Connection => "connection",
        })
    }
}
