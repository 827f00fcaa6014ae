//! A listener who builds the state out of nothing but the changes, and who insists on their order.
//!
//! It is the reference for O3 to O6 of the D-Bus contract: whoever makes it panic has told something too early,
//! too late, twice or not at all.

use super::listener_pvd::{HeardPvd, timeless};
use mif_core::assemble::carries;
use mif_core::change::{Change, PvdDelta};
use mif_core::engine::Batch;
use mif_core::pvd::{Interface, Pvd, Serial};
use mif_core::snapshot::{Defaults, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What everybody who heard every change knows.
#[derive(Debug)]
pub struct Listener {
    interfaces: BTreeMap<Serial, HeardInterface>,
    pvds: BTreeMap<Serial, HeardPvd>,
    defaults: Defaults,
    startup: bool,
    interface_serials: BTreeSet<Serial>,
    pvd_serials: BTreeSet<Serial>,
}

#[derive(Debug)]
struct HeardInterface {
    view: Interface,
    withdrawn: bool,
}

impl Listener {
    /// Has heard nothing.
    pub fn new() -> Self {
        Self {
            interfaces: BTreeMap::new(),
            pvds: BTreeMap::new(),
            defaults: Defaults::default(),
            startup: true,
            interface_serials: BTreeSet::new(),
            pvd_serials: BTreeSet::new(),
        }
    }

    /// Hears a batch: each change must be legal where it stands, and all of them must give the snapshot.
    pub fn hear(&mut self, batch: &Batch) {
        for change in &batch.changes {
            self.hear_change(change);
            self.check_names();
        }
        self.check_complete();
        self.compare(&batch.snapshot);
    }

    fn hear_change(&mut self, change: &Change) {
        match change {
            Change::InterfaceAdded(interface) => self.interface_added(interface),
            Change::InterfaceChanged { new, .. } => self.interface_changed(new),
            Change::PvdsListed(interface) => self.pvds_listed(interface),
            Change::InterfaceWithdrawn(interface) => self.interface_withdrawn(interface),
            Change::InterfaceRemoved(interface) => self.interface_removed(interface),
            Change::PvdAdded(pvd) => self.pvd_added(pvd),
            Change::PvdAnnounced(pvd) => self.pvd_announced(pvd),
            Change::PvdChanged(delta) => self.pvd_changed(delta),
            Change::PvdWithdrawn(pvd) => self.pvd_withdrawn(pvd),
            Change::PvdRemoved(pvd) => self.pvd_removed(pvd),
            Change::DefaultsChanged(defaults) => {
                assert_ne!(self.defaults, *defaults, "told without a difference");
                self.defaults = *defaults;
            }
            Change::StartupFinished => {
                assert!(self.startup, "startup finished twice");
                self.startup = false;
            }
        }
    }

    fn interface_added(&mut self, interface: &Arc<Interface>) {
        assert!(self.interface_serials.insert(interface.serial), "{interface:?}: a serial is used again");
        assert!(interface.pvds.is_empty(), "O3: {interface:?} names what does not exist yet");
        let view = Interface::clone(interface);
        self.interfaces.insert(interface.serial, HeardInterface { view, withdrawn: false });
    }

    fn interface_changed(&mut self, interface: &Arc<Interface>) {
        let known = self.interface(interface);
        let fixed = |of: &Interface| (of.ifindex, of.kind, of.pvds.clone());
        assert_eq!(fixed(&known.view), fixed(interface), "only name and state change here");
        assert_ne!(known.view, **interface, "told without a difference");
        known.view = Interface::clone(interface);
    }

    fn pvds_listed(&mut self, interface: &Arc<Interface>) {
        let known = self.interface(interface);
        assert_ne!(known.view.pvds, interface.pvds, "told without a difference");
        let expected = Interface { pvds: interface.pvds.clone(), ..known.view.clone() };
        assert_eq!(expected, **interface, "only the list changes here");
        known.view = Interface::clone(interface);
        let unique: BTreeSet<&Serial> = interface.pvds.iter().collect();
        assert_eq!(unique.len(), interface.pvds.len(), "{interface:?} names one twice");
        for pvd in self.pvds.values().filter(|pvd| pvd.view.interface == interface.serial) {
            let listed = interface.pvds.contains(&pvd.view.serial);
            assert!(listed || pvd.withdrawn, "O4: {pvd:?} left the list before it was withdrawn");
        }
    }

    fn interface_withdrawn(&mut self, interface: &Arc<Interface>) {
        let known = self.interface(interface);
        assert!(known.view.pvds.is_empty(), "O5: {interface:?} still has provisioning domains");
        assert!(!std::mem::replace(&mut known.withdrawn, true), "{interface:?}: withdrawn twice");
    }

    fn interface_removed(&mut self, interface: &Arc<Interface>) {
        let known = self.interfaces.remove(&interface.serial).expect("removed, never added");
        assert!(known.withdrawn, "O5: {interface:?} removed before it was withdrawn");
        let orphan = self.pvds.values().find(|pvd| pvd.view.interface == interface.serial);
        assert!(orphan.is_none(), "O5: {orphan:?} outlives its interface");
    }

    fn pvd_added(&mut self, pvd: &Arc<Pvd>) {
        assert!(self.pvd_serials.insert(pvd.serial), "{pvd:?}: a serial is used again");
        let interface = self.interfaces.get(&pvd.interface).expect("O3: its interface does not exist");
        assert!(!interface.withdrawn, "O3: its interface is gone");
        assert_eq!(interface.view.ifindex, pvd.ifindex);
        assert_eq!(pvd.revision, 1);
        self.pvds.insert(pvd.serial, HeardPvd::new(pvd));
    }

    fn pvd_announced(&mut self, pvd: &Arc<Pvd>) {
        let listed = self.interfaces[&pvd.interface].view.pvds.contains(&pvd.serial);
        assert!(listed, "O3: announced before the list names it");
        self.pvd(pvd).announce(pvd);
    }

    fn pvd_changed(&mut self, delta: &Arc<PvdDelta>) {
        self.pvd(&delta.new).change(delta);
    }

    fn pvd_withdrawn(&mut self, pvd: &Arc<Pvd>) {
        let listed = self.interfaces[&pvd.interface].view.pvds.contains(&pvd.serial);
        assert!(listed, "O4: left the list before it was withdrawn");
        let known = self.pvd(pvd);
        assert!(known.announced && !known.withdrawn, "{pvd:?}: withdrawn without being available");
        known.withdrawn = true;
    }

    fn pvd_removed(&mut self, pvd: &Arc<Pvd>) {
        let known = self.pvds.remove(&pvd.serial).expect("removed, never added");
        assert!(known.withdrawn, "O4: {pvd:?} removed before it was withdrawn");
    }

    fn interface(&mut self, interface: &Interface) -> &mut HeardInterface {
        let known =
            self.interfaces.get_mut(&interface.serial).expect("O3: no such interface (yet, or any more)");
        assert!(!known.withdrawn || interface.pvds.is_empty());
        known
    }

    fn pvd(&mut self, pvd: &Pvd) -> &mut HeardPvd {
        self.pvds.get_mut(&pvd.serial).expect("O3: no such provisioning domain (yet, or any more)")
    }

    /// No property ever names an object that does not exist.
    fn check_names(&self) {
        let listed = self.interfaces.values().flat_map(|interface| interface.view.pvds.iter().copied());
        for serial in listed.chain(self.defaults.iter()) {
            assert!(self.pvds.contains_key(&serial), "O3: {serial} is named and does not exist");
        }
    }

    /// Between batches nothing is half available.
    fn check_complete(&self) {
        for interface in self.interfaces.values() {
            assert!(!interface.withdrawn, "{interface:?} withdrawn, not removed");
        }
        for pvd in self.pvds.values() {
            assert!(pvd.announced && !pvd.withdrawn, "{pvd:?} is half available");
        }
    }

    fn compare(&mut self, snapshot: &Snapshot) {
        let heard: Vec<Interface> =
            self.interfaces.values().map(|interface| interface.view.clone()).collect();
        let shown: Vec<Interface> =
            snapshot.interfaces().map(|interface| Interface::clone(interface)).collect();
        assert_eq!(heard, shown, "interfaces by the changes, interfaces in the snapshot");
        let heard: Vec<Pvd> = self.pvds.values().map(|pvd| timeless(&pvd.view)).collect();
        let shown: Vec<Pvd> = snapshot.pvds().map(|pvd| timeless(pvd)).collect();
        assert_eq!(heard, shown, "provisioning domains by the changes, and in the snapshot");
        assert_eq!(self.defaults, snapshot.defaults());
        assert_eq!(self.startup, snapshot.startup());
        for pvd in snapshot.pvds() {
            assert_eq!(pvd.link_up, carries(self.interfaces[&pvd.interface].view.state));
            self.pvd(pvd).compare(pvd);
        }
        for interface in snapshot.interfaces() {
            let found = snapshot.interface_by_index(interface.ifindex).map(|found| found.serial);
            assert_eq!(found, Some(interface.serial), "found by its number");
        }
    }
}
