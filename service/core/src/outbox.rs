//! Everything that waits to be sent: one lane a subscriber, one lane for broadcasts, and the order between them.
//!
//! A lane is a FIFO of announcements and replies (O1). A broadcast goes out after everything that was put into
//! any lane before it and before everything put in after it, so that each subscriber sees announcements and
//! objects in the order of O3 to O5. Subscribers are served in turn, at most [`TURN`] messages each. Who takes the
//! path of a closed subscriber over takes over its lane, behind whatever it still has to be sent.

use crate::announcement::Announcement;
use crate::subscription::{Listing, Topic};
use std::collections::{BTreeMap, VecDeque};

/// How many messages a subscriber is sent before the next one has its turn.
pub const TURN: usize = 64;

/// How many entries may wait before more of them should. A listing is one, however long it is.
pub const ROOM: usize = 16_384;

/// What waits to be sent. `K` names a subscriber, `R` is a reply, `E` the error that ends work, `B` a broadcast.
#[derive(Debug)]
pub struct Outbox<K, R, E, B> {
    lanes: BTreeMap<K, Lane<R, E>>,
    /// The lanes that have something, the one whose turn it is first.
    turns: VecDeque<K>,
    left_in_turn: usize,
    broadcasts: VecDeque<B>,
    /// Number of broadcasts ever put in.
    put: u64,
    /// Number of entries in all lanes.
    entries: usize,
}

#[derive(Debug)]
struct Lane<R, E> {
    entries: VecDeque<(u64, Entry<R, E>)>,
    /// Replies that wait in it.
    unanswered: usize,
}

#[derive(Debug)]
enum Entry<R, E> {
    Announcement(Box<Announcement<E>>),
    Listing(Listing),
    EndOfListing(Topic, Option<R>),
    Reply(R),
}

/// A message to be sent now.
#[derive(Debug)]
pub enum Outgoing<K, R, E, B> {
    /// To everybody.
    Broadcast(B),
    /// To a subscriber.
    Announcement(K, Box<Announcement<E>>),
    /// The reply to a call of a subscriber.
    Reply(K, R),
}

impl<K: Copy, R, E, B> Outgoing<K, R, E, B> {
    /// The subscriber that it goes to, unless it goes to everybody.
    pub const fn subscriber(&self) -> Option<K> {
        match self {
            Self::Broadcast(_) => None,
            Self::Announcement(key, _) | Self::Reply(key, _) => Some(*key),
        }
    }
}

impl<K: Copy + Ord, R, E, B> Default for Outbox<K, R, E, B> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            turns: VecDeque::new(),
            left_in_turn: TURN,
            broadcasts: VecDeque::new(),
            put: 0,
            entries: 0,
        }
    }
}

impl<K: Copy + Ord, R, E, B> Outbox<K, R, E, B> {
    /// Puts in a broadcast.
    pub fn broadcast(&mut self, broadcast: B) {
        self.broadcasts.push_back(broadcast);
        self.put += 1;
    }

    /// Puts in an announcement.
    pub fn announce(&mut self, to: K, announcement: Announcement<E>) {
        self.push(to, Entry::Announcement(Box::new(announcement)));
    }

    /// Puts in a reply.
    pub fn reply(&mut self, to: K, reply: R) {
        self.push(to, Entry::Reply(reply));
    }

    /// Puts in a listing and the reply that ends it; `None` when the caller wants no reply.
    pub fn list(&mut self, to: K, listing: Listing, reply: Option<R>) {
        let topic = listing.topic();
        self.push(to, Entry::Listing(listing));
        self.push(to, Entry::EndOfListing(topic, reply));
    }

    /// Whether a listing of `topic` is still being sent to `to`. What is left of a former subscriber, up to its
    /// Closed, does not count.
    pub fn is_listing(&self, to: K, topic: Topic) -> bool {
        let Some(lane) = self.lanes.get(&to) else { return false };
        let own = |(_, entry): &&(u64, Entry<R, E>)| !entry.is_closed();
        let is_end = |(_, entry): &(u64, Entry<R, E>)| match entry {
            Entry::EndOfListing(listed, _) => *listed == topic,
            Entry::Announcement(_) | Entry::Listing(_) | Entry::Reply(_) => false,
        };
        lane.unanswered > 0 && lane.entries.iter().rev().take_while(own).any(is_end)
    }

    /// How many calls of `from` wait for their reply.
    pub fn unanswered(&self, from: K) -> usize {
        self.lanes.get(&from).map_or(0, |lane| lane.unanswered)
    }

    /// Whether anything waits for `subscriber`.
    pub fn has_for(&self, subscriber: K) -> bool {
        self.lanes.contains_key(&subscriber)
    }

    /// Drops everything that waits for a subscriber that is no more. The replies among it, which nobody has had, in order.
    pub fn forget(&mut self, subscriber: K) -> Vec<R> {
        let Some(lane) = self.lanes.remove(&subscriber) else { return Vec::new() };
        self.entries -= lane.entries.len();
        if self.turns.front() == Some(&subscriber) {
            self.left_in_turn = TURN;
        }
        self.turns.retain(|other| *other != subscriber);
        lane.entries.into_iter().filter_map(|(_, entry)| entry.into_reply()).collect()
    }

    /// Whether changes should be taken in: what each of them is told in goes to every subscriber, and those who make them
    /// can wait.
    pub fn has_room(&self) -> bool {
        self.entries + self.broadcasts.len() < ROOM
    }

    /// Whether anything waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.broadcasts.is_empty()
    }

    /// The next message.
    pub fn poll(&mut self) -> Option<Outgoing<K, R, E, B>> {
        loop {
            // Broadcast number `sent` may go once no lane holds anything that was put in before it.
            let sent = self.put - self.broadcasts.len() as u64;
            if !self.broadcasts.is_empty() && self.turns.iter().all(|lane| self.head(lane) > sent) {
                return self.broadcasts.pop_front().map(Outgoing::Broadcast);
            }
            let lane = self.next_lane(sent)?;
            if let Some(outgoing) = self.pop(lane) {
                return Some(outgoing);
            }
        }
    }

    /// The lane whose turn it is, of those that need not wait for a broadcast.
    fn next_lane(&mut self, sent: u64) -> Option<K> {
        for _ in 0..=self.turns.len() {
            let lane = *self.turns.front()?;
            if self.left_in_turn > 0 && self.head(&lane) <= sent {
                self.left_in_turn -= 1;
                return Some(lane);
            }
            self.turns.rotate_left(1);
            self.left_in_turn = TURN;
        }
        None
    }

    fn head(&self, lane: &K) -> u64 {
        self.lanes.get(lane).and_then(|lane| lane.entries.front()).map_or(u64::MAX, |(put, _)| *put)
    }

    fn push(&mut self, to: K, entry: Entry<R, E>) {
        let lane = self.lanes.entry(to).or_insert_with(|| Lane { entries: VecDeque::new(), unanswered: 0 });
        if lane.entries.is_empty() {
            self.turns.push_back(to);
        }
        lane.unanswered += usize::from(entry.is_answer());
        lane.entries.push_back((self.put, entry));
        self.entries += 1;
    }

    /// Takes the next message out of a lane; `None` when only the end of something was there.
    fn pop(&mut self, from: K) -> Option<Outgoing<K, R, E, B>> {
        let lane = self.lanes.get_mut(&from)?;
        if let Some((_, Entry::Listing(listing))) = lane.entries.front_mut()
            && let Some(announcement) = listing.next_item()
        {
            return Some(Outgoing::Announcement(from, Box::new(announcement)));
        }
        let (_, entry) = lane.entries.pop_front()?;
        self.entries -= 1;
        lane.unanswered -= usize::from(entry.is_answer());
        if lane.entries.is_empty() {
            self.lanes.remove(&from);
            self.turns.retain(|other| *other != from);
            self.left_in_turn = TURN;
        }
        match entry {
            Entry::Announcement(announcement) => Some(Outgoing::Announcement(from, announcement)),
            Entry::Reply(reply) | Entry::EndOfListing(_, Some(reply)) => Some(Outgoing::Reply(from, reply)),
            Entry::Listing(_) | Entry::EndOfListing(_, None) => None,
        }
    }
}

impl<R, E> Entry<R, E> {
    /// Whether it is the last word of a subscriber.
    fn is_closed(&self) -> bool {
        matches!(self, Self::Announcement(announcement) if matches!(**announcement, Announcement::Closed(_)))
    }

    fn into_reply(self) -> Option<R> {
        match self {
            Self::Reply(reply) | Self::EndOfListing(_, Some(reply)) => Some(reply),
            Self::Announcement(_) | Self::Listing(_) | Self::EndOfListing(_, None) => None,
        }
    }

    /// Whether a call waits for it: accepted and not yet answered.
    const fn is_answer(&self) -> bool {
        match self {
            Self::Reply(_) | Self::EndOfListing(..) => true,
            Self::Announcement(_) | Self::Listing(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pvd::Serial;

    #[test]
    fn there_is_room_again_when_something_is_sent_or_forgotten() {
        let mut outbox: Outbox<usize, u32, (), u32> = Outbox::default();
        for number in 1..ROOM {
            outbox.announce(number % 3, Announcement::NoInterface(Serial(1)));
        }
        assert!(outbox.has_room());
        outbox.broadcast(7);
        assert!(!outbox.has_room());
        assert!(outbox.poll().is_some());
        assert!(outbox.has_room());
        outbox.reply(0, 1);
        assert!(!outbox.has_room());
        assert!(outbox.forget(1).is_empty());
        assert!(outbox.has_room());
        assert_eq!(outbox.forget(0), [1], "the reply that it will not have");
        while outbox.poll().is_some() {}
        assert_eq!((outbox.entries, outbox.broadcasts.len()), (0, 0), "all that was counted is gone");
    }
}
