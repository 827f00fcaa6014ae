//! Provisioning domains of leases, of addresses set by hand and of tunnels: what they hold, when they come and
//! when they go.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use mif::wire::{Element, InterfaceState};
use mif::{ConnectRequest, ErrorKind, ProvisioningDomain};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq};
use mif_tests::process::Process;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::served_state::{ROOT, busctl_call};
use mif_tests::signals::{Signals, describe};
use mif_tests::universe::{self, Universe};
use serde_json::{Value, json};

const LEASED: &str = "implicit:eth1:ipv4";

/// A cable from `eth1` of the host to `lan` of a node called `router`, which is 192.0.2.1.
async fn cable_to_router(universe: &Universe) -> Cable {
    let router = universe.node("router");
    let cable = Cable::between(universe.host().end("eth1"), router.end("lan")).await;
    cable.far().add_address("192.0.2.1/24");
    cable
}

/// A DHCP server with every option that the contract has an identifier for.
fn server(cable: &Cable, dns_server: &str) -> Dnsmasq {
    let options = [
        "option:mtu,1400",
        "option:ntp-server,192.0.2.123,192.0.2.124",
        "option:nis-domain,yellow.test",
        "option:nis-server,192.0.2.41",
        "option:classless-static-route,198.51.100.0/24,192.0.2.2,0.0.0.0/0,192.0.2.1",
        &format!("option:dns-server,{dns_server},192.0.2.54"),
    ];
    let server = Dnsmasq::on(cable.far().node(), "lan").dhcp4("192.0.2.10", "192.0.2.10", "10m");
    let server =
        server.argument("--domain=isp.test").argument("--dhcp-option=option:domain-search,a.test,b.test");
    options.iter().fold(server, |server, option| server.argument(&format!("--dhcp-option={option}")))
}

async fn client(cable: &Cable) -> Process {
    Dhcpcd::on(cable.near()).ipv4_only().line("option nis_domain, nis_servers").start().await
}

/// A lease was told: before that the address alone makes the PvD.
fn is_leased(pvd: &ProvisioningDomain) -> bool {
    !pvd.dns_servers.is_empty()
}

/// CLOCK_BOOTTIME in microseconds.
fn boot_time() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    (seconds * 1e6) as u64
}

fn route(destination: &str, gateway: &str, valid_until: &Value) -> Value {
    json!({
        "destination": {"type": "s", "data": destination},
        "gateway": {"type": "s", "data": gateway},
        "preference": {"type": "s", "data": "medium"},
        "valid-until": valid_until,
    })
}

/// The server has forgotten the lease and gives out other addresses: it says no (DHCPNAK) when the client asks to keep it.
#[test]
fn a_lease_that_the_server_refuses_gives_way_to_a_new_one() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let former = server(&cable, "192.0.2.53").argument("--leasefile-ro").start().await;
        let served = ServedHost::start(&universe).await;
        client(&cable).await;
        let before = served.pvd_where(LEASED, is_leased).await;
        former.terminate().await;
        let other = Dnsmasq::on(cable.far().node(), "lan").dhcp4("192.0.2.20", "192.0.2.20", "10m");
        let other = other.argument("--dhcp-option=option:dns-server,192.0.2.63").start().await;
        universe.host().run("dhcpcd", ["-4", "--rebind", "eth1"]);
        let server: std::net::IpAddr = "192.0.2.63".parse().unwrap();
        let after = served.pvd_where(LEASED, |pvd| pvd.dns_servers == [server]).await;
        let addresses: Vec<String> = after.addresses.iter().map(|it| it.address.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.20"], "it was {:?}", before.addresses);
        assert!(other.log().contains("DHCPNAK"), "{}", other.log());
    });
}

/// `static` lines of dhcpcd.conf.
#[test]
fn what_dhcpcd_sets_statically_is_told() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let client = Dhcpcd::on(cable.near()).ipv4_only();
        let client = [
            "static ip_address=192.0.2.7/24",
            "static routers=192.0.2.1",
            "static domain_name_servers=192.0.2.53 192.0.2.54",
            "static domain_search=corp.test",
            "static ntp_servers=192.0.2.123",
        ]
        .iter()
        .fold(client, |client, line| client.line(line));
        let client = client.start().await;
        let pvd = served.pvd_where(LEASED, is_leased).await;
        let told = served.configuration(&pvd, "static").await;
        for (identifier, value) in [
            ("dns-servers", json!(["192.0.2.53", "192.0.2.54"])),
            ("search-domains", json!(["corp.test"])),
            ("ntp-servers", json!(["192.0.2.123"])),
            ("told-by", json!("dhcpcd")),
        ] {
            assert_eq!(told[identifier]["data"], value, "{identifier}: {told:#}");
        }
        assert_eq!(pvd.addresses[0].element, Some(Element::Static), "{pvd:?}");
        assert_eq!(pvd.routers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1"]);

        // dhcpcd takes its address along, and what it has set.
        client.terminate().await;
        served.only_pvds(&[]).await;
        cable.near().add_address("192.0.2.7/24");
        let by_hand = served.pvd(LEASED).await;
        assert!(by_hand.dns_servers.is_empty(), "{by_hand:?}");
    });
}

#[test]
fn a_lease_of_dhcpcd_is_a_pvd_with_all_that_the_server_said() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        server(&cable, "192.0.2.53").start().await;
        let served = ServedHost::start(&universe).await;
        client(&cable).await;
        let pvd = served.pvd_where(LEASED, is_leased).await;
        assert_eq!(pvd.elements, [Element::Dhcpv4]);
        assert_eq!(pvd.addresses.len(), 1, "{pvd:?}");
        let address = &pvd.addresses[0];
        assert_eq!((address.address.to_string(), address.prefix_length), ("192.0.2.10".to_owned(), 24));
        assert_eq!(address.element, Some(Element::Dhcpv4));
        assert_eq!(pvd.routers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1"]);

        let mut data = served.configuration(&pvd, "dhcpv4").await;
        assert_eq!(data, served.configuration(&pvd, "any").await);
        let expires = data["lease-expires"].clone();
        assert_eq!(expires["type"], "t");
        let left = expires["data"].as_u64().unwrap() - boot_time();
        assert!((500_000_000..=600_000_000).contains(&left), "600 s were granted, and {left} us are left");
        let routes = data["routes"]["data"].as_array_mut().unwrap();
        routes.sort_by_key(|route| route["destination"]["data"].to_string());
        let prefix = json!({
            "prefix": {"type": "s", "data": "192.0.2.0/24"},
            "on-link": {"type": "b", "data": true},
            "autonomous": {"type": "b", "data": false},
            "preferred-until": expires, "valid-until": expires,
        });
        let for_ever = json!({"type": "t", "data": u64::MAX});
        let strings = |items: &[&str]| json!({"type": "as", "data": items});
        let string = |text: &str| json!({"type": "s", "data": text});
        let routes = [
            route("0.0.0.0/0", "192.0.2.1", &routes[0]["valid-until"]),
            route("198.51.100.0/24", "192.0.2.2", &routes[1]["valid-until"]),
        ];
        assert!(
            routes.iter().all(|route| [&expires, &for_ever].contains(&&route["valid-until"])),
            "{routes:?}"
        );
        let expected = json!({
            "dns-servers": strings(&["192.0.2.53", "192.0.2.54"]),
            "search-domains": strings(&["a.test", "b.test"]),
            "domain-name": string("isp.test"),
            "routers": strings(&["192.0.2.1"]),
            "routes": {"type": "aa{sv}", "data": routes},
            "prefixes": {"type": "aa{sv}", "data": [prefix]},
            "mtu": {"type": "u", "data": 1400},
            "ntp-servers": strings(&["192.0.2.123", "192.0.2.124"]),
            "nis-servers": strings(&["192.0.2.41"]),
            "nis-domain": string("yellow.test"),
            "server-identifier": string("192.0.2.1"),
            "lease-expires": expires,
            "told-by": string("dhcpcd"),
        });
        assert_eq!(data, expected);
    });
}

#[test]
fn a_lease_that_is_renewed_changes_its_pvd_and_one_released_ends_it() {
    universe::run(async |universe| {
        let (host, cable) = (universe.host(), cable_to_router(&universe).await);
        let dnsmasq = server(&cable, "192.0.2.53").start().await;
        let served = ServedHost::start(&universe).await;
        let dhcpcd = client(&cable).await;
        let pvd = served.pvd_where(LEASED, is_leased).await;
        let expires = |data: &Value| data["lease-expires"]["data"].as_u64().unwrap();
        let first = served.configuration(&pvd, "any").await;
        let mut signals = Signals::of(&served.connection);
        signals.add_match("type='signal',sender='org.ietf.Mif1'").await;

        // The same again: only the lease lasts longer, which wakes nobody.
        host.run("dhcpcd", ["-4", "-n", "eth1"]);
        let what = "the lease to be extended";
        mif_tests::wait::eventually(what, async || {
            let data = served.configuration(&pvd, "any").await;
            if expires(&data) > expires(&first) { Ok(()) } else { Err(data) }
        })
        .await;
        let extended = served.pvd(LEASED).await;
        assert_eq!(
            (&extended.path, extended.configuration_revision),
            (&pvd.path, pvd.configuration_revision)
        );

        // Another DNS server: the same PvD says so.
        dnsmasq.terminate().await;
        server(&cable, "192.0.2.55").start().await;
        host.run("dhcpcd", ["-4", "-n", "eth1"]);
        let changed = served.pvd_where(LEASED, |pvd| pvd.dns_servers[0].to_string() == "192.0.2.55").await;
        assert_eq!(changed.path, pvd.path);
        assert_eq!(changed.configuration_revision, pvd.configuration_revision + 1);
        // It may carry along what was held back of changes before (O7).
        let told = signals
            .until("the change of the DNS servers", |message| {
                let told = describe(message);
                told.contains("192.0.2.55").then_some(told)
            })
            .await;
        assert!(told.starts_with(&format!("{} PropertiesChanged", pvd.path)), "{told}");
        assert!(told.contains("\"DnsServers\"") && told.contains("\"ConfigurationRevision\""), "{told}");

        // dhcpcd gives the lease back and takes the address away.
        host.run("dhcpcd", ["-4", "-k", "eth1"]);
        served.only_pvds(&[]).await;
        dhcpcd.ended().await;
    });
}

#[test]
fn a_dhcpcd_that_is_killed_leaves_its_address_in_the_same_pvd() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        server(&cable, "192.0.2.53").start().await;
        let dhcpcd = client(&cable).await;
        cable.near().wait_for_address("192.0.2.10").await;
        // The lease is older than the service.
        let served = ServedHost::start(&universe).await;
        let leased = served.pvd_where(LEASED, is_leased).await;
        dhcpcd.kill().await;
        let left = served.pvd_where(LEASED, |pvd| !is_leased(pvd)).await;
        assert_eq!(left.path, leased.path);
        assert_eq!(left.addresses[0].address.to_string(), "192.0.2.10");
        // One that starts anew tells of the lease again.
        client(&cable).await;
        let again = served.pvd_where(LEASED, is_leased).await;
        assert_eq!(again.path, leased.path);
    });
}

#[test]
fn what_is_set_by_hand_is_static_and_on_a_tunnel_vpn() {
    universe::run(async |universe| {
        let (host, cable) = (universe.host(), cable_to_router(&universe).await);
        host.ip("link add vpn0 type vxlan id 7 dstport 4789");
        host.ip("link set vpn0 up");
        let served = ServedHost::start(&universe).await;
        let elements = |id: &'static str, wanted: &'static [Element]| {
            served.pvd_where(id, move |pvd| pvd.elements == wanted)
        };
        // fe80:: alone makes nothing (eth1 has it), 169.254/16 alone does.
        served.only_pvds(&[]).await;
        cable.near().add_address("169.254.7.7/16");
        let first = elements(LEASED, &[Element::LinkLocal]).await;
        cable.near().add_address("192.0.2.9/24");
        host.ip("route add default via 192.0.2.1");
        let both = elements(LEASED, &[Element::Static, Element::LinkLocal]).await;
        assert_eq!(both.path, first.path);
        let routed = served.pvd_where(LEASED, |pvd| pvd.routers.len() == 1).await;
        assert_eq!(routed.routers[0].to_string(), "192.0.2.1");
        let data = served.configuration(&routed, "static").await;
        assert_eq!(data["prefixes"]["data"][0]["prefix"]["data"], "192.0.2.0/24", "{data}");

        cable.near().add_address("fd00:1::9/64");
        let unique_local = elements("implicit:eth1:ipv6", &[Element::Static]).await;
        assert_eq!(unique_local.addresses[0].prefix_length, 64);

        host.ip("address add 10.9.0.2/24 dev vpn0");
        host.ip("address add 2001:db8:9::2/64 dev vpn0 nodad");
        elements("implicit:vpn0:ipv4", &[Element::Vpn]).await;
        elements("implicit:vpn0:ipv6", &[Element::Vpn]).await;
        served.only_pvds(&[LEASED, "implicit:eth1:ipv6", "implicit:vpn0:ipv4", "implicit:vpn0:ipv6"]).await;
        host.ip("address delete 192.0.2.9/24 dev eth1");
        host.ip("address delete fd00:1::9/64 dev eth1");
        elements(LEASED, &[Element::LinkLocal]).await;
        host.ip("link delete vpn0");
        served.only_pvds(&[LEASED]).await;
    });
}

#[test]
fn static_addresses_live_beside_a_lease_in_one_pvd() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        server(&cable, "192.0.2.53").start().await;
        let served = ServedHost::start(&universe).await;
        client(&cable).await;
        let leased = served.pvd_where(LEASED, is_leased).await;
        cable.near().add_address("198.51.100.9/24");
        let both = served.pvd_where(LEASED, |pvd| pvd.addresses.len() == 2).await;
        assert_eq!(both.path, leased.path);
        assert_eq!(both.elements, [Element::Dhcpv4, Element::Static]);
        let elements: Vec<_> =
            both.addresses.iter().map(|address| address.element.clone().unwrap()).collect();
        assert_eq!(elements, [Element::Dhcpv4, Element::Static]);
    });
}

#[test]
fn a_cable_that_is_back_in_time_has_changed_nothing() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.9/24");
        cable.near().add_address("2001:db8::9/64");
        // Longer than the default of 2 s: how fast this machine is shall not matter.
        let served =
            ServedHost::start_with(&universe, |settings| settings.config("[interfaces]\ngrace-ms = 15000\n"))
                .await;
        let (v4, v6) = (served.pvd(LEASED).await, served.pvd("implicit:eth1:ipv6").await);
        let mut signals = Signals::of(&served.connection);
        signals
            .add_match("type='signal',sender='org.ietf.Mif1',interface='org.freedesktop.DBus.ObjectManager'")
            .await;

        cable.pull().await;
        let state = |wanted: InterfaceState| {
            served.until("the state of eth1", move |state| {
                let mut links = state.interfaces.iter();
                links.find(|link| link.name == "eth1" && link.state == wanted).map(|link| link.pvds.len())
            })
        };
        assert_eq!(state(InterfaceState::Down).await, 2);
        let request = ConnectRequest::new("192.0.2.1".parse().unwrap(), 7);
        let refused = mif::connect_to_address(&served.connection, &v4.path, &request).await;
        assert_eq!(refusal(refused).0, ErrorKind::NetworkUnreachable);

        cable.plug(&[]).await;
        assert_eq!(state(InterfaceState::Up).await, 2);
        assert_eq!(served.pvd(LEASED).await.path, v4.path);
        assert_eq!(served.pvd("implicit:eth1:ipv6").await.path, v6.path);
        let told: Vec<String> = signals.drain().iter().map(describe).collect();
        assert!(told.is_empty(), "{told:?}");
    });
}

#[test]
fn a_cable_that_is_gone_for_two_seconds_ends_its_pvds() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.9/24");
        let served = ServedHost::start(&universe).await;
        let former = served.pvd(LEASED).await;
        cable.pull().await;
        let pulled = Instant::now();
        served.only_pvds(&[]).await;
        let after = pulled.elapsed();
        assert!(after > Duration::from_millis(1_800), "gone after {after:?}");
        // The kernel still has the address. When the cable is back it is another PvD: it may lead elsewhere.
        cable.plug(&[]).await;
        let new = served.pvd(LEASED).await;
        assert_eq!(new.interface, former.interface);
        assert_ne!(new.path, former.path);
    });
}

#[test]
fn the_defaults_are_the_pvds_of_the_best_default_routes() {
    universe::run(async |universe| {
        let (host, first) = (universe.host(), cable_to_router(&universe).await);
        let other = universe.node("other");
        let second = Cable::between(host.end("eth2"), other.end("lan")).await;
        for (cable, n) in [(&first, 1), (&second, 2)] {
            cable.near().add_address(&format!("10.{n}.0.2/24"));
            cable.near().add_address(&format!("2001:db8:{n}::2/64"));
        }
        let served = ServedHost::start(&universe).await;
        let defaults = async |wanted: &[&str]| {
            served
                .until(&format!("the defaults {wanted:?}"), |state| {
                    let mut ids: Vec<&str> =
                        state.pvds().filter(|pvd| state.is_default(pvd)).map(|pvd| &*pvd.id).collect();
                    ids.sort_unstable();
                    (ids == wanted && state.default_pvds.len() == wanted.len()).then_some(())
                })
                .await;
        };
        served.pvd("implicit:eth2:ipv6").await;
        defaults(&[]).await;
        host.ip("route add default via 10.1.0.1 dev eth1 metric 100");
        defaults(&["implicit:eth1:ipv4"]).await;
        host.ip("route add default via 10.2.0.1 dev eth2 metric 50");
        defaults(&["implicit:eth2:ipv4"]).await;
        host.ip("-6 route add default via 2001:db8:1::1 dev eth1 metric 70");
        defaults(&["implicit:eth1:ipv6", "implicit:eth2:ipv4"]).await;
        host.ip("-6 route add default via 2001:db8:2::1 dev eth2 metric 60");
        defaults(&["implicit:eth2:ipv4", "implicit:eth2:ipv6"]).await;
        // A route of another table is no default route.
        host.ip("route add default via 10.1.0.1 dev eth1 metric 1 table 77");
        host.ip("-6 route del default dev eth2");
        defaults(&["implicit:eth1:ipv6", "implicit:eth2:ipv4"]).await;
        host.ip("link set eth2 down");
        defaults(&["implicit:eth1:ipv4", "implicit:eth1:ipv6"]).await;
    });
}

#[test]
fn pvds_are_found_by_id_and_by_address() {
    universe::run(async |universe| {
        let (host, cable) = (universe.host(), cable_to_router(&universe).await);
        host.ip("link add vpn0 type vxlan id 7 dstport 4789");
        host.ip("link set vpn0 up");
        host.ip("address add 192.0.2.9/32 dev vpn0");
        cable.near().add_address("192.0.2.9/24");
        cable.near().add_address("2001:db8::9/64");
        let served = ServedHost::start(&universe).await;
        let (on_cable, on_tunnel) = (served.pvd(LEASED).await, served.pvd("implicit:vpn0:ipv4").await);
        let ipv6 = served.pvd("implicit:eth1:ipv6").await;
        let found = async |method: &str, argument: &str| -> Vec<String> {
            let found = busctl_call(ROOT, "org.ietf.Mif1.Manager", method, &["s", argument]).await;
            let mut found: Vec<String> = serde_json::from_value(found).unwrap();
            found.sort();
            found
        };
        let paths = |pvds: &[&ProvisioningDomain]| {
            let mut paths: Vec<String> = pvds.iter().map(|pvd| pvd.path.to_string()).collect();
            paths.sort();
            paths
        };
        assert_eq!(found("GetProvisioningDomainsById", LEASED).await, paths(&[&on_cable]));
        assert!(found("GetProvisioningDomainsById", "implicit:eth9:ipv4").await.is_empty());
        assert!(found("GetProvisioningDomainsById", "isp.example").await.is_empty());
        let by_address = "GetProvisioningDomainsByAddress";
        assert_eq!(found(by_address, "192.0.2.9").await, paths(&[&on_cable, &on_tunnel]));
        // Any spelling of the address will do.
        assert_eq!(found(by_address, "2001:DB8:0:0::9").await, paths(&[&ipv6]));
        assert!(found(by_address, "192.0.2.1").await.is_empty());
    });
}
