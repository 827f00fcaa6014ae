//! Random moments from a seed: the same seed gives the same moments, so that histories can be replayed.

use crate::BootTime;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014). Spreads requests over time, and guards nothing: whoever guesses the numbers
/// knows when this host will ask.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The row of numbers that begins at `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A moment from `from` on, before `until`; `from` itself when there is none between.
    pub fn between(&mut self, from: BootTime, until: BootTime) -> BootTime {
        let span = until.as_micros().saturating_sub(from.as_micros());
        let offset = self.next().checked_rem(span).unwrap_or(0);
        from.after(Duration::from_micros(offset))
    }

    /// A number.
    pub const fn number(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_fill_the_time_between() {
        let (from, until) = (BootTime::from_micros(1_000), BootTime::from_micros(2_000));
        let mut random = Random::new(1);
        let moments: Vec<u64> = (0..1_000).map(|_| random.between(from, until).as_micros()).collect();
        assert!(moments.iter().all(|moment| (1_000..2_000).contains(moment)));
        let early = moments.iter().filter(|moment| **moment < 1_500).count();
        assert!((400..600).contains(&early), "{early} of 1000 in the first half");
        assert_eq!(random.between(until, from), until);
        assert_eq!(random.between(from, from), from);
    }
}
