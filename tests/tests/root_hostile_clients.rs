//! Hostile clients of another user than the service, on dbus-daemon and on dbus-broker, which counts by user what messages
//! cost, and hangs up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mif::{ConnectRequest, Message, Subscriber, connect_to_address};
use mif_tests::bystander::{Bystander, Callee, Latencies};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd};
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::peers;
use mif_tests::raw_client::RawClient;
use mif_tests::served_host::{ServedHost, next};
use mif_tests::universe::{self, Universe};
use mif_tests::user::{MEMBER, ORDINARY_USER, as_user, connect_as};
use mif_tests::wait::completes;
use zbus::{ObjectPath, Variant};

const ROOT: &str = "/org/ietf/Mif1";
const MANAGER: &str = "org.ietf.Mif1.Manager";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";

/// How long a call of somebody else may take on a busy machine; `cargo xtask bench hostile` measures.
const SOON: Duration = Duration::from_secs(1);

/// So many links more that it takes long to tell of them.
const LINKS: usize = 150;

fn none<'a>() -> HashMap<&'a str, Variant<'a>> {
    HashMap::new()
}

/// A host with a server beside it, served on `bus`.
async fn served(universe: &Universe, bus: Bus) -> (EchoServer, ServedHost) {
    let server = universe.node("server");
    let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    cable.far().add_address("192.0.2.1/24");
    let echo = EchoServer::on(&server);
    let mifd = Mifd::start(universe, &bus).await;
    let connection = bus.connect().await;
    (echo, ServedHost { bus, mifd, connection })
}

async fn many_links(universe: &Universe, host: &ServedHost) {
    let mut links = String::new();
    for number in 0..LINKS {
        writeln!(links, "link add bridge{number} type bridge").unwrap();
    }
    std::fs::write("/tmp/links", links).unwrap();
    universe.host().ip("-batch /tmp/links");
    host.until("all links", |state| (state.interfaces.len() == LINKS + 2).then_some(())).await;
}

#[test]
fn dbus_broker_hangs_up_on_a_client_that_cannot_take_descriptors() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let (_echo, host) = served(&universe, Bus::start_broker(&universe).await).await;
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let before = host.descriptors();
        let mut client = as_user(MEMBER, RawClient::without_descriptors()).await;
        let arguments = ("192.0.2.1", ECHO_PORT, none());
        client.post(pvd.as_str(), PVD, "ConnectToAddress", &arguments).await;
        while client.read().await.is_ok() {}
        drop(client);
        host.wait_for_descriptors(before).await;
    });
}

/// A client that has everything announced and reads nothing, and what others have of it.
struct Lazy {
    client: RawClient,
    path: String,
    host: ServedHost,
}

impl Lazy {
    /// It has a socket that it does not take.
    async fn start(host: ServedHost) -> Self {
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let mut client = as_user(MEMBER, RawClient::lazy()).await;
        let path = Self::subscribe(&mut client, "lazy").await;
        let arguments = (7_u32, &pvd, "192.0.2.1", ECHO_PORT, none());
        client.call(&path, SUBSCRIBER, "ConnectToAddress", &arguments).await.unwrap();
        Self { client, path, host }
    }

    async fn subscribe(client: &mut RawClient, token: &str) -> String {
        let made = client.call(ROOT, MANAGER, "CreateSubscriber", &(token, none())).await.unwrap();
        made.body().deserialize::<ObjectPath<'_>>().unwrap().to_string()
    }

    /// Asks, wants no replies, and does not read, until the service has closed its subscriber.
    async fn is_closed(&mut self) {
        let service = Callee::Service(self.host.pvd("implicit:eth1:ipv4").await.path);
        let memory = self.host.mifd.process().status_number("VmHWM:");
        let (mut taken, mut asked) = (Vec::new(), 0);
        while !self.host.mifd.process().log().contains("a subscriber does not read") {
            assert!(asked < 20_000, "{asked} listings, and nobody is closed");
            for _ in 0..20 {
                self.client.tell(&self.path, SUBSCRIBER, "AnnounceInterfaces", &()).await;
                taken.push(service.call(&self.host.connection).await);
                asked += 1;
            }
        }
        let others = Latencies::of(taken);
        assert!(others.per_mille(500) < SOON, "others waited: {others}");
        let grown = self.host.mifd.process().status_number("VmHWM:").saturating_sub(memory);
        assert!(grown < 8_192, "the service has grown by {grown} kB");
    }

    /// Reads until it is told that it is closed: what of its subscriber's it was told before. It is asked whether it
    /// reads, and does not answer.
    async fn reads(&mut self) -> Vec<String> {
        let (mut read, mut asked) = (Vec::new(), 0);
        loop {
            let message = self.client.next().await;
            let header = message.header();
            let member = header.member().map(ToString::to_string).unwrap_or_default();
            if header.path().is_none_or(|path| path.as_str() != self.path) {
                continue;
            }
            match member.as_str() {
                "Closed" => {
                    let body = message.body();
                    let (reason, _): (String, HashMap<String, Variant<'_>>) = body.deserialize().unwrap();
                    assert_eq!(reason, "overrun");
                    assert!(asked > 0, "it was never asked");
                    return read;
                }
                "InterfaceAnnouncement" => {
                    let body = message.body();
                    let (interface, ..): (ObjectPath<'_>, String, HashMap<String, Variant<'_>>) =
                        body.deserialize().unwrap();
                    read.push(interface.to_string());
                }
                "Ping" => asked += 1,
                _ => {}
            }
        }
    }

    /// It is a client like any other again.
    async fn begins_anew(mut self, before: usize) {
        for method in ["AnnounceInterfaces", "Close"] {
            let refused = self.client.call(&self.path, SUBSCRIBER, method, &()).await;
            assert_eq!(refused.unwrap_err(), "org.freedesktop.DBus.Error.UnknownObject");
        }
        assert_eq!(Self::subscribe(&mut self.client, "lazy").await, self.path);
        self.client.call(&self.path, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
        drop(self.client);
        // Nothing is left of it, the socket that it did not take among that.
        self.host.wait_for_no_more_descriptors_than(before).await;
    }
}

/// dbus-broker keeps a share of its memory for each user, and drops signals beyond it without a word to anybody. Whoever
/// does not read is closed long before.
#[test]
fn on_dbus_broker_a_subscriber_that_does_not_read_is_closed_before_it_loses_anything() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let (_echo, host) = served(&universe, Bus::start_broker(&universe).await).await;
        many_links(&universe, &host).await;
        let before = host.descriptors();
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "diligent").await.unwrap();
        let listed = subscriber.announce_interfaces().await.unwrap();
        for _ in 0..listed {
            next(&mut messages).await;
        }
        let mut lazy = Lazy::start(host).await;
        let calm = Lazy::subscribe(&mut lazy.client, "calm").await;
        lazy.is_closed().await;
        universe.host().ip("link add born type bridge");
        assert!(matches!(next(&mut messages).await, Message::InterfaceAnnouncement { .. }));

        // It was told of every link, again and again, up to the end.
        let told = lazy.reads().await;
        let links = usize::try_from(listed).unwrap();
        assert!(told.len() > 20_000, "{} messages only", told.len());
        for (number, interface) in told.iter().enumerate().skip(links) {
            assert_eq!(*interface, told[number - links], "message {number}");
        }
        // Its other subscriber lost nothing.
        lazy.client.call(&calm, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
        lazy.begins_anew(before + 1).await;
    });
}

/// The same where so little room is left that it does lose messages.
#[test]
fn on_dbus_broker_whoever_lost_a_message_learns_of_it() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let (_echo, host) = served(&universe, Bus::start_broker_with(&universe, 16 << 20).await).await;
        many_links(&universe, &host).await;
        let before = host.descriptors();
        let mut lazy = Lazy::start(host).await;
        lazy.is_closed().await;
        let told = lazy.reads().await;
        assert!(told.len() < 20_000, "{} messages", told.len());
        lazy.begins_anew(before + 1).await;
    });
}

/// Whoever reads is never closed, whatever it is sent.
#[test]
fn on_dbus_broker_whoever_reads_may_be_sent_any_amount() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let (_echo, host) = served(&universe, Bus::start_broker(&universe).await).await;
        many_links(&universe, &host).await;
        let member = connect_as(&host.bus, MEMBER).await;
        let (subscriber, mut messages) = Subscriber::create(&member, "diligent").await.unwrap();
        // More than one that does not read is sent before it is closed.
        let mut read = 0;
        while read < 70_000 {
            for _ in 0..subscriber.announce_interfaces().await.unwrap() {
                let message = next(&mut messages).await;
                assert!(matches!(message, Message::InterfaceAnnouncement { .. }), "{message:?}");
                read += 1;
            }
        }
        assert!(!host.mifd.process().log().contains("a subscriber does not read"));
    });
}

/// A client of a user without rights that asks for everything there is, again and again.
struct Curious {
    thread: std::thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU32>,
}

impl Curious {
    fn start() -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (connected, is_connected) = mpsc::channel();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&rounds));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut client = as_user(ORDINARY_USER, RawClient::without_descriptors()).await;
                connected.send(()).unwrap();
                while !stopped.load(Ordering::Relaxed) {
                    Self::ask(&mut client).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        // All threads are that user for a moment.
        is_connected.recv().unwrap();
        Self { thread, stop, rounds }
    }

    async fn ask(client: &mut RawClient) {
        let mut last = None;
        for path in [ROOT, "/org/ietf/Mif1/interface", "/org/ietf/Mif1/pvd", "/org/ietf/Mif1/nothing"] {
            let introspectable = "org.freedesktop.DBus.Introspectable";
            client.post(path, introspectable, "Introspect", &()).await;
            last = Some(client.post(ROOT, OBJECT_MANAGER, "GetManagedObjects", &()).await);
        }
        client.reply_to(last.unwrap()).await.unwrap();
    }

    async fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap().unwrap();
        self.rounds.load(Ordering::Relaxed)
    }
}

/// Others work as ever while three of them ask for everything in a loop.
async fn everything_in_a_loop(universe: &Universe, bus: Bus) {
    let (_echo, host) = served(universe, bus).await;
    many_links(universe, &host).await;
    let pvd = host.pvd("implicit:eth1:ipv4").await.path;
    let member = connect_as(&host.bus, MEMBER).await;
    let (subscriber, mut messages) = Subscriber::create(&member, "works").await.unwrap();
    assert_eq!(subscriber.announce_addresses(&pvd).await.unwrap(), 1);
    next(&mut messages).await;

    let curious = [Curious::start(), Curious::start(), Curious::start()];
    let bystander = Bystander::start(&host.bus, Callee::Service(pvd.clone()));
    for number in 10..40 {
        universe.host().ip(&format!("address add 192.0.2.{number}/24 dev eth1"));
        let message = next(&mut messages).await;
        assert!(matches!(message, Message::AddressAnnouncement { .. }), "{message:?}");
        let request = ConnectRequest::new([192, 0, 2, 1].into(), ECHO_PORT);
        completes("a connection", connect_to_address(&member, &pvd, &request)).await.unwrap();
        universe.host().ip(&format!("address del 192.0.2.{number}/24 dev eth1"));
        let message = next(&mut messages).await;
        assert!(matches!(message, Message::NoAddressAnnouncement { .. }), "{message:?}");
    }
    let others = bystander.stop().await;
    for curious in curious {
        assert!(curious.stop().await > 0, "it got its answers");
    }
    assert!(others.calls() > 0 && others.per_mille(500) < SOON, "others waited: {others}");
}

#[test]
fn whoever_asks_for_everything_in_a_loop_keeps_nobody_waiting() {
    universe::run_as_root(async |universe| {
        let bus = Bus::start(&universe).await;
        everything_in_a_loop(&universe, bus).await;
    });
}

#[test]
fn whoever_asks_for_everything_in_a_loop_keeps_nobody_waiting_on_dbus_broker() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let bus = Bus::start_broker(&universe).await;
        everything_in_a_loop(&universe, bus).await;
    });
}
