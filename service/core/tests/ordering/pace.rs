//! O7 at the moment when a broadcast is made: how often, and whether everything is told in the end.

use mif_core::BootTime;
use mif_core::broadcast::{Broadcast, Object, ObjectId, Properties};
use mif_core::configuration::Element;
use mif_core::event::LinkState;
use mif_core::pvd::{AddressState, Family, Interface, Pvd, Serial};
use mif_core::snapshot::{Defaults, Snapshot};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

const AT_MOST_ONE_IN: Duration = Duration::from_millis(250);

/// What was told of each object, and when.
#[derive(Debug)]
pub struct Pace {
    objects: BTreeMap<ObjectId, Told>,
}

#[derive(Debug)]
struct Told {
    values: Values,
    /// The last PropertiesChanged.
    last: Option<BootTime>,
}

/// The properties that emit PropertiesChanged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    Root { defaults: Defaults, startup: bool },
    Interface { name: String, display_name: String, state: LinkState, pvds: Vec<Serial> },
    Pvd(Box<PvdValues>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PvdValues {
    family: Family,
    elements: Vec<Element>,
    addresses: Vec<(IpAddr, u8, AddressState, Element, bool)>,
    dns_servers: Vec<IpAddr>,
    search_domains: Vec<String>,
    routers: Vec<IpAddr>,
    revision: u32,
}

impl Pace {
    /// Everybody asked for everything at the moment of `snapshot`.
    pub fn of(snapshot: &Snapshot) -> Self {
        let told = |(id, values)| (id, Told { values, last: None });
        Self { objects: values(snapshot).into_iter().map(told).collect() }
    }

    /// A broadcast is made at `now`.
    pub fn hear(&mut self, now: BootTime, broadcast: &Broadcast) {
        match broadcast {
            Broadcast::Added(object) => {
                let told = Told { values: Values::of(object), last: None };
                assert!(self.objects.insert(id(object), told).is_none(), "added twice");
            }
            Broadcast::Removed(id) => {
                assert!(self.objects.remove(id).is_some(), "O7: {id:?} was never added");
            }
            Broadcast::Changed(object, changed) => {
                let told = self.objects.get_mut(&id(object)).expect("O7: changed before it was added");
                told.hear(now, object, *changed);
            }
        }
    }

    /// Everything of this moment was made: whatever is not told yet will be, in time.
    pub fn check(&self, now: BootTime, snapshot: &Snapshot, next_timeout: Option<BootTime>) {
        assert!(next_timeout.is_none_or(|next| next > now), "it wants to wake at once again");
        let truth = values(snapshot);
        assert!(self.objects.keys().eq(truth.keys()), "objects as told, and as they are");
        for (id, truth) in truth {
            let told = &self.objects[&id];
            if told.values == truth {
                continue;
            }
            assert_eq!(told.list(), truth.list(), "O7: {id:?}: a list goes out at once");
            let last = told.last.unwrap_or_else(|| panic!("O7: {id:?}: the first change goes at once"));
            let due = last.after(AT_MOST_ONE_IN);
            assert!(due > now, "O7: {id:?}: {truth:?} was due at {due:?}, still told {:?}", told.values);
            assert!(next_timeout.is_some_and(|next| next <= due), "O7: {id:?}: nobody wakes to tell");
        }
    }

    /// Nothing is left to be told.
    pub fn compare(&self, snapshot: &Snapshot) {
        for (id, truth) in values(snapshot) {
            assert_eq!(self.objects[&id].values, truth, "O7: the final values of {id:?}");
        }
    }
}

impl Told {
    fn hear(&mut self, now: BootTime, object: &Object, changed: Properties) {
        let exempt = changed.contains(Properties::PROVISIONING_DOMAINS);
        let too_early = self.last.is_some_and(|last| last.after(AT_MOST_ONE_IN) > now);
        assert!(exempt || !too_early, "O7: {:?} again after less than 250 ms", id(object));
        let current = Values::of(object);
        if exempt {
            assert_ne!(self.list(), current.list(), "O7: only a change of the list goes out at once");
        }
        self.values.take(&current, changed);
        self.last = Some(now);
        if exempt {
            assert_eq!(self.values, current, "O7: it carries everything that is pending");
        }
    }

    fn list(&self) -> Option<&[Serial]> {
        self.values.list()
    }
}

impl Values {
    fn of(object: &Object) -> Self {
        match object {
            Object::Root(snapshot) => Self::root(snapshot),
            Object::Interface(view) => Self::interface(view),
            Object::Pvd(view) => Self::pvd(view),
        }
    }

    fn root(snapshot: &Snapshot) -> Self {
        Self::Root { defaults: snapshot.defaults(), startup: snapshot.startup() }
    }

    fn interface(view: &Interface) -> Self {
        Self::Interface {
            name: view.name.clone(),
            display_name: view.display_name.clone(),
            state: view.state,
            pvds: view.pvds.clone(),
        }
    }

    fn pvd(view: &Pvd) -> Self {
        let address = |address: &mif_core::pvd::PvdAddress| {
            (address.address, address.prefix_length, address.state, address.element, address.temporary)
        };
        Self::Pvd(Box::new(PvdValues {
            family: view.family,
            elements: view.elements.keys().copied().collect(),
            addresses: view.addresses.iter().map(address).collect(),
            dns_servers: view.used.dns_servers.clone(),
            search_domains: view.used.search_domains.clone(),
            routers: view.used.routers.clone(),
            revision: view.revision,
        }))
    }

    const fn list(&self) -> Option<&[Serial]> {
        match self {
            Self::Interface { pvds, .. } => Some(pvds.as_slice()),
            Self::Root { .. } | Self::Pvd(_) => None,
        }
    }

    /// Takes those of `current` that are in `changed`.
    fn take(&mut self, current: &Self, changed: Properties) {
        match (self, current) {
            (
                Self::Root { defaults, startup },
                Self::Root { defaults: new_defaults, startup: new_startup },
            ) => {
                take(defaults, new_defaults, changed, Properties::DEFAULT_PROVISIONING_DOMAINS);
                take(startup, new_startup, changed, Properties::STARTUP);
            }
            (
                Self::Interface { name, display_name, state, pvds },
                Self::Interface {
                    name: new_name,
                    display_name: new_display_name,
                    state: new_state,
                    pvds: new_pvds,
                },
            ) => {
                take(name, new_name, changed, Properties::NAME);
                take(display_name, new_display_name, changed, Properties::DISPLAY_NAME);
                take(state, new_state, changed, Properties::STATE);
                take(pvds, new_pvds, changed, Properties::PROVISIONING_DOMAINS);
            }
            (Self::Pvd(told), Self::Pvd(new)) => {
                take(&mut told.family, &new.family, changed, Properties::FAMILY);
                take(&mut told.elements, &new.elements, changed, Properties::CONFIGURATION_ELEMENTS);
                take(&mut told.addresses, &new.addresses, changed, Properties::ADDRESSES);
                take(&mut told.dns_servers, &new.dns_servers, changed, Properties::DNS_SERVERS);
                take(&mut told.search_domains, &new.search_domains, changed, Properties::SEARCH_DOMAINS);
                take(&mut told.routers, &new.routers, changed, Properties::ROUTERS);
                take(&mut told.revision, &new.revision, changed, Properties::CONFIGURATION_REVISION);
            }
            (told, new) => panic!("{told:?} became {new:?}"),
        }
    }
}

fn take<T: Clone>(told: &mut T, current: &T, changed: Properties, property: Properties) {
    if changed.contains(property) {
        told.clone_from(current);
    }
}

fn values(snapshot: &Snapshot) -> BTreeMap<ObjectId, Values> {
    let interfaces =
        snapshot.interfaces().map(|view| (ObjectId::Interface(view.serial), Values::interface(view)));
    let pvds = snapshot.pvds().map(|view| (ObjectId::Pvd(view.serial), Values::pvd(view)));
    let root = [(ObjectId::Root, Values::root(snapshot))];
    root.into_iter().chain(interfaces).chain(pvds).collect()
}

fn id(object: &Object) -> ObjectId {
    match object {
        Object::Root(_) => ObjectId::Root,
        Object::Interface(view) => ObjectId::Interface(view.serial),
        Object::Pvd(view) => ObjectId::Pvd(view.serial),
    }
}
