//! What a real NetworkManager has from the network and what it sets on links.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::wire::Element;
use mif::{Message, ProvisioningDomain, Subscriber};
use mif_tests::daemons::NetworkManager;
use mif_tests::peers;
use mif_tests::served_host::{ServedHost, next};
use mif_tests::topology::{DhcpProvider, seconds_since_boot};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const PVD: &str = "implicit:eth1:ipv4";
const AUTOMATIC: &str = "[ipv4]\nmethod=auto\n[ipv6]\nmethod=link-local\n";

fn manager_of(provider: &DhcpProvider, universe: &Universe, sections: &str) -> NetworkManager {
    NetworkManager::on(universe.host()).link(provider.cable.near(), sections)
}

#[track_caller]
fn holds(told: &Value, expected: &[(&str, Value)]) {
    for (identifier, value) in expected {
        assert_eq!(told[identifier]["data"], *value, "{identifier}: {told:#}");
    }
}

fn has_servers(pvd: &ProvisioningDomain, servers: &[&str]) -> bool {
    pvd.dns_servers.iter().map(ToString::to_string).collect::<Vec<_>>() == servers
}

#[test]
fn leases_of_both_families_are_told_and_what_is_set_beside_them() {
    universe::run(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        provider.serve_ipv6("2001:db8:1::53").await;
        let host = ServedHost::start(&universe).await;
        let sections = "[ipv4]\nmethod=auto\ndns=192.0.2.9;\ndns-search=extra.test;\n[ipv6]\nmethod=auto\n";
        manager_of(&provider, &universe, sections).start().await;

        let pvd = host.pvd_where(PVD, |pvd| has_servers(pvd, &["192.0.2.53", "192.0.2.9"])).await;
        assert_eq!(pvd.elements, [Element::Dhcpv4, Element::Static]);
        let told = host.configuration(&pvd, "dhcpv4").await;
        holds(
            &told,
            &[
                ("dns-servers", json!(["192.0.2.53"])),
                ("search-domains", json!(["isp.test"])),
                ("domain-name", json!("isp.test")),
                ("routers", json!(["192.0.2.1"])),
                ("mtu", json!(1400)),
                ("ntp-servers", json!(["192.0.2.123"])),
                ("nis-domain", json!("nis.test")),
                ("nis-servers", json!(["192.0.2.77"])),
                ("server-identifier", json!("192.0.2.1")),
                ("told-by", json!("NetworkManager")),
            ],
        );
        assert_eq!(told["routes"]["data"].as_array().unwrap().len(), 2, "{told:#}");
        let left = told["lease-expires"]["data"].as_u64().unwrap() / 1_000_000 - seconds_since_boot();
        assert!((500..=601).contains(&left), "{left} s are left of ten minutes");
        let set = host.configuration(&pvd, "static").await;
        holds(&set, &[("dns-servers", json!(["192.0.2.9"])), ("search-domains", json!(["extra.test"]))]);
        holds(&set, &[("told-by", json!("NetworkManager"))]);

        let id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        // The domain that is set is the link's, of whatever family its servers are.
        let all = [Element::Ra, Element::Dhcpv6, Element::Static];
        let pvd = host.pvd_where(&id, |pvd| pvd.elements == all).await;
        let told = host.told(&pvd, "dhcpv6").await;
        holds(&told, &[("search-domains", json!(["six.test"])), ("ntp-servers", json!(["2001:db8:1::123"]))]);
        holds(&told, &[("told-by", json!("NetworkManager"))]);
    });
}

#[test]
fn what_is_set_by_hand_forms_a_pvd_with_its_servers() {
    universe::run(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        let sections = "[ipv4]\nmethod=manual\naddress1=192.0.2.7/24,192.0.2.1\ndns=192.0.2.9;\n\
                        dns-search=corp.test;~route.test;\n\
                        [ipv6]\nmethod=manual\naddress1=2001:db8:9::7/64\ndns=2001:db8:9::53;\n";
        let mut host = ServedHost::start(&universe).await;
        manager_of(&provider, &universe, sections).start().await;
        host.pvd_where(PVD, |pvd| has_servers(pvd, &["192.0.2.9"])).await;
        host.pvd_where("implicit:eth1:ipv6", |pvd| has_servers(pvd, &["2001:db8:9::53"])).await;
        // For one that starts later, everything is there from the start.
        host.mifd.terminate().await;
        host.mifd.restart().await;
        let state = host.state().await;
        let found = |id: &str| state.pvds().find(|pvd| pvd.id == id).expect(id).clone();
        let four = found(PVD);
        assert_eq!((&four.elements, has_servers(&four, &["192.0.2.9"])), (&vec![Element::Static], true));
        assert_eq!(four.search_domains, ["corp.test"]);
        let six = found("implicit:eth1:ipv6");
        assert_eq!((&six.elements, has_servers(&six, &["2001:db8:9::53"])), (&vec![Element::Static], true));

        let down = ["connection", "down", "eth1"];
        universe.host().run("nmcli", down);
        host.only_pvds(&[]).await;
    });
}

#[test]
fn a_lease_follows_its_server_and_its_carrier() {
    universe::run(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        manager_of(&provider, &universe, AUTOMATIC).start().await;
        let before = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        server.terminate().await;
        provider.serve("192.0.2.54").await;
        universe.host().run("nmcli", ["device", "reapply", "eth1"]);
        universe.host().run("nmcli", ["connection", "up", "eth1"]);
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.54")).await;
        assert_eq!(before.elements, [Element::Dhcpv4]);

        provider.cable.pull().await;
        host.only_pvds(&[]).await;
        provider.cable.plug(&[]).await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.54")).await;
    });
}

#[test]
fn what_a_manager_said_holds_while_it_does_not_answer() {
    universe::run(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let process = manager_of(&provider, &universe, AUTOMATIC).start().await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;

        // mifd hears that something is new while nobody says what.
        host.mifd.process().signal(Signal::SIGSTOP);
        let set = ["ipv4.dns", "192.0.2.9", "+ipv4.addresses", "203.0.113.5/24"];
        universe.host().run("nmcli", ["device", "modify", "eth1"].iter().chain(&set));
        eventually("NetworkManager to say so", async || {
            let said = universe.host().run("nmcli", ["-g", "IP4", "device", "show", "eth1"]);
            said.contains("192.0.2.9").then_some(()).ok_or(said)
        })
        .await;
        process.signal(Signal::SIGSTOP);
        host.mifd.process().signal(Signal::SIGCONT);
        eventually("mifd to have waited in vain", async || {
            let log = host.mifd.process().log();
            log.contains("a manager does not answer").then_some(()).ok_or("it waits")
        })
        .await;
        provider.cable.near().add_address("198.51.100.7/24");
        let still = host.pvd_where(PVD, |pvd| pvd.addresses.len() == 3).await;
        assert!(has_servers(&still, &["192.0.2.53"]), "{still:?}");

        process.signal(Signal::SIGCONT);
        host.pvd_where(PVD, |pvd| has_servers(pvd, &["192.0.2.53", "192.0.2.9"])).await;
    });
}

#[test]
fn a_manager_that_is_killed_and_back_changes_nothing_and_leaves_nothing_behind() {
    universe::run(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let manager = manager_of(&provider, &universe, AUTOMATIC);
        let process = manager.start().await;
        let before = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "elements").await.unwrap();
        subscriber.announce_configuration_elements(&before.path).await.unwrap();

        process.kill().await;
        let process = manager.start().await;
        // Something that comes after it, to be sure that it was seen.
        provider.cable.near().add_address("198.51.100.7/24");
        let still = host.pvd_where(PVD, |pvd| pvd.addresses.len() == 2).await;
        assert_eq!((&still.path, &still.dns_servers), (&before.path, &before.dns_servers));
        for expected in [Element::Dhcpv4, Element::Static] {
            match next(&mut messages).await {
                Message::ConfigurationElementAnnouncement { element, .. } => assert_eq!(element, expected),
                other => panic!("the lease went, or changed: {other:?}"),
            }
        }

        process.kill().await;
        universe.host().ip("address flush dev eth1 scope global");
        host.only_pvds(&[]).await;
        manager.start().await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
    });
}
