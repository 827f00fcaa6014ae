//! The one place that reads the clock.

use mif_core::BootTime;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
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

/// Wakes at moments of CLOCK_BOOTTIME. The timers of tokio stand still while the machine sleeps: what ended meanwhile
/// would be shown for as long again once it is awake.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<Timer>,
    /// What it is set to.
    set: Option<BootTime>,
}

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// Those of timerfd_create(2) and epoll_ctl(2).
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Timer(TimerFd::new(timerfd::ClockId::CLOCK_BOOTTIME, flags)?);
        // SAFETY: a TimerFd is open, gives the same number always, and keeps it open until it is dropped.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        Ok(Self { timer, set: None })
    }

    /// Waits for `deadline`; for ever without one. Whoever is tired of it may wait for another one.
    pub async fn at(&mut self, deadline: Option<BootTime>) {
        let deadline = deadline.filter(|deadline| *deadline != BootTime::FOREVER);
        let Some(deadline) = deadline else { return std::future::pending().await };
        if self.set != Some(deadline) && self.timer.get_ref().set(deadline).is_ok() {
            self.set = Some(deadline);
        }
        while !deadline.passed(now()) {
            let rung = match self.set {
                Some(_) => self.timer.readable().await,
                None => Err(io::ErrorKind::Unsupported.into()),
            };
            let Ok(mut rung) = rung else { return at(Some(deadline)).await };
            // It may have rung for an earlier one, and is read to ring again.
            let _ = rung.try_io(|timer| Ok(timer.get_ref().0.wait()?));
        }
    }
}

/// A timerfd, as tokio wants it.
#[derive(Debug)]
struct Timer(TimerFd);

impl Timer {
    fn set(&self, moment: BootTime) -> io::Result<()> {
        // All zeros would switch it off.
        let since_boot = Duration::from_micros(moment.as_micros().max(1));
        let once = Expiration::OneShot(TimeSpec::from_duration(since_boot));
        Ok(self.0.set(once, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Waits for `deadline`; for ever without one.
pub async fn at(deadline: Option<BootTime>) {
    match deadline.and_then(|deadline| now().until(deadline)) {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn it_rings_at_each_moment_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        let begin = now();
        alarm.at(Some(begin)).await;
        assert!(alarm.at(None).now_or_never().is_none());
        assert!(alarm.at(Some(BootTime::FOREVER)).now_or_never().is_none());
        for milliseconds in [20, 10, 30, 30, 5] {
            let moment = now().after(Duration::from_millis(milliseconds));
            assert!(alarm.at(Some(moment.after(Duration::from_secs(60)))).now_or_never().is_none());
            assert!(alarm.at(Some(moment)).now_or_never().is_none());
            alarm.at(Some(moment)).await;
            assert!(moment.passed(now()));
            // Once more for the same moment, which is over.
            assert!(alarm.at(Some(moment)).now_or_never().is_some());
        }
    }
}
