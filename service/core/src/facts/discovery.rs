//! Router discovery on one link (RFC 4861 6.3.7): when to solicit, and when to stop waiting for an answer.

use crate::BootTime;
use std::time::Duration;

/// How long a link is given to explain itself after a solicitation, and the time between solicitations
/// (RTR_SOLICITATION_INTERVAL, RFC 4861 10).
pub const PATIENCE: Duration = Duration::from_secs(4);
/// MAX_RTR_SOLICITATIONS, RFC 4861 10.
const SOLICITATIONS: u8 = 3;

/// Where router discovery stands on a link that is up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discovery {
    first: Option<BootTime>,
    last: Option<BootTime>,
    sent: u8,
    answered: bool,
}

impl Discovery {
    /// Notes an advertisement.
    pub fn answer(&mut self) {
        self.answered = true;
    }

    /// Whether a solicitation is to be sent now, on a link that can send one. Counts it as sent.
    pub fn solicit(&mut self, now: BootTime) -> bool {
        if self.answered || self.sent >= SOLICITATIONS {
            return false;
        }
        if self.last.is_some_and(|last| !last.after(PATIENCE).passed(now)) {
            return false;
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.sent += 1;
        true
    }

    /// When the next solicitation is due or the waiting ends, on a link that is up since `up`.
    pub fn next_deadline(&self, now: BootTime, up: BootTime) -> Option<BootTime> {
        if self.answered {
            return None;
        }
        let due = self.last.unwrap_or(up).after(PATIENCE);
        (!due.passed(now)).then_some(due)
    }

    /// Whether the link has answered or has had its time, when it is up since `up`.
    pub fn settled(&self, now: BootTime, up: BootTime) -> bool {
        self.answered || self.first.unwrap_or(up).after(PATIENCE).passed(now)
    }

    /// Until when an address that `seen` came into view may wait for an advertisement that explains it.
    pub fn explains_until(&self, seen: BootTime) -> BootTime {
        let unasked = seen.after(PATIENCE);
        // A first question that comes after the waiting was over does not begin it anew: nothing shall flap.
        self.first
            .filter(|first| !unasked.passed(*first))
            .map_or(unasked, |first| first.max(seen).after(PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn asks_three_times_four_seconds_apart() {
        let mut discovery = Discovery::default();
        assert!(discovery.solicit(at(0)));
        assert!(!discovery.solicit(at(3)));
        assert!(discovery.solicit(at(4)));
        assert!(discovery.solicit(at(8)));
        assert!(!discovery.solicit(at(12)));
        assert_eq!(discovery.next_deadline(at(13), at(0)), None);
    }

    #[test]
    fn an_answer_ends_it() {
        let mut discovery = Discovery::default();
        assert!(discovery.solicit(at(0)));
        assert!(!discovery.settled(at(1), at(0)));
        discovery.answer();
        assert!(discovery.settled(at(1), at(0)));
        assert!(!discovery.solicit(at(9)));
        assert_eq!(discovery.next_deadline(at(1), at(0)), None);
    }

    #[test]
    fn an_address_waits_from_the_question_on_unless_it_has_waited_long_enough() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.explains_until(at(1)), at(5));
        assert!(discovery.solicit(at(3)));
        assert_eq!(discovery.explains_until(at(1)), at(7), "seen before the question");
        assert_eq!(discovery.explains_until(at(6)), at(10), "seen after it");

        let mut late = Discovery::default();
        assert!(late.solicit(at(20)));
        assert_eq!(late.explains_until(at(1)), at(5), "it was given up before the question");
    }

    #[test]
    fn a_link_that_never_could_ask_is_given_up_all_the_same() {
        let discovery = Discovery::default();
        assert!(!discovery.settled(at(3), at(0)));
        assert!(discovery.settled(at(4), at(0)));
        assert_eq!(discovery.next_deadline(at(0), at(0)), Some(at(4)));
    }
}
