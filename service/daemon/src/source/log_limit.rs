//! Log lines that a network peer can cause: one a minute for each kind and link, however many reasons there are.

use mif_core::BootTime;
use mif_core::event::Ifindex;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a line of one kind about one link keeps others like it away.
const INTERVAL: Duration = Duration::from_secs(60);
/// The most kinds and links that are told apart; beyond it nothing new is logged until some are forgotten.
const MAX_ENTRIES: usize = 1024;

/// Remembers what was logged lately.
#[derive(Clone, Debug)]
pub(super) struct LogLimit<K> {
    recent: BTreeMap<(Ifindex, K), Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    until: BootTime,
    held_back: u64,
}

impl<K: Ord + Copy> LogLimit<K> {
    pub(super) const fn new() -> Self {
        Self { recent: BTreeMap::new() }
    }

    /// Whether a line of `kind` about `ifindex` may be written now; if so, how many were held back before it.
    pub(super) fn pass(&mut self, ifindex: Ifindex, kind: K, now: BootTime) -> Option<u64> {
        if let Some(entry) = self.recent.get_mut(&(ifindex, kind))
            && !entry.until.passed(now)
        {
            entry.held_back += 1;
            return None;
        }
        if self.recent.len() >= MAX_ENTRIES {
            self.recent.retain(|_, entry| !entry.until.passed(now));
        }
        let known = self.recent.remove(&(ifindex, kind));
        if known.is_none() && self.recent.len() >= MAX_ENTRIES {
            return None;
        }
        self.recent.insert((ifindex, kind), Entry { until: now.after(INTERVAL), held_back: 0 });
        Some(known.map_or(0, |entry| entry.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn one_line_a_minute_for_each_kind_and_link() {
        let mut limit = LogLimit::new();
        assert_eq!(limit.pass(1, 'a', at(0)), Some(0));
        assert_eq!(limit.pass(1, 'a', at(1)), None);
        assert_eq!(limit.pass(1, 'a', at(59)), None);
        assert_eq!(limit.pass(1, 'b', at(2)), Some(0));
        assert_eq!(limit.pass(2, 'a', at(2)), Some(0));
        assert_eq!(limit.pass(1, 'a', at(60)), Some(2));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut limit = LogLimit::new();
        for ifindex in 0..5000 {
            limit.pass(ifindex, 'a', at(0));
        }
        assert_eq!(limit.recent.len(), MAX_ENTRIES);
        assert_eq!(limit.pass(9999, 'a', at(1)), None);
        assert_eq!(limit.pass(9999, 'a', at(61)), Some(0));
        assert_eq!(limit.recent.len(), 1);
    }
}
