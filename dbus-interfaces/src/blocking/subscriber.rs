//! The draft's three calls.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::queue::Queue;
use super::worker::{Command, Worker};
use crate::bus::BusChoice;
use crate::error::{Error, Result};
use crate::message::Message;

/// How many posted messages wait to be sent.
const POSTED: usize = 4096;

/// A subscriber (draft 3.5) for programs without an async runtime.
///
/// A thread of its own reads the bus, so that nothing is lost while the program does other things. The
/// messages keep the order of the contract's rules O1 to O8, answers to what was posted included.
///
/// It outlives the service: when that goes, [`Message::Closed`] says so, and once it is back (or at once, if
/// only this subscriber was closed) [`Message::Reopened`]; then post anew. It ends when the bus is lost: the
/// last message is Closed with [`crate::wire::ClosedReason::BusLost`].
#[derive(Debug)]
pub struct Subscriber {
    queue: Arc<Queue>,
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Subscriber {
    /// Connects to the bus and makes a subscriber. `token` tells the subscribers of one bus connection apart:
    /// 1 to 64 letters, digits and underscores.
    ///
    /// # Errors
    /// [`Error::BusUnreachable`]; [`Error::Reply`] when the service is not there or refuses.
    pub fn open(bus: &BusChoice, token: &str) -> Result<Self> {
        let queue = Arc::new(Queue::new().map_err(thread_error)?);
        let (commands, receiver) = mpsc::channel(POSTED);
        let (opened, whether) = std::sync::mpsc::sync_channel(1);
        let worker = Worker { bus: bus.clone(), token: token.to_owned(), queue: Arc::clone(&queue) };
        let thread = std::thread::Builder::new()
            .name("mif-subscriber".to_owned())
            .spawn(move || worker.run(receiver, &opened))
            .map_err(thread_error)?;
        // It ends without a word only when it panics.
        whether.recv().unwrap_or(Err(Error::Disconnected))?;
        Ok(Self { queue, commands: Some(commands), thread: Some(thread) })
    }

    /// POST MESSAGE (draft 3.4.1): posts a message and returns, without waiting. What the service says to it
    /// comes as a message: [`Message::Refused`] when it does not take it.
    ///
    /// # Errors
    /// [`Error::NotPostable`] for a message to the subscriber; [`Error::TooManyPosted`];
    /// [`Error::Disconnected`] when the bus is lost.
    pub fn post(&self, message: Message) -> Result<()> {
        // Whether it can be posted is told here, where the program can see its mistake.
        drop(message.encode("/")?);
        self.command(Command::Post(message))
    }

    /// CHECK MESSAGE (draft 3.4.2): whether there is a message to get. It probes (`Some(Duration::ZERO)`),
    /// waits for some time, or waits for ever (`None`); `false` when the time is up. To wait for other things
    /// too, see [`Subscriber::as_fd`](#impl-AsFd-for-Subscriber).
    ///
    /// # Errors
    /// [`Error::Disconnected`] when every message has been got and none can come any more.
    pub fn check(&self, timeout: Option<Duration>) -> Result<bool> {
        self.queue.wait(timeout).ok_or(Error::Disconnected)
    }

    /// GET MESSAGE (draft 3.4.3): the next message, if there is one. It never waits.
    pub fn get(&mut self) -> Option<Message> {
        self.queue.pop()
    }

    /// The socket of a connection that is [`Message::Connected`] (the token of draft 3.5.21): connected, in
    /// blocking mode. Waits for the service.
    ///
    /// # Errors
    /// [`Error::Reply`] NoSuchId when it is not Connected, not yet or not any more; [`Error::Disconnected`].
    pub fn take_connection(&mut self, connection_id: u32) -> Result<OwnedFd> {
        let (answer, taken) = std::sync::mpsc::sync_channel(1);
        self.command(Command::Take { connection_id, answer })?;
        taken.recv().unwrap_or(Err(Error::Disconnected))
    }

    /// Ends the subscriber and waits until it has; messages not got yet are dropped. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }

    fn command(&self, command: Command) -> Result<()> {
        let commands = self.commands.as_ref().ok_or(Error::Disconnected)?;
        commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::TooManyPosted(POSTED),
            mpsc::error::TrySendError::Closed(_) => Error::Disconnected,
        })
    }
}

/// For `poll(2)` beside the program's own descriptors: readable exactly while [`Subscriber::get`] has a
/// message, and for good once the bus is lost. Only wait for it; the library reads from it.
impl AsFd for Subscriber {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.descriptor()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // The thread ends when nobody can command it any more; the bus connection ends with it, and with
        // that the subscriber.
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

pub(super) fn thread_error(error: std::io::Error) -> Error {
    Error::Thread(Arc::new(error))
}
