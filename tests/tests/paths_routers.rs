//! Proof of path through the life of routers: those that fall silent, those whose time runs out, and the second router
//! of the same provisioning domain.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use mif::{BindRequest, ConnectRequest, ErrorKind, bind_socket, connect_to_address};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq};
use mif_tests::echo::{DatagramServer, ECHO_PORT, Greeting};
use mif_tests::node::Node;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::routing;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::topology::{
    EVERYWHERE, EVERYWHERE_V6, OneLinkTwoRouters, SERVER_BEHIND_BOTH, answers, switch, try_answers,
};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually};
use socket2::{Domain, Socket, Type};
use zbus::OwnedObjectPath;

const OWN_HEADER: u16 = 0x2000;
const EXPLICIT: &str = "isp.example.org";
/// Where the host listens.
const SERVICE_PORT: u16 = 8080;
/// Seconds that a router stays one: long enough to be seen on a busy machine.
const SHORT: u16 = 4;

/// Who greets; or the connection, if nobody does within a second.
fn greeting(socket: OwnedFd) -> Result<Greeting, TcpStream> {
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    Greeting::read(&stream).map_err(|_| stream)
}

fn prefix(router_lifetime: u16, number: u8) -> RouterAdvertisement {
    RouterAdvertisement::new(router_lifetime).prefix(&format!("2001:db8:{number}::"), 64, 3600, 1800)
}

/// Nobody waits in a test for as long as people do.
fn hasty(node: &Node, family: &str) {
    node.set(&format!("net/{family}/neigh/eth1/delay_first_probe_time"), "1");
    node.set(&format!("net/{family}/neigh/eth1/base_reachable_time_ms"), "1000");
    node.set(&format!("net/{family}/neigh/eth1/retrans_time_ms"), "200");
}

/// A host with one explicit PvD that two routers, `first` and `second`, advertise; the first is preferred and says that
/// it is one for `lifetime` seconds.
async fn two_routers_of_one(universe: &Universe, lifetime: u16) -> ([Cable; 2], ServedHost, OwnedObjectPath) {
    let cables: [Cable; 2] = switch(universe, &["first", "second"]).await.try_into().unwrap();
    for (cable, last) in cables.iter().zip([1, 2]) {
        cable.near().add_address(&format!("2001:db8:5::{last}/64"));
    }
    let node = universe.host();
    hasty(node, "ipv6");
    let host = ServedHost::start(universe).await;
    node.ip("address add 2001:db8:5::9/64 dev eth1 nodad");
    for (cable, preference, lifetime) in [(&cables[1], 0, 1800), (&cables[0], 0x08, lifetime)] {
        let inside = prefix(lifetime, 5).flags(preference);
        let message = RouterAdvertisement::new(0).pvd(OWN_HEADER, 1, EXPLICIT, &inside);
        RawSender::on(cable.near()).send(message.bytes());
    }
    let both = |pvd: &mif::ProvisioningDomain| pvd.routers.len() == 2 && !pvd.addresses.is_empty();
    let pvd = host.pvd_where(EXPLICIT, both).await.path;
    (cables, host, pvd)
}

#[test]
fn the_second_router_of_a_pvd_takes_over_when_the_first_is_silent() {
    universe::run(async |universe| {
        let (cables, host, pvd) = two_routers_of_one(&universe, 1800).await;
        assert_eq!(answers(&host, &pvd, EVERYWHERE_V6).await, "first");
        // It says nothing more, and answers nobody.
        cables[0].near().node().ip("link set lan down");
        assert_eq!(answers(&host, &pvd, EVERYWHERE_V6).await, "second");
    });
}

#[test]
fn the_second_router_of_a_pvd_takes_over_when_the_time_of_the_first_is_up() {
    universe::run(async |universe| {
        let (_cables, host, pvd) = two_routers_of_one(&universe, SHORT).await;
        assert_eq!(answers(&host, &pvd, EVERYWHERE_V6).await, "first");
        // It would go on to forward, but it never says again that it is a router.
        let left = |pvd: &mif::ProvisioningDomain| pvd.routers.len() == 1;
        assert_eq!(host.pvd_where(EXPLICIT, left).await.path, pvd);
        eventually("the second router", async || {
            // One that is under way at that moment ends at the second, which knows nothing of it.
            match try_answers(&host, &pvd, EVERYWHERE_V6).await.as_deref() {
                Ok("second") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        for _ in 0..5 {
            assert_eq!(answers(&host, &pvd, EVERYWHERE_V6).await, "second");
        }
    });
}

/// The PvDs of two routers on one link, in their order.
async fn pvds_of(network: &OneLinkTwoRouters, host: &ServedHost) -> [OwnedObjectPath; 2] {
    let usable = |pvd: &mif::ProvisioningDomain| !pvd.addresses.is_empty();
    let id = |number: usize| format!("implicit:eth1:ipv6:{}", network.routers[number].link_local());
    [host.pvd_where(&id(0), usable).await.path, host.pvd_where(&id(1), usable).await.path]
}

#[test]
fn a_router_that_never_says_again_that_it_is_one_is_not_used_after_its_time() {
    universe::run(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        let [first, second] = pvds_of(&network, &host).await;
        // The last that is heard of it.
        let router = &network.routers[1];
        router.stop().await;
        RawSender::on(router.lan()).send(prefix(SHORT, 2).bytes());
        let to_server = ConnectRequest::new(SERVER_BEHIND_BOTH.parse().unwrap(), ECHO_PORT);
        assert_eq!(answers(&host, &second, SERVER_BEHIND_BOTH).await, "server");
        let defaults = || {
            let all = routing::routes(universe.host());
            all.into_iter().filter(|route| route.contains(" dst default")).collect::<Vec<_>>()
        };
        assert_eq!(defaults().len(), 1, "{:#?}", defaults());
        // Read to the end, or kept: what comes for a socket that is gone the kernel resets, without any mark. The time
        // of the router may be up in the middle of a handshake.
        let mut cut_off = Vec::new();
        let (kind, text) = eventually("connections to be refused", async || {
            match connect_to_address(&host.connection, &second, &to_server).await {
                Ok(connected) => Err(match greeting(connected.socket) {
                    Ok(greeting) => greeting.server,
                    Err(silent) => {
                        cut_off.push(silent);
                        "nobody greets".to_owned()
                    }
                }),
                refused => Ok(refusal(refused)),
            }
        })
        .await;
        assert_eq!(kind, ErrorKind::NetworkUnreachable, "{text}");
        assert!(text.contains("has no route to"), "{text}");
        eventually("no default route in its table", async || {
            let left = defaults();
            if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
        })
        .await;
        // Its prefix lives on, and the other PvD has nothing to do with it.
        assert_eq!(host.addresses(&second).await.len(), 1);
        assert_eq!(answers(&host, &first, SERVER_BEHIND_BOTH).await, "server");
        assert_eq!(network.routers.each_ref().map(|router| router.dropped_and_forwarded().0), [0, 0]);
    });
}

#[test]
fn the_second_router_of_a_lease_takes_over_when_the_first_is_silent() {
    universe::run(async |universe| {
        let cables = switch(&universe, &["first", "second"]).await;
        for (cable, last) in cables.iter().zip([1, 2]) {
            cable.near().add_address(&format!("192.0.2.{last}/24"));
        }
        let node = universe.host();
        hasty(node, "ipv4");
        // Both are named by the server that stays.
        Dnsmasq::on(cables[1].near().node(), "lan")
            .dhcp4("192.0.2.50", "192.0.2.60", "10m")
            .argument("--dhcp-option=option:router,192.0.2.1,192.0.2.2")
            .argument("--port=0")
            .start()
            .await;
        let link = node.end("eth1");
        Dhcpcd::on(&link).start().await;
        link.wait_for_address("192.0.2.").await;
        let host = ServedHost::start(&universe).await;
        let both = |pvd: &mif::ProvisioningDomain| pvd.routers.len() == 2;
        let pvd = host.pvd_where("implicit:eth1:ipv4", both).await.path;
        for _ in 0..5 {
            assert_eq!(answers(&host, &pvd, EVERYWHERE).await, "first");
        }
        cables[0].near().node().ip("link set lan down");
        // What is under way when it is found silent fails; what comes after takes the other.
        let taken = async || try_answers(&host, &pvd, EVERYWHERE).await;
        let is = |wanted: &'static str, seen: Result<String, String>| match seen {
            Ok(server) if server == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        };
        eventually("the second router", async || is("second", taken().await)).await;
        for _ in 0..5 {
            assert_eq!(answers(&host, &pvd, EVERYWHERE).await, "second");
        }
        let explained =
            mif::explain(&host.connection, &pvd, EVERYWHERE.parse().unwrap(), None).await.unwrap();
        assert_eq!(explained.router.as_deref(), Some("192.0.2.2"));
        let verdicts: Vec<_> =
            explained.routes.iter().flatten().map(|it| (it.gateway.as_deref(), &*it.verdict)).collect();
        assert!(verdicts.contains(&(Some("192.0.2.1"), "silent")), "{verdicts:?}");
        // It is asked from time to time whether it is back.
        cables[0].near().node().ip("link set lan up");
        eventually("the first router again", async || is("first", taken().await)).await;
    });
}

/// A fresh socket of the host, bound into `pvd` at [`SERVICE_PORT`], and its address.
async fn bound(host: &ServedHost, pvd: &OwnedObjectPath, kind: Type) -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV6, kind, None).unwrap();
    let request = BindRequest { local_port: Some(SERVICE_PORT), ..BindRequest::default() };
    let binding = completes("a binding", bind_socket(&host.connection, pvd, &socket, &request)).await;
    let source = binding.unwrap().source.unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    (socket, SocketAddr::new(source, SERVICE_PORT))
}

#[test]
fn two_listeners_on_one_link_answer_each_through_the_router_of_its_pvd() {
    universe::run(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let server = network.server().clone();
        let host = ServedHost::start(&universe).await;
        let pvds = pvds_of(&network, &host).await;
        for kind in [Type::STREAM, Type::DGRAM] {
            let mut sockets = Vec::new();
            for pvd in &pvds {
                sockets.push(bound(&host, pvd, kind).await);
            }
            for (socket, address) in &sockets {
                let asks = || {
                    let client = Socket::new(Domain::IPV6, kind, None).unwrap();
                    client.bind(&SocketAddr::new(SERVER_BEHIND_BOTH.parse().unwrap(), 0).into()).unwrap();
                    client.set_read_timeout(Some(DEADLINE)).unwrap();
                    client.connect_timeout(&(*address).into(), DEADLINE).map(|()| client)
                };
                let mut word = [std::mem::MaybeUninit::uninit(); 7];
                if kind == Type::STREAM {
                    socket.listen(8).unwrap();
                    let client = server.within(asks).expect("the listener answers");
                    let (accepted, _) = socket.accept().unwrap();
                    assert_eq!(accepted.device().unwrap().unwrap(), b"eth1");
                    accepted.send(b"welcome").unwrap();
                    assert_eq!(client.recv(&mut word).unwrap(), 7);
                } else {
                    let client = server.within(asks).unwrap();
                    client.send(b"hello").unwrap();
                    let (_, from) = socket.recv_from(&mut word).unwrap();
                    socket.send_to(b"welcome", &from).unwrap();
                    assert_eq!(client.recv(&mut word).unwrap(), 7);
                }
            }
        }
        for router in &network.routers {
            let (dropped, forwarded) = router.dropped_and_forwarded();
            assert!(dropped == 0 && forwarded > 0, "{}: {dropped}, {forwarded}", router.node().name());
        }
    });
}

#[test]
fn one_datagram_socket_of_each_router_of_a_link_has_several_peers() {
    universe::run(async |universe| {
        let network = OneLinkTwoRouters::start(&universe).await;
        let peers = ["2001:db8:ffff::81", "2001:db8:ffff::82"].map(|peer| peer.parse().unwrap());
        for peer in peers {
            network.server().ip(&format!("address add {peer} dev lo nodad"));
            for router in &network.routers {
                router.lead_to(peer);
            }
        }
        DatagramServer::on(network.server(), &peers);
        let host = ServedHost::start(&universe).await;
        for (pvd, number) in pvds_of(&network, &host).await.iter().zip(1..) {
            let (socket, address) = bound(&host, pvd, Type::DGRAM).await;
            let socket = UdpSocket::from(OwnedFd::from(socket));
            for peer in [peers[0], peers[1], peers[0]] {
                socket.send_to(b"who am I?", (peer, ECHO_PORT)).unwrap();
                let mut bytes = [0; 512];
                let (length, from) = socket.recv_from(&mut bytes).unwrap();
                assert_eq!(from, SocketAddr::new(peer, ECHO_PORT));
                let seen = Greeting::parse(std::str::from_utf8(&bytes[..length]).unwrap()).unwrap();
                assert_eq!((seen.source, seen.port), (address.ip(), address.port()));
                assert!(seen.source.to_string().starts_with(&format!("2001:db8:{number}:")), "{seen:?}");
            }
        }
        assert_eq!(network.routers.each_ref().map(|router| router.dropped_and_forwarded().0), [0, 0]);
    });
}
