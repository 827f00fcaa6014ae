//! The way of batches from the engine to the bus task.
//!
//! What somebody is to be told of, or what work under way must know, wakes the bus task, in order. A state in which only
//! deadlines moved, as every repeated advertisement of a router brings one, is laid ready for whoever asks next.

use mif_core::engine::Batch;
use mif_core::snapshot::Snapshot;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// How many batches may wait for the bus task.
const WAITING: usize = 64;

/// The engine's end.
#[derive(Debug)]
pub struct Sender {
    news: mpsc::Sender<Batch>,
    quiet: Quiet,
}

/// The bus task's end.
#[derive(Debug)]
pub struct Receiver {
    news: mpsc::Receiver<Batch>,
    quiet: Quiet,
}

/// The place of one batch.
#[derive(Debug)]
pub struct Room<'a> {
    place: mpsc::Permit<'a, Batch>,
    quiet: &'a Quiet,
}

/// A state that is newer than every batch that was sent.
#[derive(Clone, Debug, Default)]
struct Quiet(Arc<Mutex<Option<Snapshot>>>);

impl Quiet {
    fn set(&self, state: Option<Snapshot>) -> Option<Snapshot> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut place, state)
    }
}

/// A way with nothing on it.
pub fn channel() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let quiet = Quiet::default();
    (Sender { news: sender, quiet: quiet.clone() }, Receiver { news: receiver, quiet })
}

impl Sender {
    /// Waits until the bus task has room; `None` when it has ended.
    pub async fn reserve(&self) -> Option<Room<'_>> {
        let place = self.news.reserve().await.ok()?;
        Some(Room { place, quiet: &self.quiet })
    }

    /// Whether the bus task has taken in all that it is to tell.
    pub fn is_all_taken_in(&self) -> bool {
        self.news.capacity() == self.news.max_capacity()
    }
}

impl Room<'_> {
    /// Sends `batch`, or only lays its state ready when nobody need look.
    pub fn send(self, batch: Batch) {
        if batch.is_quiet() {
            self.quiet.set(Some(batch.snapshot));
        } else {
            // Its state is the newest. First, for a state that is found must be newer than every batch received.
            self.quiet.set(None);
            self.place.send(batch);
        }
    }
}

impl Receiver {
    /// The next batch that is not quiet; `None` when the engine has ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<Batch> {
        self.news.recv().await
    }

    /// A state that is newer than that of the last batch received, unless there is another batch to receive.
    pub fn take_state(&mut self) -> Option<Snapshot> {
        // A state ahead of what is told would break the order of announcements and answers.
        if self.news.is_empty() { self.quiet.set(None) } else { None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use futures_util::FutureExt;
    use mif_core::BootTime;
    use mif_core::change::Change;
    use mif_core::engine::{Engine, Settings};
    use mif_core::event::Event;
    use mif_core::facts::InquiryPolicy;
    use mif_core::fetch::FetchPolicy;
    use std::time::Duration;

    /// The first two states of an engine.
    fn states() -> [Snapshot; 2] {
        let settings = Settings {
            grace: Duration::ZERO,
            first_serial: 1,
            fetches: FetchPolicy::default(),
            inquiries: InquiryPolicy::NONE,
            seed: 1,
        };
        let mut engine = Engine::new(settings);
        let first = engine.commit(BootTime::ZERO).snapshot;
        engine.handle_event(BootTime::ZERO, Event::ResyncEnd);
        let second = engine.commit(BootTime::ZERO).snapshot;
        assert_ne!(first, second);
        [first, second]
    }

    fn send(sender: &Sender, state: &Snapshot, changes: Vec<Change>) {
        let room = sender.reserve().now_or_never().unwrap().unwrap();
        room.send(Batch { snapshot: state.clone(), changes, ..Batch::default() });
    }

    fn received(receiver: &mut Receiver) -> Option<Snapshot> {
        receiver.recv().now_or_never().flatten().map(|batch| batch.snapshot)
    }

    #[test]
    fn a_state_that_nobody_is_told_of_wakes_nobody() {
        let ((sender, mut receiver), [state, _]) = (channel(), states());
        send(&sender, &state, Vec::new());
        assert_eq!(received(&mut receiver), None);
        assert_eq!(receiver.take_state(), Some(state));
        assert_eq!(receiver.take_state(), None, "once is enough");
    }

    #[test]
    fn no_state_goes_ahead_of_what_is_told_before_it() {
        let ((sender, mut receiver), [first, second]) = (channel(), states());
        send(&sender, &first, vec![Change::StartupFinished]);
        send(&sender, &second, Vec::new());
        assert_eq!(receiver.take_state(), None);
        assert_eq!(received(&mut receiver), Some(first));
        assert_eq!(receiver.take_state(), Some(second));
    }

    #[test]
    fn no_state_comes_after_a_newer_one() {
        let ((sender, mut receiver), [first, second]) = (channel(), states());
        send(&sender, &first, Vec::new());
        send(&sender, &second, vec![Change::StartupFinished]);
        assert_eq!(received(&mut receiver), Some(second));
        assert_eq!(receiver.take_state(), None);
    }
}
