//! What unit tests are about.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use mif::wire::{AddressState, Deadline, Element, Family, InterfaceKind, InterfaceState, Origin};
use mif::{Address, Interface, ProvisioningDomain, State};
use serde_json::Value;
use zbus::OwnedObjectPath;

use super::Values;

/// A path of the service.
pub fn path(kind: &str, name: &str) -> OwnedObjectPath {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    OwnedObjectPath::try_from(format!("/org/ietf/Mif1/{kind}/{name}")).unwrap()
}

/// An Ethernet interface that is up; its index is the number in its name.
pub fn interface(name: &str) -> Interface {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    Interface {
        path: path("interface", name),
        ifindex: digits.parse().unwrap_or(1),
        name: name.to_owned(),
        display_name: name.to_owned(),
        kind: InterfaceKind::Ethernet,
        state: InterfaceState::Up,
        pvds: Vec::new(),
    }
}

/// An explicit PvD of that name on eth1, for both families, everything in it.
pub fn pvd(id: &str) -> ProvisioningDomain {
    ProvisioningDomain {
        path: path("pvd", id),
        interface: path("interface", "eth1"),
        id: id.to_owned(),
        origin: if id.starts_with("implicit:") { Origin::Implicit } else { Origin::Explicit },
        family: Family::Dual,
        elements: vec![Element::Ra, Element::Dhcpv4],
        addresses: vec![address("2001:db8::5", 64, 1_800), address("192.0.2.10", 24, 3_600)],
        dns_servers: vec!["2001:db8::53".parse().unwrap()],
        search_domains: vec!["example.org".to_owned()],
        routers: vec!["fe80::1".parse().unwrap()],
        configuration_revision: 1,
    }
}

/// An address valid until that many seconds after the start of the machine.
pub fn address(text: &str, prefix_length: u8, valid_until: u64) -> Address {
    Address {
        address: text.parse().unwrap(),
        prefix_length,
        state: AddressState::Preferred,
        element: Some(Element::Ra),
        temporary: false,
        preferred_until: Deadline::At(Duration::from_secs(valid_until / 2)),
        valid_until: Deadline::At(Duration::from_secs(valid_until)),
    }
}

/// The state of one interface, eth1, with these PvDs.
pub fn state(ids: &[&str]) -> State {
    let mut eth1 = interface("eth1");
    eth1.pvds = ids.iter().map(|id| pvd(id)).collect();
    State { interfaces: vec![eth1], default_pvds: Vec::new(), startup: false, ..State::default() }
}

/// Configuration values.
pub fn values(object: Value) -> Values {
    object.as_object().unwrap().clone()
}
