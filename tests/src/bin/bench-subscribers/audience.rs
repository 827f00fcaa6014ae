//! Those who listen.

use crate::floor::FLOOR;
use futures_util::StreamExt;
use mif_tests::daemons::Bus;
use mif_tests::wait::completes;
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::message::Type;
use zbus::{Connection, MessageStream, ObjectPath, OwnedObjectPath, Variant};

/// How many subscribers a client may have.
const EACH: usize = 8;

/// Subscribers of the addresses of one provisioning domain. They leave when this is dropped.
pub struct Audience {
    _readers: JoinSet<()>,
    connections: Vec<Connection>,
    heard: mpsc::UnboundedReceiver<String>,
    count: usize,
}

impl Audience {
    /// So many, eight on a connection.
    pub async fn of(bus: &Bus, pvd: &ObjectPath<'_>, count: usize) -> Self {
        let (hears, heard) = mpsc::unbounded_channel();
        let (mut connections, mut readers) = (Vec::new(), JoinSet::new());
        for first in (0..count).step_by(EACH) {
            let connection = bus.connect().await;
            for number in first..count.min(first + EACH) {
                subscribe(&connection, pvd, &format!("s{number}")).await;
            }
            let (mut messages, hears) = (MessageStream::from(&connection), hears.clone());
            readers.spawn(async move {
                while let Some(Ok(message)) = messages.next().await {
                    let member = message.header().member().map(|member| member.as_str().to_owned());
                    if let Some(member) = member.filter(|_| message.message_type() == Type::Signal) {
                        // Who is no longer interested is gone.
                        let _ = hears.send(member);
                    }
                }
            });
            connections.push(connection);
        }
        Self { _readers: readers, connections, heard, count }
    }

    /// The names to which signals may be sent.
    pub fn names(&self) -> Vec<String> {
        let names = self.connections.iter().filter_map(|connection| connection.unique_name());
        names.map(|name| name.to_string()).collect()
    }

    /// Waits until each of them has a signal of this name.
    pub async fn all_heard(&mut self, member: &str) {
        self.hear(member).await;
    }

    /// Waits until as many signals of the floor have come.
    pub async fn all_heard_the_floor(&mut self) {
        self.hear(FLOOR).await;
    }

    async fn hear(&mut self, wanted: &str) {
        let mut left = self.count;
        let all = async {
            while left > 0 {
                let member = self.heard.recv().await.expect("the connections live");
                left -= usize::from(member == wanted);
            }
        };
        completes(wanted, all).await;
    }
}

async fn subscribe(connection: &Connection, pvd: &ObjectPath<'_>, token: &str) {
    const SERVICE: &str = "org.ietf.Mif1";
    let create = (token, HashMap::<&str, Variant<'_>>::new());
    let manager = Some("org.ietf.Mif1.Manager");
    let call = connection.call_method(Some(SERVICE), "/org/ietf/Mif1", manager, "CreateSubscriber", &create);
    let reply = call.await.expect("a subscriber");
    let path: OwnedObjectPath = reply.body().deserialize().expect("its path");
    let call = connection.call_method(
        Some(SERVICE),
        &path,
        Some("org.ietf.Mif1.Subscriber"),
        "AnnounceAddresses",
        &pvd,
    );
    call.await.expect("announcements");
}
