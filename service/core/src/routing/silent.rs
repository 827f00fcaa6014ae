//! IPv4 routers that do not answer on their link.
//!
//! Of IPv6 routers the kernel passes over those that do not answer, for every socket. Of IPv4 routers it does so only
//! for sockets that are bound to no interface, and those of this service always are. So their routes are put behind
//! those of others as long as they are silent.

use crate::BootTime;
use crate::event::Ifindex;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How often a silent router is asked whether it is back: nothing else would ask, as packets go by another one.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The silent routers, and when each is to be asked again. The caller tells of routers in use only, which are capped.
#[derive(Clone, Debug, Default)]
pub struct SilentRouters {
    ask_at: BTreeMap<(Ifindex, Ipv4Addr), BootTime>,
}

impl SilentRouters {
    /// `router` was heard to answer, or not to, at `now`. Whether that is news.
    pub fn hear(&mut self, ifindex: Ifindex, router: Ipv4Addr, answers: bool, now: BootTime) -> bool {
        let key = (ifindex, router);
        if answers {
            return self.ask_at.remove(&key).is_some();
        }
        self.ask_at.insert(key, now.after(ASK_AGAIN)).is_none()
    }

    /// Those of a link.
    pub fn of(&self, ifindex: Ifindex) -> Vec<IpAddr> {
        let routers = self.ask_at.range((ifindex, Ipv4Addr::UNSPECIFIED)..=(ifindex, Ipv4Addr::BROADCAST));
        routers.map(|((_, router), _)| IpAddr::V4(*router)).collect()
    }

    /// Forgets those that `is_in_use` says no to.
    pub fn retain(&mut self, mut is_in_use: impl FnMut(Ifindex, IpAddr) -> bool) {
        self.ask_at.retain(|(ifindex, router), _| is_in_use(*ifindex, IpAddr::V4(*router)));
    }

    /// When the next one is to be asked.
    pub fn due(&self) -> Option<BootTime> {
        self.ask_at.values().min().copied()
    }

    /// Those to ask at `now`; each is due again later.
    pub fn to_ask(&mut self, now: BootTime) -> Vec<(Ifindex, Ipv4Addr)> {
        let due = self.ask_at.iter_mut().filter(|(_, at)| at.passed(now));
        due.map(|(key, at)| {
            *at = now.after(ASK_AGAIN);
            *key
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const TWO: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    #[test]
    fn a_router_is_silent_until_it_is_heard() {
        let mut routers = SilentRouters::default();
        assert!(!routers.hear(2, ONE, true, BootTime::ZERO), "it never was silent");
        assert!(routers.hear(2, ONE, false, BootTime::ZERO));
        assert!(!routers.hear(2, ONE, false, BootTime::ZERO), "no news");
        assert!(routers.hear(3, TWO, false, BootTime::ZERO));
        assert_eq!(
            (routers.of(2), routers.of(3), routers.of(4)),
            (vec![ONE.into()], vec![TWO.into()], vec![])
        );
        assert!(routers.hear(2, ONE, true, BootTime::ZERO));
        assert_eq!(routers.of(2), Vec::<IpAddr>::new());
        routers.retain(|ifindex, _| ifindex != 3);
        assert_eq!(routers.due(), None);
    }

    #[test]
    fn silent_routers_are_asked_again_and_again() {
        let mut routers = SilentRouters::default();
        let mut now = BootTime::ZERO;
        routers.hear(2, ONE, false, now);
        assert_eq!(routers.to_ask(now), []);
        for _ in 0..5 {
            let due = routers.due().unwrap();
            assert_eq!(due, now.after(ASK_AGAIN));
            now = due;
            assert_eq!(routers.to_ask(now), [(2, ONE)]);
        }
    }
}
