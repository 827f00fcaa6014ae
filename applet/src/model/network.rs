//! The interfaces and provisioning domains of the machine, as told by the service so far.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gettextrs::gettext;
use mif::wire::{Deadline, InterfaceKind, Origin};
use mif::{Interface, ProvisioningDomain, State};
use zbus::OwnedObjectPath;

use super::condition::Condition;
use super::rows::RowKey;
use super::words::{self, counted, fill, joined};
use super::{Values, ValuesByElement, time};

/// Everything known.
#[derive(Debug, Default)]
pub struct Network {
    interfaces: HashMap<OwnedObjectPath, Interface>,
    pvds: HashMap<OwnedObjectPath, Pvd>,
    defaults: Vec<OwnedObjectPath>,
    startup: bool,
}

/// A provisioning domain with what it is configured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Pvd {
    /// Its properties.
    pub facts: ProvisioningDomain,
    /// The values that the service itself uses.
    pub values: Values,
    /// All values by where they come from; only read for the one that is shown.
    pub by_element: ValuesByElement,
}

/// Something that the service told.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// An interface came or changed.
    Interface(Interface),
    /// An interface went.
    InterfaceGone(OwnedObjectPath),
    /// A PvD came or changed.
    Pvd(Box<ProvisioningDomain>, Values),
    /// A PvD went.
    PvdGone(OwnedObjectPath),
    /// All interfaces and PvDs that there are.
    Listed(HashSet<OwnedObjectPath>),
    /// Where the values of the PvD that is shown come from.
    Elements(OwnedObjectPath, ValuesByElement),
    /// Properties of the Manager.
    Manager {
        /// What programs use that know nothing of PvDs.
        defaults: Vec<OwnedObjectPath>,
        /// Not everything is found yet.
        startup: bool,
    },
}

/// What a PvD is called over restarts of the service, which void all paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The name of its interface.
    pub interface: String,
    /// Its Id.
    pub id: String,
}

/// A row of the list, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct RowView {
    /// The name.
    pub title: String,
    /// What is below it.
    pub subtitle: String,
    /// A symbol.
    pub icon: &'static str,
    /// How it is; `None` for interfaces.
    pub condition: Option<Condition>,
    /// Programs that know nothing of PvDs use it.
    pub default: bool,
    /// When the first of its addresses expires.
    pub until: Option<Deadline>,
}

impl Network {
    /// Forgets everything for the state of a service that was just connected to.
    pub fn reset(&mut self, state: State) {
        *self = Self { defaults: state.default_pvds, startup: state.startup, ..Self::default() };
        for mut interface in state.interfaces {
            for facts in std::mem::take(&mut interface.pvds) {
                self.put(facts, Values::new());
            }
            self.interfaces.insert(interface.path.clone(), interface);
        }
    }

    /// Takes in what the service told. Returns the PvD that it is about.
    pub fn apply(&mut self, update: Update) -> Option<OwnedObjectPath> {
        match update {
            Update::Interface(interface) => {
                self.interfaces.insert(interface.path.clone(), interface);
                None
            }
            Update::InterfaceGone(path) => {
                self.interfaces.remove(&path);
                self.pvds.retain(|_, pvd| pvd.facts.interface != path);
                None
            }
            Update::Pvd(facts, values) => {
                let path = facts.path.clone();
                self.put(*facts, values);
                Some(path)
            }
            Update::PvdGone(path) => {
                self.pvds.remove(&path);
                Some(path)
            }
            Update::Listed(paths) => {
                self.interfaces.retain(|path, _| paths.contains(path));
                self.pvds.retain(|path, _| paths.contains(path));
                None
            }
            Update::Elements(path, by_element) => {
                self.pvds.get_mut(&path)?.by_element = by_element;
                Some(path)
            }
            Update::Manager { defaults, startup } => {
                (self.defaults, self.startup) = (defaults, startup);
                None
            }
        }
    }

    fn put(&mut self, facts: ProvisioningDomain, values: Values) {
        let by_element = self.pvds.remove(&facts.path).map(|known| known.by_element).unwrap_or_default();
        self.pvds.insert(facts.path.clone(), Pvd { facts, values, by_element });
    }

    /// Whether links that were up when the service started are not settled yet.
    pub const fn startup(&self) -> bool {
        self.startup
    }

    /// How many PvDs there are.
    pub fn len(&self) -> usize {
        self.pvds.len()
    }

    /// A PvD.
    pub fn pvd(&self, path: &OwnedObjectPath) -> Option<&Pvd> {
        self.pvds.get(path)
    }

    /// All PvDs, in the order of the list.
    pub fn pvds(&self) -> Vec<&Pvd> {
        let mut pvds: Vec<&Pvd> = self.pvds.values().collect();
        pvds.sort_by_cached_key(|pvd| {
            let ifindex = self.interface_of(&pvd.facts).map_or(u32::MAX, |interface| interface.ifindex);
            (ifindex, place(&pvd.facts))
        });
        pvds
    }

    /// An interface.
    pub fn interface(&self, path: &OwnedObjectPath) -> Option<&Interface> {
        self.interfaces.get(path)
    }

    /// The interface that a PvD is on.
    pub fn interface_of(&self, pvd: &ProvisioningDomain) -> Option<&Interface> {
        self.interfaces.get(&pvd.interface)
    }

    /// Whether programs use it that know nothing of PvDs.
    pub fn is_default(&self, pvd: &ProvisioningDomain) -> bool {
        self.defaults.contains(&pvd.path)
    }

    /// How a PvD is.
    pub fn condition(&self, pvd: &Pvd) -> Condition {
        Condition::of(&pvd.facts, self.interface_of(&pvd.facts), &pvd.values)
    }

    /// What a PvD is called over restarts.
    pub fn identity(&self, path: &OwnedObjectPath) -> Option<Identity> {
        let facts = &self.pvds.get(path)?.facts;
        let interface = self.interface_of(facts).map(|interface| interface.name.clone());
        Some(Identity { interface: interface.unwrap_or_default(), id: facts.id.clone() })
    }

    /// The rows of the list in order: each interface, and below it its PvDs. Loopback is left out.
    pub fn rows(&self) -> Vec<RowKey> {
        let mut below: HashMap<&OwnedObjectPath, Vec<OwnedObjectPath>> = HashMap::new();
        for pvd in self.pvds() {
            below.entry(&pvd.facts.interface).or_default().push(pvd.facts.path.clone());
        }
        let mut interfaces: Vec<&Interface> = self.interfaces.values().collect();
        interfaces.sort_by_key(|interface| interface.ifindex);
        let mut rows = Vec::with_capacity(self.pvds.len() + interfaces.len());
        for interface in interfaces {
            let pvds = below.remove(&interface.path).unwrap_or_default();
            if interface.kind == InterfaceKind::Loopback && pvds.is_empty() {
                continue;
            }
            rows.push(RowKey::Interface(interface.path.clone()));
            rows.extend(pvds.into_iter().map(RowKey::Pvd));
        }
        rows
    }

    /// A row in words.
    pub fn view(&self, key: &RowKey) -> Option<RowView> {
        match key {
            RowKey::Interface(path) => self.interfaces.get(path).map(interface_view),
            RowKey::Pvd(path) => self.pvds.get(path).map(|pvd| self.pvd_view(pvd)),
        }
    }

    /// What a PvD is called in lists.
    pub fn title(&self, pvd: &ProvisioningDomain) -> String {
        let name = self.interface_of(pvd).map(|interface| interface.name.as_str()).unwrap_or_default();
        title(&pvd.id, name)
    }

    fn pvd_view(&self, pvd: &Pvd) -> RowView {
        let condition = self.condition(pvd);
        let facts = &pvd.facts;
        // Of implicit ones the title says it.
        let family =
            if facts.origin == Origin::Implicit { String::new() } else { words::family(&facts.family) };
        let default = self.is_default(facts);
        let by_default = if default { gettext("default") } else { String::new() };
        RowView {
            title: self.title(facts),
            subtitle: joined([condition.words(), by_default, family]),
            icon: condition.icon(),
            condition: Some(condition),
            default,
            until: facts.addresses.iter().map(|address| address.valid_until).reduce(time::nearer),
        }
    }

    /// One line for all of it, as for a status icon.
    pub fn summary(&self) -> String {
        let networks = counted("{count} network", "{count} networks", self.pvds.len());
        let worst = self.worst().filter(|worst| *worst != Condition::Ready);
        joined([networks, worst.map(Condition::words).unwrap_or_default()])
    }

    /// The condition that most wants a person.
    pub fn worst(&self) -> Option<Condition> {
        self.pvds.values().map(|pvd| self.condition(pvd)).min()
    }

    /// The PvD of which a deadline passes next before `until` (CLOCK_BOOTTIME): what the service said of it
    /// may be old, for later deadlines are not announced.
    pub fn expiring(&self, until: Duration) -> Option<&OwnedObjectPath> {
        let deadline =
            |pvd: &Pvd| match pvd.facts.addresses.iter().map(|it| it.valid_until).reduce(time::nearer) {
                Some(Deadline::At(at)) => Some(at),
                _ => None,
            };
        let near = self.pvds.iter().filter_map(|(path, pvd)| Some((deadline(pvd)?, path)));
        near.filter(|(at, _)| *at <= until).min_by_key(|(at, _)| *at).map(|(_, path)| path)
    }
}

/// The first PvD of the list.
pub fn first(state: &State) -> Option<&OwnedObjectPath> {
    let interfaces = state.interfaces.iter().filter(|interface| !interface.pvds.is_empty());
    let pvds = &interfaces.min_by_key(|interface| interface.ifindex)?.pvds;
    pvds.iter().min_by_key(|pvd| place(pvd)).map(|pvd| &pvd.path)
}

/// The place of a PvD among those of its interface: explicit ones first.
fn place(pvd: &ProvisioningDomain) -> (bool, &str) {
    (pvd.origin == Origin::Implicit, &pvd.id)
}

/// What an interface is called: what people call it, and its name.
pub fn interface_title(interface: &Interface) -> String {
    if interface.display_name == interface.name {
        interface.name.clone()
    } else {
        format!("{} ({})", interface.display_name, interface.name)
    }
}

fn interface_view(interface: &Interface) -> RowView {
    RowView {
        title: interface_title(interface),
        subtitle: joined([words::interface_kind(&interface.kind), words::interface_state(&interface.state)]),
        icon: kind_icon(&interface.kind),
        condition: None,
        default: false,
        until: None,
    }
}

/// What the PvD of this Id on this interface is called: its name, or for implicit ones what they are made of.
pub fn title(id: &str, interface: &str) -> String {
    let Some(rest) = id.strip_prefix("implicit:") else { return words::isolated(id) };
    // The interface may have been renamed since; names of links have no colon in implicit ids but their own.
    let (family, router) = match rest.split_once(":ipv6") {
        Some((_, router)) => ("IPv6", router.strip_prefix(':')),
        None => ("IPv4", None),
    };
    match router {
        Some(router) => fill(
            &gettext("{family} via {router}"),
            &[("family", family), ("router", &words::isolated(router))],
        ),
        None => fill(
            &gettext("{family} on {interface}"),
            &[("family", family), ("interface", &words::isolated(interface))],
        ),
    }
}

/// A symbol for a kind of interface.
pub const fn kind_icon(kind: &InterfaceKind) -> &'static str {
    match kind {
        InterfaceKind::Wifi => "network-wireless-symbolic",
        InterfaceKind::Wwan => "network-cellular-connected-symbolic",
        InterfaceKind::Tunnel => "network-vpn-symbolic",
        InterfaceKind::Bridge | InterfaceKind::Vlan | InterfaceKind::Bond => "network-workgroup-symbolic",
        _ => "network-wired-symbolic",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::samples::{interface, path, pvd, state, values};
    use mif::wire::InterfaceState;
    use serde_json::json;

    fn network(ids: &[&str]) -> Network {
        let mut network = Network::default();
        network.reset(state(ids));
        network
    }

    fn shown(network: &Network) -> Vec<String> {
        network.rows().iter().map(|key| words::plain(&network.view(key).unwrap().title)).collect()
    }

    #[test]
    fn the_list_has_interfaces_by_index_and_below_them_their_pvds_explicit_ones_first() {
        let mut network = network(&["implicit:eth1:ipv4", "b.example", "a.example"]);
        network.apply(Update::Interface(interface("eth0")));
        let rows = ["eth0", "eth1", "a.example", "b.example", "IPv4 on eth1"];
        assert_eq!(shown(&network), rows);
    }

    #[test]
    fn the_first_of_the_list_is_known_before_there_is_a_list() {
        for ids in [&["implicit:eth1:ipv4", "b.example", "a.example"][..], &["implicit:eth1:ipv4"], &[]] {
            let rows = network(ids).rows();
            let listed = rows.iter().find_map(|row| match row {
                RowKey::Pvd(path) => Some(path),
                RowKey::Interface(_) => None,
            });
            assert_eq!(first(&state(ids)), listed);
        }
    }

    #[test]
    fn loopback_is_no_network() {
        let mut network = network(&[]);
        let loopback = Interface { kind: InterfaceKind::Loopback, ..interface("lo") };
        network.apply(Update::Interface(loopback));
        assert_eq!(shown(&network), ["eth1"]);
    }

    #[test]
    fn an_interface_takes_its_pvds_along() {
        let mut network = network(&["a.example"]);
        network.apply(Update::InterfaceGone(path("interface", "eth1")));
        assert!(network.rows().is_empty());
        assert_eq!(network.len(), 0);
    }

    #[test]
    fn what_is_not_listed_is_gone() {
        let mut network = network(&["a.example", "b.example"]);
        let listed = [path("interface", "eth1"), path("pvd", "b.example")];
        network.apply(Update::Listed(listed.into()));
        assert_eq!(shown(&network), ["eth1", "b.example"]);
    }

    #[test]
    fn a_pvd_that_changes_keeps_what_is_known_of_its_elements() {
        let mut network = network(&["a.example"]);
        let by_element = ValuesByElement::from([(mif::wire::Element::Ra, values(json!({"mtu": 1280})))]);
        network.apply(Update::Elements(path("pvd", "a.example"), by_element.clone()));
        network.apply(Update::Pvd(Box::new(pvd("a.example")), values(json!({"captive": true}))));
        let known = network.pvd(&path("pvd", "a.example")).unwrap();
        assert_eq!(known.by_element, by_element);
        assert_eq!(network.condition(known), Condition::Captive);
        assert_eq!(network.summary(), "1 network · Sign-in needed");
    }

    #[test]
    fn implicit_pvds_are_called_by_what_they_are_made_of() {
        let cases = [
            ("cafe.example", "cafe.example"),
            ("implicit:wlan0:ipv4", "IPv4 on wlan0"),
            ("implicit:wlan0:ipv6", "IPv6 on wlan0"),
            ("implicit:wlan0:ipv6:fe80::1", "IPv6 via fe80::1"),
            ("implicit:eth0:1:ipv4", "IPv4 on wlan0"),
        ];
        for (id, expected) in cases {
            assert_eq!(words::plain(&title(id, "wlan0")), expected);
        }
    }

    #[test]
    fn a_row_tells_the_first_end_of_an_address() {
        let network = network(&["a.example"]);
        let view = network.view(&RowKey::Pvd(path("pvd", "a.example"))).unwrap();
        assert_eq!(view.subtitle, "Ready · IPv4 and IPv6");
        assert_eq!(view.until, Some(Deadline::At(Duration::from_secs(1_800))));
        assert_eq!(network.expiring(Duration::from_secs(1_799)), None);
        assert_eq!(network.expiring(Duration::from_secs(1_800)), Some(&path("pvd", "a.example")));
    }

    #[test]
    fn an_interface_that_is_down_makes_its_pvds_unusable() {
        let mut network = network(&["a.example"]);
        let down = Interface { state: InterfaceState::Down, ..interface("eth1") };
        network.apply(Update::Interface(down));
        assert_eq!(network.worst(), Some(Condition::Disconnected));
    }
}
