//! The work under way: a task for each translation and connection, and who waits for it.

use super::call::{Call, Client};
use super::error::BusError;
use crate::request::bind::Bound;
use crate::request::connect::Connection;
use crate::request::race::Raced;
use mif_core::plan::{Answer, TranslationEnd};
use mif_core::pvd::Serial;
use mif_core::subscription::WorkNumber;
use mif_core::usage::Held;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use tokio::task::AbortHandle;

/// Names a subscriber for as long as the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriberKey(pub u64);

/// What a task tells of its work.
#[derive(Debug)]
pub struct Progress {
    /// Which work.
    pub number: WorkNumber,
    /// What of it.
    pub what: What,
}

/// A step of a piece of work.
#[derive(Debug)]
pub enum What {
    /// An address was found.
    Answer(Answer),
    /// The translation is over.
    Translated(Result<TranslationEnd, BusError>),
    /// The connection is established, or never will be.
    Connected(Result<Connection, BusError>),
    /// One provisioning domain led to the name, or none did.
    Raced(Result<Box<Raced>, BusError>),
    /// The caller's socket is bound, or is as it was.
    Bound(Result<Bound, BusError>),
}

/// Who waits for a piece of work.
#[derive(Debug)]
pub enum Owner {
    /// A subscriber, on the message face.
    Subscriber(SubscriberKey),
    /// A method call, on the state face.
    Call(Call),
}

/// A piece of work.
#[derive(Debug)]
pub struct Work {
    /// Who waits for it.
    pub owner: Owner,
    /// On which provisioning domain; `None` for work on several, which sees by itself to those that go.
    pub pvd: Option<Serial>,
    /// For which client.
    pub client: Client,
    /// For which user.
    pub uid: u32,
    /// What it counts as.
    pub held: Held,
    /// What was found so far, for a method call that gets everything in one reply.
    pub answers: Vec<Answer>,
    /// An established connection that waits to be taken.
    pub socket: Option<OwnedFd>,
    /// Ends the task; sockets that it holds are closed with it. `None` for work that was over as soon as it began, and
    /// whose end is about to be told.
    pub abort: Option<AbortHandle>,
}

/// All work under way.
#[derive(Debug, Default)]
pub struct Works {
    works: BTreeMap<WorkNumber, Work>,
    next: u64,
}

impl Works {
    /// A number for new work. Never one twice.
    pub fn number(&mut self) -> WorkNumber {
        self.next += 1;
        WorkNumber(self.next)
    }

    /// Notes work that has begun.
    pub fn insert(&mut self, number: WorkNumber, work: Work) {
        self.works.insert(number, work);
    }

    /// The work of this number, unless it is over.
    pub fn get_mut(&mut self, number: WorkNumber) -> Option<&mut Work> {
        self.works.get_mut(&number)
    }

    /// Ends work: its task is stopped, and its socket closed unless the caller takes it.
    pub fn end(&mut self, number: WorkNumber) -> Option<Work> {
        let work = self.works.remove(&number)?;
        if let Some(abort) = &work.abort {
            abort.abort();
        }
        Some(work)
    }

    /// The method calls that wait for work on `pvd`.
    pub fn calls_on(&self, pvd: Serial) -> Vec<WorkNumber> {
        self.select(|work| work.pvd == Some(pvd) && matches!(work.owner, Owner::Call(_)))
    }

    /// All work for `client`.
    pub fn of_client(&self, client: &str) -> Vec<WorkNumber> {
        self.select(|work| &*work.client == client)
    }

    fn select(&self, wanted: impl Fn(&Work) -> bool) -> Vec<WorkNumber> {
        self.works.iter().filter(|(_, work)| wanted(work)).map(|(number, _)| *number).collect()
    }
}
