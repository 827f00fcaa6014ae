//! Connect to Name: carries a race over provisioning domains out ([`mif_core::race`]). Every question and every attempt
//! is planned from the state of its own moment, inside one provisioning domain, and ends when that one goes.

use super::connect::{Connection, connect};
use crate::routing::{HoldError, Router};
use crate::translate::Translator;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use mif_core::plan::{self, ConnectFailure, RaceRequest, Refusal, TranslationFailure};
use mif_core::pvd::Serial;
use mif_core::race::{Action, Attempt, Defeat, Family, Outcome, Race, Story};
use mif_core::snapshot::Snapshot;
use mif_core::usage::Held;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How many questions of one race may be under way at the same time.
const QUESTIONS_AT_ONCE: usize = 32;

/// Says before each attempt whether it may be made.
pub trait Gate: Send + Sync {
    /// Why not.
    type Denial: Display + Send + Sync;

    /// Whether to connect to `address` in the provisioning domain of this Id.
    fn admit(&self, pvd: &str, address: IpAddr) -> impl Future<Output = Result<(), Self::Denial>> + Send;
}

/// What a race is run with.
#[derive(Debug)]
pub struct Track<G> {
    /// What is wanted; it has been checked ([`RaceRequest::check`]).
    pub request: RaceRequest,
    /// Whose sockets.
    pub owner_uid: u32,
    /// The state, as it changes.
    pub snapshots: watch::Receiver<Snapshot>,
    /// Who asks names.
    pub translator: Arc<Translator>,
    /// Who gives the marks of sockets.
    pub router: Router,
    /// Who may connect where.
    pub gate: G,
    /// What the races of that user share.
    pub places: Arc<Places>,
}

/// What all races of one user may have under way together. What finds no place waits for one.
#[derive(Debug)]
pub struct Places {
    questions: Semaphore,
    attempts: Semaphore,
}

/// The places of all users whose races are under way.
#[derive(Debug, Default)]
pub struct PlacesByUser(BTreeMap<u32, Weak<Places>>);

/// A connection that won.
#[derive(Debug)]
pub struct Raced {
    /// The provisioning domain.
    pub pvd: Serial,
    /// Its Id.
    pub id: String,
    /// The other end.
    pub address: IpAddr,
    /// The connection.
    pub connection: Connection,
    /// How the race went.
    pub story: Story,
}

/// A race that nobody won.
#[derive(Debug)]
pub struct Lost<D: Display> {
    /// Why.
    pub defeat: Defeat<StepError<D>>,
    /// How the race went.
    pub story: Story,
}

/// Why a question has no answer, or an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError<D: Display> {
    /// It was not begun, or its provisioning domain is gone.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer.
    #[error(transparent)]
    Translation(#[from] TranslationFailure),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectFailure),
    /// Its packets cannot be led.
    #[error(transparent)]
    Routing(#[from] HoldError),
    /// The caller may not connect there.
    #[error("{0}")]
    Denied(D),
}

/// A question that was answered, or an attempt that has ended.
enum Step<D: Display> {
    Asked(usize, Family, Result<Vec<IpAddr>, StepError<D>>),
    Tried(Attempt, IpAddr, usize, Result<Connection, StepError<D>>),
}

impl PlacesByUser {
    /// The places of `uid`.
    pub fn of(&mut self, uid: u32) -> Arc<Places> {
        self.0.retain(|_, places| places.strong_count() > 0);
        if let Some(places) = self.0.get(&uid).and_then(Weak::upgrade) {
            return places;
        }
        let count = |held: Held| Semaphore::new(usize::try_from(held.per_user()).unwrap_or(1));
        let places =
            Arc::new(Places { questions: count(Held::Translation), attempts: count(Held::Connection) });
        self.0.insert(uid, Arc::downgrade(&places));
        places
    }
}

impl<G: Gate> Track<G> {
    /// Runs the race. Dropping the future ends every question and attempt, and leaves no socket.
    ///
    /// # Errors
    /// [`Lost`], with the error to speak of.
    pub async fn run(self) -> Result<Raced, Lost<G::Denial>> {
        // One that has been checked is not refused now.
        let name = self.request.check().unwrap_or_default();
        let (serials, domains): (Vec<Serial>, Vec<_>) =
            plan::contenders(&self.snapshot(), &name).into_iter().unzip();
        let begin = Instant::now();
        let ids: Vec<String> = domains.iter().map(|domain| domain.id.clone()).collect();
        let Self { request, .. } = &self;
        let timing = request.timing();
        let mut race = Race::new(domains, &request.policy, request.race_families(), timing);
        let at_once = Semaphore::new(QUESTIONS_AT_ONCE);
        let mut steps: FuturesUnordered<BoxFuture<'_, Step<G::Denial>>> = FuturesUnordered::new();
        let mut won = None;
        while race.outcome().is_none() {
            while let Some(action) = race.poll_action() {
                steps.push(match action {
                    Action::Ask { domain, family } => self.ask(domain, serials[domain], family, &at_once),
                    Action::Connect { attempt, domain, address } => {
                        let ends = (domain, serials[domain], ids[domain].as_str());
                        self.attempt(attempt, ends, address)
                    }
                });
            }
            let timeout = race.next_timeout().unwrap_or(timing.limit);
            tokio::select! {
                Some(step) = steps.next() => {
                    if let Some(made) = take_in(&mut race, begin, step) {
                        won = Some(made);
                    }
                }
                () = tokio::time::sleep_until(begin + timeout) => race.handle_timeout(begin.elapsed()),
            }
        }
        // What lost is dropped, and with it its sockets.
        drop(steps);
        let (outcome, events) = race.finish();
        let story = Story { pvds: ids, events };
        match (outcome, won) {
            (Some(Outcome::Won(_)), Some((domain, address, connection))) => {
                let id = story.pvds[domain].clone();
                Ok(Raced { pvd: serials[domain], id, address, connection, story })
            }
            (Some(Outcome::Lost(defeat)), _) => Err(Lost { defeat, story }),
            (_, _) => Err(Lost { defeat: Defeat::TimedOut, story }),
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    fn ask<'a>(
        &'a self,
        domain: usize,
        pvd: Serial,
        family: Family,
        at_once: &'a Semaphore,
    ) -> BoxFuture<'a, Step<G::Denial>> {
        let addresses = async move {
            // Neither is ever closed.
            let _places = (at_once.acquire().await, self.places.questions.acquire().await);
            let request = self.request.question(family, self.translator.systems());
            let encryption = self.translator.encryption();
            let plan = plan::translate(&self.snapshot(), pvd, &request, encryption)?;
            let mut answers = Vec::new();
            self.translator.translate(&plan, |answer| answers.push(answer)).await?;
            let answers = match self.snapshot().pvd(pvd) {
                Some(pvd) => plan::best_first(pvd, answers),
                None => answers,
            };
            Ok(answers.into_iter().map(|answer| answer.address).collect())
        };
        async move { Step::Asked(domain, family, self.within(pvd, addresses).await) }.boxed()
    }

    fn attempt<'a>(
        &'a self,
        attempt: Attempt,
        (domain, pvd, id): (usize, Serial, &'a str),
        address: IpAddr,
    ) -> BoxFuture<'a, Step<G::Denial>> {
        let connection = async move {
            self.gate.admit(id, address).await.map_err(StepError::Denied)?;
            // Never closed.
            let _place = self.places.attempts.acquire().await;
            let plan = plan::connect(&self.snapshot(), pvd, &self.request.attempt(address))?;
            let mark = self.router.hold(pvd).await?;
            Ok(connect(&plan, mark, self.owner_uid, self.snapshots.clone()).await?)
        };
        async move { Step::Tried(attempt, address, domain, self.within(pvd, connection).await) }.boxed()
    }

    /// Ends `step` when its provisioning domain goes.
    async fn within<T>(
        &self,
        pvd: Serial,
        step: impl Future<Output = Result<T, StepError<G::Denial>>>,
    ) -> Result<T, StepError<G::Denial>> {
        tokio::select! {
            // A step that is over counts, whatever became of its provisioning domain.
            biased;
            done = step => done,
            () = self.gone(pvd) => Err(Refusal::PvdGone(pvd).into()),
        }
    }

    async fn gone(&self, pvd: Serial) {
        let mut snapshots = self.snapshots.clone();
        while snapshots.borrow_and_update().pvd(pvd).is_some() {
            if snapshots.changed().await.is_err() {
                // The service stops, and this with it.
                return std::future::pending().await;
            }
        }
    }
}

/// Tells the race; the connection that has won by this.
fn take_in<D: Display>(
    race: &mut Race<StepError<D>>,
    begin: Instant,
    step: Step<D>,
) -> Option<(usize, IpAddr, Connection)> {
    let now = begin.elapsed();
    match step {
        Step::Asked(domain, family, Ok(addresses)) => race.handle_answer(now, domain, family, &addresses),
        Step::Asked(domain, family, Err(error)) => race.handle_no_answer(now, domain, family, error),
        Step::Tried(attempt, address, domain, Ok(connection)) => {
            return race.handle_connected(now, attempt).then_some((domain, address, connection));
        }
        Step::Tried(attempt, _, _, Err(error)) => race.handle_failed(now, attempt, error),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn races_of_one_user_share_their_places_as_long_as_one_runs() {
        let mut places = PlacesByUser::default();
        let (first, second, other) = (places.of(1000), places.of(1000), places.of(1001));
        assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
        assert_eq!(first.attempts.available_permits(), 128);
        drop((first, second, other));
        places.of(7);
        assert_eq!(places.0.len(), 1, "nothing is kept of users without races");
    }
}
