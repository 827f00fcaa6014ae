//! What everybody on the bus hears of changes: objects that come and go, and properties, coalesced (O7).

use crate::BootTime;
use crate::change::{Change, PvdDelta};
use crate::pvd::{Interface, Pvd, Serial};
use crate::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;
use std::time::Duration;

/// The shortest time between two PropertiesChanged of one object.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// Names an object of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectId {
    /// The root.
    Root,
    /// An interface.
    Interface(Serial),
    /// A provisioning domain.
    Pvd(Serial),
}

/// An object with its values at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// The root, whose values are in the snapshot.
    Root(Snapshot),
    /// An interface.
    Interface(Arc<Interface>),
    /// A provisioning domain.
    Pvd(Arc<Pvd>),
}

/// A set of properties that emit PropertiesChanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties(u16);

impl Properties {
    /// None.
    pub const NONE: Self = Self(0);
    /// Manager.DefaultProvisioningDomains.
    pub const DEFAULT_PROVISIONING_DOMAINS: Self = Self(1);
    /// Manager.Startup.
    pub const STARTUP: Self = Self(1 << 1);
    /// Interface.Name.
    pub const NAME: Self = Self(1 << 2);
    /// Interface.DisplayName.
    pub const DISPLAY_NAME: Self = Self(1 << 3);
    /// Interface.State.
    pub const STATE: Self = Self(1 << 4);
    /// Interface.ProvisioningDomains.
    pub const PROVISIONING_DOMAINS: Self = Self(1 << 5);
    /// ProvisioningDomain.Family.
    pub const FAMILY: Self = Self(1 << 6);
    /// ProvisioningDomain.ConfigurationElements.
    pub const CONFIGURATION_ELEMENTS: Self = Self(1 << 7);
    /// ProvisioningDomain.Addresses.
    pub const ADDRESSES: Self = Self(1 << 8);
    /// ProvisioningDomain.DnsServers.
    pub const DNS_SERVERS: Self = Self(1 << 9);
    /// ProvisioningDomain.SearchDomains.
    pub const SEARCH_DOMAINS: Self = Self(1 << 10);
    /// ProvisioningDomain.Routers.
    pub const ROUTERS: Self = Self(1 << 11);
    /// ProvisioningDomain.ConfigurationRevision.
    pub const CONFIGURATION_REVISION: Self = Self(1 << 12);

    /// Whether all of `other` are in here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn when(self, changed: bool) -> Self {
        if changed { self } else { Self::NONE }
    }
}

impl BitOr for Properties {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Properties {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// One broadcast signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// ObjectManager.InterfacesAdded.
    Added(Object),
    /// ObjectManager.InterfacesRemoved.
    Removed(ObjectId),
    /// Properties.PropertiesChanged with these of the object's properties.
    Changed(Object, Properties),
}

/// Decides when a change of properties is told: the first at once, then at most one an [`INTERVAL`] and object.
#[derive(Clone, Debug, Default)]
pub struct Coalescer {
    objects: BTreeMap<ObjectId, Window>,
    by_time: BTreeSet<(BootTime, ObjectId)>,
    /// Those of `by_time` with something pending. After a burst of changes most have nothing.
    held: BTreeSet<(BootTime, ObjectId)>,
}

/// An object that was told of less than an interval ago.
#[derive(Clone, Copy, Debug)]
struct Window {
    ends: BootTime,
    pending: Properties,
}

impl Coalescer {
    /// The broadcast that `change` makes now, if any; `snapshot` is the state after it.
    pub fn handle_change(
        &mut self,
        now: BootTime,
        change: &Change,
        snapshot: &Snapshot,
    ) -> Option<Broadcast> {
        match change {
            Change::InterfaceAdded(interface) => {
                Some(Broadcast::Added(Object::Interface(Arc::clone(interface))))
            }
            Change::PvdAdded(pvd) => Some(Broadcast::Added(Object::Pvd(Arc::clone(pvd)))),
            Change::InterfaceRemoved(interface) => Some(self.removed(ObjectId::Interface(interface.serial))),
            Change::PvdRemoved(pvd) => Some(self.removed(ObjectId::Pvd(pvd.serial))),
            Change::PvdsListed(interface) => {
                let id = ObjectId::Interface(interface.serial);
                let pending = self.open(now, id).unwrap_or_default();
                let object = Object::Interface(Arc::clone(interface));
                Some(Broadcast::Changed(object, pending | Properties::PROVISIONING_DOMAINS))
            }
            Change::InterfaceChanged { old, new } => {
                let changed = Properties::NAME.when(old.name != new.name)
                    | Properties::DISPLAY_NAME.when(old.display_name != new.display_name)
                    | Properties::STATE.when(old.state != new.state);
                let id = ObjectId::Interface(new.serial);
                self.coalesce(now, id, changed, || Object::Interface(Arc::clone(new)))
            }
            Change::PvdChanged(delta) => {
                let id = ObjectId::Pvd(delta.new.serial);
                self.coalesce(now, id, changed_in(delta), || Object::Pvd(Arc::clone(&delta.new)))
            }
            Change::DefaultsChanged(defaults) => {
                let changed = Properties::DEFAULT_PROVISIONING_DOMAINS;
                // Those of this place in the order of changes: the last ones may name what is added later (O3).
                self.coalesce(now, ObjectId::Root, changed, || {
                    Object::Root(snapshot.with_defaults(*defaults))
                })
            }
            Change::StartupFinished => {
                self.coalesce(now, ObjectId::Root, Properties::STARTUP, || Object::Root(snapshot.clone()))
            }
            Change::PvdWithdrawn(_) | Change::PvdAnnounced(_) | Change::InterfaceWithdrawn(_) => None,
        }
    }

    /// What was held back and is due at `now`, with the values of `snapshot`.
    pub fn handle_timeout(&mut self, now: BootTime, snapshot: &Snapshot) -> Vec<Broadcast> {
        let mut due = Vec::new();
        while let Some((_, id)) = self.held.first().copied().filter(|(ends, _)| ends.passed(now)) {
            let pending = self.forget(id).unwrap_or_default();
            let Some(object) = find(id, snapshot) else { continue };
            self.open(now, id);
            due.push(Broadcast::Changed(object, pending));
        }
        due
    }

    /// When [`Coalescer::handle_timeout`] is to be called next.
    ///
    /// A window with nothing pending ends without anybody having to wake: it is forgotten on the way.
    pub fn next_timeout(&self) -> Option<BootTime> {
        self.held.first().map(|(ends, _)| *ends)
    }

    fn coalesce(
        &mut self,
        now: BootTime,
        id: ObjectId,
        changed: Properties,
        object: impl FnOnce() -> Object,
    ) -> Option<Broadcast> {
        if changed.is_empty() {
            return None;
        }
        if let Some(window) = self.objects.get_mut(&id).filter(|window| !window.ends.passed(now)) {
            window.pending |= changed;
            self.held.insert((window.ends, id));
            return None;
        }
        let pending = self.open(now, id).unwrap_or_default();
        Some(Broadcast::Changed(object(), changed | pending))
    }

    /// Begins a window; what the former one held back.
    fn open(&mut self, now: BootTime, id: ObjectId) -> Option<Properties> {
        let former = self.forget(id);
        let ends = now.after(INTERVAL);
        self.objects.insert(id, Window { ends, pending: Properties::NONE });
        self.by_time.insert((ends, id));
        self.forget_idle(now);
        former
    }

    fn removed(&mut self, id: ObjectId) -> Broadcast {
        self.forget(id);
        Broadcast::Removed(id)
    }

    fn forget(&mut self, id: ObjectId) -> Option<Properties> {
        let window = self.objects.remove(&id)?;
        self.by_time.remove(&(window.ends, id));
        self.held.remove(&(window.ends, id));
        Some(window.pending)
    }

    /// Drops the windows that ended with nothing held back, so that memory follows what changed lately.
    fn forget_idle(&mut self, now: BootTime) {
        while let Some((ends, id)) = self.by_time.first().copied().filter(|(ends, _)| ends.passed(now)) {
            if self.objects.get(&id).is_some_and(|window| !window.pending.is_empty()) {
                return;
            }
            self.by_time.remove(&(ends, id));
            self.objects.remove(&id);
        }
    }
}

fn find(id: ObjectId, snapshot: &Snapshot) -> Option<Object> {
    Some(match id {
        ObjectId::Root => Object::Root(snapshot.clone()),
        ObjectId::Interface(serial) => Object::Interface(Arc::clone(snapshot.interface(serial)?)),
        ObjectId::Pvd(serial) => Object::Pvd(Arc::clone(snapshot.pvd(serial)?)),
    })
}

fn changed_in(delta: &PvdDelta) -> Properties {
    let (old, new) = (&*delta.old, &*delta.new);
    let shape = |pvd: &Pvd| {
        let shape = |address: &crate::pvd::PvdAddress| {
            (address.address, address.prefix_length, address.state, address.element, address.temporary)
        };
        pvd.addresses.iter().map(shape).collect::<Vec<_>>()
    };
    Properties::FAMILY.when(old.family != new.family)
        | Properties::CONFIGURATION_ELEMENTS.when(!old.elements.keys().eq(new.elements.keys()))
        | Properties::ADDRESSES.when(shape(old) != shape(new))
        | Properties::DNS_SERVERS.when(old.used.dns_servers != new.used.dns_servers)
        | Properties::SEARCH_DOMAINS.when(old.used.search_domains != new.used.search_domains)
        | Properties::ROUTERS.when(old.used.routers != new.used.routers)
        | Properties::CONFIGURATION_REVISION.when(old.revision != new.revision)
}
