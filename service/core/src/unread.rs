//! How much each client has not read yet, for a bus that drops messages without a word (O8).
//!
//! dbus-broker keeps a share of each user's memory for what one sender sends to the clients of that user, and drops
//! signals beyond it: neither side is told. What it does tell of is a call that it drops. So on such a bus a client is
//! called behind every so many bytes (`org.freedesktop.DBus.Peer.Ping`, which libraries answer by themselves). Its
//! answer says that it has read everything before; a call that the bus has no room for says that messages before it
//! may be lost; and whoever leaves too much unanswered is given up long before the bus has no room. A client that is
//! sent little is never called, and nobody is on a bus that tells of what it drops.

use std::collections::{BTreeMap, VecDeque};

/// What the bus needs for a message beside the message itself, in bytes, roughly.
const OVERHEAD: u64 = 512;

/// How much may be unread, in bytes of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Behind so much a client is called.
    pub spacing: u64,
    /// A client that has not read so much is given up.
    pub per_client: u64,
    /// When the clients of a user together have not read so much, the one with the most is given up.
    pub per_user: u64,
    /// Whoever has not read so little is not given up for the others of its user.
    pub little: u64,
}

/// dbus-broker gives a user 512 MiB, of which one sender among two may use a third.
impl Default for Bounds {
    fn default() -> Self {
        Self { spacing: 128 << 10, per_client: 32 << 20, per_user: 64 << 20, little: 512 << 10 }
    }
}

/// Why the bus did not pass a question on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no room for that user.
    Full,
    /// Its policy does not let the service ask that client.
    Denied,
}

/// What is known of all clients `C` with subscribers `K`.
#[derive(Debug)]
pub struct Unread<C, K> {
    bounds: Bounds,
    bus: Kind,
    clients: BTreeMap<C, Reader<K>>,
    /// What the clients of each user have not read.
    users: BTreeMap<u32, u64>,
    /// Whom a question was for, by its number.
    questions: BTreeMap<u32, C>,
}

/// What the bus does with a message that it cannot deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    /// It was sent a message for nobody, and a question behind it.
    Tried {
        undeliverable: u32,
        question: u32,
    },
    Tells,
    Silent,
}

/// One client.
#[derive(Debug)]
struct Reader<K> {
    uid: u32,
    /// All that it was ever sent, how much of it it has read for certain, and where it was asked last.
    sent: u64,
    read: u64,
    asked: u64,
    /// The questions it has not answered, and where they were asked.
    questions: VecDeque<(u32, u64)>,
    /// Where the last signal of each subscriber that may be unread is.
    subscribers: BTreeMap<K, u64>,
    /// It has answered at least once.
    answers: bool,
    denied: bool,
}

impl<C, K> Unread<C, K> {
    /// Nothing is known of the bus yet.
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            bus: Kind::Unknown,
            clients: BTreeMap::new(),
            users: BTreeMap::new(),
            questions: BTreeMap::new(),
        }
    }

    /// Notes that the bus was sent a signal for nobody under one number, and a question to itself right behind it.
    pub const fn tried(&mut self, undeliverable: u32, question: u32) {
        self.bus = Kind::Tried { undeliverable, question };
    }

    /// Whether the bus drops messages without a word.
    pub const fn bus_is_silent(&self) -> bool {
        matches!(self.bus, Kind::Silent)
    }

    /// Takes in that the bus answered a question that was for itself.
    pub fn bus_answered(&mut self, number: u32) {
        if matches!(self.bus, Kind::Tried { question, .. } if question == number) {
            self.bus = Kind::Silent;
        }
    }
}

impl<C: Clone + Ord, K: Copy + Ord> Unread<C, K> {
    /// Takes in a message of `bytes` to a client of the user `uid`: a signal of a subscriber, or a reply, which no bus
    /// drops without a word. The subscribers that are given up for it.
    #[must_use]
    pub fn sent(&mut self, client: &C, uid: u32, signal_of: Option<K>, bytes: usize) -> Vec<K> {
        if !self.bus_is_silent() {
            return Vec::new();
        }
        let reader = self.clients.entry(client.clone()).or_insert_with(|| Reader::new(uid));
        if reader.denied {
            return Vec::new();
        }
        let weight = u64::try_from(bytes).unwrap_or(u64::MAX / 2).saturating_add(OVERHEAD);
        reader.sent += weight;
        if let Some(subscriber) = signal_of {
            reader.subscribers.insert(subscriber, reader.sent);
        }
        let too_much = reader.unread() > self.bounds.per_client;
        let of_user = self.users.entry(uid).or_default();
        *of_user += weight;
        if too_much {
            return self.give_up(client);
        }
        if *of_user > self.bounds.per_user
            && let Some(worst) = self.worst_of(uid)
        {
            return self.give_up(&worst);
        }
        Vec::new()
    }

    /// Whether a client is to be asked now, behind what it was sent.
    pub fn is_to_be_asked(&self, client: &C) -> bool {
        let reader = self.clients.get(client).filter(|reader| !reader.denied);
        reader.is_some_and(|reader| reader.sent - reader.asked >= self.bounds.spacing)
    }

    /// Whether a client is known to answer what it is asked.
    pub fn has_answered(&self, client: &C) -> bool {
        self.clients.get(client).is_some_and(|reader| reader.answers)
    }

    /// Notes that a client was asked by the message of this number.
    pub fn asked(&mut self, client: &C, number: u32) {
        if let Some(reader) = self.clients.get_mut(client) {
            reader.asked = reader.sent;
            reader.questions.push_back((number, reader.sent));
            self.questions.insert(number, client.clone());
        }
    }

    /// Takes in an answer, or an error of its own, of a client.
    pub fn answered(&mut self, by: &C, number: u32) {
        if self.questions.get(&number) != Some(by) {
            return;
        }
        let Some(reader) = self.clients.get_mut(by) else { return };
        reader.answers = true;
        let before = reader.unread();
        while let Some((question, position)) = reader.questions.pop_front() {
            self.questions.remove(&question);
            reader.read = reader.read.max(position);
            if question == number {
                break;
            }
        }
        let read = reader.read;
        reader.subscribers.retain(|_, last| *last > read);
        let (uid, after) = (reader.uid, reader.unread());
        self.release(uid, before - after);
    }

    /// Takes in that the bus did not pass on the message of this number. The subscribers that may have lost something
    /// thereby.
    #[must_use]
    pub fn refused(&mut self, number: u32, refusal: Refusal) -> Vec<K> {
        let Some(client) = self.questions.remove(&number) else { return Vec::new() };
        let Some(reader) = self.clients.get_mut(&client) else { return Vec::new() };
        reader.questions.retain(|(question, _)| *question != number);
        let uid = reader.uid;
        match refusal {
            Refusal::Denied => {
                self.forget(&client);
                let reader = Reader { denied: true, ..Reader::new(uid) };
                self.clients.insert(client, reader);
                Vec::new()
            }
            // The room is the user's: what was sent to its other clients may be lost as well.
            Refusal::Full => {
                let of_user = self.clients.iter().filter(|(_, reader)| reader.uid == uid);
                let clients: Vec<C> = of_user.map(|(client, _)| client.clone()).collect();
                clients.iter().flat_map(|client| self.give_up(client)).collect()
            }
        }
    }

    /// Takes in that the bus told of a message that it could not deliver.
    pub fn undelivered(&mut self, number: u32) {
        if matches!(self.bus, Kind::Tried { undeliverable, .. } if undeliverable == number) {
            self.bus = Kind::Tells;
        }
    }

    /// Forgets a client that left.
    pub fn forget(&mut self, client: &C) {
        let Some(reader) = self.clients.remove(client) else { return };
        for (question, _) in &reader.questions {
            self.questions.remove(question);
        }
        self.release(reader.uid, reader.unread());
    }

    /// The subscribers of a client that have something unread. What a client that answers has not read goes on to
    /// count; of one that never did it is not known whether it reads, so it begins anew.
    fn give_up(&mut self, client: &C) -> Vec<K> {
        let Some(reader) = self.clients.get_mut(client) else { return Vec::new() };
        let given_up = std::mem::take(&mut reader.subscribers).into_keys().collect();
        if !reader.answers {
            let (uid, unread) = (reader.uid, reader.unread());
            reader.read = reader.sent;
            // If it is only slow, that is known when it answers the last.
            let forgotten = reader.questions.len().saturating_sub(1);
            for (question, _) in reader.questions.drain(..forgotten) {
                self.questions.remove(&question);
            }
            self.release(uid, unread);
        }
        given_up
    }

    /// The client of a user that has most to read.
    fn worst_of(&self, uid: u32) -> Option<C> {
        let of_user = self.clients.iter().filter(|(_, reader)| reader.uid == uid);
        let much = of_user.filter(|(_, reader)| reader.unread() > self.bounds.little);
        let open = much.filter(|(_, reader)| !reader.subscribers.is_empty());
        open.max_by_key(|(_, reader)| reader.unread()).map(|(client, _)| client.clone())
    }

    fn release(&mut self, uid: u32, bytes: u64) {
        if let Some(of_user) = self.users.get_mut(&uid) {
            *of_user -= bytes;
            if *of_user == 0 {
                self.users.remove(&uid);
            }
        }
    }
}

impl<K> Reader<K> {
    const fn new(uid: u32) -> Self {
        Self {
            uid,
            sent: 0,
            read: 0,
            asked: 0,
            questions: VecDeque::new(),
            subscribers: BTreeMap::new(),
            answers: false,
            denied: false,
        }
    }

    const fn unread(&self) -> u64 {
        self.sent - self.read
    }
}

#[cfg(test)]
mod tests;
