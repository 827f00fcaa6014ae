//! What is published of one link, and the changes that bring it to what the facts now make.

use crate::BootTime;
use crate::assemble::{Draft, carries};
use crate::change::{AddressChange, Change, ElementChange, PvdDelta};
use crate::configuration::{Configuration, Element};
use crate::event::Link;
use crate::pvd::{Interface, Pvd, PvdAddress, PvdKey, Serial};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use litemap::LiteMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A deadline that moves earlier by no more than this is not news (O6): the kernel counts in seconds.
const EARLIER_IS_NEWS: Duration = Duration::from_secs(2);

/// One link as it is published.
#[derive(Clone, Debug)]
pub struct Published {
    birth: u64,
    interface: Arc<Interface>,
    pvds: LiteMap<PvdKey, PublishedPvd>,
}

#[derive(Clone, Debug)]
struct PublishedPvd {
    view: Arc<Pvd>,
    /// The latest deadlines of each announced address since its last announcement: what moves before them is news.
    latest: LiteMap<IpAddr, Deadlines>,
}

#[derive(Clone, Copy, Debug)]
struct Deadlines {
    preferred: BootTime,
    valid: BootTime,
}

/// Gives out object numbers, interfaces and provisioning domains each from a row of their own. Never one twice.
#[derive(Clone, Debug)]
pub struct Serials {
    next_interface: u64,
    next_pvd: u64,
}

impl Serials {
    /// Starts at a number that no earlier run in this boot has given out.
    pub const fn starting_at(first: u64) -> Self {
        Self { next_interface: first, next_pvd: first }
    }

    fn interface(&mut self) -> Serial {
        take(&mut self.next_interface)
    }

    fn pvd(&mut self) -> Serial {
        take(&mut self.next_pvd)
    }
}

/// Where a difference is written to.
pub struct Target<'a> {
    /// The state that everybody reads.
    pub snapshot: &'a mut Snapshot,
    /// What everybody is told, in order.
    pub changes: &'a mut Vec<Change>,
    /// Where new objects get their numbers.
    pub serials: &'a mut Serials,
    /// Set when deadlines moved without anybody being told: the state is another one all the same.
    pub refreshed: &'a mut bool,
    /// Set when there is no room for a provisioning domain that is new.
    pub crowded: &'a mut bool,
    /// Set when elements gave more together than is shown.
    pub cut: &'a mut bool,
}

impl Target<'_> {
    fn tell(&mut self, change: Change) {
        self.changes.push(change);
    }
}

impl Published {
    /// Publishes a link that is new; `birth` tells it from an earlier one of the same number.
    pub fn appear(birth: u64, link: &Link, target: &mut Target<'_>) -> Self {
        let interface = Arc::new(Interface {
            serial: target.serials.interface(),
            ifindex: link.ifindex,
            name: link.name.clone(),
            display_name: display_name(link),
            kind: link.kind,
            state: link.state,
            pvds: Vec::new(),
        });
        target.snapshot.put_interface(Arc::clone(&interface));
        target.tell(Change::InterfaceAdded(Arc::clone(&interface)));
        Self { birth, interface, pvds: LiteMap::new() }
    }

    /// Unpublishes a link that is gone, its provisioning domains first (O5).
    pub fn disappear(mut self, target: &mut Target<'_>) {
        self.update_pvds(BTreeMap::new(), target);
        target.snapshot.remove_interface(&self.interface);
        target.tell(Change::InterfaceWithdrawn(Arc::clone(&self.interface)));
        target.tell(Change::InterfaceRemoved(self.interface));
    }

    /// Brings what is published to what `link` and `drafts` say.
    pub fn update(&mut self, link: &Link, drafts: BTreeMap<PvdKey, Draft>, target: &mut Target<'_>) {
        self.update_interface(link, target);
        self.update_pvds(drafts, target);
    }

    /// Which of the links that had this number it is.
    pub const fn birth(&self) -> u64 {
        self.birth
    }

    /// The provisioning domain that was published under this key.
    pub fn pvd(&self, key: &PvdKey) -> Option<&Arc<Pvd>> {
        self.pvds.get(key).map(|published| &published.view)
    }

    /// All provisioning domains that are published here.
    pub fn pvds(&self) -> impl Iterator<Item = &Arc<Pvd>> {
        self.pvds.values().map(|published| &published.view)
    }

    fn update_interface(&mut self, link: &Link, target: &mut Target<'_>) {
        let old = &self.interface;
        let display_name = display_name(link);
        if old.name == link.name && old.display_name == display_name && old.state == link.state {
            return;
        }
        let new = Interface { name: link.name.clone(), display_name, state: link.state, ..(**old).clone() };
        let new = Arc::new(new);
        let old = std::mem::replace(&mut self.interface, Arc::clone(&new));
        target.snapshot.put_interface(Arc::clone(&new));
        target.tell(Change::InterfaceChanged { old, new });
    }

    fn update_pvds(&mut self, mut drafts: BTreeMap<PvdKey, Draft>, target: &mut Target<'_>) {
        self.remove_pvds(&drafts, target);
        let mut added = Vec::new();
        for (key, published) in self.pvds.iter_mut() {
            if let Some(draft) = drafts.remove(key) {
                published.update(draft, &self.interface, target);
            }
        }
        for (key, draft) in drafts {
            if !target.snapshot.has_room() {
                *target.crowded = true;
                break;
            }
            let published = PublishedPvd::new(key.clone(), draft, &self.interface, target);
            added.push(Arc::clone(&published.view));
            self.pvds.insert(key, published);
        }
        if added.is_empty() {
            return;
        }
        let serials = self.interface.pvds.iter().copied().chain(added.iter().map(|pvd| pvd.serial)).collect();
        self.list(serials, target);
        for pvd in added {
            target.tell(Change::PvdAnnounced(pvd));
        }
    }

    /// Removes the provisioning domains that `drafts` no longer holds (O4).
    fn remove_pvds(&mut self, drafts: &BTreeMap<PvdKey, Draft>, target: &mut Target<'_>) {
        let gone: Vec<PvdKey> = self.pvds.keys().filter(|key| !drafts.contains_key(key)).cloned().collect();
        let gone: Vec<Arc<Pvd>> =
            gone.iter().filter_map(|key| self.pvds.remove(key)).map(|published| published.view).collect();
        if gone.is_empty() {
            return;
        }
        for pvd in &gone {
            target.snapshot.remove_pvd(pvd.serial);
            target.tell(Change::PvdWithdrawn(Arc::clone(pvd)));
        }
        let stays = |serial: &Serial| gone.iter().all(|pvd| pvd.serial != *serial);
        let serials = self.interface.pvds.iter().copied().filter(stays).collect();
        self.list(serials, target);
        for pvd in gone {
            target.tell(Change::PvdRemoved(pvd));
        }
    }

    fn list(&mut self, pvds: Vec<Serial>, target: &mut Target<'_>) {
        self.interface = Arc::new(Interface { pvds, ..(*self.interface).clone() });
        target.snapshot.put_interface(Arc::clone(&self.interface));
        target.tell(Change::PvdsListed(Arc::clone(&self.interface)));
    }
}

impl PublishedPvd {
    fn new(key: PvdKey, draft: Draft, interface: &Interface, target: &mut Target<'_>) -> Self {
        let view = Arc::new(Pvd {
            serial: target.serials.pvd(),
            id: key.id(&interface.name),
            key,
            interface: interface.serial,
            ifindex: interface.ifindex,
            family: draft.family,
            addresses: draft.addresses,
            used: join(&draft.elements, target.cut),
            elements: draft.elements,
            revision: 1,
            link_up: carries(interface.state),
        });
        target.snapshot.put_pvd(Arc::clone(&view));
        target.tell(Change::PvdAdded(Arc::clone(&view)));
        let latest =
            view.usable_addresses().map(|address| (address.address, Deadlines::of(address))).collect();
        Self { view, latest }
    }

    fn update(&mut self, draft: Draft, interface: &Interface, target: &mut Target<'_>) {
        let old = &self.view;
        let link_up = carries(interface.state);
        if old.addresses == draft.addresses
            && old.elements == draft.elements
            && old.family == draft.family
            && old.link_up == link_up
        {
            return;
        }
        let elements = element_changes(&old.elements, &draft.elements);
        let new = Arc::new(Pvd {
            family: draft.family,
            addresses: draft.addresses,
            used: join(&draft.elements, target.cut),
            elements: draft.elements,
            revision: old.revision.saturating_add(u32::from(!elements.is_empty())),
            link_up,
            id: old.id.clone(),
            key: old.key.clone(),
            ..**old
        });
        let old = std::mem::replace(&mut self.view, Arc::clone(&new));
        target.snapshot.put_pvd(Arc::clone(&new));
        *target.refreshed = true;
        let addresses = self.address_changes(&old);
        // Deadlines that only moved later are no news to anybody; readers see them in the snapshot.
        if !addresses.is_empty() || !elements.is_empty() || !same_but_deadlines(&old, &new) {
            target.tell(Change::PvdChanged(Arc::new(PvdDelta { old, new, addresses, elements })));
        }
    }

    fn address_changes(&mut self, old: &Pvd) -> Vec<AddressChange> {
        let mut changes = Vec::new();
        self.latest.retain(|address, _| {
            let stays = self.view.usable_addresses().any(|current| current.address == *address);
            if !stays {
                changes.push(AddressChange::Withdraw(*address));
            }
            stays
        });
        for address in self.view.usable_addresses() {
            let before = old.usable_addresses().find(|before| before.address == address.address);
            let restated = before.is_some_and(|before| before.state != address.state);
            let current = Deadlines::of(address);
            let entry = self.latest.entry(address.address).or_insert(current);
            if before.is_none() || restated || current.is_news_after(entry) {
                *entry = current;
                changes.push(AddressChange::Announce(address.clone()));
            } else {
                entry.raise_to(current);
            }
        }
        changes
    }
}

impl Deadlines {
    const fn of(address: &PvdAddress) -> Self {
        Self { preferred: address.preferred_until, valid: address.valid_until }
    }

    fn is_news_after(&self, latest: &Self) -> bool {
        self.preferred.after(EARLIER_IS_NEWS) < latest.preferred
            || self.valid.after(EARLIER_IS_NEWS) < latest.valid
    }

    fn raise_to(&mut self, current: Self) {
        self.preferred = self.preferred.max(current.preferred);
        self.valid = self.valid.max(current.valid);
    }
}

fn element_changes(
    old: &BTreeMap<Element, Shared<Configuration>>,
    new: &BTreeMap<Element, Shared<Configuration>>,
) -> Vec<ElementChange> {
    let gone = old.keys().filter(|element| !new.contains_key(element)).copied().map(ElementChange::Withdraw);
    let news = |(element, configuration): &(&Element, &Shared<Configuration>)| {
        old.get(element).is_none_or(|before| !before.same_but_times(configuration))
    };
    let announced = new.iter().filter(news).map(|(element, _)| ElementChange::Announce(*element));
    gone.chain(announced).collect()
}

/// Whether two versions differ in nothing that PropertiesChanged would carry.
fn same_but_deadlines(old: &Pvd, new: &Pvd) -> bool {
    let shape = |address: &PvdAddress| {
        (address.address, address.prefix_length, address.state, address.element, address.temporary)
    };
    old.family == new.family && old.addresses.iter().map(shape).eq(new.addresses.iter().map(shape))
}

fn join(elements: &BTreeMap<Element, Shared<Configuration>>, cut: &mut bool) -> Shared<Configuration> {
    // Mostly there is one, and all of it is used: that need not be there twice. It is no longer than it may be.
    if let Some((_, only)) = elements.first_key_value()
        && elements.len() == 1
        && only.repeats_nothing()
    {
        return only.clone();
    }
    // Element's order is the order of joining.
    let mut joined = elements.values().fold(Configuration::default(), |mut used, configuration| {
        used.join(configuration);
        used
    });
    *cut |= joined.cut_lists();
    joined.into()
}

fn take(next: &mut u64) -> Serial {
    let serial = Serial(*next);
    *next = next.saturating_add(1);
    serial
}

fn display_name(link: &Link) -> String {
    link.alias.as_ref().filter(|alias| !alias.is_empty()).unwrap_or(&link.name).clone()
}
