//! What somebody knows who hears the broadcasts in the order in which they are sent, and what a subscriber may
//! be told at that moment (O3, O4, O5 across the two).

use crate::word::Word;
use mif_core::broadcast::{Broadcast, Object, ObjectId, Properties};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use std::collections::BTreeMap;

/// The objects of the bus as told.
#[derive(Debug, Default)]
pub struct Hearsay {
    /// Interfaces with the provisioning domains that they list.
    interfaces: BTreeMap<Serial, Vec<Serial>>,
    /// Provisioning domains and their interfaces.
    pvds: BTreeMap<Serial, Serial>,
}

impl Hearsay {
    /// Asked for everything at the moment of `snapshot`.
    pub fn of(snapshot: &Snapshot) -> Self {
        let interfaces = snapshot.interfaces().map(|view| (view.serial, view.pvds.clone()));
        let pvds = snapshot.pvds().map(|view| (view.serial, view.interface));
        Self { interfaces: interfaces.collect(), pvds: pvds.collect() }
    }

    /// Hears a broadcast, which must make sense.
    pub fn hear(&mut self, broadcast: &Broadcast) {
        match broadcast {
            Broadcast::Added(Object::Interface(view)) => {
                assert!(view.pvds.is_empty(), "O3: {view:?} lists what is not there yet");
                assert!(self.interfaces.insert(view.serial, Vec::new()).is_none(), "added twice");
            }
            Broadcast::Added(Object::Pvd(view)) => {
                assert!(self.interfaces.contains_key(&view.interface), "O3: its interface is not there");
                assert!(self.pvds.insert(view.serial, view.interface).is_none(), "added twice");
            }
            Broadcast::Removed(ObjectId::Interface(serial)) => {
                let listed = self.interfaces.remove(serial).expect("removed, never added");
                assert_eq!(listed, [], "O5: removed while it listed");
                assert!(!self.pvds.values().any(|interface| interface == serial), "O5: outlived");
            }
            Broadcast::Removed(ObjectId::Pvd(serial)) => {
                let interface = self.pvds.remove(serial).expect("removed, never added");
                assert!(!self.interfaces[&interface].contains(serial), "O4: removed while it was listed");
            }
            Broadcast::Changed(object, changed) => self.hear_change(object, *changed),
            Broadcast::Added(Object::Root(_)) | Broadcast::Removed(ObjectId::Root) => {
                panic!("the root is always there")
            }
        }
    }

    /// A subscriber is told `word` now.
    pub fn allow(&self, word: &Word) {
        match word {
            Word::Interface(interface, _) => assert!(self.has_interface(interface), "O3: {word:?} too early"),
            Word::NoInterface(interface) => {
                let listed = self.interfaces.get(interface).expect("O5: NoInterface after InterfacesRemoved");
                assert_eq!(*listed, [], "O5: NoInterface before the list is empty");
                let left = self.pvds.values().any(|of| of == interface);
                assert!(!left, "O5: NoInterface before its provisioning domains are gone");
            }
            Word::Pvd { pvd, interface, .. } => {
                assert!(self.is_listed(pvd), "O3: {word:?} too early");
                assert_eq!(self.pvds[pvd], *interface);
            }
            Word::NoPvd { pvd, .. }
            | Word::Element(pvd, _)
            | Word::NoElement(pvd, _)
            | Word::Address(pvd, _)
            | Word::NoAddress(pvd, _) => assert!(self.is_listed(pvd), "O4: {word:?} too late (or too early)"),
            Word::NameTranslation(_)
            | Word::TranslationFinished(..)
            | Word::Connected(_)
            | Word::NotConnected(..)
            | Word::Closed
            | Word::Reply(..) => {}
        }
    }

    /// Work on `pvd` ended because it is gone: told now.
    pub fn allow_end_on(&self, pvd: Serial) {
        assert!(self.is_listed(&pvd), "O4: the end of work on {pvd} is told after its object went");
    }

    /// Everything is sent: it must be what `snapshot` shows.
    pub fn compare(&self, snapshot: &Snapshot) {
        let truth = Self::of(snapshot);
        assert_eq!(self.interfaces, truth.interfaces, "interfaces and lists as told, and as they are");
        assert_eq!(self.pvds, truth.pvds, "provisioning domains as told, and as they are");
    }

    fn hear_change(&mut self, object: &Object, changed: Properties) {
        assert!(!changed.is_empty(), "O7: told of nothing");
        match object {
            Object::Interface(view) => {
                assert!(self.has_interface(&view.serial), "O7: {view:?} is not there");
                if changed.contains(Properties::PROVISIONING_DOMAINS) {
                    let unknown = view.pvds.iter().find(|pvd| !self.pvds.contains_key(pvd));
                    assert_eq!(unknown, None, "O3: listed before it was added, or after it was removed");
                    self.interfaces.insert(view.serial, view.pvds.clone());
                }
            }
            Object::Pvd(view) => {
                assert!(self.pvds.contains_key(&view.serial), "O7: {view:?} is not there");
            }
            Object::Root(snapshot) => {
                let unknown = snapshot.defaults().iter().find(|pvd| !self.pvds.contains_key(pvd));
                assert_eq!(unknown, None, "O3: a default before it was added, or after it was removed");
            }
        }
    }

    fn has_interface(&self, interface: &Serial) -> bool {
        self.interfaces.contains_key(interface)
    }

    fn is_listed(&self, pvd: &Serial) -> bool {
        self.pvds.get(pvd).is_some_and(|interface| self.interfaces[interface].contains(pvd))
    }
}
