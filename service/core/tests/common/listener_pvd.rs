//! What the listener knows of one provisioning domain, and what may be told of it (O6).

use mif_core::BootTime;
use mif_core::change::{AddressChange, ElementChange, PvdDelta};
use mif_core::configuration::{Configuration, Element};
use mif_core::pvd::{AddressState, Pvd, PvdAddress};
use mif_core::shared::Shared;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// O6: a deadline that moves earlier by no more than this is no news.
const EARLIER_IS_NEWS: Duration = Duration::from_secs(2);

/// One provisioning domain by what was told of it.
#[derive(Debug)]
pub struct HeardPvd {
    /// Its values, deadlines possibly out of date.
    pub view: Pvd,
    /// Provisioning Domain Announcement was made.
    pub announced: bool,
    /// No Provisioning Domain Announcement was made.
    pub withdrawn: bool,
    addresses: BTreeMap<IpAddr, HeardAddress>,
    elements: BTreeMap<Element, Shared<Configuration>>,
}

#[derive(Debug)]
struct HeardAddress {
    state: AddressState,
    /// The latest deadlines that could be seen since the announcement.
    preferred: BootTime,
    valid: BootTime,
}

impl HeardPvd {
    /// Its object has appeared.
    pub fn new(pvd: &Pvd) -> Self {
        Self {
            view: pvd.clone(),
            announced: false,
            withdrawn: false,
            addresses: BTreeMap::new(),
            elements: BTreeMap::new(),
        }
    }

    /// It is announced; whoever asks for its addresses and elements now gets those of this moment.
    pub fn announce(&mut self, pvd: &Pvd) {
        assert!(!std::mem::replace(&mut self.announced, true), "{pvd:?}: announced twice");
        assert_eq!(self.view, *pvd, "announced with other values than it appeared with");
        self.addresses = pvd.usable_addresses().map(HeardAddress::of).collect();
        self.elements = pvd.elements.clone();
    }

    /// Its values change.
    pub fn change(&mut self, delta: &PvdDelta) {
        assert!(self.announced && !self.withdrawn, "{delta:?}: changed while it is not available");
        assert_eq!(timeless(&self.view), timeless(&delta.old), "changed from what it never was");
        self.check_worth_telling(delta);
        for change in &delta.addresses {
            self.hear_address(change);
        }
        for change in &delta.elements {
            self.hear_element(change, &delta.new);
        }
        self.view = Pvd::clone(&delta.new);
    }

    /// What was told of addresses and elements must be what the snapshot shows.
    pub fn compare(&mut self, shown: &Pvd) {
        let known: Vec<IpAddr> = self.addresses.keys().copied().collect();
        let usable: Vec<IpAddr> = shown.usable_addresses().map(|address| address.address).collect();
        assert_eq!(known, usable, "addresses announced, and usable ones in the snapshot");
        for address in shown.usable_addresses() {
            let heard = self.addresses.get_mut(&address.address).expect("compared above");
            assert_eq!(heard.state, address.state, "O6: {address:?} turned without an announcement");
            assert!(!heard.is_outdated_by(address), "O6: {address:?} ends earlier than {heard:?}");
            heard.preferred = heard.preferred.max(address.preferred_until);
            heard.valid = heard.valid.max(address.valid_until);
        }
        assert!(self.elements.keys().eq(shown.elements.keys()), "elements announced, and in the snapshot");
        for (element, configuration) in &shown.elements {
            let same = self.elements[element].same_but_times(configuration);
            assert!(same, "O6: {element:?} changed without an announcement");
        }
    }

    fn check_worth_telling(&self, delta: &PvdDelta) {
        let (old, new) = (timeless(&delta.old), timeless(&delta.new));
        let identity = |pvd: &Pvd| (pvd.serial, pvd.key.clone(), pvd.interface, pvd.ifindex, pvd.id.clone());
        assert_eq!(identity(&old), identity(&new), "identity never changes");
        let values_differ = old.elements != new.elements;
        assert_eq!(values_differ, !delta.elements.is_empty(), "an element is news when a value in it is");
        let step = new.revision - old.revision;
        assert_eq!(step, u32::from(values_differ), "the revision counts changes of values");
        assert!(old != new || !delta.addresses.is_empty(), "told without a difference: {delta:?}");
    }

    fn hear_address(&mut self, change: &AddressChange) {
        match change {
            AddressChange::Announce(address) => {
                assert!(address.usable(), "O6: tentative and duplicate addresses are not announced");
                if let Some(heard) = self.addresses.get(&address.address) {
                    let news = heard.state != address.state || heard.is_outdated_by(address);
                    assert!(news, "O6: {address:?} announced again, known as {heard:?}");
                }
                self.addresses.extend([HeardAddress::of(address)]);
            }
            AddressChange::Withdraw(address) => {
                let known = self.addresses.remove(address);
                assert!(known.is_some(), "O5: {address} withdrawn, never announced");
            }
        }
    }

    fn hear_element(&mut self, change: &ElementChange, new: &Pvd) {
        match change {
            ElementChange::Announce(element) => {
                let configuration = new.elements[element].clone();
                let known = self.elements.get(element);
                let news = known.is_none_or(|known| !known.same_but_times(&configuration));
                assert!(news, "O6: {element:?} announced again without a difference");
                self.elements.insert(*element, configuration);
            }
            ElementChange::Withdraw(element) => {
                let known = self.elements.remove(element);
                assert!(known.is_some(), "O5: {element:?} withdrawn, never announced");
            }
        }
    }
}

impl HeardAddress {
    fn of(address: &PvdAddress) -> (IpAddr, Self) {
        let PvdAddress { state, preferred_until: preferred, valid_until: valid, .. } = *address;
        (address.address, Self { state, preferred, valid })
    }

    fn is_outdated_by(&self, address: &PvdAddress) -> bool {
        let earlier = |heard: BootTime, now: BootTime| now.after(EARLIER_IS_NEWS) < heard;
        earlier(self.preferred, address.preferred_until) || earlier(self.valid, address.valid_until)
    }
}

/// `pvd` as signals tell it: without times, and without what its interface tells.
pub fn timeless(pvd: &Pvd) -> Pvd {
    let mut pvd = Pvd { link_up: false, ..pvd.clone() };
    for address in &mut pvd.addresses {
        address.preferred_until = BootTime::ZERO;
        address.valid_until = BootTime::ZERO;
    }
    for configuration in pvd.elements.values_mut().chain([&mut pvd.used]) {
        forget_times(configuration);
    }
    pvd
}

fn forget_times(configuration: &mut Configuration) {
    for data in configuration.routes.values_mut() {
        data.valid_until = BootTime::ZERO;
    }
    for data in configuration.prefixes.values_mut() {
        data.preferred_until = BootTime::ZERO;
        data.valid_until = BootTime::ZERO;
    }
    configuration.lease_expires = configuration.lease_expires.map(|_| BootTime::ZERO);
    if let Some(captivity) = &mut configuration.captivity {
        captivity.expires = captivity.expires.map(|_| BootTime::ZERO);
    }
    if let Some(information) = configuration.additional_information.as_mut().map(Arc::make_mut) {
        // The end is in the text, too.
        information.expires = BootTime::ZERO;
        information.text.clear();
    }
}
