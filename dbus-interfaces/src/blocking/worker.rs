//! The thread behind a blocking subscriber.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::{Connection, OwnedVariant};

use super::queue::Queue;
use super::subscriber::thread_error;
use crate::bus::{BusChoice, connect, service_present};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{ConfigurationValue, Message};
use crate::names::{BUS_NAME, SUBSCRIBER_INTERFACE};
use crate::subscriber::{Incoming, Reader};
use crate::wire::ClosedReason;

/// How many calls may wait for their replies: below what the service allows a subscriber
/// (Limits: requests-per-subscriber), which so is never exceeded. The rest waits here.
const OUTSTANDING: usize = 48;

/// How long a service may take to close a subscriber.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the program wants.
#[derive(Debug)]
pub enum Command {
    /// POST MESSAGE.
    Post(Message),
    /// TakeConnection.
    Take {
        /// The program's id.
        connection_id: u32,
        /// Where the program waits.
        answer: SyncSender<Result<OwnedFd>>,
    },
}

/// What the thread is started with.
#[derive(Debug)]
pub struct Worker {
    /// The bus.
    pub bus: BusChoice,
    /// The token of the subscriber.
    pub token: String,
    /// Where messages go.
    pub queue: Arc<Queue>,
}

impl Worker {
    /// Runs until the program has gone or the bus is lost. `opened` is told whether there is a subscriber.
    pub fn run(self, commands: mpsc::Receiver<Command>, opened: &SyncSender<Result<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.serve(commands, opened)),
            Err(error) => drop(opened.send(Err(thread_error(error)))),
        }
        self.queue.end();
    }

    async fn serve(&self, mut commands: mpsc::Receiver<Command>, opened: &SyncSender<Result<()>>) {
        let first = match connect(&self.bus).await {
            Ok(connection) => self.open(&connection).await.map(|session| (connection, session)),
            Err(error) => Err(error),
        };
        let (connection, mut session) = match first {
            Ok(ready) => ready,
            Err(error) => return drop(opened.send(Err(error))),
        };
        drop(opened.send(Ok(())));
        loop {
            let Some(reason) = session.run(&mut commands).await else { return };
            if reason == ClosedReason::BusLost {
                return;
            }
            match self.reopen(&connection, &mut commands, reason).await {
                Some(new) => session = new,
                None => return,
            }
        }
    }

    /// A new subscriber, with nothing missed of what is told to it.
    async fn open(&self, connection: &Connection) -> Result<Session> {
        let (reader, incoming) = Reader::open(connection, &self.token).await?;
        Ok(Session {
            connection: connection.clone(),
            reader,
            incoming,
            queue: Arc::clone(&self.queue),
            outstanding: HashMap::new(),
        })
    }

    /// Waits for the service, refusing what is posted meanwhile, and makes a new subscriber. `None` when the
    /// program or the bus has gone.
    async fn reopen(
        &self,
        connection: &Connection,
        commands: &mut mpsc::Receiver<Command>,
        reason: ClosedReason,
    ) -> Option<Session> {
        let new = async {
            if reason == ClosedReason::Unread {
                // Whatever comes would not fit in either.
                self.queue.emptied().await;
            }
            loop {
                service_present(connection).await?;
                match self.open(connection).await {
                    // It has gone again, or is about to: wait for it once more.
                    Err(error) if is_absent(&error) => tokio::task::yield_now().await,
                    opened => return opened,
                }
            }
        };
        tokio::pin!(new);
        loop {
            tokio::select! {
                opened = &mut new => match opened {
                    Ok(session) => {
                        self.queue.push(Message::Reopened, true);
                        return Some(session);
                    }
                    Err(error) => {
                        let reason = ClosedReason::Other(error.to_string());
                        let reason = if connection_lost(&error) { ClosedReason::BusLost } else { reason };
                        self.queue.push(Message::Closed { reason }, true);
                        return None;
                    }
                },
                command = commands.recv() => refuse(&self.queue, command?, not_running()),
            }
        }
    }
}

/// A subscriber that the service has.
struct Session {
    connection: Connection,
    reader: Reader,
    incoming: Incoming,
    queue: Arc<Queue>,
    outstanding: HashMap<NonZeroU32, Command>,
}

impl Session {
    /// Serves until the subscriber is closed, for the reason returned, or the program has gone (`None`).
    async fn run(&mut self, commands: &mut mpsc::Receiver<Command>) -> Option<ClosedReason> {
        loop {
            let room = self.outstanding.len() < OUTSTANDING;
            let closed = tokio::select! {
                message = self.incoming.next() => match message {
                    Some(Some(Ok(message))) => {
                        self.reader.answer(&message).await;
                        self.handle(&message)
                    }
                    Some(Some(Err(_))) | None => Some(ClosedReason::BusLost),
                    Some(None) => None,
                },
                command = commands.recv(), if room => match command {
                    Some(command) => self.send(command).await.err().map(|_| ClosedReason::BusLost),
                    None => return None,
                },
            };
            if let Some(reason) = closed {
                self.end(reason.clone()).await;
                return Some(reason);
            }
        }
    }

    /// Sends a command; an error when the connection is lost.
    async fn send(&mut self, command: Command) -> Result<()> {
        let path = self.reader.path().as_str();
        let call = match &command {
            Command::Post(message) => message.encode(path),
            Command::Take { connection_id, .. } => {
                let call = zbus::Message::method_call(path, "TakeConnection")
                    .destination(BUS_NAME)
                    .interface(SUBSCRIBER_INTERFACE);
                call.build(connection_id).map_err(Error::from)
            }
        };
        let call = match call {
            Ok(call) => call,
            Err(error) => {
                refuse(&self.queue, command, error);
                return Ok(());
            }
        };
        // Noted first: the reply may be read before `send` returns.
        self.outstanding.insert(call.primary_header().serial_num(), command);
        Ok(self.connection.send(&call).await?)
    }

    /// Acts on what has come in; the reason when the subscriber is closed by it.
    fn handle(&mut self, message: &zbus::Message) -> Option<ClosedReason> {
        let reply_to = message.header().reply_serial();
        if let Some(command) = reply_to.and_then(|serial| self.outstanding.remove(&serial)) {
            return self.handle_reply(command, message);
        }
        let told = match self.reader.read(message) {
            Ok(Some(told)) => told,
            Ok(None) => return None,
            Err(_) => {
                let member = message.header().member().map(ToString::to_string).unwrap_or_default();
                Message::Other { member }
            }
        };
        // `end` says that it is closed.
        if let Message::Closed { reason } = told {
            return Some(reason);
        }
        self.tell(told)
    }

    fn handle_reply(&mut self, command: Command, reply: &zbus::Message) -> Option<ClosedReason> {
        let failed = reply.message_type() == zbus::message::Type::Error;
        match command {
            Command::Take { answer, .. } => {
                let taken = if failed { Err(error_of(reply)) } else { socket_of(reply) };
                // A program that does not wait any more does not want it.
                drop(answer.send(taken));
                None
            }
            Command::Post(request) if failed => self.tell(refusal(request, error_of(reply))),
            Command::Post(request) => accepted(request, reply).and_then(|told| self.tell(told)),
        }
    }

    fn tell(&self, message: Message) -> Option<ClosedReason> {
        if self.queue.push(message, false) { None } else { Some(ClosedReason::Unread) }
    }

    /// Says that the subscriber is closed, for the program and for the service.
    async fn end(&mut self, reason: ClosedReason) {
        if reason == ClosedReason::Unread {
            let (service, path) = (Some(BUS_NAME), self.reader.path().as_str());
            let close = self.connection.call_method(service, path, Some(SUBSCRIBER_INTERFACE), "Close", &());
            // Unless somebody reads the signals meanwhile the reply never comes.
            let drain = async { while self.incoming.next().await.is_some() {} };
            tokio::select! { _ = close => {}, () = drain => {}, () = tokio::time::sleep(PATIENCE) => {} }
        }
        for (_, command) in self.outstanding.drain() {
            if let Command::Take { answer, .. } = command {
                drop(answer.send(Err(not_running())));
            }
        }
        self.queue.push(Message::Closed { reason }, true);
    }
}

/// What the program is told when the service has taken a request, if anything.
fn accepted(request: Message, reply: &zbus::Message) -> Option<Message> {
    let request = match request {
        Message::GetConfigurationData { pvd, element, identifier } => {
            let value = reply.body().deserialize::<OwnedVariant>();
            let value = ConfigurationValue::new(value.unwrap_or_else(|_| OwnedVariant::from(0_u8)));
            return Some(Message::ConfigurationData { pvd, element, identifier, value });
        }
        other => other,
    };
    match request {
        Message::AnnounceInterfaces
        | Message::AnnounceProvisioningDomains { .. }
        | Message::AnnounceConfigurationElements { .. }
        | Message::AnnounceAddresses { .. } => {
            let count = reply.body().deserialize().unwrap_or_default();
            Some(Message::ListingComplete { request: Box::new(request), count })
        }
        Message::StopAnnouncingInterfaces
        | Message::StopAnnouncingProvisioningDomains { .. }
        | Message::StopAnnouncingConfigurationElements { .. }
        | Message::StopAnnouncingAddresses { .. }
        | Message::StopTranslatingName { .. }
        | Message::CancelConnection { .. } => Some(Message::Stopped { request: Box::new(request) }),
        // What comes of the others is told by messages of their own.
        _ => None,
    }
}

fn refusal(request: Message, error: Error) -> Message {
    match request {
        Message::GetConfigurationData { pvd, element, identifier }
            if error.kind() == Some(ErrorKind::NoConfigurationData) =>
        {
            Message::NoConfigurationData { pvd, element, identifier }
        }
        request => Message::Refused { request: Box::new(request), error },
    }
}

fn refuse(queue: &Queue, command: Command, error: Error) {
    match command {
        // A full queue has been told of already.
        Command::Post(request) => drop(queue.push(refusal(request, error), false)),
        Command::Take { answer, .. } => drop(answer.send(Err(error))),
    }
}

fn error_of(reply: &zbus::Message) -> Error {
    let header = reply.header();
    let name = header.error_name().map(ToString::to_string).unwrap_or_default();
    Error::from_name(&name, &reply.body().deserialize::<String>().unwrap_or_default())
}

fn socket_of(reply: &zbus::Message) -> Result<OwnedFd> {
    let socket: zbus::OwnedFd =
        reply.body().deserialize().map_err(|error| Error::unexpected("reply of TakeConnection", error))?;
    Ok(socket.into())
}

fn not_running() -> Error {
    Error::from_name("org.freedesktop.DBus.Error.ServiceUnknown", "")
}

fn is_absent(error: &Error) -> bool {
    let absent = [ErrorKind::NotRunning, ErrorKind::NameHasNoOwner, ErrorKind::NoReply];
    error.kind().is_some_and(|kind| absent.contains(&kind))
}

fn connection_lost(error: &Error) -> bool {
    matches!(error, Error::Disconnected | Error::Bus(_))
}
