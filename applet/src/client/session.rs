//! One connection to the service after the other.

use std::convert::Infallible;
use std::time::Duration;

use mif::wire::ClosedReason;
use mif::{BusChoice, ErrorKind};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use zbus::Connection;

use super::watch::{self, Watch};
use super::{Command, Event, Link, attempt};
use crate::clock;
use crate::model::attempt::Progress;
use crate::model::timeline;

/// The first and the longest pause before the bus is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long the service may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

/// The window is gone: there is nothing to do any more.
pub(super) struct WindowGone;

/// What lasts over connections.
pub(super) struct Desk {
    bus: BusChoice,
    commands: mpsc::Receiver<Command>,
    events: async_channel::Sender<Event>,
    shown: Option<zbus::OwnedObjectPath>,
    attempt: Option<AbortHandle>,
}

/// Runs until the window is gone.
pub(super) async fn run(
    bus: BusChoice,
    commands: mpsc::Receiver<Command>,
    events: async_channel::Sender<Event>,
) {
    let mut desk = Desk { bus, commands, events, shown: None, attempt: None };
    // Until the window is gone.
    let Err(WindowGone) = desk.live().await;
}

impl Desk {
    /// One connection after the other. What is tried again by itself does not take away what the window says of the
    /// last time.
    async fn live(&mut self) -> Result<Infallible, WindowGone> {
        let mut pause = PAUSES.0;
        let mut wished_for = true;
        loop {
            if wished_for {
                self.tell(Event::Link(Link::Connecting)).await?;
            }
            let why = self.connected(&mut pause).await?;
            self.tell(Event::Link(why)).await?;
            wished_for = self.rest(pause).await?;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Lives on one connection to the bus. Returns why it is no more.
    async fn connected(&mut self, pause: &mut Duration) -> Result<Link, WindowGone> {
        let connection = match mif::connect(&self.bus).await {
            Ok(connection) => connection,
            Err(error) => return Ok(Link::NoBus(error.to_string())),
        };
        loop {
            let error = match Watch::begin(&connection).await {
                Ok((watch, state)) => {
                    *pause = PAUSES.0;
                    let first = if self.shown.is_none() {
                        watch::first(&connection, &state).await
                    } else {
                        Vec::new()
                    };
                    self.tell(Event::Link(Link::Live)).await?;
                    self.tell(Event::Announced(vec![timeline::service(clock::since_1970(), true)])).await?;
                    self.tell(Event::Reset(Box::new(state), first)).await?;
                    let error = watch.run(self).await?;
                    self.tell(Event::Announced(vec![timeline::service(clock::since_1970(), false)])).await?;
                    error
                }
                Err(error) => error,
            };
            match link(&error) {
                link @ (Link::NotRunning(_) | Link::Connecting) => {
                    self.tell(Event::Link(link)).await?;
                    if matches!(error, watch::Error::Closed(ClosedReason::Shutdown)) {
                        // It may hang while it stops; then it is waited for no longer.
                        let absent = mif::service_absent(&connection);
                        drop(tokio::time::timeout(STOPPING, absent).await);
                    }
                    if let Some(lost) = self.wait_for_service(&connection).await? {
                        return Ok(lost);
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// Waits until the service is there. Returns why it cannot be waited for any more.
    async fn wait_for_service(&mut self, connection: &Connection) -> Result<Option<Link>, WindowGone> {
        let mut present = std::pin::pin!(mif::service_present(connection));
        loop {
            tokio::select! {
                outcome = &mut present => {
                    return Ok(outcome.err().map(|error| Link::NoBus(error.to_string())));
                }
                // D-Bus activation may start it.
                command = self.commands.recv() => if self.offline(command).await? { return Ok(None) },
            }
        }
    }

    /// A pause in which commands are taken. Returns whether the person had it end early.
    async fn rest(&mut self, pause: Duration) -> Result<bool, WindowGone> {
        let mut end = std::pin::pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                () = &mut end => return Ok(false),
                command = self.commands.recv() => if self.offline(command).await? { return Ok(true) },
            }
        }
    }

    /// A command while there is no service. Returns whether to connect now.
    async fn offline(&mut self, command: Option<Command>) -> Result<bool, WindowGone> {
        match command.ok_or(WindowGone)? {
            Command::Retry => Ok(true),
            Command::Try { run, target, scope, pvds } => {
                self.start_attempt(run, attempt::Request { target, scope, pvds });
                Ok(false)
            }
            Command::CancelTry => {
                self.cancel_attempt();
                Ok(false)
            }
            Command::Show(shown) => {
                self.shown = shown;
                Ok(false)
            }
            Command::Refresh(_) | Command::Drawn => Ok(false),
        }
    }

    /// Begins an attempt on a connection of its own, so that giving it up ends all that is pending.
    pub(super) fn start_attempt(&mut self, run: u64, request: attempt::Request) {
        self.cancel_attempt();
        let (bus, events) = (self.bus.clone(), self.events.clone());
        let task = tokio::spawn(async move {
            attempt::run(&bus, request, &events, run).await;
            // The window is gone: nobody to tell.
            drop(events.send(Event::Try(run, Progress::Finished)).await);
        });
        self.attempt = Some(task.abort_handle());
    }

    pub(super) fn cancel_attempt(&mut self) {
        if let Some(task) = self.attempt.take() {
            task.abort();
        }
    }

    pub(super) const fn shown(&self) -> Option<&zbus::OwnedObjectPath> {
        self.shown.as_ref()
    }

    pub(super) fn show(&mut self, path: Option<zbus::OwnedObjectPath>) {
        self.shown = path;
    }

    /// The next command.
    pub(super) async fn command(&mut self) -> Result<Command, WindowGone> {
        self.commands.recv().await.ok_or(WindowGone)
    }

    /// Tells the window.
    pub(super) async fn tell(&self, event: Event) -> Result<(), WindowGone> {
        self.events.send(event).await.map_err(|_| WindowGone)
    }
}

/// What an error means for the connection.
fn link(error: &watch::Error) -> Link {
    use watch::Error::{Bus, Closed};
    match error {
        Closed(ClosedReason::Shutdown | ClosedReason::ServiceGone) => Link::NotRunning(String::new()),
        Closed(ClosedReason::BusLost) => Link::NoBus(String::new()),
        // A message was lost: everything is listed again.
        Closed(_) => Link::Connecting,
        Bus(error) => match error.kind() {
            Some(
                ErrorKind::NotRunning
                | ErrorKind::NameHasNoOwner
                | ErrorKind::StartFailed
                | ErrorKind::NoReply,
            ) => Link::NotRunning(error.to_string()),
            Some(ErrorKind::AccessDenied | ErrorKind::LimitsExceeded) => Link::Refused(error.to_string()),
            Some(ErrorKind::UnknownObject | ErrorKind::UnknownMethod) => {
                Link::Incompatible(error.to_string())
            }
            _ => match error {
                mif::Error::Unexpected { .. } => Link::Incompatible(error.to_string()),
                _ => Link::NoBus(error.to_string()),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn errors_say_what_a_person_can_do() {
        let of = |name: &str| link(&watch::Error::Bus(mif::Error::from_name(name, "why")));
        assert_eq!(of("org.freedesktop.DBus.Error.ServiceUnknown"), Link::NotRunning("why".into()));
        assert_eq!(of("org.freedesktop.DBus.Error.Spawn.ChildExited"), Link::NotRunning("why".into()));
        assert_eq!(of("org.freedesktop.DBus.Error.AccessDenied"), Link::Refused("why".into()));
        assert_eq!(of("org.freedesktop.DBus.Error.UnknownMethod"), Link::Incompatible("why".into()));
        assert_eq!(link(&watch::Error::Closed(ClosedReason::Shutdown)), Link::NotRunning(String::new()));
        assert!(matches!(link(&watch::Error::Bus(mif::Error::Disconnected)), Link::NoBus(_)));
    }

    /// What is tried again by itself leaves the window what it says; what a person asks for shows that it is done.
    #[tokio::test]
    async fn only_a_person_has_it_say_that_it_connects() {
        let (commands, inbox) = mpsc::channel(1);
        let (outbox, events) = async_channel::bounded(1);
        let nowhere = BusChoice::Address("unix:path=/nowhere/at/all".to_owned());
        let session = tokio::spawn(run(nowhere, inbox, outbox));
        let told = async || match events.recv().await.unwrap() {
            Event::Link(Link::Connecting) => "connecting",
            Event::Link(Link::NoBus(_)) => "no bus",
            other => panic!("{other:?}"),
        };
        let limit = Duration::from_secs(20);
        let all = async {
            let begin = [told().await, told().await, told().await];
            commands.send(Command::Retry).await.unwrap();
            (begin, [told().await, told().await])
        };
        let (by_itself, asked) = tokio::time::timeout(limit, all).await.unwrap();
        assert_eq!(by_itself, ["connecting", "no bus", "no bus"]);
        assert_eq!(asked, ["connecting", "no bus"]);
        drop(events);
        drop(commands);
        session.await.unwrap();
    }
}
