//! BindSocket: a caller's own sockets, good ones and others.

use crate::rig::{DEADLINE, PEER, PVD, ROOT, Rig, address, address_gone, call, options, with_service};
use crate::support::{bad_inputs, ifindex, ip, neighbour, open_descriptors, universe, wait_for};
use mif_core::event::{Event, Link, LinkKind, LinkState};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};
use zbus::OwnedVariant;

const PORT: u16 = 7;
const NOT_USABLE: &str = "org.ietf.Mif1.Error.SocketNotUsable";
const INVALID: &str = "org.freedesktop.DBus.Error.InvalidArgs";

/// A neighbour that accepts connections and reads nothing; a provisioning domain on the link to it.
fn with_neighbour<F: Future<Output = ()>>(test: impl FnOnce(Rig, String) -> F) {
    neighbour("eth0", &["192.0.2.1/24", "192.0.2.3/24"], &["192.0.2.2/24"], || {
        let listener = TcpListener::bind(("192.0.2.2", PORT)).unwrap();
        std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    });
    let link = Link {
        ifindex: ifindex("eth0"),
        name: "eth0".to_owned(),
        alias: None,
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        master: None,
    };
    let events = vec![Event::Link(link), address(ifindex("eth0"), 1), address(ifindex("eth0"), 3)];
    with_service(events, |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        test(rig, pvd).await;
    });
}

fn tcp() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn udp() -> Socket {
    Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap()
}

type Details = BTreeMap<String, OwnedVariant>;

async fn bind<'a, T: Clone + Into<zbus::Variant<'a>>>(
    rig: &mut Rig,
    pvd: &str,
    socket: &impl AsFd,
    given: &[(&'a str, T)],
) -> Result<Details, (String, String)> {
    let body = (zbus::Fd::from(socket.as_fd()), options(given));
    let reply = rig.call(pvd, PVD, "BindSocket", &body).await?;
    Ok(reply.body().deserialize().unwrap())
}

async fn bind_simply(rig: &mut Rig, pvd: &str, socket: &impl AsFd) -> Result<Details, (String, String)> {
    bind::<&str>(rig, pvd, socket, &[]).await
}

fn word(details: &Details, key: &str) -> String {
    String::try_from(details[key].clone()).unwrap()
}

fn local(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

fn far_end() -> SockAddr {
    "192.0.2.2:7".parse::<SocketAddr>().unwrap().into()
}

#[test]
fn a_fresh_socket_gets_device_and_source() {
    universe("binding::a_fresh_socket_gets_device_and_source", || {
        with_neighbour(|mut rig, pvd| async move {
            let socket = tcp();
            socket.set_keepalive(true).unwrap();
            let details = bind_simply(&mut rig, &pvd, &socket).await.unwrap();
            assert_eq!(details.keys().collect::<Vec<_>>(), ["device", "source"], "no port is chosen yet");
            assert_eq!(
                (word(&details, "device"), word(&details, "source")),
                ("eth0".into(), "192.0.2.1".into())
            );
            assert_eq!(local(&socket).to_string(), "192.0.2.1:0");
            assert_eq!(socket.device().unwrap().unwrap(), b"eth0");
            assert!(socket.keepalive().unwrap(), "the caller's options stay");
            socket.connect(&far_end()).unwrap();
            assert_ne!(local(&socket).port(), 0);

            let socket = tcp();
            let details = bind(&mut rig, &pvd, &socket, &[("source", "192.0.2.3")]).await.unwrap();
            assert_eq!(word(&details, "source"), "192.0.2.3");
            socket.connect(&far_end()).unwrap();
            assert_eq!(local(&socket).ip().to_string(), "192.0.2.3");

            // Of UDP the port is chosen at once: programs tell others of it before they send.
            let socket = udp();
            let details = bind(&mut rig, &pvd, &socket, &[("destination", "192.0.2.2")]).await.unwrap();
            let port = u16::try_from(details["local-port"].clone()).unwrap();
            assert_eq!(local(&socket).to_string(), format!("192.0.2.1:{port}"));
            assert_ne!(port, 0);

            // A listener on a port of its own.
            let socket = tcp();
            let details = bind(&mut rig, &pvd, &socket, &[("local-port", 8080_u16)]).await.unwrap();
            assert_eq!(u16::try_from(details["local-port"].clone()).unwrap(), 8080);
            socket.listen(1).unwrap();
            let taken = bind(&mut rig, &pvd, &tcp(), &[("local-port", 8080_u16)]).await.unwrap_err();
            assert_eq!(taken.0, "org.freedesktop.DBus.Error.AddressInUse");
            assert!(taken.1.contains("port 8080 of 192.0.2.1"), "{}", taken.1);
        });
    });
}

#[test]
fn sockets_that_are_not_fresh_are_left_alone() {
    universe("binding::sockets_that_are_not_fresh_are_left_alone", || {
        with_neighbour(|mut rig, pvd| async move {
            let bound = tcp();
            bound.bind(&"192.0.2.3:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            let connected = tcp();
            connected.connect(&far_end()).unwrap();
            let listening = tcp();
            listening.listen(1).unwrap();
            let on_device = tcp();
            on_device.bind_device(Some(b"lo")).unwrap();
            let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
            let other_family = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            let over = tcp();
            over.connect(&far_end()).unwrap();
            over.shutdown(std::net::Shutdown::Both).unwrap();
            let (unix, _peer) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
            let datagrams = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
            let netlink = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, None).unwrap();
            for (socket, told) in [
                (bound, "bound to 192.0.2.3"),
                (connected, "connected"),
                (listening, "listens"),
                (on_device, "interface with index 1"),
                (raw, "TCP, MPTCP or UDP"),
                (other_family, "IPv6, which implicit:eth0:ipv4"),
                (over, "connected"),
                (unix, "not of the Internet"),
                (datagrams, "not of the Internet"),
                (netlink, "not of the Internet"),
            ] {
                bad_inputs(1);
                let before = (socket.local_addr().unwrap().as_socket(), socket.device().unwrap());
                let (name, message) = bind_simply(&mut rig, &pvd, &socket).await.unwrap_err();
                assert_eq!(name, NOT_USABLE, "{message}");
                assert!(message.contains(told), "{message}");
                assert_eq!((socket.local_addr().unwrap().as_socket(), socket.device().unwrap()), before);
            }
            let path = File::options().read(true).custom_flags(libc::O_PATH).open("/").unwrap();
            let (end_of_pipe, _other_end) = std::io::pipe().unwrap();
            let null = File::open("/dev/null").unwrap();
            let folder = File::open("/proc/self").unwrap();
            for file in [null.as_fd(), path.as_fd(), folder.as_fd(), end_of_pipe.as_fd()] {
                bad_inputs(1);
                let (name, message) = bind_simply(&mut rig, &pvd, &file).await.unwrap_err();
                assert_eq!(
                    (name.as_str(), message.as_str()),
                    (NOT_USABLE, "the file descriptor is no socket")
                );
            }
        });
    });
}

#[test]
fn wrong_options_and_provisioning_domains() {
    universe("binding::wrong_options_and_provisioning_domains", || {
        with_neighbour(|mut rig, pvd| async move {
            let socket = tcp();
            for (key, value, error, told) in [
                ("source", "192.0.2.9", "org.ietf.Mif1.Error.SourceNotValid", "192.0.2.9"),
                ("source", "fe80::1%eth0", INVALID, "without a zone"),
                ("destination", "127.0.0.1", INVALID, "loopback"),
                ("destination", "::ffff:192.0.2.2", INVALID, "IPv4 socket"),
                ("destination", "www.example", INVALID, "www.example"),
                ("timeout", "1", INVALID, "source, destination, local-port"),
            ] {
                let (name, message) = bind(&mut rig, &pvd, &socket, &[(key, value)]).await.unwrap_err();
                assert_eq!(name, error, "{message}");
                assert!(message.contains(told), "{message}");
            }
            let (name, message) = bind(&mut rig, &pvd, &socket, &[("local-port", 80_u16)]).await.unwrap_err();
            assert_eq!(name, INVALID);
            assert!(message.contains("1024"), "{message}");
            let (name, _) = bind(&mut rig, &pvd, &socket, &[("local-port", 80_u32)]).await.unwrap_err();
            assert_eq!(name, INVALID);
            // Without a descriptor.
            let (name, message) =
                rig.call(&pvd, PVD, "BindSocket", &(options::<u32>(&[]),)).await.unwrap_err();
            assert_eq!(name, INVALID);
            assert!(message.contains("ha{sv}"), "{message}");
            // On an object that cannot.
            let body = (zbus::Fd::from(socket.as_fd()), options::<u32>(&[]));
            let (name, _) = rig.call(ROOT, PVD, "BindSocket", &body).await.unwrap_err();
            assert_eq!(name, "org.freedesktop.DBus.Error.UnknownInterface");
            // Its source has just gone, and the service does not know yet.
            ip("address delete 192.0.2.3/24 dev eth0");
            let gone = bind(&mut rig, &pvd, &socket, &[("source", "192.0.2.3")]).await.unwrap_err();
            assert_eq!(gone.0, "org.ietf.Mif1.Error.SourceNotValid");
            // After all that it is as fresh as before.
            assert_eq!(local(&socket).to_string(), "0.0.0.0:0");
            assert_eq!(socket.device().unwrap(), None);
            bind_simply(&mut rig, &pvd, &socket).await.unwrap();
            // The provisioning domain goes.
            rig.happen([address_gone(ifindex("eth0"), 1), address_gone(ifindex("eth0"), 3)]).await;
            rig.until(|heard| heard.words() == "InterfacesRemoved pvd/1000").await;
            let (name, _) = bind_simply(&mut rig, &pvd, &tcp()).await.unwrap_err();
            assert_eq!(name, "org.freedesktop.DBus.Error.UnknownObject");
        });
    });
}

#[test]
fn a_socket_of_another_network_namespace() {
    universe("binding::a_socket_of_another_network_namespace", || {
        with_neighbour(|mut rig, pvd| async move {
            let elsewhere = std::thread::spawn(|| {
                // SAFETY: unshare changes the namespace of this thread only, and touches no memory.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "unshare");
                tcp()
            });
            let socket = elsewhere.join().unwrap();
            let (name, message) = bind_simply(&mut rig, &pvd, &socket).await.unwrap_err();
            assert_eq!(name, "org.ietf.Mif1.Error.ForeignNamespace");
            assert!(message.contains("another network namespace"), "{message}");
            assert_eq!(local(&socket).to_string(), "0.0.0.0:0");
        });
    });
}

#[test]
fn multipath_tcp_sockets_are_bound_where_the_kernel_has_them() {
    universe("binding::multipath_tcp_sockets_are_bound_where_the_kernel_has_them", || {
        with_neighbour(|mut rig, pvd| async move {
            let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)) else {
                let enabled = std::fs::read_to_string("/proc/sys/net/mptcp/enabled").unwrap_or_default();
                assert_ne!(enabled.trim(), "1", "the kernel says that it has them");
                return;
            };
            bind_simply(&mut rig, &pvd, &socket).await.unwrap();
            socket.connect(&far_end()).unwrap();
            assert_eq!(local(&socket).ip().to_string(), "192.0.2.1");
            assert_eq!(socket.device().unwrap().unwrap(), b"eth0");
        });
    });
}

/// A connected socket with data that the far end does not take, which lingers for longer than anybody waits.
fn lingering() -> TcpStream {
    let stream = TcpStream::connect("192.0.2.2:7").unwrap();
    SockRef::from(&stream).set_linger(Some(10 * DEADLINE)).unwrap();
    stream.set_nonblocking(true).unwrap();
    while (&stream).write(&[0; 65536]).is_ok() {}
    stream
}

#[test]
fn closing_what_callers_send_keeps_nobody_waiting() {
    universe("binding::closing_what_callers_send_keeps_nobody_waiting", || {
        with_neighbour(|mut rig, pvd| async move {
            let since = Instant::now();
            for (path, interface, member) in [(&*pvd, PVD, "BindSocket"), (ROOT, PEER, "Ping")].repeat(4) {
                let stream = lingering();
                let body = (zbus::Fd::from(stream.as_fd()), options::<u32>(&[]));
                let message = call(path, interface, member).build(&body).unwrap();
                let serial = rig.send(&message).await;
                // The service has it now. Whoever closes it last waits: it or this thread.
                std::thread::spawn(move || drop((stream, message)));
                rig.reply_to(serial).await.unwrap_err();
            }
            rig.call(ROOT, PEER, "Ping", &()).await.unwrap();
            assert!(since.elapsed() < DEADLINE, "it waited: {:?}", since.elapsed());
        });
    });
}

#[test]
fn nothing_is_left_of_many_bindings() {
    universe("binding::nothing_is_left_of_many_bindings", || {
        with_neighbour(|mut rig, pvd| async move {
            bind_simply(&mut rig, &pvd, &udp()).await.unwrap();
            wait_for("the first one to be closed", || sockets_of(&udp_table()) == 0);
            let before = open_descriptors();
            for _ in 0..200 {
                bind_simply(&mut rig, &pvd, &udp()).await.unwrap();
                let (name, _) =
                    bind_simply(&mut rig, &pvd, &File::open("/dev/null").unwrap()).await.unwrap_err();
                assert_eq!(name, NOT_USABLE);
            }
            wait_for("all to be closed", || open_descriptors() <= before);
            // Without a reply it is bound all the same.
            let socket = udp();
            let body = (zbus::Fd::from(socket.as_fd()), options::<u32>(&[]));
            rig.tell(&pvd, "BindSocket", &body).await;
            wait_for("the socket to be bound", || local(&socket).port() != 0);
            assert_eq!(rig.settled().await.len(), 0);
        });
    });
}

fn udp_table() -> String {
    std::fs::read_to_string("/proc/thread-self/net/udp").unwrap()
}

fn sockets_of(table: &str) -> usize {
    table.lines().skip(1).count()
}

#[test]
fn datagrams_go_to_several_peers() {
    universe("binding::datagrams_go_to_several_peers", || {
        neighbour("eth0", &["192.0.2.1/24"], &["192.0.2.2/24", "192.0.2.4/24"], || {
            for peer in ["192.0.2.2:7", "192.0.2.4:7"] {
                let socket = UdpSocket::bind(peer).unwrap();
                std::thread::spawn(move || {
                    let mut bytes = [0; 64];
                    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                        drop(socket.send_to(&bytes[..length], from));
                    }
                });
            }
        });
        let link = Link {
            ifindex: ifindex("eth0"),
            name: "eth0".to_owned(),
            alias: None,
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            master: None,
        };
        with_service(vec![Event::Link(link), address(ifindex("eth0"), 1)], |mut rig| async move {
            let pvd = rig.pvd("implicit:eth0:ipv4").await;
            let socket = udp();
            bind_simply(&mut rig, &pvd, &socket).await.unwrap();
            let socket = UdpSocket::from(socket);
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            for peer in ["192.0.2.2:7", "192.0.2.4:7", "192.0.2.2:7"] {
                socket.send_to(b"hello", peer).unwrap();
                let (_, from) = socket.recv_from(&mut [0; 64]).unwrap();
                assert_eq!(from.to_string(), peer);
            }
        });
    });
}
