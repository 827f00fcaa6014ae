//! A client that does what clients do, one call after the other, and notes how long each takes: the measure of what
//! others cost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zbus::{Connection, ObjectPath, OwnedObjectPath};

use crate::daemons::{Bus, REFERENCE_NAME};
use crate::wait::completes;

const BUS: &str = "org.freedesktop.DBus";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";

/// Whom it calls.
#[derive(Clone, Debug)]
pub enum Callee {
    /// The service: a property of a provisioning domain.
    Service(OwnedObjectPath),
    /// The service that benchmarks compare with: the same of it.
    Reference,
    /// The bus itself, which no service can make faster.
    Bus,
}

/// The client, at work on a thread and a connection of its own.
#[derive(Debug)]
pub struct Bystander {
    thread: JoinHandle<Vec<Duration>>,
    stop: Arc<AtomicBool>,
}

impl Bystander {
    /// Sends it to work.
    pub fn start(bus: &Bus, callee: Callee) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (bus, stopped) = (bus.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let connection = bus.connect().await;
                let mut taken = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    taken.push(callee.call(&connection).await);
                }
                taken
            })
        });
        Self { thread, stop }
    }

    /// Has it finish.
    ///
    /// # Panics
    /// When a call failed or took longer than any test waits.
    pub async fn stop(self) -> Latencies {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread;
        match tokio::task::spawn_blocking(move || thread.join()).await.expect("a thread") {
            Ok(taken) => Latencies::of(taken),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Callee {
    /// Calls once; how long it took.
    ///
    /// # Panics
    /// When the call fails or takes longer than any test waits.
    pub async fn call(&self, connection: &Connection) -> Duration {
        let since = Instant::now();
        let arguments = (PVD, "Addresses");
        let root = ObjectPath::from_static_str_unchecked("/");
        let (name, path) = match self {
            Self::Service(pvd) => ("org.ietf.Mif1", pvd.as_ref()),
            Self::Reference => (REFERENCE_NAME, root),
            Self::Bus => {
                let call =
                    connection.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetId", &());
                completes("an answer of the bus", call).await.expect("the bus answers");
                return since.elapsed();
            }
        };
        let call = connection.call_method(Some(name), path, Some(PROPERTIES), "Get", &arguments);
        completes("an answer to a bystander", call).await.expect("the service answers");
        since.elapsed()
    }
}

/// How long calls took, the shortest first.
#[derive(Clone, Debug)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// From what was noted.
    pub fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        Self(taken)
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.0.len()
    }

    /// What so many of a thousand calls took at most.
    ///
    /// # Panics
    /// When there were none.
    pub fn per_mille(&self, share: usize) -> Duration {
        let last = self.0.len().checked_sub(1).expect("a call");
        self.0[(self.0.len() * share / 1_000).min(last)]
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |share| self.per_mille(share).as_micros();
        write!(
            out,
            "{} calls, p50 {} us, p99 {} us, longest {} us",
            self.calls(),
            us(500),
            us(990),
            us(1_000)
        )
    }
}
