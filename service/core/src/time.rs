//! The one clock of mif: CLOCK_BOOTTIME, which counts suspended time as lifetimes do.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment on CLOCK_BOOTTIME in microseconds. As a deadline, [`BootTime::FOREVER`] never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

/// One moment on both clocks, for programs that tell deadlines by the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Since boot.
    pub boot: BootTime,
    /// Since 1970.
    pub unix: Duration,
}

impl BootTime {
    /// The deadline that never comes (infinite lifetimes, 0xffffffff on the wire).
    pub const FOREVER: Self = Self(u64::MAX);
    /// The moment of boot.
    pub const ZERO: Self = Self(0);

    /// The moment `micros` microseconds after boot.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since boot.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment and `duration` more; a sum that does not fit is for ever.
    pub fn after(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The deadline of a lifetime as protocols carry it: whole seconds, all ones for ever (RFC 4861 4.6.2).
    pub fn after_lifetime(self, seconds: u32) -> Self {
        if seconds == u32::MAX { Self::FOREVER } else { self.after(Duration::from_secs(u64::from(seconds))) }
    }

    /// How long from this moment until `deadline`; zero when it has passed, `None` when it never comes.
    pub fn until(self, deadline: Self) -> Option<Duration> {
        (deadline != Self::FOREVER).then(|| Duration::from_micros(deadline.0.saturating_sub(self.0)))
    }

    /// Whether this deadline has passed at `now`.
    pub fn passed(self, now: Self) -> bool {
        self != Self::FOREVER && self <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinite_lifetimes_never_pass() {
        let now = BootTime::from_micros(5);
        assert_eq!(now.after_lifetime(u32::MAX), BootTime::FOREVER);
        assert!(!BootTime::FOREVER.passed(BootTime::FOREVER));
        assert_eq!(now.until(BootTime::FOREVER), None);
    }

    #[test]
    fn a_deadline_passes_at_its_moment() {
        let now = BootTime::from_micros(1_000_000);
        let deadline = now.after_lifetime(2);
        assert!(!deadline.passed(BootTime::from_micros(2_999_999)));
        assert!(deadline.passed(BootTime::from_micros(3_000_000)));
        assert_eq!(now.until(deadline), Some(Duration::from_secs(2)));
    }
}
