//! Room for the descriptors that a message may bring. One that brings some for which there is no room ends the connection
//! to the bus, so where there are few, the socket is not read while others have them.

use crate::socket;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// How often it is looked again. The kernel does not tell when a descriptor is free.
const PAUSE: Duration = Duration::from_millis(5);
/// How often at most: what has to be read to free some must not wait for ever.
const PAUSES: u32 = 200;

/// Waits for room.
#[derive(Debug, Default)]
pub struct Room {
    pause: Option<Pin<Box<Sleep>>>,
    pauses: u32,
}

impl Room {
    /// Ready when a message may be read, or nothing is gained by waiting longer. `any` is an open descriptor.
    pub fn poll(&mut self, context: &mut Context<'_>, any: BorrowedFd<'_>) -> Poll<()> {
        loop {
            if self.pauses >= PAUSES || there_is_room(any) {
                *self = Self::default();
                return Poll::Ready(());
            }
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(PAUSE)));
            ready!(pause.as_mut().poll(context));
            self.pause = None;
            self.pauses += 1;
        }
    }
}

/// Whether one more message can bring as many descriptors as one may: found out by taking so many.
fn there_is_room(any: BorrowedFd<'_>) -> bool {
    if !socket::descriptors_are_few() {
        return true;
    }
    let taken: Result<Vec<_>, _> = (0..socket::BROUGHT_AT_ONCE).map(|_| any.try_clone_to_owned()).collect();
    taken.is_ok()
}
