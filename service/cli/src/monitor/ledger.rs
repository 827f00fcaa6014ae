//! What has been announced: turns messages into events with the names of what they are about.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use mif::Message;
use mif::wire::Element;
use zbus::OwnedObjectPath;

use super::event::{AddressEvent, Change, Event, InterfaceEvent, PvdEvent, Subject};

/// The interfaces and PvDs announced and not gone, by path.
#[derive(Debug, Default)]
pub struct Ledger {
    interfaces: HashMap<OwnedObjectPath, InterfaceEvent>,
    pvds: HashMap<OwnedObjectPath, Known>,
}

#[derive(Debug)]
struct Known {
    pvd: PvdEvent,
    elements: HashSet<Element>,
    addresses: HashMap<IpAddr, u8>,
}

impl Ledger {
    /// Whether this interface or PvD is announced.
    pub fn knows(&self, path: &OwnedObjectPath) -> bool {
        self.interfaces.contains_key(path) || self.pvds.contains_key(path)
    }

    /// How many interfaces and PvDs there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.interfaces.len(), self.pvds.len())
    }

    /// Enters a message; the event to be shown, if it is about something that was announced.
    pub fn enter(&mut self, message: Message) -> Option<Event> {
        match message {
            Message::InterfaceAnnouncement { interface, display_name, details } => {
                let entry = InterfaceEvent {
                    interface: interface.clone(),
                    name: details.name.unwrap_or_else(|| display_name.clone()),
                    display_name,
                    kind: details.kind,
                };
                let known = self.interfaces.insert(interface, entry.clone()).is_some();
                Some(Event::Interface(Change::came(known), entry))
            }
            Message::NoInterfaceAnnouncement { interface } => {
                let entry = self.interfaces.remove(&interface)?;
                Some(Event::Interface(Change::Removed, entry))
            }
            Message::ProvisioningDomainAnnouncement { interface, pvd, details } => {
                let entry = PvdEvent {
                    on: self.interfaces.get(&interface).map(|it| it.name.clone()).unwrap_or_default(),
                    id: details.id.unwrap_or_else(|| pvd.to_string()),
                    origin: details.origin,
                    family: details.family,
                    interface,
                    pvd: pvd.clone(),
                };
                Some(self.pvd_came(pvd, entry))
            }
            Message::NoProvisioningDomainAnnouncement { pvd, .. } => {
                let known = self.pvds.remove(&pvd)?;
                Some(Event::ProvisioningDomain(Change::Removed, known.pvd))
            }
            inside => self.enter_inside(inside),
        }
    }

    fn pvd_came(&mut self, path: OwnedObjectPath, entry: PvdEvent) -> Event {
        if let Some(known) = self.pvds.get_mut(&path) {
            known.pvd = entry.clone();
            return Event::ProvisioningDomain(Change::Changed, entry);
        }
        let known = Known { pvd: entry.clone(), elements: HashSet::new(), addresses: HashMap::new() };
        self.pvds.insert(path, known);
        Event::ProvisioningDomain(Change::Added, entry)
    }

    /// Configuration elements and addresses of a PvD.
    fn enter_inside(&mut self, message: Message) -> Option<Event> {
        match message {
            Message::ConfigurationElementAnnouncement { pvd, element } => {
                let known = self.pvds.get_mut(&pvd)?;
                let change = Change::came(!known.elements.insert(element.clone()));
                Some(Event::Element(change, Subject::of(&known.pvd), element))
            }
            Message::NoConfigurationElementAnnouncement { pvd, element } => {
                let known = self.pvds.get_mut(&pvd)?;
                known.elements.remove(&element);
                Some(Event::Element(Change::Removed, Subject::of(&known.pvd), element))
            }
            Message::AddressAnnouncement { pvd, address, prefix_length, preferred_until, valid_until } => {
                let known = self.pvds.get_mut(&pvd)?;
                let change = Change::came(known.addresses.insert(address, prefix_length).is_some());
                let lifetimes = Some((preferred_until, valid_until));
                let event = AddressEvent { address, prefix_length: Some(prefix_length), lifetimes };
                Some(Event::Address(change, Subject::of(&known.pvd), event))
            }
            Message::NoAddressAnnouncement { pvd, address } => {
                let known = self.pvds.get_mut(&pvd)?;
                let prefix_length = known.addresses.remove(&address);
                let event = AddressEvent { address, prefix_length, lifetimes: None };
                Some(Event::Address(Change::Removed, Subject::of(&known.pvd), event))
            }
            // Answers to requests, which monitor does not make, and what later versions add.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use mif::wire::{Deadline, Family, InterfaceDetails, Origin, PvdDetails};

    fn path(text: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(text).unwrap()
    }

    fn interface() -> Message {
        Message::InterfaceAnnouncement {
            interface: path("/i/1"),
            display_name: "Office".into(),
            details: InterfaceDetails { name: Some("eth0".into()), ..Default::default() },
        }
    }

    fn pvd() -> Message {
        Message::ProvisioningDomainAnnouncement {
            interface: path("/i/1"),
            pvd: path("/p/1"),
            details: PvdDetails {
                id: Some("implicit:eth0:ipv4".into()),
                origin: Some(Origin::Implicit),
                family: Some(Family::Ipv4),
            },
        }
    }

    fn address() -> Message {
        Message::AddressAnnouncement {
            pvd: path("/p/1"),
            address: "192.0.2.10".parse().unwrap(),
            prefix_length: 24,
            preferred_until: Deadline::Never,
            valid_until: Deadline::Never,
        }
    }

    #[test]
    fn what_is_announced_twice_has_changed_and_names_are_remembered() {
        let mut ledger = Ledger::default();
        assert!(
            matches!(ledger.enter(interface()), Some(Event::Interface(Change::Added, it)) if it.name == "eth0")
        );
        assert!(
            matches!(ledger.enter(pvd()), Some(Event::ProvisioningDomain(Change::Added, it)) if it.on == "eth0")
        );
        assert!(matches!(ledger.enter(address()), Some(Event::Address(Change::Added, ..))));
        assert!(matches!(ledger.enter(address()), Some(Event::Address(Change::Changed, ..))));
        assert_eq!(ledger.counts(), (1, 1));

        let gone =
            Message::NoAddressAnnouncement { pvd: path("/p/1"), address: "192.0.2.10".parse().unwrap() };
        let Some(Event::Address(Change::Removed, subject, event)) = ledger.enter(gone) else { panic!() };
        assert_eq!((subject.id.as_str(), event.prefix_length), ("implicit:eth0:ipv4", Some(24)));
    }

    #[test]
    fn what_was_never_announced_cannot_go() {
        let mut ledger = Ledger::default();
        assert!(ledger.enter(Message::NoInterfaceAnnouncement { interface: path("/i/1") }).is_none());
        assert!(ledger.enter(address()).is_none());
    }
}
