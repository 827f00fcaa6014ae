//! One subscriber: what it asked to be told, and the work that is under way for it. A pure machine: calls,
//! changes and outcomes go in, announcements come out in the order of the contract (O1 to O6).

mod listing;
mod work;

pub use listing::{Listing, Topic};
pub use work::{Ended, WorkKind, WorkNumber};

use crate::announcement::{Announcement, ConnectionDetails};
use crate::change::{AddressChange, Change, ElementChange, PvdDelta};
use crate::plan::{Answer, TranslationEnd};
use crate::pvd::{Interface, Pvd, Serial};
use crate::snapshot::Snapshot;
use crate::time::BootTime;
use std::collections::BTreeSet;
use std::fmt;
use work::Works;

/// Why a call of a subscriber was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriberRefusal {
    /// The path names no interface, or one that is gone.
    NoSuchInterface(Serial),
    /// The path names no provisioning domain of this run of the service.
    NoSuchPvd(Serial),
    /// The provisioning domain is gone.
    PvdGone(Serial),
    /// The identifier is in use by work that is not over.
    IdInUse(WorkKind, u32),
    /// There is no connected socket under this identifier.
    NoSuchId(u32),
}

/// What a machine has to say: announcements in order, and work that is over.
#[derive(Debug)]
pub struct Output<E> {
    /// To be sent, in this order.
    pub announcements: Vec<Announcement<E>>,
    /// To be cancelled or cleaned up: nothing more of it is wanted.
    pub ended: Vec<Ended>,
}

/// What a piece of work came to, as told by whoever carried it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<E> {
    /// A translation has found an address.
    Answer(Answer),
    /// A translation is over.
    Translated(Result<TranslationEnd, E>),
    /// A connection is established, its socket kept until taken.
    Connected(ConnectionDetails),
    /// A connection failed.
    NotConnected(E),
}

/// The state of one subscriber. `E` is the error that ends work.
#[derive(Clone, Debug)]
pub struct Subscriber<E> {
    interfaces: bool,
    pvds: BTreeSet<Serial>,
    elements: BTreeSet<Serial>,
    addresses: BTreeSet<Serial>,
    works: Works,
    reasons: Reasons<E>,
}

/// The errors that the machine itself ends work with.
#[derive(Clone, Debug)]
pub struct Reasons<E> {
    /// The provisioning domain is gone (O4).
    pub pvd_gone: E,
    /// A connected socket was not taken in time.
    pub not_claimed: E,
}

impl<E: Clone> Subscriber<E> {
    /// A subscriber that has asked for nothing yet.
    pub fn new(reasons: Reasons<E>) -> Self {
        Self {
            interfaces: false,
            pvds: BTreeSet::new(),
            elements: BTreeSet::new(),
            addresses: BTreeSet::new(),
            works: Works::default(),
            reasons,
        }
    }

    /// Announce Interfaces, Provisioning Domains, Configuration Elements or Addresses (3.5.1, 3.5.5, 3.5.9,
    /// 3.5.12): what there is now, to be sent before the reply; from here on changes are announced.
    pub fn announce(&mut self, topic: Topic, snapshot: &Snapshot) -> Result<Listing, SubscriberRefusal> {
        match topic {
            Topic::Interfaces => self.interfaces = true,
            Topic::Pvds(interface) => {
                snapshot.interface(interface).ok_or(SubscriberRefusal::NoSuchInterface(interface))?;
                self.pvds.insert(interface);
            }
            Topic::Elements(pvd) => {
                find_pvd(snapshot, pvd)?;
                self.elements.insert(pvd);
            }
            Topic::Addresses(pvd) => {
                find_pvd(snapshot, pvd)?;
                self.addresses.insert(pvd);
            }
        }
        Ok(Listing::new(topic, snapshot.clone()))
    }

    /// Stop Announcing (3.5.2, 3.5.6). Stopping what was never asked for is nothing.
    pub fn stop_announcing(&mut self, topic: Topic) {
        match topic {
            Topic::Interfaces => self.interfaces = false,
            Topic::Pvds(interface) => drop(self.pvds.remove(&interface)),
            Topic::Elements(pvd) => drop(self.elements.remove(&pvd)),
            Topic::Addresses(pvd) => drop(self.addresses.remove(&pvd)),
        }
    }

    /// Whether work may be begun under `id` on `pvd` (Translate Name 3.5.16, Connect to Address 3.5.19).
    pub fn may_start(
        &self,
        kind: WorkKind,
        id: u32,
        pvd: Serial,
        snapshot: &Snapshot,
    ) -> Result<(), SubscriberRefusal> {
        if self.works.contains(kind, id) {
            return Err(SubscriberRefusal::IdInUse(kind, id));
        }
        find_pvd(snapshot, pvd).map(drop)
    }

    /// Notes that work under `id` on `pvd` has begun, as `number` (never used before).
    pub fn start(&mut self, kind: WorkKind, id: u32, pvd: Serial, number: WorkNumber) {
        self.works.start(kind, id, pvd, number);
    }

    /// Stop Translating Name (3.5.17) or Cancel Connection: nothing for this id follows. The work, if any.
    pub fn stop(&mut self, kind: WorkKind, id: u32) -> Option<Ended> {
        self.works.remove(kind, id)
    }

    /// Take Connection: the number of the work whose socket is to be handed over.
    pub fn take(&mut self, id: u32) -> Result<Ended, SubscriberRefusal> {
        self.works.take_connected(id).ok_or(SubscriberRefusal::NoSuchId(id))
    }

    /// Everything that is under way, which ends with the subscriber.
    pub fn close(&mut self) -> Vec<Ended> {
        self.works.drain()
    }

    /// Takes in what a piece of work came to. Of work that is no longer wanted, nothing is said.
    pub fn handle_outcome(
        &mut self,
        number: WorkNumber,
        outcome: Outcome<E>,
        unclaimed: BootTime,
    ) -> Output<E> {
        let mut output = Output::default();
        let Some((id, kind)) = self.works.find(number) else { return output };
        match outcome {
            Outcome::Answer(answer) => output.announcements.push(Announcement::NameTranslation(id, answer)),
            Outcome::Translated(end) => {
                output.ended.extend(self.works.remove(kind, id));
                output.announcements.push(Announcement::TranslationFinished(id, end));
            }
            Outcome::Connected(details) => {
                self.works.set_connected(id, unclaimed);
                output.announcements.push(Announcement::Connected(id, details));
            }
            Outcome::NotConnected(error) => {
                output.ended.extend(self.works.remove(kind, id));
                output.announcements.push(Announcement::NotConnected(id, error));
            }
        }
        output
    }

    /// Ends the connections that were not taken in time.
    pub fn handle_timeout(&mut self, now: BootTime) -> Output<E> {
        let mut output = Output::default();
        for (id, ended) in self.works.take_unclaimed(now) {
            output.ended.push(ended);
            output.announcements.push(Announcement::NotConnected(id, self.reasons.not_claimed.clone()));
        }
        output
    }

    /// When [`Subscriber::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<BootTime> {
        self.works.next_deadline()
    }

    /// Takes in a change of the state that listings were made from.
    pub fn handle_change(&mut self, change: &Change) -> Output<E> {
        let mut output = Output::default();
        match change {
            Change::InterfaceAdded(interface) if self.interfaces => {
                output.announcements.push(Announcement::Interface(std::sync::Arc::clone(interface)));
            }
            Change::InterfaceWithdrawn(interface) => self.lose_interface(interface, &mut output),
            Change::PvdAnnounced(pvd) if self.pvds.contains(&pvd.interface) => {
                output.announcements.push(Announcement::Pvd(std::sync::Arc::clone(pvd)));
            }
            Change::PvdWithdrawn(pvd) => self.lose_pvd(pvd, &mut output),
            Change::PvdChanged(delta) => self.change_pvd(delta, &mut output),
            Change::InterfaceAdded(_)
            | Change::PvdAnnounced(_)
            | Change::InterfaceChanged { .. }
            | Change::PvdsListed(_)
            | Change::PvdRemoved(_)
            | Change::PvdAdded(_)
            | Change::InterfaceRemoved(_)
            | Change::DefaultsChanged(_)
            | Change::StartupFinished => {}
        }
        output
    }

    /// O5: subscriptions to its provisioning domains end, also for those that never asked for interfaces.
    fn lose_interface(&mut self, interface: &Interface, output: &mut Output<E>) {
        self.pvds.remove(&interface.serial);
        if self.interfaces {
            output.announcements.push(Announcement::NoInterface(interface.serial));
        }
    }

    /// O4: work on it fails first, then everything announced of it is withdrawn, then the domain itself.
    fn lose_pvd(&mut self, pvd: &std::sync::Arc<Pvd>, output: &mut Output<E>) {
        for (id, ended) in self.works.take_on(pvd.serial) {
            let reason = self.reasons.pvd_gone.clone();
            output.announcements.push(match ended.kind {
                WorkKind::Translation => Announcement::TranslationFinished(id, Err(reason)),
                WorkKind::Connection => Announcement::NotConnected(id, reason),
            });
            output.ended.push(ended);
        }
        if self.addresses.remove(&pvd.serial) {
            let gone = pvd.usable_addresses().map(|address| address.address);
            output.announcements.extend(gone.map(|address| Announcement::NoAddress(pvd.serial, address)));
        }
        if self.elements.remove(&pvd.serial) {
            let gone = pvd.elements.keys().copied();
            output.announcements.extend(gone.map(|element| Announcement::NoElement(pvd.serial, element)));
        }
        if self.pvds.contains(&pvd.interface) {
            output.announcements.push(Announcement::NoPvd(std::sync::Arc::clone(pvd)));
        }
    }

    fn change_pvd(&mut self, delta: &PvdDelta, output: &mut Output<E>) {
        let serial = delta.new.serial;
        if self.elements.contains(&serial) {
            output.announcements.extend(delta.elements.iter().map(|change| match change {
                ElementChange::Announce(element) => Announcement::Element(serial, *element),
                ElementChange::Withdraw(element) => Announcement::NoElement(serial, *element),
            }));
        }
        if self.addresses.contains(&serial) {
            output.announcements.extend(delta.addresses.iter().map(|change| match change {
                AddressChange::Announce(address) => Announcement::Address(serial, address.clone()),
                AddressChange::Withdraw(address) => Announcement::NoAddress(serial, *address),
            }));
        }
    }
}

impl<E> Default for Output<E> {
    fn default() -> Self {
        Self { announcements: Vec::new(), ended: Vec::new() }
    }
}

fn find_pvd(snapshot: &Snapshot, pvd: Serial) -> Result<&std::sync::Arc<Pvd>, SubscriberRefusal> {
    snapshot.pvd(pvd).ok_or_else(|| {
        if snapshot.had_pvd(pvd) {
            SubscriberRefusal::PvdGone(pvd)
        } else {
            SubscriberRefusal::NoSuchPvd(pvd)
        }
    })
}

impl fmt::Display for SubscriberRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInterface(serial) => write!(
                formatter,
                "there is no interface {serial} (any more); GetManagedObjects names those that there are"
            ),
            Self::NoSuchPvd(serial) => write!(
                formatter,
                "there never was a provisioning domain {serial} in this run of the service; \
                 GetManagedObjects names those that there are"
            ),
            Self::PvdGone(serial) => write!(formatter, "provisioning domain {serial} is gone"),
            Self::IdInUse(kind, id) => write!(
                formatter,
                "{kind} id {id} is in use by a request that is not over; choose another one"
            ),
            Self::NoSuchId(id) => write!(
                formatter,
                "there is no connected socket under connection id {id}: it is not connected yet, or was \
                 taken, cancelled or closed"
            ),
        }
    }
}

impl std::error::Error for SubscriberRefusal {}
