//! Explain tells what the kernel does: of two routers on one link, and of tables with routes of every sort.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::wire::ExplanationDetails;
use mif_tests::daemons::program;
use mif_tests::node::Node;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{OneLinkTwoRouters, SERVER_BEHIND_BOTH, answers, switch};
use mif_tests::universe;
use mif_tests::wait::completes;
use serde_json::Value;
use zbus::OwnedObjectPath;

const OWN_HEADER: u16 = 0x2000;
const EXPLICIT: &str = "isp.example.org";

async fn explain(host: &ServedHost, pvd: &OwnedObjectPath, to: &str) -> ExplanationDetails {
    let explained = mif::explain(&host.connection, pvd, to.parse().unwrap(), None);
    completes("an explanation", explained).await.unwrap()
}

/// What the kernel does with a packet of a socket of this host that is bound to `device` and `source` and carries `mark`:
/// the router (if any) and the table; `None` when it refuses it.
fn kernel(node: &Node, to: &str, source: &str, (device, mark): (&str, u32)) -> Option<[Option<String>; 2]> {
    let mark = format!("{mark:#x}");
    let output = node.try_run("ip", ["-j", "route", "get", to, "from", source, "oif", device, "mark", &mark]);
    if output.code != 0 {
        assert!(output.stderr.contains("unreachable"), "{output:#?}");
        return None;
    }
    let routes: Value = serde_json::from_str(&output.stdout).unwrap();
    Some(["gateway", "table"].map(|key| routes[0][key].as_str().map(str::to_owned)))
}

/// Asserts that what is explained of `to` is what the kernel does.
async fn agree(host: &ServedHost, node: &Node, pvd: &OwnedObjectPath, to: &str) {
    let told = explain(host, pvd, to).await;
    let (mark, device) = (told.mark.unwrap(), told.device.clone().unwrap());
    match kernel(node, to, told.source.as_deref().unwrap(), (&device, mark)) {
        Some(done) => {
            let table = told.table.map(|table| table.to_string());
            assert_eq!(done, [told.router.clone(), table], "{to}: {told:#?}");
            assert_eq!(told.error_name, None, "{to}: {told:#?}");
        }
        None => {
            assert_eq!(
                told.error_name.as_deref(),
                Some("org.ietf.Mif1.Error.NetworkUnreachable"),
                "{told:#?}"
            );
            assert_eq!((&told.route, &told.router), (&None, &None), "{to}");
        }
    }
}

#[test]
fn table_mark_and_router_are_those_of_the_pvd_in_use() {
    universe::run(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        let node = universe.host();
        let mut seen = Vec::new();
        for router in &network.routers {
            let usable = |pvd: &mif::ProvisioningDomain| !pvd.addresses.is_empty();
            let id = format!("implicit:eth1:ipv6:{}", router.link_local());
            let pvd = host.pvd_where(&id, usable).await;
            let before = explain(&host, &pvd.path, SERVER_BEHIND_BOTH).await;
            assert_eq!((before.table, before.mark), (None, None), "not in use");
            assert_eq!(answers(&host, &pvd.path, SERVER_BEHIND_BOTH).await, "server");

            let told = explain(&host, &pvd.path, SERVER_BEHIND_BOTH).await;
            assert_eq!(told.router, Some(router.link_local()));
            assert_eq!(told.source, Some(pvd.addresses[0].address.to_string()));
            assert_eq!((told.route.as_deref(), told.device.as_deref()), (Some("::/0"), Some("eth1")));
            assert_eq!((told.mark_mask, told.table), (Some(0xff00_ffff), told.mark));
            let mark = told.mark.unwrap();
            assert!(!seen.contains(&mark), "a mark of its own");
            seen.push(mark);
            // The table of that number holds that router, and the rules lead there.
            let table = node.ip(&format!("-6 route show table {mark}"));
            assert!(table.contains(&format!("default via {} dev eth1", router.link_local())), "{table}");
            agree(&host, node, &pvd.path, SERVER_BEHIND_BOTH).await;

            let text = node.run(program("mifctl").to_str().unwrap(), ["explain", &id, SERVER_BEHIND_BOTH]);
            for part in [
                format!("by       eth1, router {}", router.link_local()),
                format!("routing  table {mark}, mark {mark:#x}/0xff00ffff"),
            ] {
                assert!(text.contains(&part), "{part:?} in {text}");
            }
        }
    });
}

#[test]
fn the_kernel_does_what_is_explained_for_destinations_of_every_sort() {
    universe::run(async |universe| {
        let cables = switch(&universe, &["near", "far"]).await;
        let node = universe.host();
        // An explicit PvD with a lease-like IPv4 side is made by hand: addresses and routes of an implicit one.
        for own in ["192.0.2.9/24", "198.51.100.9/25"] {
            node.ip(&format!("address add {own} dev eth1"));
        }
        for route in [
            "default via 192.0.2.1",
            "10.0.0.0/8 via 192.0.2.2",
            "10.1.0.0/16 via 198.51.100.1",
            "10.1.1.0/24 dev eth1",
            "203.0.113.7 via 192.0.2.2",
        ] {
            node.ip(&format!("route add {route} dev eth1").replace("dev eth1 dev eth1", "dev eth1"));
        }
        let host = ServedHost::start(&universe).await;
        let prefix = |number: u8| format!("2001:db8:{number}::");
        let near = RouterAdvertisement::new(1800)
            .prefix(&prefix(1), 64, 3600, 1800)
            .route("2001:db8:f0::", 48, 0x18, 1800)
            .route("2001:db8:f0:1::", 64, 0x18, 1800);
        let far = RouterAdvertisement::new(1800)
            .flags(0x08)
            .prefix(&prefix(2), 64, 3600, 1800)
            .route("2001:db8:f0::", 48, 0x08, 1800)
            .route("2001:db8:f1::", 48, 0, 1800);
        for (cable, inside) in cables.iter().zip([near, far]) {
            let message = RouterAdvertisement::new(0).pvd(OWN_HEADER, 1, EXPLICIT, &inside);
            RawSender::on(cable.near()).send(message.bytes());
        }
        for own in ["2001:db8:1::9/64", "2001:db8:2::9/64"] {
            node.ip(&format!("address add {own} dev eth1 nodad"));
        }
        // And one without any default route.
        let lonely =
            mif_tests::cable::Cable::between(node.end("eth2"), universe.node("lonely").end("lan")).await;
        lonely.near().add_address("172.16.0.9/16");
        let both = |pvd: &mif::ProvisioningDomain| pvd.routers.len() == 2 && pvd.addresses.len() == 2;
        let v6 = host.pvd_where(EXPLICIT, both).await.path;
        let v4 = host.pvd_where("implicit:eth1:ipv4", |pvd| pvd.addresses.len() == 2).await.path;
        let alone = host.pvd("implicit:eth2:ipv4").await.path;
        for pvd in [&v6, &v4, &alone] {
            put_into_use(&host, pvd).await;
        }
        for to in [
            "2001:db8:1::77",
            "2001:db8:2::77",
            "2001:db8:3::77",
            "2001:db8:f0::1",
            "2001:db8:f0:1::1",
            "2001:db8:f0:2::1",
            "2001:db8:f1:2::1",
            "2001:db8:f2::1",
            "fd00::1",
        ] {
            agree(&host, node, &v6, to).await;
        }
        for to in [
            "192.0.2.77",
            "198.51.100.77",
            "198.51.100.200",
            "10.0.0.1",
            "10.1.0.1",
            "10.1.1.1",
            "10.2.1.1",
            "203.0.113.7",
            "203.0.113.8",
            "172.16.0.77",
        ] {
            agree(&host, node, &v4, to).await;
        }
        agree(&host, node, &alone, "172.16.0.77").await;
        // A device-bound socket of IPv4 takes all the world for on-link where no route leads: so it is refused before.
        let told = explain(&host, &alone, "192.0.2.77").await;
        assert_eq!(told.error_name.as_deref(), Some("org.ietf.Mif1.Error.NetworkUnreachable"), "{told:#?}");
    });
}

/// Nothing is sent for it.
async fn put_into_use(host: &ServedHost, pvd: &OwnedObjectPath) {
    let state = host.state().await;
    let own = state.pvds().find(|known| known.path == *pvd).unwrap().addresses[0].address;
    let domain = if own.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
    let request = mif::BindRequest { source: Some(own), ..mif::BindRequest::default() };
    completes("a binding", mif::bind_socket(&host.connection, pvd, &socket, &request)).await.unwrap();
}
