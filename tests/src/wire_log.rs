//! What arrives on one connection: signals and replies, in the order in which the bus delivered them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use futures_util::StreamExt;
use mif::names::{BUS_NAME, MANAGER_INTERFACE, ROOT_PATH, SUBSCRIBER_INTERFACE, subscriber_path};
use serde::Serialize;
use tokio::sync::mpsc;
use zbus::fdo::DBusProxy;
use zbus::message::{Flags, Type};
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream};

use crate::signals::describe;
use crate::wait;

/// Signals and the replies to calls that were posted here; other traffic of the connection is left out.
#[derive(Debug)]
pub struct WireLog {
    connection: Connection,
    incoming: mpsc::UnboundedReceiver<Message>,
    posted: BTreeSet<NonZeroU32>,
    past: Vec<String>,
}

impl WireLog {
    /// Listens from now on.
    pub fn of(connection: &Connection) -> Self {
        let mut stream = MessageStream::from(connection);
        let (sender, incoming) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self { connection: connection.clone(), incoming, posted: BTreeSet::new(), past: Vec::new() }
    }

    /// [`WireLog::of`] that also gets everything the service broadcasts.
    ///
    /// # Panics
    /// When the bus refuses the match.
    pub async fn with_broadcasts(connection: &Connection) -> Self {
        let log = Self::of(connection);
        let bus = DBusProxy::new(connection).await.expect("a proxy of the bus");
        let rule =
            MatchRule::builder().msg_type(Type::Signal).sender(BUS_NAME).build().expect("a match rule");
        bus.add_match_rule(rule).await.expect("add a match");
        log
    }

    /// The path of the connection's subscriber with this token.
    pub fn subscriber(&self, token: &str) -> String {
        subscriber_path(self.connection.unique_name().expect("a name on the bus"), token)
    }

    /// Posts CreateSubscriber, without waiting.
    pub async fn post_create(&mut self, token: &str) -> NonZeroU32 {
        let options: std::collections::HashMap<&str, zbus::Variant<'_>> = Default::default();
        self.post(ROOT_PATH, MANAGER_INTERFACE, "CreateSubscriber", &(token, options)).await
    }

    /// Posts a call to a subscriber of this connection, without waiting.
    pub async fn post_to<B>(&mut self, token: &str, member: &str, body: &B) -> NonZeroU32
    where
        B: Serialize + DynamicType,
    {
        let path = self.subscriber(token);
        self.post(&path, SUBSCRIBER_INTERFACE, member, body).await
    }

    /// Posts a call to the service, without waiting; its number.
    ///
    /// # Panics
    /// When the bus is lost.
    pub async fn post<B>(&mut self, path: &str, interface: &str, member: &str, body: &B) -> NonZeroU32
    where
        B: Serialize + DynamicType,
    {
        let message = call(path, interface, member).build(body).expect("a method call");
        let serial = message.primary_header().serial_num();
        self.posted.insert(serial);
        self.connection.send(&message).await.expect("the bus takes the call");
        serial
    }

    /// Posts a call that asks for no reply.
    ///
    /// # Panics
    /// When the bus is lost.
    pub async fn post_without_reply<B>(&self, path: &str, interface: &str, member: &str, body: &B)
    where
        B: Serialize + DynamicType,
    {
        let message = call(path, interface, member).with_flags(Flags::NO_REPLY_EXPECTED);
        let message = message.build(body).expect("a method call");
        self.connection.send(&message).await.expect("the bus takes the call");
    }

    /// The next message.
    ///
    /// # Panics
    /// At the deadline, with all that came before.
    pub async fn next(&mut self, what: &str) -> Message {
        let wanted = async {
            loop {
                let message = self.incoming.recv().await.expect("the connection goes on");
                let answers = message.header().reply_serial();
                let wanted = match answers {
                    Some(serial) => self.posted.contains(&serial),
                    None => message.message_type() == Type::Signal,
                };
                if wanted {
                    return message;
                }
            }
        };
        match tokio::time::timeout(wait::DEADLINE, wanted).await {
            Ok(message) => {
                self.past.push(line(&message));
                message
            }
            Err(_) => panic!("waited in vain for: {what}\nbefore that came: {:#?}", self.past),
        }
    }

    /// Everything up to the reply to a call, which is the last.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn until_reply(&mut self, serial: NonZeroU32) -> Vec<Message> {
        self.until(&format!("the reply to call {serial}"), |message| {
            message.header().reply_serial() == Some(serial)
        })
        .await
    }

    /// Everything up to the first message that `last` knows, which is the last.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn until(&mut self, what: &str, mut last: impl FnMut(&Message) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.next(what).await;
            let end = last(&message);
            messages.push(message);
            if end {
                return messages;
            }
        }
    }

    /// Everything so far, one line each.
    pub fn past(&self) -> &[String] {
        &self.past
    }
}

fn call<'a>(path: &'a str, interface: &'a str, member: &'a str) -> zbus::message::Builder<'a> {
    Message::method_call(path, member).destination(BUS_NAME).interface(interface)
}

/// A message in one line: a signal as [`describe`] has it, a reply with the number of its call.
pub fn line(message: &Message) -> String {
    let header = message.header();
    let Some(serial) = header.reply_serial() else { return describe(message) };
    match header.error_name() {
        Some(name) => format!("{serial} failed: {name}"),
        None => match message.body().deserialize::<zbus::wire::Structure<'_>>() {
            Ok(values) => format!("{serial} answered: {values}"),
            Err(_) => format!("{serial} answered: ({})", message.body().signature()),
        },
    }
}
