//! Links that are not one cable with everything on it: prefixes of one's own, one family only, point-to-point, bridges
//! and their ports, new names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::State;
use mif::wire::Element;
use mif_tests::cable::Cable;
use mif_tests::daemons::Radvd;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};

async fn cable(universe: &Universe) -> Cable {
    let router = universe.node("router");
    Cable::between(universe.host().end("eth1"), router.end("lan")).await
}

fn ids_on(state: &State, link: &str) -> Vec<String> {
    let on_link = |pvd: &&mif::ProvisioningDomain| {
        state.interface_of(pvd).is_some_and(|interface| interface.name == link)
    };
    state.pvds().filter(on_link).map(|pvd| pvd.id.clone()).collect()
}

#[test]
fn a_prefix_of_its_own_without_a_way_out_is_a_pvd_of_ipv6_only() {
    universe::run(async |universe| {
        let cable = cable(&universe).await;
        let host = ServedHost::start(&universe).await;
        Radvd::on(cable.far().node(), "lan")
            .prefix("fd00:1::/64")
            .line("AdvDefaultLifetime 0;")
            .start()
            .await;
        let id = format!("implicit:eth1:ipv6:{}", cable.far().link_local());
        let pvd = host.pvd_where(&id, |pvd| !pvd.addresses.is_empty()).await;
        assert!(pvd.routers.is_empty(), "{pvd:#?}");
        assert!(pvd.addresses.iter().all(|own| own.address.to_string().starts_with("fd00:1:")), "{pvd:#?}");
        assert_eq!(pvd.elements, [Element::Ra]);
        host.only_pvds(&[&id]).await;
    });
}

#[test]
fn a_point_to_point_address_is_a_pvd_with_the_routes_of_its_link() {
    universe::run(async |universe| {
        let cable = cable(&universe).await;
        let host = ServedHost::start(&universe).await;
        universe.host().ip("address add 10.0.0.2 peer 10.0.0.1 dev eth1");
        universe.host().ip("route add default via 10.0.0.1 dev eth1");
        let pvd = host.pvd_where("implicit:eth1:ipv4", |pvd| pvd.routers.len() == 1).await;
        let own = &pvd.addresses[0];
        assert_eq!((own.address.to_string(), own.prefix_length), ("10.0.0.2".to_owned(), 32));
        assert_eq!(
            (pvd.elements, pvd.routers[0].to_string()),
            (vec![Element::Static], "10.0.0.1".to_owned())
        );
        drop(cable);
    });
}

#[test]
fn a_bridge_has_the_pvds_and_its_ports_have_none() {
    universe::run(async |universe| {
        let cable = cable(&universe).await;
        let host = ServedHost::start(&universe).await;
        Radvd::on(cable.far().node(), "lan").prefix("2001:db8:1::/64").start().await;
        let id = |link: &str| format!("implicit:{link}:ipv6:{}", cable.far().link_local());
        host.pvd_where(&id("eth1"), |pvd| !pvd.addresses.is_empty()).await;

        let node = universe.host();
        node.ip("link add br0 type bridge");
        node.ip("link set br0 up");
        node.ip("link set eth1 master br0");
        // As whoever makes a bridge does: the addresses are the bridge's now.
        node.ip("address flush dev eth1");
        node.set("net/ipv6/conf/eth1/disable_ipv6", "1");
        node.ip("link set eth1 down");
        host.until("no PvD on the port", |state| ids_on(state, "eth1").is_empty().then_some(())).await;
        node.ip("link set eth1 up");
        let pvd = host.pvd_where(&id("br0"), |pvd| !pvd.addresses.is_empty()).await;
        let state = host.state().await;
        assert_eq!(ids_on(&state, "eth1"), [""; 0], "what comes in by the port is the bridge's: {state:#?}");
        assert_eq!(state.interface_of(&pvd).unwrap().kind, mif::wire::InterfaceKind::Bridge);
    });
}

/// Nobody flushes the addresses of the port, and nobody takes it down.
#[test]
fn a_port_has_no_pvds_from_the_moment_on_that_it_is_one_and_none_of_before_when_it_is_none_any_more() {
    universe::run(async |universe| {
        let cable = cable(&universe).await;
        cable.near().add_address("192.0.2.7/24");
        let host = ServedHost::start(&universe).await;
        Radvd::on(cable.far().node(), "lan").prefix("2001:db8:1::/64").start().await;
        let id = |link: &str| format!("implicit:{link}:ipv6:{}", cable.far().link_local());
        let before = host.pvd_where(&id("eth1"), |pvd| !pvd.addresses.is_empty()).await;
        host.pvd("implicit:eth1:ipv4").await;

        let node = universe.host();
        node.ip("link add br0 type bridge");
        node.ip("link set br0 up");
        node.ip("link set eth1 master br0");
        host.until("no PvD on the port", |state| ids_on(state, "eth1").is_empty().then_some(())).await;
        host.pvd_where(&id("br0"), |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!(ids_on(&host.state().await, "eth1"), [""; 0], "the router is the bridge's");

        node.ip("link set eth1 nomaster");
        let after = host.pvd_where(&id("eth1"), |pvd| !pvd.addresses.is_empty()).await;
        assert_ne!(after.path, before.path);
        host.pvd("implicit:eth1:ipv4").await;
    });
}

#[test]
fn a_link_with_a_new_name_keeps_its_pvds_and_their_ids() {
    universe::run(async |universe| {
        let cable = cable(&universe).await;
        cable.near().add_address("192.0.2.7/24");
        let host = ServedHost::start(&universe).await;
        let before = host.pvd("implicit:eth1:ipv4").await;
        universe.host().ip("link set eth1 name wan0");
        host.until("the new name", |state| {
            let renamed = state.interfaces.iter().any(|interface| interface.name == "wan0");
            renamed.then_some(())
        })
        .await;
        let after = host.pvd("implicit:eth1:ipv4").await;
        assert_eq!(
            (after.path, after.addresses),
            (before.path, before.addresses),
            "the name it was born with"
        );
    });
}
