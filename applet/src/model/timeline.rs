//! The announcements as they came.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use gettextrs::gettext;
use mif::Message;
use mif::wire::{Deadline, Element, PvdDetails};
use serde::Serialize;
use zbus::OwnedObjectPath;

use super::network::title;
use super::words::{self, fill, isolated};

/// How many announcements are kept; the oldest go.
pub const KEPT: usize = 5_000;

/// An announcement, as it is kept and exported. Words are those of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Since 1970, in microseconds.
    pub time: u64,
    /// What happened.
    pub change: Change,
    /// What it is about.
    pub kind: Kind,
    /// The name of the interface.
    pub interface: String,
    /// The Id of the PvD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvd: Option<String>,
    /// The address with its prefix length, or the configuration element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// CLOCK_BOOTTIME microseconds; left out when it is for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u64>,
    /// The object.
    pub path: String,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was there when the listing began.
    Present,
    /// It came.
    Added,
    /// Announced again: something in it has changed.
    Changed,
    /// It went.
    Removed,
}

/// What an announcement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An interface.
    Interface,
    /// A provisioning domain.
    ProvisioningDomain,
    /// A configuration element.
    ConfigurationElement,
    /// An address.
    Address,
    /// The connection to the service.
    Service,
}

impl Kind {
    /// In the order of the filter.
    pub const ALL: [Self; 5] =
        [Self::ProvisioningDomain, Self::Address, Self::ConfigurationElement, Self::Interface, Self::Service];

    /// What the filter calls them.
    pub fn words(self) -> String {
        match self {
            Self::Interface => gettext("Interfaces"),
            Self::ProvisioningDomain => gettext("Provisioning domains"),
            Self::ConfigurationElement => gettext("Configuration elements"),
            Self::Address => gettext("Addresses"),
            Self::Service => gettext("Service"),
        }
    }
}

impl Entry {
    /// What happened, as a line.
    pub fn headline(&self) -> String {
        let name =
            self.pvd.as_deref().map_or_else(|| isolated(&self.interface), |id| title(id, &self.interface));
        let element = || words::element(&Element::from(self.value.as_deref().unwrap_or_default()));
        let value = match self.kind {
            Kind::ConfigurationElement => element(),
            Kind::Address => isolated(self.value.as_deref().unwrap_or_default()),
            Kind::Interface | Kind::ProvisioningDomain | Kind::Service => name,
        };
        fill(&self.sentence(), &[("what", &value)])
    }

    /// Where it happened; empty for what is said in the headline already.
    pub fn place(&self) -> String {
        match self.kind {
            Kind::Interface | Kind::Service => String::new(),
            Kind::ProvisioningDomain => {
                fill(&gettext("on {interface}"), &[("interface", &isolated(&self.interface))])
            }
            Kind::ConfigurationElement | Kind::Address => {
                let pvd = self.pvd.as_deref().map(|id| title(id, &self.interface)).unwrap_or_default();
                fill(&gettext("in {network}"), &[("network", &pvd)])
            }
        }
    }

    fn sentence(&self) -> String {
        use Change::{Added, Changed, Present, Removed};
        match (self.kind, self.change) {
            (Kind::Service, Removed) => gettext("The service went"),
            (Kind::Service, _) => gettext("The service is there"),
            (Kind::Interface, Added) => gettext("Interface {what} came"),
            (Kind::Interface, Removed) => gettext("Interface {what} went"),
            (Kind::Interface, Changed) => gettext("Interface {what} changed"),
            (Kind::Interface, Present) => gettext("Interface {what} is there"),
            (Kind::ProvisioningDomain, Added) => gettext("Network {what} came"),
            (Kind::ProvisioningDomain, Removed) => gettext("Network {what} went"),
            (Kind::ProvisioningDomain, Changed) => gettext("Network {what} changed"),
            (Kind::ProvisioningDomain, Present) => gettext("Network {what} is there"),
            (Kind::ConfigurationElement, Added) => gettext("Configuration by {what} came"),
            (Kind::ConfigurationElement, Removed) => gettext("Configuration by {what} went"),
            (Kind::ConfigurationElement, Changed) => gettext("Configuration by {what} changed"),
            (Kind::ConfigurationElement, Present) => gettext("Configuration by {what} is there"),
            (Kind::Address, Added) => gettext("Address {what} came"),
            (Kind::Address, Removed) => gettext("Address {what} went"),
            (Kind::Address, Changed) => gettext("Address {what} changed"),
            (Kind::Address, Present) => gettext("Address {what} is there"),
        }
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Change {
    /// A symbol of its own.
    pub const fn icon(self) -> &'static str {
        match self {
            Self::Present => "media-record-symbolic",
            Self::Added => "list-add-symbolic",
            Self::Changed => "document-edit-symbolic",
            Self::Removed => "list-remove-symbolic",
        }
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these; `None` for all kinds.
    pub kind: Option<Kind>,
    /// Only what has this text somewhere, in any case.
    pub text: String,
}

impl Filter {
    /// Whether an entry is wanted.
    pub fn admits(&self, entry: &Entry) -> bool {
        if self.kind.is_some_and(|kind| kind != entry.kind) {
            return false;
        }
        let wanted = self.text.trim().to_lowercase();
        let fields = [Some(&entry.interface), entry.pvd.as_ref(), entry.value.as_ref(), Some(&entry.path)];
        wanted.is_empty()
            || fields.into_iter().flatten().any(|text| text.to_lowercase().contains(&wanted))
            || words::plain(&entry.headline()).to_lowercase().contains(&wanted)
    }
}

/// Turns messages into entries: keeps the names of what was announced.
#[derive(Debug, Default)]
pub struct Ledger {
    interfaces: HashMap<OwnedObjectPath, String>,
    pvds: HashMap<OwnedObjectPath, Announced>,
}

#[derive(Debug, Default)]
struct Announced {
    id: String,
    interface: String,
    elements: HashSet<Element>,
    addresses: HashMap<IpAddr, u8>,
}

impl Ledger {
    /// Enters a message that came at `at` (since 1970). `listed`: it belongs to a listing of what is there.
    /// `None` for what is not about announcements.
    pub fn enter(&mut self, message: &Message, at: Duration, listed: bool) -> Option<Entry> {
        let mut entry = match message {
            Message::InterfaceAnnouncement { interface, display_name, details } => {
                let name = details.name.clone().unwrap_or_else(|| display_name.clone());
                let known = self.interfaces.insert(interface.clone(), name.clone()).is_some();
                entry(interface, Kind::Interface, came(known), name)
            }
            Message::NoInterfaceAnnouncement { interface } => {
                let name = self.interfaces.remove(interface)?;
                entry(interface, Kind::Interface, Change::Removed, name)
            }
            Message::ProvisioningDomainAnnouncement { interface, pvd, details } => {
                self.pvd_came(interface, pvd, details)
            }
            Message::NoProvisioningDomainAnnouncement { pvd, .. } => {
                let gone = self.pvds.remove(pvd)?;
                gone.entry(pvd, Kind::ProvisioningDomain, Change::Removed)
            }
            inside => self.enter_inside(inside)?,
        };
        entry.time = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        if listed && entry.change == Change::Added {
            entry.change = Change::Present;
        }
        Some(entry)
    }

    fn pvd_came(
        &mut self,
        interface: &OwnedObjectPath,
        pvd: &OwnedObjectPath,
        details: &PvdDetails,
    ) -> Entry {
        let known = self.pvds.contains_key(pvd);
        let announced = self.pvds.entry(pvd.clone()).or_default();
        announced.id = details.id.clone().unwrap_or_else(|| pvd.to_string());
        announced.interface = self.interfaces.get(interface).cloned().unwrap_or_default();
        announced.entry(pvd, Kind::ProvisioningDomain, came(known))
    }

    fn enter_inside(&mut self, message: &Message) -> Option<Entry> {
        match message {
            Message::ConfigurationElementAnnouncement { pvd, element } => {
                let known = self.pvds.get_mut(pvd)?;
                let change = came(!known.elements.insert(element.clone()));
                Some(known.with_element(pvd, change, element))
            }
            Message::NoConfigurationElementAnnouncement { pvd, element } => {
                let known = self.pvds.get_mut(pvd)?;
                known.elements.remove(element);
                Some(known.with_element(pvd, Change::Removed, element))
            }
            Message::AddressAnnouncement { pvd, address, prefix_length, valid_until, .. } => {
                let known = self.pvds.get_mut(pvd)?;
                let change = came(known.addresses.insert(*address, *prefix_length).is_some());
                let mut entry = known.with_address(pvd, change, *address);
                if let Deadline::At(at) = valid_until {
                    entry.valid_until = u64::try_from(at.as_micros()).ok();
                }
                Some(entry)
            }
            Message::NoAddressAnnouncement { pvd, address } => {
                let known = self.pvds.get_mut(pvd)?;
                let entry = known.with_address(pvd, Change::Removed, *address);
                known.addresses.remove(address);
                Some(entry)
            }
            _ => None,
        }
    }
}

impl Announced {
    fn entry(&self, path: &OwnedObjectPath, kind: Kind, change: Change) -> Entry {
        Entry { pvd: Some(self.id.clone()), ..entry(path, kind, change, self.interface.clone()) }
    }

    fn with_element(&self, path: &OwnedObjectPath, change: Change, element: &Element) -> Entry {
        let value = Some(element.to_string());
        Entry { value, ..self.entry(path, Kind::ConfigurationElement, change) }
    }

    fn with_address(&self, path: &OwnedObjectPath, change: Change, address: IpAddr) -> Entry {
        let length = self.addresses.get(&address).map(|length| format!("/{length}")).unwrap_or_default();
        Entry { value: Some(format!("{address}{length}")), ..self.entry(path, Kind::Address, change) }
    }
}

const fn came(known: bool) -> Change {
    if known { Change::Changed } else { Change::Added }
}

fn entry(path: &OwnedObjectPath, kind: Kind, change: Change, interface: String) -> Entry {
    let path = path.to_string();
    Entry { time: 0, change, kind, interface, pvd: None, value: None, valid_until: None, path }
}

/// That the service came (`present`) or went, at `at` (since 1970).
pub fn service(at: Duration, present: bool) -> Entry {
    Entry {
        time: u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
        change: if present { Change::Present } else { Change::Removed },
        kind: Kind::Service,
        interface: String::new(),
        pvd: None,
        value: None,
        valid_until: None,
        path: mif::names::ROOT_PATH.to_owned(),
    }
}

/// Entries as JSON lines, for a bug report.
pub fn export<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    entries.into_iter().flat_map(|entry| [entry.to_json(), "\n".to_owned()]).collect()
}

/// Adds entries to those kept, and returns how many of the oldest went.
pub fn keep(kept: &mut VecDeque<Entry>, new: impl IntoIterator<Item = Entry>) -> usize {
    kept.extend(new);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
    over
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::samples::path;
    use mif::wire::InterfaceDetails;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn interface() -> Message {
        let details = InterfaceDetails { name: Some("eth1".into()), ..InterfaceDetails::default() };
        Message::InterfaceAnnouncement {
            interface: path("interface", "eth1"),
            display_name: "Office".into(),
            details,
        }
    }

    fn pvd(id: &str) -> Message {
        Message::ProvisioningDomainAnnouncement {
            interface: path("interface", "eth1"),
            pvd: path("pvd", id),
            details: PvdDetails { id: Some(id.into()), ..PvdDetails::default() },
        }
    }

    fn address(id: &str) -> Message {
        Message::AddressAnnouncement {
            pvd: path("pvd", id),
            address: "192.0.2.1".parse().unwrap(),
            prefix_length: 24,
            preferred_until: Deadline::Never,
            valid_until: Deadline::At(Duration::from_secs(5)),
        }
    }

    #[test]
    fn what_is_announced_has_a_name_until_it_is_gone() {
        let mut ledger = Ledger::default();
        let listed = ledger.enter(&interface(), NOW, true).unwrap();
        assert_eq!((listed.change, listed.interface.as_str()), (Change::Present, "eth1"));
        ledger.enter(&pvd("a.example"), NOW, false);
        let came = ledger.enter(&address("a.example"), NOW, false).unwrap();
        assert_eq!(words::plain(&came.headline()), "Address 192.0.2.1/24 came");
        assert_eq!(words::plain(&came.place()), "in a.example");
        assert_eq!(ledger.enter(&address("a.example"), NOW, false).unwrap().change, Change::Changed);
        let gone = Message::NoAddressAnnouncement {
            pvd: path("pvd", "a.example"),
            address: "192.0.2.1".parse().unwrap(),
        };
        assert_eq!(ledger.enter(&gone, NOW, false).unwrap().value.as_deref(), Some("192.0.2.1/24"));
        let gone = Message::NoProvisioningDomainAnnouncement {
            interface: path("interface", "eth1"),
            pvd: path("pvd", "a.example"),
        };
        assert_eq!(ledger.enter(&gone, NOW, false).unwrap().pvd.as_deref(), Some("a.example"));
        assert_eq!(ledger.enter(&gone, NOW, false), None);
    }

    #[test]
    fn the_export_is_one_object_a_line() {
        let mut ledger = Ledger::default();
        let entries = [interface(), pvd("a.example"), address("a.example")]
            .map(|it| ledger.enter(&it, NOW, false).unwrap());
        let text = export(&entries);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2]["kind"], "address");
        assert_eq!(lines[2]["change"], "added");
        assert_eq!(lines[2]["time"], 1_700_000_000_000_000_u64);
        assert_eq!(lines[2]["valid_until"], 5_000_000);
        assert_eq!(lines[0].get("pvd"), None);
    }

    #[test]
    fn the_filter_looks_at_kind_and_text() {
        let mut ledger = Ledger::default();
        ledger.enter(&interface(), NOW, false);
        ledger.enter(&pvd("a.example"), NOW, false);
        let entry = ledger.enter(&address("a.example"), NOW, false).unwrap();
        let filter = |kind, text: &str| Filter { kind, text: text.to_owned() }.admits(&entry);
        assert!(filter(None, ""));
        assert!(filter(Some(Kind::Address), " A.EXAMPLE "));
        assert!(filter(None, "came"));
        assert!(!filter(Some(Kind::Interface), ""));
        assert!(!filter(None, "b.example"));
    }

    #[test]
    fn the_oldest_go() {
        let mut kept = VecDeque::new();
        let entry = |number: u64| Entry { time: number, ..service(NOW, true) };
        assert_eq!(keep(&mut kept, (0..KEPT as u64).map(entry)), 0);
        assert_eq!(keep(&mut kept, [entry(9_999)]), 1);
        assert_eq!((kept.len(), kept[0].time), (KEPT, 1));
    }
}
