//! What the bus says of messages that it cannot deliver (O8), and what the subscribers that lost one are told.

use super::call::Call;
use super::error::{BusError, Name};
use super::work::SubscriberKey;
use super::{Address, Bus, Entry};
use crate::clock;
use mif_core::BootTime;
use mif_core::announcement::{Announcement, CloseReason};
use mif_core::deliveries::Unicast;
use mif_core::usage::Held;
use zbus::Message;

const BUS: &str = "org.freedesktop.DBus";
const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";

/// A subscriber that lost a message. It keeps its path, its token and its place in the counts until it knows.
pub(super) struct Overrun {
    address: Address,
    uid: u32,
    token: String,
}

impl Bus {
    /// An error that the bus itself sent: it did not deliver one of our messages.
    pub(super) fn handle_error(&mut self, error: &Message) {
        let header = error.header();
        let from_bus = header.sender().is_some_and(|sender| sender.as_str() == BUS);
        let Some(number) = header.reply_serial().filter(|_| from_bus) else { return };
        let no_descriptors = header.error_name().is_some_and(|name| name.as_str() == NOT_SUPPORTED);
        match self.deliveries.lost(number.get()) {
            Some(Unicast::Socket(key, id)) if no_descriptors => self.socket_refused(key, id),
            Some(Unicast::SocketReply(call)) if no_descriptors => {
                self.answer(&call, Err(no_descriptors_error()));
            }
            // Whoever called has left, or does not read its replies.
            None | Some(Unicast::SocketReply(_)) => {}
            Some(Unicast::Message(key) | Unicast::Socket(key, _)) => self.overrun(key),
        }
    }

    /// The bus answered one of our questions.
    pub(super) fn handle_answer(&mut self, reply: &Message) {
        let Some(question) = reply.header().reply_serial() else { return };
        if let Some(key) = self.deliveries.answered(question.get()) {
            self.forget_overrun(key);
        }
    }

    /// Remembers a message to a subscriber until the bus has had its say.
    pub(super) fn remember(&mut self, message: &Message, key: SubscriberKey) {
        self.deliveries.sent(number(message), Unicast::Message(key));
    }

    /// The same for one with the socket of connection `id`.
    pub(super) fn remember_socket(&mut self, message: &Message, key: SubscriberKey, id: u32) {
        self.deliveries.sent(number(message), Unicast::Socket(key, id));
    }

    /// The same for a reply with a socket on the state face.
    pub(super) fn remember_socket_reply(&mut self, reply: &Message, call: &Call) {
        self.deliveries.sent(number(reply), Unicast::SocketReply(call.clone()));
    }

    /// Tells those that are due that they are closed, and asks the bus behind each whether it took that.
    pub(super) fn tell_overrun(&mut self, now: BootTime) {
        for key in self.deliveries.handle_timeout(now) {
            let Some(overrun) = self.overrun.get(&key) else { continue };
            let closed = overrun.address.message(&Announcement::Closed(CloseReason::Overrun));
            let question = Message::method_call("/org/freedesktop/DBus", "GetId")
                .destination(BUS)
                .interface(BUS)
                .build(&());
            if let (Ok(closed), Ok(question)) = (closed, question) {
                self.deliveries.told(key, number(&closed), number(&question));
                self.direct.extend([closed, question]);
            }
        }
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

    /// O8: from here on it is told nothing but that it is closed.
    fn overrun(&mut self, key: SubscriberKey) {
        self.outbox.forget(key);
        self.closing.remove(&key);
        let Some(Entry { mut machine, address, uid, token }) = self.subscribers.remove(&key) else { return };
        for ended in machine.close() {
            self.end_work(ended.number);
        }
        tracing::warn!(client = %address.client, uid, token, "a subscriber does not read: closed");
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
