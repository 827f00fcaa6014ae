//! O8 on a bus that drops messages without a word, as dbus-broker does: clients that read when they like, some of which
//! answer what they are asked, and two users, each with its room.

use crate::common::at;
use mif_core::BootTime;
use mif_core::deliveries::{Deliveries, Due, Unicast};
use mif_core::unread::{Bounds, Refusal, Unread};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const CLIENTS: u8 = 4;
/// It never answers.
const MUTE: u8 = 3;
/// What a message without a byte counts.
const ONE: u64 = 512;
const BOUNDS: Bounds = Bounds { spacing: 3 * ONE, per_client: 12 * ONE, per_user: 18 * ONE, little: 4 * ONE };
/// So many messages are never unread at a user whose clients are given up in time: what all may have together, what the
/// others may have besides, and what is said to those that are closed.
pub const ENOUGH: usize = 48;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The service has something to tell a client.
    Tell(u8),
    /// The bus takes the next message of the service.
    Bus,
    /// The service hears the next word.
    Hear,
    /// A client reads.
    Read(u8),
    /// A client that was closed subscribes again.
    Subscribe(u8),
    /// Time goes by, in milliseconds.
    Pass(u64),
}

/// Some steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = 0..CLIENTS;
    let step = prop_oneof![
        8 => client.clone().prop_map(Step::Tell),
        8 => Just(Step::Bus),
        3 => Just(Step::Hear),
        3 => client.clone().prop_map(Step::Read),
        1 => client.prop_map(Step::Subscribe),
        1 => (0_u64..1_500).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..300)
}

/// How a world differs from others.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many messages the bus holds for the clients of a user.
    pub room: usize,
    /// Everybody reads at once what there is to read, and the service hears of it.
    pub diligent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    News,
    Ping,
    Closed,
}

/// A subscriber: its client, and which of the client's it is.
type Key = (u8, u32);

#[derive(Clone, Copy, Debug)]
enum Outgoing {
    Message(Key, Text),
    Question,
}

#[derive(Clone, Copy, Debug)]
enum Word {
    Refused(u32),
    BusAnswers(u32),
    Answers(u8, u32),
}

#[derive(Default)]
struct Client {
    held: VecDeque<(u32, Key, Text)>,
    read: Vec<(u32, Key, Text)>,
    lost: Vec<Key>,
    subscriber: u32,
    closed: bool,
}

struct World {
    rules: Rules,
    now: BootTime,
    deliveries: Deliveries<Key, ()>,
    unread: Unread<u8, Key>,
    clients: BTreeMap<u8, Client>,
    next_number: u32,
    to_bus: VecDeque<(u32, Outgoing)>,
    from_bus: VecDeque<Word>,
}

/// Runs the steps, lets everybody read to the end, and checks what each has read.
pub fn check(steps: &[Step], rules: Rules) {
    let mut unread = Unread::new(BOUNDS);
    unread.tried(1, 2);
    unread.bus_answered(2);
    let mut world = World {
        rules,
        now: at(1000),
        deliveries: Deliveries::default(),
        unread,
        clients: (0..CLIENTS).map(|client| (client, Client::default())).collect(),
        next_number: 3,
        to_bus: VecDeque::new(),
        from_bus: VecDeque::new(),
    };
    for step in steps {
        world.take(step);
        if rules.diligent {
            world.settle();
        }
    }
    for _ in 0..5 {
        world.take(&Step::Pass(1_100));
        world.settle();
    }
    assert_eq!(world.deliveries.next_timeout(), None, "it goes on for ever");
    world.clients.iter().for_each(|(client, state)| state.check(*client, rules));
}

impl World {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Tell(client) => self.tell(client),
            Step::Bus => self.bus(),
            Step::Hear => self.hear(),
            Step::Read(client) => self.read(client),
            Step::Subscribe(client) => self.subscribe(client),
            Step::Pass(milliseconds) => {
                self.now = self.now.after(Duration::from_millis(milliseconds));
                self.wake();
            }
        }
    }

    /// Until nobody has anything to read or to hear.
    fn settle(&mut self) {
        let held = |world: &Self| world.clients.values().any(|client| !client.held.is_empty());
        while !self.to_bus.is_empty() || !self.from_bus.is_empty() || held(self) {
            self.bus();
            self.hear();
            (0..CLIENTS).for_each(|client| self.read(client));
        }
    }

    fn client(&mut self, client: u8) -> &mut Client {
        self.clients.get_mut(&client).unwrap()
    }

    fn tell(&mut self, client: u8) {
        let state = self.client(client);
        if state.closed {
            return;
        }
        let key = (client, state.subscriber);
        let number = self.send(Outgoing::Message(key, Text::News));
        self.deliveries.sent(number, Unicast::Message(key));
        let given_up = self.unread.sent(&client, user(client), Some(key), 0);
        if self.unread.is_to_be_asked(&client) {
            let number = self.send(Outgoing::Message(key, Text::Ping));
            self.unread.asked(&client, number);
        }
        self.give_up(given_up);
    }

    fn give_up(&mut self, given_up: Vec<Key>) {
        for key in given_up {
            let state = self.client(key.0);
            // One that was closed may have begun anew since.
            if !state.closed && state.subscriber == key.1 {
                assert!(!self.rules.diligent || key.0 == MUTE, "{key:?} has read everything");
                self.client(key.0).closed = true;
                self.deliveries.overrun(key, self.now);
            }
        }
        self.wake();
    }

    fn wake(&mut self) {
        for due in self.deliveries.handle_timeout(self.now) {
            let key = match due {
                Due::Tell(key) => key,
                Due::Ask(key) => {
                    let question = self.send(Outgoing::Question);
                    self.deliveries.asked(key, question);
                    continue;
                }
            };
            self.send(Outgoing::Message(key, Text::Closed));
            let witness = self.send(Outgoing::Message(key, Text::Ping));
            self.unread.asked(&key.0, witness);
            let question = self.send(Outgoing::Question);
            self.deliveries.told(key, (witness, question), self.now);
        }
    }

    /// The bus takes in one after the other what came in one piece, and passes nothing on in between.
    fn bus(&mut self) {
        if matches!(self.to_bus.front(), Some((_, Outgoing::Message(_, Text::Closed)))) {
            self.bus_takes_one();
        }
        self.bus_takes_one();
    }

    fn bus_takes_one(&mut self) {
        match self.to_bus.pop_front() {
            Some((number, Outgoing::Message(key, text))) => {
                let of_user = self.clients.iter().filter(|(client, _)| user(**client) == user(key.0));
                let held: usize = of_user.map(|(_, client)| client.held.len()).sum();
                if held < self.rules.room {
                    self.client(key.0).held.push_back((number, key, text));
                } else if text == Text::Ping {
                    self.from_bus.push_back(Word::Refused(number));
                } else if text == Text::News {
                    self.client(key.0).lost.push(key);
                }
            }
            Some((number, Outgoing::Question)) => self.from_bus.push_back(Word::BusAnswers(number)),
            None => {}
        }
    }

    fn hear(&mut self) {
        match self.from_bus.pop_front() {
            Some(Word::Refused(number)) => {
                let given_up = self.unread.refused(number, Refusal::Full);
                let _ = self.deliveries.lost(number);
                self.give_up(given_up);
            }
            Some(Word::BusAnswers(number)) => drop(self.deliveries.answered(number)),
            Some(Word::Answers(client, number)) => self.unread.answered(&client, number),
            None => {}
        }
    }

    fn read(&mut self, client: u8) {
        let Some(message) = self.client(client).held.pop_front() else { return };
        let (number, _, text) = message;
        self.client(client).read.push(message);
        if text == Text::Ping && client != MUTE {
            self.from_bus.push_back(Word::Answers(client, number));
        }
    }

    fn subscribe(&mut self, client: u8) {
        let answers = self.unread.has_answered(&client);
        let state = self.clients.get_mut(&client).unwrap();
        // Who never answers is believed to read; whoever cheats there harms itself.
        let knows =
            state.read.iter().any(|(_, key, text)| *text == Text::Closed && key.1 == state.subscriber);
        if state.closed && (knows || answers) {
            state.subscriber += 1;
            state.closed = false;
        }
    }

    fn send(&mut self, message: Outgoing) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        self.to_bus.push_back((number, message));
        number
    }
}

impl Client {
    /// In order; nothing is lost while there is room enough; who is closed is told so behind all of its news.
    fn check(&self, client: u8, rules: Rules) {
        let read = &self.read;
        assert!(read.is_sorted_by_key(|(number, ..)| *number), "{read:?}");
        assert!(rules.room < ENOUGH || self.lost.is_empty(), "{client} lost {:?}: {read:?}", self.lost);
        for subscriber in 0..=self.subscriber {
            let of_it = read.iter().filter(|(_, key, text)| key.1 == subscriber && *text != Text::Ping);
            let texts: Vec<Text> = of_it.map(|(_, _, text)| *text).collect();
            let closed = self.closed || subscriber < self.subscriber;
            assert_eq!(texts.contains(&Text::Closed), closed, "{client} {subscriber}: {texts:?}");
            let first = texts.iter().position(|text| *text == Text::Closed).unwrap_or(texts.len());
            assert!(
                texts[first..].iter().all(|text| *text == Text::Closed),
                "{client} {subscriber}: {texts:?}"
            );
        }
    }
}

const fn user(client: u8) -> u32 {
    (client % 2) as u32
}
