//! When the bus is asked which clients are still there, because it may have dropped the word that one left.
//!
//! A bus drops what it has for the service, its own words among it, while too much of it waits: dbus-daemon 64 file
//! descriptors or 127 MiB, by default. Whatever was dropped, was dropped while that much waited, and all of that is
//! received after it. So once that much has been received since the last question was sent, there is reason for a new
//! one; and there is none on a bus that is never full.

use crate::time::BootTime;
use std::time::Duration;

/// So many descriptors received are reason to ask: half of what waits when a bus drops something.
const DESCRIPTORS: usize = 32;
/// So many bytes are; not much beside what waits then.
const BYTES: usize = 16 << 20;
/// What goes on like that is given so long to be over.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was received since the bus was asked last.
#[derive(Debug, Default)]
pub struct RollCall {
    descriptors: usize,
    bytes: usize,
    due: Option<BootTime>,
    asked: bool,
}

impl RollCall {
    /// Takes in that a message of so many bytes and descriptors came.
    pub fn received(&mut self, now: impl FnOnce() -> BootTime, bytes: usize, descriptors: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.descriptors = self.descriptors.saturating_add(descriptors);
        if self.due.is_none() && !self.asked && self.is_reason_enough() {
            self.due = Some(now().after(PATIENCE));
        }
    }

    /// When [`RollCall::handle_timeout`] is to be called.
    pub const fn next_timeout(&self) -> Option<BootTime> {
        self.due
    }

    /// Whether the bus is to be asked now.
    pub fn handle_timeout(&mut self, now: BootTime) -> bool {
        if !self.due.is_some_and(|due| due.passed(now)) {
            return false;
        }
        *self = Self { asked: true, ..Self::default() };
        true
    }

    /// Takes in that the bus has answered, or did not: then it is asked again.
    pub fn answered(&mut self, now: BootTime, answer: bool) {
        self.asked = false;
        if !answer || self.is_reason_enough() {
            self.due = Some(now.after(PATIENCE));
        }
    }

    const fn is_reason_enough(&self) -> bool {
        self.descriptors >= DESCRIPTORS || self.bytes >= BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(milliseconds: u64) -> BootTime {
        BootTime::from_micros(milliseconds * 1_000)
    }

    #[test]
    fn much_is_reason_to_ask_and_little_is_not() {
        for (bytes, descriptors) in [(0, 1), (BYTES / 32, 0)] {
            let mut roll = RollCall::default();
            for number in 0..31 {
                roll.received(|| at(number), bytes, descriptors);
            }
            assert_eq!(roll.next_timeout(), None);
            roll.received(|| at(31), bytes, descriptors);
            roll.received(|| at(32), bytes, descriptors);
            assert_eq!(roll.next_timeout(), Some(at(1_031)));
            assert!(!roll.handle_timeout(at(1_030)));
            assert!(roll.handle_timeout(at(1_031)));
            assert!(!roll.handle_timeout(at(9_999)), "once");
            roll.answered(at(2_000), true);
            assert_eq!(roll.next_timeout(), None);
        }
    }

    #[test]
    fn without_an_answer_it_is_asked_again() {
        let mut roll = RollCall::default();
        roll.received(|| at(0), 0, DESCRIPTORS);
        assert!(roll.handle_timeout(at(1_000)));
        roll.answered(at(5_000), false);
        assert_eq!(roll.next_timeout(), Some(at(6_000)));
        assert!(roll.handle_timeout(at(6_000)));
    }

    proptest! {
        /// A bus that keeps 64 descriptors for the service and drops what comes beyond, the word that somebody left among it:
        /// whenever that happens, and whenever the service reads, the question that tells comes after it.
        #[test]
        fn who_leaves_unseen_is_missed_in_the_end(steps in prop::collection::vec((0_u8..4, 1_usize..40), 1..200)) {
            let mut roll = RollCall::default();
            let (mut now, mut waiting, mut missed) = (0, 0_usize, false);
            let read = |roll: &mut RollCall, waiting: &mut usize, count: usize, now: u64| {
                for _ in 0..count.min(*waiting) {
                    roll.received(|| at(now), 100, 1);
                }
                *waiting -= count.min(*waiting);
            };
            for (step, count) in steps {
                match step {
                    0 => waiting = (waiting + count).min(64),
                    1 => read(&mut roll, &mut waiting, count, now),
                    2 => missed |= waiting == 64,
                    _ => {
                        now += 500;
                        // The bus answers at once; the service reads on until it has the answer.
                        if roll.handle_timeout(at(now)) {
                            missed = false;
                            read(&mut roll, &mut waiting, 64, now);
                            roll.answered(at(now), true);
                        }
                    }
                }
            }
            read(&mut roll, &mut waiting, 64, now);
            if roll.handle_timeout(at(now + 1_000)) {
                missed = false;
            }
            prop_assert!(!missed);
        }
    }
}
