//! Who may connect, as the real polkitd decides it for a service that is a user of its own and clients of several
//! others; and what becomes of them when it does not answer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use mif::{
    BindRequest, ConnectRequest, ConnectedSocket, Error, ErrorKind, Message, NameRequest, State, Subscriber,
    TranslateOptions,
};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Agent, Bus, Mifd, MifdSettings, Polkitd};
use mif_tests::echo::{ECHO_PORT, EchoServer, Greeting};
use mif_tests::peers;
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::user::{MEMBER, ORDINARY_USER, SERVICE_USER, connect_as, uid_of};
use mif_tests::wait::{DEADLINE, completes, eventually};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};
use zbus::{Connection, OwnedObjectPath};

const ID: &str = "implicit:eth1:ipv4";

/// How long polkit may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A host with a server beside it, polkitd and mifd.
struct Place {
    host: ServedHost,
    polkitd: Polkitd,
    pvd: OwnedObjectPath,
    _echo: EchoServer,
}

impl Place {
    async fn start(universe: &Universe) -> Self {
        Self::start_with(universe, async |universe, bus| Polkitd::start(universe, bus).await).await
    }

    async fn start_with(universe: &Universe, polkitd: impl AsyncFnOnce(&Universe, &Bus) -> Polkitd) -> Self {
        peers::mount();
        let echo = server(universe).await;
        let bus = Bus::start(universe).await;
        let polkitd = polkitd(universe, &bus).await;
        let mifd = Mifd::start(universe, &bus).await;
        let connection = bus.connect().await;
        let host = ServedHost { bus, mifd, connection };
        let pvd = host.pvd(ID).await.path;
        Self { host, polkitd, pvd, _echo: echo }
    }

    async fn connect(&self, client: &Connection, request: &ConnectRequest) -> Result<ConnectedSocket, Error> {
        completes("the end of a connection", mif::connect_to_address(client, &self.pvd, request)).await
    }

    async fn visitor(&self) -> Connection {
        connect_as(&self.host.bus, ORDINARY_USER).await
    }

    async fn agent(&self) -> Agent {
        Agent::register(&self.host.bus, uid_of(ORDINARY_USER).as_raw()).await
    }
}

async fn server(universe: &Universe) -> EchoServer {
    let server = universe.node("server");
    let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    cable.near().add_address("192.0.2.3/24");
    cable.far().add_address("192.0.2.1/24");
    EchoServer::on(&server)
}

fn to_server() -> ConnectRequest {
    ConnectRequest::new([192, 0, 2, 1].into(), ECHO_PORT)
}

fn by_prompt() -> ConnectRequest {
    ConnectRequest { interactive: true, ..to_server() }
}

fn check(connected: ConnectedSocket) {
    check_stream(connected.socket);
}

fn check_stream(socket: OwnedFd) {
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(Greeting::read(&stream).unwrap().server, "server");
}

#[test]
fn an_administrator_s_rules_see_who_wants_to_connect_where() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let manager = mif::proxy::ManagerProxy::new(&place.host.connection).await.unwrap();
        assert!(manager.features().await.unwrap().iter().any(|word| word == "polkit"));
        let visitor = place.visitor().await;
        // Without a session and without rules: an administrator would have to agree.
        let (kind, text) = refusal(place.connect(&visitor, &to_server()).await);
        assert_eq!(kind, ErrorKind::InteractiveAuthorizationRequired, "{text}");
        assert!(text.contains(&uid_of(ORDINARY_USER).to_string()) && text.contains("org.ietf.Mif1.connect"));
        let (subscriber, mut messages) = Subscriber::create(&visitor, "asks").await.unwrap();
        subscriber.connect_to_address(5, &place.pvd, &to_server()).await.unwrap();
        let message = next(&mut messages).await;
        let Message::NotConnected { connection_id: 5, error, .. } = message else { panic!("{message:?}") };
        assert_eq!(error.kind(), Some(ErrorKind::NotAuthorized));

        // Rules see everything that the request names; each request is asked about anew.
        let rule = r#"polkit.addRule(function(action, subject) {
            if (action.id == "org.ietf.Mif1.connect" && subject.user == "visitor"
                && action.lookup("pvd") == "implicit:eth1:ipv4" && action.lookup("address") == "192.0.2.1"
                && action.lookup("port") == "@PORT@" && action.lookup("source") == "192.0.2.3") {
                return polkit.Result.YES;
            }
            return polkit.Result.NO;
        });"#
            .replace("@PORT@", &ECHO_PORT.to_string());
        place.polkitd.rules(&rule).await;
        let right = ConnectRequest { source: Some([192, 0, 2, 3].into()), ..to_server() };
        for _ in 0..3 {
            check(place.connect(&visitor, &right).await.unwrap());
            let other_source = ConnectRequest { source: Some([192, 0, 2, 2].into()), ..to_server() };
            for wrong in
                [&to_server(), &other_source, &ConnectRequest { port: ECHO_PORT + 1, ..right.clone() }]
            {
                let (kind, text) = refusal(place.connect(&visitor, wrong).await);
                assert_eq!(kind, ErrorKind::AccessDenied, "{text}");
            }
        }
        subscriber.connect_to_address(6, &place.pvd, &right).await.unwrap();
        let message = next(&mut messages).await;
        assert!(matches!(message, Message::Connected { connection_id: 6, .. }), "{message:?}");
        // An answer is not kept beyond its request: the same one is refused once the rules say so.
        place.polkitd.rules("polkit.addRule(function() { return polkit.Result.NO; });").await;
        assert_eq!(refusal(place.connect(&visitor, &right).await).0, ErrorKind::AccessDenied);
        // Root is not asked about.
        check(place.connect(&place.host.connection, &to_server()).await.unwrap());
    });
}

#[test]
fn a_connection_to_a_name_is_asked_about_as_a_whole_and_in_each_pvd() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let visitor = place.visitor().await;
        let request = NameRequest::new("192.0.2.1", ECHO_PORT);
        let connect = async |request: &NameRequest| {
            completes("the end of a race", mif::connect_to_name(&visitor, request)).await
        };
        let (kind, text) = refusal(connect(&request).await);
        assert_eq!(kind, ErrorKind::InteractiveAuthorizationRequired, "{text}");

        // Rules see the name and the port of the whole, then the PvD and the address of each attempt.
        let rule = r#"polkit.addRule(function(action, subject) {
            var pvd = action.lookup("pvd");
            if (action.id != "org.ietf.Mif1.connect" || action.lookup("name") != "192.0.2.1"
                || action.lookup("port") != "@PORT@") {
                return polkit.Result.NO;
            }
            if (!pvd) {
                return polkit.Result.YES;
            }
            return pvd == "implicit:eth1:ipv4" && action.lookup("address") == "192.0.2.1"
                ? polkit.Result.@RESULT@ : polkit.Result.NO;
        });"#
            .replace("@PORT@", &ECHO_PORT.to_string());
        place.polkitd.rules(&rule.replace("@RESULT@", "YES")).await;
        let connected = connect(&request).await.unwrap();
        assert_eq!(connected.pvd_id, ID);
        drop(connected);
        let other_port = NameRequest { port: ECHO_PORT + 1, ..request.clone() };
        assert_eq!(refusal(connect(&other_port).await).0, ErrorKind::AccessDenied);
        // What is forbidden in a PvD is forbidden there by name too.
        place.polkitd.rules(&rule.replace("@RESULT@", "NO")).await;
        assert_eq!(refusal(connect(&request).await).0, ErrorKind::AccessDenied);
        // A rule that lets the whole pass is no person who agrees to this PvD.
        place.polkitd.rules(&rule.replace("@RESULT@", "AUTH_ADMIN")).await;
        let interactive = NameRequest { interactive: true, ..request.clone() };
        let (kind, text) = refusal(connect(&interactive).await);
        assert_eq!(kind, ErrorKind::InteractiveAuthorizationRequired, "{text}");

        // Without rules a person is prompted once, and reads what it is about.
        place.polkitd.rules("").await;
        let mut agent = place.agent().await;
        let (connected, prompt) = tokio::join!(connect(&interactive), async {
            let prompt = agent.prompt().await;
            let message = prompt.message.clone();
            prompt.agree().await;
            message
        });
        assert!(prompt.contains("192.0.2.1") && prompt.contains("any network"), "{prompt}");
        check_stream(connected.unwrap().socket);
        assert!(agent.prompt_at_hand().is_none());
    });
}

#[test]
fn the_example_rules_let_the_group_connect() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let member = connect_as(&place.host.bus, MEMBER).await;
        let (kind, _) = refusal(place.connect(&member, &to_server()).await);
        assert_eq!(
            kind,
            ErrorKind::InteractiveAuthorizationRequired,
            "the group alone counts without polkit only"
        );
        place.polkitd.example_rules().await;
        check(place.connect(&member, &to_server()).await.unwrap());
        for user in [ORDINARY_USER, SERVICE_USER] {
            let client = connect_as(&place.host.bus, user).await;
            let (kind, _) = refusal(place.connect(&client, &to_server()).await);
            assert_eq!(kind, ErrorKind::InteractiveAuthorizationRequired, "{user}");
        }
    });
}

#[test]
fn a_person_is_prompted_when_the_call_allows_it_and_once_at_a_time() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let visitor = place.visitor().await;
        let mut agent = place.agent().await;
        // Not asked for.
        let (kind, _) = refusal(place.connect(&visitor, &to_server()).await);
        assert_eq!(kind, ErrorKind::InteractiveAuthorizationRequired);
        assert!(agent.prompt_at_hand().is_none());

        // Three at once, on both faces, and one of another client beside them: the first client has one prompt.
        let (subscriber, mut messages) = Subscriber::create(&visitor, "asks").await.unwrap();
        let short = ConnectRequest { timeout: Some(Duration::from_secs(1)), ..by_prompt() };
        subscriber.connect_to_address(1, &place.pvd, &short).await.unwrap();
        let first = agent.prompt().await;
        subscriber.connect_to_address(2, &place.pvd, &short).await.unwrap();
        let third = tokio::spawn({
            let (visitor, pvd) = (visitor.clone(), place.pvd.clone());
            async move { mif::connect_to_address(&visitor, &pvd, &by_prompt()).await }
        });
        let other = place.visitor().await;
        let others = tokio::spawn({
            let pvd = place.pvd.clone();
            async move { mif::connect_to_address(&other, &pvd, &by_prompt()).await }
        });
        let of_other = agent.prompt().await;
        // The person reads which network it is about.
        assert!(first.message.contains(ID), "{}", first.message);
        // The other client is prompted, and may wait longer than the connection itself may last.
        let asked = Instant::now();
        of_other.agree().await;
        check(completes("the other's connection", others).await.unwrap().unwrap());
        while asked.elapsed() < Duration::from_millis(1_200) {
            // The service serves others meanwhile.
            place.host.state().await;
            assert!(agent.prompt_at_hand().is_none(), "one prompt a client");
        }
        first.agree().await;
        let message = next(&mut messages).await;
        assert!(matches!(message, Message::Connected { connection_id: 1, .. }), "{message:?}");

        // The next in turn. Closing the window is a refusal.
        agent.prompt().await.dismiss().await;
        agent.prompt().await.dismiss().await;
        let message = next(&mut messages).await;
        let Message::NotConnected { connection_id: 2, error, .. } = message else { panic!("{message:?}") };
        assert_eq!(error.kind(), Some(ErrorKind::NotAuthorized));
        let (kind, text) = refusal(completes("the third", third).await.unwrap());
        assert_eq!(kind, ErrorKind::AccessDenied);
        assert!(text.contains("dismissed"), "{text}");
    });
}

#[test]
fn a_prompt_goes_with_what_it_was_for() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let mut agent = place.agent().await;
        let visitor = place.visitor().await;
        let (subscriber, mut messages) = Subscriber::create(&visitor, "asks").await.unwrap();
        // Cancelled.
        subscriber.connect_to_address(1, &place.pvd, &by_prompt()).await.unwrap();
        let prompt = agent.prompt().await;
        subscriber.cancel_connection(1).await.unwrap();
        assert_eq!(agent.taken_back().await, prompt.cookie);
        // The provisioning domain goes.
        subscriber.connect_to_address(2, &place.pvd, &by_prompt()).await.unwrap();
        let prompt = agent.prompt().await;
        universe.host().ip("address flush dev eth1 scope global");
        assert_eq!(agent.taken_back().await, prompt.cookie);
        let message = next(&mut messages).await;
        let Message::NotConnected { connection_id: 2, error, .. } = message else { panic!("{message:?}") };
        assert_eq!(error.kind(), Some(ErrorKind::PvdGone));
        // The client goes.
        universe.host().ip("address add 192.0.2.2/24 dev eth1");
        let pvd = place.host.pvd(ID).await.path;
        subscriber.connect_to_address(3, &pvd, &by_prompt()).await.unwrap();
        let prompt = agent.prompt().await;
        drop((subscriber, messages));
        visitor.close().await.unwrap();
        assert_eq!(agent.taken_back().await, prompt.cookie);
    });
}

#[test]
fn what_a_person_agreed_to_is_done_with_the_addresses_of_that_moment() {
    universe::run_as_root(async |universe| {
        let place = Place::start(&universe).await;
        let mut agent = place.agent().await;
        let (asks, binds) = (place.visitor().await, place.visitor().await);
        let connecting = tokio::spawn({
            let pvd = place.pvd.clone();
            async move { mif::connect_to_address(&asks, &pvd, &by_prompt()).await }
        });
        let prompt = agent.prompt().await;
        let binding = tokio::spawn({
            let pvd = place.pvd.clone();
            async move {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                let request = BindRequest { interactive: true, ..BindRequest::default() };
                mif::bind_socket(&binds, &pvd, &socket, &request).await
            }
        });
        let second = agent.prompt().await;
        // All that the host had when it was asked goes.
        let host = universe.host();
        host.set("net/ipv4/conf/eth1/promote_secondaries", "1");
        for change in ["add 192.0.2.9/24", "del 192.0.2.2/24", "del 192.0.2.3/24"] {
            host.ip(&format!("address {change} dev eth1"));
        }
        let new: IpAddr = [192, 0, 2, 9].into();
        eventually("the new address alone", async || {
            let addresses = place.host.addresses(&place.pvd).await;
            if addresses == [new] { Ok(()) } else { Err(format!("{addresses:?}")) }
        })
        .await;
        prompt.agree().await;
        let connected = completes("the connection", connecting).await.unwrap().unwrap();
        assert_eq!(connected.local.map(|local| local.ip()), Some(new));
        check(connected);
        second.agree().await;
        let bound = completes("the binding", binding).await.unwrap().unwrap();
        assert_eq!(bound.source, Some(new));
    });
}

#[test]
fn polkit_that_is_gone_or_silent_refuses_and_delays_nobody_else() {
    universe::run_as_root(async |universe| {
        let mut place = Place::start(&universe).await;
        place.polkitd.example_rules().await;
        let member = connect_as(&place.host.bus, MEMBER).await;
        check(place.connect(&member, &to_server()).await.unwrap());

        place.polkitd.process().signal(Signal::SIGSTOP);
        let (asked, request) = (Instant::now(), to_server());
        let (refused, others) = tokio::join!(place.connect(&member, &request), async {
            let mut slowest = Duration::ZERO;
            for _ in 0..50 {
                let start = Instant::now();
                State::read(&member).await.unwrap();
                check(place.connect(&place.host.connection, &to_server()).await.unwrap());
                slowest = slowest.max(start.elapsed());
            }
            slowest
        });
        let (kind, text) = refusal(refused);
        assert_eq!(kind, ErrorKind::AccessDenied);
        assert!(text.contains("10 s"), "{text}");
        assert!(asked.elapsed() >= PATIENCE - Duration::from_millis(100), "{:?}", asked.elapsed());
        assert!(others < PATIENCE / 2, "others waited {others:?}");

        place.polkitd.process().signal(Signal::SIGCONT);
        check(place.connect(&member, &to_server()).await.unwrap());
        place.polkitd.process().kill().await;
        let (kind, _) = refusal(place.connect(&member, &to_server()).await);
        assert_eq!(kind, ErrorKind::AccessDenied, "decided once at start: its end is no way in");
        place.polkitd.restart(&place.host.bus).await;
        check(place.connect(&member, &to_server()).await.unwrap());
    });
}

#[test]
fn without_the_owner_annotation_polkit_refuses_the_service() {
    universe::run_as_root(async |universe| {
        let place = Place::start_with(&universe, async |universe, bus| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../polkit/org.ietf.Mif1.policy");
            let policy = std::fs::read_to_string(path).unwrap();
            let without: Vec<&str> =
                policy.lines().filter(|line| !line.contains("policykit.owner")).collect();
            assert_eq!(without.len() + 1, policy.lines().count());
            Polkitd::start_with(universe, bus, &without.join("\n")).await
        })
        .await;
        place.polkitd.example_rules().await;
        let member = connect_as(&place.host.bus, MEMBER).await;
        let (kind, _) = refusal(place.connect(&member, &to_server()).await);
        assert_eq!(kind, ErrorKind::AccessDenied);
        let log = place.host.mifd.process().log();
        assert!(log.contains("polkit cannot be asked"), "{log}");
    });
}

#[test]
fn a_session_s_service_serves_its_own_user_only() {
    universe::run_as_root(async |universe| {
        let _echo = server(&universe).await;
        let bus = Bus::start(&universe).await;
        let mifd = MifdSettings::new(&universe, &bus).session().start().await;
        let own = connect_as(&bus, SERVICE_USER).await;
        let pvd = mif_tests::wait::eventually("the PvD", async || {
            let state = State::read(&own).await.map_err(|error| error.to_string())?;
            let found = state.pvds().find(|pvd| pvd.id == ID).map(|pvd| pvd.path.clone());
            found.ok_or_else(|| format!("{state:?}"))
        })
        .await;
        check(mif::connect_to_address(&own, &pvd, &to_server()).await.unwrap());
        let root = bus.connect().await;
        for stranger in [connect_as(&bus, ORDINARY_USER).await, root] {
            for _ in 0..2 {
                let (kind, text) = refusal(State::read(&stranger).await);
                assert!(kind == ErrorKind::AccessDenied && text.contains("--session"), "{kind:?} {text}");
            }
            let options = TranslateOptions::default();
            let translated = mif::translate_name(&stranger, &pvd, "192.0.2.1", &options).await;
            assert_eq!(refusal(translated).0, ErrorKind::AccessDenied);
            assert_eq!(refusal(Subscriber::create(&stranger, "s").await).0, ErrorKind::AccessDenied);
        }
        check(mif::connect_to_address(&own, &pvd, &to_server()).await.unwrap());
        assert!(mifd.process().exit_status().is_none());
    });
}
