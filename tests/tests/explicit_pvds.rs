//! Explicit provisioning domains (RFC 8801) on a real link: advertisements as a PvD-aware network sends them, which
//! no packaged daemon does, beside a real DHCP server and client.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use mif::State;
use mif::wire::{Element, Family, Origin};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::served_state::{ROOT, busctl_call};
use mif_tests::universe::{self, Universe};
use serde_json::json;

const LEGACY: u16 = 0x4000;
const OWN_HEADER: u16 = 0x2000;
const ID: &str = "isp.example.org";
const ROUTER: &str = "implicit:eth1:ipv6:fe80::ff:fe00:1";

/// A cable from `eth1` of the host to `lan` of a node called `router`, whose address is fe80::ff:fe00:1.
async fn cable_to_router(universe: &Universe) -> Cable {
    let router = universe.node("router");
    let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
    Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await
}

/// A message with a prefix and a DNS server, both of this number.
fn content(router_lifetime: u16, number: u8) -> RouterAdvertisement {
    RouterAdvertisement::new(router_lifetime)
        .prefix(&format!("2001:db8:{number}::"), 64, 3600, 1800)
        .dns_servers(3600, &[&format!("2001:db8:{number}::53")])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The implicit one of a router and the explicit one that it names live side by side, each with its own.
#[test]
fn an_explicit_one_beside_the_implicit_one_of_the_same_router() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let router = RawSender::on(cable.far());
        router.send(content(1800, 1).bytes());
        // Hosts that do not know of PvDs see a router that is none; those that do find its header inside.
        let aware = RouterAdvertisement::new(0).pvd(OWN_HEADER | 5, 7, "ISP.Example.org", &content(900, 2));
        router.send(aware.bytes());

        let implicit = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let explicit = served.pvd(ID).await;
        assert_eq!((&explicit.origin, &explicit.family), (&Origin::Explicit, &Family::Ipv6));
        assert_eq!((&implicit.origin, &implicit.family), (&Origin::Implicit, &Family::Ipv6));
        assert_eq!(implicit.dns_servers, [ip("2001:db8:1::53")]);
        assert_eq!(explicit.dns_servers, [ip("2001:db8:2::53")]);
        assert_eq!(explicit.routers, [ip("fe80::ff:fe00:1")]);
        let data = served.configuration(&explicit, "ra").await;
        assert_eq!(data["pvd-option-sequence"], json!({"type": "q", "data": 7}));
        assert_eq!(data["pvd-option-flags"], json!({"type": "as", "data": ["ra"]}));

        // Case and the final dot of an explicit Id do not matter.
        let found = busctl_call(
            ROOT,
            "org.ietf.Mif1.Manager",
            "GetProvisioningDomainsById",
            &["s", "Isp.EXAMPLE.org."],
        )
        .await;
        assert_eq!(found, json!([explicit.path.as_str()]));
    });
}

/// Rule 3: the prefix and the server move to the explicit one that carries them later, with the host's address.
#[test]
fn what_an_explicit_one_carries_moves_to_it() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let router = RawSender::on(cable.far());
        router.send(content(1800, 1).bytes());
        let implicit = served.pvd_where(ROUTER, |pvd| !pvd.addresses.is_empty()).await;
        let moved = implicit.addresses[0].address;

        router.send(RouterAdvertisement::new(1800).pvd(0, 1, ID, &content(0, 1)).bytes());
        let explicit = served.pvd_where(ID, |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!(explicit.addresses[0].address, moved);
        let implicit = served.pvd_where(ROUTER, |pvd| pvd.addresses.is_empty()).await;
        assert_eq!(implicit.dns_servers, [] as [IpAddr; 0]);

        // Back it does not go while the explicit one holds it: the later domain comes, the prefix stays.
        router.send(content(1800, 1).search_domains(600, &["later.test"]).bytes());
        let implicit = served.pvd_where(ROUTER, |pvd| !pvd.search_domains.is_empty()).await;
        assert_eq!((implicit.addresses.len(), implicit.dns_servers.len()), (0, 0));
    });
}

/// Rule 2: the DHCPv4 lease joins the one explicit provisioning domain of the link that sets L.
#[test]
fn a_lease_joins_the_one_that_sets_l() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.far().add_address("192.0.2.1/24");
        let _server =
            Dnsmasq::on(cable.far().node(), "lan").dhcp4("192.0.2.10", "192.0.2.10", "10m").start().await;
        let served = ServedHost::start(&universe).await;
        let _client = Dhcpcd::on(cable.near()).ipv4_only().start().await;
        served.pvd_where("implicit:eth1:ipv4", |pvd| pvd.elements.contains(&Element::Dhcpv4)).await;

        let router = RawSender::on(cable.far());
        router.send(RouterAdvertisement::new(1800).pvd(LEGACY, 1, ID, &content(0, 1)).bytes());
        let dual = served.pvd_where(ID, |pvd| pvd.family == Family::Dual).await;
        assert_eq!(dual.elements, [Element::Ra, Element::Dhcpv4]);
        assert!(dual.addresses.iter().any(|address| address.address == ip("192.0.2.10")), "{dual:?}");
        let gone = |state: &State| {
            let pvds = state.pvds().filter(|pvd| pvd.id == "implicit:eth1:ipv4").count();
            (pvds == 0).then_some(())
        };
        served.until("the implicit IPv4 one to be gone", gone).await;

        // A second one that sets L makes it nobody's in particular: the lease is the link's again.
        router.send(RouterAdvertisement::new(1800).pvd(LEGACY, 1, "other.example", &content(0, 3)).bytes());
        served.pvd_where("implicit:eth1:ipv4", |pvd| !pvd.addresses.is_empty()).await;
        assert_eq!(served.pvd(ID).await.family, Family::Ipv6);
    });
}

/// One ID on two links is two provisioning domains of one name.
#[test]
fn one_id_on_two_links_is_two() {
    universe::run(async |universe| {
        let first = cable_to_router(&universe).await;
        let router = universe.node("router2");
        let near = universe.host().end("eth2").mac("02:00:00:00:01:09");
        let second = Cable::between(near, router.end("lan").mac("02:00:00:00:01:01")).await;
        let served = ServedHost::start(&universe).await;
        RawSender::on(first.far()).send(RouterAdvertisement::new(0).pvd(0, 1, ID, &content(0, 1)).bytes());
        RawSender::on(second.far()).send(RouterAdvertisement::new(0).pvd(0, 1, ID, &content(0, 2)).bytes());
        let both = |state: &State| {
            let links: Vec<_> =
                state.pvds().filter(|pvd| pvd.id == ID).map(|pvd| pvd.interface.clone()).collect();
            (links.len() == 2 && links[0] != links[1]).then_some(())
        };
        served.until("one on each link", both).await;
        let found =
            busctl_call(ROOT, "org.ietf.Mif1.Manager", "GetProvisioningDomainsById", &["s", ID]).await;
        assert_eq!(found.as_array().map(Vec::len), Some(2));
    });
}
