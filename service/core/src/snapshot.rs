//! The state at one moment, frozen. Cloning one costs nothing; changing one leaves every clone as it was.

use crate::address_selection::is_link_local;
use crate::configuration::AddressFamily;
use crate::event::Ifindex;
use crate::limits;
use crate::pvd::{Interface, Pvd, Serial};
use crate::routing::Routing;
use rpds::RedBlackTreeMapSync;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

/// All interfaces and provisioning domains of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    interfaces: RedBlackTreeMapSync<Serial, Arc<Interface>>,
    pvds: RedBlackTreeMapSync<Serial, Arc<Pvd>>,
    by_ifindex: RedBlackTreeMapSync<Ifindex, Serial>,
    /// Every address of this host, whether or not it is of a provisioning domain, and on how many links.
    own_addresses: RedBlackTreeMapSync<(IpAddr, Zone), usize>,
    defaults: Defaults,
    startup: bool,
    routing: Routing,
    pvd_serials: std::ops::Range<u64>,
}

/// Where an address means something (RFC 4007 6): a link-local one on its link, every other everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Zone {
    Everywhere,
    Link(Ifindex),
}

impl Zone {
    const fn of(address: IpAddr, ifindex: Ifindex) -> Self {
        match address {
            IpAddr::V6(v6) if is_link_local(v6) => Self::Link(ifindex),
            // IPv4 hosts have no zones: 169.254/16 of one link is taken on all.
            IpAddr::V4(_) | IpAddr::V6(_) => Self::Everywhere,
        }
    }
}

/// What a program that knows nothing of provisioning domains uses: at most one a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Behind the best IPv4 default route of the main table.
    pub ipv4: Option<Serial>,
    /// Behind the best IPv6 default route of the main table.
    pub ipv6: Option<Serial>,
}

impl Defaults {
    /// Both, IPv4 first, a provisioning domain of both families once.
    pub fn iter(&self) -> impl Iterator<Item = Serial> {
        let second = self.ipv6.filter(|serial| self.ipv4 != Some(*serial));
        self.ipv4.into_iter().chain(second)
    }
}

impl Snapshot {
    /// The interface with this identifier.
    pub fn interface(&self, serial: Serial) -> Option<&Arc<Interface>> {
        self.interfaces.get(&serial)
    }

    /// The provisioning domain with this identifier.
    pub fn pvd(&self, serial: Serial) -> Option<&Arc<Pvd>> {
        self.pvds.get(&serial)
    }

    /// Whether this run of the service ever had a provisioning domain with this identifier.
    pub fn had_pvd(&self, serial: Serial) -> bool {
        self.pvd_serials.contains(&serial.0)
    }

    /// The interface that appeared next after `serial`; the first one for `None`.
    pub fn interface_after(&self, serial: Option<Serial>) -> Option<&Arc<Interface>> {
        let after = serial.map_or(Bound::Unbounded, Bound::Excluded);
        self.interfaces.range((after, Bound::Unbounded)).next().map(|(_, interface)| interface)
    }

    /// All interfaces, in order of appearance.
    pub fn interfaces(&self) -> impl Iterator<Item = &Arc<Interface>> {
        self.interfaces.values()
    }

    /// All provisioning domains, in order of appearance.
    pub fn pvds(&self) -> impl Iterator<Item = &Arc<Pvd>> {
        self.pvds.values()
    }

    /// How many interfaces there are.
    pub fn interface_count(&self) -> usize {
        self.interfaces.size()
    }

    /// How many interfaces and provisioning domains there are.
    pub fn len(&self) -> usize {
        self.interfaces.size() + self.pvds.size()
    }

    /// Whether there may be one more provisioning domain.
    pub(crate) fn has_room(&self) -> bool {
        self.pvds.size() < limits::PVDS
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The provisioning domains on `interface`, in order of appearance.
    pub fn pvds_of(&self, interface: &Interface) -> impl Iterator<Item = &Arc<Pvd>> {
        interface.pvds.iter().filter_map(|serial| self.pvds.get(serial))
    }

    /// The interface that the kernel numbers so now.
    pub fn interface_by_index(&self, ifindex: Ifindex) -> Option<&Arc<Interface>> {
        self.by_ifindex.get(&ifindex).and_then(|serial| self.interfaces.get(serial))
    }

    /// The interface of this name (escaped spelling).
    pub fn interface_by_name(&self, name: &str) -> Option<&Arc<Interface>> {
        self.interfaces().find(|interface| interface.name == name)
    }

    /// The provisioning domains with this Id: case and one final dot are ignored for explicit ones.
    pub fn pvds_by_id(&self, id: &str) -> impl Iterator<Item = &Arc<Pvd>> {
        let explicit = id.strip_suffix('.').unwrap_or(id).to_ascii_lowercase();
        self.pvds().filter(move |pvd| match pvd.key.origin() {
            crate::pvd::Origin::Explicit => pvd.id == explicit,
            crate::pvd::Origin::Implicit => pvd.id == id,
        })
    }

    /// The provisioning domains that have `address` as a source.
    pub fn pvds_by_address(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Pvd>> {
        self.pvds().filter(move |pvd| pvd.usable_addresses().any(|candidate| candidate.address == address))
    }

    /// Whether `address`, seen from the link `ifindex`, is one of this host, in whatever state: what is sent there
    /// never leaves.
    pub fn is_own(&self, address: IpAddr, ifindex: Ifindex) -> bool {
        self.own_addresses.contains_key(&(address, Zone::of(address, ifindex)))
    }

    /// What a program that knows nothing of provisioning domains uses.
    pub const fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// Whether links that were up at start are still being settled.
    pub const fn startup(&self) -> bool {
        self.startup
    }

    /// How this host leads packets.
    pub const fn routing(&self) -> Routing {
        self.routing
    }

    /// How many provisioning domains of `family` live on `interface`.
    pub fn pvds_of_family(&self, interface: &Interface, family: AddressFamily) -> usize {
        self.pvds_of(interface).filter(|pvd| pvd.family.includes(family)).count()
    }

    pub(crate) fn put_interface(&mut self, interface: Arc<Interface>) {
        self.by_ifindex.insert_mut(interface.ifindex, interface.serial);
        self.interfaces.insert_mut(interface.serial, interface);
    }

    pub(crate) fn remove_interface(&mut self, interface: &Interface) {
        self.interfaces.remove_mut(&interface.serial);
        if self.by_ifindex.get(&interface.ifindex) == Some(&interface.serial) {
            self.by_ifindex.remove_mut(&interface.ifindex);
        }
    }

    pub(crate) fn put_pvd(&mut self, pvd: Arc<Pvd>) {
        let Serial(number) = pvd.serial;
        if self.pvd_serials.is_empty() {
            self.pvd_serials = number..number;
        }
        self.pvd_serials.end = self.pvd_serials.end.max(number.saturating_add(1));
        self.pvds.insert_mut(pvd.serial, pvd);
    }

    pub(crate) fn remove_pvd(&mut self, serial: Serial) {
        self.pvds.remove_mut(&serial);
    }

    /// The link `ifindex` has `address`.
    pub(crate) fn add_own(&mut self, address: IpAddr, ifindex: Ifindex) {
        let key = (address, Zone::of(address, ifindex));
        let links = self.own_addresses.get(&key).copied().unwrap_or(0);
        self.own_addresses.insert_mut(key, links + 1);
    }

    /// The link `ifindex` has `address` no more.
    pub(crate) fn remove_own(&mut self, address: IpAddr, ifindex: Ifindex) {
        let key = (address, Zone::of(address, ifindex));
        match self.own_addresses.get(&key).copied() {
            Some(links @ 2..) => self.own_addresses.insert_mut(key, links - 1),
            Some(_) | None => {
                self.own_addresses.remove_mut(&key);
            }
        }
    }

    pub(crate) fn set_defaults(&mut self, defaults: Defaults) {
        self.defaults = defaults;
    }

    pub(crate) fn with_defaults(&self, defaults: Defaults) -> Self {
        Self { defaults, ..self.clone() }
    }

    pub(crate) fn set_routing(&mut self, routing: Routing) {
        self.routing = routing;
    }

    pub(crate) fn set_startup(&mut self, startup: bool) {
        self.startup = startup;
    }
}
