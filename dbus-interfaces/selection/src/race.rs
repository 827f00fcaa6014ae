//! Connecting to a name over several provisioning domains (PvDs): RFC 8305 ("happy eyeballs") as a state
//! machine without sockets and without a clock.
//!
//! The caller hands in what happens, with the time since the race began, and carries out what
//! [`Race::poll_action`] asks for:
//!
//! ```text
//! handle_answer, handle_no_answer, handle_connected, handle_failed, handle_timeout   in
//! poll_action (ask a PvD, begin an attempt), next_timeout, outcome, story            out
//! ```
//!
//! What RFC 8305 says of two address families is done here over two dimensions, because a PvD may be as dead
//! as an address family: each attempt takes the other family than the one before (section 4), and within it
//! the interface that was tried least. So the second attempt differs from the first in both, wherever it can.

mod choice;
mod domain;
mod policy;
mod story;
mod timing;

use std::collections::VecDeque;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

pub use domain::{Domain, Origin, is_in_zone};
pub use policy::{Policy, Reserve, Selector, SelectorError};
pub use story::{Event, Exclusion, Happening, Story};
pub use timing::Timing;

use choice::{Entry, Tried};
use policy::Rank;

/// How many attempts may be under way at the same time; the next one waits for one of them to end.
pub const ATTEMPTS_AT_ONCE: usize = 16;

/// How many addresses of one PvD and family are taken.
pub const ADDRESSES_OF_ONE_ANSWER: usize = 64;

/// How many PvDs take part; the rest of them is left out ([`Exclusion::TooMany`]).
pub const DOMAINS: usize = 64;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv6.
    V6,
    /// IPv4.
    V4,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }

    const fn other(self) -> Self {
        match self {
            Self::V6 => Self::V4,
            Self::V4 => Self::V6,
        }
    }
}

/// Names an attempt: they are counted from 0 as they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u32);

/// What the caller is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Have the name translated in a PvD (its place in the list), for one family. To be answered by
    /// [`Race::handle_answer`] or [`Race::handle_no_answer`].
    Ask {
        /// Where.
        domain: usize,
        /// For which addresses.
        family: Family,
    },
    /// Begin to connect. To be answered by [`Race::handle_connected`] or [`Race::handle_failed`].
    Connect {
        /// The attempt.
        attempt: Attempt,
        /// In which PvD.
        domain: usize,
        /// Where to.
        address: IpAddr,
    },
}

/// How a race has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<E> {
    /// This attempt is connected; every other one is to be dropped.
    Won(Attempt),
    /// Nothing is connected.
    Lost(Defeat<E>),
}

/// Why a race was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defeat<E> {
    /// No PvD may take part: there is none, or the policy leaves all out.
    NoDomain,
    /// No PvD has an address for the name; the error of the best PvD.
    NoAddress(E),
    /// Every attempt failed; the error of the first.
    NotConnected(E),
    /// The time was up.
    TimedOut,
}

/// A race.
#[derive(Debug)]
pub struct Race<E> {
    domains: Vec<Domain>,
    timing: Timing,
    ranks: Vec<Option<Rank>>,
    actions: VecDeque<Action>,
    /// Questions without an answer yet.
    asked: Vec<(usize, Family)>,
    /// Addresses that were not tried yet.
    waiting: Vec<Entry>,
    tried: Tried,
    running: Vec<Attempt>,
    begun: u32,
    /// When there was a first address to try.
    first_address: Option<Duration>,
    /// When the last attempt began.
    last_begun: Option<Duration>,
    /// The last attempt failed: the next one need not wait.
    at_once: bool,
    errors: Errors<E>,
    outcome: Option<Outcome<E>>,
    story: Vec<Event>,
}

/// The errors to speak of.
#[derive(Debug)]
struct Errors<E> {
    /// Of the answers: the best PvD's.
    answer: Option<(Rank, E)>,
    /// Of the attempts: the first one's.
    attempt: Option<E>,
}

impl<E: Display> Race<E> {
    /// A race over `domains`, of which the policy may leave some out, for the addresses of `families`.
    /// Begins at time zero.
    #[must_use]
    pub fn new(domains: Vec<Domain>, policy: &Policy, families: &[Family], timing: Timing) -> Self {
        let mut race = Self {
            ranks: Vec::new(),
            actions: VecDeque::new(),
            asked: Vec::new(),
            waiting: Vec::new(),
            tried: Tried::default(),
            running: Vec::new(),
            begun: 0,
            first_address: None,
            last_begun: None,
            at_once: false,
            errors: Errors { answer: None, attempt: None },
            outcome: None,
            story: Vec::new(),
            domains,
            timing,
        };
        race.admit(policy, families);
        race.ask(families);
        race.conclude(Duration::ZERO);
        race
    }

    /// The next thing to do, if there is one now.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Race::handle_timeout`] is to be called, unless something else happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.outcome.is_some() {
            return None;
        }
        Some(self.next_attempt().map_or(self.timing.limit, |at| at.min(self.timing.limit)))
    }

    /// A PvD's addresses of one family, best first (RFC 6724 inside the PvD).
    pub fn handle_answer(&mut self, now: Duration, domain: usize, family: Family, addresses: &[IpAddr]) {
        if !self.settle_question(domain, family) {
            return;
        }
        let wanted = |address: &&IpAddr| Family::of(**address) == family;
        let taken: Vec<IpAddr> =
            addresses.iter().filter(wanted).take(ADDRESSES_OF_ONE_ANSWER).copied().collect();
        if let Some(rank) = self.rank(domain) {
            for (place, address) in taken.iter().enumerate() {
                self.waiting.push(Entry::new(domain, &self.domains[domain], rank, place, *address));
            }
        }
        if !taken.is_empty() {
            self.first_address.get_or_insert(now);
        }
        self.tell(now, Happening::Answered { domain, family, addresses: taken });
        self.advance(now);
    }

    /// A PvD has no address of that family, or did not say so.
    pub fn handle_no_answer(&mut self, now: Duration, domain: usize, family: Family, error: E) {
        if !self.settle_question(domain, family) {
            return;
        }
        self.tell(now, Happening::NotAnswered { domain, family, why: error.to_string() });
        if let Some(rank) = self.rank(domain)
            && self.errors.answer.as_ref().is_none_or(|(known, _)| rank < *known)
        {
            self.errors.answer = Some((rank, error));
        }
        self.advance(now);
    }

    /// An attempt is connected. The first one wins; `false`: it came too late and is to be dropped.
    pub fn handle_connected(&mut self, now: Duration, attempt: Attempt) -> bool {
        if !self.settle_attempt(attempt) {
            return false;
        }
        self.tell(now, Happening::Connected { attempt });
        for other in std::mem::take(&mut self.running) {
            self.tell(now, Happening::Abandoned { attempt: other });
        }
        self.end(Outcome::Won(attempt));
        true
    }

    /// An attempt has failed: the next one need not wait any longer.
    pub fn handle_failed(&mut self, now: Duration, attempt: Attempt, error: E) {
        if !self.settle_attempt(attempt) {
            return;
        }
        self.tell(now, Happening::Failed { attempt, why: error.to_string() });
        self.errors.attempt.get_or_insert(error);
        self.at_once = true;
        self.advance(now);
    }

    /// Time has gone by.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome<E>> {
        self.outcome.as_ref()
    }

    /// The PvDs, as they were given.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// All that has happened, in order.
    #[must_use]
    pub fn story(&self) -> &[Event] {
        &self.story
    }

    /// How it ended, if it has, and all that has happened.
    #[must_use]
    pub fn finish(self) -> (Option<Outcome<E>>, Vec<Event>) {
        (self.outcome, self.story)
    }

    /// Decides which PvDs take part, and in which order.
    fn admit(&mut self, policy: &Policy, families: &[Family]) {
        let mut admitted = 0;
        for index in 0..self.domains.len() {
            let judged = policy.judge(&self.domains[index], index, families);
            let judged = if admitted >= DOMAINS { judged.and(Err(Exclusion::TooMany)) } else { judged };
            match judged {
                Ok(rank) => {
                    admitted += 1;
                    self.ranks.push(Some(rank));
                }
                Err(why) => {
                    self.ranks.push(None);
                    // More of these would be a list without end.
                    if index < 2 * DOMAINS {
                        self.tell(Duration::ZERO, Happening::LeftOut { domain: index, why });
                    }
                }
            }
        }
    }

    /// Asks for IPv6 first (section 3): the answers may come in any order.
    fn ask(&mut self, families: &[Family]) {
        let mut best: Vec<(Rank, usize)> =
            (0..self.domains.len()).filter_map(|index| Some((self.rank(index)?, index))).collect();
        best.sort_unstable();
        for (_, domain) in best {
            for family in [Family::V6, Family::V4] {
                if families.contains(&family) && self.domains[domain].has(family) {
                    self.asked.push((domain, family));
                    self.actions.push_back(Action::Ask { domain, family });
                    self.tell(Duration::ZERO, Happening::Asked { domain, family });
                }
            }
        }
    }

    fn rank(&self, domain: usize) -> Option<Rank> {
        self.ranks.get(domain).copied().flatten()
    }

    /// Whether this question was open; it is no more.
    fn settle_question(&mut self, domain: usize, family: Family) -> bool {
        let before = self.asked.len();
        self.asked.retain(|asked| *asked != (domain, family));
        self.outcome.is_none() && self.asked.len() < before
    }

    fn settle_attempt(&mut self, attempt: Attempt) -> bool {
        let before = self.running.len();
        self.running.retain(|running| *running != attempt);
        self.outcome.is_none() && self.running.len() < before
    }

    /// Begins what is due at `now`, or ends the race.
    fn advance(&mut self, now: Duration) {
        if self.outcome.is_some() {
            return;
        }
        if now >= self.timing.limit {
            self.tell(now, Happening::TimedOut);
            for attempt in std::mem::take(&mut self.running) {
                self.tell(now, Happening::Abandoned { attempt });
            }
            return self.end(Outcome::Lost(Defeat::TimedOut));
        }
        while self.next_attempt().is_some_and(|at| at <= now) {
            self.begin(now);
        }
        self.conclude(now);
    }

    /// When the next attempt is due: `None` when there is nothing to try, or no room.
    fn next_attempt(&self) -> Option<Duration> {
        let best = choice::next(&self.waiting, &self.tried)?;
        if self.running.len() >= ATTEMPTS_AT_ONCE {
            return None;
        }
        let best = &self.waiting[best];
        match (self.last_begun, self.first_address) {
            (Some(_), _) if self.at_once => Some(Duration::ZERO),
            // Section 5: a new attempt one Connection Attempt Delay after the last.
            (Some(last), _) => Some(last + self.timing.attempt_delay()),
            // Section 3: a better answer may still come, and is waited for one Resolution Delay.
            (None, Some(first)) if self.better_expected(best) => Some(first + self.timing.resolution_delay),
            (None, _) => Some(Duration::ZERO),
        }
    }

    /// Whether an answer that is still missing could hold something to be tried before `best`: one of a PvD that is
    /// preferred, or of the other family (IPv6, unless RFC 6724 has something against what is there).
    fn better_expected(&self, best: &Entry) -> bool {
        let better_family = if best.is_suited() { Family::V6 } else { best.family.other() };
        self.asked.iter().any(|(domain, family)| {
            self.rank(*domain).is_some_and(|rank| {
                let (theirs, own) = (rank.preference(), best.rank.preference());
                theirs < own || (theirs == own && *family == better_family && best.family != better_family)
            })
        })
    }

    fn begin(&mut self, now: Duration) {
        let Some(next) = choice::next(&self.waiting, &self.tried) else { return };
        let entry = self.waiting.swap_remove(next);
        let attempt = Attempt(self.begun);
        self.begun += 1;
        self.tried.note(&entry);
        self.running.push(attempt);
        self.last_begun = Some(now);
        self.at_once = false;
        self.actions.push_back(Action::Connect { attempt, domain: entry.domain, address: entry.address });
        self.tell(now, Happening::Begun { attempt, domain: entry.domain, address: entry.address });
    }

    /// Ends the race when nothing can come any more.
    fn conclude(&mut self, now: Duration) {
        let open = !self.asked.is_empty() || !self.waiting.is_empty() || !self.running.is_empty();
        if open || self.outcome.is_some() {
            return;
        }
        let defeat = match (self.errors.attempt.take(), self.errors.answer.take()) {
            (Some(error), _) => Defeat::NotConnected(error),
            (None, Some((_, error))) => Defeat::NoAddress(error),
            (None, None) => Defeat::NoDomain,
        };
        debug_assert!(now <= self.timing.limit);
        self.end(Outcome::Lost(defeat));
    }

    fn end(&mut self, outcome: Outcome<E>) {
        self.waiting.clear();
        self.asked.clear();
        self.actions.clear();
        self.outcome = Some(outcome);
    }

    fn tell(&mut self, at: Duration, what: Happening) {
        self.story.push(Event { at, what });
    }
}
