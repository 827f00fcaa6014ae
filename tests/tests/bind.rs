//! BindSocket: a program's own sockets, through two real ISPs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use mif::proxy::ManagerProxy;
use mif::wire::Family;
use mif::{BindRequest, Binding, ErrorKind, bind_socket};
use mif_tests::echo::{DatagramServer, ECHO_PORT, Greeting};
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::topology::{Isp, SHARED_V4, SHARED_V6, TwoIsps};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes};
use socket2::{Domain, Protocol, Socket, Type};
use zbus::{Connection, OwnedObjectPath};

/// Where the host listens.
const SERVICE_PORT: u16 = 8080;

/// Two ISPs, each with its datagram server, and mifd.
struct Setting {
    isps: TwoIsps,
    host: ServedHost,
}

impl Setting {
    async fn start(universe: &Universe) -> Self {
        let isps = TwoIsps::start(universe).await;
        for isp in [&isps.first, &isps.second] {
            let own = [isp.server_v4().into(), isp.server_v6().into()];
            DatagramServer::on(isp.node(), &[&own[..], &[SHARED_V4.into(), SHARED_V6.into()]].concat());
        }
        let host = ServedHost::start(universe).await;
        Self { isps, host }
    }

    fn isps(&self) -> [&Isp; 2] {
        [&self.isps.first, &self.isps.second]
    }

    /// The PvDs of one family, in the order of the ISPs.
    async fn pvds(&self, family: Family) -> [OwnedObjectPath; 2] {
        self.host.pvds(self.isps().map(Isp::link), family, true).await
    }
}

async fn bind(
    connection: &Connection,
    pvd: &OwnedObjectPath,
    socket: &Socket,
    request: &BindRequest,
) -> mif::Result<Binding> {
    completes(&format!("the outcome of {request:?}"), bind_socket(connection, pvd, socket, request)).await
}

fn socket(family: &Family, kind: Type, protocol: Option<Protocol>) -> Socket {
    let domain = if *family == Family::Ipv4 { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, kind, protocol).unwrap()
}

/// Both families, with an address that both ISPs lead to, each to a server of its own.
fn families() -> [(Family, IpAddr); 2] {
    [(Family::Ipv4, SHARED_V4.into()), (Family::Ipv6, SHARED_V6.into())]
}

/// Connects from a thread of its own, and hands back what the server saw.
async fn greeting_of(socket: Socket, server: IpAddr) -> Greeting {
    let connect = move || {
        socket.connect_timeout(&SocketAddr::new(server, ECHO_PORT).into(), DEADLINE)?;
        let stream = TcpStream::from(OwnedFd::from(socket));
        stream.set_read_timeout(Some(DEADLINE))?;
        Greeting::read(&stream)
    };
    tokio::task::spawn_blocking(connect).await.unwrap().unwrap()
}

fn answer_of(socket: &UdpSocket, server: IpAddr) -> Greeting {
    let mut bytes = [0; 512];
    socket.send_to(b"who am I?", (server, ECHO_PORT)).unwrap();
    let (length, from) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!(from, SocketAddr::new(server, ECHO_PORT), "the reply is of the one that was asked");
    Greeting::parse(std::str::from_utf8(&bytes[..length]).unwrap()).unwrap()
}

#[test]
fn the_programs_own_socket_connects_through_the_pvd() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        let connection = &setting.host.connection;
        let features = ManagerProxy::new(connection).await.unwrap().features().await.unwrap();
        assert!(features.iter().any(|word| word == "bind-socket"), "{features:?}");
        let mptcp = features.iter().any(|word| word == "mptcp");
        for (family, server) in families() {
            let pvds = setting.pvds(family.clone()).await;
            for (pvd, isp) in pvds.iter().zip(setting.isps()).rev() {
                let addresses = setting.host.addresses(pvd).await;
                let protocols = [Some(Protocol::TCP), mptcp.then_some(Protocol::MPTCP)];
                for protocol in protocols.into_iter().flatten() {
                    let socket = socket(&family, Type::STREAM, Some(protocol));
                    let binding = bind(connection, pvd, &socket, &BindRequest::to(server)).await.unwrap();
                    assert_eq!(binding.device.as_deref(), Some(isp.link()));
                    assert!(addresses.contains(&binding.source.unwrap()), "{binding:?}");
                    let seen = greeting_of(socket, server).await;
                    assert_eq!(
                        (Some(seen.source), seen.server.as_str()),
                        (binding.source, isp.node().name())
                    );
                }
                // Each of its addresses can be the source.
                for source in addresses {
                    let socket = socket(&family, Type::STREAM, None);
                    let request = BindRequest { source: Some(source), ..BindRequest::default() };
                    bind(connection, pvd, &socket, &request).await.unwrap();
                    let seen = greeting_of(socket, server).await;
                    assert_eq!((seen.source, seen.server.as_str()), (source, isp.node().name()));
                }
            }
        }
    });
}

#[test]
fn one_datagram_socket_has_several_peers_and_stays_where_it_is() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        for (family, shared) in families() {
            let pvds = setting.pvds(family.clone()).await;
            // As QUIC does it: one socket of each network, several servers, the same ones through both.
            for (pvd, isp) in pvds.iter().zip(setting.isps()) {
                let socket = socket(&family, Type::DGRAM, None);
                let binding =
                    bind(&setting.host.connection, pvd, &socket, &BindRequest::default()).await.unwrap();
                let socket = UdpSocket::from(OwnedFd::from(socket));
                socket.set_read_timeout(Some(DEADLINE)).unwrap();
                let own =
                    if family == Family::Ipv4 { isp.server_v4().into() } else { isp.server_v6().into() };
                for server in [shared, own, shared] {
                    let seen = answer_of(&socket, server);
                    assert_eq!(seen.server, isp.node().name());
                    assert_eq!((Some(seen.source), Some(seen.port)), (binding.source, binding.local_port));
                }
                // And connected to one of them.
                socket.connect((shared, ECHO_PORT)).unwrap();
                socket.send(b"still there?").unwrap();
                let length = socket.recv(&mut [0; 512]).unwrap();
                assert!(length > 0);
            }
        }
    });
}

#[test]
fn two_listeners_of_one_port_answer_each_through_its_own_isp() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        for (family, far) in families() {
            let pvds = setting.pvds(family.clone()).await;
            let mut listeners = Vec::new();
            for pvd in &pvds {
                let socket = socket(&family, Type::STREAM, None);
                let request = BindRequest { local_port: Some(SERVICE_PORT), ..BindRequest::default() };
                let binding = bind(&setting.host.connection, pvd, &socket, &request).await.unwrap();
                assert_eq!(binding.local_port, Some(SERVICE_PORT));
                socket.listen(8).unwrap();
                listeners.push((socket, binding.source.unwrap()));
            }
            for ((listener, address), isp) in listeners.iter().zip(setting.isps()) {
                // From an address that leads back through both ISPs: only the right one has the other end.
                let node = isp.node().clone();
                let address = SocketAddr::new(*address, SERVICE_PORT);
                let client = node.within(|| {
                    let client = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
                    client.bind(&SocketAddr::new(far, 0).into()).unwrap();
                    client.connect_timeout(&address.into(), DEADLINE).unwrap();
                    client
                });
                let (accepted, peer) = listener.accept().unwrap();
                assert_eq!(peer.as_socket().unwrap().ip(), far);
                assert_eq!(accepted.device().unwrap().unwrap(), isp.link().as_bytes());
                accepted.send(b"welcome").unwrap();
                client.set_read_timeout(Some(DEADLINE)).unwrap();
                let mut stream = TcpStream::from(OwnedFd::from(client));
                let mut bytes = [0; 7];
                std::io::Read::read_exact(&mut stream, &mut bytes).unwrap();
                assert_eq!(&bytes, b"welcome");
            }
        }
    });
}

#[test]
fn a_bound_socket_outlives_the_service_and_keeps_nothing_of_it_busy() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        let [_, pvd] = setting.pvds(Family::Ipv4).await;
        let before = setting.host.descriptors();
        let connection = &setting.host.connection;
        for _ in 0..100 {
            let socket = socket(&Family::Ipv4, Type::STREAM, None);
            bind(connection, &pvd, &socket, &BindRequest::to(SHARED_V4.into())).await.unwrap();
            let again = bind(connection, &pvd, &socket, &BindRequest::default()).await;
            assert_eq!(refusal(again).0, ErrorKind::SocketNotUsable);
        }
        setting.host.wait_for_descriptors(before).await;
        let socket = socket(&Family::Ipv4, Type::STREAM, None);
        bind(connection, &pvd, &socket, &BindRequest::default()).await.unwrap();
        setting.host.mifd.kill().await;
        assert_eq!(greeting_of(socket, SHARED_V4.into()).await.server, "isp2");
    });
}

#[test]
fn where_the_socket_lives_counts_and_not_its_caller() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe).await;
        let [pvd, _] = setting.pvds(Family::Ipv4).await;
        let elsewhere = universe.node("elsewhere");
        let foreign = elsewhere.within(|| socket(&Family::Ipv4, Type::STREAM, None));
        let refused = bind(&setting.host.connection, &pvd, &foreign, &BindRequest::default()).await;
        let (kind, text) = refusal(refused);
        assert_eq!(kind, ErrorKind::ForeignNamespace);
        assert!(text.contains("another network namespace"), "{text}");
        assert_eq!(foreign.device().unwrap(), None, "it is as it was");
        assert_eq!(foreign.local_addr().unwrap().as_socket().unwrap().port(), 0);
    });
}
