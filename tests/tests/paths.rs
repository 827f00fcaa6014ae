//! Proof of path: what is sent in a provisioning domain leaves by its own router, whatever else is on the link.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use mif::{ConnectRequest, ConnectedSocket, ErrorKind, connect_to_address};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::routing;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::topology::{OneLinkTwoRouters, SERVER_BEHIND_BOTH};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{DEADLINE, completes, eventually};
use socket2::{Domain, Socket, Type};
use zbus::OwnedObjectPath;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn connect(host: &ServedHost, pvd: &OwnedObjectPath, to: &str) -> mif::Result<ConnectedSocket> {
    let request = ConnectRequest::new(ip(to), ECHO_PORT);
    completes(&format!("the outcome of {request:?}"), connect_to_address(&host.connection, pvd, &request))
        .await
}

/// One link, two routers, mifd, and the PvD of each router, in the order of the routers.
struct SharedLink {
    network: OneLinkTwoRouters,
    host: ServedHost,
    pvds: [OwnedObjectPath; 2],
}

impl SharedLink {
    async fn start(universe: &Universe, config: &str) -> Self {
        let network = OneLinkTwoRouters::start(universe).await;
        let host = ServedHost::start_with(universe, |settings| settings.config(config)).await;
        let pvds = pvds_of(&network, &host).await;
        Self { network, host, pvds }
    }

    /// Nothing was dropped for its source, and each router forwarded something.
    fn check_counters(&self) {
        for router in &self.network.routers {
            let (dropped, forwarded) = router.dropped_and_forwarded();
            assert_eq!(dropped, 0, "{} got packets of the other's prefix", router.node().name());
            assert!(forwarded > 0, "nothing came through {}", router.node().name());
        }
    }

    /// A connection in PvD `number` (from 1) gets through, from its own prefix.
    async fn gets_through(&self, number: usize) {
        let connected = connect(&self.host, &self.pvds[number - 1], SERVER_BEHIND_BOTH).await.unwrap();
        let seen = Greeting::over(connected.socket).await;
        assert!(seen.source.to_string().starts_with(&format!("2001:db8:{number}:")), "{seen:?}");
    }
}

async fn pvds_of(network: &OneLinkTwoRouters, host: &ServedHost) -> [OwnedObjectPath; 2] {
    eventually("a PvD with an address for each router", async || {
        let state = host.state().await;
        let found = network.routers.each_ref().map(|router| {
            let id = format!("implicit:eth1:ipv6:{}", router.link_local());
            let usable = state.pvds().find(|pvd| pvd.id == id && !pvd.addresses.is_empty());
            usable.map(|pvd| pvd.path.clone())
        });
        match found {
            [Some(first), Some(second)] => Ok([first, second]),
            _ => Err(format!("{state:#?}")),
        }
    })
    .await
}

#[test]
fn each_pvd_of_a_link_leaves_by_its_own_router() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        for _ in 0..20 {
            for number in [1, 2] {
                shared.gets_through(number).await;
            }
        }
        shared.check_counters();
        assert_eq!(routing::tables(universe.host()).len(), 2);
    });
}

#[test]
fn switched_off_there_is_no_rule_and_no_connection_on_a_shared_link() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "[routing]\nenabled = false\n").await;
        for pvd in &shared.pvds {
            let (kind, text) = refusal(connect(&shared.host, pvd, SERVER_BEHIND_BOTH).await);
            assert_eq!(kind, ErrorKind::NotSupported);
            assert!(text.contains("shares its interface"), "{text}");
        }
        assert!(routing::rules(universe.host()).is_empty());
        for router in &shared.network.routers {
            assert_eq!(router.dropped_and_forwarded(), (0, 0), "not one packet was sent");
        }
    });
}

/// What the kernel answers programs that know nothing of marks.
fn unmarked_routes(universe: &Universe, host: &[IpAddr]) -> Vec<String> {
    let node = universe.host();
    let mut lookups =
        vec![format!("-6 route get {SERVER_BEHIND_BOTH}"), "-6 route get 2001:db8:9::9".to_owned()];
    for source in host {
        lookups.push(format!("-6 route get {SERVER_BEHIND_BOTH} from {source}"));
    }
    // The times of cached routes and their numbers move on by themselves.
    let stable = |text: String| {
        let words = text.split_whitespace().take_while(|word| *word != "expires" && *word != "hoplimit");
        words.collect::<Vec<_>>().join(" ")
    };
    lookups.iter().map(|lookup| stable(node.ip(lookup))).collect()
}

/// How long nothing happens before a packet counts as lost.
const A_WHILE: Duration = Duration::from_millis(700);

/// Whether a connection from this source comes about in that time, as any program makes it.
fn gets_through_unmarked(source: IpAddr, within: Duration) -> bool {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    let to = SocketAddr::new(ip(SERVER_BEHIND_BOTH), ECHO_PORT);
    socket.connect_timeout(&to.into(), within).is_ok()
}

#[test]
fn unmarked_sockets_behave_as_before() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        let mut sources = Vec::new();
        for pvd in &shared.pvds {
            sources.extend(shared.host.addresses(pvd).await);
        }
        let before = unmarked_routes(&universe, &sources);
        assert!(routing::rules(universe.host()).is_empty(), "nothing is in use yet");
        for number in [1, 2] {
            shared.gets_through(number).await;
        }
        assert!(!routing::rules(universe.host()).is_empty());
        assert_eq!(unmarked_routes(&universe, &sources), before);
        shared.check_counters();

        // A bound source does not choose the router: of two such sockets the kernel leads one to the wrong router. That
        // is how it was, and is.
        let through = sources.into_iter().filter(|source| gets_through_unmarked(*source, A_WHILE)).count();
        assert_eq!(through, 1, "without marks one of two gets through");
    });
}

/// By configuration a bound source does choose the router.
#[test]
fn a_bound_source_chooses_the_router_where_rules_for_sources_are_wished_for() {
    universe::run(async |universe| {
        let mut shared = SharedLink::start(&universe, "[routing]\nsource-rules = \"always\"\n").await;
        let mut sources = Vec::new();
        for number in [1, 2] {
            sources.extend(shared.host.addresses(&shared.pvds[number - 1]).await);
            shared.gets_through(number).await;
        }
        for source in &sources {
            assert!(gets_through_unmarked(*source, DEADLINE), "{source}");
        }
        shared.check_counters();
        let from = |rules: Vec<String>| rules.into_iter().filter(|rule| rule.contains(" from 2")).count();
        assert_eq!(from(routing::rules(universe.host())), 2, "those of the link itself have none");

        // Another configuration: they go, and nothing else does.
        let mut left = routing::rules(universe.host());
        left.retain(|rule| !rule.contains(" from 2"));
        shared.host.mifd.terminate().await;
        shared.host.mifd.restart_with("").await;
        eventually("no rules for sources", async || {
            let rules = routing::rules(universe.host());
            if rules == left { Ok(()) } else { Err(format!("{rules:#?}")) }
        })
        .await;
    });
}

#[test]
fn what_others_remove_is_put_back() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        for number in [1, 2] {
            shared.gets_through(number).await;
        }
        let host = universe.host();
        let (rules, routes) = (routing::rules(host), routing::routes(host));
        let restored = async || {
            eventually("rules and routes to be as before", async || {
                let now = (routing::rules(host), routing::routes(host));
                if now == (rules.clone(), routes.clone()) { Ok(()) } else { Err(format!("{now:#?}")) }
            })
            .await;
        };
        let table = routing::tables(host)[0].clone();
        host.ip(&format!("-6 route flush table {table}"));
        restored().await;
        // All rules at once, as systemd-networkd does it.
        for priority in 700..706 {
            for _ in rules.iter().filter(|rule| rule.starts_with(&format!("-6 {priority}:"))) {
                host.ip(&format!("-6 rule delete priority {priority}"));
            }
        }
        restored().await;
        for number in [1, 2] {
            shared.gets_through(number).await;
        }
        shared.check_counters();
    });
}

#[test]
fn a_killed_service_leaves_connections_alone_and_finds_its_tables_again() {
    universe::run(async |universe| {
        let mut shared = SharedLink::start(&universe, "").await;
        let connected = connect(&shared.host, &shared.pvds[1], SERVER_BEHIND_BOTH).await.unwrap();
        let live = TcpStream::from(connected.socket);
        live.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(Greeting::read(&live).unwrap().source.to_string().starts_with("2001:db8:2:"));
        let host = universe.host();
        let (rules, routes) = (routing::rules(host), routing::routes(host));
        let echoes = || {
            use std::io::{Read, Write};
            let mut back = [0; 5];
            (&live).write_all(b"still").unwrap();
            (&live).read_exact(&mut back).unwrap();
            assert_eq!(&back, b"still");
        };

        shared.host.mifd.kill().await;
        echoes();
        assert_eq!((routing::rules(host), routing::routes(host)), (rules.clone(), routes.clone()));
        // Left by a run that was configured otherwise, and by one whose list of marks is lost.
        host.ip("-6 rule add fwmark 0x77000001/0xff00ffff lookup 1996488705 priority 900 protocol 77");
        host.ip("-6 rule add fwmark 0x4d000777/0xff00ffff lookup 1291847543 priority 703 protocol 77");
        host.ip("-6 route add 2001:db8:77::/48 dev eth1 table 1291847543 protocol 77");
        shared.host.mifd.restart().await;
        echoes();
        eventually("only what is in use to be left", async || {
            let now = (routing::rules(host), routing::routes(host));
            if now == (rules.clone(), routes.clone()) { Ok(()) } else { Err(format!("{now:#?}")) }
        })
        .await;
        echoes();
        // The same mark for the same provisioning domain, and a new one for another: no number twice.
        shared.pvds = pvds_of(&shared.network, &shared.host).await;
        shared.gets_through(2).await;
        assert_eq!(routing::rules(host), rules);
        shared.gets_through(1).await;
        let first = format!("fwmark 0x{:x}/", 0x4d00_0778);
        assert!(routing::rules(host).iter().any(|rule| rule.contains(&first)), "{:#?}", routing::rules(host));
        shared.check_counters();
    });
}

#[test]
fn all_of_it_can_be_removed() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        shared.gets_through(1).await;
        shared.host.mifd.terminate().await;
        let host = universe.host();
        assert!(!routing::rules(host).is_empty() && !routing::routes(host).is_empty());
        let program = mif_tests::daemons::program("mifd");
        let said = host.run(program.to_str().unwrap(), ["--remove-routing"]);
        assert!(said.starts_with("removed 7 rules and "), "{said}");
        assert!(routing::rules(host).is_empty() && routing::routes(host).is_empty());
        assert_eq!(
            host.run(program.to_str().unwrap(), ["--remove-routing"]),
            "removed 0 rules and 0 routes\n"
        );
    });
}

#[test]
fn while_its_pvd_is_gone_the_packets_of_a_socket_are_refused() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        shared.gets_through(1).await;
        shared.gets_through(2).await;
        let mark =
            |rule: &String| rule.split("fwmark ").nth(1).unwrap().split('/').next().unwrap().to_owned();
        let host = universe.host();
        let of_second = routing::rules(host)
            .iter()
            .filter(|rule| rule.contains("lookup"))
            .map(mark)
            .find(|mark| {
                host.ip(&format!("-6 route get {SERVER_BEHIND_BOTH} mark {mark}")).contains("2001:db8:2:")
            })
            .unwrap();
        // The router leaves for good: it takes everything back that it advertised.
        let router = &shared.network.routers[1];
        let goodbye = RouterAdvertisement::new(0).prefix("2001:db8:2::", 64, 0, 0);
        router.stop().await;
        let sender = RawSender::on(router.lan());
        eventually("the PvD to be gone", async || {
            sender.send(goodbye.bytes());
            let state = shared.host.state().await;
            let left = state.pvds().any(|pvd| pvd.path == shared.pvds[1]);
            if left { Err(format!("{state:#?}")) } else { Ok(()) }
        })
        .await;
        eventually("its packets to be refused", async || {
            let output = host.try_run("ip", ["-6", "route", "get", SERVER_BEHIND_BOTH, "mark", &of_second]);
            if output.stderr.contains("unreachable") { Ok(()) } else { Err(format!("{output:?}")) }
        })
        .await;
        shared.gets_through(1).await;
        assert_eq!(shared.network.routers[0].dropped_and_forwarded().0, 0);
    });
}

#[test]
fn a_router_that_no_longer_is_one_is_not_used() {
    universe::run(async |universe| {
        let shared = SharedLink::start(&universe, "").await;
        shared.gets_through(2).await;
        let router = &shared.network.routers[1];
        router.stop().await;
        // RFC 4861 6.2.5: its last word has a router lifetime of zero. Its prefix lives on.
        let sender = RawSender::on(router.lan());
        let (kind, text) = eventually("connections to be refused", async || {
            sender.send(RouterAdvertisement::new(0).prefix("2001:db8:2::", 64, 3600, 1800).bytes());
            match connect(&shared.host, &shared.pvds[1], SERVER_BEHIND_BOTH).await {
                Ok(connected) => Err(format!("{connected:?}")),
                refused => Ok(refusal(refused)),
            }
        })
        .await;
        assert_eq!(kind, ErrorKind::NetworkUnreachable, "{text}");
        assert!(text.contains("has no route to"), "{text}");
        shared.gets_through(1).await;
        assert_eq!(shared.network.routers[0].dropped_and_forwarded().0, 0, "router 1 saw none of PvD 2");
    });
}
