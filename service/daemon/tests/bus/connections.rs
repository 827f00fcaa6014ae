//! Connections that come about: a neighbour listens.

use crate::heard::Heard;
use crate::rig::{DEADLINE, PVD, Rig, SUBSCRIBER};
use crate::rig::{address, address_gone, options, path, with_service};
use crate::support::{ifindex, ip, neighbour, open_descriptors, universe, wait_for};
use mif_core::event::{Event, Link, LinkKind, LinkState};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use zbus::OwnedVariant;

pub(super) const PORT: u16 = 7;
const NO_SUCH_ID: &str = "org.ietf.Mif1.Error.NoSuchId";

/// A neighbour that greets and then says what it hears; a provisioning domain on the link to it.
fn with_neighbour<F: Future<Output = ()>>(test: impl FnOnce(Rig, String, String) -> F) {
    neighbour("eth0", &["192.0.2.1/24"], &["192.0.2.2/24"], || {
        let listener = TcpListener::bind(("192.0.2.2", PORT)).unwrap();
        std::thread::spawn(move || {
            // Some clients are gone before they are greeted.
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || drop(greet(&stream)));
            }
        });
    });
    let link = Link {
        ifindex: ifindex("eth0"),
        name: "eth0".to_owned(),
        alias: None,
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        master: None,
    };
    let events = vec![Event::Link(link), address(ifindex("eth0"), 1)];
    with_service(events, |mut rig| async move {
        let subscriber = rig.subscribe("connects").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        test(rig, subscriber, pvd).await;
    });
}

pub(super) fn greet(stream: &TcpStream) -> std::io::Result<u64> {
    let (mut from, mut to) = (stream, stream);
    writeln!(to, "hello {}", stream.peer_addr()?.ip())?;
    std::io::copy(&mut from, &mut to)
}

fn words(heard: &[Heard]) -> Vec<String> {
    heard.iter().map(Heard::words).collect()
}

/// Connects under `id`, and waits for Connected.
async fn connect(rig: &mut Rig, subscriber: &str, id: u32, pvd: &str) {
    let body = (id, path(pvd), "192.0.2.2", PORT, options::<u32>(&[]));
    rig.post(subscriber, SUBSCRIBER, "ConnectToAddress", &body).await;
    let heard = words(&rig.until(|heard| heard.what != "Reply").await);
    assert_eq!(heard, ["Reply".to_owned(), format!("Connected {id}")]);
}

async fn take(rig: &mut Rig, subscriber: &str, id: u32) -> Result<TcpStream, String> {
    let taken = rig.call(subscriber, SUBSCRIBER, "TakeConnection", &id).await;
    let reply = taken.map_err(|(name, _)| name)?;
    let socket: zbus::OwnedFd = reply.body().deserialize().unwrap();
    Ok(TcpStream::from(OwnedFd::from(socket)))
}

/// What is read up to the end of the line, then what comes back for `text`.
pub(super) fn talk(stream: &mut TcpStream, text: &str) -> (String, String) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let line = || {
        let mut bytes = Vec::new();
        while bytes.last() != Some(&b'\n') {
            let mut byte = [0];
            (&*stream).read_exact(&mut byte).unwrap();
            bytes.extend(byte);
        }
        String::from_utf8(bytes).unwrap().trim_end().to_owned()
    };
    let greeting = line();
    (&*stream).write_all(format!("{text}\n").as_bytes()).unwrap();
    (greeting, line())
}

#[test]
fn a_connected_socket_is_taken_once() {
    universe("connections::a_connected_socket_is_taken_once", || {
        with_neighbour(|mut rig, subscriber, pvd| async move {
            connect(&mut rig, &subscriber, 5, &pvd).await;
            // Without a reply it could go nowhere: it stays.
            rig.tell(&subscriber, "TakeConnection", &5_u32).await;
            let mut socket = take(&mut rig, &subscriber, 5).await.unwrap();
            assert_eq!(take(&mut rig, &subscriber, 5).await.unwrap_err(), NO_SUCH_ID);
            // It is the caller's now: the end of everything here does not touch it.
            rig.happen([address_gone(ifindex("eth0"), 1)]).await;
            rig.until(|heard| heard.words() == "InterfacesRemoved pvd/1000").await;
            rig.call(&subscriber, SUBSCRIBER, "Close", &()).await.unwrap();
            assert_eq!(
                talk(&mut socket, "still here"),
                ("hello 192.0.2.1".to_owned(), "still here".to_owned())
            );
        });
    });
}

#[test]
fn a_connected_socket_ends_with_its_provisioning_domain() {
    universe("connections::a_connected_socket_ends_with_its_provisioning_domain", || {
        with_neighbour(|mut rig, subscriber, pvd| async move {
            connect(&mut rig, &subscriber, 5, &pvd).await;
            rig.happen([address_gone(ifindex("eth0"), 1)]).await;
            let heard = words(&rig.until(|heard| heard.words() == "InterfacesRemoved pvd/1000").await);
            assert!(heard[0].starts_with("NotConnected 5 org.ietf.Mif1.Error.PvdGone "), "{heard:?}");
            assert_eq!(take(&mut rig, &subscriber, 5).await.unwrap_err(), NO_SUCH_ID);
        });
    });
}

#[test]
fn a_connection_under_way_does_not_outlive_its_source() {
    universe("connections::a_connection_under_way_does_not_outlive_its_source", || {
        with_neighbour(|mut rig, subscriber, pvd| async move {
            let link = ifindex("eth0");
            ip("address add 192.0.2.3/24 dev eth0");
            rig.happen([address(link, 3)]).await;
            // Somebody who never answers: SYNs go nowhere, as they do behind many firewalls.
            ip("neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0");
            let before = open_descriptors();
            let body = (5_u32, path(&pvd), "192.0.2.3", "192.0.2.77", PORT, options::<u32>(&[]));
            rig.call(&subscriber, SUBSCRIBER, "ConnectToAddressFromAddress", &body).await.unwrap();
            wait_for("the attempt", || syn_sent().contains(&"192.0.2.3".to_owned()));
            // Another address goes: that is of no account.
            ip("address add 192.0.2.4/24 dev eth0");
            rig.happen([address(link, 4)]).await;
            rig.happen([address_gone(link, 4)]).await;
            rig.happen([address_gone(link, 3)]).await;
            let heard = words(&rig.until(|heard| heard.words().starts_with("NotConnected")).await);
            let last = heard.last().unwrap();
            assert!(last.starts_with("NotConnected 5 org.ietf.Mif1.Error.SourceNotValid "), "{heard:?}");
            wait_for("every socket to be closed", || open_descriptors() <= before);

            // When the service chose it, the next one is tried.
            rig.happen([address(link, 3)]).await;
            let body = (6_u32, path(&pvd), "192.0.2.77", PORT, options::<u32>(&[]));
            rig.call(&subscriber, SUBSCRIBER, "ConnectToAddress", &body).await.unwrap();
            wait_for("the first attempt", || syn_sent() == ["192.0.2.1"]);
            rig.happen([address_gone(link, 1)]).await;
            wait_for("the second attempt", || syn_sent() == ["192.0.2.3"]);
            rig.call(&subscriber, SUBSCRIBER, "CancelConnection", &6_u32).await.unwrap();
            wait_for("its end", || syn_sent().is_empty());
            wait_for("every socket to be closed", || open_descriptors() <= before);
        });
    });
}

/// The sources of connections that are under way.
pub(super) fn syn_sent() -> Vec<String> {
    const SYN_SENT: &str = "02";
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let under_way = |line: &&str| line.split_whitespace().nth(3) == Some(SYN_SENT);
    let source = |line: &str| {
        let hexadecimal = line.split_whitespace().nth(1)?.split(':').next()?;
        let address = u32::from_str_radix(hexadecimal, 16).ok()?;
        Some(std::net::Ipv4Addr::from(address.to_ne_bytes()).to_string())
    };
    table.lines().skip(1).filter(under_way).filter_map(source).collect()
}

#[test]
fn a_cancelled_connection_is_gone() {
    universe("connections::a_cancelled_connection_is_gone", || {
        with_neighbour(|mut rig, subscriber, pvd| async move {
            // More often than there are places: each is free again.
            for _ in 0..40 {
                connect(&mut rig, &subscriber, 5, &pvd).await;
                rig.call(&subscriber, SUBSCRIBER, "CancelConnection", &5_u32).await.unwrap();
                assert_eq!(take(&mut rig, &subscriber, 5).await.unwrap_err(), NO_SUCH_ID);
            }
            for id in 0..40 {
                connect(&mut rig, &subscriber, id, &pvd).await;
                drop(take(&mut rig, &subscriber, id).await.unwrap());
            }
            assert_eq!(rig.settled().await.len(), 0);
        });
    });
}

#[test]
fn the_state_face_replies_with_the_socket() {
    universe("connections::the_state_face_replies_with_the_socket", || {
        with_neighbour(|mut rig, _, pvd| async move {
            let given = options(&[("source", "192.0.2.1")]);
            let reply = rig.call(&pvd, PVD, "ConnectToAddress", &("192.0.2.2", PORT, given)).await.unwrap();
            let body = reply.body();
            let (socket, details): (zbus::OwnedFd, BTreeMap<String, OwnedVariant>) =
                body.deserialize().unwrap();
            let keys = ["handshake-us", "local-address", "local-port", "remote-address"];
            assert_eq!(details.keys().collect::<Vec<_>>(), keys);
            let mut socket = TcpStream::from(OwnedFd::from(socket));
            assert_eq!(talk(&mut socket, "echo"), ("hello 192.0.2.1".to_owned(), "echo".to_owned()));
            let refused = ("192.0.2.2", PORT + 1, options::<u32>(&[]));
            let (name, message) = rig.call(&pvd, PVD, "ConnectToAddress", &refused).await.unwrap_err();
            assert_eq!(name, "org.ietf.Mif1.Error.ConnectionRefused");
            assert!(message.contains("192.0.2.2:8"), "{message}");
        });
    });
}
