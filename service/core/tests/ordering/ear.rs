//! One subscriber by the contract's text: what it asked for, what it must hear, what it believes.

use crate::expectation::{Expectations, News};
use crate::word::{Failure, Said, Word};
use mif_core::BootTime;
use mif_core::configuration::Element;
use mif_core::pvd::{Pvd, Serial};
use mif_core::snapshot::Snapshot;
use mif_core::subscription::{SubscriberRefusal, Topic, WorkKind, WorkNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What is different for everybody.
#[derive(Debug, Default)]
pub struct Difference {
    pub interfaces_gone: Vec<Serial>,
    pub interfaces_new: Vec<Word>,
    pub pvds_gone: Vec<Arc<Pvd>>,
    pub pvds_new: Vec<Arc<Pvd>>,
    /// Words about the elements of provisioning domains that stay.
    pub elements: Vec<(Serial, Word)>,
    /// Words about their addresses.
    pub addresses: Vec<(Serial, Word)>,
}

/// One subscriber.
#[derive(Debug, Default)]
pub struct Ear {
    topics: BTreeSet<Topic>,
    works: BTreeMap<(WorkKind, u32), Work>,
    pub expectations: Expectations,
    beliefs: Beliefs,
    calls: u32,
    /// Calls whose reply ends a topic.
    stops: BTreeMap<u32, Topic>,
}

#[derive(Debug)]
struct Work {
    number: WorkNumber,
    pvd: Serial,
    connected_until: Option<BootTime>,
}

/// What was announced and not withdrawn.
#[derive(Debug, Default, PartialEq, Eq)]
struct Beliefs {
    interfaces: BTreeSet<Serial>,
    pvds: BTreeMap<Serial, Serial>,
    elements: BTreeSet<(Serial, Element)>,
    addresses: BTreeMap<(Serial, IpAddr), Said>,
}

impl Ear {
    /// A new subscriber of the path of this one, which is closed and has something left to hear.
    pub fn heir(self) -> Self {
        Self { topics: BTreeSet::new(), works: BTreeMap::new(), ..self }
    }

    pub fn listens_to(&self, topic: Topic) -> bool {
        self.topics.contains(&topic)
    }

    /// The number of the next call.
    pub fn call(&mut self) -> u32 {
        self.calls += 1;
        self.calls
    }

    /// Announce...
    pub fn announce(&mut self, topic: Topic, snapshot: &Snapshot) -> Result<u32, SubscriberRefusal> {
        let items = items(topic, snapshot)?;
        self.topics.insert(topic);
        let call = self.call();
        self.expectations.listing(topic, items, call);
        Ok(call)
    }

    /// StopAnnouncing...
    pub fn stop(&mut self, topic: Topic) -> u32 {
        self.topics.remove(&topic);
        let call = self.reply();
        self.stops.insert(call, topic);
        call
    }

    /// A call that is answered at once.
    pub fn reply(&mut self) -> u32 {
        let call = self.call();
        self.expectations.word(Word::Reply(call, None));
        call
    }

    /// TranslateName, ConnectToAddress: whether they are accepted.
    pub fn may_start(
        &self,
        kind: WorkKind,
        id: u32,
        pvd: Serial,
        snapshot: &Snapshot,
    ) -> Result<(), SubscriberRefusal> {
        if self.works.contains_key(&(kind, id)) {
            return Err(SubscriberRefusal::IdInUse(kind, id));
        }
        find(snapshot, pvd).map(drop)
    }

    pub fn start(&mut self, kind: WorkKind, id: u32, pvd: Serial, number: WorkNumber) {
        self.works.insert((kind, id), Work { number, pvd, connected_until: None });
    }

    /// StopTranslatingName, CancelConnection: the work that ends.
    pub fn stop_work(&mut self, kind: WorkKind, id: u32) -> Option<WorkNumber> {
        self.works.remove(&(kind, id)).map(|work| work.number)
    }

    /// TakeConnection: the work whose socket is given.
    pub fn take(&mut self, id: u32) -> Result<WorkNumber, SubscriberRefusal> {
        let key = (WorkKind::Connection, id);
        let connected = self.works.get(&key).is_some_and(|work| work.connected_until.is_some());
        if !connected {
            return Err(SubscriberRefusal::NoSuchId(id));
        }
        Ok(self.works.remove(&key).unwrap().number)
    }

    /// Close: all work ends silently.
    pub fn close(&mut self) -> BTreeSet<WorkNumber> {
        std::mem::take(&mut self.works).into_values().map(|work| work.number).collect()
    }

    /// The work of this number, if it is not over: kind, id and whether it is connected.
    pub fn work(&self, number: WorkNumber) -> Option<(WorkKind, u32, bool)> {
        let mut found = self.works.iter().filter(|(_, work)| work.number == number);
        found.next().map(|((kind, id), work)| (*kind, *id, work.connected_until.is_some()))
    }

    pub fn set_connected(&mut self, id: u32, until: BootTime) {
        self.works.get_mut(&(WorkKind::Connection, id)).unwrap().connected_until = Some(until);
    }

    /// Connected sockets that nobody took by `now`.
    pub fn hear_of_time(&mut self, now: BootTime) -> BTreeSet<WorkNumber> {
        let mut news = News::default();
        let unclaimed = |work: &Work| work.connected_until.is_some_and(|until| until <= now);
        let ended = self.end(unclaimed);
        for (id, work) in &ended {
            assert_eq!(id.0, WorkKind::Connection, "{work:?}");
            news.expect(Word::NotConnected(id.1, Failure::NotClaimed));
        }
        self.expectations.news(news);
        ended.into_iter().map(|(_, work)| work.number).collect()
    }

    /// O2 to O6: what a difference means to this subscriber; the work that ends.
    pub fn hear_of(&mut self, difference: &Difference) -> BTreeSet<WorkNumber> {
        let mut news = News::default();
        let mut ended = BTreeSet::new();
        for pvd in &difference.pvds_gone {
            let last_word =
                self.topics.contains(&Topic::Interfaces).then(|| Word::NoInterface(pvd.interface));
            let ends: Vec<((WorkKind, u32), Work)> = self.end(|work| work.pvd == pvd.serial);
            let end_words: Vec<Word> = ends.iter().map(|((kind, id), _)| gone(*kind, *id)).collect();
            for word in &end_words {
                news.is_end_on(word.clone(), pvd.serial);
            }
            ended.extend(ends.into_iter().map(|(_, work)| work.number));
            let mut no = Vec::new();
            if self.topics.remove(&Topic::Addresses(pvd.serial)) {
                no.extend(pvd.usable_addresses().map(|address| Word::NoAddress(pvd.serial, address.address)));
            }
            if self.topics.remove(&Topic::Elements(pvd.serial)) {
                no.extend(pvd.elements.keys().map(|element| Word::NoElement(pvd.serial, *element)));
            }
            let listens = self.topics.contains(&Topic::Pvds(pvd.interface));
            let no_pvd = listens.then(|| Word::no_pvd(pvd)).into_iter().collect();
            news.expect_in_order([end_words, no, no_pvd, last_word.into_iter().collect()]);
        }
        for interface in &difference.interfaces_gone {
            self.topics.remove(&Topic::Pvds(*interface));
            if self.topics.contains(&Topic::Interfaces) {
                news.expect(Word::NoInterface(*interface));
            }
        }
        self.expect_what_is_there(difference, &mut news);
        self.expectations.news(news);
        ended
    }

    /// A message comes; which provisioning domain's loss it tells of, if it is the end of work.
    pub fn hear(&mut self, word: &Word) -> Option<Serial> {
        let end = self.expectations.hear(word);
        self.believe(word);
        end
    }

    /// Nothing is left to be heard: folding the announcements has given the state (O6).
    pub fn compare(&self, snapshot: &Snapshot) {
        assert!(self.expectations.is_empty(), "still expected: {:?}", self.expectations);
        for topic in &self.topics {
            let truth = items(*topic, snapshot).expect("O4, O5: subscriptions end with their object");
            match topic {
                Topic::Addresses(pvd) => self.compare_addresses(*pvd, &truth),
                Topic::Interfaces | Topic::Pvds(_) | Topic::Elements(_) => {
                    let believed: BTreeSet<Word> = self.believed(*topic).collect();
                    let truth: BTreeSet<Word> = truth.into_iter().map(without_text).collect();
                    assert_eq!(believed, truth, "O6: {topic:?} as told, and as it is");
                }
            }
        }
    }

    /// Deadlines may have moved later since they were told.
    pub fn see(&mut self, snapshot: &Snapshot) {
        for ((pvd, address), said) in &mut self.beliefs.addresses {
            let shown = snapshot.pvd(*pvd).and_then(|view| {
                view.usable_addresses().find(|shown| shown.address == *address).map(Said::of)
            });
            if let Some(shown) = shown {
                said.moved_later_to(&shown);
            }
        }
    }

    fn expect_what_is_there(&self, difference: &Difference, news: &mut News) {
        if self.topics.contains(&Topic::Interfaces) {
            difference.interfaces_new.iter().for_each(|word| news.expect(word.clone()));
        }
        let listens = |pvd: &&Arc<Pvd>| self.topics.contains(&Topic::Pvds(pvd.interface));
        difference.pvds_new.iter().filter(listens).for_each(|pvd| news.expect(Word::pvd(pvd)));
        for (pvd, word) in &difference.elements {
            if self.topics.contains(&Topic::Elements(*pvd)) {
                news.expect(word.clone());
            }
        }
        for (pvd, word) in &difference.addresses {
            if self.topics.contains(&Topic::Addresses(*pvd)) {
                news.expect(word.clone());
            }
        }
    }

    fn end(&mut self, over: impl Fn(&Work) -> bool) -> Vec<((WorkKind, u32), Work)> {
        self.works.extract_if(.., |_, work| over(work)).collect()
    }

    /// O5: a "No" message is sent only for what was announced to this subscriber.
    fn believe(&mut self, word: &Word) {
        let beliefs = &mut self.beliefs;
        let known = match word {
            Word::Interface(interface, _) => {
                beliefs.interfaces.insert(*interface);
                true
            }
            Word::NoInterface(interface) => beliefs.interfaces.remove(interface),
            Word::Pvd { pvd, interface, .. } => {
                beliefs.pvds.insert(*pvd, *interface);
                true
            }
            Word::NoPvd { pvd, interface } => beliefs.pvds.remove(pvd) == Some(*interface),
            Word::Element(pvd, element) => {
                beliefs.elements.insert((*pvd, *element));
                true
            }
            Word::NoElement(pvd, element) => beliefs.elements.remove(&(*pvd, *element)),
            Word::Address(pvd, said) => {
                beliefs.addresses.insert((*pvd, said.address), *said);
                true
            }
            Word::NoAddress(pvd, address) => beliefs.addresses.remove(&(*pvd, *address)).is_some(),
            Word::Reply(call, _) => {
                if let Some(topic) = self.stops.remove(call) {
                    beliefs.forget(topic);
                }
                true
            }
            Word::NameTranslation(_)
            | Word::TranslationFinished(..)
            | Word::Connected(_)
            | Word::NotConnected(..) => true,
            Word::Closed => {
                *beliefs = Beliefs::default();
                true
            }
        };
        assert!(known, "O5: {word:?} was never announced, or is withdrawn twice");
    }

    fn believed(&self, topic: Topic) -> Box<dyn Iterator<Item = Word> + '_> {
        let beliefs = &self.beliefs;
        match topic {
            Topic::Interfaces => {
                Box::new(beliefs.interfaces.iter().map(|serial| Word::Interface(*serial, String::new())))
            }
            Topic::Pvds(of) => {
                Box::new(beliefs.pvds.iter().filter(move |(_, interface)| **interface == of).map(
                    |(pvd, interface)| Word::Pvd { pvd: *pvd, interface: *interface, id: String::new() },
                ))
            }
            Topic::Elements(of) => {
                let own = beliefs.elements.iter().filter(move |(pvd, _)| *pvd == of);
                Box::new(own.map(|(pvd, element)| Word::Element(*pvd, *element)))
            }
            Topic::Addresses(_) => Box::new(std::iter::empty()),
        }
    }

    fn compare_addresses(&self, of: Serial, truth: &BTreeSet<Word>) {
        let believed: Vec<&Said> =
            self.beliefs.addresses.iter().filter(|((pvd, _), _)| *pvd == of).map(|(_, said)| said).collect();
        assert_eq!(believed.len(), truth.len(), "O6: {believed:?}, and {truth:?}");
        for word in truth {
            let Word::Address(_, shown) = word else { panic!("{word:?}") };
            let believed = &self.beliefs.addresses[&(of, shown.address)];
            assert!(!believed.is_outdated_by(shown), "O6: believed {believed:?}, shown {shown:?}");
        }
    }
}

impl Beliefs {
    fn forget(&mut self, topic: Topic) {
        match topic {
            Topic::Interfaces => self.interfaces.clear(),
            Topic::Pvds(of) => self.pvds.retain(|_, interface| *interface != of),
            Topic::Elements(of) => self.elements.retain(|(pvd, _)| *pvd != of),
            Topic::Addresses(of) => self.addresses.retain(|(pvd, _), _| *pvd != of),
        }
    }
}

/// What a listing of `topic` holds.
fn items(topic: Topic, snapshot: &Snapshot) -> Result<BTreeSet<Word>, SubscriberRefusal> {
    Ok(match topic {
        Topic::Interfaces => snapshot.interfaces().map(|view| Word::interface(view)).collect(),
        Topic::Pvds(serial) => {
            if snapshot.interfaces().all(|view| view.serial != serial) {
                return Err(SubscriberRefusal::NoSuchInterface(serial));
            }
            snapshot.pvds().filter(|pvd| pvd.interface == serial).map(|pvd| Word::pvd(pvd)).collect()
        }
        Topic::Elements(serial) => {
            let pvd = find(snapshot, serial)?;
            pvd.elements.keys().map(|element| Word::Element(serial, *element)).collect()
        }
        Topic::Addresses(serial) => {
            let pvd = find(snapshot, serial)?;
            pvd.usable_addresses().map(|address| Word::address(pvd, address)).collect()
        }
    })
}

/// A provisioning domain that never existed.
pub const NEVER: Serial = Serial(1 << 40);

/// NoSuchPvd for what never existed, PvdGone for what did.
fn find(snapshot: &Snapshot, serial: Serial) -> Result<&Arc<Pvd>, SubscriberRefusal> {
    let refusal = || {
        if serial == NEVER {
            SubscriberRefusal::NoSuchPvd(serial)
        } else {
            SubscriberRefusal::PvdGone(serial)
        }
    };
    snapshot.pvd(serial).ok_or_else(refusal)
}

fn gone(kind: WorkKind, id: u32) -> Word {
    match kind {
        WorkKind::Translation => Word::TranslationFinished(id, Err(Failure::PvdGone)),
        WorkKind::Connection => Word::NotConnected(id, Failure::PvdGone),
    }
}

fn without_text(word: Word) -> Word {
    match word {
        Word::Interface(interface, _) => Word::Interface(interface, String::new()),
        Word::Pvd { pvd, interface, .. } => Word::Pvd { pvd, interface, id: String::new() },
        other => other,
    }
}
