//! Whose a socket is, to rules by uid and to netfilter: made by the service, which is a user of its own, or by the
//! program itself.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use mif::{BindRequest, ConnectRequest, ErrorKind, bind_socket, connect_to_address};
use mif_tests::cable::Cable;
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::node::Node;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::user::{MEMBER, SERVICE_USER, connect_as, uid_of};
use mif_tests::wait::{DEADLINE, completes};
use nix::unistd::{Uid, setresuid};
use socket2::{Domain, Socket, Type};
use zbus::{Connection, OwnedObjectPath};

/// IPv6: with IPv4 a rule that refuses does not hold for sockets that are bound to an interface, because the kernel
/// takes every destination that no route leads to to be on that link.
const SERVER: [u16; 8] = [0x2001, 0xdb8, 1, 0, 0, 0, 0, 1];

/// A host with a server beside it, mifd as its own user, and a client that is another.
struct Place {
    host: ServedHost,
    member: Connection,
    pvd: OwnedObjectPath,
    _echo: EchoServer,
}

impl Place {
    async fn start(universe: &Universe) -> Self {
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("2001:db8:1::2/64");
        cable.far().add_address("2001:db8:1::1/64");
        let echo = EchoServer::on(&server);
        let host = ServedHost::start(universe).await;
        let pvd = host.pvd("implicit:eth1:ipv6").await.path;
        let member = connect_as(&host.bus, MEMBER).await;
        Self { host, member, pvd, _echo: echo }
    }

    /// A socket that the service makes for the member.
    async fn made(&self) -> mif::Result<OwnedFd> {
        let request = ConnectRequest::new(SERVER.into(), ECHO_PORT);
        let connected =
            completes("a connection", connect_to_address(&self.member, &self.pvd, &request)).await?;
        Ok(connected.socket)
    }

    /// A socket that the member makes and has bound; not connected yet.
    async fn bound(&self) -> Socket {
        let socket = as_member(|| Socket::new(Domain::IPV6, Type::STREAM, None)).unwrap();
        let request = BindRequest::default();
        completes("a binding", bind_socket(&self.member, &self.pvd, &socket, &request)).await.unwrap();
        socket
    }
}

/// Does something as the member, on this thread.
fn as_member<T>(action: impl FnOnce() -> T) -> T {
    let (member, root) = (uid_of(MEMBER), Uid::from_raw(0));
    setresuid(member, member, root).unwrap();
    let done = action();
    setresuid(root, root, root).unwrap();
    done
}

/// Connects it as its owner would.
fn connect(socket: &Socket) -> std::io::Result<()> {
    as_member(|| socket.connect_timeout(&SocketAddr::from((SERVER, ECHO_PORT)).into(), DEADLINE))
}

fn check(socket: impl Into<OwnedFd>) {
    let stream = TcpStream::from(socket.into());
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(Greeting::read(&stream).unwrap().server, "server");
}

/// Counts the connections that each of the two users begins, as netfilter sees it.
fn count_owners(host: &Node) {
    let rule = |name: &str| {
        let uid = uid_of(name);
        format!("meta skuid {uid} tcp dport {ECHO_PORT} tcp flags & (syn|ack) == syn counter\n")
    };
    let rules = format!(
        "table inet owners {{\n chain output {{\n type filter hook output priority 0\n {}{} }}\n }}",
        rule(SERVICE_USER),
        rule(MEMBER)
    );
    host.run("nft", [rules]);
}

/// Those of the service user, and those of the member.
fn counted(host: &Node) -> [u64; 2] {
    host.counters("inet", "owners")
}

#[test]
fn rules_by_uid_follow_the_caller_and_netfilter_follows_the_maker() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let host = universe.host();
        count_owners(host);
        check(place.made().await.unwrap());
        assert_eq!(counted(host), [1, 0], "netfilter sees the service that made it");
        let own = place.bound().await;
        connect(&own).unwrap();
        check(own);
        assert_eq!(counted(host), [1, 1], "and of the member's own socket the member");

        // Routing rules by uid go by the owner of the socket: the member in both cases.
        let rule = |verb: &str| {
            let uid = uid_of(MEMBER);
            host.ip(&format!("-6 rule {verb} priority 10 uidrange {uid}-{uid} prohibit"));
        };
        let bound_before = place.bound().await;
        rule("add");
        let (kind, text) = refusal(place.made().await);
        assert_eq!(kind, ErrorKind::HostUnreachable, "{text}");
        assert!(text.contains("forbids"), "{text}");
        let error = connect(&bound_before).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
        // Root's are not meant by it.
        let request = ConnectRequest::new(SERVER.into(), ECHO_PORT);
        let of_root = connect_to_address(&place.host.connection, &place.pvd, &request);
        check(completes("a connection", of_root).await.unwrap().socket);
        rule("delete");
        check(place.made().await.unwrap());
        connect(&bound_before).unwrap();
        check(bound_before);
    });
}

#[test]
fn a_bound_socket_is_the_members_and_keeps_what_he_set() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let socket = as_member(|| Socket::new(Domain::IPV6, Type::STREAM, None)).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        socket.set_send_buffer_size(16_384).unwrap();
        let size = socket.send_buffer_size().unwrap();
        let request = BindRequest { local_port: Some(4_321), ..BindRequest::default() };
        completes("a binding", bind_socket(&place.member, &place.pvd, &socket, &request)).await.unwrap();
        assert!(socket.tcp_nodelay().unwrap());
        assert_eq!(socket.send_buffer_size().unwrap(), size);
        assert_eq!(nix::sys::stat::fstat(&socket).unwrap().st_uid, uid_of(MEMBER).as_raw());
        // What the service may and its caller may not: a port below 1024, a mark, another device.
        let low = as_member(|| Socket::new(Domain::IPV6, Type::STREAM, None)).unwrap();
        let request = BindRequest { local_port: Some(80), ..BindRequest::default() };
        let refused = completes("a refusal", bind_socket(&place.member, &place.pvd, &low, &request)).await;
        let (kind, text) = refusal(refused);
        assert_eq!(kind, ErrorKind::InvalidArgs);
        assert!(text.contains("1024"), "{text}");
        // Bound to its interface by the service, it cannot be moved to another by its owner.
        let moved = drop_rights_and(|| socket.bind_device(Some(b"lo")));
        assert_eq!(moved.unwrap_err().raw_os_error(), Some(libc::EPERM));
    });
}

/// Does something as the member on a thread that has no capabilities.
fn drop_rights_and<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let uid = libc::c_long::from(uid_of(MEMBER).as_raw());
            // SAFETY: this changes the credentials of this thread only, where libc would change all threads'.
            let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
            assert_eq!(result, 0, "become another user");
            action()
        });
        thread.join().unwrap()
    })
}
