//! O8 between a service, a bus that holds little for each client, and clients that read when they like.

use crate::common::at;
use mif_core::BootTime;
use mif_core::deliveries::{Deliveries, Due, Unicast};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many messages the bus holds for one client.
const ROOM: usize = 3;
const CLIENTS: u8 = 3;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The service has something to tell a client.
    Tell(u8),
    /// The bus takes the next message of the service.
    Bus,
    /// The service hears the next word of the bus.
    Hear,
    /// The bus throws its next word away, if it is of one that is closed: that one's loss has been heard of.
    Throw,
    /// A client reads.
    Read(u8),
    /// Time goes by, in milliseconds.
    Pass(u64),
}

/// Some steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..120)
}

/// One of them.
pub fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        6 => client.clone().prop_map(Step::Tell),
        5 => Just(Step::Bus),
        3 => Just(Step::Hear),
        1 => Just(Step::Throw),
        2 => client.prop_map(Step::Read),
        2 => (0_u64..3_000).prop_map(Step::Pass),
    ]
}

/// What the service sends to the bus.
#[derive(Clone, Copy, Debug)]
enum Outgoing {
    Message(u8, Text),
    /// For whose sake.
    Question(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    News,
    Closed,
}

/// What the bus says of a message of the service, and whom that is about.
#[derive(Clone, Copy, Debug)]
enum Word {
    NotDelivered(u32, u8, Text),
    Answer(u32, u8),
}

/// Service, bus and clients.
struct World {
    now: BootTime,
    deliveries: Deliveries<u8, ()>,
    /// Those that are told no more news.
    closed: BTreeMap<u8, BootTime>,
    next_number: u32,
    to_bus: VecDeque<(u32, Outgoing)>,
    from_bus: VecDeque<Word>,
    held: BTreeMap<u8, VecDeque<(u32, Text)>>,
    read: BTreeMap<u8, Vec<(u32, Text)>>,
    lost: BTreeMap<u8, u32>,
    thrown: BTreeMap<u8, usize>,
    /// Answers to come that go where the error before them went.
    to_throw: BTreeMap<u8, u32>,
}

/// Runs the steps, lets everybody read to the end, and checks what each has read.
pub fn check(steps: &[Step]) {
    let mut world = World {
        now: at(1000),
        deliveries: Deliveries::default(),
        closed: BTreeMap::new(),
        next_number: 1,
        to_bus: VecDeque::new(),
        from_bus: VecDeque::new(),
        held: BTreeMap::new(),
        read: BTreeMap::new(),
        lost: BTreeMap::new(),
        thrown: BTreeMap::new(),
        to_throw: BTreeMap::new(),
    };
    for step in steps {
        world.take(step);
    }
    // A while after everybody reads, everything is settled.
    for _ in 0..20 {
        world.take(&Step::Pass(700));
        while !world.to_bus.is_empty() || !world.from_bus.is_empty() {
            world.take(&Step::Bus);
            world.take(&Step::Hear);
            (0..CLIENTS).for_each(|client| world.take(&Step::Read(client)));
        }
        for client in 0..CLIENTS {
            (0..=ROOM).for_each(|_| world.take(&Step::Read(client)));
        }
    }
    assert_eq!(world.deliveries.next_timeout(), None, "it goes on for ever");
    for client in 0..CLIENTS {
        world.check_client(client);
    }
}

impl World {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Tell(client) => self.tell(client),
            Step::Bus => self.bus(),
            Step::Hear => self.hear(),
            Step::Throw => self.throw(),
            Step::Read(client) => {
                let held = self.held.entry(client).or_default().pop_front();
                self.read.entry(client).or_default().extend(held);
            }
            Step::Pass(milliseconds) => {
                self.now = self.now.after(Duration::from_millis(milliseconds));
                self.wake();
            }
        }
    }

    fn tell(&mut self, client: u8) {
        if !self.closed.contains_key(&client) {
            let number = self.send(Outgoing::Message(client, Text::News));
            self.deliveries.sent(number, Unicast::Message(client));
        }
    }

    fn wake(&mut self) {
        for due in self.deliveries.handle_timeout(self.now) {
            let client = match due {
                Due::Tell(client) => client,
                Due::Ask(client) => {
                    let question = self.send(Outgoing::Question(client));
                    self.deliveries.asked(client, question);
                    continue;
                }
            };
            let last = self.closed.insert(client, self.now);
            let since = last.filter(|last| *last != self.now).and_then(|last| last.until(self.now));
            assert!(since.is_none_or(|since| since >= Duration::from_secs(1)), "told again after {since:?}");
            let closed = self.send(Outgoing::Message(client, Text::Closed));
            let question = self.send(Outgoing::Question(client));
            self.deliveries.told(client, (closed, question), self.now);
        }
    }

    fn bus(&mut self) {
        match self.to_bus.pop_front() {
            Some((number, Outgoing::Message(client, text))) => {
                let held = self.held.entry(client).or_default();
                if held.len() < ROOM {
                    held.push_back((number, text));
                } else {
                    self.from_bus.push_back(Word::NotDelivered(number, client, text));
                    *self.lost.entry(client).or_default() += u32::from(text == Text::News);
                }
            }
            Some((number, Outgoing::Question(client))) => {
                self.answer(number, client);
            }
            None => {}
        }
    }

    fn hear(&mut self) {
        match self.from_bus.pop_front() {
            Some(Word::NotDelivered(number, ..)) => {
                if let Some(Unicast::Message(client)) = self.deliveries.lost(number) {
                    assert!(!self.closed.contains_key(&client), "it is closed already");
                    self.closed.insert(client, self.now);
                    self.deliveries.overrun(client, self.now);
                    self.wake();
                }
            }
            Some(Word::Answer(number, _)) => {
                self.deliveries.answered(number);
                self.wake();
            }
            None => {}
        }
    }

    /// An error about the message that closes goes together with the answer right behind it: the bus takes both in one
    /// piece, and the service reads nothing in between.
    fn throw(&mut self) {
        let client = match self.from_bus.front() {
            Some(Word::NotDelivered(_, client, Text::Closed) | Word::Answer(_, client)) => *client,
            Some(Word::NotDelivered(..)) | None => return,
        };
        let of_client = |word: &Word| matches!(word, Word::Answer(_, of) if *of == client);
        if let Some(Word::NotDelivered(..)) = self.from_bus.pop_front() {
            match self.from_bus.iter().position(of_client) {
                Some(answer) => drop(self.from_bus.remove(answer)),
                None => *self.to_throw.entry(client).or_default() += 1,
            }
        }
        *self.thrown.entry(client).or_default() += 1;
    }

    fn answer(&mut self, question: u32, client: u8) {
        let to_throw = self.to_throw.entry(client).or_default();
        match to_throw.checked_sub(1) {
            Some(rest) => *to_throw = rest,
            None => self.from_bus.push_back(Word::Answer(question, client)),
        }
    }

    fn send(&mut self, message: Outgoing) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        self.to_bus.push_back((number, message));
        number
    }

    /// In order; and whoever lost something learns as the very last thing that it is closed: once, unless the bus threw
    /// away what it had to say of that.
    fn check_client(&self, client: u8) {
        let read = self.read.get(&client).map_or(&[][..], Vec::as_slice);
        assert!(read.is_sorted_by_key(|(number, _)| *number), "{read:?}");
        let told = read.iter().filter(|(_, text)| *text == Text::Closed).count();
        let lost = self.lost.get(&client).copied().unwrap_or(0);
        let thrown = self.thrown.get(&client).copied().unwrap_or(0);
        let right = usize::from(lost > 0)..=usize::from(lost > 0) * (1 + thrown);
        assert!(right.contains(&told), "{lost} lost, {thrown} thrown away: {read:?}");
        let last = read.last().map(|(_, text)| *text);
        assert!(lost == 0 || last == Some(Text::Closed), "{read:?}");
    }
}
