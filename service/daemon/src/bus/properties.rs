//! The state face: what the properties of each object are, read from frozen views.

use super::convert;
use super::path;
use super::wire::{Fields, Value};
use crate::translate;
use mif_core::broadcast::{Object, ObjectId, Properties};
use mif_core::plan::NAME_LENGTH;
use mif_core::pvd::{Interface, Pvd};
use mif_core::snapshot::Snapshot;
use mif_core::usage::Held;
use mif_core::{limits, plan};
use std::collections::BTreeMap;

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

/// A property of what is seen as a `T`.
struct Property<T> {
    name: &'static str,
    /// How it is called when it changes; [`Properties::NONE`] when no PropertiesChanged tells of it.
    change: Properties,
    read: fn(&T) -> Value,
}

impl<T> Property<T> {
    const fn emitting(name: &'static str, change: Properties, read: fn(&T) -> Value) -> Self {
        Self { name, change, read }
    }

    const fn silent(name: &'static str, read: fn(&T) -> Value) -> Self {
        Self { name, change: Properties::NONE, read }
    }
}

const OF_MANAGER: [Property<Snapshot>; 2] = [
    Property::emitting("DefaultProvisioningDomains", Properties::DEFAULT_PROVISIONING_DOMAINS, |snapshot| {
        convert::pvd_paths(snapshot.defaults().iter()).into()
    }),
    Property::emitting("Startup", Properties::STARTUP, |snapshot| snapshot.startup().into()),
];

const OF_INTERFACE: [Property<Interface>; 6] = [
    Property::silent("Ifindex", |view| view.ifindex.into()),
    Property::emitting("Name", Properties::NAME, |view| view.name.clone().into()),
    Property::emitting("DisplayName", Properties::DISPLAY_NAME, |view| view.display_name.clone().into()),
    Property::silent("Kind", |view| view.kind.word().into()),
    Property::emitting("State", Properties::STATE, |view| view.state.word().into()),
    Property::emitting("ProvisioningDomains", Properties::PROVISIONING_DOMAINS, |view| {
        convert::pvd_paths(view.pvds.iter().copied()).into()
    }),
];

const OF_PVD: [Property<Pvd>; 11] = [
    Property::silent("Interface", |view| path::interface(view.interface).into()),
    Property::silent("Id", |view| view.id.clone().into()),
    Property::silent("Origin", |view| view.key.origin().word().into()),
    Property::emitting("Family", Properties::FAMILY, |view| view.family.word().into()),
    Property::emitting("ConfigurationElements", Properties::CONFIGURATION_ELEMENTS, |view| {
        view.elements.keys().map(|element| element.word()).collect::<Vec<_>>().into()
    }),
    Property::emitting("Addresses", Properties::ADDRESSES, |view| {
        view.addresses.iter().map(convert::address).collect::<Vec<_>>().into()
    }),
    Property::silent("AddressLifetimes", |view| convert::address_lifetimes(view).into()),
    Property::emitting("DnsServers", Properties::DNS_SERVERS, |view| {
        convert::texts(&view.used.dns_servers).into()
    }),
    Property::emitting("SearchDomains", Properties::SEARCH_DOMAINS, |view| {
        view.used.search_domains.clone().into()
    }),
    Property::emitting("Routers", Properties::ROUTERS, |view| convert::texts(&view.used.routers).into()),
    Property::emitting("ConfigurationRevision", Properties::CONFIGURATION_REVISION, |view| {
        view.revision.into()
    }),
];

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
    read_all(&OF_INTERFACE, view)
}

/// The properties of a provisioning domain.
pub fn pvd(view: &Pvd) -> Fields {
    read_all(&OF_PVD, view)
}

/// Those of `object`'s properties that are in `wanted`.
pub fn changed(object: &Object, wanted: Properties) -> Fields {
    match object {
        Object::Root(snapshot) => read_changed(&OF_MANAGER, snapshot, wanted),
        Object::Interface(view) => read_changed(&OF_INTERFACE, view, wanted),
        Object::Pvd(view) => read_changed(&OF_PVD, view, wanted),
    }
}

fn read_all<T>(properties: &[Property<T>], view: &T) -> Fields {
    properties.iter().map(|property| (property.name, (property.read)(view))).collect()
}

fn read_changed<T>(properties: &[Property<T>], view: &T, wanted: Properties) -> Fields {
    let changed =
        properties.iter().filter(|property| !property.change.is_empty() && wanted.contains(property.change));
    changed.map(|property| (property.name, (property.read)(view))).collect()
}

fn manager(snapshot: &Snapshot, constants: &Constants) -> Fields {
    let mut fields = read_all(&OF_MANAGER, snapshot);
    fields.extend([
        ("InterfaceVersion", Value::from(1_u32)),
        ("Version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("Features", Value::from(constants.features.clone())),
        ("Limits", Value::from(limits_table())),
        ("NamespaceId", Value::from(constants.namespace)),
    ]);
    fields
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
