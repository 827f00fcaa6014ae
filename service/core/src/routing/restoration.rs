//! How often what others take away is put back.

use crate::BootTime;
use std::time::Duration;

/// So many times in a row it is put back at once.
const AT_ONCE: u32 = 8;
/// What lies further back than this does not count.
const MEMORY: Duration = Duration::from_secs(60);
/// How long is waited after that; twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// And at most.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Short enough for nobody to notice, long enough for one who takes away many to be done.
const GATHER: Duration = Duration::from_millis(50);

/// Puts back at once what others take away by mistake, and does not fight those who mean it.
#[derive(Clone, Debug, Default)]
pub struct Restoration {
    lost: Option<BootTime>,
    /// How many times it was put back, and when last.
    recent: Option<(u32, BootTime)>,
    said: bool,
}

/// When to put it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Then.
    pub at: BootTime,
    /// It happens so often that it is to be said, now and not again.
    pub say: bool,
}

impl Restoration {
    /// Something was taken away at `now`.
    pub fn lost(&mut self, now: BootTime) -> Verdict {
        if let Some(at) = self.lost {
            return Verdict { at, say: false };
        }
        let (times, last) = match self.recent {
            Some((times, last)) if !last.after(wait(times).max(MEMORY)).passed(now) => (times, Some(last)),
            Some(_) | None => (0, None),
        };
        let at = match last {
            Some(last) if times >= AT_ONCE => last.after(wait(times)).max(now.after(GATHER)),
            Some(_) | None => now.after(GATHER),
        };
        self.lost = Some(at);
        if times == 0 {
            self.recent = None;
        }
        let say = times >= AT_ONCE && !self.said;
        self.said |= say;
        Verdict { at, say }
    }

    /// When the next attempt is due.
    pub const fn due(&self) -> Option<BootTime> {
        self.lost
    }

    /// It was looked at, at `now`: was it put back, or had nothing been taken away?
    pub fn looked(&mut self, now: BootTime, restored: bool) {
        self.lost = None;
        if !restored {
            return;
        }
        let times = self.recent.map_or(0, |(times, _)| times);
        self.recent = Some((times.saturating_add(1), now));
    }
}

fn wait(times: u32) -> Duration {
    let doubled = times.saturating_sub(AT_ONCE).min(16);
    FIRST_WAIT.saturating_mul(1 << doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// Somebody takes it away `times` times, each time as soon as it is back. When, and what was said.
    fn fight(restoration: &mut Restoration, from: BootTime, times: u32) -> (BootTime, usize) {
        let (mut now, mut said) = (from, 0);
        for _ in 0..times {
            let verdict = restoration.lost(now);
            said += usize::from(verdict.say);
            assert_eq!(restoration.due(), Some(verdict.at));
            now = verdict.at;
            restoration.looked(now, true);
            assert_eq!(restoration.due(), None);
        }
        (now, said)
    }

    #[test]
    fn a_few_times_it_is_put_back_at_once() {
        let (end, said) = fight(&mut Restoration::default(), BootTime::ZERO, AT_ONCE);
        assert_eq!((end, said), (BootTime::ZERO.after(GATHER * AT_ONCE), 0));
    }

    #[test]
    fn nobody_is_fought_for_ever_and_that_is_said_once() {
        let mut restoration = Restoration::default();
        let (end, said) = fight(&mut restoration, BootTime::ZERO, 60);
        assert_eq!(said, 1);
        assert!(end >= BootTime::ZERO.after(LONGEST_WAIT * 40), "{end:?}");
        let (again, said) = fight(&mut restoration, end, 1);
        assert_eq!((again, said), (end.after(LONGEST_WAIT), 0));
    }

    #[test]
    fn after_a_quiet_time_it_is_put_back_at_once_again() {
        let mut restoration = Restoration::default();
        let (end, _) = fight(&mut restoration, BootTime::ZERO, AT_ONCE + 3);
        let later = end.after(LONGEST_WAIT);
        assert_eq!(restoration.lost(later).at, later.after(GATHER));
    }

    #[test]
    fn false_alarms_do_not_count() {
        let mut restoration = Restoration::default();
        for second in 0..100 {
            let now = BootTime::from_micros(second * 1_000_000);
            let verdict = restoration.lost(now);
            assert_eq!(verdict, Verdict { at: now.after(GATHER), say: false });
            restoration.looked(verdict.at, false);
        }
    }

    #[test]
    fn what_is_taken_away_meanwhile_does_not_put_it_off() {
        let mut restoration = Restoration::default();
        let due = restoration.lost(BootTime::ZERO).at;
        assert_eq!(restoration.lost(BootTime::from_micros(40_000)).at, due);
    }
}
