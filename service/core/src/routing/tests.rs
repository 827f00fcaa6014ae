//! A table is of one provisioning domain, and plans go by it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::tests_support::{prefix, pvd, router};
use super::{Routing, Table};
use crate::BootTime;
use crate::configuration::{AddressFamily, Preference, RouteData};
use crate::event::{LinkKind, LinkState};
use crate::plan::{
    self, ConnectRequest, ExplainRequest, Families, Protocol, Refusal, TranslateRequest, Translation,
    Unreachable,
};
use crate::pvd::{AddressState, Family, Interface, Pvd, Serial};
use crate::snapshot::Snapshot;
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

/// Two provisioning domains on one link, each with a router of its own.
fn shared_link(routing: Routing) -> Snapshot {
    let mut first =
        pvd(Family::Ipv6, &["2001:db8:1::7/64"], &["2001:db8:1::/64"], &[router("::/0", "fe80::1")]);
    let mut second = pvd(Family::Ipv6, &["2001:db8:2::7/64"], &["2001:db8:2::/64"], &[]);
    first.used.dns_servers = vec!["2001:db8:ffff::53".parse().unwrap(), "fe80::53".parse().unwrap()];
    second.used.dns_servers = first.used.dns_servers.clone();
    second.serial = Serial(2);
    second.id = "second.example".to_owned();
    let mut snapshot = Snapshot::default();
    snapshot.set_routing(routing);
    snapshot.put_interface(Arc::new(Interface {
        serial: Serial(1),
        ifindex: 2,
        name: "eth1".to_owned(),
        display_name: "eth1".to_owned(),
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        pvds: vec![Serial(1), Serial(2)],
    }));
    snapshot.put_pvd(Arc::new(first));
    snapshot.put_pvd(Arc::new(second));
    snapshot
}

fn connecting(to: &str) -> ConnectRequest {
    let timeout_ms = plan::CONNECT_TIMEOUT_MS;
    ConnectRequest {
        address: to.parse().unwrap(),
        port: 80,
        source: None,
        timeout_ms,
        protocol: Protocol::Tcp,
    }
}

#[test]
fn with_routing_a_link_may_be_shared_as_long_as_a_route_leads_there() {
    let snapshot = shared_link(Routing::PerPvd);
    let far = connecting("2001:db8:ffff::80");
    let planned = plan::connect(&snapshot, Serial(1), &far).unwrap();
    assert_eq!(planned.sources, ["2001:db8:1::7".parse::<IpAddr>().unwrap()]);
    let refused = plan::connect(&snapshot, Serial(2), &far).unwrap_err();
    let no_route = Unreachable::NoRoute("second.example".to_owned(), far.address);
    assert_eq!(refused, Refusal::NetworkUnreachable(no_route));
    assert_eq!(
        refused.to_string(),
        "second.example has no route to 2001:db8:ffff::80: its network told of no router or prefix that leads there"
    );
    for near in ["2001:db8:2::80", "fe80::80"] {
        assert!(plan::connect(&snapshot, Serial(2), &connecting(near)).is_ok(), "{near}");
    }
    let shared = shared_link(Routing::Shared);
    for serial in [1, 2] {
        let refused = plan::connect(&shared, Serial(serial), &far).unwrap_err();
        assert!(matches!(refused, Refusal::NotSupported(_)), "{refused:?}");
    }
}

#[test]
fn servers_that_no_route_leads_to_are_not_asked() {
    let snapshot = shared_link(Routing::PerPvd);
    let servers = |serial| {
        let request = TranslateRequest {
            name: "www.example".to_owned(),
            families: Families::Any,
            timeout_ms: plan::TRANSLATE_TIMEOUT_MS,
            systems: None,
            available: plan::Systems::ALL,
        };
        match plan::translate(&snapshot, Serial(serial), &request, plan::Encryption::Off).unwrap().translation
        {
            Translation::Lookup(lookup) => lookup
                .dns
                .unwrap()
                .servers
                .iter()
                .map(|server| server.address.ip().to_string())
                .collect::<Vec<_>>(),
            Translation::Literal(address) => panic!("{address} is a literal"),
        }
    };
    assert_eq!(servers(1), ["2001:db8:ffff::53", "fe80::53"]);
    assert_eq!(servers(2), ["fe80::53"]);
}

fn number() -> impl Strategy<Value = u8> {
    1_u8..6
}

prop_compose! {
    /// A provisioning domain whose every address, prefix, router and destination has `own` in it.
    fn of(own: u8)(
        addresses in prop::collection::vec((number(), 0_u8..3), 0..4),
        prefixes in prop::collection::vec((number(), any::<bool>()), 0..4),
        routes in prop::collection::vec((0_u8..4, number(), 0_u8..3, any::<bool>()), 0..8),
        family in prop::sample::select(vec![Family::Ipv4, Family::Ipv6, Family::Dual]),
    ) -> Pvd {
        let mut made = pvd(family, &[], &[], &[]);
        made.ifindex = u32::from(own);
        for (last, state) in addresses {
            for text in [format!("10.{own}.1.{last}/24"), format!("2001:db8:{own}::{last}/64")] {
                let mut address = pvd(family, &[&text], &[], &[]).addresses.remove(0);
                address.state =
                    [AddressState::Tentative, AddressState::Deprecated, AddressState::Preferred][usize::from(state)];
                made.addresses.push(address);
            }
        }
        for (third, on_link) in prefixes {
            for text in [format!("10.{own}.{third}.0/24"), format!("2001:db8:{own}:{third}::/64")] {
                let mut told = pvd(family, &[], &[&text], &[]).used.prefixes.clone();
                told.values_mut().for_each(|data| data.on_link = on_link);
                made.used.prefixes.extend(told);
            }
        }
        for (third, gateway, preference, on_link) in routes {
            let preference = [Preference::Low, Preference::Medium, Preference::High][usize::from(preference)];
            let v4 = if third == 0 { "0.0.0.0/0".to_owned() } else { format!("172.{own}.{third}.0/24") };
            let v6 = if third == 0 { "::/0".to_owned() } else { format!("2001:db8:{own}:f{third}::/64") };
            for (to, by) in [(v4, format!("10.{own}.1.{gateway}")), (v6, format!("fe80::{own}:{gateway}"))] {
                let (mut key, _) = router(&to, &by);
                key.gateway = key.gateway.filter(|_| !on_link || third == 0);
                made.used.routes.insert(key, RouteData { preference, valid_until: BootTime::FOREVER });
            }
        }
        made
    }
}

proptest! {
    /// Whatever a network told: each route of its table leads where it said, by a router that it named, from an address
    /// that it gave, by its own interface. So tables of two networks have nothing in common but the links' own.
    #[test]
    fn a_table_is_of_one_provisioning_domain(one in of(1), other in of(2)) {
        let link_local = prefix("fe80::/64");
        for pvd in [&one, &other] {
            let table = Table::of(pvd);
            for route in table.routes() {
                prop_assert_eq!(route.ifindex, pvd.ifindex);
                prop_assert!(pvd.family.includes(route.family()));
                let told = pvd.used.prefixes.get(&route.destination).is_some_and(|data| data.on_link)
                    || pvd.used.routes.keys().any(|key| {
                        key.destination == route.destination && key.gateway == route.gateway
                    });
                prop_assert!(told || route.destination == link_local, "{:?}", route);
                let own = |source: IpAddr| pvd.usable_addresses().any(|address| address.address == source);
                prop_assert!(route.source.is_none_or(own), "{:?}", route);
            }
            // The kernel finds each route of IPv6 by destination and metric.
            let mut keys: Vec<_> = table
                .routes()
                .iter()
                .filter(|route| route.destination.address.is_ipv6())
                .map(|route| (route.destination, route.metric))
                .collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count);
        }
        let foreign = |pvd: &Pvd, table: &Table| {
            table.routes().iter().any(|route| route.gateway.is_some_and(|gateway| {
                pvd.used.routes.keys().any(|key| key.gateway == Some(gateway))
            }))
        };
        prop_assert!(!foreign(&one, &Table::of(&other)) && !foreign(&other, &Table::of(&one)));
    }

    /// What is explained is what packets do: the route, or that there is none, is that of the table, and the order is
    /// that in which the kernel looks.
    #[test]
    fn what_is_explained_is_what_the_table_does(
        pvd in of(1),
        destination in prop::sample::select(vec![
            "10.1.1.9", "10.1.3.9", "172.1.2.9", "203.0.113.9", "2001:db8:1:2::9", "2001:db8:1:f1::9", "2001:db8:9::9",
            "fe80::9",
        ]),
        silent in prop::collection::vec(number(), 0..4),
    ) {
        let destination: IpAddr = destination.parse().unwrap();
        let silent: Vec<IpAddr> = silent.iter().map(|last| format!("10.1.1.{last}").parse().unwrap()).collect();
        let table = Table::of_answering(&pvd, &silent);
        let (family, serial) = (AddressFamily::of(destination), pvd.serial);
        let usable = pvd.family.includes(family)
            && pvd.usable_addresses().any(|own| AddressFamily::of(own.address) == family);
        let mut snapshot = Snapshot::default();
        snapshot.set_routing(Routing::PerPvd);
        snapshot.put_pvd(Arc::new(pvd));
        let explained =
            plan::explain(&snapshot, serial, ExplainRequest { address: destination, source: None }, &silent)
                .unwrap();
        let way = |route: &super::TableRoute| (route.destination, route.gateway);
        let taken = table.route_to(destination).map(way);
        prop_assert_eq!(explained.route().map(|route| (route.destination, route.gateway)), taken);
        prop_assert_eq!(explained.refusal.is_none(), usable && taken.is_some(), "{:?}", explained.refusal);
        // All of them, each once; and without the first, the second is the one.
        prop_assert_eq!(explained.routes.len(), table.routes().len());
        let metric = |place: usize| {
            let route = &explained.routes[place];
            let same = |other: &&super::TableRoute| way(other) == (route.destination, route.gateway);
            table.routes().iter().find(same).map(|route| route.metric)
        };
        let leading = explained.routes.iter().take_while(|it| it.destination.covers(destination)).count();
        for place in 1..leading {
            let (one, next) = (&explained.routes[place - 1], &explained.routes[place]);
            prop_assert!(one.destination.length >= next.destination.length);
            prop_assert!(one.destination.length > next.destination.length || metric(place - 1) <= metric(place));
        }
    }
}
