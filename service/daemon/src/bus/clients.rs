//! The clients that the service keeps something for, from their first request until they leave the bus.

use super::authority::Credentials;
use super::call::{Call, Client};
use super::work::SubscriberKey;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many calls of one client may wait until the bus has told who it is.
const PARKED_CALLS: usize = 8_192;
/// How many of them may have brought file descriptors.
const PARKED_DESCRIPTORS: usize = 32;
/// How much memory they may hold, in bytes.
const PARKED_BYTES: usize = 4 << 20;

/// All clients that something is kept for.
#[derive(Debug, Default)]
pub struct Clients {
    clients: BTreeMap<Client, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    credentials: Option<Arc<Credentials>>,
    parked: VecDeque<Call>,
    parked_bytes: usize,
    subscribers: BTreeMap<String, SubscriberKey>,
}

/// What is known of a client that calls.
pub enum Known {
    /// The bus has told who it is.
    Yes(Arc<Credentials>),
    /// The bus was asked already.
    Asked,
    /// Nobody has asked yet.
    No,
}

impl Clients {
    /// What is known of `client`.
    pub fn known(&self, client: &str) -> Known {
        match self.clients.get(client) {
            Some(Entry { credentials: Some(credentials), .. }) => Known::Yes(Arc::clone(credentials)),
            Some(Entry { credentials: None, .. }) => Known::Asked,
            None => Known::No,
        }
    }

    /// Keeps a call until it is known who its client is, in the order of the calls. Gives it back when the
    /// client has too many waiting.
    pub fn park(&mut self, client: &Client, call: Call) -> Result<(), Call> {
        let entry = self.clients.entry(Arc::clone(client)).or_default();
        let bytes = entry.parked_bytes + call.size();
        let with_descriptors = || entry.parked.iter().filter(|parked| parked.lent().is_some()).count();
        let too_many = call.lent().is_some() && with_descriptors() >= PARKED_DESCRIPTORS;
        if entry.parked.len() >= PARKED_CALLS || bytes > PARKED_BYTES || too_many {
            return Err(call);
        }
        entry.parked_bytes = bytes;
        entry.parked.push_back(call);
        Ok(())
    }

    /// Notes who `client` is; the calls that waited for it.
    pub fn introduce(&mut self, client: &str, credentials: Credentials) -> VecDeque<Call> {
        let Some(entry) = self.clients.get_mut(client) else { return VecDeque::new() };
        entry.credentials = Some(Arc::new(credentials));
        entry.parked_bytes = 0;
        std::mem::take(&mut entry.parked)
    }

    /// Forgets a client that left; the calls that waited and its subscribers.
    pub fn forget(&mut self, client: &str) -> (VecDeque<Call>, Vec<SubscriberKey>) {
        self.clients
            .remove(client)
            .map_or_else(Default::default, |entry| (entry.parked, entry.subscribers.into_values().collect()))
    }

    /// The subscriber that `client` made under `token`.
    pub fn subscriber(&self, client: &str, token: &str) -> Option<SubscriberKey> {
        self.clients.get(client)?.subscribers.get(token).copied()
    }

    /// Notes a subscriber.
    pub fn add_subscriber(&mut self, client: &str, token: String, key: SubscriberKey) {
        if let Some(entry) = self.clients.get_mut(client) {
            entry.subscribers.insert(token, key);
        }
    }

    /// Forgets a subscriber.
    pub fn remove_subscriber(&mut self, client: &str, token: &str) {
        if let Some(entry) = self.clients.get_mut(client) {
            entry.subscribers.remove(token);
        }
    }
}
