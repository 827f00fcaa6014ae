//! Every list that a network peer can grow ends somewhere, with one notice a link and kind; and what is in use
//! is never driven out by what is not. Ten thousand links go through, and a change costs one of them.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::at;
use crate::common::event::{ETH0, ETH1, STATIC, address, gone, route, up};
use crate::common::host::{Host, SETTINGS};
use crate::common::lease::lease;
use crate::common::told::{dhcpv6, set as set_by};
use crate::common::{events, ip};
use mif_core::configuration::Element;
use mif_core::engine::{Engine, Notice};
use mif_core::event::{Event, Ifindex, SettingsManager};
use mif_core::facts::Overflow;
use mif_core::limits;
use mif_core::snapshot::Snapshot;
use std::sync::Arc;

const FLOOD: usize = 1000;

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(ETH1)]);
    host
}

fn router(number: usize) -> String {
    format!("fe80::bad:{number:x}")
}

fn notice(ifindex: Ifindex, overflow: Overflow) -> Notice {
    Notice { ifindex, overflow }
}

#[test]
fn a_flood_of_routers_ends_at_the_cap() {
    let mut host = host();
    host.see((0..FLOOD).map(|number| advertisement(ETH0, &router(number))));
    assert_eq!(host.interface("eth0").pvds.len(), limits::ROUTERS_PER_INTERFACE);
    assert_eq!(host.last().notices, [notice(ETH0, Overflow::Routers)]);
    host.see((0..FLOOD).map(|number| advertisement(ETH0, &router(FLOOD + number))));
    assert_eq!(host.last().notices, [], "said once");
    host.see((0..FLOOD).map(|number| advertisement(ETH1, &router(number))));
    assert_eq!(host.last().notices, [notice(ETH1, Overflow::Routers)], "each link for itself");
}

#[test]
fn the_places_of_those_without_a_router_are_kept() {
    let mut host = host();
    host.see((0..FLOOD).map(|number| advertisement(ETH0, &router(number))));
    host.see([address(ETH0, "192.0.2.5/24"), address(ETH0, "2001:db8:5::5/64")]);
    assert_eq!(host.interface("eth0").pvds.len(), limits::PVDS_PER_INTERFACE);
    assert_eq!(host.pvd("implicit:eth0:ipv4").addresses.len(), 1);
    assert_eq!(host.pvd("implicit:eth0:ipv6").addresses.len(), 1);
}

#[test]
fn a_router_in_use_is_neither_driven_out_nor_kept_out() {
    let used = |number: u8| {
        advertisement(ETH0, &format!("fe80::{number}")).prefix(&format!("2001:db8:{number}::/64"), 7200, 3600)
    };
    let mut host = host();
    host.see([used(1)]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see((0..FLOOD).map(|number| advertisement(ETH0, &router(number))));
    assert_eq!(host.addresses("implicit:eth0:ipv6:fe80::1").len(), 1);
    host.see([address(ETH0, "2001:db8:2::5/64").autoconfigured()]);
    host.see([used(2)]);
    assert_eq!(host.addresses("implicit:eth0:ipv6:fe80::2").len(), 1);
    assert_eq!(host.addresses("implicit:eth0:ipv6:fe80::1").len(), 1);
    assert_eq!(host.snapshot().pvds().count(), limits::ROUTERS_PER_INTERFACE);
}

#[test]
fn a_flood_of_options_ends_at_the_caps() {
    let mut host = host();
    let flood = |number: usize| -> AdvertisementWords {
        advertisement(ETH0, "fe80::1")
            .prefix(&format!("2001:db8:{number:x}::/64"), 7200, 3600)
            .route(&format!("2001:db9:{number:x}::/48"), 600)
            .dns(&format!("2001:db8::{number:x}"), 900)
            .search(&format!("flood{number}.test"), 900)
    };
    host.see((0..FLOOD).map(flood));
    let gave = host.gave("implicit:eth0:ipv6:fe80::1", Element::Ra);
    assert_eq!(gave.prefixes.len(), limits::PREFIXES_PER_ROUTER);
    assert_eq!(gave.routes.len(), limits::ROUTES_PER_ROUTER + 1, "and the default route");
    assert_eq!(gave.dns_servers.len(), limits::SERVERS_PER_PVD);
    assert_eq!(gave.search_domains.len(), limits::DOMAINS_PER_PVD);
    assert_eq!(host.last().notices, [notice(ETH0, Overflow::RouterOptions)]);
    // What is known already is refreshed all the same, and what is withdrawn makes room.
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::0", 0), flood(999)]);
    let servers = &host.gave("implicit:eth0:ipv6:fe80::1", Element::Ra).dns_servers;
    assert_eq!(servers.last(), Some(&crate::common::ip("2001:db8::3e7")));
}

#[test]
fn a_flood_of_addresses_ends_at_the_caps() {
    let mut host = host();
    host.see((0..FLOOD).map(|number| address(ETH0, &format!("10.0.{}.{}/8", number / 250, number % 250))));
    assert_eq!(host.pvd("implicit:eth0:ipv4").addresses.len(), limits::ADDRESSES_PER_PVD);
    let known = host.engine().facts().link(ETH0).map(|facts| facts.addresses().count());
    assert_eq!(known, Some(limits::ADDRESSES_PER_INTERFACE));
    assert_eq!(host.last().notices, [notice(ETH0, Overflow::Addresses)]);
}

#[test]
fn a_lease_that_goes_on_and_on_is_cut() {
    let mut host = host();
    let expires = host.within(3600);
    let longest = (0..FLOOD).fold(lease(ETH0, "192.0.2.5/24", expires), |words, number| {
        let (high, low) = (number / 250, number % 250);
        words
            .dns(&format!("10.0.{high}.{low}"))
            .ntp(&format!("10.1.{high}.{low}"))
            .route(&format!("10.{high}.{low}.0/24"), "192.0.2.1")
            .router(&format!("10.2.{high}.{low}"))
    });
    host.see([longest]);
    let gave = host.gave("implicit:eth0:ipv4", Element::Dhcpv4);
    assert_eq!(gave.dns_servers.len(), limits::SERVERS_PER_PVD);
    assert_eq!(gave.ntp_servers.len(), limits::SERVERS_PER_PVD);
    assert_eq!(gave.routers.len(), limits::ROUTERS_PER_PVD);
    assert_eq!(gave.routes.len(), limits::ROUTES_PER_INTERFACE);
}

/// Each element has as many as there may be; together they have no more.
#[test]
fn what_is_used_of_several_elements_is_cut_as_each_of_them_is() {
    let mut host = host();
    let server = |of: &str, number: usize| format!("2001:db8:{of}::{number:x}");
    let all = |of: &'static str| (0..limits::SERVERS_PER_PVD).map(move |number| server(of, number));
    let domains =
        |of: &'static str| (0..limits::DOMAINS_PER_PVD).map(move |number| format!("{of}{number}.test"));
    let words = all("a").fold(advertisement(ETH0, "fe80::1").other(), |words, dns| words.dns(&dns, 900));
    let words = domains("a").fold(words, |words, domain| words.search(&domain, 900));
    let given = all("b").fold(dhcpv6(ETH0), |words, dns| words.dns(&dns));
    let set: Vec<String> = all("c").chain(domains("c")).collect();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    host.see(events![words, given, set_by(ETH0, SettingsManager::NetworkManager, &set)]);

    let id = "implicit:eth0:ipv6:fe80::1";
    assert_eq!(host.elements(id), ["ra", "dhcpv6", "static"]);
    for element in [Element::Ra, Element::Dhcpv6, Element::Static] {
        assert_eq!(host.gave(id, element).dns_servers.len(), limits::SERVERS_PER_PVD);
    }
    let used = &host.pvd(id).used;
    assert_eq!(used.dns_servers, host.gave(id, Element::Ra).dns_servers);
    assert_eq!(used.search_domains, host.gave(id, Element::Ra).search_domains);
    assert_eq!(host.last().notices, [notice(ETH0, Overflow::Configuration)]);
    // Half of the first makes room for half of the second.
    let words =
        all("a").take(16).fold(advertisement(ETH0, "fe80::1").other(), |words, dns| words.dns(&dns, 0));
    host.see([words]);
    let used: Vec<String> = host.pvd(id).used.dns_servers.iter().map(ToString::to_string).collect();
    let expected: Vec<String> =
        all("a").skip(16).chain(all("b").take(16)).map(|it| ip(&it).to_string()).collect();
    assert_eq!(used, expected);
    assert_eq!(host.last().notices, [], "said once");
}

#[test]
fn usable_addresses_come_before_tentative_ones() {
    let mut host = host();
    let tentative = (0..100).map(|number| address(ETH0, &format!("2001:db8:5::{number:x}/64")).tentative());
    host.see(tentative.chain([address(ETH0, "2001:db8:5::ffff/64")]));
    let pvd = host.pvd("implicit:eth0:ipv6");
    assert_eq!(pvd.addresses.len(), limits::ADDRESSES_PER_PVD);
    assert_eq!(pvd.usable_addresses().count(), 1);
}

#[test]
fn a_flood_of_routes_ends_at_the_cap_and_never_keeps_a_default_route_out() {
    let mut host = host();
    host.see([address(ETH0, "192.0.2.5/24")]);
    let flood = |number: usize| route(ETH0, &format!("10.{}.{}.0/24", number / 250, number % 250));
    host.see((0..FLOOD).map(flood));
    let routes = |host: &Host| host.gave("implicit:eth0:ipv4", Element::Static).routes.len();
    assert_eq!(routes(&host), limits::ROUTES_PER_INTERFACE);
    assert_eq!(host.last().notices, [notice(ETH0, Overflow::Routes)]);
    host.see([route(ETH0, "0.0.0.0/0").via("192.0.2.1").protocol(STATIC)]);
    assert_eq!(host.defaults(), ["implicit:eth0:ipv4"]);
    assert_eq!(routes(&host), limits::ROUTES_PER_INTERFACE);
    host.see((0..FLOOD as u32).map(|metric| route(ETH0, "0.0.0.0/0").via("192.0.2.1").metric(metric)));
    let known = host.engine().facts().link(ETH0).map(|facts| facts.routes().count());
    assert_eq!(known, Some(limits::ROUTES_PER_INTERFACE));
}

#[test]
fn a_link_that_comes_back_is_noticed_anew() {
    let mut host = host();
    let flood = || (0..FLOOD).map(|number| Event::from(advertisement(ETH0, &router(number))));
    host.see(flood());
    host.see([gone(ETH0), up(ETH0)].into_iter().chain(flood()));
    assert_eq!(host.last().notices, [notice(ETH0, Overflow::Routers)]);
}

#[test]
fn a_flood_of_links_ends_at_the_cap() {
    let mut engine = Engine::new(SETTINGS);
    let links = limits::INTERFACES as Ifindex;
    for ifindex in 1..=links + 100 {
        engine.handle_event(at(1), up(ifindex));
    }
    engine.handle_event(at(1), Event::ResyncEnd);
    let batch = engine.commit(at(1));
    assert_eq!(batch.snapshot.interfaces().count(), limits::INTERFACES);
    assert_eq!(batch.notices, [notice(0, Overflow::Interfaces)]);
}

#[test]
fn provisioning_domains_end_at_the_cap_of_objects_and_come_when_there_is_room() {
    let mut engine = Engine::new(SETTINGS);
    // The first number is the loopback device's.
    let links = 2..=(limits::PVDS / limits::ROUTERS_PER_INTERFACE + 3) as Ifindex;
    for ifindex in links.clone() {
        engine.handle_event(at(1), up(ifindex));
        for number in 0..limits::ROUTERS_PER_INTERFACE {
            engine.handle_event(at(1), advertisement(ifindex, &router(number)).into());
        }
    }
    engine.handle_event(at(1), Event::ResyncEnd);
    let batch = engine.commit(at(1));
    assert_eq!(batch.snapshot.pvds().count(), limits::PVDS);
    assert!(batch.snapshot.len() <= limits::OBJECTS);
    assert_eq!(batch.notices, [notice(0, Overflow::Pvds)]);
    let last = |snapshot: &Snapshot| snapshot.interface_by_index(*links.end()).map(|link| link.pvds.len());
    assert_eq!(last(&batch.snapshot), Some(0));

    engine.handle_event(at(2), gone(2));
    engine.handle_event(at(2), gone(3));
    let batch = engine.commit(at(2));
    assert_eq!(batch.snapshot.pvds().count(), (links.clone().count() - 2) * limits::ROUTERS_PER_INTERFACE);
    assert_eq!(last(&batch.snapshot), Some(limits::ROUTERS_PER_INTERFACE));
    assert_eq!(batch.notices, [], "said once");
}

#[test]
fn a_change_of_one_link_leaves_ten_thousand_others_untouched() {
    const LINKS: Ifindex = 10_000;
    let mut engine = Engine::new(SETTINGS);
    let (now, later) = (at(1000), at(1001));
    for ifindex in 1..=LINKS {
        let (high, low) = (ifindex / 250, ifindex % 250);
        engine.handle_event(now, up(ifindex + 100));
        engine.handle_event(now, address(ifindex + 100, &format!("10.{high}.{low}.5/24")).into());
        engine.handle_event(now, address(ifindex + 100, &format!("2001:db8:{ifindex:x}::5/64")).into());
    }
    engine.handle_event(now, Event::ResyncEnd);
    let before = engine.commit(now).snapshot;
    assert_eq!(before.len(), 3 * LINKS as usize);

    engine.handle_event(later, address(4100, "192.0.2.1/24").into());
    let batch = engine.commit(later);
    assert_eq!(batch.changes.len(), 1);
    let same_pvd = |(old, new): &(&Arc<_>, &Arc<_>)| !Arc::ptr_eq(old, new);
    let changed: Vec<&str> =
        before.pvds().zip(batch.snapshot.pvds()).filter(same_pvd).map(|(_, new)| new.id.as_str()).collect();
    assert_eq!(changed, ["implicit:veth4100:ipv4"]);
    let same_link = |(old, new): &(&Arc<_>, &Arc<_>)| !Arc::ptr_eq(old, new);
    assert_eq!(before.interfaces().zip(batch.snapshot.interfaces()).filter(same_link).count(), 0);
}
