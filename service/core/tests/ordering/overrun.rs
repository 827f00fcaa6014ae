//! O8 between a service, a bus that holds little for each client, and clients that read when they like.

use crate::common::at;
use mif_core::BootTime;
use mif_core::deliveries::{Deliveries, Unicast};
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
        2 => client.prop_map(Step::Read),
        2 => (0_u64..1_500).prop_map(Step::Pass),
    ]
}

/// What the service sends to the bus.
#[derive(Clone, Copy, Debug)]
enum Outgoing {
    Message(u8, Text),
    Question,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    News,
    Closed,
}

/// What the bus says of a message of the service.
#[derive(Clone, Copy, Debug)]
enum Word {
    NotDelivered(u32),
    Answer(u32),
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
    };
    for step in steps {
        world.take(step);
    }
    // Two seconds after everybody reads, everything is settled.
    for _ in 0..5 {
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
        for client in self.deliveries.handle_timeout(self.now) {
            let last = self.closed.insert(client, self.now);
            let since = last.filter(|last| *last != self.now).and_then(|last| last.until(self.now));
            assert!(since.is_none_or(|since| since >= Duration::from_secs(1)), "told again after {since:?}");
            let closed = self.send(Outgoing::Message(client, Text::Closed));
            let question = self.send(Outgoing::Question);
            self.deliveries.told(client, closed, question);
        }
    }

    fn bus(&mut self) {
        match self.to_bus.pop_front() {
            Some((number, Outgoing::Message(client, text))) => {
                let held = self.held.entry(client).or_default();
                if held.len() < ROOM {
                    held.push_back((number, text));
                } else {
                    self.from_bus.push_back(Word::NotDelivered(number));
                    *self.lost.entry(client).or_default() += u32::from(text == Text::News);
                }
            }
            Some((number, Outgoing::Question)) => self.from_bus.push_back(Word::Answer(number)),
            None => {}
        }
    }

    fn hear(&mut self) {
        match self.from_bus.pop_front() {
            Some(Word::NotDelivered(number)) => {
                if let Some(Unicast::Message(client)) = self.deliveries.lost(number) {
                    assert!(!self.closed.contains_key(&client), "it is closed already");
                    self.closed.insert(client, self.now);
                    self.deliveries.overrun(client, self.now);
                    self.wake();
                }
            }
            Some(Word::Answer(number)) => drop(self.deliveries.answered(number)),
            None => {}
        }
    }

    fn send(&mut self, message: Outgoing) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        self.to_bus.push_back((number, message));
        number
    }

    /// In order; and whoever lost something learns as the very last thing, once, that it is closed.
    fn check_client(&self, client: u8) {
        let read = self.read.get(&client).map_or(&[][..], Vec::as_slice);
        assert!(read.is_sorted_by_key(|(number, _)| *number), "{read:?}");
        let told = read.iter().filter(|(_, text)| *text == Text::Closed).count();
        let lost = self.lost.get(&client).copied().unwrap_or(0);
        assert_eq!(told, usize::from(lost > 0), "{lost} lost: {read:?}");
        let last = read.last().map(|(_, text)| *text);
        assert!(lost == 0 || last == Some(Text::Closed), "{read:?}");
    }
}
