//! What there is at the moment of an Announce call, told one item at a time from a frozen snapshot, so that a
//! listing of thousands costs memory for one.

use crate::announcement::Announcement;
use crate::pvd::Serial;
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// What a subscriber can ask to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// All interfaces.
    Interfaces,
    /// The provisioning domains of this interface.
    Pvds(Serial),
    /// The configuration elements of this provisioning domain.
    Elements(Serial),
    /// The addresses of this provisioning domain.
    Addresses(Serial),
}

/// The items of a topic at one moment.
#[derive(Clone, Debug)]
pub struct Listing {
    topic: Topic,
    snapshot: Snapshot,
    told: usize,
    last: Option<Serial>,
}

impl Listing {
    pub(super) const fn new(topic: Topic, snapshot: Snapshot) -> Self {
        Self { topic, snapshot, told: 0, last: None }
    }

    /// What it lists.
    pub const fn topic(&self) -> Topic {
        self.topic
    }

    /// How many items it has in all.
    pub fn count(&self) -> u32 {
        let count = match self.topic {
            Topic::Interfaces => self.snapshot.interface_count(),
            Topic::Pvds(interface) => self
                .snapshot
                .interface(interface)
                .map_or(0, |interface| self.snapshot.pvds_of(interface).count()),
            Topic::Elements(pvd) => self.snapshot.pvd(pvd).map_or(0, |pvd| pvd.elements.len()),
            Topic::Addresses(pvd) => self.snapshot.pvd(pvd).map_or(0, |pvd| pvd.usable_addresses().count()),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The next item.
    pub fn next_item<E>(&mut self) -> Option<Announcement<E>> {
        let announcement = match self.topic {
            Topic::Interfaces => {
                let interface = self.snapshot.interface_after(self.last)?;
                self.last = Some(interface.serial);
                Announcement::Interface(Arc::clone(interface))
            }
            Topic::Pvds(interface) => {
                let interface = self.snapshot.interface(interface)?;
                let pvd = self.snapshot.pvds_of(interface).nth(self.told)?;
                Announcement::Pvd(Arc::clone(pvd))
            }
            Topic::Elements(pvd) => {
                let element = self.snapshot.pvd(pvd)?.elements.keys().nth(self.told)?;
                Announcement::Element(pvd, *element)
            }
            Topic::Addresses(pvd) => {
                let address = self.snapshot.pvd(pvd)?.usable_addresses().nth(self.told)?;
                Announcement::Address(pvd, address.clone())
            }
        };
        self.told += 1;
        Some(announcement)
    }
}
