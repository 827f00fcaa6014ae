//! Which systems are asked for which name, and how.

use super::*;
use std::net::SocketAddr;

/// A provisioning domain with everything: both families, DNS, a search domain, NIS.
fn everything() -> Pvd {
    let addresses = ["192.0.2.10/24", "2001:db8:1::10/64"];
    let mut pvd = pvd(1, 7, Family::Dual, &addresses, &["192.0.2.1"]);
    pvd.used.search_domains = vec!["one.example".into()];
    pvd.used.nis_servers = vec![ip("192.0.2.9"), ip("fe80::9"), ip("127.0.0.1")];
    pvd.used.nis_domain = Some("nis.example".into());
    pvd
}

/// The systems of a plan, in the order in which they are asked.
fn asked(lookup: &Lookup) -> String {
    let steps = [
        (lookup.hosts, "hosts"),
        (lookup.mdns.is_some(), "mdns"),
        (lookup.dns.is_ok(), "dns"),
        (lookup.llmnr.is_some(), "llmnr"),
        (lookup.nis.is_some(), "nis"),
    ];
    steps.into_iter().filter(|(asked, _)| *asked).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// What is asked in the end, or why nothing is.
fn outcome(pvd: &Pvd, request: &TranslateRequest) -> Result<String, String> {
    match translate(&snapshot(std::slice::from_ref(pvd)), pvd.serial, request) {
        Ok(TranslatePlan { translation: Translation::Lookup(lookup), .. }) => Ok(asked(&lookup)),
        Ok(plan) => Ok(format!("{:?}", plan.translation)),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn each_name_has_its_systems() {
    let full = everything();
    let without_nis =
        Pvd { used: Configuration { nis_domain: None, ..(*full.used).clone() }.into(), ..full.clone() };
    let bare = pvd(1, 7, Family::Ipv4, &["192.0.2.10/24"], &[]);
    for (name, with_all, with_dns, with_nothing) in [
        ("printer.local", "hosts mdns", "hosts mdns", "hosts mdns"),
        ("a.b.LOCAL.", "hosts mdns", "hosts mdns", "hosts mdns"),
        ("7.1.254.169.in-addr.arpa", "hosts mdns", "hosts mdns", "hosts mdns"),
        ("printer", "hosts dns llmnr nis", "hosts dns llmnr", "hosts llmnr"),
        // Absolute: nothing may be put behind it.
        ("printer.", "hosts llmnr nis", "hosts llmnr", "hosts llmnr"),
        ("www.example", "hosts dns nis", "hosts dns", "hosts"),
        ("7.2.0.192.in-addr.arpa", "hosts dns nis", "hosts dns", "hosts"),
        ("localhost", "hosts", "hosts", "hosts"),
        ("a.localhost", "hosts", "hosts", "hosts"),
        ("a.onion", "hosts", "hosts", "hosts"),
        ("local", "hosts", "hosts", "hosts"),
        ("notlocal", "hosts dns llmnr nis", "hosts dns llmnr", "hosts llmnr"),
        ("a.notlocal", "hosts dns nis", "hosts dns", "hosts"),
        ("\u{1f600}", "hosts dns llmnr nis", "hosts dns llmnr", "hosts llmnr"),
    ] {
        for (pvd, expected) in [(&full, with_all), (&without_nis, with_dns), (&bare, with_nothing)] {
            assert_eq!(outcome(pvd, &translating(name)).as_deref(), Ok(expected), "{name}");
        }
    }
}

#[test]
fn a_system_is_asked_for_its_names_only() {
    let full = everything();
    let only =
        |system, name| outcome(&full, &TranslateRequest { systems: Some(vec![system]), ..translating(name) });
    let refused = |system, name, message: &str| assert_eq!(only(system, name), Err(message.to_owned()));
    assert_eq!(only(System::Mdns, "printer.local"), Ok("mdns".into()));
    refused(System::Mdns, "www.example", "www.example is not under .local: mdns is not asked for such names");
    refused(System::Mdns, "printer", "printer is not under .local: mdns is not asked for such names");
    assert_eq!(only(System::Llmnr, "printer"), Ok("llmnr".into()));
    refused(System::Llmnr, "a.b", "a.b is not a single label: llmnr is not asked for such names");
    refused(System::Llmnr, "localhost", "localhost is not a single label: llmnr is not asked for such names");
    assert_eq!(only(System::Nis, "printer"), Ok("nis".into()));
    assert_eq!(only(System::Nis, "a.b"), Ok("nis".into()));
    refused(System::Nis, "printer.local", "printer.local is never asked of nis");
    refused(System::Dns, "printer.local", "printer.local is under .local: such names are never asked of DNS");

    let bare = pvd(1, 7, Family::Ipv4, &["192.0.2.10/24"], &[]);
    let nis = TranslateRequest { systems: Some(vec![System::Nis]), ..translating("www.example") };
    let message = outcome(&bare, &nis).unwrap_err();
    assert!(message.contains("NIS server") && message.starts_with("implicit:e7:ipv4"), "{message}");
    // Several: the reason that lies in the network is the one to tell.
    let several = TranslateRequest {
        systems: Some(vec![System::Mdns, System::Nis, System::Llmnr]),
        ..translating("www.example")
    };
    assert_eq!(outcome(&bare, &several), Err(message));
    assert_eq!(outcome(&full, &several), Ok("nis".into()));
}

#[test]
fn what_is_switched_off_is_not_asked() {
    let full = everything();
    let available = Systems::ALL.without(System::Llmnr).without(System::Mdns);
    let without = |name| outcome(&full, &TranslateRequest { available, ..translating(name) });
    assert_eq!(without("printer"), Ok("hosts dns nis".into()));
    assert_eq!(without("printer.local"), Ok("hosts".into()));
}

#[test]
fn groups_are_those_of_the_families() {
    let groups = |pvd: &Pvd, name: &str| -> Vec<(SocketAddr, Option<IpAddr>)> {
        let found = lookup(pvd, &translating(name));
        let plan = found.mdns.or(found.llmnr).unwrap();
        plan.groups.into_iter().map(|group| (group.address, group.source)).collect()
    };
    let at = |address: &str, source: Option<&str>| (address.parse().unwrap(), source.map(ip));
    assert_eq!(
        groups(&everything(), "printer.local"),
        [at("224.0.0.251:5353", Some("192.0.2.10")), at("[ff02::fb%7]:5353", None)]
    );
    assert_eq!(
        groups(&everything(), "printer"),
        [at("224.0.0.252:5355", Some("192.0.2.10")), at("[ff02::1:3%7]:5355", None)]
    );
    let [v4, v6, _] = two_links();
    assert_eq!(groups(&v4, "printer.local"), [at("224.0.0.251:5353", Some("192.0.2.10"))]);
    assert_eq!(groups(&v6, "printer.local"), [at("[ff02::fb%1]:5353", None)]);
    let mut tentative = v4.clone();
    tentative.addresses[0].state = AddressState::Tentative;
    let mdns = TranslateRequest { systems: Some(vec![System::Mdns]), ..translating("printer.local") };
    for broken in [tentative, Pvd { link_up: false, ..v4 }] {
        let refusal = translate(&snapshot(&[broken]), Serial(11), &mdns).unwrap_err();
        assert!(matches!(refusal, Refusal::NetworkUnreachable(_)), "{refusal:?}");
    }
}

#[test]
fn neighbours_are_those_on_the_link() {
    use crate::configuration::PrefixData;
    let mut domain = everything();
    let forever = BootTime::FOREVER;
    for (prefix, on_link) in [("2001:db8:5::", true), ("2001:db8:6::", false)] {
        let data = PrefixData { on_link, autonomous: true, preferred_until: forever, valid_until: forever };
        domain.used.prefixes.insert(crate::configuration::Prefix::covering(ip(prefix), 64), data);
    }
    let [v4, v6] =
        <[Group; 2]>::try_from(lookup(&domain, &translating("printer")).llmnr.unwrap().groups).unwrap();
    for (address, neighbour) in [
        ("192.0.2.77", true),
        ("169.254.9.9", true),
        ("192.0.3.1", false),
        ("127.0.0.1", false),
        ("fe80::1", false),
    ] {
        assert_eq!(v4.is_neighbour(ip(address)), neighbour, "{address}");
    }
    for (address, neighbour) in [
        ("fe80::1", true),
        ("febf::1", true),
        ("2001:db8:1::99", true),
        ("2001:db8:5::1", true),
        ("2001:db8:6::1", false),
        ("2001:db8:2::1", false),
        ("::1", false),
        ("192.0.2.77", false),
    ] {
        assert_eq!(v6.is_neighbour(ip(address)), neighbour, "{address}");
    }
}

#[test]
fn the_link_is_asked_in_utf_8_and_dns_in_a_labels() {
    let domain = everything();
    for name in ["B\u{fc}cher", "xn--bcher-kva", "XN--BCHER-KVA"] {
        let single = lookup(&domain, &translating(name));
        assert_eq!(single.llmnr.unwrap().name(), "b\u{fc}cher", "{name}");
        assert_eq!(single.nis.unwrap().name.to_ascii_lowercase(), "xn--bcher-kva", "{name}");
        let local = lookup(&domain, &translating(&format!("{name}.local")));
        let question = LinkQuestion::Addresses("b\u{fc}cher.local".into());
        assert_eq!(local.mdns.unwrap().question, question, "{name}");
    }
    assert_eq!(lookup(&domain, &translating("\u{1f600}.local")).mdns.unwrap().name(), "\u{1f600}.local");
    // What is no valid A-label is asked for as it is written.
    assert_eq!(lookup(&domain, &translating("xn--a.local")).mdns.unwrap().name(), "xn--a.local");
    // 63 characters of ASCII, 100 bytes of UTF-8.
    let long = "\u{4e00}".repeat(33);
    let refusal = outcome(
        &domain,
        &TranslateRequest { systems: Some(vec![System::Mdns]), ..translating(&format!("{long}.local")) },
    );
    assert!(refusal.as_ref().is_err_and(|message| message.contains("at most 63")), "{refusal:?}");
}

#[test]
fn reverse_names_of_link_local_addresses() {
    let domain = everything();
    let owner = |name: &str| match lookup(&domain, &translating(name)).mdns.map(|plan| plan.question) {
        Some(LinkQuestion::Owner(address, _)) => Some(address.to_string()),
        Some(other) => panic!("{other:?}"),
        None => None,
    };
    assert_eq!(owner("7.1.254.169.in-addr.arpa").as_deref(), Some("169.254.1.7"));
    let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.E.F.ip6.arpa.";
    assert_eq!(owner(nibbles).as_deref(), Some("fe80::1"));
    // Not whole, or too much: such names belong to the link, and mean no address.
    for name in [
        "1.254.169.in-addr.arpa",
        "254.169.in-addr.arpa",
        "0.0.8.e.f.ip6.arpa",
        "256.1.254.169.in-addr.arpa",
        "x.7.1.254.169.in-addr.arpa",
        &format!("0.{nibbles}"),
    ] {
        assert_eq!(owner(name), None, "{name}");
        assert!(lookup(&domain, &translating(name)).dns.is_err(), "{name}");
    }
    let other_family = TranslateRequest {
        families: Families::Ipv6,
        systems: Some(vec![System::Mdns]),
        ..translating("7.1.254.169.in-addr.arpa")
    };
    let refusal = translate(&snapshot(&[domain]), Serial(1), &other_family).unwrap_err();
    assert_eq!(refusal, Refusal::NoAddress(ip("169.254.1.7")));
}

#[test]
fn nis_servers_are_reached_as_dns_servers_are() {
    let nis = lookup(&everything(), &translating("Printer")).nis.unwrap();
    assert_eq!((nis.domain.as_str(), nis.name.as_str()), ("nis.example", "Printer"));
    let reach = |address: &str, source: Option<&str>| NisServer {
        address: address.parse().unwrap(),
        source: source.map(ip),
    };
    assert_eq!(nis.servers, [reach("192.0.2.9:111", Some("192.0.2.10")), reach("[fe80::9%7]:111", None)]);
    let mut odd = everything();
    odd.used.nis_domain = Some("d".repeat(65));
    assert_eq!(outcome(&odd, &translating("a.b")).as_deref(), Ok("hosts dns"));
}

#[test]
fn words_and_enumerations_agree() {
    assert!(System::ALL.into_iter().all(|system| System::from_word(system.word()) == Some(system)));
    assert!(Families::ALL.into_iter().all(|families| Families::from_word(families.word()) == Some(families)));
    assert!(Protocol::ALL.into_iter().all(|protocol| Protocol::from_word(protocol.word()) == Some(protocol)));
    assert_eq!(System::from_word("wins"), None);
}

#[test]
fn what_dns_must_not_see() {
    let domain = pvd(1, 1, Family::Ipv4, &["192.0.2.10/24"], &["192.0.2.1"]);
    for name in
        ["printer.local", "printer.LOCAL.", "localhost", "www.localhost", "a.invalid", "a.onion", "printer"]
    {
        let lookup = lookup(&domain, &translating(name));
        assert!(lookup.hosts);
        assert!(matches!(lookup.dns, Err(Refusal::NameNotFound(_))), "{name}: {:?}", lookup.dns);
        let only_dns = TranslateRequest { systems: Some(vec![System::Dns]), ..translating(name) };
        let refusal = translate(&snapshot(std::slice::from_ref(&domain)), Serial(1), &only_dns).unwrap_err();
        assert!(matches!(refusal, Refusal::NameNotFound(_)), "{name}: {refusal:?}");
    }
}

#[test]
fn systems_that_are_named_are_the_only_ones() {
    let domain = pvd(1, 1, Family::Ipv4, &["192.0.2.10/24"], &["192.0.2.1"]);
    let asking = |systems: &[System]| TranslateRequest {
        systems: Some(systems.to_vec()),
        ..translating("www.example")
    };
    let both = lookup(&domain, &asking(&[System::Dns, System::Hosts]));
    assert_eq!(both, lookup(&domain, &translating("www.example")));
    let dns = lookup(&domain, &asking(&[System::Dns]));
    assert!(!dns.hosts && dns.dns.is_ok());
    let hosts = lookup(&domain, &asking(&[System::Hosts]));
    assert_eq!(hosts.dns, Err(Refusal::NameNotFound(UntranslatableName::NotInHosts("www.example".into()))));
    let state = snapshot(&[domain]);
    let few = Systems::NONE.with(System::Hosts).with(System::Dns);
    let request = TranslateRequest { available: few, ..asking(&[System::Dns, System::Llmnr]) };
    let missing = translate(&state, Serial(1), &request).unwrap_err();
    assert_eq!(missing, Refusal::NotSupported(NotSupported::System(System::Llmnr, few)));
    assert_eq!(missing.to_string(), "llmnr cannot be asked: this service can ask dns, hosts");
    let none = translate(&state, Serial(1), &asking(&[])).unwrap_err();
    assert_eq!(none, Refusal::InvalidArgs(Invalid::NoSystems(Systems::ALL)));
    assert_eq!(
        none.to_string(),
        "systems is empty: name one of dns, hosts, mdns, llmnr, nis, or leave it out"
    );
}

#[test]
fn the_failure_that_leaves_most_open_is_told() {
    let name = || "printer".to_owned();
    let unknown = |system| TranslationFailure::Unknown(name(), Systems::NONE.with(system));
    let no_domain = UntranslatableName::NoSearchDomain { name: name(), pvd: "implicit:e1:ipv4".into() };
    let rising = [
        TranslationFailure::Refused(Refusal::NameNotFound(no_domain)),
        unknown(System::Llmnr),
        TranslationFailure::NameNotFound(name()),
        TranslationFailure::NoAddress(name()),
        TranslationFailure::Refused(Refusal::NoNameServers("implicit:e1:ipv4".into())),
        TranslationFailure::TimedOut(name()),
        TranslationFailure::ServerFailure(name(), Some(2)),
    ];
    for (low, first) in rising.iter().enumerate() {
        for second in &rising[low..] {
            assert_eq!(first.clone().or(second.clone()), *second);
            assert_eq!(second.clone().or(first.clone()), *second);
        }
    }
    let both = unknown(System::Llmnr).or(unknown(System::Nis));
    assert_eq!(
        both.to_string(),
        "nobody knows printer in this provisioning domain: llmnr, nis had no answer"
    );
    assert_eq!(both.rcode(), None);
}
