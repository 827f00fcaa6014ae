//! Changes: what became different, in the order in which everybody must hear of it (contract, O3 to O6).
//!
//! Appearance: the object, the list that names it, the announcement. Disappearance: the announcements (the last
//! words of everything below first), the list, the object. Each consumer takes what concerns it, in this order.

use crate::configuration::Element;
use crate::pvd::{Interface, Pvd, PvdAddress};
use crate::snapshot::Defaults;
use std::net::IpAddr;
use std::sync::Arc;

/// One change. "Broadcast" is for everybody on the bus, "unicast" for the subscribers that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Broadcast: a new interface, its list of provisioning domains still empty. Then unicast: announced.
    InterfaceAdded(Arc<Interface>),
    /// Broadcast: values of an interface other than its list.
    InterfaceChanged {
        /// As it was.
        old: Arc<Interface>,
        /// As it is.
        new: Arc<Interface>,
    },
    /// Broadcast, at once: the list of provisioning domains of an interface.
    PvdsListed(Arc<Interface>),
    /// Unicast: a provisioning domain is gone, with all that was announced of it.
    PvdWithdrawn(Arc<Pvd>),
    /// Broadcast: its object is gone.
    PvdRemoved(Arc<Pvd>),
    /// Broadcast: the object of a new provisioning domain.
    PvdAdded(Arc<Pvd>),
    /// Unicast: a new provisioning domain can be used.
    PvdAnnounced(Arc<Pvd>),
    /// Unicast and broadcast: values of a provisioning domain.
    PvdChanged(Arc<PvdDelta>),
    /// Unicast: an interface is gone.
    InterfaceWithdrawn(Arc<Interface>),
    /// Broadcast: its object is gone.
    InterfaceRemoved(Arc<Interface>),
    /// Broadcast: what programs that know nothing of provisioning domains use.
    DefaultsChanged(Defaults),
    /// Broadcast: all links that were up at start are settled.
    StartupFinished,
}

/// What is different in a provisioning domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PvdDelta {
    /// As it was.
    pub old: Arc<Pvd>,
    /// As it is.
    pub new: Arc<Pvd>,
    /// Address announcements to make, addresses that went first.
    pub addresses: Vec<AddressChange>,
    /// Configuration element announcements to make, elements that went first.
    pub elements: Vec<ElementChange>,
}

/// An address announcement to make (the draft, 3.5.13 and 3.5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressChange {
    /// Announce it: new, or changed in a way that is news (O6).
    Announce(PvdAddress),
    /// It was announced and is no more.
    Withdraw(IpAddr),
}

/// A configuration element announcement to make (the draft, 3.5.10 and 3.5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementChange {
    /// Announce it: new, or a value in it other than a time is different (O6).
    Announce(Element),
    /// It was announced and is no more.
    Withdraw(Element),
}
