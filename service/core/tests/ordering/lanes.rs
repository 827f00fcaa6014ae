//! The outbox alone: FIFO lanes, broadcasts in their place, turns.

use crate::common::event::{ETH0, up};
use crate::common::host::Host;
use mif_core::announcement::Announcement;
use mif_core::event::Event;
use mif_core::outbox::{Outbox, Outgoing, TURN};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use mif_core::subscription::{Listing, Reasons, Subscriber, Topic};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

/// How many subscribers there are.
const LANES: u8 = 4;
/// More than a turn.
const INTERFACES: u32 = 80;

/// Something done to an outbox with a few lanes.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Broadcast,
    Announce(u8),
    Reply(u8),
    /// Whether the caller wants a reply.
    List(u8, bool),
    Forget(u8),
    Send(u16),
}

/// Some of them.
pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let lane = || 0_u8..LANES;
    let operation = prop_oneof![
        3 => Just(Operation::Broadcast),
        4 => lane().prop_map(Operation::Announce),
        3 => lane().prop_map(Operation::Reply),
        3 => (lane(), any::<bool>()).prop_map(|(lane, reply)| Operation::List(lane, reply)),
        1 => lane().prop_map(Operation::Forget),
        4 => prop_oneof![3 => 0_u16..4, 2 => 0_u16..200].prop_map(Operation::Send),
    ];
    prop::collection::vec(operation, 1..40)
}

/// Does them to an outbox, and checks what comes out against everything that was put in.
pub fn check(operations: &[Operation]) {
    let mut lanes = Lanes::default();
    for operation in operations {
        lanes.take(*operation);
    }
    lanes.take(Operation::Send(u16::MAX));
    assert!(lanes.outbox.is_empty() && (0..LANES).all(|lane| !lanes.outbox.has_for(lane)), "something stays");
}

/// What comes out of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Announcement(Serial),
    Listed(Serial),
    Reply(u64),
    /// The end of a listing whose caller wants no reply.
    Silence,
}

/// An item, and how many broadcasts were put in before it.
type Entry = (u64, Item);

#[derive(Default)]
struct Lanes {
    outbox: Outbox<u8, u64, (), u64>,
    lanes: BTreeMap<u8, VecDeque<Entry>>,
    put: u64,
    sent: u64,
    tags: u64,
    /// How many messages others were sent since a lane could have gone on.
    waits: BTreeMap<u8, usize>,
    /// The lane that was sent the last messages in a row while another one waited, and how many.
    run: Option<(u8, usize)>,
}

impl Lanes {
    fn take(&mut self, operation: Operation) {
        match operation {
            Operation::Broadcast => {
                self.outbox.broadcast(self.put);
                self.put += 1;
            }
            Operation::Announce(lane) => {
                let serial = Serial(self.tag());
                self.outbox.announce(lane, Announcement::NoInterface(serial));
                self.push(lane, Item::Announcement(serial));
            }
            Operation::Reply(lane) => {
                let tag = self.tag();
                self.outbox.reply(lane, tag);
                self.push(lane, Item::Reply(tag));
            }
            Operation::List(lane, reply) => self.list(lane, reply),
            Operation::Forget(lane) => {
                let reply_of = |(_, item)| if let Item::Reply(tag) = item { Some(tag) } else { None };
                let unanswered = self.lanes.remove(&lane).into_iter().flatten().filter_map(reply_of);
                assert_eq!(self.outbox.forget(lane), unanswered.collect::<Vec<_>>(), "calls without a reply");
                self.waits.remove(&lane);
                self.run = self.run.filter(|(of, _)| *of != lane);
                assert!(!self.outbox.has_for(lane) && self.outbox.unanswered(lane) == 0);
            }
            Operation::Send(count) => {
                let _all_sent = (0..count).all(|_| self.send());
            }
        }
        self.check_unanswered();
    }

    fn list(&mut self, lane: u8, reply: bool) {
        let tag = self.tag();
        let listing = listing();
        assert_eq!(listing.count(), INTERFACES + 1);
        self.outbox.list(lane, listing, reply.then_some(tag));
        assert!(self.outbox.is_listing(lane, Topic::Interfaces));
        assert!(!self.outbox.is_listing(lane, Topic::Pvds(Serial(1))), "another topic");
        for interface in SNAPSHOT.interfaces() {
            self.push(lane, Item::Listed(interface.serial));
        }
        self.push(lane, if reply { Item::Reply(tag) } else { Item::Silence });
    }

    fn push(&mut self, lane: u8, item: Item) {
        self.lanes.entry(lane).or_default().push_back((self.put, item));
    }

    /// Sends the next message; whether there was one.
    fn send(&mut self) -> bool {
        let eligible = self.eligible();
        match self.outbox.poll() {
            Some(Outgoing::Broadcast(number)) => {
                assert_eq!(number, self.sent, "broadcasts in order");
                assert!(eligible.is_empty(), "a broadcast overtakes what was put in before it: {eligible:?}");
                self.sent += 1;
            }
            Some(Outgoing::Announcement(lane, announcement)) => {
                let item = match *announcement {
                    Announcement::NoInterface(serial) => Item::Announcement(serial),
                    Announcement::Interface(view) => Item::Listed(view.serial),
                    other => panic!("{other:?}"),
                };
                self.hear(lane, &item, &eligible);
            }
            Some(Outgoing::Reply(lane, tag)) => self.hear(lane, &Item::Reply(tag), &eligible),
            None => {
                assert!(self.outbox.is_empty());
                assert_eq!(self.sent, self.put, "broadcasts stay behind");
                assert!(eligible.is_empty(), "lanes stay behind: {eligible:?}");
                self.lanes.clear();
                return false;
            }
        }
        true
    }

    fn hear(&mut self, lane: u8, item: &Item, eligible: &[u8]) {
        let entries = self.lanes.get_mut(&lane).expect("nothing was put in");
        drop_silence(entries);
        let (put, expected) = entries.pop_front().expect("nothing is left");
        assert_eq!(*item, expected, "O1: a lane is a FIFO");
        assert!(put <= self.sent, "{item:?} overtakes a broadcast that was put in before it");
        self.waits.insert(lane, 0);
        for other in eligible.iter().filter(|other| **other != lane) {
            let waits = self.waits.entry(*other).or_default();
            *waits += 1;
            assert!(*waits <= usize::from(LANES) * TURN, "lane {other} starves");
        }
        let alone = eligible.iter().all(|other| *other == lane);
        let run = self.run.filter(|(of, _)| *of == lane && !alone).map_or(1, |(_, run)| run + 1);
        assert!(run <= TURN, "lane {lane} takes more than its turn");
        self.run = (!alone).then_some((lane, run));
        if self.lanes.get(&lane).is_some_and(VecDeque::is_empty) {
            // Whatever it says next, it queues up for anew.
            self.lanes.remove(&lane);
            self.run = None;
        }
    }

    /// The lanes that have something to say which waits for no broadcast.
    fn eligible(&mut self) -> Vec<u8> {
        let sent = self.sent;
        let mut eligible = Vec::new();
        for (lane, entries) in &self.lanes {
            let next = entries.iter().find(|(_, item)| *item != Item::Silence);
            if next.is_some_and(|(put, _)| *put <= sent) {
                eligible.push(*lane);
            } else {
                self.waits.remove(lane);
            }
        }
        eligible
    }

    fn check_unanswered(&self) {
        for (lane, entries) in &self.lanes {
            let answers = |(_, item): &&Entry| matches!(item, Item::Reply(_) | Item::Silence);
            let at_most = entries.iter().filter(answers).count();
            // Silence at the front may have been dropped already.
            let silent = entries.iter().take_while(|(_, item)| *item == Item::Silence).count();
            let unanswered = self.outbox.unanswered(*lane);
            assert!((at_most - silent..=at_most).contains(&unanswered), "{unanswered} unanswered");
        }
    }

    fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }
}

fn drop_silence(entries: &mut VecDeque<Entry>) {
    while entries.front().is_some_and(|(_, item)| *item == Item::Silence) {
        entries.pop_front();
    }
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let mut host = Host::started();
    let links: Vec<Event> = (ETH0..ETH0 + INTERFACES).map(up).collect();
    host.see(links).snapshot.clone()
});

fn listing() -> Listing {
    let mut subscriber: Subscriber<()> = Subscriber::new(Reasons { pvd_gone: (), not_claimed: () });
    subscriber.announce(Topic::Interfaces, &SNAPSHOT).expect("interfaces can always be listed")
}
