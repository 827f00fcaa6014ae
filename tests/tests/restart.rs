//! The service ends, well or badly, and starts again: clients notice and recover, and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;

use mif::wire::ClosedReason;
use mif::{ConnectRequest, ErrorKind, Message, State, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::daemons::MifdSettings;
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::node::Node;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, next};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually};
use nix::sys::signal::Signal;
use zbus::ObjectPath;

/// A cable from `eth1` of the host, which has an address, to a router.
async fn cable_to_router(universe: &Universe) -> Cable {
    let router = universe.node("router");
    let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
    let cable = Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await;
    cable.near().add_address("192.0.2.9/24");
    cable.far().add_address("192.0.2.1/24");
    cable
}

const HEARD: &str = "implicit:eth1:ipv6:fe80::ff:fe00:1";
const BY_HAND: &str = "implicit:eth1:ipv4";

fn paths(state: &State) -> BTreeSet<String> {
    let interfaces = state.interfaces.iter().map(|interface| interface.path.to_string());
    interfaces.chain(state.pvds().map(|pvd| pvd.path.to_string())).collect()
}

/// What a service could leave in a machine: rules, routes, sockets and files.
fn traces(host: &Node) -> Vec<String> {
    let mut lines: Vec<String> = [
        host.ip("rule show"),
        host.ip("-6 rule show"),
        host.ip("route show table all"),
        host.ip("-6 route show table all"),
        host.run("ss", ["--all", "--numeric", "--no-header", "--tcp", "--udp", "--raw", "--packet"]),
    ]
    .iter()
    .flat_map(|text| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")))
    // The kernel's own come and go with addresses and advertisements.
    .filter(|line| !line.contains(" proto kernel ") && !line.contains(" proto ra "))
    .collect();
    files_below(Path::new("/run"), &mut lines);
    files_below(Path::new("/tmp"), &mut lines);
    files_below(Path::new("/var"), &mut lines);
    lines.sort();
    lines
}

fn files_below(folder: &Path, found: &mut Vec<String>) {
    // Where the sources lie below one of these folders, so does what others built there.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // The testbed keeps logs there, one more with each start.
        if path == Path::new("/run/testbed") || path == Path::new("/var/run") {
            continue;
        }
        found.push(path.display().to_string());
        if entry.file_type().unwrap().is_dir() {
            files_below(&path, found);
        }
    }
}

#[test]
fn a_killed_service_starts_again_and_its_clients_recover() {
    universe::run(async |universe| {
        let (host, cable) = (universe.host(), cable_to_router(&universe).await);
        let _echo = EchoServer::on(cable.far().node());
        let bus = mif_tests::daemons::Bus::start(&universe).await;
        let clean = traces(host);
        let mut mifd = mif_tests::daemons::Mifd::start(&universe, &bus).await;
        let connection = bus.connect().await;
        let mut served = ServedHost { bus: bus.clone(), mifd: mifd.clone(), connection };

        let advertisement = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
        RawSender::on(cable.far()).send(advertisement.bytes());
        served.pvd_where(HEARD, |pvd| !pvd.addresses.is_empty()).await;
        let before =
            served.until("the start to be over", |state| (!state.startup).then(|| state.clone())).await;
        let pvd = served.pvd(BY_HAND).await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "survivor").await.unwrap();
        subscriber.announce_interfaces().await.unwrap();
        let request = ConnectRequest::new("192.0.2.1".parse().unwrap(), ECHO_PORT);
        let taken = mif::connect_to_address(&served.connection, &pvd.path, &request).await.unwrap();

        mifd.kill().await;
        // The client is told, by its library, at the end of what had come.
        let closed = eventually_closed(&mut messages).await;
        assert_eq!(closed, ClosedReason::ServiceGone);
        let gone = State::read(&served.connection).await.unwrap_err();
        assert_eq!(gone.kind(), Some(ErrorKind::NotRunning), "{gone}");
        // A socket that was taken is the client's.
        let stream = TcpStream::from(taken.socket);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(Greeting::read(&stream).unwrap().source.to_string(), "192.0.2.9");
        drop(stream);
        // What leads the packets of sockets that live stays, and which mark is whose.
        let of_routing = |line: &String| line.contains(" proto 77") || line.starts_with("/run/mif");
        assert_eq!(mif_tests::routing::tables(host).len(), 1);
        eventually("nothing else to be left of the service", async || {
            let mut now = traces(host);
            now.retain(|line| !of_routing(line));
            // A closed connection stays in TIME-WAIT for a while, as every one does.
            let new: Vec<&String> = now.iter().filter(|line| !clean.contains(line)).collect();
            let left = new.iter().filter(|line| !line.contains("TIME-WAIT")).count();
            if left == 0 { Ok(()) } else { Err(format!("{new:#?}")) }
        })
        .await;

        let waiting = tokio::spawn({
            let connection = served.connection.clone();
            async move { mif::service_present(&connection).await }
        });
        mifd.restart().await;
        served.mifd = mifd;
        completes("the client to see the service again", waiting).await.unwrap().unwrap();
        // The address of the advertisement waits for the router, which is asked anew.
        RawSender::on(cable.far()).send(advertisement.bytes());
        served.pvd_where(HEARD, |pvd| !pvd.addresses.is_empty()).await;
        let after =
            served.until("the start to be over", |state| (!state.startup).then(|| state.clone())).await;
        assert!(paths(&before).is_disjoint(&paths(&after)), "{before:#?} {after:#?}");
        let ids = |state: &State| state.pvds().map(|pvd| pvd.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&before), ids(&after));

        check_old_paths(&served, &before).await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "survivor").await.unwrap();
        assert_eq!(subscriber.announce_interfaces().await.unwrap(), 2);
        assert!(matches!(next(&mut messages).await, Message::InterfaceAnnouncement { .. }));
        let pvd = served.pvd(BY_HAND).await;
        mif::connect_to_address(&served.connection, &pvd.path, &request).await.unwrap();
    });
}

/// The reason of the last message; those before it are passed over.
async fn eventually_closed(messages: &mut mif::Messages) -> ClosedReason {
    loop {
        if let Message::Closed { reason } = next(messages).await {
            return reason;
        }
    }
}

/// Paths of an earlier run are void: as objects and as arguments.
async fn check_old_paths(served: &ServedHost, before: &State) {
    let (subscriber, _messages) = Subscriber::create(&served.connection, "old_paths").await.unwrap();
    for path in paths(before) {
        let path = ObjectPath::try_from(path).unwrap();
        let call = served.connection.call_method(
            Some("org.ietf.Mif1"),
            path.clone(),
            Some("org.freedesktop.DBus.Properties"),
            "GetAll",
            &("org.ietf.Mif1.Interface",),
        );
        let refused = mif::Error::from(call.await.unwrap_err());
        assert_eq!(refused.kind(), Some(ErrorKind::UnknownObject), "{path}: {refused}");
        let as_pvd = subscriber.announce_addresses(&path).await.unwrap_err();
        assert_eq!(as_pvd.kind(), Some(ErrorKind::NoSuchPvd), "{path}: {as_pvd}");
        let as_interface = subscriber.announce_provisioning_domains(&path).await.unwrap_err();
        assert_eq!(as_interface.kind(), Some(ErrorKind::NoSuchInterface), "{path}: {as_interface}");
    }
    let pvd = before.pvds().next().unwrap();
    let gone = mif::translate_name(&served.connection, &pvd.path, "a.test", &Default::default()).await;
    assert_eq!(gone.unwrap_err().kind(), Some(ErrorKind::UnknownObject));
}

#[test]
fn sigterm_says_goodbye_and_ends_well() {
    universe::run(async |universe| {
        cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let mut streams = Vec::new();
        let mut subscribers = Vec::new();
        for _ in 0..20 {
            let connection = served.bus.connect().await;
            let (subscriber, messages) = Subscriber::create(&connection, "guest").await.unwrap();
            subscriber.announce_interfaces().await.unwrap();
            streams.push(messages);
            subscribers.push((connection, subscriber));
        }
        let mut mifd = served.mifd.clone();
        let status = mifd.terminate().await;
        assert_eq!(status.code(), Some(0), "{}", mifd.process().log());
        for messages in &mut streams {
            assert_eq!(eventually_closed(messages).await, ClosedReason::Shutdown);
        }
        let gone = State::read(&served.connection).await.unwrap_err();
        assert_eq!(gone.kind(), Some(ErrorKind::NotRunning), "{gone}");
        mifd.restart().await;
        mifd.process().signal(Signal::SIGINT);
        assert_eq!(mifd.process().ended().await.code(), Some(0));
    });
}

#[test]
fn a_second_service_on_the_same_bus_refuses_to_start() {
    universe::run(async |universe| {
        cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let second = MifdSettings::new(&universe, &served.bus).spawn();
        let status = second.ended().await;
        assert_eq!(status.code(), Some(1));
        let log = second.log();
        assert!(
            log.contains("another service owns org.ietf.Mif1 on this bus already; stop it first"),
            "{log}"
        );
        served.pvd(BY_HAND).await;
        assert_eq!(served.mifd.process().exit_status(), None);
    });
}

#[test]
fn a_service_that_loses_its_bus_ends_and_says_why() {
    universe::run(async |universe| {
        let served = ServedHost::start(&universe).await;
        served.bus.process().kill().await;
        let status = served.mifd.process().ended().await;
        assert_eq!(status.code(), Some(1));
        let log = served.mifd.process().log();
        assert!(log.contains("the connection to the bus is lost"), "{log}");
    });
}

#[test]
fn what_the_kernel_could_not_queue_is_read_again() {
    universe::run(async |universe| {
        let (host, cable) = (universe.host(), cable_to_router(&universe).await);
        host.ip("link add doomed type vxlan id 1 dstport 4789");
        host.ip("link set doomed up");
        host.ip("address add 198.51.100.1/24 dev doomed");
        let served = ServedHost::start(&universe).await;
        let kept = served.pvd(BY_HAND).await;
        served.pvd("implicit:doomed:ipv4").await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "watch").await.unwrap();
        assert_eq!(subscriber.announce_addresses(&kept.path).await.unwrap(), 1);
        next(&mut messages).await;

        served.mifd.process().signal(Signal::SIGSTOP);
        let mut batch = String::new();
        for number in 0..6_000 {
            let address = format!("10.{}.{}.1/24", number / 250, number % 250);
            for word in ["add", "delete"] {
                batch.push_str(&format!("address {word} {address} dev eth1\n"));
            }
        }
        batch.push_str("link delete doomed\naddress add 192.0.2.10/24 dev eth1\n");
        batch.push_str("link add born type bridge\n");
        std::fs::write("/tmp/batch", batch).unwrap();
        host.ip("-batch /tmp/batch");
        served.mifd.process().signal(Signal::SIGCONT);

        served.mifd.process().wait_for_log("more changed than the kernel could queue").await;
        let state = served
            .until("what was there before and what is there now", |state| {
                let names: Vec<&str> = state.interfaces.iter().map(|interface| &*interface.name).collect();
                (names == ["lo", "eth1", "born"]).then(|| state.clone())
            })
            .await;
        served.only_pvds(&[BY_HAND]).await;
        let now = served.pvd_where(BY_HAND, |pvd| pvd.addresses.len() == 2).await;
        assert_eq!((&now.path, &now.interface), (&kept.path, &kept.interface), "{state:#?}");
        // Only the difference is told: one address came, none went.
        let message = next(&mut messages).await;
        assert!(
            matches!(&message, Message::AddressAnnouncement { address, .. } if address.to_string() == "192.0.2.10"),
            "{message:?}"
        );
        cable.near().add_address("192.0.2.11/24");
        let message = next(&mut messages).await;
        assert!(
            matches!(&message, Message::AddressAnnouncement { address, .. } if address.to_string() == "192.0.2.11"),
            "{message:?}"
        );
    });
}
