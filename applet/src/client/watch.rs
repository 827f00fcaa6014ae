//! Watches the service: a subscriber tells what has changed, and what has changed is read.
//!
//! The first change is read at once; what changes within [`PACE`] after that is read together, once each.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use mif::proxy::{ManagerProxy, ProvisioningDomainProxy};
use mif::wire::ClosedReason;
use mif::{ErrorKind, Interface, Message, Messages, PropertyChange, ProvisioningDomain, State, Subscriber};
use tokio::time::Instant;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath};

use super::session::{Desk, WindowGone};
use super::value::values;
use super::{Command, Event, attempt};
use crate::clock;
use crate::model::network::{self, Update};
use crate::model::timeline::{Entry, Ledger};
use crate::model::{Values, ValuesByElement};

/// Changes are read at most this often.
const PACE: Duration = Duration::from_millis(150);

/// When the window does not say that it is drawn, it is taken to be so after this time.
const HEAD_START: Duration = Duration::from_secs(1);

/// Objects read at the same time; a subscriber may have 64 requests outstanding.
const AT_ONCE: usize = 16;

/// The token of the subscriber.
const TOKEN: &str = "applet";

/// Why watching ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The subscriber is no more.
    #[error("the subscriber was closed: {0}")]
    Closed(ClosedReason),
    /// A call failed.
    #[error(transparent)]
    Bus(#[from] mif::Error),
}

/// Watching, under way.
pub struct Watch {
    connection: Connection,
    subscriber: Subscriber,
    messages: Messages,
    changes: std::pin::Pin<Box<dyn Stream<Item = PropertyChange> + Send>>,
    /// What was announced and is not gone.
    known: HashMap<OwnedObjectPath, Known>,
    ledger: Ledger,
    /// Messages of listings that are to come before what is there is known.
    awaited: i64,
    /// The listing was asked for.
    asked: bool,
    settled: bool,
    dirty: HashSet<Object>,
    reading: FuturesUnordered<BoxFuture<'static, mif::Result<Read>>>,
    /// Objects that are to be read when others are.
    waiting: VecDeque<Object>,
    read_at: Option<Instant>,
    /// What was told last of the PvD on display: the same once more wakes nobody.
    told: Vec<Update>,
    updates: Vec<Update>,
    entries: Vec<Entry>,
}

/// What can be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Object {
    Manager,
    Interface(OwnedObjectPath),
    Pvd(OwnedObjectPath),
}

#[derive(Debug, Default)]
struct Known {
    /// Announcements are asked for, and it was read.
    announced: bool,
}

/// What was read, and how many messages the listings had that were asked for with it.
#[derive(Default)]
struct Read {
    updates: Vec<Update>,
    listed: u32,
}

impl Watch {
    /// Makes a subscriber and reads the state.
    ///
    /// # Errors
    /// The service is not there or lets nobody in.
    pub async fn begin(connection: &Connection) -> Result<(Self, State), Error> {
        // Listen first, then look: what changes in between is read again.
        let changes = mif::property_changes(connection).await?.boxed();
        let (subscriber, messages) = Subscriber::create(connection, TOKEN).await?;
        let state = State::read(connection).await?;
        let watch = Self {
            connection: connection.clone(),
            subscriber,
            messages,
            changes,
            known: HashMap::new(),
            ledger: Ledger::default(),
            awaited: 0,
            asked: false,
            settled: false,
            dirty: HashSet::new(),
            reading: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            read_at: None,
            told: Vec::new(),
            updates: Vec::new(),
            entries: Vec::new(),
        };
        Ok((watch, state))
    }

    /// Goes on until the service is gone. Returns why.
    pub(super) async fn run(mut self, desk: &mut Desk) -> Result<Error, WindowGone> {
        let mut head_start = std::pin::pin!(tokio::time::sleep(HEAD_START));
        loop {
            let pause = self.pause();
            let step = tokio::select! {
                message = self.messages.next() => self.message(message),
                Some(change) = self.changes.next() => {
                    self.property(change);
                    Ok(())
                }
                Some(read) = self.reading.next(), if !self.reading.is_empty() => self.took(read),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    self.read_dirty();
                    Ok(())
                }
                () = &mut head_start, if !self.asked => {
                    self.ask_for_interfaces();
                    Ok(())
                }
                command = desk.command() => {
                    self.command(command?, desk);
                    Ok(())
                }
            };
            if let Err(error) = step {
                return Ok(error);
            }
            self.fill(desk);
            self.settle();
            self.deliver(desk).await?;
        }
    }

    /// How long until changes are to be read.
    fn pause(&self) -> Option<Duration> {
        if self.dirty.is_empty() {
            return None;
        }
        let since = self.read_at.map_or(PACE, |at| at.elapsed());
        Some(PACE.saturating_sub(since))
    }

    /// A message of the service.
    fn message(&mut self, message: Option<mif::Result<Message>>) -> Result<(), Error> {
        let message = message.ok_or(Error::Closed(ClosedReason::BusLost))??;
        if let Message::Closed { reason } = message {
            return Err(Error::Closed(reason));
        }
        self.awaited -= 1;
        self.enter(&message);
        self.entries.extend(self.ledger.enter(&message, clock::since_1970(), !self.settled));
        Ok(())
    }

    /// What a message changes.
    fn enter(&mut self, message: &Message) {
        match message {
            Message::InterfaceAnnouncement { interface, .. } => {
                self.came(interface, Object::Interface(interface.clone()));
            }
            Message::ProvisioningDomainAnnouncement { pvd, .. } => {
                self.came(pvd, Object::Pvd(pvd.clone()));
            }
            Message::NoInterfaceAnnouncement { interface } => {
                self.gone(interface);
                self.updates.push(Update::InterfaceGone(interface.clone()));
            }
            Message::NoProvisioningDomainAnnouncement { pvd, .. } => {
                self.gone(pvd);
                self.updates.push(Update::PvdGone(pvd.clone()));
            }
            Message::ConfigurationElementAnnouncement { pvd, .. }
            | Message::NoConfigurationElementAnnouncement { pvd, .. }
            | Message::AddressAnnouncement { pvd, .. }
            | Message::NoAddressAnnouncement { pvd, .. }
                // What comes with the listing is read when the listing is complete.
                if self.known.get(pvd).is_some_and(|known| known.announced) =>
            {
                self.dirty.insert(Object::Pvd(pvd.clone()));
            }
            _ => {}
        }
    }

    fn came(&mut self, path: &OwnedObjectPath, object: Object) {
        if self.known.contains_key(path) {
            self.dirty.insert(object);
            return;
        }
        self.known.insert(path.clone(), Known::default());
        self.waiting.push_back(object);
    }

    fn gone(&mut self, path: &OwnedObjectPath) {
        self.known.remove(path);
        self.told.clear();
        self.dirty.remove(&Object::Interface(path.clone()));
        self.dirty.remove(&Object::Pvd(path.clone()));
    }

    fn property(&mut self, change: PropertyChange) {
        match change {
            // Its announcement is under way, or it is read soon anyway.
            PropertyChange::Interface(path) if !self.known.contains_key(&path) => {}
            PropertyChange::Interface(path) => drop(self.dirty.insert(Object::Interface(path))),
            _ => drop(self.dirty.insert(Object::Manager)),
        }
    }

    fn command(&mut self, command: Command, desk: &mut Desk) {
        match command {
            Command::Show(path) => {
                if let Some(path) = &path {
                    self.read_now(path, true);
                }
                desk.show(path);
            }
            Command::Refresh(path) => self.read_now(&path, desk.shown() == Some(&path)),
            Command::Try { run, target, scope, pvds } => {
                desk.start_attempt(run, attempt::Request { target, scope, pvds });
            }
            Command::CancelTry => desk.cancel_attempt(),
            // It is connected.
            Command::Retry => {}
            Command::Drawn => self.ask_for_interfaces(),
        }
    }

    fn read_now(&mut self, path: &OwnedObjectPath, shown: bool) {
        if self.known.get(path).is_some_and(|known| known.announced) {
            self.reading.push(read_pvd(self.connection.clone(), path.clone(), shown).boxed());
        }
    }

    /// Has everything listed, once.
    fn ask_for_interfaces(&mut self) {
        if std::mem::replace(&mut self.asked, true) {
            return;
        }
        let subscriber = self.subscriber.clone();
        let ask = async move {
            let listed = subscriber.announce_interfaces().await?;
            Ok(Read { listed, ..Read::default() })
        };
        self.reading.push(ask.boxed());
    }

    /// Begins to read what has changed.
    fn read_dirty(&mut self) {
        self.read_at = Some(Instant::now());
        self.waiting.extend(self.dirty.drain());
    }

    /// Sees whether all is listed that was there when the watch began: from then on things are new.
    fn settle(&mut self) {
        let listed = self.asked && self.awaited <= 0 && self.reading.is_empty() && self.waiting.is_empty();
        if listed && !self.settled {
            self.settled = true;
            // What went between the reading of the state and the listing is in neither.
            self.updates.push(Update::Listed(self.known.keys().cloned().collect()));
        }
    }

    /// Keeps as many reads going as are useful.
    fn fill(&mut self, desk: &Desk) {
        while self.reading.len() < AT_ONCE {
            let Some(object) = self.waiting.pop_front() else { return };
            let read = self.read(object, desk);
            self.reading.extend(read);
        }
    }

    /// Reads an object. One that was just announced is asked for its announcements first, so that no later change
    /// is missed.
    fn read(&mut self, object: Object, desk: &Desk) -> Option<BoxFuture<'static, mif::Result<Read>>> {
        let connection = self.connection.clone();
        let subscriber = self.subscriber.clone();
        let read = match object {
            Object::Manager => read_manager(connection).boxed(),
            Object::Interface(path) => {
                let new = !self.known.get(&path)?.announced;
                read_interface(connection, new.then_some(subscriber), path).boxed()
            }
            Object::Pvd(path) => {
                let new = !self.known.get(&path)?.announced;
                let shown = desk.shown() == Some(&path);
                let announce = announce_pvd(new.then_some(subscriber), path.clone());
                async move {
                    let listed = announce.await?;
                    Ok(Read { listed, ..read_pvd(connection, path, shown).await? })
                }
                .boxed()
            }
        };
        Some(read.map(|outcome| outcome.or_else(gone_is_no_error)).boxed())
    }

    /// Something was read.
    fn took(&mut self, read: mif::Result<Read>) -> Result<(), Error> {
        let read = read?;
        self.awaited += i64::from(read.listed);
        if matches!(*read.updates, [.., Update::Elements(..)]) {
            if read.updates == self.told {
                return Ok(());
            }
            self.told.clone_from(&read.updates);
        }
        for update in read.updates {
            // What has gone meanwhile does not come back.
            let known = match &update {
                Update::Interface(interface) => self.known.get_mut(&interface.path),
                Update::Pvd(pvd, _) => self.known.get_mut(&pvd.path),
                Update::Elements(path, _) => self.known.get_mut(path),
                _ => {
                    self.updates.push(update);
                    continue;
                }
            };
            if let Some(known) = known {
                known.announced = true;
                self.updates.push(update);
            }
        }
        Ok(())
    }

    /// Hands over what is there, the changes of one moment together.
    async fn deliver(&mut self, desk: &Desk) -> Result<(), WindowGone> {
        if !self.updates.is_empty() && (self.reading.is_empty() || self.updates.len() >= 2 * AT_ONCE) {
            desk.tell(Event::Changed(std::mem::take(&mut self.updates))).await?;
        }
        if !self.entries.is_empty() && self.messages_are_read() {
            desk.tell(Event::Announced(std::mem::take(&mut self.entries))).await?;
        }
        Ok(())
    }

    fn messages_are_read(&self) -> bool {
        self.entries.len() >= 256 || self.waiting.is_empty()
    }
}

/// Reads what is shown first, so that a window can begin with all that it shows. What fails is read again later.
pub(super) async fn first(connection: &Connection, state: &State) -> Vec<Update> {
    let Some(path) = network::first(state) else { return Vec::new() };
    read_pvd(connection.clone(), path.clone(), true).await.unwrap_or_default().updates
}

/// Asks for the announcements of a PvD that is new.
async fn announce_pvd(subscriber: Option<Subscriber>, path: OwnedObjectPath) -> mif::Result<u32> {
    let Some(subscriber) = subscriber else { return Ok(0) };
    let elements = subscriber.announce_configuration_elements(&path);
    let addresses = subscriber.announce_addresses(&path);
    let (elements, addresses) = futures_util::future::try_join(elements, addresses).await?;
    Ok(elements + addresses)
}

async fn read_pvd(connection: Connection, path: OwnedObjectPath, shown: bool) -> mif::Result<Read> {
    let proxy = ProvisioningDomainProxy::builder(&connection)
        .path(path.clone())
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .map_err(mif::Error::from)?;
    let all = async {
        let told = proxy.get_all_configuration_data(mif::names::ANY_ELEMENT).await;
        told.map(|told| values(&told)).map_err(mif::Error::from)
    };
    let read = futures_util::future::try_join(ProvisioningDomain::read(&connection, &path), all).await;
    let (pvd, any): (ProvisioningDomain, Values) = match read {
        Ok(read) => read,
        Err(error) => return gone_is_no_error(error),
    };
    let mut updates = Vec::with_capacity(2);
    let mut by_element = ValuesByElement::new();
    if shown {
        let told = pvd.elements.iter().map(|element| proxy.get_all_configuration_data(element.as_str()));
        let told = futures_util::future::join_all(told).await;
        // One that went meanwhile has no values.
        let told = pvd.elements.iter().zip(told).filter_map(|(element, told)| Some((element, told.ok()?)));
        by_element.extend(told.map(|(element, told)| (element.clone(), values(&told))));
        updates.push(Update::Elements(path, by_element));
    }
    updates.insert(0, Update::Pvd(Box::new(pvd), any));
    Ok(Read { updates, listed: 0 })
}

async fn read_interface(
    connection: Connection,
    subscriber: Option<Subscriber>,
    path: OwnedObjectPath,
) -> mif::Result<Read> {
    let interface = Interface::read(&connection, &path).await?;
    let listed = match subscriber {
        Some(subscriber) => subscriber.announce_provisioning_domains(&path).await?,
        None => 0,
    };
    Ok(Read { updates: vec![Update::Interface(interface)], listed })
}

async fn read_manager(connection: Connection) -> mif::Result<Read> {
    let manager = ManagerProxy::builder(&connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .map_err(mif::Error::from)?;
    let defaults = manager.default_provisioning_domains().await?;
    let startup = manager.startup().await?;
    Ok(Read { updates: vec![Update::Manager { defaults, startup }], listed: 0 })
}

/// That an object has gone is told by a message; a call that comes too late for it is no failure.
fn gone_is_no_error(error: mif::Error) -> mif::Result<Read> {
    match error.kind() {
        Some(
            ErrorKind::UnknownObject
            | ErrorKind::NoSuchPvd
            | ErrorKind::PvdGone
            | ErrorKind::NoSuchInterface
            | ErrorKind::UnknownMethod,
        ) => Ok(Read::default()),
        _ => Err(error),
    }
}
