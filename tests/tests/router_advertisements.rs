//! Provisioning domains that Router Advertisements make: what they hold, how they age, and what they wait for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mif::wire::{AddressState, Deadline, Element};
use mif::{Message, ProvisioningDomain, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Radvd};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, next};
use mif_tests::served_state::{ROOT, busctl_call};
use mif_tests::signals::{Signals, describe};
use mif_tests::topology::OneLinkTwoRouters;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use serde_json::{Value, json};

/// The PvD of the router of [`cable_to_router`].
const ROUTER: &str = "implicit:eth1:ipv6:fe80::ff:fe00:1";

/// A cable from `eth1` of the host to `lan` of a node called `router`, whose address is fe80::ff:fe00:1.
async fn cable_to_router(universe: &Universe) -> Cable {
    let router = universe.node("router");
    let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
    Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await
}

fn addresses(pvd: &ProvisioningDomain) -> Vec<String> {
    pvd.addresses.iter().map(|address| address.address.to_string()).collect()
}

/// Seconds from now until a deadline.
fn seconds_until(deadline: &Value) -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let now: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(deadline["type"], "t");
    deadline["data"].as_u64().unwrap() as f64 / 1e6 - now
}

/// What radvd advertises is there, whoever made the address from it.
async fn radvd_is_heard(universe: Universe, with_dhcpcd: bool) {
    let cable = cable_to_router(&universe).await;
    Radvd::on(cable.far().node(), "lan")
        .line("AdvLinkMTU 1400; AdvDefaultPreference high; AdvDefaultLifetime 1200;")
        .line("prefix 2001:db8:1::/64 { AdvValidLifetime 3000; AdvPreferredLifetime 2000; };")
        .line("prefix 2001:db8:2::/48 { AdvOnLink off; AdvAutonomous off; };")
        .line("route 2001:db8:9::/48 { AdvRoutePreference low; AdvRouteLifetime 700; };")
        .dns_servers(&["2001:db8::53", "2001:db8::54"])
        .search_domains(&["a.test", "b.test"])
        .start()
        .await;
    let served = ServedHost::start(&universe).await;
    if with_dhcpcd {
        Dhcpcd::on(cable.near()).start().await;
    }
    let pvd = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
    assert_eq!(pvd.elements, [Element::Ra]);
    let own = "2001:db8:1:0:0:ff:fe00:9".parse::<IpAddr>().unwrap();
    let address = &pvd.addresses[0];
    assert_eq!((address.address, address.prefix_length, pvd.addresses.len()), (own, 64, 1));
    assert_eq!((&address.state, &address.element), (&AddressState::Preferred, &Some(Element::Ra)));
    assert!(matches!(address.valid_until, Deadline::At(_)), "{address:?}");
    assert_eq!(pvd.routers, ["fe80::ff:fe00:1".parse::<IpAddr>().unwrap()]);

    let data = served.configuration(&pvd, "ra").await;
    let words = |data: &Value| data.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(words(&data), words(&served.configuration(&pvd, "any").await));
    assert_eq!(words(&data), ["dns-servers", "mtu", "prefixes", "routers", "routes", "search-domains"]);
    let strings = |items: &[&str]| json!({"type": "as", "data": items});
    assert_eq!(data["dns-servers"], strings(&["2001:db8::53", "2001:db8::54"]));
    assert_eq!(data["search-domains"], strings(&["a.test", "b.test"]));
    assert_eq!(data["routers"], strings(&["fe80::ff:fe00:1"]));
    assert_eq!(data["mtu"], json!({"type": "u", "data": 1400}));
    // Deadlines of the last advertisement, which is a few seconds old at most.
    let is_about = |deadline: &Value, lifetime: f64| {
        let left = seconds_until(deadline);
        assert!((lifetime - 15.0..=lifetime).contains(&left), "{left} s are left of {lifetime}");
    };
    let routes = data["routes"]["data"].as_array().unwrap();
    assert_eq!(routes.len(), 2, "{routes:?}");
    for (destination, preference, lifetime) in [("::/0", "high", 1200.0), ("2001:db8:9::/48", "low", 700.0)] {
        let found = routes.iter().find(|route| route["destination"]["data"] == destination).unwrap();
        assert_eq!(found["gateway"]["data"], "fe80::ff:fe00:1", "{found}");
        assert_eq!(found["preference"]["data"], preference, "{found}");
        is_about(&found["valid-until"], lifetime);
    }
    let prefixes = data["prefixes"]["data"].as_array().unwrap();
    assert_eq!(prefixes.len(), 2, "{prefixes:?}");
    let found = |prefix: &str| prefixes.iter().find(|found| found["prefix"]["data"] == prefix).unwrap();
    let flags = |prefix: &str| {
        (found(prefix)["on-link"]["data"] == true, found(prefix)["autonomous"]["data"] == true)
    };
    assert_eq!(flags("2001:db8:1::/64"), (true, true));
    assert_eq!(flags("2001:db8:2::/48"), (false, false));
    is_about(&found("2001:db8:1::/64")["valid-until"], 3000.0);
    is_about(&found("2001:db8:1::/64")["preferred-until"], 2000.0);
    served.only_pvds(&[ROUTER]).await;
}

#[test]
fn radvd_is_heard_where_the_kernel_makes_addresses() {
    universe::run(async |universe| radvd_is_heard(universe, false).await);
}

#[test]
fn radvd_is_heard_where_dhcpcd_makes_addresses() {
    universe::run(async |universe| radvd_is_heard(universe, true).await);
}

#[test]
fn what_is_advertised_goes_when_its_lifetime_ends() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let sender = RawSender::on(cable.far());
        let advertisement = RouterAdvertisement::new(1)
            .prefix("2001:db8:1::", 64, 4, 2)
            .dns_servers(3, &["2001:db8::53"])
            .search_domains(600, &["a.test"]);
        sender.send(advertisement.bytes());
        let sent = Instant::now();
        let first = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!((first.routers.len(), first.dns_servers.len()), (1, 1), "{first:?}");

        let not_before = |seconds: u64| {
            let after = sent.elapsed();
            assert!(
                after + Duration::from_millis(50) > Duration::from_secs(seconds),
                "already after {after:?}"
            );
        };
        let unrouted = served.pvd_where(ROUTER, |pvd| pvd.routers.is_empty()).await;
        not_before(1);
        let deprecated = |pvd: &ProvisioningDomain| {
            pvd.addresses.iter().any(|address| address.state == AddressState::Deprecated)
        };
        let still = served.pvd_where(ROUTER, deprecated).await;
        not_before(2);
        let without_dns = served.pvd_where(ROUTER, |pvd| pvd.dns_servers.is_empty()).await;
        not_before(3);
        let left = served.pvd_where(ROUTER, |pvd| pvd.addresses.is_empty()).await;
        not_before(4);
        assert_eq!(left.search_domains, ["a.test"]);
        for pvd in [&unrouted, &still, &without_dns, &left] {
            assert_eq!(pvd.path, first.path);
        }
        // Each of them was a change of a value but the addresses, which are none.
        assert!(without_dns.configuration_revision >= first.configuration_revision + 2, "{without_dns:?}");
    });
}

#[test]
fn a_router_takes_back_what_it_advertised() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let sender = RawSender::on(cable.far());
        let advertisement =
            |lifetime: u16| RouterAdvertisement::new(lifetime).prefix("2001:db8:1::", 64, 3000, 2000);
        sender.send(advertisement(1800).dns_servers(600, &["2001:db8::53", "2001:db8::54"]).bytes());
        let first = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "watch").await.unwrap();
        assert_eq!(subscriber.announce_addresses(&first.path).await.unwrap(), 1);
        assert!(matches!(next(&mut messages).await, Message::AddressAnnouncement { .. }));

        // No default router any more; what it said of the link holds.
        sender.send(advertisement(0).bytes());
        let unrouted = served.pvd_where(ROUTER, |pvd| pvd.routers.is_empty()).await;
        assert_eq!((&unrouted.path, unrouted.dns_servers.len()), (&first.path, 2));
        assert_eq!(unrouted.configuration_revision, first.configuration_revision + 1);
        // One DNS server of two is withdrawn by a lifetime of 0, not by being left out.
        sender.send(advertisement(0).dns_servers(0, &["2001:db8::53"]).bytes());
        let one_server = served.pvd_where(ROUTER, |pvd| pvd.dns_servers.len() == 1).await;
        assert_eq!(one_server.dns_servers[0].to_string(), "2001:db8::54");
        assert_eq!(one_server.configuration_revision, first.configuration_revision + 2);

        // The prefix is deprecated, and preferred again: a known address is announced again for that.
        let own = first.addresses[0].address;
        sender.send(RouterAdvertisement::new(0).prefix("2001:db8:1::", 64, 3000, 0).bytes());
        while preferred_for(&next(&mut messages).await, own) > 0.02 {}
        let state = async |wanted: AddressState| {
            served.pvd_where(ROUTER, |pvd| pvd.addresses[0].state == wanted).await;
        };
        state(AddressState::Deprecated).await;
        sender.send(advertisement(0).bytes());
        while preferred_for(&next(&mut messages).await, own) < 1900.0 {}
        state(AddressState::Preferred).await;
    });
}

/// The kernel keeps an address whose prefix is withdrawn for two hours, or as long as it had left (RFC 4862 5.5.3 e).
#[test]
fn a_withdrawn_prefix_leaves_its_address_where_it_was() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let sender = RawSender::on(cable.far());
        sender.send(RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000).bytes());
        let first = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let mut signals = Signals::of(&served.connection);
        signals.add_match("type='signal',sender='org.ietf.Mif1'").await;

        // The PvD lasts as long as its server, which outlasts the four seconds for which an address waits for an
        // explanation.
        let over = RouterAdvertisement::new(0).prefix("2001:db8:1::", 64, 0, 0);
        sender.send(over.dns_servers(6, &["2001:db8::53"]).bytes());
        let left = served.pvd_where(ROUTER, |pvd| !pvd.dns_servers.is_empty()).await;
        assert_eq!((&left.path, addresses(&left)), (&first.path, addresses(&first)));
        let deprecated =
            served.pvd_where(ROUTER, |pvd| pvd.addresses[0].state == AddressState::Deprecated).await;
        assert!(!served.configuration(&deprecated, "ra").await.as_object().unwrap().contains_key("prefixes"));
        served.only_pvds(&[]).await;
        let kept = universe.host().ip("address show dev eth1 scope global");
        assert!(kept.contains(&format!("{}/64", addresses(&left)[0])), "{kept}");

        sender.send(RouterAdvertisement::new(1800).bytes());
        let back = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!(addresses(&back), addresses(&first));
        let elsewhere = |message: &zbus::Message| describe(message).contains("\"implicit:eth1:ipv6\"");
        assert!(!signals.drain().iter().any(elsewhere), "it was in another one for a moment");
    });
}

/// For how many seconds more an announced address is preferred. It may be announced for its new deadline first
/// and for its new state a moment later, when the kernel has noticed.
fn preferred_for(message: &Message, of: IpAddr) -> f64 {
    let Message::AddressAnnouncement { address, preferred_until: Deadline::At(until), .. } = message else {
        panic!("{message:?}")
    };
    assert_eq!(*address, of);
    seconds_until(&json!({"type": "t", "data": until.as_micros() as u64}))
}

/// No test can have the machine sleep; that the end is waited for by the clock that goes on meanwhile can be seen.
#[test]
fn ends_are_waited_for_on_the_clock_that_goes_on_while_the_machine_sleeps() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let advertisement = RouterAdvertisement::new(900).prefix("2001:db8:1::", 64, 900, 900);
        RawSender::on(cable.far()).send(advertisement.bytes());
        served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let descriptors = format!("/proc/{}/fdinfo", served.mifd.process().pid());
        eventually("an alarm of CLOCK_BOOTTIME for the end of the advertisement", async || {
            let alarms: Vec<String> = std::fs::read_dir(&descriptors)
                .unwrap()
                .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
                .filter(|descriptor| descriptor.contains("clockid: 7\n"))
                .collect();
            let left = |alarm: &String| -> Option<u64> {
                let value = alarm.split_once("it_value: (")?.1;
                value.split_once(',')?.0.parse().ok()
            };
            let rings = alarms.iter().filter_map(left).any(|left| (800..=900).contains(&left));
            if rings { Ok(()) } else { Err(format!("{alarms:?}")) }
        })
        .await;
    });
}

#[test]
fn the_same_advertisement_again_is_no_news() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let sender = RawSender::on(cable.far());
        let advertisement = || {
            let plain = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
            plain.dns_servers(600, &["2001:db8::53"]).route("2001:db8:9::", 48, 8, 700)
        };
        sender.send(advertisement().bytes());
        let first = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let mut signals = Signals::of(&served.connection);
        signals.add_match(&format!("type='signal',sender='org.ietf.Mif1',path='{}'", first.path)).await;
        // What was held back of the first changes comes with this one at the latest.
        sender.send(advertisement().dns_servers(600, &["2001:db8::54"]).bytes());
        signals
            .until("another server", |message| describe(message).contains("2001:db8::54").then_some(()))
            .await;
        let second = served.pvd(ROUTER).await;
        let valid_until = |pvd: &ProvisioningDomain| pvd.addresses[0].valid_until;
        for _ in 0..5 {
            let before = valid_until(&served.pvd(ROUTER).await);
            sender.send(advertisement().bytes());
            // The lifetimes are the kernel's, and those move on.
            served.pvd_where(ROUTER, |pvd| valid_until(pvd) > before).await;
        }
        // What does change is the next that is heard of, and the only thing.
        sender.send(advertisement().search_domains(600, &["a.test"]).bytes());
        let told = describe(&signals.next("the search domain").await);
        assert!(told.contains("SearchDomains") && !told.contains("DnsServers"), "{told}");
        let changed = served.pvd_where(ROUTER, |pvd| !pvd.search_domains.is_empty()).await;
        assert_eq!(changed.configuration_revision, second.configuration_revision + 1);
    });
}

#[test]
fn two_routers_on_one_link_are_two_pvds() {
    universe::run(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let served = ServedHost::start(&universe).await;
        let ids =
            network.routers.each_ref().map(|router| format!("implicit:eth1:ipv6:{}", router.link_local()));
        for (id, number) in ids.iter().zip(1..) {
            let pvd = served.pvd_where(id, |pvd| !pvd.addresses.is_empty()).await;
            let own = addresses(&pvd);
            assert!(own.len() == 1 && own[0].starts_with(&format!("2001:db8:{number}:")), "{own:?}");
            assert_eq!(pvd.routers.len(), 1);
            let found = busctl_call(
                ROOT,
                "org.ietf.Mif1.Manager",
                "GetProvisioningDomainsByAddress",
                &["s", &own[0]],
            )
            .await;
            assert_eq!(found, json!([pvd.path.as_str()]));
        }
        served.only_pvds(&[&ids[0], &ids[1]]).await;
    });
}

#[test]
fn a_prefix_of_two_routers_is_in_the_pvds_of_both() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let advertisement = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
        RawSender::on(cable.far()).send(advertisement.bytes());
        RawSender::on(cable.far()).source("fe80::2").send(advertisement.bytes());
        let first = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let second = served.pvd_where("implicit:eth1:ipv6:fe80::2", |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!(addresses(&first), addresses(&second));
        let own = &addresses(&first)[0];
        let found =
            busctl_call(ROOT, "org.ietf.Mif1.Manager", "GetProvisioningDomainsByAddress", &["s", own]).await;
        assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    });
}

#[test]
fn an_address_is_announced_when_its_detection_of_duplicates_is_over() {
    universe::run(async |universe| {
        let router = universe.node("router");
        let near = universe.host().end("eth1").duplicate_address_detection();
        let cable = Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await;
        cable.far().add_address("2001:db8:1::bad/64");
        let served = ServedHost::start(&universe).await;
        let prefix = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
        RawSender::on(cable.far()).send(prefix.bytes());
        let pvd = served.pvd(ROUTER).await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "watch").await.unwrap();
        assert_eq!(subscriber.announce_addresses(&pvd.path).await.unwrap(), 0);

        // The kernel tells of the address that it makes itself once that is usable, and of one set by hand at once.
        cable.near().add_address("2001:db8:1::5/64");
        let state = |address: &'static str, wanted: AddressState| {
            served.pvd_where(ROUTER, move |pvd| {
                let mut found = pvd.addresses.iter().filter(|found| found.address.to_string() == address);
                found.any(|found| found.state == wanted)
            })
        };
        state("2001:db8:1::5", AddressState::Tentative).await;
        assert!(messages.get().is_none(), "a tentative address is announced");
        let mut announced = BTreeSet::new();
        while announced.len() < 2 {
            let message = next(&mut messages).await;
            let Message::AddressAnnouncement { address, .. } = message else { panic!("{message:?}") };
            let usable = served.pvd(ROUTER).await;
            let found = usable.addresses.iter().find(|found| found.address == address).unwrap();
            assert_eq!(found.state, AddressState::Preferred);
            announced.insert(address);
        }
        assert!(announced.contains(&"2001:db8:1::5".parse().unwrap()), "{announced:?}");

        // The router has this one: it never becomes usable here, and is never announced.
        // Asked several times, so that a busy machine does not miss the answer.
        universe.host().set("net/ipv6/conf/eth1/dad_transmits", "5");
        cable.near().add_address("2001:db8:1::bad/64");
        eventually("the kernel to find the duplicate", async || {
            let link = cable.near().look()?;
            let mut infos = link["addr_info"].as_array().unwrap().iter();
            let failed = infos.any(|info| info["local"] == "2001:db8:1::bad" && info["dadfailed"] == true);
            if failed { Ok(()) } else { Err(link.to_string()) }
        })
        .await;
        state("2001:db8:1::bad", AddressState::Tentative).await;
        universe.host().ip("address add 2001:db8:1::900d/64 dev eth1 nodad");
        let message = next(&mut messages).await;
        let Message::AddressAnnouncement { address, .. } = message else { panic!("{message:?}") };
        assert_eq!(address.to_string(), "2001:db8:1::900d");
    });
}

/// An address that the kernel made from an advertisement before the service started.
async fn address_from_before(cable: &Cable) -> String {
    let advertisement = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
    RawSender::on(cable.far()).send(advertisement.bytes());
    cable.near().wait_for_address("2001:db8:1:").await
}

#[test]
fn an_address_from_before_the_start_waits_for_its_router() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let address = address_from_before(&cable).await;
        let served = ServedHost::start(&universe).await;
        let state = served.state().await;
        assert!(state.startup && state.pvds().next().is_none(), "{state:?}");
        let mut signals = Signals::of(&served.connection);
        signals.add_match("type='signal',sender='org.ietf.Mif1'").await;

        let answer = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
        RawSender::on(cable.far()).send(answer.bytes());
        let pvd = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!(addresses(&pvd), [address]);
        let told = signals
            .until("the end of Startup", |message| {
                let text = describe(message);
                (text.starts_with("/org/ietf/Mif1 ") && text.contains("\"Startup\"")).then_some(text)
            })
            .await;
        assert!(told.contains("<false>") || told.contains("false"), "{told}");
        assert!(!served.state().await.startup);
        // It never was in a PvD without a router.
        served.only_pvds(&[ROUTER]).await;
    });
}

#[test]
fn an_address_from_before_the_start_waits_four_seconds_at_most() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let address = address_from_before(&cable).await;
        let before = Instant::now();
        let served = ServedHost::start(&universe).await;
        assert!(served.state().await.startup);
        // The router is silent.
        let pvd = served.pvd("implicit:eth1:ipv6").await;
        let after = before.elapsed();
        assert!(after > Duration::from_secs(4), "after {after:?}");
        assert_eq!(addresses(&pvd), [address]);
        served.until("the end of Startup", |state| (!state.startup).then_some(())).await;
    });
}

#[test]
fn without_links_that_are_up_there_is_nothing_to_wait_for_at_the_start() {
    universe::run(async |universe| {
        universe.host().ip("link add idle type bridge");
        let served = ServedHost::start(&universe).await;
        assert!(!served.state().await.startup);
    });
}

#[test]
fn of_many_links_each_is_asked_in_time() {
    const CABLES: usize = 60;
    universe::run(async |universe| {
        let host = universe.host();
        // The kernel asks nobody.
        host.set("net/ipv6/conf/default/accept_ra", "0");
        let asked = "table inet t { set asked { type iface_index; flags dynamic; size 65535; }; \
                     chain c { type filter hook prerouting priority 0; \
                     icmpv6 type nd-router-solicit update @asked { iif }; }; }";
        host.run("nft", [asked]);
        for number in 0..CABLES {
            host.ip(&format!("link add a{number} up type veth peer name b{number}"));
            host.ip(&format!("link set b{number} up"));
        }
        let last = format!("b{}", CABLES - 1);
        eventually("the last link to have an address", async || {
            let shown = host.ip(&format!("-6 address show dev {last} scope link"));
            if shown.contains("fe80::") { Ok(()) } else { Err(shown) }
        })
        .await;

        let before = Instant::now();
        let _served = ServedHost::start(&universe).await;
        eventually("all links to have been asked", async || {
            let set: Value =
                serde_json::from_str(&host.run("nft", ["-j", "list", "set", "inet", "t", "asked"])).unwrap();
            let asked = set["nftables"][1]["set"]["elem"].as_array().map_or(0, Vec::len);
            if asked == 2 * CABLES { Ok(()) } else { Err(format!("{asked} of {}", 2 * CABLES)) }
        })
        .await;
        let after = before.elapsed();
        assert!(after < Duration::from_secs(4), "those not asked at once are asked again after {after:?}");
    });
}
