//! Clients that do not read, cannot take what they ask for, or leave in the middle.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mif::Subscriber;
use mif_tests::bystander::{Bystander, Callee};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd};
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::raw_client::RawClient;
use mif_tests::served_host::{ServedHost, next};
use mif_tests::tally;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually, within};
use zbus::message::Type::MethodCall;
use zbus::{Message, ObjectPath, Variant};

const ROOT: &str = "/org/ietf/Mif1";
const MANAGER: &str = "org.ietf.Mif1.Manager";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";
const PEER: &str = "org.freedesktop.DBus.Peer";

const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";
const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";

/// How many clients leave in the middle, unless this says another number.
const VANISHING: u32 = 2_000;
const VANISHING_IN: &str = "MIF_VANISHING_CLIENTS";

fn none<'a>() -> HashMap<&'a str, Variant<'a>> {
    HashMap::new()
}

fn member(message: &Message) -> String {
    message.header().member().map(ToString::to_string).unwrap_or_default()
}

async fn server(universe: &Universe) -> EchoServer {
    let server = universe.node("server");
    let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    cable.far().add_address("192.0.2.1/24");
    EchoServer::on(&server)
}

async fn served(universe: &Universe, bus: Bus) -> ServedHost {
    let mifd = Mifd::start(universe, &bus).await;
    let connection = bus.connect().await;
    ServedHost { bus, mifd, connection }
}

/// Makes a subscriber; its path.
async fn subscribe(client: &mut RawClient, token: &str) -> String {
    let made = client.call(ROOT, MANAGER, "CreateSubscriber", &(token, none())).await.unwrap();
    made.body().deserialize::<ObjectPath<'_>>().unwrap().to_string()
}

#[test]
fn a_client_that_cannot_take_descriptors_is_told() {
    universe::run(async |universe| {
        let _echo = server(&universe).await;
        let host = ServedHost::start(&universe).await;
        cannot_take_descriptors(&host).await;
    });
}

async fn cannot_take_descriptors(host: &ServedHost) {
    let pvd = host.pvd("implicit:eth1:ipv4").await.path;
    let mut client = RawClient::without_descriptors().await;
    let before = host.descriptors();
    let arguments = ("192.0.2.1", ECHO_PORT, none());
    let refused = client.call(pvd.as_str(), PVD, "ConnectToAddress", &arguments).await;
    assert_eq!(refused.unwrap_err(), NOT_SUPPORTED);

    let subscriber = subscribe(&mut client, "wants").await;
    let arguments = (7_u32, &pvd, "192.0.2.1", ECHO_PORT, none());
    client.call(&subscriber, SUBSCRIBER, "ConnectToAddress", &arguments).await.unwrap();
    while member(&client.next().await) != "Connected" {}
    let refused = client.call(&subscriber, SUBSCRIBER, "TakeConnection", &7_u32).await;
    assert_eq!(refused.unwrap_err(), NOT_SUPPORTED);
    let message = loop {
        let message = client.next().await;
        if member(&message) == "NotConnected" {
            break message;
        }
    };
    let body = message.body();
    let (id, name, text, _): (u32, String, String, HashMap<String, Variant<'_>>) =
        body.deserialize().unwrap();
    assert_eq!((id, name.as_str()), (7, NOT_SUPPORTED));
    assert!(text.contains("descriptor"), "{text}");
    // Nothing is left of either socket.
    host.wait_for_descriptors(before + 1).await;
}

/// Calls until the service closes its subscriber, and reads nothing.
async fn overrun(lazy: &mut RawClient, path: &str, host: &ServedHost) {
    within(3 * DEADLINE, "a subscriber that does not read to be closed", async || {
        for _ in 0..200 {
            lazy.post(path, SUBSCRIBER, "AnnounceInterfaces", &()).await;
        }
        let log = host.mifd.process().log();
        if log.contains("a subscriber does not read: closed") { Ok(()) } else { Err("it is not") }
    })
    .await;
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_and_told_when_it_reads() {
    universe::run(async |universe| {
        let _echo = server(&universe).await;
        let bus =
            Bus::start_with_limits(&universe, r#"<limit name="max_outgoing_bytes">200000</limit>"#).await;
        let host = served(&universe, bus).await;
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let (diligent, mut messages) = Subscriber::create(&host.connection, "diligent").await.unwrap();

        let mut lazy = RawClient::lazy().await;
        let path = subscribe(&mut lazy, "lazy").await;
        let calm = subscribe(&mut lazy, "calm").await;
        let arguments = (7_u32, &pvd, "192.0.2.1", ECHO_PORT, none());
        lazy.call(&path, SUBSCRIBER, "ConnectToAddress", &arguments).await.unwrap();
        while member(&lazy.next().await) != "Connected" {}
        let with_socket = host.descriptors();
        // From here on it asks and does not read. Others go on meanwhile.
        let bystander = Bystander::start(&host.bus, Callee::Service(pvd.clone()));
        overrun(&mut lazy, &path, &host).await;
        let others = bystander.stop().await;
        // Each of its calls was answered in time; `cargo xtask bench hostile` measures.
        assert!(others.calls() > 0, "{others}");
        // Its work ended with it.
        host.wait_for_descriptors(with_socket - 1).await;
        assert_eq!(diligent.announce_interfaces().await.unwrap(), 2);
        for _ in 0..2 {
            assert!(matches!(next(&mut messages).await, mif::Message::InterfaceAnnouncement { .. }));
        }
        // What it asks now is refused, or the refusal is lost like the rest: that depends on when it reads. Then it
        // learns why.
        let late = lazy.post(&path, SUBSCRIBER, "AnnounceInterfaces", &()).await;
        let mut told = Vec::new();
        let mut last = String::new();
        while told.is_empty() {
            let message = lazy.next().await;
            let header = message.header();
            assert_ne!(message.message_type(), MethodCall, "dbus-daemon tells, so nobody is asked");
            let of_path = header.path().is_some_and(|it| it.as_str() == path);
            if header.reply_serial() == Some(late) {
                assert_eq!(header.error_name().map(|name| name.as_str()), Some(UNKNOWN_OBJECT));
                continue;
            }
            if of_path && member(&message) == "Closed" {
                told.push(message.body().deserialize::<(String, HashMap<String, Variant<'_>>)>().unwrap().0);
            }
            last = member(&message);
        }
        assert_eq!((told[0].as_str(), last.as_str()), ("overrun", "Closed"));
        for method in ["AnnounceInterfaces", "Close"] {
            assert_eq!(lazy.call(&path, SUBSCRIBER, method, &()).await.unwrap_err(), UNKNOWN_OBJECT);
        }
        // Its other subscriber lost nothing, and the token is free again.
        lazy.call(&calm, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
        assert_eq!(subscribe(&mut lazy, "lazy").await, path);
        universe.host().ip("link add born type bridge");
        lazy.call(&path, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
        assert!(matches!(next(&mut messages).await, mif::Message::InterfaceAnnouncement { .. }));
    });
}

#[test]
fn what_nobody_reads_is_kept_by_the_bus_and_not_by_the_service() {
    const KEPT: u64 = 24 << 20;
    universe::run(async |universe| {
        let limit = format!(r#"<limit name="max_outgoing_bytes">{KEPT}</limit>"#);
        let host = served(&universe, Bus::start_with_limits(&universe, &limit).await).await;
        let mut links = String::new();
        for number in 0..60 {
            writeln!(links, "link add bridge{number} type bridge").unwrap();
        }
        std::fs::write("/tmp/links", links).unwrap();
        universe.host().ip("-batch /tmp/links");
        host.until("all links", |state| (state.interfaces.len() == 61).then_some(())).await;
        let mut lazy = RawClient::lazy().await;
        let path = subscribe(&mut lazy, "lazy").await;
        let before = host.mifd.process().status_number("VmHWM:");
        overrun(&mut lazy, &path, &host).await;
        let grown = host.mifd.process().status_number("VmHWM:").saturating_sub(before);
        assert!(grown << 10 < KEPT / 3, "the service has grown by {grown} kB");
        let bus = host.bus.process().status_number("VmRSS:");
        assert!(bus << 10 > KEPT, "the bus keeps {bus} kB");
    });
}

/// Clients that call without a pause and want no replies.
struct Flood {
    threads: Vec<std::thread::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Flood {
    fn start(clients: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flood = |stop: Arc<AtomicBool>| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut client = RawClient::without_descriptors().await;
                while !stop.load(Ordering::Relaxed) {
                    client.tell(ROOT, PEER, "Ping", &()).await;
                }
            });
        };
        let start = |_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || flood(stop))
        };
        Self { threads: (0..clients).map(start).collect(), stop }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            tokio::task::spawn_blocking(move || thread.join()).await.unwrap().unwrap();
        }
    }
}

#[test]
fn an_overrun_is_noticed_behind_a_flood_of_calls() {
    universe::run(async |universe| {
        let limits = r#"<limit name="max_outgoing_bytes">4000000</limit>"#;
        let host = served(&universe, Bus::start_with_limits(&universe, limits).await).await;
        let mut lazy = RawClient::lazy().await;
        let path = subscribe(&mut lazy, "lazy").await;
        let flood = Flood::start(4);
        overrun(&mut lazy, &path, &host).await;
        flood.stop().await;
        // What it is told in the end is that.
        loop {
            let message = lazy.next().await;
            if member(&message) == "Closed" {
                break;
            }
        }
        assert_eq!(lazy.call(&path, SUBSCRIBER, "Close", &()).await.unwrap_err(), UNKNOWN_OBJECT);
    });
}

#[test]
fn clients_that_vanish_in_the_middle_of_calls_leave_nothing() {
    universe::run(async |universe| {
        let _echo = server(&universe).await;
        let host = ServedHost::start(&universe).await;
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let untouched = host.descriptors();
        let clients = std::env::var(VANISHING_IN).map_or(VANISHING, |number| number.parse().unwrap());
        vanish(&pvd, 500).await;
        let settled = async || {
            completes("the service to have served all", mif::State::read(&host.connection)).await.unwrap();
        };
        settled().await;
        host.wait_for_no_more_descriptors_than(untouched).await;
        let (tasks, before) = (host.tasks().await, host.mifd.process().status_number("VmRSS:"));
        vanish(&pvd, clients).await;
        settled().await;
        host.wait_for_no_more_descriptors_than(untouched).await;
        let tasks_after = eventually("as many tasks as before", async || match host.tasks().await {
            now if now <= tasks => Ok(now),
            now => Err(format!("{now} instead of {tasks}")),
        })
        .await;
        let after = host.mifd.process().status_number("VmRSS:");
        let descriptors = host.descriptors();
        tally::figure(&format!(
            "{clients} clients that vanish: {untouched} -> {descriptors} descriptors, {tasks} -> {tasks_after} tasks, \
             {before} -> {after} kB"
        ));
        assert!(after < before + 4_096, "{before} kB before and {after} kB after {clients} clients");
        // Every place is free again.
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "next").await.unwrap();
        let request = mif::ConnectRequest::new([192, 0, 2, 1].into(), ECHO_PORT);
        for id in 0..32 {
            subscriber.connect_to_address(id, &pvd, &request).await.unwrap();
        }
        for _ in 0..32 {
            let message = next(&mut messages).await;
            assert!(matches!(message, mif::Message::Connected { .. }), "{message:?}");
        }
    });
}

/// Clients that leave behind calls of every kind, some before and some after the service has looked at them.
async fn vanish(pvd: &zbus::OwnedObjectPath, clients: u32) {
    tally::faults(clients as usize);
    for number in 0..clients {
        let mut client = RawClient::without_descriptors().await;
        client.post(ROOT, MANAGER, "CreateSubscriber", &("gone", none())).await;
        let path = format!("/org/ietf/Mif1Subscriber/{}/gone", client.name()[1..].replace('.', "_"));
        client.post(&path, SUBSCRIBER, "AnnounceInterfaces", &()).await;
        // One that answers, and one that never does.
        for (id, address) in [(1_u32, "192.0.2.1"), (2, "192.0.2.99")] {
            let arguments = (id, pvd, address, ECHO_PORT, none());
            client.post(&path, SUBSCRIBER, "ConnectToAddress", &arguments).await;
        }
        client.post(&path, SUBSCRIBER, "TranslateName", &(1_u32, pvd, "a.test", none())).await;
        let arguments = ("192.0.2.99", ECHO_PORT, none());
        client.post(pvd.as_str(), PVD, "ConnectToAddress", &arguments).await;
        if number % 2 == 0 {
            while member(&client.next().await) != "Connected" {}
        }
    }
}
