//! The service beside the reference: every step is taken by both, and everything that is sent must be expected.

use crate::common::event::{ETH0, ETH1, LO, gone};
use crate::ear::{Ear, NEVER};
use crate::hearsay::Hearsay;
use crate::network::Happening;
use crate::pace::Pace;
use crate::reference::Reference;
use crate::service::{Key, Sent, Service, fresh_subscriber};
use crate::step::{Call, End, Kind, Step};
use crate::word::{Failure, Word};
use mif_core::broadcast::Broadcast;
use mif_core::event::Event;
use mif_core::plan::{Answer, AnswerSource, TranslationEnd};
use mif_core::pvd::Serial;
use mif_core::subscription::{Outcome, Topic, WorkKind, WorkNumber};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The client that asks for everything.
const KEEN: usize = 3;

/// The service, the reference, and who is there.
pub struct World {
    service: Service,
    reference: Reference,
    pace: Pace,
    hearsay: Hearsay,
    broadcasts: VecDeque<Broadcast>,
    ears: BTreeMap<Key, Ear>,
    /// Closed, with something left to hear.
    closed: BTreeMap<Key, Ear>,
    /// Which subscriber each client has.
    clients: [Option<Key>; 4],
    /// Which one it closed last.
    former: [Option<Key>; 4],
    keys: Key,
    interfaces: BTreeSet<Serial>,
    pvds: BTreeSet<Serial>,
    works: Vec<(Key, WorkNumber)>,
}

impl World {
    /// One link with an address.
    pub fn new() -> Self {
        let service = Service::new();
        let snapshot = service.snapshot();
        let mut world = Self {
            reference: Reference::of(snapshot),
            pace: Pace::of(snapshot),
            hearsay: Hearsay::of(snapshot),
            broadcasts: VecDeque::new(),
            ears: BTreeMap::new(),
            closed: BTreeMap::new(),
            clients: [None; 4],
            former: [None; 4],
            keys: 0,
            interfaces: BTreeSet::new(),
            pvds: BTreeSet::new(),
            works: Vec::new(),
            service,
        };
        world.create(KEEN);
        world.announce_all();
        world
    }

    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Happen(happenings) => self.happen(happenings),
            Step::Pass(milliseconds) => self.pass(*milliseconds),
            Step::Oversleep(milliseconds, happenings) => self.oversleep(*milliseconds, happenings),
            Step::Call(client, call) => self.call(usize::from(*client), *call),
            Step::Leave(client) => self.leave(usize::from(*client)),
            Step::Outcome(work, end) => self.outcome(*work, *end),
            Step::Send(count) => self.send(usize::from(*count)),
        }
    }

    /// The network changes; everybody hears of it together.
    pub fn happen(&mut self, happenings: &[Happening]) {
        let now = self.service.now();
        let events: Vec<Event> = happenings.iter().map(|happening| happening.event(now)).collect();
        self.service.happen(events);
        self.look();
        self.check_pace();
        self.announce_all();
    }

    /// Time goes by while nobody wakes, and then the network changes before anybody does.
    fn oversleep(&mut self, milliseconds: u64, happenings: &[Happening]) {
        self.service.oversleep(Duration::from_millis(milliseconds));
        let now = self.service.now();
        let events: Vec<Event> = happenings.iter().map(|happening| happening.event(now)).collect();
        self.service.happen(events);
        self.look();
        self.service.wake_engine(now);
        self.look();
        self.wake_bus();
    }

    /// Time goes by; whoever is due wakes at that moment.
    pub fn pass(&mut self, milliseconds: u64) {
        let until = self.service.now().after(Duration::from_millis(milliseconds));
        while let Some(due) = self.service.next_wake().filter(|due| *due <= until) {
            assert!(due > self.service.now(), "due since {due:?}, not done");
            self.service.wake_engine(due);
            self.look();
            self.wake_bus();
        }
        self.service.wake_engine(until);
        self.wake_bus();
    }

    /// Everything is sent, and every deadline of the service passes.
    pub fn settle(&mut self) {
        self.send(usize::MAX);
        self.pass(40_000);
        self.send(usize::MAX);
        let snapshot = self.service.snapshot();
        self.hearsay.compare(snapshot);
        self.pace.compare(snapshot);
        assert!(self.broadcasts.is_empty());
        for ear in self.ears.values() {
            ear.compare(snapshot);
        }
        assert!(self.closed.values().all(|ear| ear.expectations.is_empty()));
    }

    /// Every link goes, and with it everything that was kept for it.
    pub fn end(&mut self) {
        self.service.happen([gone(LO), gone(ETH0), gone(ETH1)]);
        self.look();
        self.check_pace();
        self.settle();
        let keys: Vec<Key> = self.ears.keys().copied().collect();
        for key in keys {
            let subscriber = self.service.subscriber(key);
            subscriber.stop_announcing(Topic::Interfaces);
            let (left, fresh) = (format!("{subscriber:?}"), format!("{:?}", fresh_subscriber()));
            assert_eq!(left, fresh, "something is kept of what is gone");
        }
    }

    /// One client asks for everything that it has not asked for yet.
    fn announce_all(&mut self) {
        let Some(key) = self.clients[KEEN] else { return };
        let snapshot = self.service.snapshot();
        let pvds =
            snapshot.pvds().flat_map(|pvd| [Topic::Elements(pvd.serial), Topic::Addresses(pvd.serial)]);
        let interfaces = snapshot.interfaces().map(|view| Topic::Pvds(view.serial));
        let topics: Vec<Topic> = [Topic::Interfaces].into_iter().chain(interfaces).chain(pvds).collect();
        for topic in topics {
            if !self.ears[&key].listens_to(topic) {
                self.announce(key, topic);
            }
        }
    }

    fn wake_bus(&mut self) {
        self.service.wake_bus();
        let now = self.service.now();
        let unclaimed = self.ears.values_mut().flat_map(|ear| ear.hear_of_time(now)).collect();
        self.look_at_broadcasts();
        assert_eq!(self.service.take_ended(), unclaimed, "work that nobody claimed");
        self.check_pace();
    }

    /// A state was published.
    fn look(&mut self) {
        let snapshot = self.service.snapshot();
        let difference = self.reference.see(snapshot);
        let mut ended = BTreeSet::new();
        for ear in self.ears.values_mut() {
            ended.extend(ear.hear_of(&difference));
            ear.see(snapshot);
        }
        self.interfaces.extend(snapshot.interfaces().map(|view| view.serial));
        self.pvds.extend(snapshot.pvds().map(|view| view.serial));
        self.look_at_broadcasts();
        assert_eq!(self.service.take_ended(), ended, "O4: work on what is gone");
    }

    fn look_at_broadcasts(&mut self) {
        let now = self.service.now();
        for broadcast in self.service.take_made() {
            self.pace.hear(now, &broadcast);
            self.broadcasts.push_back(broadcast);
        }
    }

    /// Everything that is due at this moment was done.
    fn check_pace(&self) {
        self.pace.check(self.service.now(), self.service.snapshot(), self.service.next_timeout());
    }

    fn call(&mut self, client: usize, call: Call) {
        let key = self.clients[client].unwrap_or_else(|| self.create(client));
        match call {
            Call::Announce(kind, pick) => self.announce(key, self.topic(kind, pick)),
            Call::Stop(kind, pick) => {
                let topic = self.topic(kind, pick);
                let call = self.ear(key).stop(topic);
                self.service.stop(key, topic, call);
            }
            Call::Start(kind, id, pick) => self.start(key, kind, id, pick),
            Call::StopWork(kind, id) => {
                let expected = self.ear(key).stop_work(kind, id);
                let ended = self.service.subscriber(key).stop(kind, id);
                assert_eq!(ended.map(|ended| ended.number), expected);
                self.reply(key);
            }
            Call::Take(id) => {
                let expected = self.ear(key).take(id);
                let taken = self.service.subscriber(key).take(id);
                assert_eq!(taken.map(|ended| ended.number), expected);
                self.reply(key);
            }
            Call::Close => {
                self.clients[client] = None;
                self.former[client] = Some(key);
                let mut ear = self.ears.remove(&key).unwrap();
                let expected = ear.close();
                ear.expectations.word(Word::Closed);
                self.service.close(key, ear.reply());
                assert_eq!(self.service.take_ended(), expected, "work ends with its subscriber");
                self.closed.insert(key, ear);
            }
        }
        if let Some(ear) = self.ears.get(&key) {
            assert_eq!(self.service.unanswered(key), ear.expectations.unanswered(), "calls not yet answered");
        }
    }

    fn create(&mut self, client: usize) -> Key {
        let former = self.former[client].filter(|key| self.service.has_for(*key));
        let key = former.unwrap_or_else(|| {
            self.keys += 1;
            self.keys
        });
        let mut ear = self.closed.remove(&key).unwrap_or_default().heir();
        self.service.create(key, (ear.reply(), None));
        self.ears.insert(key, ear);
        self.clients[client] = Some(key);
        key
    }

    fn announce(&mut self, key: Key, topic: Topic) {
        let listing = self.ears[&key].expectations.is_listing(topic);
        assert_eq!(self.service.is_listing(key, topic), listing, "O2: whether {topic:?} is being listed");
        // LimitsExceeded.
        if listing {
            return self.reply(key);
        }
        let snapshot = self.service.snapshot().clone();
        match self.ear(key).announce(topic, &snapshot) {
            Ok(call) => self.service.announce(key, topic, call).unwrap(),
            Err(refusal) => {
                assert_eq!(self.service.announce(key, topic, 0), Err(refusal));
                self.reply(key);
            }
        }
    }

    fn start(&mut self, key: Key, kind: WorkKind, id: u32, pick: usize) {
        let pvd = pick_of(&self.pvds, pick);
        let expected = self.ears[&key].may_start(kind, id, pvd, self.service.snapshot());
        assert_eq!(self.service.may_start(key, kind, id, pvd), expected);
        self.reply(key);
        if expected.is_ok() {
            let number = WorkNumber(self.works.len() as u64);
            self.works.push((key, number));
            self.ear(key).start(kind, id, pvd, number);
            self.service.subscriber(key).start(kind, id, pvd, number);
        }
    }

    fn leave(&mut self, client: usize) {
        if let Some(key) = self.clients[client].take() {
            self.service.leave(key);
            let expected = self.ears.remove(&key).unwrap().close();
            assert_eq!(self.service.take_ended(), expected, "work ends with its subscriber");
        }
        if let Some(key) = self.former[client].take()
            && self.closed.remove(&key).is_some()
        {
            self.service.forget(key);
        }
    }

    /// Work comes to something, even if nobody wants to know any more.
    fn outcome(&mut self, pick: usize, end: End) {
        let Some((key, number)) = pick.checked_rem(self.works.len()).map(|work| self.works[work]) else {
            return;
        };
        let until = self.service.now().after(Duration::from_secs(30));
        let Some(ear) = self.ears.get_mut(&key) else { return };
        let (expected, over, outcome) = match (ear.work(number), end) {
            (None, End::Answer) => (None, false, answer()),
            (None, End::Success) => (None, false, Outcome::Translated(Ok(TranslationEnd::default()))),
            (None, End::Failure) => (None, false, Outcome::NotConnected(Failure::Network)),
            // An established connection comes to nothing more.
            (Some((_, _, true)), _) | (Some((WorkKind::Connection, ..)), End::Answer) => return,
            (Some((WorkKind::Translation, id, _)), End::Answer) => {
                (Some(Word::NameTranslation(id)), false, answer())
            }
            (Some((WorkKind::Translation, id, _)), End::Success) => {
                let end = Outcome::Translated(Ok(TranslationEnd::default()));
                (Some(Word::TranslationFinished(id, Ok(()))), true, end)
            }
            (Some((WorkKind::Translation, id, _)), End::Failure) => {
                let end = Outcome::Translated(Err(Failure::Network));
                (Some(Word::TranslationFinished(id, Err(Failure::Network))), true, end)
            }
            (Some((WorkKind::Connection, id, _)), End::Success) => {
                ear.set_connected(id, until);
                (Some(Word::Connected(id)), false, connected())
            }
            (Some((WorkKind::Connection, id, _)), End::Failure) => (
                Some(Word::NotConnected(id, Failure::Network)),
                true,
                Outcome::NotConnected(Failure::Network),
            ),
        };
        if let (true, Some((kind, id, _))) = (over, ear.work(number)) {
            ear.stop_work(kind, id);
        }
        expected.into_iter().for_each(|word| ear.expectations.word(word));
        self.service.outcome(key, number, outcome);
        let ended = self.service.take_ended();
        assert_eq!(ended, over.then_some(number).into_iter().collect(), "work that is over");
    }

    fn send(&mut self, count: usize) {
        for _ in 0..count {
            let Some(sent) = self.service.send() else {
                assert!(self.broadcasts.is_empty(), "{:?} stay behind", self.broadcasts);
                let left =
                    self.ears.values().chain(self.closed.values()).find(|ear| !ear.expectations.is_empty());
                assert!(left.is_none(), "it stays behind: {left:?}");
                return;
            };
            self.hear(&sent);
        }
    }

    fn hear(&mut self, sent: &Sent) {
        match sent {
            Sent::Broadcast(broadcast) => {
                let expected = self.broadcasts.pop_front();
                assert_eq!(
                    Some(broadcast),
                    expected.as_ref(),
                    "broadcasts in the order in which they are made"
                );
                self.hearsay.hear(broadcast);
            }
            Sent::Announcement(key, announcement) => self.hear_word(*key, &Word::from(&**announcement)),
            Sent::Reply(key, (call, count)) => self.hear_word(*key, &Word::Reply(*call, *count)),
        }
    }

    fn hear_word(&mut self, key: Key, word: &Word) {
        self.hearsay.allow(word);
        let ear = self.ears.get_mut(&key).or_else(|| self.closed.get_mut(&key));
        let ear = ear.unwrap_or_else(|| panic!("{word:?} for somebody who has left"));
        if let Some(pvd) = ear.hear(word) {
            self.hearsay.allow_end_on(pvd);
        }
    }

    fn reply(&mut self, key: Key) {
        let call = self.ear(key).reply();
        self.service.reply(key, call);
    }

    fn ear(&mut self, key: Key) -> &mut Ear {
        self.ears.get_mut(&key).unwrap()
    }

    fn topic(&self, kind: Kind, pick: usize) -> Topic {
        match kind {
            Kind::Interfaces => Topic::Interfaces,
            Kind::Pvds => Topic::Pvds(pick_of(&self.interfaces, pick)),
            Kind::Elements => Topic::Elements(pick_of(&self.pvds, pick)),
            Kind::Addresses => Topic::Addresses(pick_of(&self.pvds, pick)),
        }
    }
}

/// One of those that there ever were, the latest more often; seldom one that never was.
fn pick_of(ever: &BTreeSet<Serial>, pick: usize) -> Serial {
    let recent = ever.iter().rev().take(2);
    let all: Vec<Serial> = ever.iter().chain(recent.clone()).chain(recent).copied().chain([NEVER]).collect();
    all[pick % all.len()]
}

fn answer() -> Outcome<Failure> {
    Outcome::Answer(Answer::local(IpAddr::V4(Ipv4Addr::LOCALHOST), AnswerSource::Hosts))
}

fn connected() -> Outcome<Failure> {
    Outcome::Connected(mif_core::announcement::ConnectionDetails {
        local_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        local_port: 1,
        remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
        handshake_us: 1,
    })
}
