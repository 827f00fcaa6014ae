//! What a subscriber hears, in a form that can be compared and sorted.

use mif_core::BootTime;
use mif_core::announcement::{Announcement, CloseReason};
use mif_core::configuration::Element;
use mif_core::pvd::{AddressState, Interface, Pvd, PvdAddress, Serial};
use std::net::IpAddr;
use std::time::Duration;

/// Why work failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    PvdGone,
    NotClaimed,
    Network,
}

/// One message to one subscriber.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    Interface(Serial, String),
    NoInterface(Serial),
    Pvd {
        pvd: Serial,
        interface: Serial,
        id: String,
    },
    NoPvd {
        pvd: Serial,
        interface: Serial,
    },
    Element(Serial, Element),
    NoElement(Serial, Element),
    Address(Serial, Said),
    NoAddress(Serial, IpAddr),
    NameTranslation(u32),
    TranslationFinished(u32, Result<(), Failure>),
    Connected(u32),
    NotConnected(u32, Failure),
    Closed,
    /// The reply to the call of this number; listings say how many items there were.
    Reply(u32, Option<u32>),
}

/// What an Address Announcement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    pub address: IpAddr,
    pub state: AddressState,
    pub preferred: BootTime,
    pub valid: BootTime,
}

impl Word {
    pub fn interface(interface: &Interface) -> Self {
        Self::Interface(interface.serial, interface.name.clone())
    }

    pub fn pvd(pvd: &Pvd) -> Self {
        Self::Pvd { pvd: pvd.serial, interface: pvd.interface, id: pvd.id.clone() }
    }

    pub fn no_pvd(pvd: &Pvd) -> Self {
        Self::NoPvd { pvd: pvd.serial, interface: pvd.interface }
    }

    pub fn address(pvd: &Pvd, address: &PvdAddress) -> Self {
        Self::Address(pvd.serial, Said::of(address))
    }
}

impl Said {
    pub fn of(address: &PvdAddress) -> Self {
        let PvdAddress { address, state, preferred_until: preferred, valid_until: valid, .. } = *address;
        Self { address, state, preferred, valid }
    }

    /// O6: whether this is worth saying to somebody who knows `self`, at its latest, and is shown `now`.
    pub fn is_outdated_by(&self, now: &Self) -> bool {
        let earlier = |known: BootTime, now: BootTime| now.after(Duration::from_secs(2)) < known;
        self.state != now.state || earlier(self.preferred, now.preferred) || earlier(self.valid, now.valid)
    }

    /// O6: deadlines may move later unannounced.
    pub fn moved_later_to(&mut self, now: &Self) {
        self.preferred = self.preferred.max(now.preferred);
        self.valid = self.valid.max(now.valid);
    }
}

impl From<&Announcement<Failure>> for Word {
    fn from(announcement: &Announcement<Failure>) -> Self {
        match announcement {
            Announcement::Interface(interface) => Self::interface(interface),
            Announcement::NoInterface(interface) => Self::NoInterface(*interface),
            Announcement::Pvd(pvd) => Self::pvd(pvd),
            Announcement::NoPvd(pvd) => Self::no_pvd(pvd),
            Announcement::Element(pvd, element) => Self::Element(*pvd, *element),
            Announcement::NoElement(pvd, element) => Self::NoElement(*pvd, *element),
            Announcement::Address(pvd, address) => Self::Address(*pvd, Said::of(address)),
            Announcement::NoAddress(pvd, address) => Self::NoAddress(*pvd, *address),
            Announcement::NameTranslation(id, _) => Self::NameTranslation(*id),
            Announcement::TranslationFinished(id, end) => {
                Self::TranslationFinished(*id, end.as_ref().map(drop).map_err(|failure| *failure))
            }
            Announcement::Connected(id, _) => Self::Connected(*id),
            Announcement::NotConnected(id, failure) => Self::NotConnected(*id, *failure),
            Announcement::Closed(CloseReason::Requested) => Self::Closed,
            Announcement::Closed(other) => panic!("nobody ends a subscriber here for {other:?}"),
        }
    }
}
