//! The service manager that started this process, as sd_notify(3) has it. Without one nothing is told to anybody.

use sd_notify::NotifyState;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// What the service manager is told.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor {
    /// How long it waits for a sign of life.
    watchdog: Option<Duration>,
}

/// A sign of life on its way through the service: it is made by the engine's loop, and counts when the bus task has
/// got it. A loop that is stuck lets none through, and is ended by the service manager.
#[derive(Debug)]
pub struct Pulse(());

/// Where pulses come from.
#[derive(Debug)]
pub struct Heart {
    interval: Option<Interval>,
    pulses: mpsc::Sender<Pulse>,
}

impl Supervisor {
    /// The one that NOTIFY_SOCKET and WATCHDOG_USEC name.
    pub fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// A heart that beats twice in the time in which a sign of life is expected, and where its pulses arrive.
    pub fn heart(self) -> (Heart, mpsc::Receiver<Pulse>) {
        // One on its way is enough: more would say nothing about now.
        let (pulses, arrive) = mpsc::channel(1);
        let beat = self.watchdog.map(|watchdog| (watchdog / 2).max(Duration::from_millis(1)));
        let interval = beat.map(|beat| {
            let mut interval = interval(beat);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        (Heart { interval, pulses }, arrive)
    }

    /// Everything can be asked.
    pub fn ready(self) {
        notify(&[NotifyState::Ready, NotifyState::Status("serving org.ietf.Mif1")]);
    }

    /// The configuration is read again.
    pub fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "CLOCK_MONOTONIC cannot be read"),
        }
    }

    /// It was read, and `mistake` is why nothing of it is in force.
    pub fn reloaded(self, mistake: Option<&str>) {
        let status = mistake.map_or_else(
            || "serving org.ietf.Mif1".to_owned(),
            |mistake| format!("serving org.ietf.Mif1 with its former configuration: {mistake}"),
        );
        notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// The end begins.
    pub fn stopping(self) {
        notify(&[NotifyState::Stopping]);
    }
}

impl Heart {
    /// Waits until the next pulse is due; for ever when nobody waits for any.
    pub async fn beat(&mut self) {
        match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Sends a pulse on its way, unless the last one has not arrived.
    pub fn pulse(&self) {
        if self.pulses.try_send(Pulse(())).is_err() {
            tracing::warn!("the bus task has not moved since the last sign of life");
        }
    }
}

impl Pulse {
    /// It went through: the service manager learns that the service lives.
    pub fn arrive(self) {
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
