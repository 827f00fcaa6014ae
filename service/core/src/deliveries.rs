//! What became of unicast messages (O8): the bus answers one that it cannot deliver with an error that names its
//! number. A subscriber that lost one can rely on nothing any more, so it is told that it is closed, once a second
//! until the bus takes that.
//!
//! Whether the bus took a message is seen by a question to the bus itself, sent right behind it: the bus answers in
//! order, so the question is answered only after what came of the message has been told. The bus throws away what is for
//! a service with too much to read, its own answers among it, and never says so. That is seen by a later question, which
//! is answered when the first one is not; then nothing is known of the message, and the subscriber is told again.

use crate::time::BootTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many of the messages sent last are remembered. More than can be on their way to the bus, whose socket holds
/// some 200 kB.
const REMEMBERED: usize = 8_192;
/// How long until a subscriber that is closed is told again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long until a question to which the bus says nothing is put again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A message to one client. `K` names a subscriber, `C` a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unicast<K, C> {
    /// To a subscriber.
    Message(K),
    /// To a subscriber: the reply to a call, with the socket of the connection of this identifier.
    Socket(K, u32, C),
    /// The reply to a call, with a socket.
    SocketReply(C),
}

/// The unicast messages sent last, and the subscribers that lost one.
#[derive(Debug)]
pub struct Deliveries<K, C> {
    sent: BTreeMap<u32, Unicast<K, C>>,
    overrun: BTreeMap<K, Closing>,
}

/// How far a subscriber is closed.
#[derive(Debug)]
struct Closing {
    /// When it is to be told next.
    due: BootTime,
    told: Option<Told>,
}

/// What is due for a subscriber that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<K> {
    /// It is to be told, and the bus asked ([`Deliveries::told`]).
    Tell(K),
    /// The bus is to be asked once more ([`Deliveries::asked`]).
    Ask(K),
}

/// The message that told it, the question behind it, and the last one of those that were put when the bus said nothing.
#[derive(Clone, Copy, Debug)]
struct Told {
    closed: u32,
    question: u32,
    later: Option<u32>,
    at: BootTime,
}

impl Closing {
    /// It is not known to be told: that is to be done again.
    fn fail(&mut self) {
        if let Some(told) = self.told.take() {
            self.due = told.at.after(AGAIN);
        }
    }
}

impl<K, C> Default for Deliveries<K, C> {
    fn default() -> Self {
        Self { sent: BTreeMap::new(), overrun: BTreeMap::new() }
    }
}

impl<K: Copy + Ord, C> Deliveries<K, C> {
    /// Remembers a message by its number, unless it is remembered already.
    pub fn sent(&mut self, number: u32, unicast: Unicast<K, C>) {
        self.sent.entry(number).or_insert(unicast);
        if self.sent.len() > REMEMBERED {
            self.sent.pop_first();
        }
    }

    /// Takes in that the bus did not deliver the message of this number. What it was, if anything is to be done
    /// about it.
    pub fn lost(&mut self, number: u32) -> Option<Unicast<K, C>> {
        let of_closed = |closing: &&mut Closing| closing.told.is_some_and(|told| told.closed == number);
        if let Some(closing) = self.overrun.values_mut().find(of_closed) {
            closing.fail();
            return None;
        }
        let unicast = self.sent.remove(&number)?;
        match &unicast {
            Unicast::Message(key) | Unicast::Socket(key, ..) if self.is_overrun(*key) => None,
            Unicast::Message(_) | Unicast::Socket(..) | Unicast::SocketReply(_) => Some(unicast),
        }
    }

    /// Closes a subscriber that lost a message: it is to be told at once.
    pub fn overrun(&mut self, key: K, now: BootTime) {
        self.overrun.entry(key).or_insert(Closing { due: now, told: None });
    }

    /// Whether a subscriber is closed for that reason and has not been told yet.
    pub fn is_overrun(&self, key: K) -> bool {
        self.overrun.contains_key(&key)
    }

    /// What is due at `now`.
    pub fn handle_timeout(&mut self, now: BootTime) -> Vec<Due<K>> {
        let mut due = Vec::new();
        for (key, closing) in self.overrun.iter_mut().filter(|(_, closing)| closing.due.passed(now)) {
            // Not told twice while it may still become known what became of the first.
            let (what, next) = match closing.told {
                None => (Due::Tell(*key), AGAIN),
                Some(_) => (Due::Ask(*key), ASK_AGAIN),
            };
            closing.due = now.after(next);
            due.push(what);
        }
        due
    }

    /// Notes that a subscriber was told by the message of number `closed`, and the bus asked by `question` right
    /// behind it, at `at`.
    pub fn told(&mut self, key: K, (closed, question): (u32, u32), at: BootTime) {
        if let Some(closing) = self.overrun.get_mut(&key) {
            closing.told = Some(Told { closed, question, later: None, at });
        }
    }

    /// Notes that the bus was asked once more.
    pub fn asked(&mut self, key: K, question: u32) {
        if let Some(told) = self.overrun.get_mut(&key).and_then(|closing| closing.told.as_mut()) {
            told.later = Some(question);
        }
    }

    /// Takes in that the bus answered a question: which subscriber has been told thereby.
    pub fn answered(&mut self, question: u32) -> Option<K> {
        let told = |closing: &Closing| closing.told.is_some_and(|told| told.question == question);
        if let Some(key) = self.overrun.iter().find(|(_, closing)| told(closing)).map(|(key, _)| *key) {
            self.overrun.remove(&key);
            return Some(key);
        }
        let later = |closing: &&mut Closing| closing.told.is_some_and(|told| told.later == Some(question));
        // The bus answers in order: the first answer was thrown away, and perhaps an error before it.
        self.overrun.values_mut().filter(later).for_each(Closing::fail);
        None
    }

    /// Forgets a subscriber whose client left.
    pub fn forget(&mut self, key: K) {
        self.overrun.remove(&key);
    }

    /// When [`Deliveries::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<BootTime> {
        self.overrun.values().map(|closing| closing.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Subject = Deliveries<u8, &'static str>;

    fn at(milliseconds: u64) -> BootTime {
        BootTime::from_micros(milliseconds * 1_000)
    }

    #[test]
    fn a_lost_message_is_known_once_and_others_never_were() {
        let mut deliveries = Subject::default();
        deliveries.sent(5, Unicast::Message(1));
        deliveries.sent(6, Unicast::SocketReply("call"));
        assert_eq!(deliveries.lost(4), None);
        assert_eq!(deliveries.lost(5), Some(Unicast::Message(1)));
        assert_eq!(deliveries.lost(5), None);
        assert_eq!(deliveries.lost(6), Some(Unicast::SocketReply("call")));
    }

    #[test]
    fn what_it_is_was_said_first() {
        let mut deliveries = Subject::default();
        deliveries.sent(5, Unicast::Socket(1, 77, "TakeConnection"));
        deliveries.sent(5, Unicast::Message(1));
        assert_eq!(deliveries.lost(5), Some(Unicast::Socket(1, 77, "TakeConnection")));
    }

    #[test]
    fn told_once_a_second_until_the_bus_takes_it() {
        let mut deliveries = Subject::default();
        deliveries.overrun(1, at(0));
        assert_eq!(deliveries.handle_timeout(at(0)), [Due::Tell(1)]);
        deliveries.told(1, (10, 11), at(0));
        assert_eq!(deliveries.lost(10), None);
        assert_eq!(deliveries.answered(11), None, "the error came first: it was not taken");
        assert!(deliveries.handle_timeout(at(999)).is_empty());
        assert_eq!(deliveries.next_timeout(), Some(at(1_000)));
        assert_eq!(deliveries.handle_timeout(at(1_000)), [Due::Tell(1)]);
        deliveries.told(1, (12, 13), at(1_000));
        // The bus is slow.
        for (time, question) in [(2_000, 14), (7_000, 15)] {
            assert!(deliveries.handle_timeout(at(time - 1)).is_empty());
            assert_eq!(deliveries.handle_timeout(at(time)), [Due::Ask(1)]);
            deliveries.asked(1, question);
        }
        assert!(deliveries.is_overrun(1));
        assert_eq!(deliveries.answered(13), Some(1));
        assert!(!deliveries.is_overrun(1));
        assert_eq!((deliveries.answered(14), deliveries.answered(15)), (None, None));
        assert_eq!(deliveries.next_timeout(), None);
    }

    #[test]
    fn told_again_when_the_bus_threw_its_answer_away() {
        let mut deliveries = Subject::default();
        deliveries.overrun(1, at(0));
        assert_eq!(deliveries.handle_timeout(at(0)), [Due::Tell(1)]);
        deliveries.told(1, (10, 11), at(0));
        for (time, question) in [(1_000, 12), (6_000, 13)] {
            assert_eq!(deliveries.handle_timeout(at(time)), [Due::Ask(1)]);
            deliveries.asked(1, question);
        }
        assert_eq!(deliveries.answered(13), None);
        assert_eq!(deliveries.handle_timeout(at(6_001)), [Due::Tell(1)]);
        deliveries.told(1, (14, 15), at(6_001));
        assert_eq!(deliveries.answered(15), Some(1));
    }

    #[test]
    fn later_losses_of_the_same_subscriber_are_no_news() {
        let mut deliveries = Subject::default();
        for number in 0..4 {
            deliveries.sent(number, Unicast::Message(number as u8 % 2));
        }
        assert_eq!(deliveries.lost(0), Some(Unicast::Message(0)));
        deliveries.overrun(0, at(0));
        assert_eq!(deliveries.lost(2), None);
        assert_eq!(deliveries.lost(3), Some(Unicast::Message(1)));
        deliveries.forget(0);
        assert!(!deliveries.is_overrun(0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut deliveries = Subject::default();
        for number in 0..100_000 {
            deliveries.sent(number, Unicast::Message(0));
        }
        assert_eq!(deliveries.sent.len(), REMEMBERED);
        assert_eq!(deliveries.lost(99_999), Some(Unicast::Message(0)));
    }
}
