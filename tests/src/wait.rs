//! Waits without sleeps: a state is looked at every few milliseconds until it is there, and a
//! deadline says what was missing and what was seen instead.
//!
//! A deadline is of time in which this process runs: while a machine sleeps, or has stopped it, nothing can come.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a test waits for any one state.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The most that counts of any one moment without a look, however long it lasted.
const TICK: Duration = Duration::from_secs(1);

/// How often a state is looked at.
const INTERVAL: Duration = Duration::from_millis(4);

/// What is being waited for now, for the report of a universe that ran out of time.
static WAITING_FOR: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Waits until `probe` answers `Ok` and hands back its value. An `Err` holds what was seen instead;
/// the last one is shown when [`DEADLINE`] passes.
///
/// # Panics
/// At the deadline.
pub async fn eventually<T, E, P>(what: &str, probe: P) -> T
where
    E: Display,
    P: AsyncFnMut() -> Result<T, E>,
{
    within(DEADLINE, what, probe).await
}

/// [`eventually`] with a deadline of its own.
///
/// # Panics
/// At the deadline.
pub async fn within<T, E, P>(deadline: Duration, what: &str, mut probe: P) -> T
where
    E: Display,
    P: AsyncFnMut() -> Result<T, E>,
{
    let _waiting = Waiting::for_(what);
    let (mut waited, mut last) = (Duration::ZERO, Instant::now());
    loop {
        let seen = match probe().await {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        waited += last.elapsed().min(TICK);
        last = Instant::now();
        assert!(
            waited < deadline,
            "waited {} s in vain for: {what}\nlast seen: {seen}",
            deadline.as_secs_f32()
        );
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits for a future, at most [`DEADLINE`].
///
/// # Panics
/// At the deadline.
pub async fn completes<T>(what: &str, future: impl Future<Output = T>) -> T {
    let _waiting = Waiting::for_(what);
    let mut future = std::pin::pin!(future);
    for _ in 0..DEADLINE.as_secs() {
        if let Ok(value) = tokio::time::timeout(TICK, &mut future).await {
            return value;
        }
    }
    panic!("waited {} s in vain for: {what}", DEADLINE.as_secs())
}

/// What the test is waiting for at this moment, innermost last.
pub(crate) fn waiting_for() -> Vec<&'static str> {
    WAITING_FOR.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Keeps its text in [`WAITING_FOR`] while it lives.
struct Waiting(&'static str);

impl Waiting {
    fn for_(what: &str) -> Self {
        // A test makes a few dozen of these and then its process ends.
        let what: &'static str = Box::leak(what.to_owned().into_boxed_str());
        WAITING_FOR.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        Self(what)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = WAITING_FOR.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = waits.iter().rposition(|what| std::ptr::eq(*what, self.0)) {
            waits.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_that_comes_is_returned() {
        let mut looks = 0;
        let value = eventually("the third look", async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(looks) }
        })
        .await;
        assert_eq!(value, 3);
        assert!(!waiting_for().contains(&"the third look"));
    }

    #[tokio::test]
    #[should_panic(expected = "last seen: still dark")]
    async fn a_state_that_never_comes_says_what_was_seen() {
        within(Duration::from_millis(20), "light", async || Err::<(), _>("still dark")).await;
    }
}
