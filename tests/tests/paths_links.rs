//! Proof of path on several links and with several sorts of provisioning domain.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::proxy::ProvisioningDomainProxy;
use mif::wire::Family;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq};
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::node::Node;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::routing;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{EVERYWHERE, EVERYWHERE_V6, Provider, answers, switch, two_providers};
use mif_tests::universe;
use mif_tests::wait::{DEADLINE, completes, eventually};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use zbus::OwnedObjectPath;

const OWN_HEADER: u16 = 0x2000;

/// Whether a client is told that the reverse path filter is strict.
async fn told(host: &ServedHost, pvd: &OwnedObjectPath) -> bool {
    let proxy = ProvisioningDomainProxy::builder(&host.connection).path(pvd.clone());
    let proxy = proxy.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap();
    let (any, wanted) = (mif::names::ANY_ELEMENT, mif::names::identifier::STRICT_REVERSE_PATH);
    let all = completes("all data", proxy.get_all_configuration_data(any)).await.unwrap();
    let one = completes("one of them", proxy.get_configuration_data(any, wanted)).await;
    assert_eq!(all.contains_key(wanted), one.is_ok(), "{all:?} {one:?}");
    one.is_ok()
}

#[test]
fn a_strict_reverse_path_filter_does_not_swallow_answers() {
    universe::run(async |universe| {
        let _providers = two_providers(&universe).await;
        let node = universe.host();
        node.set("net/ipv4/conf/all/rp_filter", "0");
        node.set("net/ipv4/conf/eth2/rp_filter", "1");
        let host = ServedHost::start(&universe).await;
        let [first, second] = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        assert_eq!(answers(&host, &first, EVERYWHERE).await, "isp1");
        assert_eq!(answers(&host, &second, EVERYWHERE).await, "isp2");
        let sources =
            || routing::rules(node).into_iter().filter(|rule| rule.contains("from 1")).collect::<Vec<_>>();
        let rules = sources();
        assert!(rules.len() == 1 && rules[0].contains("from 198.51.100.2 "), "{rules:#?}");
        assert_eq!((told(&host, &first).await, told(&host, &second).await), (false, true));
        let log = host.mifd.process().log();
        assert_eq!(log.matches("reverse path filter").count(), 1, "{log}");

        // Turned off, the rule is not needed any more; and back.
        node.set("net/ipv4/conf/eth2/rp_filter", "2");
        eventually("no rule for sources", async || {
            let rules = sources();
            if rules.is_empty() { Ok(()) } else { Err(format!("{rules:#?}")) }
        })
        .await;
        eventually("strict-reverse-path to be gone", async || {
            if told(&host, &second).await { Err("still there".to_owned()) } else { Ok(()) }
        })
        .await;
        node.set("net/ipv4/conf/eth2/rp_filter", "1");
        eventually("the rule to be back", async || {
            if sources() == rules { Ok(()) } else { Err(format!("{:#?}", sources())) }
        })
        .await;
        assert_eq!(answers(&host, &second, EVERYWHERE).await, "isp2");
    });
}

/// Rules for everybody serve the filter too, and lead sockets of which the service knows nothing.
#[test]
fn rules_for_every_source_serve_a_strict_reverse_path_filter() {
    universe::run(async |universe| {
        let _providers = two_providers(&universe).await;
        let node = universe.host();
        node.set("net/ipv4/conf/all/rp_filter", "1");
        let config = "[routing]\nsource-rules = \"always\"\n";
        let host = ServedHost::start_with(&universe, |settings| settings.config(config)).await;
        for (pvd, server) in
            host.pvds(["eth1", "eth2"], Family::Ipv4, false).await.iter().zip(["isp1", "isp2"])
        {
            assert_eq!(answers(&host, pvd, EVERYWHERE).await, server);
            let source = host.addresses(pvd).await[0];
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
            let to = SocketAddr::new(EVERYWHERE.parse().unwrap(), ECHO_PORT);
            socket.connect_timeout(&to.into(), DEADLINE).unwrap();
            assert_eq!(Greeting::over(socket).await.server, server);
            assert!(!told(&host, pvd).await, "nothing is special about it");
        }
    });
}

#[test]
fn two_links_with_one_subnet_and_one_peer_are_two() {
    universe::run(async |universe| {
        let one = Provider::start(&universe, "isp1", "eth1", "192.0.2.1/24").await;
        let two = Provider::start(&universe, "isp2", "eth2", "192.0.2.1/24").await;
        one.cable.near().add_address("192.0.2.2/24");
        two.cable.near().add_address("192.0.2.3/24");
        for (link, metric) in [("eth1", 100), ("eth2", 200)] {
            universe.host().ip(&format!("route add default via 192.0.2.1 dev {link} metric {metric}"));
        }
        let host = ServedHost::start(&universe).await;
        let [first, second] = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        for _ in 0..10 {
            for to in ["192.0.2.1", EVERYWHERE] {
                assert_eq!(answers(&host, &first, to).await, "isp1");
                assert_eq!(answers(&host, &second, to).await, "isp2");
            }
        }
    });
}

/// VXLAN stands for all tunnels of the kernel whose carrying packets have the mark of what they carry.
#[test]
fn a_vpn_that_takes_the_default_route_takes_nothing_from_others() {
    universe::run(async |universe| {
        let Provider { node: isp, cable, .. } =
            &Provider::start(&universe, "isp", "eth1", "192.0.2.1/24").await;
        cable.near().add_address("192.0.2.2/24");
        let node = universe.host();
        node.ip("route add default via 192.0.2.1 dev eth1 metric 100");
        // The VPN's gateway is behind the provider; what is inside the tunnel is not.
        let gateway = universe.node("vpn");
        let _behind = Cable::between(isp.end("vpn"), gateway.end("wan")).await;
        isp.forward();
        isp.ip("address add 198.51.100.1/24 dev vpn");
        gateway.ip("address add 198.51.100.9/24 dev wan");
        gateway.ip("route add default via 198.51.100.1");
        gateway.ip(&format!("address add {EVERYWHERE} dev lo"));
        let _echo = EchoServer::on(&gateway);
        let tunnel = |node: &Node, local: &str, remote: &str, inside: &str| {
            node.ip(&format!("link add tunnel type vxlan id 7 local {local} remote {remote} dstport 4789"));
            node.ip(&format!("address add {inside}/24 dev tunnel"));
            node.ip("link set tunnel up");
        };
        tunnel(node, "192.0.2.2", "198.51.100.9", "10.8.0.2");
        tunnel(&gateway, "198.51.100.9", "192.0.2.2", "10.8.0.1");
        node.ip("route add 198.51.100.9 via 192.0.2.1 dev eth1");
        node.ip("route add default via 10.8.0.1 dev tunnel metric 50");
        let host = ServedHost::start(&universe).await;
        let [provider, vpn] = host.pvds(["eth1", "tunnel"], Family::Ipv4, false).await;
        for _ in 0..10 {
            assert_eq!(answers(&host, &provider, EVERYWHERE).await, "isp");
            assert_eq!(answers(&host, &vpn, EVERYWHERE).await, "vpn");
        }
        // A tunnel that is called otherwise is the same one.
        let bound =
            |name: &str| routing::rules(node).iter().any(|rule| rule.contains(&format!("oif {name} ")));
        assert!(bound("tunnel") && !bound("eth1"), "{:#?}", routing::rules(node));
        node.ip("link set tunnel down");
        node.ip("link set tunnel name office");
        node.ip("link set office up");
        node.ip("route add default via 10.8.0.1 dev office metric 50");
        let [vpn] = host.pvds(["office"], Family::Ipv4, false).await;
        eventually("rules for the new name", async || {
            let rules = routing::rules(node);
            if bound("office") && !bound("tunnel") { Ok(()) } else { Err(format!("{rules:#?}")) }
        })
        .await;
        assert_eq!(answers(&host, &vpn, EVERYWHERE).await, "vpn");
    });
}

async fn pvd_of(host: &ServedHost, id: &str) -> OwnedObjectPath {
    eventually(&format!("{id} with an address"), async || {
        let state = host.state().await;
        let found = state.pvds().find(|pvd| pvd.id == id && !pvd.addresses.is_empty());
        found.map(|pvd| pvd.path.clone()).ok_or_else(|| format!("{state:#?}"))
    })
    .await
}

fn prefix(router_lifetime: u16, number: u8) -> RouterAdvertisement {
    RouterAdvertisement::new(router_lifetime).prefix(&format!("2001:db8:{number}::"), 64, 3600, 1800)
}

#[test]
fn an_explicit_one_beside_an_implicit_one_leaves_by_its_own_router() {
    universe::run(async |universe| {
        let cables = switch(&universe, &["plain", "aware"]).await;
        for (cable, number) in cables.iter().zip([1, 2]) {
            cable.near().add_address(&format!("2001:db8:{number}::1/64"));
        }
        let host = ServedHost::start(&universe).await;
        let (plain, aware) = (RawSender::on(cables[0].near()), RawSender::on(cables[1].near()));
        plain.send(prefix(1800, 1).bytes());
        let inside = RouterAdvertisement::new(0).pvd(OWN_HEADER, 1, "isp.example.org", &prefix(1800, 2));
        aware.send(inside.bytes());
        // The kernel knows no PvD options, and makes no address for what is inside.
        universe.host().ip("address add 2001:db8:2::9/64 dev eth1 nodad");
        let implicit = format!("implicit:eth1:ipv6:{}", cables[0].near().link_local());
        let (implicit, explicit) = (pvd_of(&host, &implicit).await, pvd_of(&host, "isp.example.org").await);
        for _ in 0..10 {
            assert_eq!(answers(&host, &implicit, EVERYWHERE_V6).await, "plain");
            assert_eq!(answers(&host, &explicit, EVERYWHERE_V6).await, "aware");
        }
    });
}

#[test]
fn two_dhcp_networks_on_one_link_have_a_gateway_each() {
    universe::run(async |universe| {
        let node = universe.host();
        let switch = universe.node("switch");
        switch.ip("link add bridge type bridge mcast_snooping 0");
        switch.ip("link set bridge up");
        let macs = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
        let mut ends = Vec::new();
        for (link, mac) in ["eth1", "eth2"].into_iter().zip(macs) {
            // Two interfaces on one link: each answers for its own address only.
            ends.push(Cable::between(node.end(link).mac(mac), switch.end(link)).await);
            switch.ip(&format!("link set {link} master bridge"));
            node.set(&format!("net/ipv4/conf/{link}/arp_ignore"), "1");
            node.set(&format!("net/ipv4/conf/{link}/arp_announce"), "2");
        }
        let networks = ["192.0.2", "198.51.100"];
        for (number, network) in networks.into_iter().enumerate() {
            let router = universe.node(&format!("router{number}"));
            let cable = Cable::between(router.end("lan"), switch.end(&format!("port{number}"))).await;
            switch.ip(&format!("link set port{number} master bridge"));
            cable.near().add_address(&format!("{network}.1/24"));
            router.ip(&format!("address add {EVERYWHERE} dev lo"));
            std::mem::forget(EchoServer::on(&router));
            // BCP 38: nothing of the other network.
            router.run(
                "nft",
                [format!(
                    "table ip bcp38 {{\n chain input {{\n type filter hook input priority 0\n \
                     iifname lan ip saddr != {{ {network}.0/24, 0.0.0.0 }} counter drop\n }}\n }}"
                )],
            );
            let ignored = macs[1 - number];
            Dnsmasq::on(&router, "lan")
                .dhcp4(&format!("{network}.50"), &format!("{network}.60"), "10m")
                .argument(&format!("--dhcp-host={ignored},ignore"))
                .argument("--port=0")
                .start()
                .await;
        }
        for (cable, network) in ends.iter().zip(networks) {
            Dhcpcd::on(cable.near()).start().await;
            cable.near().wait_for_address(network).await;
        }
        let host = ServedHost::start(&universe).await;
        let pvds = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        for _ in 0..10 {
            for (number, pvd) in pvds.iter().enumerate() {
                assert_eq!(answers(&host, pvd, EVERYWHERE).await, format!("router{number}"));
            }
        }
        assert_eq!(routing::tables(node).len(), 2);
    });
}
