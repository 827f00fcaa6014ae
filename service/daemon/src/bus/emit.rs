//! What waits in the outbox as messages: broadcasts, the draft's messages to a subscriber, replies.

use super::convert;
use super::error::BusError;
use super::wire::{Body, Fields, Signal};
use super::work::SubscriberKey;
use super::{Address, Bus, path, properties};
use mif_core::announcement::Announcement;
use mif_core::broadcast::{Broadcast, Object, ObjectId};
use mif_core::outbox::Outgoing;
use std::collections::BTreeMap;
use zbus::Message;

const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

impl Bus {
    /// The message to send; `None` when the subscriber it was for is no more.
    pub(super) fn message_of(
        &self,
        outgoing: Outgoing<SubscriberKey, Message, BusError, Broadcast>,
    ) -> Option<Message> {
        match outgoing {
            Outgoing::Reply(_, reply) => Some(reply),
            Outgoing::Broadcast(broadcast) => logged(broadcast_message(&broadcast)),
            Outgoing::Announcement(key, announcement) => {
                let live = self.subscribers.get(&key).map(|entry| &entry.address);
                let address = live.or_else(|| self.closing.get(&key))?;
                logged(address.message(&announcement))
            }
        }
    }
}

/// What cannot be written as a message is a defect of ours: said once a case, and never the end of the service.
fn logged(message: zbus::Result<Message>) -> Option<Message> {
    message.inspect_err(|error| tracing::error!(%error, "a message could not be written")).ok()
}

fn broadcast_message(broadcast: &Broadcast) -> zbus::Result<Message> {
    match broadcast {
        Broadcast::Added(object) => {
            let (id, fields) = match object {
                Object::Root(_) => (ObjectId::Root, Fields::new()),
                Object::Interface(view) => (ObjectId::Interface(view.serial), properties::interface(view)),
                Object::Pvd(view) => (ObjectId::Pvd(view.serial), properties::pvd(view)),
            };
            let interfaces = BTreeMap::from([(properties::interface_name(id), fields)]);
            let signal = Signal { path: path::ROOT, interface: OBJECT_MANAGER, member: "InterfacesAdded" };
            signal.broadcast(&(path::of(id), interfaces))
        }
        Broadcast::Removed(id) => {
            let signal = Signal { path: path::ROOT, interface: OBJECT_MANAGER, member: "InterfacesRemoved" };
            signal.broadcast(&(path::of(*id), [properties::interface_name(*id)].as_slice()))
        }
        Broadcast::Changed(object, changed) => {
            let id = match object {
                Object::Root(_) => ObjectId::Root,
                Object::Interface(view) => ObjectId::Interface(view.serial),
                Object::Pvd(view) => ObjectId::Pvd(view.serial),
            };
            let fields = properties::changed(object, *changed);
            let invalidated: [&str; 0] = [];
            let path = path::of(id);
            let signal = Signal { path: path.as_str(), interface: PROPERTIES, member: "PropertiesChanged" };
            signal.broadcast(&(properties::interface_name(id), fields, invalidated.as_slice()))
        }
    }
}

/// The messages of one subscriber.
impl Address {
    /// The draft's message as a signal (3.5.3 to 3.5.22).
    pub(super) fn message(&self, announcement: &Announcement<BusError>) -> zbus::Result<Message> {
        match announcement {
            Announcement::Interface(view) => {
                let details = convert::interface_announcement(view);
                let body = (path::interface(view.serial), view.display_name.as_str(), details);
                self.signal("InterfaceAnnouncement", &body)
            }
            Announcement::NoInterface(serial) => {
                self.signal("NoInterfaceAnnouncement", &(path::interface(*serial),))
            }
            Announcement::Pvd(view) => {
                let body = (
                    path::interface(view.interface),
                    path::pvd(view.serial),
                    convert::pvd_announcement(view),
                );
                self.signal("ProvisioningDomainAnnouncement", &body)
            }
            Announcement::NoPvd(view) => {
                let body = (path::interface(view.interface), path::pvd(view.serial));
                self.signal("NoProvisioningDomainAnnouncement", &body)
            }
            Announcement::Element(pvd, element) => {
                let body = (path::pvd(*pvd), element.word(), Fields::new());
                self.signal("ConfigurationElementAnnouncement", &body)
            }
            Announcement::NoElement(pvd, element) => {
                self.signal("NoConfigurationElementAnnouncement", &(path::pvd(*pvd), element.word()))
            }
            Announcement::Address(pvd, address) => {
                let body = (
                    path::pvd(*pvd),
                    address.address.to_string(),
                    address.prefix_length,
                    convert::deadline(address.preferred_until),
                    convert::deadline(address.valid_until),
                    convert::address(address),
                );
                self.signal("AddressAnnouncement", &body)
            }
            Announcement::NoAddress(pvd, address) => {
                self.signal("NoAddressAnnouncement", &(path::pvd(*pvd), address.to_string()))
            }
            Announcement::NameTranslation(..)
            | Announcement::TranslationFinished(..)
            | Announcement::Connected(..)
            | Announcement::NotConnected(..)
            | Announcement::Closed(_) => self.outcome(announcement),
        }
    }

    /// The messages that work ends with.
    fn outcome(&self, announcement: &Announcement<BusError>) -> zbus::Result<Message> {
        match announcement {
            Announcement::NameTranslation(id, answer) => {
                self.signal("NameTranslation", &(*id, answer.address.to_string(), convert::answer(answer)))
            }
            Announcement::TranslationFinished(id, Ok(end)) => {
                self.signal("TranslationFinished", &(*id, "", convert::translation_end(end)))
            }
            Announcement::TranslationFinished(id, Err(error)) => {
                self.signal("TranslationFinished", &(*id, error.name.full(), convert::failure(error)))
            }
            Announcement::Connected(id, details) => {
                self.signal("Connected", &(*id, convert::connection(details)))
            }
            Announcement::NotConnected(id, error) => {
                let body = (*id, error.name.full(), error.message.as_str(), convert::failure(error));
                self.signal("NotConnected", &body)
            }
            Announcement::Closed(reason) => self.signal("Closed", &(reason.word(), Fields::new())),
            Announcement::Interface(_)
            | Announcement::NoInterface(_)
            | Announcement::Pvd(_)
            | Announcement::NoPvd(_)
            | Announcement::Element(..)
            | Announcement::NoElement(..)
            | Announcement::Address(..)
            | Announcement::NoAddress(..) => self.message(announcement),
        }
    }

    fn signal(&self, member: &'static str, body: &dyn Body) -> zbus::Result<Message> {
        Signal { path: self.path.as_str(), interface: properties::SUBSCRIBER, member }.to(&self.client, body)
    }
}
