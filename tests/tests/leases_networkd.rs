//! DHCPv4 leases of a real systemd-networkd.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use mif::wire::Element;
use mif::{Message, ProvisioningDomain, Subscriber};
use mif_tests::daemons::Networkd;
use mif_tests::served_host::{ServedHost, next};
use mif_tests::topology::{DhcpProvider, seconds_since_boot};
use mif_tests::universe::{self, Universe};
use serde_json::{Value, json};

const PVD: &str = "implicit:eth1:ipv4";
const SETTINGS: &str = "\
[Network]
DHCP=ipv4
IPv6AcceptRA=no
LLMNR=no

[DHCPv4]
UseDomains=yes
UseMTU=yes
";

fn networkd_of(provider: &DhcpProvider, universe: &Universe) -> Networkd {
    Networkd::on(universe.host()).link(provider.cable.near(), SETTINGS)
}

/// The values of a configuration, without their types.
fn values(configuration: &Value) -> Value {
    configuration
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), value["data"].clone()))
        .collect()
}

#[test]
fn a_lease_is_told_with_all_its_options() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        networkd_of(&provider, &universe).start().await;
        let pvd = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        assert_eq!(pvd.elements, [Element::Dhcpv4]);
        let told = values(&host.configuration(&pvd, "dhcpv4").await);
        for (identifier, value) in [
            ("dns-servers", json!(["192.0.2.53"])),
            ("search-domains", json!(["isp.test"])),
            ("domain-name", json!("isp.test")),
            ("routers", json!(["192.0.2.1"])),
            ("mtu", json!(1400)),
            ("ntp-servers", json!(["192.0.2.123"])),
            ("server-identifier", json!("192.0.2.1")),
        ] {
            assert_eq!(told[identifier], value, "{identifier}: {told:#}");
        }
        assert_eq!(told["routes"].as_array().unwrap().len(), 2, "{told:#}");
        // networkd does not write down when the lease ends: the kernel knows.
        let left = told["lease-expires"].as_u64().unwrap() / 1_000_000 - seconds_since_boot();
        assert!((500..=601).contains(&left), "{left} s are left of ten minutes");
    });
}

#[test]
fn leases_at_hand_are_there_from_the_start() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let networkd = networkd_of(&provider, &universe).start().await;
        networkd.wait_for_log("-> configured").await;
        let host = ServedHost::start(&universe).await;
        let state = host.state().await;
        let pvd = state.pvds().find(|pvd| pvd.id == PVD).expect("a PvD as soon as mifd has its name");
        assert!(DhcpProvider::leased(pvd, "192.0.2.53"), "{pvd:#?}");
    });
}

#[test]
fn a_lease_follows_its_server_and_its_carrier() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let grace =
            |settings: mif_tests::daemons::MifdSettings| settings.config("[interfaces]\ngrace-ms = 0\n");
        let host = ServedHost::start_with(&universe, grace).await;
        networkd_of(&provider, &universe).start().await;
        let before = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;

        server.terminate().await;
        provider.serve("192.0.2.54").await;
        let index = provider.cable.near().ifindex().to_string();
        let network1 = ["org.freedesktop.network1", "/org/freedesktop/network1"];
        let renew = ["org.freedesktop.network1.Manager", "RenewLink", "i", &index];
        universe.host().run("busctl", ["call"].into_iter().chain(network1).chain(renew));
        let after = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.54")).await;
        assert_eq!((after.path, after.addresses.len()), (before.path, 1), "it is the same one");

        provider.cable.pull().await;
        host.only_pvds(&[]).await;
        provider.cable.plug(&[]).await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.54")).await;
    });
}

#[test]
fn what_a_killed_networkd_leaves_behind_holds_as_long_as_its_address() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let networkd = networkd_of(&provider, &universe).start().await;
        let before = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        networkd.kill().await;
        // Something that comes after it, to be sure that it was seen.
        provider.cable.near().add_address("198.51.100.7/24");
        let still = host.pvd_where(PVD, |pvd| pvd.addresses.len() == 2).await;
        assert_eq!((&still.path, &still.dns_servers), (&before.path, &before.dns_servers));
        universe.host().ip("address flush dev eth1 scope global");
        host.only_pvds(&[]).await;
        let file = format!("/run/systemd/netif/leases/{}", provider.cable.near().ifindex());
        assert!(std::fs::exists(&file).unwrap(), "networkd had no time to remove {file}");
        networkd_of(&provider, &universe).start().await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
    });
}

#[test]
fn what_is_set_and_what_dhcpv6_gave_are_told_apart() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        provider.serve_ipv6("2001:db8:1::53").await;
        let host = ServedHost::start(&universe).await;
        let sections = "\
            [Network]\nDHCP=yes\nIPv6AcceptRA=yes\nLLMNR=no\nDNS=192.0.2.9\nDomains=extra.test ~route.test\n\
            Address=198.51.100.7/24\n[DHCPv6]\nUseDomains=yes\n[IPv6AcceptRA]\nUseDomains=yes\n";
        let networkd = Networkd::on(universe.host()).link(provider.cable.near(), sections);
        let process = networkd.clone().start().await;
        let both: [IpAddr; 2] = ["192.0.2.53".parse().unwrap(), "192.0.2.9".parse().unwrap()];
        let pvd = host.pvd_where(PVD, |pvd| pvd.dns_servers == both).await;
        assert_eq!(pvd.elements, [Element::Dhcpv4, Element::Static]);
        let set = values(&host.configuration(&pvd, "static").await);
        assert_eq!(set["search-domains"], json!(["extra.test"]), "{set:#}");
        assert_eq!(set["told-by"], json!("systemd-networkd"), "{set:#}");

        let id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        let leased = |pvd: &ProvisioningDomain| {
            pvd.elements.contains(&Element::Dhcpv6)
                && pvd.addresses.iter().any(|address| address.element == Some(Element::Dhcpv6))
        };
        let six = host.pvd_where(&id, leased).await;
        let given = values(&host.told(&six, "dhcpv6").await);
        assert_eq!(given["dns-servers"], json!(["2001:db8:1::53"]), "{given:#}");
        assert_eq!(given["search-domains"], json!(["six.test"]), "{given:#}");
        assert_eq!(given["ntp-servers"], json!(["2001:db8:1::123"]), "{given:#}");

        // It is killed, and starts anew: nothing has changed.
        process.kill().await;
        networkd.start().await.wait_for_log("-> configured").await;
        provider.cable.near().add_address("203.0.113.7/24");
        let still = host.pvd_where(PVD, |pvd| pvd.addresses.len() == 3).await;
        assert_eq!((&still.path, &still.dns_servers), (&pvd.path, &pvd.dns_servers));
        assert_eq!(host.pvd_where(&id, leased).await.path, six.path);
    });
}

/// A new networkd knows a link before it has read how the link is to be configured.
#[test]
fn what_is_set_does_not_go_for_a_moment_when_networkd_starts_anew() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let sections = "[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\nLLMNR=no\nDNS=192.0.2.9\n";
        let networkd = Networkd::on(universe.host()).link(provider.cable.near(), sections);
        let mut process = networkd.clone().start().await;
        let both: [IpAddr; 2] = ["192.0.2.53".parse().unwrap(), "192.0.2.9".parse().unwrap()];
        let pvd = host.pvd_where(PVD, |pvd| pvd.dns_servers == both).await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "elements").await.unwrap();
        subscriber.announce_configuration_elements(&pvd.path).await.unwrap();
        for _ in 0..3 {
            process.kill().await;
            process = networkd.clone().start().await;
            process.wait_for_log("-> configured").await;
        }
        // Something that comes after it, which is told, and the list once more: there was nothing else.
        provider.cable.near().add_address("203.0.113.7/24");
        host.pvd_where(PVD, |pvd| pvd.addresses.len() == 2).await;
        subscriber.announce_configuration_elements(&pvd.path).await.unwrap();
        let (lease, set) = (&Element::Dhcpv4, &Element::Static);
        for expected in [lease, set, set, lease, set] {
            match next(&mut messages).await {
                Message::ConfigurationElementAnnouncement { element, .. } => assert_eq!(&element, expected),
                other => panic!("an element went: {other:?}"),
            }
        }
    });
}
