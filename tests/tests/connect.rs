//! Connect to Address (draft 3.5.19 to 3.5.22), over the bus, through two real ISPs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

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
fn what_is_cancelled_or_left_is_closed_in_silence() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let before = setting.host.descriptors();
        let (subscriber, mut messages) = setting.subscriber("cancels").await;
        subscriber.connect_to_address(1, &setting.first, &silent()).await.unwrap();
        setting.host.wait_for_descriptors(before + 1).await;
        assert_eq!(
            refusal(subscriber.take_connection(1).await).0,
            ErrorKind::NoSuchId,
            "it is not connected"
        );
        subscriber.cancel_connection(1).await.unwrap();
        setting.host.wait_for_descriptors(before).await;

        // Connected, and then not wanted: the server sees the end. Nothing is said of either.
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        assert_eq!(setting.host.descriptors(), before + 1);
        subscriber.cancel_connection(1).await.unwrap();
        setting.host.wait_for_descriptors(before).await;
        assert_eq!(refusal(subscriber.take_connection(1).await).0, ErrorKind::NoSuchId);
        subscriber.cancel_connection(1).await.unwrap();
        subscriber.cancel_connection(77).await.unwrap();
        subscriber.close().await.unwrap();
        let last = next(&mut messages).await;
        assert!(matches!(last, Message::Closed { .. }), "{last:?}");

        // A client that leaves with connections pending and not taken.
        let leaving = setting.host.bus.connect().await;
        let (subscriber, mut messages) = Subscriber::create(&leaving, "leaves").await.unwrap();
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        subscriber.connect_to_address(2, &setting.first, &silent()).await.unwrap();
        let call = tokio::spawn({
            let (connection, pvd) = (leaving.clone(), setting.second.clone());
            async move { drop(connect_to_address(&connection, &pvd, &silent()).await) }
        });
        // Three sockets, and the look at the client's process.
        setting.host.wait_for_descriptors(before + 4).await;
        call.abort();
        drop((subscriber, messages));
        leaving.close().await.unwrap();
        setting.host.wait_for_descriptors(before).await;
    });
}

#[test]
fn failures_are_told_apart() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let pvd = &setting.first;
        let refused = setting.connect(pvd, &ConnectRequest { port: 1, ..to(SHARED_V4) }).await;
        assert_eq!(refusal(refused).0, ErrorKind::ConnectionRefused);
        let (kind, text) = refusal(setting.connect(pvd, &to(ip("203.0.113.250"))).await);
        assert_eq!(kind, ErrorKind::HostUnreachable, "{text}");

        let since = Instant::now();
        let hasty = ConnectRequest { timeout: Some(Duration::from_millis(300)), ..silent() };
        assert_eq!(refusal(setting.connect(pvd, &hasty).await).0, ErrorKind::TimedOut);
        let took = since.elapsed();
        assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");

        // Sources: of the other PvD, of nobody, of the other family.
        let other = setting.host.addresses(&setting.second).await[0];
        for source in [other, ip("192.0.2.250"), ip("2001:db8:1:1::1")] {
            let request = ConnectRequest { source: Some(source), ..to(SHARED_V4) };
            let (kind, text) = refusal(setting.connect(pvd, &request).await);
            assert_eq!(kind, ErrorKind::SourceNotValid);
            assert!(text.contains(&source.to_string()), "{text}");
        }
        let (kind, text) = refusal(setting.connect(pvd, &to(SHARED_V6)).await);
        assert_eq!(kind, ErrorKind::NetworkUnreachable);
        assert!(text.contains("IPv6"), "{text}");
    });
}

#[test]
fn what_cannot_be_connected_to_is_refused_in_words_before_any_packet() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let own = setting.host.addresses(&setting.first).await[0];
        let links = [setting.isps.first.link(), setting.isps.second.link()];
        let [v6_pvd, _] = setting.host.pvds(links, Family::Ipv6, true).await;
        let own_v6 = setting.host.addresses(&v6_pvd).await[0];
        let cases = [
            (&setting.first, own, "an address of this host"),
            (&setting.second, own, "an address of this host"),
            (&v6_pvd, own_v6, "an address of this host"),
            (&setting.first, ip("127.0.0.1"), "loopback"),
            (&v6_pvd, ip("::1"), "loopback"),
            (&setting.first, ip("0.0.0.0"), "unspecified"),
            (&v6_pvd, ip("::"), "unspecified"),
            (&setting.first, ip("224.0.0.1"), "multicast"),
            (&v6_pvd, ip("ff02::1"), "multicast"),
            (&setting.first, ip("255.255.255.255"), "broadcast"),
            (&setting.first, ip("192.0.2.255"), "broadcast"),
            (&v6_pvd, ip("::ffff:203.0.113.100"), "give 203.0.113.100"),
        ];
        let (subscriber, mut messages) = setting.subscriber("refused").await;
        for (pvd, address, told) in cases {
            let (kind, text) = refusal(setting.connect(pvd, &to(address)).await);
            assert_eq!(kind, ErrorKind::InvalidArgs, "{address}: {text}");
            assert!(text.contains(told) && text.contains(&address.to_string()), "{address}: {text}");
            // A wrong argument is refused at once on the other face too.
            let posted = subscriber.connect_to_address(1, pvd, &to(address)).await;
            assert_eq!(refusal(posted), (kind, text));
        }
        let (kind, text) =
            refusal(setting.connect(&setting.first, &ConnectRequest { port: 0, ..to(SHARED_V4) }).await);
        assert_eq!(kind, ErrorKind::InvalidArgs);
        assert!(text.contains("1 to 65535"), "{text}");
        for timeout in [Duration::ZERO, Duration::from_secs(121)] {
            let request = ConnectRequest { timeout: Some(timeout), ..to(SHARED_V4) };
            let (kind, text) = refusal(setting.connect(&setting.first, &request).await);
            assert_eq!(kind, ErrorKind::InvalidArgs);
            assert!(text.contains("120000"), "{text}");
        }
        // Nothing of all that was accepted: the id is free and no message came.
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        assert_eq!(counted(setting.isps.first.node()), [0, 1]);
        assert_eq!(counted(setting.isps.second.node()), [0, 0]);
    });
}

#[test]
fn without_a_reply_nothing_is_attempted() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let body = ("203.0.113.100", ECHO_PORT, std::collections::HashMap::<&str, zbus::Variant<'_>>::new());
        let call = zbus::Message::method_call(&setting.first, "ConnectToAddress")
            .destination("org.ietf.Mif1")
            .interface("org.ietf.Mif1.ProvisioningDomain")
            .with_flags(Flags::NO_REPLY_EXPECTED)
            .build(&body)
            .unwrap();
        setting.host.connection.send(&call).await.unwrap();
        // One that wants its reply, behind it.
        let connected = setting.connect(&setting.first, &to(SHARED_V4)).await.unwrap();
        greeting(connected.socket).await;
        assert_eq!(counted(setting.isps.first.node()), [0, 1]);
    });
}

#[test]
fn a_link_without_carrier_is_unreachable_and_comes_back() {
    universe::run(async |universe| {
        // An address that nobody takes away with the carrier, as dhcpcd and the kernel do with theirs.
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        let config = "[interfaces]\ngrace-ms = 60000\n";
        let host = ServedHost::start_with(&universe, |settings| settings.config(config)).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let request = to(ip("192.0.2.1"));
        greeting(connect(&host.connection, &pvd, &request).await.unwrap().socket).await;

        cable.pull().await;
        eventually("the link to be down", async || {
            let state = host.state().await;
            let link = state.interfaces.iter().find(|link| link.name == "eth1").unwrap();
            if link.state == InterfaceState::Down { Ok(()) } else { Err(link.state.to_string()) }
        })
        .await;
        let (kind, text) = refusal(connect(&host.connection, &pvd, &request).await);
        assert_eq!(kind, ErrorKind::NetworkUnreachable);
        assert!(text.contains("is down"), "{text}");
        cable.plug(&[]).await;
        let connected = eventually("a connection through the link", async || {
            connect(&host.connection, &pvd, &request).await
        })
        .await;
        assert_eq!(greeting(connected.socket).await.server, "server");
    });
}

#[test]
fn connections_end_with_their_pvd_unless_they_were_taken() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "[interfaces]\ngrace-ms = 0\n").await;
        let before = setting.host.descriptors();
        let (subscriber, mut messages) = setting.subscriber("loses").await;
        let taken = setting.connect(&setting.first, &to(SHARED_V4)).await.unwrap();
        let local = taken.local.unwrap();
        subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        subscriber.connect_to_address(2, &setting.first, &silent()).await.unwrap();
        let call = tokio::spawn({
            let (connection, pvd) = (setting.host.connection.clone(), setting.first.clone());
            async move { connect_to_address(&connection, &pvd, &silent()).await }
        });
        setting.host.wait_for_descriptors(before + 3).await;

        setting.isps.first.pull_cable().await;
        for _ in 1..=2 {
            let message = next(&mut messages).await;
            let Message::NotConnected { connection_id: 1 | 2, error, .. } = message else {
                panic!("{message:?}")
            };
            assert_eq!(error.kind(), Some(ErrorKind::PvdGone));
        }
        let called = completes("the reply of the call", call).await.unwrap();
        assert_eq!(refusal(called).0, ErrorKind::PvdGone);
        setting.host.wait_for_descriptors(before).await;
        assert_eq!(refusal(subscriber.take_connection(1).await).0, ErrorKind::NoSuchId);
        let again = subscriber.connect_to_address(1, &setting.first, &to(SHARED_V4)).await;
        assert_eq!(refusal(again).0, ErrorKind::PvdGone);
        assert_eq!(
            refusal(setting.connect(&setting.first, &to(SHARED_V4)).await).0,
            ErrorKind::UnknownObject
        );
        // What was taken is the client's, where it was.
        check_socket(&taken.socket, setting.isps.first.link(), local);
    });
}

#[test]
fn a_taken_socket_outlives_the_service() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let (subscriber, mut messages) = setting.subscriber("taken").await;
        subscriber.connect_to_address(1, &setting.second, &to(SHARED_V4)).await.unwrap();
        outcome(&mut messages, 1).await.unwrap();
        let mut stream = TcpStream::from(subscriber.take_connection(1).await.unwrap());
        setting.host.mifd.kill().await;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let said = tokio::task::spawn_blocking(move || {
            stream.write_all(b"still here\n").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            said
        });
        let said = said.await.unwrap();
        assert!(said.ends_with(" isp2\nstill here\n"), "{said:?}");
    });
}

#[test]
fn nothing_is_left_of_five_hundred_connections() {
    universe::run(async |universe| {
        let setting = Setting::start(&universe, "").await;
        let (subscriber, mut messages) = setting.subscriber("many").await;
        let before = setting.host.descriptors();
        for id in 0..250 {
            drop(setting.connect(&setting.first, &to(SHARED_V4)).await.unwrap());
            subscriber.connect_to_address(id, &setting.second, &to(SHARED_V4)).await.unwrap();
            outcome(&mut messages, id).await.unwrap();
            drop(subscriber.take_connection(id).await.unwrap());
        }
        setting.host.wait_for_descriptors(before).await;
        assert_eq!(counted(setting.isps.first.node()), [0, 250]);
        assert_eq!(counted(setting.isps.second.node()), [0, 250]);

        // No more than a client may have at once, and each that ends makes room for another.
        let limit = 32;
        for id in 0..limit {
            subscriber.connect_to_address(id, &setting.first, &silent()).await.unwrap();
        }
        let (kind, text) = refusal(subscriber.connect_to_address(limit, &setting.first, &silent()).await);
        assert_eq!(kind, ErrorKind::LimitsExceeded);
        assert!(text.contains("32"), "{text}");
        subscriber.cancel_connection(0).await.unwrap();
        subscriber.connect_to_address(limit, &setting.first, &silent()).await.unwrap();
        subscriber.close().await.unwrap();
        setting.host.wait_for_descriptors(before).await;
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

#[test]
fn a_client_in_another_network_gets_no_packet_sent_though_it_is_root() {
    universe::run(async |universe| {
        // The service is elsewhere: it has the cable to the server, and this program has not.
        let (elsewhere, server) = (universe.node("elsewhere"), universe.node("server"));
        let cable = Cable::between(elsewhere.end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        filter(&server);
        let host = ServedHost::start_with(&universe, |settings| settings.on(&elsewhere)).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let name = "192.0.2.1";

        let connected = connect(&host.connection, &pvd, &to(ip(name))).await;
        assert_eq!(refusal(connected).0, ErrorKind::ForeignNamespace);
        let translated =
            mif::translate_name(&host.connection, &pvd, name, &TranslateOptions::default()).await;
        assert_eq!(refusal(translated).0, ErrorKind::ForeignNamespace);
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "foreign").await.unwrap();
        subscriber.connect_to_address(1, &pvd, &to(ip(name))).await.unwrap();
        assert_eq!(refusal(outcome(&mut messages, 1).await).0, ErrorKind::ForeignNamespace);
        subscriber.translate_name(1, &pvd, name, &TranslateOptions::default()).await.unwrap();
        let message = next(&mut messages).await;
        let Message::TranslationFinished { translation_id: 1, outcome, .. } = message else {
            panic!("{message:?}")
        };
        assert_eq!(refusal(outcome).0, ErrorKind::ForeignNamespace);
        assert_eq!(counted(&server), [0, 0]);

        // A program that lives with the service is served.
        let call = |method: &str, arguments: &[&str]| {
            let method = format!("org.ietf.Mif1.ProvisioningDomain.{method}");
            let words =
                ["call", "--system", "--dest=org.ietf.Mif1", "--object-path", &pvd, "--method", &method];
            elsewhere.run("gdbus", [&words[..], arguments].concat())
        };
        assert!(call("TranslateName", &[name, "{}"]).contains("literal"));
        call("ConnectToAddress", &[name, &ECHO_PORT.to_string(), "{}"]);
        assert_eq!(counted(&server), [0, 1]);
    });
}
