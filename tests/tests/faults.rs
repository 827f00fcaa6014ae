//! What machines do to a service: its bus starts again, it is killed, it sleeps, it runs out of descriptors, memory and
//! disk. Whoever can be served is, the others are told why not; afterwards everything is right, and what lived lives.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use mif::{BindRequest, ConnectRequest, ErrorKind, Message, Messages, Subscriber, TranslateOptions};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, MifdSettings};
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::node::Node;
use mif_tests::raw_client::RawClient;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::routing;
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::tally;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};
use zbus::{ObjectPath, OwnedObjectPath, Variant};

const BY_HAND: &str = "implicit:eth1:ipv4";
const OWN: [u8; 4] = [192, 0, 2, 9];
const SERVER: [u8; 4] = [192, 0, 2, 1];
/// On the link, and nobody answers there.
const SILENT: &str = "192.0.2.99";

const ROOT: &str = "/org/ietf/Mif1";
const MANAGER: &str = "org.ietf.Mif1.Manager";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
const SUBSCRIBER: &str = "org.ietf.Mif1.Subscriber";

fn none<'a>() -> HashMap<&'a str, Variant<'a>> {
    HashMap::new()
}

/// A served host with one link, to a router that is an echo server too.
struct Place {
    host: ServedHost,
    node: Node,
    cable: Cable,
    _echo: EchoServer,
}

impl Place {
    async fn start(universe: &Universe) -> Self {
        Self::start_with(universe, |settings| settings).await
    }

    async fn start_with(universe: &Universe, settings: impl FnOnce(MifdSettings) -> MifdSettings) -> Self {
        let router = universe.node("router");
        let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
        let cable = Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await;
        cable.near().add_address(&format!("{}/24", IpAddr::from(OWN)));
        cable.far().add_address(&format!("{}/24", IpAddr::from(SERVER)));
        let node = universe.host().clone();
        // The router gets what is for the silent one, and knows no such host.
        node.ip(&format!("neighbour replace {SILENT} lladdr 02:00:00:00:00:01 dev eth1 nud permanent"));
        let echo = EchoServer::on(&router);
        let host = ServedHost::start_with(universe, settings).await;
        Self { host, node, cable, _echo: echo }
    }

    async fn pvd(&self) -> OwnedObjectPath {
        self.host.pvd(BY_HAND).await.path
    }

    /// A connection that was made by the service, and lives.
    async fn live(&self) -> Live {
        let request = ConnectRequest::new(SERVER.into(), ECHO_PORT);
        let pvd = self.pvd().await;
        let connecting = mif::connect_to_address(&self.host.connection, &pvd, &request);
        let stream = TcpStream::from(completes("a connection", connecting).await.unwrap().socket);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(Greeting::read(&stream).unwrap().source, IpAddr::from(OWN));
        Live(stream)
    }

    /// Waits until the service shows the interfaces and the IPv4 addresses of `eth1` that `ip` shows.
    async fn shows_the_truth(&self) {
        eventually("what ip shows", async || {
            let links: serde_json::Value = serde_json::from_str(&self.node.ip("-json address show")).unwrap();
            let links = links.as_array().unwrap();
            let name = |link: &serde_json::Value| link["ifname"].as_str().unwrap().to_owned();
            let names: BTreeSet<String> = links.iter().map(name).collect();
            let link = links.iter().find(|link| name(link) == "eth1").unwrap();
            let entries = link["addr_info"].as_array().unwrap().iter();
            let addresses: BTreeSet<String> = entries
                .filter(|entry| entry["family"] == "inet")
                .map(|entry| entry["local"].as_str().unwrap().to_owned())
                .collect();
            let state = self.host.state().await;
            let told: BTreeSet<String> = state.interfaces.iter().map(|link| link.name.clone()).collect();
            let pvd = state.pvds().find(|pvd| pvd.id == BY_HAND);
            let shown: BTreeSet<String> =
                pvd.iter().flat_map(|pvd| &pvd.addresses).map(|entry| entry.address.to_string()).collect();
            if (&names, &addresses) == (&told, &shown) {
                return Ok(());
            }
            Err(format!("ip: {names:?} {addresses:?}, told: {told:?} {shown:?}"))
        })
        .await;
    }
}

/// A connection that is nobody's but its owner's.
struct Live(TcpStream);

impl Live {
    fn echoes(&self) {
        let mut back = [0; 5];
        (&self.0).write_all(b"still").unwrap();
        (&self.0).read_exact(&mut back).unwrap();
        assert_eq!(&back, b"still");
    }
}

#[test]
fn a_bus_that_starts_again_costs_no_connection() {
    universe::run(async |universe| {
        let mut place = Place::start(&universe).await;
        let live = place.live().await;
        let rules = routing::rules(&place.node);
        let routes = routing::routes(&place.node);
        assert_eq!(routing::tables(&place.node).len(), 1);

        place.host.bus.process().kill().await;
        let status = place.host.mifd.process().ended().await;
        assert_eq!(status.code(), Some(1), "whoever supervises it starts it again");
        live.echoes();
        assert_eq!(
            (routing::rules(&place.node), routing::routes(&place.node)),
            (rules.clone(), routes.clone())
        );

        place.host.bus = Bus::start(&universe).await;
        place.host.mifd.restart().await;
        place.host.connection = place.host.bus.connect().await;
        place.shows_the_truth().await;
        live.echoes();
        // The same table for the same provisioning domain: nothing new for what comes now.
        place.live().await.echoes();
        assert_eq!((routing::rules(&place.node), routing::routes(&place.node)), (rules, routes));
        live.echoes();
    });
}

/// Posts calls of all kinds, and has the network change between them.
async fn busy(place: &Place, pvd: &OwnedObjectPath, calls: usize) -> RawClient {
    let mut client = RawClient::without_descriptors().await;
    client.post(ROOT, MANAGER, "CreateSubscriber", &("busy", none())).await;
    let subscriber = format!("/org/ietf/Mif1Subscriber/{}/busy", client.name()[1..].replace('.', "_"));
    for number in 0..calls {
        let id = u32::try_from(number).unwrap();
        match number % 6 {
            0 => client.post(&subscriber, SUBSCRIBER, "AnnounceInterfaces", &()).await,
            1 => {
                let arguments = (id, pvd, SILENT, ECHO_PORT, none());
                client.post(&subscriber, SUBSCRIBER, "ConnectToAddress", &arguments).await
            }
            2 => {
                let arguments = (id, pvd, "www.example.test", none());
                client.post(&subscriber, SUBSCRIBER, "TranslateName", &arguments).await
            }
            3 => {
                let arguments = (SILENT, ECHO_PORT, none());
                client.post(pvd.as_str(), PVD, "ConnectToAddress", &arguments).await
            }
            4 => {
                let manager = "org.freedesktop.DBus.ObjectManager";
                client.post(ROOT, manager, "GetManagedObjects", &()).await
            }
            _ => {
                place.node.try_ip(&format!("address add 198.51.100.{}/32 dev eth1", number % 20));
                place.node.try_ip(&format!("address del 198.51.100.{}/32 dev eth1", number % 14));
                continue;
            }
        };
    }
    client
}

#[test]
fn killed_in_the_middle_of_everything_it_finds_its_way_back() {
    universe::run(async |universe| {
        let mut place = Place::start(&universe).await;
        let live = place.live().await;
        let rules = routing::rules(&place.node);
        for calls in [5, 23, 61, 97, 150] {
            let pvd = place.pvd().await;
            let client = busy(&place, &pvd, calls).await;
            place.host.mifd.kill().await;
            live.echoes();
            // A table of which nobody knows whose it is.
            place.node.ip("route add 203.0.113.0/24 dev eth1 table 1291847543 protocol 77");
            place.host.mifd.restart().await;
            drop(client);
            place.shows_the_truth().await;
            eventually("what is in use to be adopted, and the rest to be removed", async || {
                let now = (routing::rules(&place.node), routing::tables(&place.node).len());
                if now == (rules.clone(), 1) { Ok(()) } else { Err(format!("{now:?}")) }
            })
            .await;
            live.echoes();
            place.live().await.echoes();
        }
    });
}

/// How long a machine may be without its service before anybody thinks of the watchdog.
const LONG_SLEEP: Duration = Duration::from_secs(10);

#[test]
fn stopped_for_ten_seconds_under_load_it_ends_in_what_is_true() {
    universe::run(async |universe| {
        let place = Place::start(&universe).await;
        let live = place.live().await;
        let pvd = place.pvd().await;
        let (subscriber, mut messages) = Subscriber::create(&place.host.connection, "waits").await.unwrap();
        assert_eq!(subscriber.announce_addresses(&pvd).await.unwrap(), 1);
        next(&mut messages).await;
        let router = RawSender::on(place.cable.far());
        let mut client = RawClient::without_descriptors().await;
        let mut posted = Vec::new();

        place.host.mifd.process().signal(Signal::SIGSTOP);
        let since = Instant::now();
        let mut round = 0_u32;
        while since.elapsed() < LONG_SLEEP {
            for word in ["add", "del"] {
                place.node.ip(&format!("address {word} 10.8.{}.1/24 dev eth1", round % 200));
            }
            place.node.ip("link add short type bridge");
            place.node.ip("link delete short");
            let inside = RouterAdvertisement::new(1).dns_servers(1, &["2001:db8:5::53"]);
            let id = format!("storm{}.example.org", round % 40);
            let _ = router.try_send(RouterAdvertisement::new(1).pvd(0, 1, &id, &inside).bytes());
            // The bus lets a client wait for 128 replies.
            if posted.len() < 100 {
                posted.push(client.post(ROOT, MANAGER, "GetInterfaceByName", &("eth1",)).await);
            }
            round += 1;
            tally::faults(5);
        }
        place.node.ip("address add 192.0.2.10/24 dev eth1");
        place.node.ip("link add born type bridge");
        live.echoes();
        place.host.mifd.process().signal(Signal::SIGCONT);

        // Every call is answered, in order.
        for serial in posted {
            client.reply_to(serial).await.unwrap();
        }
        place.shows_the_truth().await;
        place
            .host
            .until("nothing of the storm to be left", |state| {
                state.pvds().all(|pvd| !pvd.id.starts_with("storm")).then_some(())
            })
            .await;
        // The address of before was neither lost nor told again.
        let message = next(&mut messages).await;
        let Message::AddressAnnouncement { address, .. } = &message else { panic!("{message:?}") };
        assert!(*address != IpAddr::from(OWN), "{message:?}");
        assert_eq!(place.pvd().await, pvd);
        live.echoes();
        place.live().await.echoes();
    });
}

/// A client with a subscriber that has as many connections under way as it may have.
struct Greedy {
    connection: zbus::Connection,
    messages: Messages,
    _subscriber: Subscriber,
}

impl Greedy {
    async fn connect(place: &Place, pvd: &OwnedObjectPath) -> Self {
        let connection = place.host.bus.connect().await;
        let (subscriber, messages) = Subscriber::create(&connection, "greedy").await.unwrap();
        let silent = ConnectRequest::new(SILENT.parse().unwrap(), ECHO_PORT);
        for id in 0..32 {
            completes("an acceptance", subscriber.connect_to_address(id, pvd, &silent)).await.unwrap();
        }
        Self { connection, messages, _subscriber: subscriber }
    }
}

#[test]
fn without_descriptors_left_it_refuses_in_words_and_goes_on() {
    universe::run(async |universe| {
        let few = |settings: MifdSettings| settings.under(&["prlimit", "--nofile=64", "--"]);
        let place = Place::start_with(&universe, few).await;
        let pvd = place.pvd().await;
        place.live().await;
        let before = place.host.descriptors();
        // More sockets than there are descriptors.
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(Greedy::connect(&place, &pvd).await);
        }
        let message = next(&mut clients[2].messages).await;
        let Message::NotConnected { error, .. } = &message else { panic!("{message:?}") };
        let words = error.to_string();
        assert!(!words.is_empty(), "{message:?}");
        let request = ConnectRequest::new(SERVER.into(), ECHO_PORT);
        let refused = mif::connect_to_address(&place.host.connection, &pvd, &request);
        let (kind, text) = refusal(completes("a refusal", refused).await);
        assert_eq!(kind, ErrorKind::LimitsExceeded, "{text}");
        // Whatever becomes of them, calls are answered, those that bring a descriptor among them.
        for _ in 0..40 {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
            let request = BindRequest::default();
            let bound = mif::bind_socket(&place.host.connection, &pvd, &socket, &request);
            let _ = completes("an answer about a socket", bound).await;
        }
        let options =
            TranslateOptions { timeout: Some(Duration::from_millis(200)), ..TranslateOptions::default() };
        let translated = mif::translate_name(&place.host.connection, &pvd, "www.example.test", &options);
        assert!(completes("the end of a translation", translated).await.is_err());
        place.node.ip("address add 192.0.2.10/24 dev eth1");
        place.shows_the_truth().await;
        assert_eq!(place.host.mifd.process().exit_status(), None);

        for client in clients {
            drop((client.messages, client._subscriber));
            client.connection.close().await.unwrap();
        }
        place.host.wait_for_no_more_descriptors_than(before).await;
        place.live().await.echoes();
        let again = place.host.bus.connect().await;
        let connected = mif::connect_to_address(&again, &pvd, &request);
        completes("a connection for a new client", connected).await.unwrap();
        storm_of_sockets(&place).await;
    });
}

/// More sockets at once than the service has descriptors. Not a test of its own: the kernel counts the descriptors that
/// all processes of a user have on their way, and a service that may have few cannot send one meanwhile.
async fn storm_of_sockets(place: &Place) {
    const CLIENTS: usize = 6;
    const AT_ONCE: usize = 50;
    let pvd = place.pvd().await;
    let before = place.host.descriptors();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(place.host.bus.connect().await);
    }
    for _ in 0..3 {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        tally::faults(CLIENTS * AT_ONCE);
        for number in 0..CLIENTS * AT_ONCE {
            let call = zbus::Message::method_call(&pvd, "BindSocket").destination("org.ietf.Mif1");
            let call = call.interface(PVD).build(&(zbus::Fd::from(&socket), none())).unwrap();
            completes("the bus to take a call", clients[number % CLIENTS].send(&call)).await.unwrap();
        }
        // The bus itself refuses what is called while 64 descriptors wait for the service to read them.
        for client in &clients {
            eventually("an answer behind all that", async || {
                let read = completes("an answer", mif::State::read(client)).await;
                read.map(drop).map_err(|error| error.to_string())
            })
            .await;
        }
    }
    drop(clients);
    assert_eq!(place.host.mifd.process().exit_status(), None);
    place.host.wait_for_no_more_descriptors_than(before).await;
    place.live().await.echoes();
}

#[test]
fn little_memory_is_enough_for_what_hostile_clients_do() {
    universe::run(async |universe| {
        let place = Place::start(&universe).await;
        let live = place.live().await;
        let pvd = place.pvd().await;
        let limit = (place.host.mifd.process().status_number("VmSize:") << 10) + (64 << 20);
        let pid = place.host.mifd.process().pid().to_string();
        place.node.run("prlimit", ["--pid", &pid, &format!("--as={limit}")]);

        let megabyte = "a".repeat(1 << 20);
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = busy(&place, &pvd, 60).await;
            for _ in 0..16 {
                client.post(pvd.as_str(), PVD, "TranslateName", &(&megabyte, none())).await;
                client.post(ROOT, MANAGER, "GetProvisioningDomainsById", &(&megabyte,)).await;
            }
            clients.push(client);
        }
        let router = RawSender::on(place.cable.far());
        for number in 0..2_000_u32 {
            let inside = RouterAdvertisement::new(2).dns_servers(2, &["2001:db8:5::53"]);
            let id = format!("storm{number}.example.org");
            router.send(RouterAdvertisement::new(2).pvd(0x8000 | 0x2000, 1, &id, &inside).bytes());
        }
        for client in &mut clients {
            let last = client.post(ROOT, MANAGER, "GetInterfaceByName", &("eth1",)).await;
            let answered = client.reply_to(last).await.unwrap();
            answered.body().deserialize::<ObjectPath<'_>>().unwrap();
        }
        place.shows_the_truth().await;
        live.echoes();
        place.live().await.echoes();
        assert_eq!(place.host.mifd.process().exit_status(), None);
    });
}

/// A folder that holds next to nothing.
fn small_disk(folder: &str) {
    fs::create_dir_all(folder).unwrap();
    tally::faults(1);
    mount(Some("small"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=64k,mode=755")).unwrap();
}

/// Fills it; what to remove to have room again.
fn fill(folder: &str) -> std::path::PathBuf {
    let path = Path::new(folder).join("filler");
    let mut file = fs::File::create(&path).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    path
}

#[test]
fn a_full_disk_under_its_state_and_its_log_ends_nothing() {
    const STATE: &str = "/run/mif";
    const LOG: &str = "/tmp/small";
    universe::run(async |universe| {
        small_disk(STATE);
        small_disk(LOG);
        let redirected = format!("exec \"$@\" 2>> {LOG}/log");
        let place =
            Place::start_with(&universe, |settings| settings.under(&["sh", "-c", &redirected, "sh"])).await;
        let pvd = place.pvd().await;
        // Not a line more fits on the last page of the log.
        let mut log = fs::File::options().append(true).open(Path::new(LOG).join("log")).unwrap();
        let length = usize::try_from(log.metadata().unwrap().len()).unwrap();
        log.write_all(&vec![b'\n'; length.next_multiple_of(4_096) - length]).unwrap();
        let fillers = [fill(STATE), fill(LOG)];
        // Whose mark it is could not be written down: a connection that a later run would lead elsewhere is not made.
        let request = ConnectRequest::new(SERVER.into(), ECHO_PORT);
        let connect = async || {
            completes(
                "the end of a connection",
                mif::connect_to_address(&place.host.connection, &pvd, &request),
            )
            .await
        };
        for _ in 0..2 {
            let (_, text) = refusal(connect().await);
            assert!(text.contains("/run/mif/marks-"), "{text}");
        }
        // Each of these is a line of the log.
        for _ in 0..5 {
            place.host.mifd.process().signal(Signal::SIGHUP);
            place.node.ip("address add 192.0.2.10/24 dev eth1");
            place.shows_the_truth().await;
            place.node.ip("address del 192.0.2.10/24 dev eth1");
            place.shows_the_truth().await;
        }
        assert_eq!(place.host.mifd.process().exit_status(), None);
        fillers.iter().for_each(|filler| fs::remove_file(filler).unwrap());
        connect().await.unwrap();
        let marks: Vec<_> = fs::read_dir(STATE).unwrap().flatten().collect();
        assert_eq!(marks.len(), 1, "{marks:?}");
        assert!(fs::read_to_string(marks[0].path()).unwrap().contains(BY_HAND));
        place.host.mifd.process().signal(Signal::SIGHUP);
        eventually("the log to go on", async || {
            let log = fs::read_to_string(Path::new(LOG).join("log")).unwrap();
            if log.contains("the configuration was read again") { Ok(()) } else { Err(log) }
        })
        .await;
    });
}
