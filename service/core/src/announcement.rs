//! The messages of the draft that go to a subscriber (3.5), with everything that their text needs inside.

use crate::configuration::Element;
use crate::plan::{Answer, TranslationEnd};
use crate::pvd::{Interface, Pvd, PvdAddress, Serial};
use std::net::IpAddr;
use std::sync::Arc;

/// One message to one subscriber.
#[derive(Clone, Debug, PartialEq)]
pub enum Announcement<E> {
    /// Interface Announcement (3.5.3).
    Interface(Arc<Interface>),
    /// No Interface Announcement (3.5.4).
    NoInterface(Serial),
    /// Provisioning Domain Announcement (3.5.7).
    Pvd(Arc<Pvd>),
    /// No Provisioning Domain Announcement (3.5.8).
    NoPvd(Arc<Pvd>),
    /// Configuration Element Announcement (3.5.10).
    Element(Serial, Element),
    /// No Configuration Element Announcement (3.5.11).
    NoElement(Serial, Element),
    /// Address Announcement (3.5.13).
    Address(Serial, PvdAddress),
    /// No Address Announcement (3.5.14).
    NoAddress(Serial, IpAddr),
    /// Name Translation (3.5.18): one address of the translation with this identifier.
    NameTranslation(u32, Answer),
    /// The translation with this identifier is over (not in the draft, which leaves it open).
    TranslationFinished(u32, Result<TranslationEnd, E>),
    /// Connected (3.5.21): the token waits to be taken.
    Connected(u32, ConnectionDetails),
    /// Not Connected (3.5.22).
    NotConnected(u32, E),
    /// The subscriber is no more (not in the draft).
    Closed(CloseReason),
}

/// What is known of an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionDetails {
    /// The source address that was used.
    pub local_address: IpAddr,
    /// The local port.
    pub local_port: u16,
    /// The address at the other end: behind a NAT64 not the one that was asked for.
    pub remote_address: IpAddr,
    /// How long the handshake took, in microseconds.
    pub handshake_us: u32,
}

/// Why a subscriber is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It asked for it.
    Requested,
    /// It did not read fast enough (O8).
    Overrun,
    /// The service stops.
    Shutdown,
}

impl CloseReason {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Overrun => "overrun",
            Self::Shutdown => "shutdown",
        }
    }
}
