//! The service on the bus: one task that reads every message, owns every subscriber and sends everything.
//!
//! No object is registered anywhere: what exists is what the current snapshot holds, so a path can be called the
//! moment it is told, and costs nothing until then. Nothing in this task waits for the network, the disk or the
//! bus; work that does runs in tasks of its own and reports [`work::Progress`].

mod attendance;
pub mod authority;
mod binding;
mod call;
mod clients;
mod convert;
mod delivery;
mod dispatch;
mod emit;
mod error;
mod explain;
mod high_level;
mod introspect;
mod lent;
mod managed_objects;
mod message_face;
mod path;
mod properties;
mod requests;
mod state_face;
mod text;
mod wire;
mod work;

use crate::batches;
use crate::clock::{self, Alarm};
use crate::request::race::PlacesByUser;
use crate::routing::Router;
use crate::socket::caller::NamespaceCookie;
use crate::supervisor::Pulse;
use crate::translate::Translator;
use authority::{Authority, Credentials, Namespace};
use call::{Call, Client};
use clients::Clients;
use delivery::Overrun;
use error::BusError;
use futures_util::{FutureExt, StreamExt};
use lent::Workload;
use mif_core::announcement::CloseReason;
use mif_core::broadcast::{Broadcast, Coalescer};
use mif_core::call_queues::{CallQueues, LENDING};
use mif_core::change::Change;
use mif_core::deliveries::Deliveries;
use mif_core::engine::Batch;
use mif_core::outbox::Outbox;
use mif_core::roll_call::RollCall;
use mif_core::snapshot::Snapshot;
use mif_core::subscription::Subscriber;
use mif_core::unread::{Bounds, Unread};
use mif_core::usage::Usage;
use mif_core::{BootTime, announcement::Announcement};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use work::{Progress, SubscriberKey, Works};
use zbus::{Connection, Message, MessageStream};

pub use properties::Constants;

/// The well-known name of the service.
pub const BUS_NAME: &str = "org.ietf.Mif1";
/// How many steps of work may wait to be told.
const PROGRESS_QUEUE: usize = 256;
/// How many messages are read before something is served and sent again.
const READ_AT_ONCE: usize = 256;
/// How many messages are taken out of the outbox before they are sent: few, so that the bus passes them on while the next
/// are written.
const PORTION: usize = 8;
/// When the bus is asked about a client again, and how often at most.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);
const ASKED_AT_MOST: u32 = 5;
/// How many answers of the bus about clients may wait.
const WORD_QUEUE: usize = 64;

/// Who is at the other end of the connection.
#[derive(Clone, Debug)]
pub enum Peers {
    /// The clients of a message bus, which tells who they are.
    Bus(Authority),
    /// The clients of a session bus: those of the service's own user are served, no others.
    OwnUser,
    /// One client, which is this process itself (tests over a socket pair).
    Ourselves,
}

impl Peers {
    const fn authority(&self) -> &Authority {
        match self {
            Self::Bus(authority) => authority,
            Self::OwnUser | Self::Ourselves => &Authority::OwnUser,
        }
    }
}

/// Why the service left the bus.
#[derive(Debug, thiserror::Error)]
pub enum LeftBus {
    /// The bus closed the connection or broke it.
    #[error("the connection to the bus is lost")]
    Connection(#[source] Option<zbus::Error>),
    /// The source of changes ended.
    #[error("the engine has stopped")]
    Engine,
}

/// The service on one connection.
pub struct Bus {
    connection: Connection,
    peers: Peers,
    namespace: Namespace,
    /// What tells its sockets apart; `None` where the kernel does not tell.
    cookie: Option<NamespaceCookie>,
    constants: Constants,
    snapshot: Snapshot,
    /// The same, for tasks that wait for it to change.
    snapshots: watch::Sender<Snapshot>,
    outbox: Outbox<SubscriberKey, Message, BusError, Broadcast>,
    coalescer: Coalescer,
    subscribers: BTreeMap<SubscriberKey, Entry>,
    /// Subscribers that are closed but still have messages to be sent.
    closing: BTreeMap<SubscriberKey, Address>,
    /// Subscribers that lost a message and do not know yet that they are closed (O8).
    overrun: BTreeMap<SubscriberKey, Overrun>,
    deliveries: Deliveries<SubscriberKey, Call>,
    unread: Unread<Client, SubscriberKey>,
    roll_call: RollCall,
    next_subscriber: u64,
    clients: Clients,
    works: Works,
    usage: Usage<Client>,
    workload: Workload,
    places: PlacesByUser,
    translator: Arc<Translator>,
    router: Router,
    managed_objects: Option<Vec<u8>>,
    calls: CallQueues<Client, Call>,
    direct: Vec<Message>,
    progress: mpsc::Sender<Progress>,
    words: mpsc::Sender<Word>,
}

/// A subscriber.
struct Entry {
    machine: Subscriber<BusError>,
    address: Address,
    uid: u32,
    token: String,
}

/// Where the messages of a subscriber go and which object they come from.
struct Address {
    client: Client,
    path: zbus::ObjectPath<'static>,
}

/// What the bus told when it was asked about clients.
enum Word {
    /// Who one is.
    Introduction { client: Client, credentials: Result<Credentials, zbus::Error> },
    /// Which of those that were known are there no more; `None` when it did not tell.
    Absent(Option<Vec<Client>>),
}

/// Something to act on.
enum Input {
    Message(Option<zbus::Result<Message>>),
    /// It is the turn of a call.
    Call,
    Batch(Option<Batch>),
    Progress(Progress),
    Word(Word),
    Pulse(Pulse),
    Timeout,
    Stop,
    /// Nothing came in, and there is something to send.
    Nothing,
}

/// The ends from which the bus task is fed.
pub struct Inputs {
    /// Messages from the connection.
    pub messages: MessageStream,
    /// Changes from the engine.
    pub batches: batches::Receiver,
    /// Signs of life from the engine's loop, to be passed on from here.
    pub pulses: mpsc::Receiver<Pulse>,
    progress: mpsc::Receiver<Progress>,
    words: mpsc::Receiver<Word>,
    alarm: Alarm,
}

impl Bus {
    /// Prepares to serve `connection`. Everything that comes in from now on is kept for [`Bus::run`].
    pub fn new(
        connection: Connection,
        peers: Peers,
        constants: Constants,
        batches: batches::Receiver,
    ) -> std::io::Result<(Self, Inputs)> {
        let messages = MessageStream::from(&connection);
        let (progress, progress_out) = mpsc::channel(PROGRESS_QUEUE);
        let (words, words_out) = mpsc::channel(WORD_QUEUE);
        let translator = Arc::new(Translator::new(constants.translation.clone()));
        // Where descriptors are few: a quarter for calls that wait, the rest for those at work.
        let descriptors = crate::socket::descriptors_for_callers();
        let waiting = LENDING.min(descriptors / 4);
        let bus = Self {
            connection,
            peers,
            namespace: Namespace::own()?,
            cookie: NamespaceCookie::own().ok(),
            constants,
            snapshot: Snapshot::default(),
            snapshots: watch::Sender::default(),
            outbox: Outbox::default(),
            coalescer: Coalescer::default(),
            subscribers: BTreeMap::new(),
            closing: BTreeMap::new(),
            overrun: BTreeMap::new(),
            deliveries: Deliveries::default(),
            unread: Unread::new(Bounds::default()),
            roll_call: RollCall::default(),
            next_subscriber: 0,
            clients: Clients::default(),
            works: Works::default(),
            usage: Usage::default(),
            workload: Workload::new(descriptors - waiting),
            places: PlacesByUser::default(),
            translator,
            router: Router::off(),
            managed_objects: None,
            calls: CallQueues::with_lending(waiting),
            direct: Vec::new(),
            progress,
            words,
        };
        // Nobody is to be told that all is well, unless whoever starts this says so.
        let (_, pulses) = mpsc::channel(1);
        let alarm = Alarm::new()?;
        let inputs = Inputs { messages, batches, pulses, progress: progress_out, words: words_out, alarm };
        Ok((bus, inputs))
    }

    /// Serves with sockets that carry the marks of `router`.
    pub fn set_router(&mut self, router: Router) {
        self.translator =
            Arc::new(Translator::new(self.constants.translation.clone()).with_router(router.clone()));
        self.router = router;
    }

    /// Publishes the first inventory, before anybody can have asked: nobody is told.
    pub fn publish_inventory(&mut self, batch: Batch) {
        self.publish(batch.snapshot);
    }

    fn publish(&mut self, snapshot: Snapshot) {
        self.managed_objects = None;
        self.snapshots.send_replace(snapshot.clone());
        self.snapshot = snapshot;
    }

    /// Serves until `stop` resolves, the connection is lost or the engine ends.
    pub async fn run(mut self, mut inputs: Inputs, stop: impl Future<Output = ()>) -> Result<(), LeftBus> {
        tokio::pin!(stop);
        if !matches!(self.peers, Peers::Ourselves) {
            self.try_bus();
            self.send_some().await?;
        }
        loop {
            let input = self.next_input(&mut inputs, &mut stop).await;
            // A batch in hand comes before it.
            if !matches!(input, Input::Batch(_))
                && let Some(state) = inputs.batches.take_state()
            {
                self.publish(state);
            }
            match input {
                Input::Message(Some(Ok(message))) => self.handle_message(message),
                Input::Message(Some(Err(error))) => return Err(LeftBus::Connection(Some(error))),
                Input::Message(None) => return Err(LeftBus::Connection(None)),
                Input::Call => self.handle_next_call(),
                Input::Batch(Some(batch)) => self.handle_batch(clock::now(), batch),
                Input::Batch(None) => return Err(LeftBus::Engine),
                Input::Progress(progress) => self.handle_progress(clock::now(), progress),
                Input::Word(word) => self.handle_word(clock::now(), word),
                Input::Pulse(pulse) => pulse.arrive(),
                Input::Timeout => self.handle_timeout(clock::now()),
                Input::Stop => return self.say_goodbye().await,
                Input::Nothing => {}
            }
            self.read_at_hand(&mut inputs).await?;
            self.send_some().await?;
        }
    }

    /// Reads what has come already: it only gets into its client's queue, so that nobody's calls wait behind the
    /// messages that somebody else's are answered with, or in the one queue that the bus has for all.
    async fn read_at_hand(&mut self, inputs: &mut Inputs) -> Result<(), LeftBus> {
        let mut left = READ_AT_ONCE;
        while left > 0 {
            let before = left;
            while let Some(message) = inputs.messages.next().now_or_never() {
                match message {
                    Some(Ok(message)) => self.handle_message(message),
                    Some(Err(error)) => return Err(LeftBus::Connection(Some(error))),
                    None => return Err(LeftBus::Connection(None)),
                }
                left = left.saturating_sub(1);
            }
            if left == before {
                break;
            }
            // The task that reads the socket stopped when there was no room for more here.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn next_input(
        &mut self,
        inputs: &mut Inputs,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Input {
        let idle = self.outbox.is_empty() && self.direct.is_empty();
        let waiting = self.calls.is_waiting();
        let deadline = self.next_timeout();
        // It would have little chance while something else is always at hand.
        if deadline.is_some_and(|deadline| deadline.passed(clock::now())) {
            return Input::Timeout;
        }
        // Not biased: neither a storm of changes nor a busy client keeps the others waiting for ever.
        tokio::select! {
            () = stop => Input::Stop,
            // The engine waits meanwhile, and takes in more changes at once afterwards.
            batch = inputs.batches.recv(), if self.outbox.has_room() => Input::Batch(batch),
            Some(progress) = inputs.progress.recv() => Input::Progress(progress),
            Some(word) = inputs.words.recv() => Input::Word(word),
            Some(pulse) = inputs.pulses.recv() => Input::Pulse(pulse),
            message = inputs.messages.next() => Input::Message(message),
            () = std::future::ready(()), if waiting => Input::Call,
            () = inputs.alarm.at(deadline) => Input::Timeout,
            () = std::future::ready(()), if !idle => Input::Nothing,
        }
    }

    /// Takes in what the engine made: publishes it, then queues what everybody is told, in order.
    fn handle_batch(&mut self, now: BootTime, batch: Batch) {
        self.publish(batch.snapshot);
        for change in &batch.changes {
            // O7: those who asked need not wait for what everybody is told of values.
            let of_values = matches!(change, Change::PvdChanged(_));
            if of_values {
                self.tell_subscribers(change);
            }
            let broadcast = self.coalescer.handle_change(now, change, &self.snapshot);
            if let Some(broadcast) = broadcast {
                self.outbox.broadcast(broadcast);
            }
            // Objects before the announcements that name them.
            if !of_values {
                self.tell_subscribers(change);
            }
            if let Change::PvdWithdrawn(pvd) = change {
                self.fail_calls_on(pvd.serial);
                self.translator.forget(pvd.serial);
            }
        }
    }

    fn tell_subscribers(&mut self, change: &Change) {
        let mut ended = Vec::new();
        for (key, entry) in &mut self.subscribers {
            let output = entry.machine.handle_change(change);
            for announcement in output.announcements {
                self.outbox.announce(*key, announcement);
            }
            ended.extend(output.ended);
        }
        for ended in ended {
            self.end_work(ended.number);
        }
    }

    fn handle_timeout(&mut self, now: BootTime) {
        for broadcast in self.coalescer.handle_timeout(now, &self.snapshot) {
            self.outbox.broadcast(broadcast);
        }
        let mut ended = Vec::new();
        for (key, entry) in &mut self.subscribers {
            let output = entry.machine.handle_timeout(now);
            for announcement in output.announcements {
                self.outbox.announce(*key, announcement);
            }
            ended.extend(output.ended);
        }
        for ended in ended {
            self.end_work(ended.number);
        }
        self.tell_overrun(now);
        self.call_the_roll(now);
    }

    fn next_timeout(&self) -> Option<BootTime> {
        let unclaimed = self.subscribers.values().filter_map(|entry| entry.machine.next_timeout());
        let of_bus = self.deliveries.next_timeout().into_iter().chain(self.roll_call.next_timeout());
        unclaimed.chain(self.coalescer.next_timeout()).chain(of_bus).min()
    }

    /// Sends replies, and the first of what waits in the outbox.
    async fn send_some(&mut self) -> Result<(), LeftBus> {
        let mut messages = std::mem::take(&mut self.direct);
        for _ in 0..PORTION {
            let Some(outgoing) = self.outbox.poll() else { break };
            let to = outgoing.subscriber();
            let Some(message) = self.message_of(outgoing) else { continue };
            let behind = to.and_then(|key| self.remember(&message, key));
            messages.push(message);
            messages.extend(behind);
        }
        let sent = self.connection.send_all(&messages).await;
        self.closing.retain(|key, _| self.outbox.has_for(*key));
        messages.clear();
        // Who was given up meanwhile is told next.
        messages.append(&mut self.direct);
        self.direct = messages;
        sent.map_err(|error| LeftBus::Connection(Some(error)))
    }

    /// Tells every subscriber that the service stops, and sends all that is left.
    async fn say_goodbye(mut self) -> Result<(), LeftBus> {
        let subscribers: Vec<SubscriberKey> = self.subscribers.keys().copied().collect();
        for key in subscribers {
            self.outbox.announce(key, Announcement::Closed(CloseReason::Shutdown));
        }
        while !self.outbox.is_empty() {
            self.send_some().await?;
        }
        Ok(())
    }

    fn answer(&mut self, call: &Call, result: Result<Option<Message>, BusError>) {
        match result {
            Ok(reply) => self.direct.extend(reply),
            Err(error) => self.direct.extend(call.error(&error)),
        }
    }

    fn handle_word(&mut self, now: BootTime, word: Word) {
        match word {
            Word::Introduction { client, credentials } => self.handle_introduction(&client, credentials),
            Word::Absent(absent) => self.handle_absent(now, absent),
        }
    }

    /// Finds out who a client is, without waiting for it. Until then its calls are parked in order.
    fn ask_who_is(&self, client: &Client) {
        let (client, words) = (Arc::clone(client), self.words.clone());
        let connection = self.connection.clone();
        let on_a_bus = !matches!(self.peers, Peers::Ourselves);
        let ask = async move {
            let credentials = if on_a_bus {
                patiently(|| Credentials::ask(&connection, &client)).await
            } else {
                Ok(Credentials::ourselves())
            };
            // The bus task is gone only when the service stops.
            let _ = words.send(Word::Introduction { client, credentials }).await;
        };
        tokio::spawn(ask.boxed());
    }
}

/// Asks the bus again when no answer comes: dbus-daemon drops its own answers, too, while more descriptors wait for this
/// service than it keeps for anybody.
async fn patiently<T, F: Future<Output = zbus::Result<T>>>(ask: impl Fn() -> F) -> zbus::Result<T> {
    for _ in 0..ASKED_AT_MOST {
        if let Ok(answer) = tokio::time::timeout(ASKED_AGAIN_AFTER, ask()).await {
            return answer;
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
}
