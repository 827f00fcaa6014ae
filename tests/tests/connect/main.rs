//! Connect to Address (draft 3.5.19 to 3.5.22), over the bus, through two real ISPs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ends;
mod refusals;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use mif::wire::{Family, InterfaceState};
use mif::{
    ConnectRequest, ConnectedSocket, ErrorKind, Message, Messages, Protocol, Subscriber, TranslateOptions,
    connect_to_address,
};
use mif_tests::cable::Cable;
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::node::Node;
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::topology::{Isp, SHARED_V4, SHARED_V6, TwoIsps};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use socket2::SockRef;
use zbus::message::Flags;
use zbus::{Connection, OwnedObjectPath};

/// A port whose packets the ISPs drop: connections to it stay pending.
const SILENT_PORT: u16 = 9;

/// Two ISPs, mifd, and the PvDs of one family on both links.
struct Setting {
    isps: TwoIsps,
    host: ServedHost,
    first: OwnedObjectPath,
    second: OwnedObjectPath,
}

impl Setting {
    /// `config` is the text of mifd.toml. The PvDs are those of IPv4.
    async fn start(universe: &Universe, config: &str) -> Self {
        let isps = TwoIsps::start(universe).await;
        for isp in [&isps.first, &isps.second] {
            filter(isp.node());
        }
        let host = ServedHost::start_with(universe, |settings| settings.config(config)).await;
        let [first, second] = host.pvds([isps.first.link(), isps.second.link()], Family::Ipv4, true).await;
        Self { isps, host, first, second }
    }

    async fn connect(&self, pvd: &OwnedObjectPath, request: &ConnectRequest) -> mif::Result<ConnectedSocket> {
        connect(&self.host.connection, pvd, request).await
    }

    async fn subscriber(&self, token: &str) -> (Subscriber, Messages) {
        Subscriber::create(&self.host.connection, token).await.unwrap()
    }
}

async fn connect(
    connection: &Connection,
    pvd: &OwnedObjectPath,
    request: &ConnectRequest,
) -> mif::Result<ConnectedSocket> {
    completes(&format!("the outcome of {request:?}"), connect_to_address(connection, pvd, request)).await
}

/// Drops what goes to [`SILENT_PORT`] and counts the connections that are begun to the echo server; no way
/// leads to 203.0.113.250.
fn filter(node: &Node) {
    let rules = format!(
        "table inet testbed {{\n chain input {{\n type filter hook input priority 0\n \
         tcp dport {SILENT_PORT} counter drop\n \
         tcp dport {ECHO_PORT} tcp flags & (syn|ack) == syn counter\n }}\n }}"
    );
    node.run("nft", [rules]);
    node.ip("route add unreachable 203.0.113.250");
}

/// How many packets came to [`SILENT_PORT`], and how many connections to the echo server were begun.
fn counted(node: &Node) -> [u64; 2] {
    node.counters("inet", "testbed")
}

async fn greeting(socket: OwnedFd) -> Greeting {
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    tokio::task::spawn_blocking(move || Greeting::read(&stream)).await.unwrap().unwrap()
}

fn to(address: impl Into<IpAddr>) -> ConnectRequest {
    ConnectRequest::new(address.into(), ECHO_PORT)
}

fn silent() -> ConnectRequest {
    ConnectRequest::new(SHARED_V4.into(), SILENT_PORT)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The next message, which must be about connection `id`: the local end, or the error.
async fn outcome(messages: &mut Messages, id: u32) -> mif::Result<SocketAddr> {
    match next(messages).await {
        Message::Connected { connection_id, details } if connection_id == id => {
            let address = details.local_address.unwrap().parse().unwrap();
            Ok(SocketAddr::new(address, details.local_port.unwrap()))
        }
        Message::NotConnected { connection_id, error, .. } if connection_id == id => Err(error),
        other => panic!("not about connection {id}: {other:?}"),
    }
}

/// A socket is what the contract promises: bound to the link and source, blocking, closed on exec, the
/// caller's.
fn check_socket(socket: &OwnedFd, link: &str, local: SocketAddr) {
    let view = SockRef::from(socket);
    assert_eq!(view.local_addr().unwrap().as_socket().unwrap(), local);
    assert_eq!(view.device().unwrap().unwrap(), link.as_bytes());
    assert!(view.peer_addr().is_ok(), "it is connected");
    let status = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL).unwrap());
    assert!(!status.contains(OFlag::O_NONBLOCK), "{status:?}");
    let flags = FdFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFD).unwrap());
    assert!(flags.contains(FdFlag::FD_CLOEXEC), "{flags:?}");
    let inode = nix::sys::stat::fstat(socket.as_fd()).unwrap();
    assert_eq!(inode.st_uid, nix::unistd::getuid().as_raw());
}

#[test]
fn each_pvd_connects_through_its_own_isp() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let isps: [&Isp; 2] = [&setting.isps.first, &setting.isps.second];
        // Both ISPs lead to these, each to a server of its own.
        for (family, address) in [(Family::Ipv4, IpAddr::from(SHARED_V4)), (Family::Ipv6, SHARED_V6.into())] {
            let pvds = setting.host.pvds([isps[0].link(), isps[1].link()], family, true).await;
            for (pvd, isp) in pvds.iter().zip(isps) {
                let addresses = setting.host.addresses(pvd).await;
                let connected = setting.connect(pvd, &to(address)).await.unwrap();
                let local = connected.local.unwrap();
                assert!(addresses.contains(&local.ip()), "{local} is none of {addresses:?}");
                assert!(connected.handshake.unwrap() < Duration::from_secs(5));
                check_socket(&connected.socket, isp.link(), local);
                let seen = greeting(connected.socket).await;
                assert_eq!(
                    (seen.source, seen.port, seen.server.as_str()),
                    (local.ip(), local.port(), isp.node().name())
                );
                assert!(isp.gave(seen.source));
                // Each of its addresses can be the source.
                for source in addresses {
                    let request = ConnectRequest { source: Some(source), ..to(address) };
                    let connected = setting.connect(pvd, &request).await.unwrap();
                    assert_eq!(connected.local.unwrap().ip(), source);
                    assert_eq!(greeting(connected.socket).await.source, source);
                }
            }
        }
    });
}

#[test]
fn the_messages_lead_to_the_same_socket() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let (subscriber, mut messages) = setting.subscriber("connects").await;
        let pvd = &setting.second;
        let source = setting.host.addresses(pvd).await[0];
        let requests = [to(SHARED_V4), ConnectRequest { source: Some(source), ..to(SHARED_V4) }];
        for (id, request) in (3..).zip(requests) {
            subscriber.connect_to_address(id, pvd, &request).await.unwrap();
            assert_eq!(refusal(subscriber.connect_to_address(id, pvd, &request).await).0, ErrorKind::IdInUse);
            let local = outcome(&mut messages, id).await.unwrap();
            let socket = subscriber.take_connection(id).await.unwrap();
            check_socket(&socket, setting.isps.second.link(), local);
            let seen = greeting(socket).await;
            assert_eq!((seen.source, seen.server.as_str()), (source, "isp2"));
            let (kind, text) = refusal(subscriber.take_connection(id).await);
            assert_eq!(kind, ErrorKind::NoSuchId, "it was taken");
            assert!(text.contains(&id.to_string()), "{text}");
        }
        // A failure comes as a message, with the errno.
        subscriber.connect_to_address(3, pvd, &ConnectRequest { port: 1, ..to(SHARED_V4) }).await.unwrap();
        let Message::NotConnected { connection_id: 3, error, details } = next(&mut messages).await else {
            panic!()
        };
        assert_eq!(error.kind(), Some(ErrorKind::ConnectionRefused));
        assert!(error.to_string().contains("203.0.113.100:1"), "{error}");
        assert_eq!(details.errno, Some(libc::ECONNREFUSED));
        let foreign = ConnectRequest { source: Some(ip("192.0.2.250")), ..to(SHARED_V4) };
        subscriber.connect_to_address(3, pvd, &foreign).await.unwrap();
        assert_eq!(refusal(outcome(&mut messages, 3).await).0, ErrorKind::SourceNotValid);
    });
}

#[test]
fn multipath_tcp_where_the_kernel_has_it() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let request = ConnectRequest { protocol: Protocol::Mptcp, ..to(SHARED_V4) };
        let connected = setting.connect(&setting.second, &request).await;
        let has_it = fs::read_to_string("/proc/sys/net/mptcp/enabled").is_ok_and(|text| text.trim() == "1");
        if !has_it {
            assert_eq!(refusal(connected).0, ErrorKind::NotSupported);
            return;
        }
        let connected = connected.unwrap();
        let protocol = SockRef::from(&connected.socket).protocol().unwrap();
        assert_eq!(protocol, Some(socket2::Protocol::MPTCP));
        check_socket(&connected.socket, setting.isps.second.link(), connected.local.unwrap());
        assert_eq!(greeting(connected.socket).await.server, "isp2");
    });
}
