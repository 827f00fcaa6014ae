//! The state face: what the properties of each object are, read from frozen views.

use super::convert::{self, Fields};
use super::path;
use crate::translate;
use mif_core::broadcast::{Object, ObjectId, Properties};
use mif_core::plan::NAME_LENGTH;
use mif_core::pvd::{Interface, Pvd};
use mif_core::snapshot::Snapshot;
use mif_core::usage::Held;
use mif_core::{limits, plan};
use std::collections::BTreeMap;
use zbus::Variant;

/// org.ietf.Mif1.Manager
pub const MANAGER: &str = "org.ietf.Mif1.Manager";
/// org.ietf.Mif1.HighLevel
pub const HIGH_LEVEL: &str = "org.ietf.Mif1.HighLevel";
/// org.ietf.Mif1.Interface
pub const INTERFACE: &str = "org.ietf.Mif1.Interface";
/// org.ietf.Mif1.ProvisioningDomain
pub const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
/// org.ietf.Mif1.Subscriber
pub const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";

/// How long a connected socket waits to be taken, in milliseconds.
pub const UNCLAIMED_TIMEOUT_MS: u32 = 30_000;
/// How many calls of a subscriber may wait for their reply.
pub const REQUESTS_PER_SUBSCRIBER: u32 = 64;

/// What does not change while the service runs.
#[derive(Clone, Debug)]
pub struct Constants {
    /// What this instance can do.
    pub features: Vec<&'static str>,
    /// The inode of its network namespace.
    pub namespace: u64,
    /// How names are translated.
    pub translation: translate::Settings,
}

/// The name of the interface that an object has besides the standard ones.
pub const fn interface_name(object: ObjectId) -> &'static str {
    match object {
        ObjectId::Root => MANAGER,
        ObjectId::Interface(_) => INTERFACE,
        ObjectId::Pvd(_) => PVD,
    }
}

/// All properties of an object; `None` when it is not there.
pub fn all(object: ObjectId, snapshot: &Snapshot, constants: &Constants) -> Option<Fields> {
    match object {
        ObjectId::Root => Some(manager(snapshot, constants)),
        ObjectId::Interface(serial) => snapshot.interface(serial).map(|view| interface(view)),
        ObjectId::Pvd(serial) => snapshot.pvd(serial).map(|view| pvd(view)),
    }
}

/// The properties of an interface.
pub fn interface(view: &Interface) -> Fields {
    BTreeMap::from([
        ("Ifindex", Variant::from(view.ifindex)),
        ("Name", Variant::from(view.name.clone())),
        ("DisplayName", Variant::from(view.display_name.clone())),
        ("Kind", Variant::from(view.kind.word())),
        ("State", Variant::from(view.state.word())),
        ("ProvisioningDomains", Variant::from(convert::pvd_paths(view.pvds.iter()))),
    ])
}

/// The properties of a provisioning domain.
pub fn pvd(view: &Pvd) -> Fields {
    let elements: Vec<&'static str> = view.elements.keys().map(|element| element.word()).collect();
    let addresses: Vec<Fields> = view.addresses.iter().map(convert::address).collect();
    BTreeMap::from([
        ("Interface", Variant::from(path::interface(view.interface))),
        ("Id", Variant::from(view.id.clone())),
        ("Origin", Variant::from(view.key.origin().word())),
        ("Family", Variant::from(view.family.word())),
        ("ConfigurationElements", Variant::from(elements)),
        ("Addresses", Variant::from(addresses)),
        ("AddressLifetimes", Variant::from(convert::address_lifetimes(view))),
        ("DnsServers", Variant::from(convert::texts(&view.used.dns_servers))),
        ("SearchDomains", Variant::from(view.used.search_domains.clone())),
        ("Routers", Variant::from(convert::texts(&view.used.routers))),
        ("ConfigurationRevision", Variant::from(view.revision)),
    ])
}

/// Those of `object`'s properties that are in `wanted`.
pub fn changed(object: &Object, wanted: Properties) -> Fields {
    let mut fields = match object {
        Object::Root(snapshot) => manager_state(snapshot),
        Object::Interface(view) => interface(view),
        Object::Pvd(view) => pvd(view),
    };
    fields.retain(|name, _| EMITTING.iter().any(|(known, flag)| known == name && wanted.contains(*flag)));
    fields
}

/// The properties that emit PropertiesChanged.
const EMITTING: [(&str, Properties); 13] = [
    ("DefaultProvisioningDomains", Properties::DEFAULT_PROVISIONING_DOMAINS),
    ("Startup", Properties::STARTUP),
    ("Name", Properties::NAME),
    ("DisplayName", Properties::DISPLAY_NAME),
    ("State", Properties::STATE),
    ("ProvisioningDomains", Properties::PROVISIONING_DOMAINS),
    ("Family", Properties::FAMILY),
    ("ConfigurationElements", Properties::CONFIGURATION_ELEMENTS),
    ("Addresses", Properties::ADDRESSES),
    ("DnsServers", Properties::DNS_SERVERS),
    ("SearchDomains", Properties::SEARCH_DOMAINS),
    ("Routers", Properties::ROUTERS),
    ("ConfigurationRevision", Properties::CONFIGURATION_REVISION),
];

fn manager(snapshot: &Snapshot, constants: &Constants) -> Fields {
    let mut fields = manager_state(snapshot);
    fields.extend([
        ("InterfaceVersion", Variant::from(1_u32)),
        ("Version", Variant::from(env!("CARGO_PKG_VERSION"))),
        ("Features", Variant::from(constants.features.clone())),
        ("Limits", Variant::from(limits_table())),
        ("NamespaceId", Variant::from(constants.namespace)),
    ]);
    fields
}

fn manager_state(snapshot: &Snapshot) -> Fields {
    let defaults: Vec<_> = snapshot.defaults().iter().collect();
    BTreeMap::from([
        ("DefaultProvisioningDomains", Variant::from(convert::pvd_paths(defaults.iter()))),
        ("Startup", Variant::from(snapshot.startup())),
    ])
}

fn limits_table() -> BTreeMap<&'static str, u32> {
    let count = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    BTreeMap::from([
        ("subscribers-per-client", Held::Subscriber.per_client()),
        ("subscribers-per-user", Held::Subscriber.per_user()),
        ("translations-per-client", Held::Translation.per_client()),
        ("translations-per-user", Held::Translation.per_user()),
        ("connections-per-client", Held::Connection.per_client()),
        ("connections-per-user", Held::Connection.per_user()),
        ("requests-per-subscriber", REQUESTS_PER_SUBSCRIBER),
        ("addresses-per-translation", count(plan::ADDRESSES_PER_TRANSLATION)),
        ("name-length", count(NAME_LENGTH)),
        ("unclaimed-timeout", UNCLAIMED_TIMEOUT_MS),
        ("objects", count(limits::OBJECTS)),
        ("pvds-per-interface", count(limits::PVDS_PER_INTERFACE)),
        ("addresses-per-pvd", count(limits::ADDRESSES_PER_PVD)),
        ("servers-per-pvd", count(limits::SERVERS_PER_PVD)),
        ("domains-per-pvd", count(limits::DOMAINS_PER_PVD)),
        ("routers-per-pvd", count(limits::ROUTERS_PER_PVD)),
    ])
}
