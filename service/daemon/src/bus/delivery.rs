//! What the bus says of messages that it cannot deliver (O8), and what the subscribers that lost one are told. Where the
//! bus says nothing, clients are asked whether they read.

use super::call::Call;
use super::error::{BusError, Name};
use super::work::SubscriberKey;
use super::{Address, Bus, Entry, path, properties, wire};
use crate::clock;
use mif_core::BootTime;
use mif_core::announcement::{Announcement, CloseReason};
use mif_core::deliveries::{Due, Unicast};
use mif_core::unread::Refusal;
use mif_core::usage::Held;
use std::sync::Arc;
use zbus::Message;
use zbus::message::{Flags, Type};

const BUS: &str = "org.freedesktop.DBus";
const PEER: &str = "org.freedesktop.DBus.Peer";
const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
const ACCESS_DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
/// A unique name that no bus gives.
const NOBODY: &str = ":0.0";

/// A subscriber that lost a message. It keeps its path, its token and its place in the counts until it knows.
pub(super) struct Overrun {
    address: Address,
    uid: u32,
    token: String,
}

impl Bus {
    /// Finds out whether the bus tells of what it cannot deliver: it is sent a signal for nobody.
    pub(super) fn try_bus(&mut self) {
        let undeliverable = Message::signal(path::ROOT, properties::SUBSCRIBER, "Closed")
            .destination(NOBODY)
            .with_flags(Flags::NO_AUTO_START)
            .build(&());
        if let (Ok(undeliverable), Ok(question)) = (undeliverable, question()) {
            self.unread.tried(number(&undeliverable), number(&question));
            self.direct.extend([undeliverable, question]);
        }
    }

    /// An error: mostly the bus itself did not deliver one of our messages.
    pub(super) fn handle_error(&mut self, error: &Message) {
        let header = error.header();
        let from_bus = header.sender().is_some_and(|sender| sender.as_str() == BUS);
        if !from_bus {
            // A client that knows no Ping has read ours all the same.
            return self.handle_answer(error);
        }
        let Some(number) = header.reply_serial() else { return };
        let name = header.error_name().map(|name| name.as_str());
        self.unread.undelivered(number.get());
        let refusal = match name {
            Some(LIMITS_EXCEEDED) => Some(Refusal::Full),
            Some(ACCESS_DENIED) => Some(Refusal::Denied),
            // The client has left, which is told otherwise.
            _ => None,
        };
        let given_up = refusal.map_or_else(Vec::new, |refusal| self.unread.refused(number.get(), refusal));
        self.overrun_all(given_up);
        let no_descriptors = name == Some(NOT_SUPPORTED);
        match self.deliveries.lost(number.get()) {
            Some(Unicast::Socket(key, id, call)) if no_descriptors => {
                self.answer(&call, Err(no_descriptors_error()));
                self.socket_refused(key, id);
            }
            Some(Unicast::SocketReply(call)) if no_descriptors => {
                self.answer(&call, Err(no_descriptors_error()));
            }
            // Whoever called has left, or does not read its replies.
            None | Some(Unicast::SocketReply(_)) => {}
            Some(Unicast::Message(key) | Unicast::Socket(key, ..)) => self.overrun(key),
        }
    }

    /// The bus, or a client, answered one of our questions.
    pub(super) fn handle_answer(&mut self, reply: &Message) {
        let header = reply.header();
        let (Some(question), Some(sender)) = (header.reply_serial(), header.sender()) else { return };
        if sender.as_str() != BUS {
            if self.unread.bus_is_silent() {
                self.unread.answered(&Arc::from(sender.as_str()), question.get());
            }
            return;
        }
        self.unread.bus_answered(question.get());
        if let Some(key) = self.deliveries.answered(question.get()) {
            self.forget_overrun(key);
        }
    }

    /// Remembers a message to a subscriber until the bus has had its say, or the client. What is to be sent behind it.
    pub(super) fn remember(&mut self, message: &Message, key: SubscriberKey) -> Option<Message> {
        self.deliveries.sent(number(message), Unicast::Message(key));
        let Entry { address, uid, .. } = self.subscribers.get(&key)?;
        let client = Arc::clone(&address.client);
        let signal_of = (message.message_type() == Type::Signal).then_some(key);
        let given_up = self.unread.sent(&client, *uid, signal_of, message.data().len());
        let ping = self.unread.is_to_be_asked(&client).then(|| address.ping().ok()).flatten();
        if let Some(ping) = &ping {
            self.unread.asked(&client, number(ping));
        }
        self.overrun_all(given_up);
        ping
    }

    /// The same for the reply to `call` with the socket of connection `id`.
    pub(super) fn remember_socket(&mut self, reply: &Message, key: SubscriberKey, id: u32, call: &Call) {
        self.deliveries.sent(number(reply), Unicast::Socket(key, id, call.clone()));
    }

    /// The same for a reply with a socket on the state face.
    pub(super) fn remember_socket_reply(&mut self, reply: &Message, call: &Call) {
        self.deliveries.sent(number(reply), Unicast::SocketReply(call.clone()));
    }

    /// Tells those that are due that they are closed, and asks the bus behind each whether it took that. A bus that says
    /// nothing of a signal does say whether it took a call right behind it.
    pub(super) fn tell_overrun(&mut self, now: BootTime) {
        for due in self.deliveries.handle_timeout(now) {
            let Ok(question) = question() else { continue };
            match due {
                Due::Tell(key) => self.tell_one(key, now, &question),
                Due::Ask(key) => self.deliveries.asked(key, number(&question)),
            }
            self.direct.push(question);
        }
    }

    fn tell_one(&mut self, key: SubscriberKey, now: BootTime, question: &Message) {
        let Some(Overrun { address, .. }) = self.overrun.get(&key) else { return };
        let Ok(closed) = address.message(&Announcement::Closed(CloseReason::Overrun)) else { return };
        let witness = self.unread.bus_is_silent().then(|| address.ping().ok()).flatten();
        if let Some(witness) = &witness {
            self.unread.asked(&address.client, number(witness));
        }
        let last = number(witness.as_ref().unwrap_or(&closed));
        self.deliveries.told(key, (last, number(question)), now);
        self.direct.push(closed);
        self.direct.extend(witness);
    }

    /// Whether a subscriber is closed because it lost a message.
    pub(super) fn is_overrun(&self, key: SubscriberKey) -> bool {
        self.overrun.contains_key(&key)
    }

    /// A subscriber that was closed knows it, or its client left.
    pub(super) fn forget_overrun(&mut self, key: SubscriberKey) {
        self.deliveries.forget(key);
        let Some(Overrun { address, uid, token }) = self.overrun.remove(&key) else { return };
        self.usage.release(Held::Subscriber, &address.client, uid);
        self.clients.remove_subscriber(&address.client, &token);
    }

    fn overrun_all(&mut self, keys: Vec<SubscriberKey>) {
        keys.into_iter().for_each(|key| self.overrun(key));
    }

    /// O8: from here on it is told nothing but that it is closed. Calls that wait for their reply have that of calls that
    /// come now: a reply that ends a listing would say that all of it was told.
    fn overrun(&mut self, key: SubscriberKey) {
        let unanswered = self.outbox.forget(key);
        self.direct.extend(unanswered.iter().filter_map(no_such_subscriber));
        self.closing.remove(&key);
        let Some(Entry { mut machine, address, uid, token }) = self.subscribers.remove(&key) else { return };
        for ended in machine.close() {
            self.end_work(ended.number);
        }
        if self.unread.bus_is_silent() && !self.unread.has_answered(&address.client) {
            let client = &address.client;
            let why = "a subscriber does not read, or answers no Ping: closed";
            tracing::warn!(%client, uid, token, "{why}");
        } else {
            tracing::warn!(client = %address.client, uid, token, "a subscriber does not read: closed");
        }
        self.overrun.insert(key, Overrun { address, uid, token });
        let now = clock::now();
        self.deliveries.overrun(key, now);
        self.tell_overrun(now);
    }

    fn socket_refused(&mut self, key: SubscriberKey, id: u32) {
        if self.subscribers.contains_key(&key) {
            self.outbox.announce(key, Announcement::NotConnected(id, no_descriptors_error()));
        }
    }
}

impl Address {
    /// Libraries answer it by themselves once they have read everything before it.
    fn ping(&self) -> zbus::Result<Message> {
        let call = Message::method_call(self.path.as_ref(), "Ping").interface(PEER);
        call.destination(&*self.client).build(&())
    }
}

/// A question to the bus itself, which it answers after everything that was sent before.
fn question() -> zbus::Result<Message> {
    Message::method_call("/org/freedesktop/DBus", "GetId").destination(BUS).interface(BUS).build(&())
}

/// The error in place of a reply to a call of a subscriber that is no more.
fn no_such_subscriber(reply: &Message) -> Option<Message> {
    let text = "this subscriber is closed, for what it was sent was not read; make a new one";
    wire::error_instead_of(reply, Name::UnknownObject.full(), text).ok()
}

fn number(message: &Message) -> u32 {
    message.primary_header().serial_num().get()
}

fn no_descriptors_error() -> BusError {
    BusError::new(
        Name::NotSupported,
        "your connection to the bus cannot take file descriptors, so the socket was closed; connect to the bus with \
         descriptor passing (NEGOTIATE_UNIX_FD)",
    )
}
