//! The whole tree in one value (`a{oa{sa{sv}}}`).

use super::convert::Fields;
use super::{path, properties};
use mif_core::snapshot::Snapshot;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;
use zbus::{Signature, Type};

/// Every object of a state with its properties. They are made one by one as they are written: all at once they take
/// ten times the room of the message.
pub(super) struct ManagedObjects<'a>(pub(super) &'a Snapshot);

type Interfaces = BTreeMap<&'static str, Fields>;

impl ManagedObjects<'_> {
    /// Its signature, in words.
    pub(super) const SIGNATURE_STR: &'static str = "a{oa{sa{sv}}}";
}

impl Type for ManagedObjects<'_> {
    const SIGNATURE: &'static Signature = <BTreeMap<zbus::ObjectPath<'_>, Interfaces>>::SIGNATURE;
}

impl Serialize for ManagedObjects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for view in self.0.interfaces() {
            let fields = Interfaces::from([(properties::INTERFACE, properties::interface(view))]);
            map.serialize_entry(&path::interface(view.serial), &fields)?;
        }
        for view in self.0.pvds() {
            let fields = Interfaces::from([(properties::PVD, properties::pvd(view))]);
            map.serialize_entry(&path::pvd(view.serial), &fields)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_the_signature_agree() {
        assert_eq!(ManagedObjects::SIGNATURE.to_string(), ManagedObjects::SIGNATURE_STR);
    }
}
