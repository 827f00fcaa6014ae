//! `mifctl monitor`: what is there, then what comes and goes.

mod event;
mod ledger;

use std::collections::VecDeque;

use futures_util::StreamExt;
use mif::wire::ClosedReason;
use mif::{ErrorKind, Message, Messages, Subscriber};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zbus::{Connection, OwnedObjectPath};

use crate::clock;
use crate::failure::Failure;
use crate::output::Output;
use event::{Event, ServiceChange};
use ledger::Ledger;

/// Shows announcements until Ctrl-C (or SIGTERM), which is a good end.
pub async fn run(connection: &Connection, output: &mut Output) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    tokio::select! {
        result = follow(connection, output) => result,
        () = received(&mut interrupt) => Ok(()),
        () = received(&mut terminate) => Ok(()),
    }
}

async fn received(signal: &mut Signal) {
    signal.recv().await;
}

/// One subscriber after the other: the service may stop and come back.
async fn follow(connection: &Connection, output: &mut Output) -> Result<(), Failure> {
    let mut stopped = false;
    for round in 0_u32.. {
        // A new token each time: after an overrun the old subscriber may still be there.
        let (subscriber, messages) = match Subscriber::create(connection, &format!("monitor_{round}")).await {
            Ok(created) => created,
            // It may stop again just when it has come back.
            Err(error) if stopped && is_away(&error) => {
                mif::service_present(connection).await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if stopped {
            show(output, &Event::Service(ServiceChange::Started))?;
        }
        let mut session =
            Session { subscriber, messages, ledger: Ledger::default(), listing: Listing::default() };
        let reason = session.run(output).await?;
        stopped = false;
        match reason {
            ClosedReason::Requested => return Ok(()),
            ClosedReason::Overrun => show(output, &Event::Service(ServiceChange::Missed))?,
            ClosedReason::Unread => {
                show(output, &Event::Service(ServiceChange::Missed))?;
                session.subscriber.close().await?;
            }
            _ => {
                stopped = true;
                show(output, &Event::Service(ServiceChange::Stopped))?;
                output.finish()?;
                // Without asking the bus to start it: somebody has stopped it.
                mif::service_present(connection).await?;
            }
        }
    }
    Ok(())
}

fn is_away(error: &mif::Error) -> bool {
    matches!(
        error.kind(),
        Some(ErrorKind::NotRunning | ErrorKind::NameHasNoOwner | ErrorKind::StartFailed | ErrorKind::NoReply)
    )
}

/// How much of what is there has been asked for and told.
#[derive(Debug, Default)]
struct Listing {
    expected: u64,
    seen: u64,
    told: bool,
}

/// The life of one subscriber.
struct Session {
    subscriber: Subscriber,
    messages: Messages,
    ledger: Ledger,
    listing: Listing,
}

/// What is to be asked for after an announcement.
enum Ask {
    ProvisioningDomains(OwnedObjectPath),
    InsideOf(OwnedObjectPath),
}

impl Session {
    /// Shows what comes until the subscriber is closed, and says why.
    async fn run(&mut self, output: &mut Output) -> Result<ClosedReason, Failure> {
        match self.subscriber.announce_interfaces().await {
            Ok(count) => self.listing.expected += u64::from(count),
            Err(error) if is_away(&error) => return Ok(ClosedReason::ServiceGone),
            Err(error) => return Err(error.into()),
        }
        let mut to_ask = VecDeque::new();
        loop {
            if to_ask.is_empty() {
                self.tell_end_of_listing(output)?;
            }
            let message = match self.messages.get() {
                Some(message) => Some(message?),
                None => None,
            };
            match (message, to_ask.pop_front()) {
                (Some(Message::Closed { reason }), _) => return Ok(reason),
                (Some(message), asked) => {
                    to_ask.extend(self.take(message, output)?);
                    to_ask.extend(asked);
                }
                (None, Some(ask)) => self.ask(ask).await?,
                (None, None) => {
                    output.finish()?;
                    match self.messages.next().await.transpose()? {
                        Some(Message::Closed { reason }) => return Ok(reason),
                        Some(message) => to_ask.extend(self.take(message, output)?),
                        None => return Ok(ClosedReason::ServiceGone),
                    }
                }
            }
        }
    }

    /// Shows a message; returns what it makes worth asking for.
    fn take(&mut self, message: Message, output: &mut Output) -> Result<Option<Ask>, Failure> {
        self.listing.seen += 1;
        let ask = match &message {
            Message::InterfaceAnnouncement { interface, .. } if !self.ledger.knows(interface) => {
                Some(Ask::ProvisioningDomains(interface.clone()))
            }
            Message::ProvisioningDomainAnnouncement { pvd, .. } if !self.ledger.knows(pvd) => {
                Some(Ask::InsideOf(pvd.clone()))
            }
            _ => None,
        };
        if let Some(event) = self.ledger.enter(message) {
            show(output, &event)?;
        }
        Ok(ask)
    }

    /// Asks for what is inside of something announced. That it has gone meanwhile is no failure: the message
    /// that says so is on its way.
    async fn ask(&mut self, ask: Ask) -> Result<(), Failure> {
        let counts = match &ask {
            Ask::ProvisioningDomains(interface) => {
                vec![self.subscriber.announce_provisioning_domains(interface).await]
            }
            Ask::InsideOf(pvd) => vec![
                self.subscriber.announce_configuration_elements(pvd).await,
                self.subscriber.announce_addresses(pvd).await,
            ],
        };
        for count in counts {
            match count {
                Ok(count) => self.listing.expected += u64::from(count),
                Err(error) if went_meanwhile(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Once everything that was there has been told.
    fn tell_end_of_listing(&mut self, output: &mut Output) -> Result<(), Failure> {
        if self.listing.told || self.listing.seen < self.listing.expected {
            return Ok(());
        }
        self.listing.told = true;
        let (interfaces, pvds) = self.ledger.counts();
        show(output, &Event::Service(ServiceChange::Listed { interfaces, pvds }))
    }
}

fn went_meanwhile(error: &mif::Error) -> bool {
    is_away(error)
        || matches!(
            error.kind(),
            Some(
                ErrorKind::NoSuchInterface
                    | ErrorKind::NoSuchPvd
                    | ErrorKind::PvdGone
                    | ErrorKind::UnknownObject
            )
        )
}

fn show(output: &mut Output, event: &Event) -> Result<(), Failure> {
    let now = clock::since_1970();
    if output.is_json() {
        output.json_line(&event.json(now, clock::since_boot()))
    } else {
        let text = event.text(&clock::time_of_day(now), clock::since_boot(), output.paint());
        output.text(&text)
    }
}
