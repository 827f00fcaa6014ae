//! Clients that left while the bus had no room for the word of it: now and then it is asked who is there.

use super::call::Client;
use super::{Bus, Peers, Word, patiently};
use mif_core::BootTime;
use std::collections::BTreeSet;
use zbus::{Connection, Message};

const BUS: &str = "org.freedesktop.DBus";

impl Bus {
    /// Notes what a message takes of the room that the bus has for this service.
    pub(super) fn note_received(&mut self, message: &Message) {
        if !matches!(self.peers, Peers::Ourselves) {
            let data = message.data();
            self.roll_call.received(crate::clock::now, data.len(), data.fds().len());
        }
    }

    /// Asks the bus who is there, if that is due, without waiting for it.
    pub(super) fn call_the_roll(&mut self, now: BootTime) {
        if !self.roll_call.handle_timeout(now) {
            return;
        }
        // Who comes meanwhile may be missing in the answer.
        let known = self.clients.names();
        let (words, connection) = (self.words.clone(), self.connection.clone());
        tokio::spawn(async move {
            let present = patiently(|| names(&connection)).await;
            let present =
                present.inspect_err(|error| tracing::debug!(%error, "the bus does not tell who is there"));
            let absent = |present: BTreeSet<String>| {
                known.into_iter().filter(|client| !present.contains(&**client)).collect()
            };
            // The bus task is gone only when the service stops.
            let _ = words.send(Word::Absent(present.ok().map(absent))).await;
        });
    }

    /// Takes in who is there no more; `None` when the bus did not tell.
    pub(super) fn handle_absent(&mut self, now: BootTime, absent: Option<Vec<Client>>) {
        self.roll_call.answered(now, absent.is_some());
        for client in absent.into_iter().flatten() {
            tracing::info!(%client, "a client left, and the bus had no room for the word of it");
            self.forget_client(&client);
        }
    }
}

async fn names(bus: &Connection) -> zbus::Result<BTreeSet<String>> {
    let reply = bus.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "ListNames", &()).await?;
    reply.body().deserialize::<Vec<String>>().map(|names| names.into_iter().collect())
}
