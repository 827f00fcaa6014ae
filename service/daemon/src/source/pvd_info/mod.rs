//! Asks a network's own web servers, as the engine commands: additional information (RFC 8801 4) and the captive
//! portal API (RFC 8908). Each request stays inside its provisioning domain: its servers for names, its sources, its
//! interface. What comes of it goes to the engine as [`Event::Fetched`].

mod connector;
mod http;

use crate::clock;
use crate::routing::Router;
use crate::source::{Feed, Observation};
use crate::translate::{self, Translator};
use connector::{Connector, Inside};
use http::get;
use mif_core::change::Change;
use mif_core::engine::{Batch, Command};
use mif_core::event::Event;
use mif_core::fetch::{Fetch, FetchAnswer, FetchFailure, FetchKind, Fetched, TIMEOUT};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// Requests under way at a time, on all links; others wait for their turn within their own time.
const AT_A_TIME: usize = 32;

/// Carries requests out. Dropping it gives them all up.
#[derive(Debug)]
pub struct Fetcher {
    feed: Feed,
    shared: Arc<Shared>,
    /// The latest state, for requests under way.
    snapshots: watch::Receiver<Snapshot>,
    running: BTreeMap<(Serial, FetchKind), Running>,
}

#[derive(Debug)]
struct Shared {
    translator: Translator,
    connector: Connector,
    turns: Semaphore,
}

/// A request under way, which ends with this value.
#[derive(Debug)]
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fetcher {
    /// A fetcher that tells `feed`, and finds names as `translation` says, by sockets with the marks of `router`.
    /// `snapshots` must hold a batch's state before the runtime's other tasks go on after it was carried out.
    pub fn new(
        feed: Feed,
        translation: translate::Settings,
        router: Router,
        snapshots: watch::Receiver<Snapshot>,
    ) -> Self {
        let shared = Shared {
            translator: Translator::new(translation).with_router(router),
            connector: Connector::new(),
            turns: Semaphore::new(AT_A_TIME),
        };
        Self { feed, shared: Arc::new(shared), snapshots, running: BTreeMap::new() }
    }

    /// Begins and gives up what `batch` wants. Must be called within a tokio runtime.
    pub fn carry_out(&mut self, batch: &Batch) {
        for change in &batch.changes {
            if let Change::PvdRemoved(pvd) = change {
                self.running.retain(|(of, _), _| *of != pvd.serial);
                self.shared.translator.forget(pvd.serial);
            }
        }
        for command in &batch.commands {
            match command {
                Command::Fetch(fetch) => self.begin(Fetch::clone(fetch)),
                Command::CancelFetch { pvd, kind } => drop(self.running.remove(&(*pvd, *kind))),
                Command::Solicit { .. } | Command::Inquire { .. } => {}
            }
        }
    }

    fn begin(&mut self, fetch: Fetch) {
        self.running.retain(|_, running| !running.0.is_finished());
        let key = (fetch.pvd, fetch.subject.kind());
        let (feed, shared) = (self.feed.clone(), Arc::clone(&self.shared));
        let snapshots = self.snapshots.clone();
        let task = tokio::spawn(async move {
            let asked = tokio::time::timeout(TIMEOUT, shared.ask(&snapshots, &fetch)).await;
            let answer = asked.unwrap_or(Err(FetchFailure::TimedOut)).unwrap_or_else(FetchAnswer::Failed);
            let Fetch { ifindex, key, subject, .. } = fetch;
            let fetched = Fetched { ifindex, pvd: key, subject, wall_clock: wall_clock(), answer };
            let event = Event::Fetched(Box::new(fetched));
            // Nobody listens any more when the daemon is about to stop.
            let _ = feed.send(Observation { at: clock::now(), event }).await;
        });
        self.running.insert(key, Running(task.abort_handle()));
    }
}

impl Shared {
    async fn ask(
        &self,
        snapshots: &watch::Receiver<Snapshot>,
        fetch: &Fetch,
    ) -> Result<FetchAnswer, FetchFailure> {
        // Never closed.
        let _turn = self.turns.acquire().await.map_err(|_| FetchFailure::Hindered)?;
        tracing::debug!(pvd = %fetch.pvd, ifindex = fetch.ifindex, subject = ?fetch.subject, "asking a web server");
        let inside = Inside { snapshots, pvd: fetch.pvd, translator: &self.translator };
        get(&self.connector, inside, fetch).await
    }
}

/// Seconds since 1970, negative before.
fn wall_clock() -> i64 {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(error) => seconds(error.duration()).saturating_neg(),
    }
}
