//! A machine for the tests: two ISPs, one of them reached by two links.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use mif::wire::{AddressState, Deadline, Element, Family, InterfaceKind, InterfaceState, Origin};
use mif::{Address, Interface, ProvisioningDomain, State};
use serde_json::json;
use zbus::OwnedObjectPath;

use super::configuration::Configurations;
use super::tree;

/// eth0 with an implicit IPv4 and an implicit IPv6 PvD; eth1 and wlan0 in the explicit PvD isp.example.
pub fn two_isps() -> State {
    let mut eth0 = interface(2, "eth0", InterfaceKind::Ethernet, InterfaceState::Up);
    eth0.display_name = "Office".to_owned();
    let mut ipv4 = pvd(11, &eth0, "implicit:eth0:ipv4", Family::Ipv4);
    ipv4.addresses = vec![address("192.0.2.10", 24, 44_199, 87_399)];
    ipv4.dns_servers = vec!["192.0.2.53".parse().unwrap(), "192.0.2.54".parse().unwrap()];
    ipv4.search_domains = vec!["office.example".to_owned()];
    ipv4.routers = vec!["192.0.2.1".parse().unwrap()];
    ipv4.elements = vec![Element::Dhcpv4];
    let mut ipv6 = pvd(12, &eth0, "implicit:eth0:ipv6:fe80::1", Family::Ipv6);
    ipv6.addresses = vec![
        address("2001:db8:1::10", 64, 2_795, 4_595),
        Address {
            state: AddressState::Deprecated,
            temporary: true,
            ..address("2001:db8:1::aaaa:bbbb", 64, 0, 1_060)
        },
    ];
    ipv6.routers = vec!["fe80::1".parse().unwrap()];
    ipv6.elements = vec![Element::Ra, Element::Dhcpv6];
    eth0.pvds = vec![ipv4, ipv6];

    let mut eth1 = interface(3, "eth1", InterfaceKind::Ethernet, InterfaceState::Up);
    eth1.pvds = vec![explicit(13, &eth1, "2001:db8:2::10")];
    let mut wlan0 = interface(4, "wlan0", InterfaceKind::Wifi, InterfaceState::Down);
    wlan0.pvds = vec![explicit(14, &wlan0, "2001:db8:3::10")];
    State {
        interfaces: vec![interface(1, "lo", InterfaceKind::Loopback, InterfaceState::Up), eth0, eth1, wlan0],
        default_pvds: vec![path("pvd", 11), path("pvd", 13)],
        startup: false,
        features: tree::WORTH_A_WORD.iter().map(|(word, _)| (*word).to_owned()).collect(),
    }
}

/// What two of them are configured with: a lease with a portal, and the explicit one with all that it says.
pub fn configurations(state: &State) -> Configurations {
    let named = |id: &str| state.pvds().find(|pvd| pvd.id == id).unwrap();
    let leased = json!({
        "mtu": 1400,
        "ntp-servers": ["192.0.2.123"],
        "nis-domain": "office",
        "nis-servers": ["192.0.2.7"],
        "lease-expires": 87_399_000_000_u64,
        "server-identifier": "192.0.2.1",
        "told-by": "dhcpcd",
        "strict-reverse-path": true,
        "captive-portal": "https://portal.example/api",
        "captive": true,
        "captive-portal-url": "https://portal.example/login",
        "routes": [
            {"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "preference": "medium", "valid-until": 87_399_000_000_u64},
            {"destination": "192.0.2.0/24", "preference": "medium", "valid-until": u64::MAX},
        ],
    });
    let explicit = json!({
        "pref64": ["64:ff9b::/96"],
        "encrypted-dns": [
            {"name": "dns.isp.example", "addresses": ["2001:db8:2::53"], "priority": 1, "alpn": ["dot", "h2"], "path": "/q{?dns}"},
        ],
        "prefixes": [{
            "prefix": "2001:db8:2::/64", "on-link": true, "autonomous": true,
            "preferred-until": 2_795_000_000_u64, "valid-until": 4_595_000_000_u64,
        }],
        "routes": [
            {"destination": "::/0", "gateway": "fe80::1", "preference": "high", "valid-until": 2_800_000_000_u64},
        ],
        "captive-portal": "https://portal.example/api",
        "pvd-option-sequence": 7,
        "pvd-option-flags": ["http"],
        "additional-information": r#"{"dnsZones":["corp.example"],"noInternet":true,"vendor-x":{}}"#,
        "additional-information-expires": 4_600_000_000_u64,
        "dns-zones": ["corp.example"],
        "no-internet": true,
        "split-dns-claims": [
            {"resolver": "dns.isp.example", "parent": "corp.example", "subdomains": ["*"], "verified": false},
        ],
    });
    Configurations::default().with(named("implicit:eth0:ipv4"), leased).with(named("isp.example"), explicit)
}

fn explicit(serial: u32, interface: &Interface, source: &str) -> ProvisioningDomain {
    ProvisioningDomain {
        origin: Origin::Explicit,
        addresses: vec![Address {
            valid_until: Deadline::Never,
            preferred_until: Deadline::Never,
            ..address(source, 64, 0, 0)
        }],
        elements: vec![Element::Ra],
        ..pvd(serial, interface, "isp.example", Family::Ipv6)
    }
}

fn interface(ifindex: u32, name: &str, kind: InterfaceKind, state: InterfaceState) -> Interface {
    Interface {
        path: path("interface", ifindex),
        ifindex,
        name: name.to_owned(),
        display_name: name.to_owned(),
        kind,
        state,
        pvds: Vec::new(),
    }
}

fn pvd(serial: u32, interface: &Interface, id: &str, family: Family) -> ProvisioningDomain {
    ProvisioningDomain {
        path: path("pvd", serial),
        interface: interface.path.clone(),
        id: id.to_owned(),
        origin: Origin::Implicit,
        family,
        elements: Vec::new(),
        addresses: Vec::new(),
        dns_servers: Vec::new(),
        search_domains: Vec::new(),
        routers: Vec::new(),
        configuration_revision: 1,
    }
}

/// Deadlines in seconds of CLOCK_BOOTTIME; the tests say that it is 1,000 now.
fn address(text: &str, prefix_length: u8, preferred_until: u64, valid_until: u64) -> Address {
    Address {
        address: text.parse().unwrap(),
        prefix_length,
        state: AddressState::Preferred,
        element: None,
        temporary: false,
        preferred_until: Deadline::At(Duration::from_secs(preferred_until)),
        valid_until: Deadline::At(Duration::from_secs(valid_until)),
    }
}

fn path(kind: &str, serial: u32) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("/org/ietf/Mif1/{kind}/{serial}")).unwrap()
}
