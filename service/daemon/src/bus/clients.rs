//! The clients that the service keeps something for, from their first request until they leave the bus.

use super::authority::Credentials;
use super::call::Client;
use super::work::SubscriberKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All clients that something is kept for.
#[derive(Debug, Default)]
pub struct Clients {
    clients: BTreeMap<Client, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    credentials: Option<Arc<Credentials>>,
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

    /// All of them.
    pub fn names(&self) -> Vec<Client> {
        self.clients.keys().cloned().collect()
    }

    /// Notes that the bus is asked who `client` is.
    pub fn ask(&mut self, client: &Client) {
        self.clients.entry(Arc::clone(client)).or_default();
    }

    /// Notes who `client` is, unless it left meanwhile.
    pub fn introduce(&mut self, client: &str, credentials: Credentials) {
        if let Some(entry) = self.clients.get_mut(client) {
            entry.credentials = Some(Arc::new(credentials));
        }
    }

    /// Forgets a client that left; its subscribers.
    pub fn forget(&mut self, client: &str) -> Vec<SubscriberKey> {
        self.clients.remove(client).map_or_else(Vec::new, |entry| entry.subscribers.into_values().collect())
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
