//! What mifd asks DHCP servers itself, because nobody tells it: real servers, and a client that must not notice.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::wire::Element;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhclient, Dnsmasq, MifdSettings};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::DhcpProvider;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use serde_json::{Value, json};

const PVD: &str = "implicit:eth1:ipv4";

#[track_caller]
fn holds(told: &Value, expected: &[(&str, Value)]) {
    for (identifier, value) in expected {
        assert_eq!(told[identifier]["data"], *value, "{identifier}: {told:#}");
    }
}

/// The provider, and a host that was given an address and a router by hand.
async fn configured_by_hand(universe: &Universe) -> DhcpProvider {
    let provider = DhcpProvider::new(universe).await;
    provider.cable.near().add_address("192.0.2.7/24");
    universe.host().ip("route add default via 192.0.2.1");
    provider
}

/// Another link, on which it asks: what is to be asked on others is asked by then, too. The server's log.
async fn asks_elsewhere(universe: &Universe, host: &ServedHost) {
    let other = universe.node("other");
    let cable = Cable::between(universe.host().end("eth9"), other.end("lan")).await;
    cable.far().add_address("198.51.100.1/24");
    cable.near().add_address("198.51.100.7/24");
    universe.host().ip("route add default via 198.51.100.1 metric 900");
    let server = Dnsmasq::on(&other, "lan").dhcp4("198.51.100.50", "198.51.100.60", "10m");
    let server = server.argument("--port=0").argument("--dhcp-option=option:dns-server,198.51.100.53");
    server.start().await;
    host.pvd_where("implicit:eth9:ipv4", |pvd| pvd.elements.contains(&Element::Dhcpv4)).await;
}

#[test]
fn servers_inform_a_host_that_is_configured_by_hand() {
    universe::run(async |universe| {
        let provider = configured_by_hand(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        assert!(host.features().await.contains(&"own-dhcp".to_owned()));
        let pvd = host.pvd_where(PVD, |pvd| pvd.elements == [Element::Dhcpv4, Element::Static]).await;
        let told = host.configuration(&pvd, "dhcpv4").await;
        holds(
            &told,
            &[
                ("dns-servers", json!(["192.0.2.53"])),
                ("search-domains", json!(["isp.test"])),
                ("domain-name", json!("isp.test")),
                ("mtu", json!(1400)),
                ("ntp-servers", json!(["192.0.2.123"])),
                ("nis-domain", json!("nis.test")),
                ("nis-servers", json!(["192.0.2.77"])),
                ("captive-portal", json!("https://portal.test/api")),
                ("server-identifier", json!("192.0.2.1")),
                ("told-by", json!("mifd")),
            ],
        );
        // Nothing was leased, and where packets go stays as it was set.
        for identifier in ["lease-expires", "routers", "routes", "prefixes"] {
            assert_eq!(told.get(identifier), None, "{identifier}: {told:#}");
        }
        assert_eq!(pvd.addresses[0].element, Some(Element::Static), "{pvd:#?}");
        assert_eq!(pvd.routers.len(), 1, "{pvd:#?}");
        let log = server.log();
        assert!(log.contains("DHCPINFORM(lan) 192.0.2.7"), "{log}");
        assert!(
            !log.contains("DHCPDISCOVER") && !log.contains("DHCPREQUEST"),
            "it asks for no address: {log}"
        );
        universe.host().ip("address flush dev eth1 scope global");
        host.only_pvds(&[]).await;
    });
}

#[test]
fn servers_inform_a_host_whose_router_says_so() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let server = provider.serve_stateless_ipv6("2001:db8:1::53").await;
        let host = ServedHost::start(&universe).await;
        let id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        let pvd = host.pvd_where(&id, |pvd| pvd.elements == [Element::Ra, Element::Dhcpv6]).await;
        let told = host.configuration(&pvd, "dhcpv6").await;
        holds(
            &told,
            &[
                ("dns-servers", json!(["2001:db8:1::53"])),
                ("search-domains", json!(["six.test"])),
                ("ntp-servers", json!(["2001:db8:1::123"])),
                ("nis-servers", json!(["2001:db8:1::77"])),
                ("captive-portal", json!("https://portal.test/6")),
                ("told-by", json!("mifd")),
            ],
        );
        assert_eq!(told["encrypted-dns"]["data"][0]["name"]["data"], json!("dns.test"), "{told:#}");
        assert_eq!(told.get("lease-expires"), None, "{told:#}");
        assert!(server.log().contains("DHCPINFORMATION-REQUEST(lan)"), "{}", server.log());
    });
}

/// The client of a host nobody knows of, which has the port of clients and renews every few seconds.
#[test]
fn a_client_that_tells_nobody_renews_undisturbed() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let client = Dhclient::on(provider.cable.near()).keeping("/run/dhclient-unheard.leases");
        let client = client.setting("supersede dhcp-renewal-time 4;").start().await;
        host.pvd(PVD).await;
        // Its script adds no route, for want of a hook of the distribution.
        universe.host().ip("route add default via 192.0.2.1");
        let informed = |pvd: &mif::ProvisioningDomain| DhcpProvider::leased(pvd, "192.0.2.53");
        let pvd = host.pvd_where(PVD, informed).await;
        holds(&host.configuration(&pvd, "dhcpv4").await, &[("told-by", json!("mifd"))]);
        let bound = || client.log().matches("bound to").count();
        let before = bound();
        eventually("the client to renew twice after mifd has asked", async || {
            if bound() >= before + 2 { Ok(()) } else { Err(client.log()) }
        })
        .await;
        assert!(server.log().contains("DHCPINFORM"));
        assert_eq!(server.log().matches("DHCPDISCOVER").count(), 1, "it never had to begin anew");
    });
}

#[test]
fn a_client_that_tells_leaves_nothing_to_ask_and_takes_the_place_of_what_was_asked() {
    universe::run(async |universe| {
        let provider = configured_by_hand(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let told_by = async |by: &str| {
            let told_by = json!(by);
            eventually(&format!("what {by} tells"), async || {
                let pvd = host.pvd(PVD).await;
                let told = host.configuration(&pvd, "any").await;
                if told["told-by"]["data"] == told_by { Ok(()) } else { Err(told.to_string()) }
            })
            .await;
        };
        told_by("mifd").await;
        universe.host().ip("address flush dev eth1 scope global");
        Dhclient::on(provider.cable.near()).start().await;
        told_by("dhclient").await;
        let asked = || server.log().matches("DHCPINFORM").count();
        let before = asked();
        asks_elsewhere(&universe, &host).await;
        assert_eq!(asked(), before);
    });
}

#[test]
fn who_wants_it_silent_gets_it_silent() {
    universe::run(async |universe| {
        let provider = configured_by_hand(&universe).await;
        provider.serve("192.0.2.53").await;
        let silent = |settings: MifdSettings| settings.config("[dhcp]\ninform = false\n");
        let host = ServedHost::start_with(&universe, silent).await;
        assert!(host.features().await.contains(&"own-dhcp".to_owned()), "the other one is on");
        let server = provider.serve_stateless_ipv6("2001:db8:1::53").await;
        let id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        host.pvd_where(&id, |pvd| pvd.elements.contains(&Element::Dhcpv6)).await;
        assert!(!server.log().contains("DHCPINFORM("), "{}", server.log());
        let pvd = host.pvd(PVD).await;
        assert_eq!(pvd.elements, [Element::Static]);
        let off = "[dhcp]\ninform = false\ninformation-request = false\n";
        let mut mifd = host.mifd.clone();
        mifd.terminate().await;
        mifd.restart_with(off).await;
        assert!(!host.features().await.contains(&"own-dhcp".to_owned()));
    });
}
