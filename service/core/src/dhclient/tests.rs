#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::configuration::{Preference, Prefix, RouteData};
use proptest::prelude::*;

/// 2026-11-22 14:04:18 UTC.
const EXPIRES: u64 = 1_795_356_258;

/// As dhclient 4.4 writes it.
const LEASE: &str = r#"lease {
  interface "eth1";
  fixed-address 192.0.2.71;
  option subnet-mask 255.255.255.0;
  option routers 192.0.2.2;
  option dhcp-lease-time 600;
  option dhcp-message-type 5;
  option domain-name-servers 192.0.2.53,192.0.2.54;
  option dhcp-server-identifier 192.0.2.1;
  option dhcp-renewal-time 300;
  option rfc3442-classless-static-routes 8,10,192,0,2,9,0,192,0,2,1;
  option domain-search "a.test.", "b.test.";
  option interface-mtu 1400;
  option nis-domain "nis.test";
  option nis-servers 192.0.2.77;
  option ntp-servers 192.0.2.123;
  option domain-name "isp.test";
  option unknown-114 "https://portal.test/api";
  renew 0 2026/11/22 13:58:59;
  rebind 0 2026/11/22 14:03:03;
  expire 0 2026/11/22 14:04:18;
}
"#;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> BootTime {
    BootTime::from_micros(seconds * 1_000_000)
}

/// A moment this many seconds before the end of [`LEASE`].
fn before_the_end(seconds: u64) -> Clocks {
    Clocks { boot: at(1000), unix: Duration::from_secs(EXPIRES - seconds) }
}

fn only(file: &str) -> Record {
    let mut records = records(file.as_bytes());
    assert_eq!(records.len(), 1);
    records.remove(b"eth1".as_slice()).expect("a record of eth1")
}

#[test]
fn everything_dhclient_says_is_there() {
    let lease = only(LEASE).lease(before_the_end(600)).unwrap();
    let data = RouteData { preference: Preference::Medium, valid_until: at(1600) };
    let route = |address: &str, length, gateway: &str| {
        (RouteKey { destination: Prefix { address: ip(address), length }, gateway: Some(ip(gateway)) }, data)
    };
    let configuration = Configuration {
        dns_servers: vec![ip("192.0.2.53"), ip("192.0.2.54")],
        search_domains: vec!["a.test".to_owned(), "b.test".to_owned()],
        domain_name: Some("isp.test".to_owned()),
        routers: vec![ip("192.0.2.1")],
        routes: [route("10.0.0.0", 8, "192.0.2.9"), route("0.0.0.0", 0, "192.0.2.1")].into(),
        mtu: Some(1400),
        ntp_servers: vec!["192.0.2.123".to_owned()],
        nis_servers: vec![ip("192.0.2.77")],
        nis_domain: Some("nis.test".to_owned()),
        captive_portal: Some("https://portal.test/api".to_owned()),
        server_identifier: Some("192.0.2.1".to_owned()),
        lease_expires: Some(at(1600)),
        ..Configuration::default()
    };
    let expected = Lease { address: ip("192.0.2.71"), prefix_length: 24, expires: at(1600), configuration };
    assert_eq!(lease, expected);
}

#[test]
fn a_lease_ends_with_the_time_of_day() {
    let record = only(LEASE);
    assert_eq!(record.lease(before_the_end(1)).unwrap().expires, at(1001));
    assert_eq!(record.lease(before_the_end(0)), None);
    let set_back = Clocks { boot: at(1000), unix: Duration::from_secs(5) };
    assert_eq!(record.lease(set_back).unwrap().expires, at(1600), "never longer than it was granted for");
    let endless = LEASE.replace("expire 0 2026/11/22 14:04:18;", "expire never;");
    assert_eq!(only(&endless).lease(before_the_end(0)).unwrap().expires, BootTime::FOREVER);
}

#[test]
fn an_overdue_lease_holds_while_the_kernel_counts_its_address_down() {
    let record = only(LEASE);
    let expires = |until| record.overdue_lease(at(1000), until).map(|lease| lease.expires);
    assert_eq!(expires(at(1100)), Some(at(1100)));
    assert_eq!(expires(at(9000)), Some(at(1600)), "never longer than it was granted for");
    assert_eq!(expires(at(1000)), None);
    assert_eq!(expires(BootTime::FOREVER), None, "somebody else has set this address");
}

#[test]
fn the_last_complete_declaration_of_each_interface_counts() {
    let renewed = LEASE.replace("192.0.2.53,192.0.2.54", "192.0.2.55");
    let other = LEASE.replace("eth1", "eth2");
    let file = format!("default-duid \"\\000\\001\";\n{LEASE}{other}{renewed}");
    let told = records(file.as_bytes());
    assert_eq!(told.len(), 2);
    let servers = |name: &str| told[name.as_bytes()].configuration.dns_servers.clone();
    assert_eq!((servers("eth1"), servers("eth2").len()), (vec![ip("192.0.2.55")], 2));
}

#[test]
fn a_declaration_that_is_being_written_does_not_count_yet() {
    let renewed = LEASE.replace("192.0.2.71", "192.0.2.72");
    for cut in 0..renewed.len() {
        let file = format!("{LEASE}{}", &renewed[..cut]);
        assert_eq!(only(&file).address(), Ipv4Addr::new(192, 0, 2, 71), "cut at {cut}");
    }
    assert_eq!(only(&format!("{LEASE}{renewed}")).address(), Ipv4Addr::new(192, 0, 2, 72));
}

#[test]
fn a_declaration_that_was_cut_off_does_not_hide_the_next() {
    for cut in 0..LEASE.len() {
        let file = format!("{}\n{LEASE}", &LEASE[..cut]);
        assert_eq!(only(&file), only(LEASE), "cut at {cut}");
        // As when only the end of a long file is read.
        let file = format!("{}{LEASE}", &LEASE[cut..]);
        assert_eq!(only(&file), only(LEASE), "begun at {cut}");
    }
}

#[test]
fn what_is_no_ipv4_lease_does_not_count() {
    let v6 = "lease6 {\n  interface \"eth1\";\n  ia-na aa:bb {\n    starts 1;\n    iaaddr 2001:db8::1 {\n      \
              preferred-life 5;\n    }\n  }\n}\n";
    assert!(records(v6.as_bytes()).is_empty());
    for (line, instead) in [
        ("  interface \"eth1\";\n", ""),
        ("  fixed-address 192.0.2.71;\n", ""),
        ("fixed-address 192.0.2.71", "fixed-address 2001:db8::1"),
        ("  expire 0 2026/11/22 14:04:18;\n", ""),
        ("expire 0 2026/11/22", "expire 0 2026/22"),
    ] {
        assert!(records(LEASE.replace(line, instead).as_bytes()).is_empty(), "{line}");
    }
}

#[test]
fn odd_values_count_as_not_there() {
    let file = LEASE
        .replace("255.255.255.0", "x")
        .replace("mtu 1400", "mtu 7")
        .replace("\"a.test.\", \"b.test.\"", "\"a\\377.test\", \"\"")
        .replace("8,10,192,0,2,9,0,192,0,2,1", "8,10,192")
        .replace("\"nis.test\"", "\"\"");
    let record = only(&file);
    assert_eq!((record.prefix_length, record.configuration.mtu), (32, None));
    assert_eq!(record.configuration.search_domains, ["a\\255.test"]);
    assert_eq!(record.configuration.nis_domain, None);
    assert_eq!(record.configuration.routers, [ip("192.0.2.2")], "without classless routes the routers count");
}

#[test]
fn options_have_the_names_that_the_configuration_gives_them() {
    let file = LEASE
        .replace("rfc3442-classless-static-routes 8,10,192,0,2,9,0,192,0,2,1", "unknown-121 0:c0:0:2:1")
        .replace("unknown-114 \"https://portal.test/api\"", "unknown-114 68:74:74:70:0");
    let record = only(&file);
    assert_eq!(record.configuration.routers, [ip("192.0.2.1")]);
    assert_eq!(record.configuration.captive_portal.as_deref(), Some("http"));
}

#[test]
fn of_two_leases_the_one_granted_later_is_newer() {
    let longer = only(&LEASE.replace("time 600", "time 900"));
    assert!(only(LEASE).is_newer_than(&longer), "it began five minutes later");
    assert!(!longer.is_newer_than(&only(LEASE)));
    assert!(!longer.is_newer_than(&longer));
}

proptest! {
    #[test]
    fn any_file_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = records(&bytes);
    }

    #[test]
    fn odd_lines_are_survived(
        lines in prop::collection::vec(prop::sample::select(LEASE.lines().collect::<Vec<_>>()), 0..60),
        odd in prop::collection::vec(any::<u8>(), 0..40),
        place in any::<prop::sample::Index>(),
    ) {
        let mut file: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        let place = place.index(file.len() + 1);
        file.splice(place..place, odd);
        for record in records(&file).values() {
            let lease = record.lease(Clocks { boot: at(1), unix: Duration::ZERO }).unwrap();
            prop_assert!(lease.prefix_length <= 32);
            let domains = lease.configuration.search_domains.iter().chain(&lease.configuration.domain_name);
            for text in domains {
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
