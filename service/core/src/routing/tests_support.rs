//! Provisioning domains to try routing with.

use crate::BootTime;
use crate::configuration::Element;
use crate::configuration::{Configuration, Preference, Prefix, PrefixData, RouteData, RouteKey};
use crate::pvd::{AddressState, Family, Pvd, PvdAddress, PvdKey, Serial};
use std::collections::BTreeMap;

pub(crate) type Told = (RouteKey, RouteData);

pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').expect("a prefix");
    Prefix::covering(address.parse().expect("an address"), length.parse().expect("a length"))
}

pub(crate) fn router(destination: &str, gateway: &str) -> Told {
    routes(&[(destination, gateway, Preference::Medium)])[0]
}

pub(crate) fn routes(all: &[(&str, &str, Preference)]) -> Vec<Told> {
    let route = |(destination, gateway, preference): &(&str, &str, Preference)| {
        let gateway = Some(gateway.parse().expect("an address"));
        let data = RouteData { preference: *preference, valid_until: BootTime::FOREVER };
        (RouteKey { destination: prefix(destination), gateway }, data)
    };
    all.iter().map(route).collect()
}

pub(crate) fn pvd(family: Family, addresses: &[&str], prefixes: &[&str], routes: &[Told]) -> Pvd {
    let forever = BootTime::FOREVER;
    let address = |text: &&str| {
        let (address, length) = text.split_once('/').expect("an address with a length");
        PvdAddress {
            address: address.parse().expect("an address"),
            prefix_length: length.parse().expect("a length"),
            state: AddressState::Preferred,
            element: Element::Static,
            temporary: false,
            preferred_until: forever,
            valid_until: forever,
        }
    };
    let data =
        PrefixData { on_link: true, autonomous: false, preferred_until: forever, valid_until: forever };
    let key = if family == Family::Ipv4 { PvdKey::ImplicitIpv4 } else { PvdKey::ImplicitIpv6 };
    Pvd {
        serial: Serial(1),
        id: key.id("eth1"),
        key,
        interface: Serial(1),
        ifindex: 2,
        family,
        addresses: addresses.iter().map(address).collect(),
        elements: BTreeMap::new(),
        used: Configuration {
            prefixes: prefixes.iter().map(|text| (prefix(text), data)).collect(),
            routes: routes.iter().copied().collect(),
            ..Configuration::default()
        }
        .into(),
        revision: 1,
        link_up: true,
    }
}
