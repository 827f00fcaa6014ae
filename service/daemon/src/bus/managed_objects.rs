//! The whole tree in one value (`a{oa{sa{sv}}}`).

use super::wire::{Fields, Marshal, STRUCTURE, Writer};
use super::{path, properties};
use mif_core::snapshot::Snapshot;
use std::collections::BTreeMap;
use zbus::ObjectPath;

/// Every object of a state with its properties. They are made one by one as they are written: all at once they take
/// ten times the room of the message.
pub(super) struct ManagedObjects<'a>(pub(super) &'a Snapshot);

type Interfaces = BTreeMap<&'static str, Fields>;

impl ManagedObjects<'_> {
    /// Its signature, in words.
    pub(super) fn signature_text() -> String {
        let mut signature = String::new();
        Self::signature(&mut signature);
        signature
    }
}

impl Marshal for ManagedObjects<'_> {
    const ALIGNMENT: usize = <BTreeMap<ObjectPath<'_>, Interfaces>>::ALIGNMENT;

    fn signature(out: &mut String) {
        <BTreeMap<ObjectPath<'_>, Interfaces>>::signature(out);
    }

    fn marshal(&self, out: &mut Writer) {
        out.array(STRUCTURE, |out| {
            for view in self.0.interfaces() {
                let fields = Interfaces::from([(properties::INTERFACE, properties::interface(view))]);
                out.entry(&path::interface(view.serial), &fields);
            }
            for view in self.0.pvds() {
                let fields = Interfaces::from([(properties::PVD, properties::pvd(view))]);
                out.entry(&path::pvd(view.serial), &fields);
            }
        });
    }
}
