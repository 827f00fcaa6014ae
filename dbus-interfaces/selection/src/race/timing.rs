//! The configurable values of RFC 8305, section 8.

use std::time::Duration;

/// How long things are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Resolution Delay: how long a better answer is waited for once there is one to try.
    pub resolution_delay: Duration,
    /// How long all of it may take.
    pub limit: Duration,
    attempt_delay: Duration,
}

impl Timing {
    /// Minimum Connection Attempt Delay, as recommended.
    pub const SHORTEST_ATTEMPT_DELAY: Duration = Duration::from_millis(100);
    /// Maximum Connection Attempt Delay, as recommended.
    pub const LONGEST_ATTEMPT_DELAY: Duration = Duration::from_secs(2);

    /// Connection Attempt Delay: how long after an attempt the next one begins.
    #[must_use]
    pub const fn attempt_delay(&self) -> Duration {
        self.attempt_delay
    }

    /// With another limit for all of it.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// With another Connection Attempt Delay, kept within the bounds of the RFC.
    #[must_use]
    pub fn with_attempt_delay(self, delay: Duration) -> Self {
        let attempt_delay = delay.clamp(Self::SHORTEST_ATTEMPT_DELAY, Self::LONGEST_ATTEMPT_DELAY);
        Self { attempt_delay, ..self }
    }
}

impl Default for Timing {
    /// 50 ms and 250 ms, as recommended; 20 s in all, as Connect to Address has it.
    fn default() -> Self {
        Self {
            resolution_delay: Duration::from_millis(50),
            attempt_delay: Duration::from_millis(250),
            limit: Duration::from_secs(20),
        }
    }
}
