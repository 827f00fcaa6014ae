//! What clients hold: counted by client and by user over both faces, exact at the edge (contract, Limits).

use std::collections::BTreeMap;
use std::fmt;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Subscriber objects.
    Subscriber,
    /// Translations under way.
    Translation,
    /// Connections under way, and connected sockets not yet taken.
    Connection,
}

impl Held {
    /// How many one client may hold.
    pub const fn per_client(self) -> u32 {
        match self {
            Self::Subscriber => 8,
            Self::Translation => 64,
            Self::Connection => 32,
        }
    }

    /// How many one user may hold; root has no such limit.
    pub const fn per_user(self) -> u32 {
        match self {
            Self::Subscriber => 64,
            Self::Translation => 256,
            Self::Connection => 128,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Subscriber => "subscribers",
            Self::Translation => "translations",
            Self::Connection => "connections",
        }
    }
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Of what.
    pub held: Held,
    /// The limit: this many are held.
    pub limit: u32,
    /// By the user, over all of its clients; else by this one client.
    pub by_user: bool,
}

/// The counts. `C` names a client.
#[derive(Clone, Debug)]
pub struct Usage<C> {
    by_client: BTreeMap<(C, Held), u32>,
    by_user: BTreeMap<(u32, Held), u32>,
}

impl<C> Default for Usage<C> {
    fn default() -> Self {
        Self { by_client: BTreeMap::new(), by_user: BTreeMap::new() }
    }
}

impl<C: Ord + Clone> Usage<C> {
    /// Counts one more, unless a limit is reached.
    pub fn acquire(&mut self, held: Held, client: &C, uid: u32) -> Result<(), Exceeded> {
        if self.held_by_client(held, client) >= held.per_client() {
            return Err(Exceeded { held, limit: held.per_client(), by_user: false });
        }
        if uid != 0 && self.held_by_user(held, uid) >= held.per_user() {
            return Err(Exceeded { held, limit: held.per_user(), by_user: true });
        }
        *self.by_client.entry((client.clone(), held)).or_default() += 1;
        *self.by_user.entry((uid, held)).or_default() += 1;
        Ok(())
    }

    /// Counts one less.
    pub fn release(&mut self, held: Held, client: &C, uid: u32) {
        release(&mut self.by_client, (client.clone(), held));
        release(&mut self.by_user, (uid, held));
    }

    fn held_by_client(&self, held: Held, client: &C) -> u32 {
        self.by_client.get(&(client.clone(), held)).copied().unwrap_or(0)
    }

    fn held_by_user(&self, held: Held, uid: u32) -> u32 {
        self.by_user.get(&(uid, held)).copied().unwrap_or(0)
    }
}

fn release<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, what) = (self.limit, self.held.word());
        if self.by_user {
            write!(formatter, "this user holds {limit} {what}, no more are allowed ({what}-per-user)")
        } else {
            write!(formatter, "this client holds {limit} {what}, no more are allowed ({what}-per-client)")
        }
    }
}

impl std::error::Error for Exceeded {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn exact_at_the_edge_and_free_after_release() {
        let mut usage = Usage::default();
        for _ in 0..8 {
            usage.acquire(Held::Subscriber, &"1.5", 1000).unwrap();
        }
        let refused = usage.acquire(Held::Subscriber, &"1.5", 1000).unwrap_err();
        assert_eq!(refused, Exceeded { held: Held::Subscriber, limit: 8, by_user: false });
        usage.release(Held::Subscriber, &"1.5", 1000);
        usage.acquire(Held::Subscriber, &"1.5", 1000).unwrap();
    }

    #[test]
    fn users_are_counted_over_their_clients_and_root_is_not() {
        let mut usage = Usage::default();
        for client in 0..8 {
            for _ in 0..8 {
                usage.acquire(Held::Subscriber, &client, 1000).unwrap();
                usage.acquire(Held::Subscriber, &(client + 100), 0).unwrap();
            }
        }
        assert!(usage.acquire(Held::Subscriber, &50, 1000).unwrap_err().by_user);
        assert!(usage.acquire(Held::Subscriber, &50, 1001).is_ok());
        assert!(usage.acquire(Held::Subscriber, &150, 0).is_ok());
    }

    #[test]
    fn nothing_is_left_behind() {
        let mut usage = Usage::default();
        usage.acquire(Held::Connection, &1, 7).unwrap();
        usage.release(Held::Connection, &1, 7);
        assert!(usage.by_client.is_empty() && usage.by_user.is_empty());
    }
}
