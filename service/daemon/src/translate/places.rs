//! Places for questions on the wire: bounded for everybody, and never all taken by others.
//!
//! A server may be silent about the names of one client and answer those of another. Each client has a few places
//! that no other can take, besides those that all share; so what others ask costs nobody the answers to his own names.

use super::servers::lock;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Questions of all clients together on the wire at a time, in one provisioning domain; the others wait.
pub(super) const SHARED: usize = 64;
/// Questions of one client when those are taken: several names may be slow, and the next one gets through.
const OWN: usize = 8;

/// Who wants to know: the unique name of a client, or nothing for the service itself.
type Asker = Option<Arc<str>>;

tokio::task_local! {
    static ASKER: Asker;
}

/// Everything that `work` asks is asked for `client`, a unique name on the bus.
pub fn on_behalf_of<Work: Future>(client: Arc<str>, work: Work) -> impl Future<Output = Work::Output> {
    ASKER.scope(Some(client), work)
}

/// The places of one provisioning domain.
pub(super) struct Places {
    shared: Semaphore,
    own: Mutex<BTreeMap<Asker, Weak<Semaphore>>>,
    told: AtomicBool,
}

/// Is free again when it is dropped.
pub(super) struct Place<'a> {
    _shared: Option<SemaphorePermit<'a>>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Default for Places {
    fn default() -> Self {
        let shared = Semaphore::new(SHARED);
        Self { shared, own: Mutex::default(), told: AtomicBool::new(false) }
    }
}

impl Places {
    /// Waits for a place, shared or of whoever asks.
    pub(super) async fn take(&self) -> Place<'_> {
        if let Ok(permit) = self.shared.try_acquire() {
            return Place { _shared: Some(permit), _own: None };
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{SHARED} questions are on the wire in one provisioning domain: more of them wait"
            );
        }
        // Neither is ever closed.
        tokio::select! {
            biased;
            permit = self.own_of_asker().acquire_owned() => Place { _shared: None, _own: permit.ok() },
            permit = self.shared.acquire() => Place { _shared: permit.ok(), _own: None },
        }
    }

    fn own_of_asker(&self) -> Arc<Semaphore> {
        let asker = ASKER.try_with(Clone::clone).unwrap_or_default();
        let mut own = lock(&self.own);
        // Clients come and go; only those count that ask or wait.
        own.retain(|_, places| places.strong_count() > 0);
        if let Some(places) = own.get(&asker).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Semaphore::new(OWN));
        own.insert(asker, Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// All that `client` gets without waiting.
    async fn at_once<'a>(places: &'a Places, client: &str) -> Vec<Place<'a>> {
        let taking = async {
            // tokio lets a task take no more than so much before it yields.
            tokio::task::yield_now().await;
            let mut taken = Vec::new();
            while let Some(place) = places.take().now_or_never() {
                taken.push(place);
            }
            taken
        };
        on_behalf_of(client.into(), taking).await
    }

    #[tokio::test]
    async fn nobody_takes_the_places_of_another() {
        let places = Places::default();
        let first = at_once(&places, ":1.1").await;
        assert_eq!(first.len(), SHARED + OWN);
        let second = at_once(&places, ":1.2").await;
        assert_eq!(second.len(), OWN);
        assert_eq!(at_once(&places, ":1.2").await.len(), 0);
        // Nobody in particular is one, too.
        let taken: Vec<_> = std::iter::from_fn(|| places.take().now_or_never()).collect();
        assert_eq!(taken.len(), OWN);
        // What is given back is anybody's.
        drop(first);
        let third = at_once(&places, ":1.3").await;
        assert_eq!(third.len(), SHARED + OWN);
        assert_eq!(at_once(&places, ":1.2").await.len(), 0);
    }

    #[tokio::test]
    async fn who_is_gone_is_forgotten() {
        let places = Places::default();
        let shared = at_once(&places, ":1.0").await;
        for n in 1..=1_000 {
            assert_eq!(at_once(&places, &format!(":1.{n}")).await.len(), OWN);
        }
        assert_eq!(at_once(&places, ":1.0").await.len(), 0);
        assert!(lock(&places.own).len() <= 2);
        drop(shared);
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_next_place_of_either_kind() {
        let places = Places::default();
        let mut first = at_once(&places, ":1.1").await;
        let _second = at_once(&places, ":1.2").await;
        let mut waiting = Box::pin(on_behalf_of(":1.2".into(), places.take()));
        assert!((&mut waiting).now_or_never().is_none());
        first.pop();
        assert!((&mut waiting).now_or_never().is_none(), "the first one's own place is of no use to others");
        first.remove(0);
        assert!(waiting.now_or_never().is_some());
    }
}
