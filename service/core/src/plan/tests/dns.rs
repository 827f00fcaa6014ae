//! Encrypted DNS (RFC 9463) and NAT64 (RFC 6147) in plans.

use super::*;
use crate::configuration::{EncryptedDns, Prefix};

fn resolver(alpn: &[&str], addresses: &[&str]) -> EncryptedDns {
    EncryptedDns {
        priority: 1,
        name: "dns.example".to_owned(),
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        alpn: alpn.iter().map(|text| (*text).to_owned()).collect(),
        port: None,
        path: Some("/dns-query{?dns}".to_owned()),
    }
}

/// An IPv6 network with a plain server and these resolvers.
fn network(resolvers: &[EncryptedDns]) -> Pvd {
    let mut pvd = pvd(1, 1, Family::Ipv6, &["2001:db8::10/64"], &["2001:db8::53"]);
    pvd.used.encrypted_dns = resolvers.to_vec();
    pvd
}

fn planned(pvd: &Pvd, encryption: Encryption) -> DnsPlan {
    let state = snapshot(std::slice::from_ref(pvd));
    let plan = super::super::translate(&state, pvd.serial, &translating("www.example"), encryption).unwrap();
    let Translation::Lookup(lookup) = plan.translation else { panic!("{plan:?}") };
    lookup.dns.unwrap()
}

/// The servers as "protocol address".
fn servers(pvd: &Pvd, encryption: Encryption) -> Vec<String> {
    let shown = |server: DnsServer| {
        let protocol = match &server.protocol {
            DnsProtocol::Plain => "plain".to_owned(),
            DnsProtocol::Tls { name } => format!("dot:{name}"),
            DnsProtocol::Https { name, path } => format!("doh:{name}{path}"),
            DnsProtocol::Quic { name } => format!("doq:{name}"),
            DnsProtocol::UnverifiedTls => "dot".to_owned(),
        };
        format!("{protocol} {}", server.address)
    };
    planned(pvd, encryption).servers.into_iter().map(shown).collect()
}

const PLAIN: &str = "plain [2001:db8::53]:53";

#[test]
fn announced_resolvers_are_asked_and_nobody_else() {
    let all = network(&[resolver(&["doq", "h2", "dot", "h3"], &["2001:db8::1", "fe80::1"])]);
    let expected = [
        "dot:dns.example [2001:db8::1]:853",
        "dot:dns.example [fe80::1%1]:853",
        "doh:dns.example/dns-query [2001:db8::1]:443",
        "doh:dns.example/dns-query [fe80::1%1]:443",
        "doq:dns.example [2001:db8::1]:853",
        "doq:dns.example [fe80::1%1]:853",
    ];
    assert_eq!(servers(&all, Encryption::Announced), expected);
    assert_eq!(servers(&all, Encryption::Off), [PLAIN]);
    let with_plain: Vec<&str> = expected.into_iter().chain([PLAIN]).collect();
    assert_eq!(servers(&all, Encryption::Opportunistic), with_plain);
    assert_eq!(servers(&network(&[]), Encryption::Announced), [PLAIN]);
    assert_eq!(servers(&network(&[]), Encryption::Opportunistic), ["dot [2001:db8::53]:853", PLAIN]);
}

#[test]
fn the_best_priority_comes_first_and_a_port_is_for_all_protocols() {
    let best = EncryptedDns { port: Some(8853), ..resolver(&["dot", "doq"], &["2001:db8::1"]) };
    let other = EncryptedDns { priority: 2, ..resolver(&["dot"], &["2001:db8::2"]) };
    assert_eq!(
        servers(&network(&[other, best]), Encryption::Announced),
        [
            "dot:dns.example [2001:db8::1]:8853",
            "doq:dns.example [2001:db8::1]:8853",
            "dot:dns.example [2001:db8::2]:853"
        ]
    );
}

#[test]
fn resolvers_that_cannot_be_asked_are_none() {
    let good = || resolver(&["dot"], &["2001:db8::1"]);
    for useless in [
        EncryptedDns { priority: 0, ..good() },
        EncryptedDns { name: "dns\\046.example".to_owned(), ..good() },
        EncryptedDns { addresses: Vec::new(), ..good() },
        // Of a family that the provisioning domain does not have.
        EncryptedDns { addresses: vec![ip("192.0.2.1")], ..good() },
        EncryptedDns { addresses: vec![ip("::1")], ..good() },
        EncryptedDns { alpn: vec!["h3".to_owned()], ..good() },
        EncryptedDns { alpn: vec!["h2".to_owned()], path: None, ..good() },
        EncryptedDns { alpn: vec!["h2".to_owned()], path: Some("dns-query".to_owned()), ..good() },
        EncryptedDns { alpn: vec!["h2".to_owned()], path: Some("/{?dns".to_owned()), ..good() },
        EncryptedDns { alpn: vec!["h2".to_owned()], path: Some("/a b".to_owned()), ..good() },
    ] {
        assert_eq!(
            servers(&network(std::slice::from_ref(&useless)), Encryption::Announced),
            [PLAIN],
            "{useless:?}"
        );
    }
}

#[test]
fn too_many_resolvers_are_cut() {
    let addresses: Vec<String> = (1..=16).map(|n| format!("2001:db8::{n:x}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let many = network(&[resolver(&["dot", "h2", "doq"], &addresses)]);
    assert_eq!(planned(&many, Encryption::Announced).servers.len(), crate::limits::SERVERS_PER_PVD);
}

#[test]
fn addresses_are_synthesized_where_there_is_no_ipv4() {
    let nat64 = |pvd: &Pvd, families| {
        let request = TranslateRequest { families, ..translating("www.example") };
        lookup(pvd, &request).dns.unwrap().nat64
    };
    let mut only_ipv6 = network(&[]);
    assert_eq!(nat64(&only_ipv6, Families::Any), Some(Nat64::AskDns));
    let prefix = Prefix { address: ip("64:ff9b::"), length: 96 };
    only_ipv6.used.pref64 = vec![prefix];
    assert_eq!(nat64(&only_ipv6, Families::Ipv6), Some(Nat64::Announced(vec![prefix])));
    assert_eq!(nat64(&only_ipv6, Families::Ipv4), None);
    let dual = Pvd { family: Family::Dual, ..only_ipv6 };
    assert_eq!(nat64(&dual, Families::Any), None);
    assert_eq!(nat64(&two_links()[0], Families::Any), None);
}

#[test]
fn an_ipv4_destination_is_reached_through_the_nat64() {
    let mut only_ipv6 = network(&[]);
    let planned =
        |pvd: &Pvd, to: &str| connect(&snapshot(std::slice::from_ref(pvd)), pvd.serial, &connecting(to));
    let refused = planned(&only_ipv6, "198.51.100.7");
    assert!(matches!(refused, Err(Refusal::NetworkUnreachable(Unreachable::NoFamily(..)))), "{refused:?}");
    only_ipv6.used.pref64 = vec![Prefix { address: ip("64:ff9b::"), length: 96 }];
    let plan = planned(&only_ipv6, "198.51.100.7").unwrap();
    assert_eq!(plan.destination, "[64:ff9b::c633:6407]:80".parse().unwrap());
    assert_eq!(plan.sources, [ip("2001:db8::10")]);
    // What the well-known prefix does not lead to, and what no connection goes to, stays refused.
    assert!(planned(&only_ipv6, "10.1.2.3").is_err());
    assert!(matches!(planned(&only_ipv6, "127.0.0.1"), Err(Refusal::InvalidArgs(_))));
    assert_eq!(planned(&only_ipv6, "2001:db8:9::1").unwrap().destination.ip(), ip("2001:db8:9::1"));
}

#[test]
fn dns_is_asked_for_a_nat64_only_where_one_could_be() {
    let ask = |pvd: &Pvd, request: &ConnectRequest, available| {
        let snapshot = snapshot(std::slice::from_ref(pvd));
        nat64_question(&snapshot, pvd.serial, request, (available, Encryption::Announced))
    };
    let only_ipv6 = network(&[]);
    let to = |address| ConnectRequest { timeout_ms: 1_001, ..connecting(address) };
    let question = ask(&only_ipv6, &to("198.51.100.7"), Systems::ALL).unwrap();
    let Translation::Lookup(lookup) = &question.translation else { panic!("{question:?}") };
    assert_eq!((&*lookup.name, lookup.families, question.timeout_ms), ("ipv4only.arpa", Families::Ipv6, 501));
    assert!(!lookup.hosts && lookup.mdns.is_none() && lookup.dns.is_ok());

    let announced = {
        let mut announced = only_ipv6.clone();
        announced.used.pref64 = vec![Prefix { address: ip("64:ff9b::"), length: 96 }];
        announced
    };
    let good = to("198.51.100.7");
    for (pvd, request, available) in [
        (&announced, good.clone(), Systems::ALL),
        (&Pvd { family: Family::Dual, ..only_ipv6.clone() }, good.clone(), Systems::ALL),
        (&only_ipv6, to("2001:db8:9::1"), Systems::ALL),
        (&only_ipv6, to("127.0.0.1"), Systems::ALL),
        (&only_ipv6, ConnectRequest { port: 0, ..good.clone() }, Systems::ALL),
        (&only_ipv6, ConnectRequest { timeout_ms: 0, ..good.clone() }, Systems::ALL),
        (&only_ipv6, ConnectRequest { source: Some(ip("2001:db8::99")), ..good.clone() }, Systems::ALL),
        (&only_ipv6, good.clone(), Systems::ALL.without(System::Dns)),
    ] {
        assert_eq!(ask(pvd, &request, available), None, "{request:?}");
    }
}

#[test]
fn what_dns_says_of_a_nat64_leads_nowhere_else() {
    let only_ipv6 = network(&[]);
    let behind = |prefixes: &[(&str, u8)]| {
        let prefixes: Vec<Prefix> = prefixes
            .iter()
            .map(|(address, length)| Prefix { address: ip(address), length: *length })
            .collect();
        let snapshot = snapshot(std::slice::from_ref(&only_ipv6));
        connect_behind(&snapshot, only_ipv6.serial, &connecting("198.51.100.7"), &prefixes)
    };
    let plan = behind(&[("2001:db8:64::", 96)]).unwrap();
    assert_eq!(plan.destination, "[2001:db8:64::c633:6407]:80".parse().unwrap());
    // A prefix that makes an address that is none is no prefix; the next one may be.
    let plan = behind(&[("::ffff:0:0", 96), ("2001:db8:64::", 96)]).unwrap();
    assert_eq!(plan.destination.ip(), ip("2001:db8:64::c633:6407"));
    for none in [&[][..], &[("::ffff:0:0", 96)], &[("2001:db8:64::", 95)]] {
        let refused = behind(none);
        assert!(
            matches!(refused, Err(Refusal::NetworkUnreachable(Unreachable::NoFamily(..)))),
            "{refused:?}"
        );
    }
}

#[test]
fn resolvers_without_addresses_are_to_be_looked_up() {
    let only_named =
        |priority, name: &str| EncryptedDns { priority, name: name.to_owned(), ..EncryptedDns::default() };
    let alias = only_named(0, "alias.example");
    let pvd = network(&[
        only_named(2, "b.example"),
        only_named(1, "a.example"),
        only_named(1, "a\\046.example"),
        alias,
    ]);
    let plan = planned(&pvd, Encryption::Announced);
    let named = plan.named.unwrap();
    let names: Vec<&str> = named.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["alias.example", "a.example", "b.example"]);
    let texts =
        |servers: Vec<DnsServer>| servers.iter().map(|server| server.address.to_string()).collect::<Vec<_>>();
    let found = || Some(vec![resolver(&["dot"], &["2001:db8::1"])]);
    assert_eq!(texts(named.servers(found(), &plan.servers)), ["[2001:db8::1]:853"]);
    assert_eq!(texts(named.servers(Some(Vec::new()), &plan.servers)), ["[2001:db8::53]:53"]);
    assert!(named.servers(None, &plan.servers).is_empty());
    let plan = planned(&pvd, Encryption::Opportunistic);
    let both = plan.named.unwrap().servers(found(), &plan.servers);
    assert_eq!(texts(both), ["[2001:db8::1]:853", "[2001:db8::53]:853", "[2001:db8::53]:53"]);

    assert_eq!(planned(&pvd, Encryption::Off).named, None);
    // Where one says where it is, the others are not looked for.
    let told = network(&[only_named(1, "a.example"), resolver(&["dot"], &["2001:db8::1"])]);
    assert_eq!(planned(&told, Encryption::Announced).named, None);
}
