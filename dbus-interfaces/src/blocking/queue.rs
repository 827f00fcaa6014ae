//! The messages that wait for the program, and how it learns that there are some.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::message::Message;

/// How many messages wait for a program that does not read. A listing of every object that the service may
/// have fits in.
const CAPACITY: usize = 65_536;

/// Messages in order. The descriptor is readable exactly while there are some, or there will be no more.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    emptied: Notify,
    reader: PipeReader,
}

#[derive(Debug)]
struct State {
    messages: VecDeque<Message>,
    /// Nothing is ever pushed again.
    ended: bool,
    /// There is one byte in the pipe: messages wait, or there is an end.
    signalled: bool,
    writer: PipeWriter,
}

impl Queue {
    /// An empty queue.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let state = State { messages: VecDeque::new(), ended: false, signalled: false, writer };
        Ok(Self { state: Mutex::new(state), changed: Condvar::new(), emptied: Notify::new(), reader })
    }

    /// Adds a message; `false`, and nothing is added, when the queue is full. `last` goes in even then.
    pub fn push(&self, message: Message, last: bool) -> bool {
        let mut state = self.state();
        if !last && state.messages.len() >= CAPACITY {
            return false;
        }
        state.messages.push_back(message);
        state.signal();
        self.changed.notify_all();
        true
    }

    /// Says that nothing more will come.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.signal();
        self.changed.notify_all();
    }

    /// The oldest message.
    pub fn pop(&self) -> Option<Message> {
        let mut state = self.state();
        let message = state.messages.pop_front();
        if state.messages.is_empty() {
            self.emptied.notify_one();
            if state.signalled && !state.ended {
                // The one byte is there: this does not block.
                state.signalled = (&self.reader).read(&mut [0]).is_err();
            }
        }
        message
    }

    /// Waits until there is a message (`Some(true)`), the time is up (`Some(false)`), or nothing can come any
    /// more (`None`).
    pub fn wait(&self, timeout: Option<Duration>) -> Option<bool> {
        let nothing = |state: &mut State| state.messages.is_empty() && !state.ended;
        let state = self.state();
        let state = match timeout {
            None => self.changed.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(state, timeout, nothing);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        match (state.messages.is_empty(), state.ended) {
            (false, _) => Some(true),
            (true, true) => None,
            (true, false) => Some(false),
        }
    }

    /// Waits until the program has read everything.
    pub async fn emptied(&self) {
        while !self.state().messages.is_empty() {
            self.emptied.notified().await;
        }
    }

    /// The descriptor for poll(2).
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// A thread that panicked while it held the lock has left nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// At most one byte is ever in the pipe, so that writing does not block.
    fn signal(&mut self) {
        if !self.signalled {
            self.signalled = self.writer.write(&[1]).is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::sync::Arc;

    fn readable(queue: &Queue) -> bool {
        poll(&mut [PollFd::new(queue.descriptor(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_there_is_something() {
        let queue = Queue::new().unwrap();
        assert!(!readable(&queue));
        for _ in 0..3 {
            queue.push(Message::Reopened, false);
            queue.push(Message::AnnounceInterfaces, false);
            assert!(readable(&queue));
            assert!(matches!(queue.pop(), Some(Message::Reopened)));
            assert!(readable(&queue));
            assert!(matches!(queue.pop(), Some(Message::AnnounceInterfaces)));
            assert!(!readable(&queue));
            assert!(queue.pop().is_none());
        }
        queue.end();
        assert!(readable(&queue));
        assert!(queue.pop().is_none());
        assert!(readable(&queue), "the end is not forgotten");
    }

    #[test]
    fn a_probe_a_while_and_for_ever() {
        let queue = Arc::new(Queue::new().unwrap());
        assert_eq!(queue.wait(Some(Duration::ZERO)), Some(false));
        assert_eq!(queue.wait(Some(Duration::from_millis(1))), Some(false));
        let other = Arc::clone(&queue);
        let pusher = std::thread::spawn(move || other.push(Message::Reopened, false));
        assert_eq!(queue.wait(None), Some(true));
        pusher.join().unwrap();
        queue.end();
        assert_eq!(queue.wait(None), Some(true), "what came before the end is told first");
        queue.pop();
        assert_eq!(queue.wait(None), None);
    }

    #[test]
    fn a_full_queue_takes_only_the_last_word() {
        let queue = Queue::new().unwrap();
        for _ in 0..CAPACITY {
            assert!(queue.push(Message::Reopened, false));
        }
        assert!(!queue.push(Message::Reopened, false));
        assert!(queue.push(Message::AnnounceInterfaces, true));
    }
}
