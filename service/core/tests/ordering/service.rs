//! The machines of the core put together as the daemon's bus task does it.

use crate::common::event::{ETH0, LO, address, link, up};
use crate::common::host::SETTINGS;
use crate::common::{at, events};
use crate::word::Failure;
use mif_core::BootTime;
use mif_core::announcement::{Announcement, CloseReason};
use mif_core::broadcast::{Broadcast, Coalescer};
use mif_core::engine::Engine;
use mif_core::event::{Event, LinkState};
use mif_core::outbox::{Outbox, Outgoing};
use mif_core::snapshot::Snapshot;
use mif_core::subscription::{
    Outcome, Output, Reasons, Subscriber, SubscriberRefusal, Topic, WorkKind, WorkNumber,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names a subscriber.
pub type Key = u32;

/// The reply to a call: its number, and the count of a listing.
pub type Reply = (u32, Option<u32>);

/// What is sent.
pub type Sent = Outgoing<Key, Reply, Failure, Broadcast>;

/// Engine, coalescer, subscribers and outbox.
pub struct Service {
    engine: Engine,
    coalescer: Coalescer,
    outbox: Outbox<Key, Reply, Failure, Broadcast>,
    subscribers: BTreeMap<Key, Subscriber<Failure>>,
    snapshot: Snapshot,
    now: BootTime,
    /// Broadcasts made since they were last looked at.
    made: Vec<Broadcast>,
    /// Work that ended since it was last looked at.
    ended: BTreeSet<WorkNumber>,
}

impl Service {
    /// 1000 s after boot, one Ethernet link with an address; the inventory is published.
    pub fn new() -> Self {
        let mut engine = Engine::new(SETTINGS);
        let now = at(1000);
        let first = events![Event::Link(link(LO, LinkState::Up)), up(ETH0), address(ETH0, "192.0.2.1/24")];
        for event in first.into_iter().chain([Event::ResyncEnd]) {
            engine.handle_event(now, event);
        }
        let snapshot = engine.commit(now).snapshot;
        Self {
            engine,
            coalescer: Coalescer::default(),
            outbox: Outbox::default(),
            subscribers: BTreeMap::new(),
            snapshot,
            now,
            made: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    pub const fn now(&self) -> BootTime {
        self.now
    }

    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn take_made(&mut self) -> Vec<Broadcast> {
        std::mem::take(&mut self.made)
    }

    pub fn take_ended(&mut self) -> BTreeSet<WorkNumber> {
        std::mem::take(&mut self.ended)
    }

    /// When the bus task wakes next.
    pub fn next_timeout(&self) -> Option<BootTime> {
        let unclaimed = self.subscribers.values().filter_map(Subscriber::next_timeout);
        unclaimed.chain(self.coalescer.next_timeout()).min()
    }

    /// When anything wakes next.
    pub fn next_wake(&self) -> Option<BootTime> {
        self.next_timeout().into_iter().chain(self.engine.next_timeout()).min()
    }

    pub fn happen(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.engine.handle_event(self.now, event);
        }
        self.commit();
    }

    /// It becomes `now`: the engine wakes if it is due.
    pub fn wake_engine(&mut self, now: BootTime) {
        self.now = now;
        if self.engine.next_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
            self.commit();
        }
    }

    /// Time goes by while nobody wakes.
    pub fn oversleep(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// The bus task wakes.
    pub fn wake_bus(&mut self) {
        for broadcast in self.coalescer.handle_timeout(self.now, &self.snapshot) {
            self.broadcast(broadcast);
        }
        let now = self.now;
        self.tell(|subscriber| subscriber.handle_timeout(now));
    }

    pub fn create(&mut self, key: Key, reply: Reply) {
        self.subscribers.insert(key, fresh_subscriber());
        self.outbox.reply(key, reply);
    }

    pub fn has_for(&self, key: Key) -> bool {
        self.outbox.has_for(key)
    }

    pub fn is_listing(&self, key: Key, topic: Topic) -> bool {
        self.outbox.is_listing(key, topic)
    }

    pub fn unanswered(&self, key: Key) -> usize {
        self.outbox.unanswered(key)
    }

    pub fn announce(&mut self, key: Key, topic: Topic, call: u32) -> Result<(), SubscriberRefusal> {
        let snapshot = self.snapshot.clone();
        let listing = self.subscriber(key).announce(topic, &snapshot)?;
        let reply = (call, Some(listing.count()));
        self.outbox.list(key, listing, Some(reply));
        Ok(())
    }

    pub fn stop(&mut self, key: Key, topic: Topic, call: u32) {
        self.subscriber(key).stop_announcing(topic);
        self.reply(key, call);
    }

    pub fn may_start(
        &mut self,
        key: Key,
        kind: WorkKind,
        id: u32,
        pvd: mif_core::pvd::Serial,
    ) -> Result<(), SubscriberRefusal> {
        let snapshot = self.snapshot.clone();
        self.subscriber(key).may_start(kind, id, pvd, &snapshot)
    }

    /// The subscriber of this key.
    pub fn subscriber(&mut self, key: Key) -> &mut Subscriber<Failure> {
        self.subscribers.get_mut(&key).unwrap()
    }

    pub fn reply(&mut self, key: Key, call: u32) {
        self.outbox.reply(key, (call, None));
    }

    pub fn close(&mut self, key: Key, call: u32) {
        let mut subscriber = self.subscribers.remove(&key).unwrap();
        self.ended.extend(subscriber.close().into_iter().map(|ended| ended.number));
        self.outbox.announce(key, Announcement::Closed(CloseReason::Requested));
        self.reply(key, call);
    }

    pub fn leave(&mut self, key: Key) {
        let mut subscriber = self.subscribers.remove(&key).unwrap();
        self.ended.extend(subscriber.close().into_iter().map(|ended| ended.number));
        self.outbox.forget(key);
    }

    /// The client of a closed subscriber leaves.
    pub fn forget(&mut self, key: Key) {
        self.outbox.forget(key);
    }

    pub fn outcome(&mut self, key: Key, number: WorkNumber, outcome: Outcome<Failure>) {
        let unclaimed = self.now.after(Duration::from_secs(30));
        let output = self.subscriber(key).handle_outcome(number, outcome, unclaimed);
        self.put_out(key, output);
    }

    /// Sends the next message.
    pub fn send(&mut self) -> Option<Sent> {
        let sent = self.outbox.poll();
        assert!(sent.is_some() || self.outbox.is_empty(), "it waits for nothing, for ever");
        sent
    }

    fn commit(&mut self) {
        let batch = self.engine.commit(self.now);
        self.snapshot = batch.snapshot;
        for change in &batch.changes {
            if let Some(broadcast) = self.coalescer.handle_change(self.now, change, &self.snapshot) {
                self.broadcast(broadcast);
            }
            self.tell(|subscriber| subscriber.handle_change(change));
        }
    }

    fn broadcast(&mut self, broadcast: Broadcast) {
        self.made.push(broadcast.clone());
        self.outbox.broadcast(broadcast);
    }

    fn tell(&mut self, mut hear: impl FnMut(&mut Subscriber<Failure>) -> Output<Failure>) {
        let keys: Vec<Key> = self.subscribers.keys().copied().collect();
        for key in keys {
            let output = hear(self.subscriber(key));
            self.put_out(key, output);
        }
    }

    fn put_out(&mut self, key: Key, output: Output<Failure>) {
        for announcement in output.announcements {
            self.outbox.announce(key, announcement);
        }
        for ended in output.ended {
            assert!(self.ended.insert(ended.number), "{ended:?} ends twice");
        }
    }
}

/// A subscriber that has asked for nothing.
pub fn fresh_subscriber() -> Subscriber<Failure> {
    Subscriber::new(Reasons { pvd_gone: Failure::PvdGone, not_claimed: Failure::NotClaimed })
}
