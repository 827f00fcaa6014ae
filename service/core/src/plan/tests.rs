#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bind;
mod explain;

use super::*;
use crate::BootTime;
use crate::configuration::{AddressFamily, Configuration, Element};
use crate::event::{LinkKind, LinkState};
use crate::pvd::{AddressState, Family, Interface, PvdAddress, PvdKey};
use proptest::prelude::*;
use std::collections::BTreeMap;

mod dns;
mod systems;

/// As the service does it when its configuration does not say otherwise.
fn translate(snapshot: &Snapshot, pvd: Serial, request: &TranslateRequest) -> Result<TranslatePlan, Refusal> {
    super::translate(snapshot, pvd, request, Encryption::default())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn address(text: &str) -> PvdAddress {
    let (address, length) = text.split_once('/').unwrap();
    PvdAddress {
        address: ip(address),
        prefix_length: length.parse().unwrap(),
        state: AddressState::Preferred,
        element: Element::Static,
        temporary: false,
        preferred_until: BootTime::FOREVER,
        valid_until: BootTime::FOREVER,
    }
}

fn pvd(serial: u64, interface: u64, family: Family, addresses: &[&str], servers: &[&str]) -> Pvd {
    let key = if family == Family::Ipv4 { PvdKey::ImplicitIpv4 } else { PvdKey::ImplicitIpv6 };
    Pvd {
        serial: Serial(serial),
        key: key.clone(),
        interface: Serial(interface),
        ifindex: u32::try_from(interface).unwrap(),
        id: key.id(&format!("e{interface}")),
        family,
        addresses: addresses.iter().map(|text| address(text)).collect(),
        elements: BTreeMap::new(),
        used: Configuration {
            dns_servers: servers.iter().map(|text| ip(text)).collect(),
            ..Configuration::default()
        }
        .into(),
        revision: 1,
        link_up: true,
    }
}

fn snapshot(pvds: &[Pvd]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for pvd in pvds {
        let same_link = pvds.iter().filter(|other| other.interface == pvd.interface);
        snapshot.put_interface(Arc::new(Interface {
            serial: pvd.interface,
            ifindex: pvd.ifindex,
            name: format!("e{}", pvd.ifindex),
            display_name: format!("e{}", pvd.ifindex),
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            pvds: same_link.map(|pvd| pvd.serial).collect(),
        }));
        pvd.addresses.iter().for_each(|own| snapshot.add_own(own.address, pvd.ifindex));
        snapshot.put_pvd(Arc::new(pvd.clone()));
    }
    snapshot
}

/// Two links: e1 with IPv4 and IPv6, e2 with IPv4.
fn two_links() -> [Pvd; 3] {
    [
        pvd(11, 1, Family::Ipv4, &["192.0.2.10/24"], &["192.0.2.1", "127.0.0.53", "2001:db8:1::53"]),
        pvd(
            12,
            1,
            Family::Ipv6,
            &["2001:db8:1::10/64", "2001:db8:1::11/64"],
            &["2001:db8:1::53", "fe80::53"],
        ),
        pvd(21, 2, Family::Ipv4, &["198.51.100.10/24"], &["192.0.2.1"]),
    ]
}

fn connecting(address: &str) -> ConnectRequest {
    ConnectRequest {
        address: ip(address),
        port: 80,
        source: None,
        timeout_ms: CONNECT_TIMEOUT_MS,
        protocol: Protocol::Tcp,
    }
}

fn translating(name: &str) -> TranslateRequest {
    TranslateRequest {
        name: name.to_owned(),
        families: Families::Any,
        timeout_ms: TRANSLATE_TIMEOUT_MS,
        systems: None,
        available: Systems::ALL,
    }
}

/// The refusal's message when `request` is made of PvD 11 of `two_links`.
fn refused_connect(request: &ConnectRequest) -> (Refusal, String) {
    let refusal = connect(&snapshot(&two_links()), Serial(11), request).unwrap_err();
    let message = refusal.to_string();
    (refusal, message)
}

fn refused_name(name: &str) -> String {
    let refusal = translate(&snapshot(&two_links()), Serial(11), &translating(name)).unwrap_err();
    assert!(matches!(refusal, Refusal::InvalidArgs(_)), "{name}: {refusal:?}");
    refusal.to_string()
}

fn lookup(pvd: &Pvd, request: &TranslateRequest) -> Lookup {
    match translate(&snapshot(std::slice::from_ref(pvd)), pvd.serial, request).unwrap().translation {
        Translation::Lookup(lookup) => lookup,
        Translation::Literal(address) => panic!("{address} is a literal"),
    }
}

#[test]
fn a_connection_gets_sources_interface_and_destination() {
    let plan = connect(&snapshot(&two_links()), Serial(12), &connecting("2001:db8:9::1")).unwrap();
    assert_eq!(plan.pvd, Serial(12));
    assert_eq!(plan.ifindex, 1);
    assert_eq!(plan.sources, [ip("2001:db8:1::10"), ip("2001:db8:1::11")]);
    assert_eq!(plan.destination, "[2001:db8:9::1]:80".parse().unwrap());
}

#[test]
fn a_link_local_destination_carries_its_link() {
    let plan = connect(&snapshot(&two_links()), Serial(12), &connecting("fe80::1")).unwrap();
    assert_eq!(plan.destination.to_string(), "[fe80::1%1]:80");
}

#[test]
fn deprecated_sources_come_last_and_tentative_ones_never() {
    let mut domain = pvd(1, 1, Family::Ipv6, &["2001:db8::1/64", "2001:db8::2/64", "2001:db8::3/64"], &[]);
    domain.addresses[0].state = AddressState::Deprecated;
    domain.addresses[1].state = AddressState::Tentative;
    let state = snapshot(&[domain]);
    let plan = connect(&state, Serial(1), &connecting("2001:db8:9::1")).unwrap();
    assert_eq!(plan.sources, [ip("2001:db8::3"), ip("2001:db8::1")]);
    let from = |source| ConnectRequest { source: Some(ip(source)), ..connecting("2001:db8:9::1") };
    assert_eq!(connect(&state, Serial(1), &from("2001:db8::1")).unwrap().sources, [ip("2001:db8::1")]);
    let refusal = connect(&state, Serial(1), &from("2001:db8::2")).unwrap_err();
    assert_eq!(refusal, Refusal::SourceNotValid(BadSource::NotUsable(ip("2001:db8::2"))));
}

#[test]
fn destinations_that_are_none() {
    for (address, why) in [
        ("127.0.0.1", BadDestination::Loopback),
        ("127.255.0.9", BadDestination::Loopback),
        ("::1", BadDestination::Loopback),
        ("0.0.0.0", BadDestination::Unspecified),
        ("::", BadDestination::Unspecified),
        ("224.0.0.1", BadDestination::Multicast),
        ("ff02::1", BadDestination::Multicast),
        ("255.255.255.255", BadDestination::Broadcast),
        ("192.0.2.255", BadDestination::Broadcast),
        ("::ffff:203.0.113.1", BadDestination::V4Mapped("203.0.113.1".parse().unwrap())),
        ("192.0.2.10", BadDestination::OwnHost),
        // Of another provisioning domain, but of this host.
        ("198.51.100.10", BadDestination::OwnHost),
        ("2001:db8:1::10", BadDestination::OwnHost),
    ] {
        let (refusal, message) = refused_connect(&connecting(address));
        assert_eq!(refusal, Refusal::InvalidArgs(Invalid::Destination(ip(address), why)));
        assert!(message.starts_with(&format!("{} is ", ip(address))), "{message}");
    }
    // The broadcast address of the other link is an ordinary address here.
    assert!(connect(&snapshot(&two_links()), Serial(11), &connecting("198.51.100.255")).is_ok());
    let narrow = snapshot(&[pvd(1, 1, Family::Ipv4, &["192.0.2.10/31"], &[])]);
    assert!(connect(&narrow, Serial(1), &connecting("192.0.2.11")).is_ok());
}

#[test]
fn other_wrong_arguments_of_a_connection() {
    let good = connecting("203.0.113.1");
    let (refusal, message) = refused_connect(&ConnectRequest { port: 0, ..good.clone() });
    assert_eq!(refusal, Refusal::InvalidArgs(Invalid::Port));
    assert_eq!(message, "port 0 cannot be connected to: give one from 1 to 65535");
    for timeout_ms in [0, 120_001, u32::MAX] {
        let (refusal, message) = refused_connect(&ConnectRequest { timeout_ms, ..good.clone() });
        assert_eq!(refusal, Refusal::InvalidArgs(Invalid::Timeout(timeout_ms)));
        assert_eq!(message, format!("timeout {timeout_ms} is out of range: give 1 to 120000 milliseconds"));
    }
    for timeout_ms in [1, 120_000] {
        assert!(
            connect(&snapshot(&two_links()), Serial(11), &ConnectRequest { timeout_ms, ..good.clone() })
                .is_ok()
        );
    }
    let (refusal, message) = refused_connect(&connecting("2001:db8:9::1"));
    assert!(matches!(refusal, Refusal::NetworkUnreachable(Unreachable::NoFamily(..))));
    assert_eq!(message, "implicit:e1:ipv4 does not provide IPv6: take a provisioning domain that does");
    let gone = connect(&snapshot(&two_links()), Serial(99), &good).unwrap_err();
    assert_eq!(gone, Refusal::PvdGone(Serial(99)));
}

#[test]
fn sources_that_are_none() {
    let from = |source| ConnectRequest { source: Some(ip(source)), ..connecting("203.0.113.1") };
    let (refusal, message) = refused_connect(&from("198.51.100.10"));
    assert!(matches!(refusal, Refusal::SourceNotValid(BadSource::NotOfPvd(..))));
    assert_eq!(
        message,
        "source 198.51.100.10 is not an address of implicit:e1:ipv4: take one of its Addresses"
    );
    let dual = pvd(1, 1, Family::Dual, &["192.0.2.10/24", "2001:db8::1/64"], &[]);
    let refusal = connect(&snapshot(&[dual]), Serial(1), &from("2001:db8::1")).unwrap_err();
    assert!(matches!(refusal, Refusal::SourceNotValid(BadSource::OtherFamily { .. })));
}

#[test]
fn a_link_that_is_down_or_shared_is_refused() {
    let mut down = two_links();
    down[0].link_up = false;
    let refusal = connect(&snapshot(&down), Serial(11), &connecting("203.0.113.1")).unwrap_err();
    assert_eq!(refusal, Refusal::NetworkUnreachable(Unreachable::InterfaceDown("implicit:e1:ipv4".into())));

    let mut shared = two_links().to_vec();
    shared.push(pvd(13, 1, Family::Ipv6, &["2001:db8:2::10/64"], &[]));
    let state = snapshot(&shared);
    let refusal = connect(&state, Serial(12), &connecting("2001:db8:9::1")).unwrap_err();
    assert!(matches!(refusal, Refusal::NotSupported(NotSupported::SeveralPvds(_, AddressFamily::Ipv6))));
    assert!(connect(&state, Serial(11), &connecting("203.0.113.1")).is_ok(), "IPv4 is alone there");
}

#[test]
fn names_that_are_none() {
    let long_label = "a".repeat(64);
    let long_name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
    assert_eq!(long_name.len(), 254);
    for (name, message) in [
        ("", "\"\" is empty: give a host name or an address"),
        (".", "\".\" is the root of DNS, not a host: give a host name or an address"),
        ("a..b", "\"a..b\" has nothing between two dots, or before the first one"),
        (".a", "\".a\" has nothing between two dots, or before the first one"),
        ("a..", "\"a..\" has nothing between two dots, or before the first one"),
        (
            "fe80::1%e0",
            "\"fe80::1%e0\" names a zone: leave out what follows \"%\", the provisioning domain fixes the link",
        ),
        (
            "a b.example",
            "\"a b.example\" has \" \" in it: host names are letters, digits, hyphens and underscores with dots between",
        ),
        (
            "a\n.example",
            "\"a\\010.example\" has \"\\010\" in it: host names are letters, digits, hyphens and underscores with dots between",
        ),
        (
            "a\\.example",
            "\"a\\092.example\" has \"\\092\" in it: host names are letters, digits, hyphens and underscores with dots between",
        ),
        (
            "[::1]",
            "\"[::1]\" has \"[\" in it: host names are letters, digits, hyphens and underscores with dots between",
        ),
    ] {
        assert_eq!(refused_name(name), message);
    }
    assert_eq!(
        refused_name(&long_label),
        format!(
            "\"{long_label}\" has a label of 64 characters (\"{long_label}\"): at most 63 are allowed between dots"
        )
    );
    assert!(refused_name(&long_name).contains("254 characters"));
    let over_the_limit = translating(&"a".repeat(1025));
    let refusal = translate(&snapshot(&two_links()), Serial(11), &over_the_limit).unwrap_err();
    assert!(matches!(refusal, Refusal::LimitsExceeded(_)), "{refusal:?}");
    assert!(refusal.to_string().contains("it has 1025 bytes, and at most 1024 are looked at"), "{refusal}");
    assert!(refused_name(&"a".repeat(1024)).contains("1024 characters"));
    assert!(refused_name("\u{1f600}\u{200d}.example\u{fffd}").contains("internationalised"));
    // One less of each is a name.
    let longest = &long_name[..253];
    for name in
        [longest, &format!("{longest}."), "_sip._tcp.example", "xn--bcher-kva.example", "0x7f.1", "256.0.0.1"]
    {
        assert!(translate(&snapshot(&two_links()), Serial(11), &translating(name)).is_ok(), "{name}");
    }
}

#[test]
fn literals_need_no_query() {
    let state = snapshot(&[pvd(1, 1, Family::Ipv4, &[], &[])]);
    for text in ["192.0.2.1", "2001:db8::1", "::1", "fe80::1"] {
        let plan = translate(&state, Serial(1), &translating(text)).unwrap();
        assert_eq!(plan.translation, Translation::Literal(ip(text)));
    }
    let only_v6 = TranslateRequest { families: Families::Ipv6, ..translating("192.0.2.1") };
    assert_eq!(translate(&state, Serial(1), &only_v6).unwrap_err(), Refusal::NoAddress(ip("192.0.2.1")));
    let timeout = TranslateRequest { timeout_ms: 0, ..translating("192.0.2.1") };
    assert_eq!(
        translate(&state, Serial(1), &timeout).unwrap_err(),
        Refusal::InvalidArgs(Invalid::Timeout(0))
    );
}

#[test]
fn search_domains_complete_single_labels_only() {
    let mut domain = pvd(1, 1, Family::Ipv4, &["192.0.2.10/24"], &["192.0.2.1"]);
    domain.used.search_domains = vec!["one.example".into(), "TWO.example.".into(), "One.Example".into()];
    domain.used.domain_name = Some("network.example".into());
    let names = |name: &str| lookup(&domain, &translating(name)).dns.map(|dns| dns.names);
    assert_eq!(names("printer").unwrap(), ["printer.one.example", "printer.TWO.example"]);
    assert_eq!(names("a.b").unwrap(), ["a.b"]);
    assert_eq!(names("a.b.").unwrap(), ["a.b"]);
    assert_eq!(names("b\u{fc}cher.example").unwrap(), ["xn--bcher-kva.example"]);
    assert_eq!(
        names("printer.").unwrap_err(),
        Refusal::NameNotFound(UntranslatableName::AbsoluteLabel("printer.".into()))
    );
    domain.used.search_domains.clear();
    let names = lookup(&domain, &translating("printer")).dns.unwrap().names;
    assert_eq!(names, ["printer.network.example"]);
    // A search domain that makes the name too long is skipped.
    domain.used.search_domains = vec![vec!["a".repeat(60); 4].join("."), "one.example".into()];
    let name = "b".repeat(20);
    let names = lookup(&domain, &translating(&name)).dns.unwrap().names;
    assert_eq!(names, [format!("{name}.one.example")]);
}

#[test]
fn servers_are_those_that_the_domain_can_reach() {
    let servers = |pvd: &Pvd| lookup(pvd, &translating("www.example")).dns.map(|dns| dns.servers);
    let [v4, v6, _] = two_links();
    let reach = |address: &str, source: Option<&str>| DnsServer {
        address: address.parse().unwrap(),
        source: source.map(ip),
        protocol: DnsProtocol::Plain,
    };
    assert_eq!(servers(&v4).unwrap(), [reach("192.0.2.1:53", Some("192.0.2.10"))]);
    assert_eq!(
        servers(&v6).unwrap(),
        [reach("[2001:db8:1::53]:53", Some("2001:db8:1::10")), reach("[fe80::53%1]:53", None)]
    );
    let none = pvd(1, 1, Family::Ipv4, &["192.0.2.10/24"], &["2001:db8::53", "127.0.0.1", "224.0.0.1"]);
    assert_eq!(servers(&none), Err(Refusal::NoNameServers("implicit:e1:ipv4".into())));
    let down = Pvd { link_up: false, ..two_links()[0].clone() };
    assert!(matches!(servers(&down), Err(Refusal::NetworkUnreachable(Unreachable::InterfaceDown(_)))));
}

/// The provisioning domain number `n` of a random host: every address of it has `n` in the third group or octet.
fn numbered(n: u8, shape: Shape) -> Pvd {
    let mut addresses = Vec::new();
    let mut servers = Vec::new();
    if shape.family != Family::Ipv6 {
        addresses.extend([format!("10.9.{n}.5/24"), format!("10.9.{n}.6/24")]);
        servers.push(format!("10.9.{n}.53"));
    }
    if shape.family != Family::Ipv4 {
        addresses.extend([format!("2001:db8:{n}::5/64"), format!("fd00:1:{n}::6/64")]);
        servers.extend([format!("2001:db8:{n}::53"), format!("fe80::{n}:53")]);
    }
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let mut domain = pvd(u64::from(n), u64::from(n) + 100, shape.family, &addresses, &servers);
    domain.used.search_domains = vec![format!("n{n}.example")];
    domain.used.nis_servers = domain.used.dns_servers.clone();
    domain.used.nis_domain = Some(format!("nis{n}.example"));
    for (address, state) in domain.addresses.iter_mut().zip(shape.states) {
        address.state = state;
    }
    domain
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    family: Family,
    states: [AddressState; 4],
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let state = prop::sample::select(vec![
        AddressState::Preferred,
        AddressState::Deprecated,
        AddressState::Tentative,
    ]);
    let family = prop::sample::select(vec![Family::Ipv4, Family::Ipv6, Family::Dual]);
    (family, prop::array::uniform4(state)).prop_map(|(family, states)| Shape { family, states })
}

proptest! {
    #[test]
    fn a_plan_uses_one_provisioning_domain_only(
        shapes in prop::collection::vec(any_shape(), 1..6),
        chosen in any::<prop::sample::Index>(),
        destination in prop::sample::select(vec!["203.0.113.1", "2001:db8:ffff::1", "fe80::1", "10.9.2.77", "2001:db8:3::77"]),
        name in prop::sample::select(vec!["printer", "www.example", "printer.local"]),
    ) {
        let domains: Vec<Pvd> =
            shapes.iter().zip(1..).map(|(shape, n)| numbered(n, *shape)).collect();
        let state = snapshot(&domains);
        let own = chosen.get(&domains);
        let usable: Vec<IpAddr> = own.usable_addresses().map(|address| address.address).collect();

        if let Ok(plan) = connect(&state, own.serial, &connecting(destination)) {
            prop_assert_eq!((plan.pvd, plan.ifindex), (own.serial, own.ifindex));
            prop_assert!(!plan.sources.is_empty());
            prop_assert!(plan.sources.iter().all(|source| usable.contains(source)));
            prop_assert!(plan.sources.iter().all(|source| source.is_ipv4() == plan.destination.is_ipv4()));
        }
        for foreign in domains.iter().filter(|domain| domain.serial != own.serial).flat_map(|domain| &domain.addresses) {
            let request = ConnectRequest { source: Some(foreign.address), ..connecting(destination) };
            prop_assert!(connect(&state, own.serial, &request).is_err());
        }

        let plan = translate(&state, own.serial, &translating(name)).unwrap();
        prop_assert_eq!((plan.pvd, plan.ifindex), (own.serial, own.ifindex));
        let Translation::Lookup(lookup) = plan.translation else { return Ok(()) };
        let scope = |address: std::net::SocketAddr| match address {
            std::net::SocketAddr::V6(v6) => v6.scope_id(),
            std::net::SocketAddr::V4(_) => 0,
        };
        let dns = lookup.dns.iter().flat_map(|dns| &dns.servers).map(|server| (server.address, server.source));
        let nis = lookup.nis.iter().inspect(|nis| assert_eq!(Some(&nis.domain), own.used.nis_domain.as_ref()));
        let nis = nis.flat_map(|nis| &nis.servers).map(|server| (server.address, server.source));
        for (address, source) in dns.chain(nis) {
            prop_assert!(own.used.dns_servers.contains(&address.ip()));
            prop_assert!(source.is_none_or(|source| usable.contains(&source)));
            let link_local = address.to_string().starts_with("[fe80");
            prop_assert_eq!(source.is_none(), link_local);
            prop_assert_eq!(scope(address), if link_local { own.ifindex } else { 0 });
        }
        for group in lookup.mdns.iter().chain(&lookup.llmnr).flat_map(|plan| &plan.groups) {
            prop_assert_eq!(group.source.is_some(), group.address.is_ipv4());
            prop_assert!(group.source.is_none_or(|source| usable.contains(&source)));
            prop_assert_eq!(scope(group.address), if group.address.is_ipv6() { own.ifindex } else { 0 });
            let foreign = domains.iter().filter(|domain| domain.serial != own.serial);
            for address in foreign.flat_map(|domain| &domain.addresses) {
                prop_assert!(!group.is_neighbour(address.address));
            }
        }
        let suffix = if name == "printer" { &own.used.search_domains[0] } else { "example" };
        prop_assert!(lookup.dns.iter().flat_map(|dns| &dns.names).all(|full| full.ends_with(suffix)));
    }
}

/// RFC 6724 6: what the provisioning domain has no source for comes last (rule 1), then IPv6 before IPv4 (rule 6).
#[test]
fn a_whole_answer_is_in_the_order_to_try_it() {
    let order = |pvd: &Pvd, addresses: [&str; 3]| -> Vec<String> {
        let answers = addresses.map(|text| Answer::local(ip(text), AnswerSource::Hosts)).to_vec();
        best_first(pvd, answers).iter().map(|answer| answer.address.to_string()).collect()
    };
    let [ipv4, ipv6, _] = two_links();
    let given = ["203.0.113.1", "2001:db8:9::1", "203.0.113.2"];
    assert_eq!(order(&ipv4, given), ["203.0.113.1", "203.0.113.2", "2001:db8:9::1"]);
    assert_eq!(order(&ipv6, given), ["2001:db8:9::1", "203.0.113.1", "203.0.113.2"]);
}
