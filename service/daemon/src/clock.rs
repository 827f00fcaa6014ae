//! The one place that reads the clock, and waits by it.

use mif_core::BootTime;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Now on CLOCK_BOOTTIME (the first number of /proc/uptime).
pub fn now() -> BootTime {
    // Cannot fail for a clock that every supported kernel has; time zero would only expire nothing.
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return BootTime::ZERO };
    let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_nsec() / 1_000);
    BootTime::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// How long the machine has slept since it was booted.
pub fn slept() -> Duration {
    // First the clock that stands still meanwhile: what else happens in between counts as sleep, not as its opposite.
    let awake = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    Duration::from_micros(now().as_micros()).saturating_sub(awake)
}

/// Waits for one deadline after the other, on CLOCK_BOOTTIME: what ran out while the host was suspended is due when it
/// is back.
///
/// A timer of the runtime stands still meanwhile. It also costs more: the runtime passes through the slots of a wheel, and
/// is woken several times for a deadline that is a quarter of a second away, and once more for each that is earlier than
/// all others.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<Timer>,
    /// What the timer is set to, if it has not gone off: the deadline, or something earlier.
    set: Option<BootTime>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    /// One that is not set. Belongs to the runtime that it is made in.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Timer(TimerFd::new(TimerClock::CLOCK_BOOTTIME, flags)?);
        // SAFETY: the timer owns its descriptor and never changes it.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        Ok(Self { timer, set: None })
    }

    /// Waits for `deadline`; for ever without one. Cancel safe, and to be called again and again.
    pub async fn at(&mut self, deadline: Option<BootTime>) {
        let deadline = deadline.filter(|deadline| *deadline != BootTime::FOREVER);
        let is_set = match (self.set, deadline) {
            // One that only moves later, as with each advertisement of a router, costs nothing until it would go off.
            (Some(set), Some(deadline)) => set <= deadline,
            (set, deadline) => set == deadline,
        };
        if !is_set {
            self.set(deadline);
        }
        let Some(deadline) = deadline else { return std::future::pending().await };
        while !deadline.passed(now()) {
            match self.timer.readable().await {
                // Setting it again is what makes it unreadable.
                Ok(mut ready) => {
                    ready.clear_ready();
                    if self.set != Some(deadline) {
                        self.set(Some(deadline));
                    }
                }
                Err(error) => return fail(&error, deadline).await,
            }
        }
        self.set = None;
    }

    fn set(&mut self, deadline: Option<BootTime>) {
        let timer = &self.timer.get_ref().0;
        let done = match deadline {
            // Zero would switch it off.
            Some(deadline) => timer.set(
                Expiration::OneShot(TimeSpec::from_duration(Duration::from_micros(
                    deadline.as_micros().max(1),
                ))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            ),
            None => timer.unset(),
        };
        if let Err(error) = done {
            tracing::warn!(%error, ?deadline, "a timer cannot be set");
        }
        self.set = deadline;
    }
}

/// Goes by the runtime's clock, which is worse and better than nothing.
async fn fail(error: &io::Error, deadline: BootTime) {
    tracing::warn!(%error, "a timer is not heard");
    tokio::time::sleep(now().until(deadline).unwrap_or(Duration::MAX)).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use futures_util::FutureExt;

    const DEADLINE: Duration = Duration::from_secs(20);

    async fn goes_off(alarm: &mut Alarm, deadline: BootTime) {
        tokio::time::timeout(DEADLINE, alarm.at(Some(deadline))).await.unwrap();
        assert!(deadline.passed(now()), "too early");
    }

    #[tokio::test]
    async fn goes_off_at_each_deadline_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        for wait in [30, 0, 5, 5] {
            goes_off(&mut alarm, now().after(Duration::from_millis(wait))).await;
        }
    }

    #[tokio::test]
    async fn the_latest_deadline_counts() {
        let mut alarm = Alarm::new().unwrap();
        let (late, soon) = (now().after(Duration::from_secs(3_600)), now().after(Duration::from_millis(20)));
        assert_eq!(alarm.at(Some(late)).now_or_never(), None);
        assert_eq!(alarm.at(Some(soon)).now_or_never(), None);
        assert_eq!(alarm.at(None).now_or_never(), None);
        goes_off(&mut alarm, soon).await;
        assert_eq!(alarm.at(Some(late)).now_or_never(), None, "it went off for another deadline");
        goes_off(&mut alarm, BootTime::ZERO).await;
    }

    #[tokio::test]
    async fn a_ring_that_nobody_heard_is_not_taken_for_the_next_one() {
        let (mut alarm, mut other) = (Alarm::new().unwrap(), Alarm::new().unwrap());
        let soon = now().after(Duration::from_millis(5));
        assert_eq!(alarm.at(Some(soon)).now_or_never(), None);
        goes_off(&mut other, soon.after(Duration::from_millis(5))).await;
        goes_off(&mut alarm, now().after(Duration::from_millis(20))).await;
    }

    #[tokio::test]
    async fn a_deadline_that_moves_later_is_kept_for_nothing() {
        let mut alarm = Alarm::new().unwrap();
        let soon = now().after(Duration::from_millis(20));
        assert_eq!(alarm.at(Some(soon)).now_or_never(), None);
        for later in (21..=40).map(|millis| now().after(Duration::from_millis(millis))) {
            assert_eq!(alarm.at(Some(later)).now_or_never(), None);
            assert_eq!(alarm.set, Some(soon), "the timer is set anew each time");
        }
        goes_off(&mut alarm, now().after(Duration::from_millis(40))).await;
        assert_eq!(alarm.set, None);
    }

    #[tokio::test]
    async fn a_deadline_that_never_comes_is_none() {
        let mut alarm = Alarm::new().unwrap();
        assert_eq!(alarm.at(Some(BootTime::FOREVER)).now_or_never(), None);
        assert_eq!(alarm.set, None);
    }
}
