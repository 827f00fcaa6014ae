//! The next source of a provisioning domain is tried when one fails on this host, and no source of another one ever.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, UdpSocket};
use std::os::fd::OwnedFd;

use mif::wire::Family;
use mif::{
    BindRequest, ConnectRequest, ConnectedSocket, ErrorKind, Protocol, bind_socket, connect_to_address,
};
use mif_tests::cable::Cable;
use mif_tests::echo::{DatagramServer, ECHO_PORT, EchoServer, Greeting};
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes};
use socket2::{Domain, Socket, Type};
use zbus::OwnedObjectPath;

const SERVER_V4: &str = "192.0.2.1";
const SERVER_V6: &str = "2001:db8:1::1";
const SOURCES_V4: [&str; 2] = ["192.0.2.2", "192.0.2.3"];
const SOURCES_V6: [&str; 2] = ["2001:db8:1::2", "2001:db8:1::3"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A server on a link on which the host has two addresses of each family, and one on another link.
struct Setting {
    host: ServedHost,
    pvds: [OwnedObjectPath; 2],
    _echo: EchoServer,
}

impl Setting {
    async fn start(universe: &Universe) -> Self {
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        let other = Cable::between(universe.host().end("eth2"), universe.node("other").end("lan")).await;
        for (own, length) in [(SERVER_V4, 24), (SERVER_V6, 64)] {
            cable.far().add_address(&format!("{own}/{length}"));
        }
        for source in SOURCES_V4 {
            cable.near().add_address(&format!("{source}/24"));
        }
        for source in SOURCES_V6 {
            cable.near().add_address(&format!("{source}/64"));
        }
        // What must never be taken instead, though the destination is nearer to it.
        other.near().add_address("192.0.2.4/32");
        other.near().add_address("2001:db8:1::4/128");
        let echo = EchoServer::on(&server);
        DatagramServer::on(&server, &[ip(SERVER_V4), ip(SERVER_V6)]);
        let host = ServedHost::start(universe).await;
        let both = |pvd: &mif::ProvisioningDomain| pvd.addresses.len() == 2;
        let v4 = host.pvd_where("implicit:eth1:ipv4", both).await.path;
        let v6 = host.pvd_where("implicit:eth1:ipv6", both).await.path;
        Self { host, pvds: [v4, v6], _echo: echo }
    }

    fn pvd(&self, family: &Family) -> &OwnedObjectPath {
        &self.pvds[usize::from(*family == Family::Ipv6)]
    }

    async fn connect(&self, family: &Family, protocol: Protocol) -> mif::Result<ConnectedSocket> {
        let server = if *family == Family::Ipv6 { SERVER_V6 } else { SERVER_V4 };
        let request = ConnectRequest { protocol, ..ConnectRequest::new(ip(server), ECHO_PORT) };
        completes("a connection", connect_to_address(&self.host.connection, self.pvd(family), &request)).await
    }

    /// A datagram socket of the caller's own.
    async fn bind(&self, family: &Family, port: Option<u16>) -> mif::Result<(UdpSocket, IpAddr)> {
        let domain = if *family == Family::Ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, None).unwrap();
        let request = BindRequest { local_port: port, ..BindRequest::default() };
        let bound = bind_socket(&self.host.connection, self.pvd(family), &socket, &request);
        let source = completes("a binding", bound).await?.source.unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Ok((UdpSocket::from(OwnedFd::from(socket)), source))
    }
}

fn local(connected: &ConnectedSocket) -> IpAddr {
    connected.local.unwrap().ip()
}

fn families() -> [(Family, [IpAddr; 2], IpAddr); 2] {
    [(Family::Ipv4, SOURCES_V4.map(ip), ip(SERVER_V4)), (Family::Ipv6, SOURCES_V6.map(ip), ip(SERVER_V6))]
}

#[test]
fn a_source_whose_ports_are_all_taken_makes_room_for_the_next() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        // One port for each source and peer.
        universe.host().set("net/ipv4/ip_local_port_range", "50000 50000");
        let mptcp = setting.host.features().await.iter().any(|word| word == "mptcp");
        let protocols = [Some(Protocol::Tcp), mptcp.then_some(Protocol::Mptcp)];
        for (family, sources, _) in families() {
            for protocol in protocols.into_iter().flatten() {
                let mut taken = Vec::new();
                for source in sources {
                    let connected = setting.connect(&family, protocol).await.unwrap();
                    assert_eq!(local(&connected), source, "{protocol:?}");
                    taken.push(connected);
                }
                // None is left, and nobody else's is taken.
                let (kind, text) = refusal(setting.connect(&family, protocol).await);
                assert_eq!(kind, ErrorKind::LimitsExceeded, "{text}");
                for connected in taken {
                    // Reset, so that no port waits for stray packets.
                    let socket = Socket::from(connected.socket);
                    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
                }
            }
        }
    });
}

#[test]
fn a_datagram_socket_is_bound_to_the_next_source_that_has_a_port() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        universe.host().set("net/ipv4/ip_local_port_range", "50000 50000");
        for (family, sources, server) in families() {
            let mut taken = Vec::new();
            for source in sources {
                let (socket, bound) = setting.bind(&family, None).await.unwrap();
                assert_eq!(bound, source);
                socket.send_to(b"who am I?", (server, ECHO_PORT)).unwrap();
                let mut bytes = [0; 512];
                let length = socket.recv(&mut bytes).unwrap();
                let seen = Greeting::parse(std::str::from_utf8(&bytes[..length]).unwrap()).unwrap();
                assert_eq!(seen.source, source);
                taken.push(socket);
            }
            let (kind, text) = refusal(setting.bind(&family, None).await);
            assert_eq!(kind, ErrorKind::LimitsExceeded, "{text}");
            assert!(text.contains(&sources[0].to_string()) && text.contains("ports"), "{text}");
            // A port that was asked for is not looked for at another address.
            let (socket, bound) = setting.bind(&family, Some(4_321)).await.unwrap();
            assert_eq!(bound, sources[0]);
            let (_, text) = refusal(setting.bind(&family, Some(4_321)).await);
            assert!(text.contains("4321") && text.contains("taken"), "{text}");
            drop((socket, taken));
        }
    });
}

#[test]
fn a_source_that_the_host_lets_nothing_out_from_makes_room_for_the_next() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        let host = universe.host();
        let [first, second] = SOURCES_V6;
        assert_eq!(local(&setting.connect(&Family::Ipv6, Protocol::Tcp).await.unwrap()), ip(first));
        host.ip(&format!("-6 rule add priority 10 from {first} prohibit"));
        let mptcp = setting.host.features().await.iter().any(|word| word == "mptcp");
        let protocols = [Some(Protocol::Tcp), mptcp.then_some(Protocol::Mptcp)];
        for protocol in protocols.into_iter().flatten() {
            let connected = setting.connect(&Family::Ipv6, protocol).await.unwrap();
            assert_eq!(local(&connected), ip(second), "{protocol:?}");
        }
        // The best source is the one to speak of when all fail.
        host.ip(&format!("-6 rule add priority 10 from {second} unreachable"));
        let (kind, text) = refusal(setting.connect(&Family::Ipv6, Protocol::Tcp).await);
        assert_eq!(kind, ErrorKind::HostUnreachable, "{text}");
        assert!(text.contains("forbids"), "{text}");
    });
}
