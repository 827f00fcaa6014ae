//! How many packets of a link are looked at: a flood on one link must not cost the others anything.

use mif_core::BootTime;
use mif_core::event::Ifindex;
use std::collections::BTreeMap;

/// Packets a second of one link that are looked at in the long run.
const RATE: u64 = 100;
/// Packets of one link that are looked at in a burst.
const BURST: u64 = 200;
/// Links that are counted apart.
const MAX_LINKS: usize = 16_384;

const MICROS_PER_PACKET: u64 = 1_000_000 / RATE;

/// One token bucket a link.
#[derive(Clone, Debug)]
pub(super) struct FloodGate {
    buckets: BTreeMap<Ifindex, Bucket>,
}

/// Kept as the moment at which the bucket is full again: a packet moves it on.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full_at: BootTime,
}

impl FloodGate {
    pub(super) const fn new() -> Self {
        Self { buckets: BTreeMap::new() }
    }

    /// Whether a packet that came in on the link at `now` is to be looked at.
    pub(super) fn pass(&mut self, ifindex: Ifindex, now: BootTime) -> bool {
        if self.buckets.len() >= MAX_LINKS && !self.buckets.contains_key(&ifindex) {
            self.buckets.retain(|_, bucket| bucket.full_at > now);
            if self.buckets.len() >= MAX_LINKS {
                return false;
            }
        }
        let bucket = self.buckets.entry(ifindex).or_insert(Bucket { full_at: now });
        let full_at = bucket.full_at.max(now).as_micros().saturating_add(MICROS_PER_PACKET);
        let room = full_at <= now.as_micros().saturating_add(BURST * MICROS_PER_PACKET);
        if room {
            bucket.full_at = BootTime::from_micros(full_at);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> BootTime {
        BootTime::from_micros(millis * 1000)
    }

    fn passing(gate: &mut FloodGate, ifindex: Ifindex, packets: usize, now: BootTime) -> usize {
        (0..packets).filter(|_| gate.pass(ifindex, now)).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut gate = FloodGate::new();
        assert_eq!(passing(&mut gate, 1, 1000, at(0)), 200);
        assert_eq!(passing(&mut gate, 1, 1000, at(1000)), 100);
        assert_eq!(passing(&mut gate, 1, 1000, at(1010)), 1);
        assert_eq!(passing(&mut gate, 1, 1000, at(9000)), 200);
    }

    #[test]
    fn a_flood_on_one_link_costs_the_others_nothing() {
        let mut gate = FloodGate::new();
        passing(&mut gate, 1, 10_000, at(0));
        assert_eq!(passing(&mut gate, 2, 10, at(0)), 10);
    }

    #[test]
    fn the_table_forgets_idle_links() {
        let mut gate = FloodGate::new();
        for ifindex in 0..u32::try_from(MAX_LINKS).unwrap_or(0) {
            assert!(gate.pass(ifindex, at(0)));
        }
        assert!(!gate.pass(u32::MAX, at(1)));
        assert!(gate.pass(u32::MAX, at(20)));
        assert_eq!(gate.buckets.len(), 1);
    }
}
