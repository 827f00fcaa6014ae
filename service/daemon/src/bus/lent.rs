//! File descriptors that came in messages: looked after until they are closed, which may take as long as their sender
//! likes. A socket that lingers (SO_LINGER) blocks whoever closes it last, so that must never be a thread that others
//! wait for.

use mif_core::usage::{Exceeded, Held};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use zbus::Message;

/// How many calls may be at work on sockets of callers at once, over all users: fewer than there are threads for
/// work that blocks, so that others always find one. Where descriptors are few, as many as there are for it.
const AT_WORK: u32 = 256;

/// A message with descriptors. Wherever it is dropped, they are closed on a thread of their own.
#[derive(Debug)]
pub struct Lent(Mutex<Option<Message>>);

impl Lent {
    /// Takes a message that has descriptors.
    pub const fn new(message: Message) -> Self {
        Self(Mutex::new(Some(message)))
    }

    /// The message, unless its descriptors are closed. Nobody but this may keep it.
    pub fn message(&self) -> Option<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the descriptors on this thread.
    pub fn close(&self) {
        let message = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(message);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let message = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(message) = message {
            tokio::task::spawn_blocking(move || drop(message));
        }
    }
}

/// The same call without its descriptors and arguments: what a reply needs.
pub fn without_descriptors(call: &Message) -> zbus::Result<Message> {
    let header = call.header();
    let (Some(path), Some(member)) = (header.path(), header.member()) else {
        return Err(zbus::Error::MissingField);
    };
    let twin = Message::method_call(path, member)
        .serial(call.primary_header().serial_num())
        .with_flags(call.primary_header().flags());
    let twin = match header.interface() {
        Some(interface) => twin.interface(interface),
        None => twin,
    };
    let twin = match header.sender() {
        Some(sender) => twin.sender(sender),
        None => twin,
    };
    twin.build(&())
}

/// How much work on callers' sockets is under way. It is counted until the work is done and not until nobody wants
/// it any more: a caller can make it last.
#[derive(Clone, Debug)]
pub struct Workload {
    by_user: Arc<Mutex<BTreeMap<u32, u32>>>,
    at_once: u32,
}

/// A place in the workload, for as long as it lives.
#[derive(Debug)]
pub struct Place {
    workload: Workload,
    uid: u32,
}

impl Workload {
    /// For `descriptors` in all: each call needs two.
    pub fn new(descriptors: usize) -> Self {
        let at_once = u32::try_from(descriptors / 2).unwrap_or(AT_WORK).min(AT_WORK);
        Self { by_user: Arc::default(), at_once }
    }

    /// A place for a user, unless there is none left for it or at all.
    pub fn enter(&self, uid: u32) -> Result<Place, Exceeded> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, of_user) = (Held::Connection, by_user.get(&uid).copied().unwrap_or(0));
        let limit = if uid == 0 { self.at_once } else { held.per_user().min(self.at_once) };
        if of_user >= limit || by_user.values().sum::<u32>() >= self.at_once {
            return Err(Exceeded { held, limit, by_user: true });
        }
        by_user.insert(uid, of_user + 1);
        Ok(Place { workload: self.clone(), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_user = self.workload.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_user.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.uid);
            }
        }
    }
}

/// A caller's socket at work. It is never the last to have it: the message that brought it goes after it.
#[derive(Debug)]
pub struct LentSocket {
    /// The socket.
    pub socket: OwnedFd,
    /// The message.
    pub lent: Arc<Lent>,
    /// Its place.
    pub place: Place,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_its_places_and_all_together_too() {
        let workload = Workload::new(2_000);
        let enter = |uid: u32, count: u32| -> Vec<Place> {
            (0..count).map(|_| workload.enter(uid).unwrap()).collect()
        };
        let first = enter(1000, Held::Connection.per_user());
        let exceeded = workload.enter(1000).unwrap_err();
        assert_eq!((exceeded.limit, exceeded.by_user), (Held::Connection.per_user(), true));
        let root = enter(0, AT_WORK - Held::Connection.per_user());
        workload.enter(1001).unwrap_err();
        workload.enter(0).unwrap_err();
        drop(root);
        workload.enter(1000).unwrap_err();
        drop(first);
        drop(enter(1000, 1));
        let few = Workload::new(7);
        let places: Vec<Place> = (0..3).map(|_| few.enter(1000).unwrap()).collect();
        few.enter(1000).unwrap_err();
        few.enter(0).unwrap_err();
        drop(places);
        few.enter(0).unwrap();
        assert!(workload.by_user.lock().unwrap().is_empty());
    }
}
