//! Routing per provisioning domain as the package runs it: by a user of its own with four capabilities, or without the
//! one that it takes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use mif::wire::Family;
use mif::{BindRequest, ConnectRequest, ErrorKind, bind_socket, connect_to_address};
use mif_tests::daemons::program;
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::process::output;
use mif_tests::routing;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::topology::{
    EVERYWHERE, OneLinkTwoRouters, Provider, SERVER_BEHIND_BOTH, Tun, answers, two_providers,
};
use mif_tests::universe;
use mif_tests::user::{SERVICE_USER, uid_of};
use socket2::{Domain, Socket, Type};
use zbus::OwnedObjectPath;

async fn pvds_of(network: &OneLinkTwoRouters, host: &ServedHost) -> [OwnedObjectPath; 2] {
    let usable = |pvd: &mif::ProvisioningDomain| !pvd.addresses.is_empty();
    let id = |number: usize| format!("implicit:eth1:ipv6:{}", network.routers[number].link_local());
    [host.pvd_where(&id(0), usable).await.path, host.pvd_where(&id(1), usable).await.path]
}

/// The lists of marks in the folder that the service manager makes: path, owner, mode, text.
fn marks() -> Vec<(String, u32, u32, String)> {
    let files = fs::read_dir("/run/mif").unwrap().map(|entry| entry.unwrap().path());
    let lists = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("marks-"));
    let read = |path: std::path::PathBuf| {
        let meta = fs::metadata(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        (path.display().to_string(), meta.uid(), meta.mode() & 0o777, text)
    };
    lists.map(read).collect()
}

#[test]
fn the_service_user_leads_packets_and_finds_its_marks_again() {
    universe::run_as_root(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let mut host = ServedHost::start(&universe).await;
        let node = universe.host();
        for pvd in pvds_of(&network, &host).await {
            for _ in 0..10 {
                assert_eq!(answers(&host, &pvd, SERVER_BEHIND_BOTH).await, "server");
            }
        }
        let before = marks();
        let [(path, owner, mode, text)] = &before[..] else { panic!("{before:?}") };
        assert_eq!(
            (*owner, *mode, text.lines().count()),
            (uid_of(SERVICE_USER).as_raw(), 0o644, 2),
            "{path}"
        );
        let in_kernel = (routing::rules(node), routing::routes(node));

        host.mifd.kill().await;
        assert_eq!((routing::rules(node), routing::routes(node)), in_kernel);
        host.mifd.restart().await;
        for pvd in pvds_of(&network, &host).await {
            assert_eq!(answers(&host, &pvd, SERVER_BEHIND_BOTH).await, "server");
        }
        // Rules of one priority are for different marks: which stands first is of no account.
        let sorted = |mut rules: Vec<String>| {
            rules.sort();
            rules
        };
        assert_eq!((marks(), sorted(routing::rules(node))), (before, sorted(in_kernel.0)));
        for router in &network.routers {
            let (dropped, forwarded) = router.dropped_and_forwarded();
            assert!(dropped == 0 && forwarded > 0, "{}: {dropped}, {forwarded}", router.node().name());
        }
    });
}

#[test]
fn without_the_right_to_it_the_rest_is_done_and_that_is_said() {
    universe::run_as_root(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let lone = Provider::start(&universe, "isp", "eth2", "192.0.2.1/24").await;
        lone.cable.near().add_address("192.0.2.2/24");
        universe.host().ip("route add default via 192.0.2.1 dev eth2");
        let host =
            ServedHost::start_with(&universe, |settings| settings.without_capability("net_admin")).await;
        let pvds = pvds_of(&network, &host).await;

        // In Features, in the log, and to people.
        let features = host.features().await;
        let has = |word: &str| features.iter().any(|known| known == word);
        assert!(!has("pvd-routing") && has("connect") && has("bind-socket"), "{features:?}");
        let log = host.mifd.process().log();
        assert_eq!(log.matches("no routing per provisioning domain").count(), 1, "{log}");
        assert!(log.contains("CAP_NET_ADMIN"), "{log}");
        let mut status = Command::new(program("mifctl"));
        status.arg("status");
        let status = output(status).await;
        assert!(status.stdout.contains("The service leads no packets"), "{status:#?}");

        // Alone on its interface a PvD can be used.
        let alone = host.pvd("implicit:eth2:ipv4").await.path;
        assert_eq!(answers(&host, &alone, EVERYWHERE).await, "isp");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let bound = bind_socket(&host.connection, &alone, &socket, &BindRequest::default()).await.unwrap();
        assert_eq!((bound.device.as_deref(), socket.mark().unwrap()), (Some("eth2"), 0));
        assert_eq!(lone.dropped_and_begun().0, 0);
        // Two that share one cannot, and nothing is sent.
        for pvd in &pvds {
            let request = ConnectRequest::new(SERVER_BEHIND_BOTH.parse().unwrap(), ECHO_PORT);
            let (kind, text) = refusal(connect_to_address(&host.connection, pvd, &request).await);
            assert_eq!(kind, ErrorKind::NotSupported, "{text}");
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            let bound = bind_socket(&host.connection, pvd, &socket, &BindRequest::default()).await;
            assert_eq!(refusal(bound).0, ErrorKind::NotSupported);
            assert_eq!(socket.device().unwrap(), None);
        }
        assert!(routing::rules(universe.host()).is_empty() && routing::routes(universe.host()).is_empty());
        assert_eq!(network.routers.each_ref().map(|router| router.dropped_and_forwarded()), [(0, 0); 2]);
    });
}

#[test]
fn a_tunnel_with_one_peer_leads_to_it_and_to_what_is_behind_it() {
    universe::run_as_root(async |universe| {
        let _providers = two_providers(&universe).await;
        let (node, gateway) = (universe.host(), universe.node("vpn"));
        let _echo = EchoServer::on(&gateway);
        let (near, far) = (Tun::on(node, "tun0"), Tun::on(&gateway, "tun0"));
        for (end, own, peer) in [(node, 2, 1), (&gateway, 1, 2)] {
            end.ip("link set tun0 up");
            end.ip(&format!("address add 10.8.0.{own} peer 10.8.0.{peer} dev tun0"));
            end.ip(&format!("address add fd00:8::{own} peer fd00:8::{peer} dev tun0 nodad"));
        }
        gateway.ip(&format!("address add {EVERYWHERE} dev lo"));
        gateway.ip("address add 198.51.100.99 dev lo");
        near.join(far);
        let host = ServedHost::start(&universe).await;
        // The peers are known by the kernel's own routes to them.
        let v4 = host.pvd("implicit:tun0:ipv4").await.path;
        let v6 = host.pvd("implicit:tun0:ipv6").await.path;
        assert_eq!(answers(&host, &v4, "10.8.0.1").await, "vpn");
        assert_eq!(answers(&host, &v6, "fd00:8::1").await, "vpn");
        // Nothing else is, until somebody says so.
        let beyond = ConnectRequest::new(EVERYWHERE.parse().unwrap(), ECHO_PORT);
        let (kind, text) = refusal(connect_to_address(&host.connection, &v4, &beyond).await);
        assert_eq!(kind, ErrorKind::NetworkUnreachable, "{text}");
        node.ip("route add 203.0.113.0/24 dev tun0");
        node.ip("route add 198.51.100.99 via 10.8.0.1 dev tun0");
        let routes = async |count: usize| {
            mif_tests::wait::eventually("the routes of the tunnel", async || {
                let all = routing::routes(node);
                let own =
                    all.iter().filter(|route| route.contains("-4") && route.contains("dev tun0")).count();
                if own == count { Ok(()) } else { Err(format!("{all:#?}")) }
            })
            .await;
        };
        routes(3).await;
        let [first, second] = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        for _ in 0..10 {
            for (pvd, server) in [(&v4, "vpn"), (&first, "isp1"), (&second, "isp2")] {
                assert_eq!(answers(&host, pvd, EVERYWHERE).await, server);
            }
        }
        assert_eq!(answers(&host, &v4, "198.51.100.99").await, "vpn");
    });
}
