//! ConnectToName: the service connects to a name over every provisioning domain, through two real ISPs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mif::happy_eyeballs::{Family as RaceFamily, Policy};
use mif::{ConnectedToName, ErrorKind, NameRequest, connect_to_name};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::process::output;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::tool;
use mif_tests::topology::SHARED_NAME;
use mif_tests::universe::{self};
use mif_tests::wait::{DEADLINE, completes};
use zbus::Connection;

fn shared() -> NameRequest {
    NameRequest::new(SHARED_NAME, ECHO_PORT)
}

fn requiring(selector: &str) -> NameRequest {
    let policy = Policy { require: vec![selector.parse().unwrap()], ..Policy::default() };
    NameRequest { policy, ..shared() }
}

async fn connect(connection: &Connection, request: &NameRequest) -> mif::Result<ConnectedToName> {
    completes("the end of the race", connect_to_name(connection, request)).await
}

#[test]
fn the_socket_is_the_callers_and_stays_in_the_pvd_that_won() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        for (link, family) in [("eth1", RaceFamily::V4), ("eth2", RaceFamily::V6)] {
            let request = NameRequest { family: Some(family), ..requiring(&format!("interface:{link}")) };
            let connected = connect(&host.connection, &request).await.unwrap();
            let (own, _) = isps.behind(link);
            let story = connected.story.join("\n");
            assert!(connected.pvd_id.contains(link), "{story}");
            let state = host.state().await;
            let pvd = state.pvds().find(|pvd| pvd.path == connected.pvd).unwrap();
            assert_eq!(pvd.id, connected.pvd_id);
            assert_eq!(connected.remote.is_ipv6(), family == RaceFamily::V6, "{story}");
            assert!(own.gave(connected.local.unwrap().ip()), "{:?}", connected.local);
            // Two are on the other link, and one has no address of the family.
            assert_eq!(story.matches("left out").count(), 3, "{story}");
            assert!(connected.handshake.unwrap() < DEADLINE);
            let view = socket2::SockRef::from(&connected.socket);
            assert_eq!(view.device().unwrap().unwrap(), link.as_bytes());
            assert_eq!(view.local_addr().unwrap().as_socket(), connected.local);
            assert!(!view.nonblocking().unwrap());
            let inode = nix::sys::stat::fstat(connected.socket.as_fd()).unwrap();
            assert_eq!(inode.st_uid, nix::unistd::getuid().as_raw());
            assert_eq!(Greeting::over(connected.socket).await.server, own.node().name());
        }
    });
}

#[test]
fn gdbus_gets_a_socket_and_errors_in_words() {
    universe::run(async |universe| {
        let (_isps, _host) = ServedHost::between_two_isps(&universe).await;
        let call = async |arguments: &[&str]| {
            let mut command = tool::command("gdbus");
            command.args(["call", "--system", "--dest=org.ietf.Mif1", "--object-path=/org/ietf/Mif1"]);
            command.args(["--method=org.ietf.Mif1.HighLevel.ConnectToName"]).args(arguments);
            output(command).await
        };
        let port = ECHO_PORT.to_string();
        let connected = call(&[SHARED_NAME, &port, "{'prefer': <['interface:eth2']>}"]).await;
        assert_eq!(connected.code, 0, "{connected:#?}");
        assert!(connected.stdout.starts_with("(handle 0, {"), "{connected:#?}");
        assert!(connected.stdout.contains("'pvd-id': <'implicit:eth2:ipv"), "{connected:#?}");
        for (arguments, error) in [
            ([SHARED_NAME, &port, "{'fast': <true>}"], "unknown option \"fast\"; known here: require, "),
            ([SHARED_NAME, "0", "{}"], "give one from 1 to 65535"),
            (["nowhere.test", &port, "{}"], "org.ietf.Mif1.Error.NameNotFound"),
        ] {
            let refused = call(&arguments).await;
            assert!(refused.code != 0 && refused.stderr.contains(error), "{arguments:?}: {refused:#?}");
        }
    });
}

#[test]
fn a_dead_network_and_a_pulled_cable_are_left_for_the_other() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        let first = connect(&host.connection, &shared()).await.unwrap();
        let (winner, other) = isps.behind(&first.pvd_id);
        winner.pull_cable().await;
        let pulled = Instant::now();
        let next = connect(&host.connection, &shared()).await.unwrap();
        let (took, story) = (pulled.elapsed(), next.story.join("\n"));
        assert!(took < Duration::from_secs(1), "{took:?}\n{story}");
        assert!(next.pvd_id.contains(other.link()), "{story}");
        assert_eq!(Greeting::over(next.socket).await.server, other.node().name());

        // What drops everything is left when its time is up, and not before.
        other.drop_connections();
        let timeout = Duration::from_millis(700);
        let begin = Instant::now();
        let request =
            NameRequest { timeout: Some(timeout), ..requiring(&format!("interface:{}", other.link())) };
        assert_eq!(refusal(connect(&host.connection, &request).await).0, ErrorKind::TimedOut);
        assert!(begin.elapsed() >= timeout);
    });
}

#[test]
fn what_belongs_to_a_caller_or_a_pvd_ends_with_it() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        // What is kept of servers is there from now on.
        connect(&host.connection, &shared()).await.unwrap();
        for isp in [&isps.first, &isps.second] {
            isp.drop_connections();
        }
        let before = host.descriptors();
        let caller = host.bus.connect().await;
        let race = tokio::spawn({
            let caller = caller.clone();
            async move { connect_to_name(&caller, &shared()).await.map(drop) }
        });
        // One attempt in each PvD: four.
        host.wait_for_descriptors(before + 4).await;
        caller.close().await.unwrap();
        host.wait_for_descriptors(before).await;
        completes("the end of the call", race).await.unwrap().unwrap_err();

        // The network goes: what is tried in its PvDs ends, and nothing else is left to try.
        let race = tokio::spawn({
            let (connection, link) = (host.connection.clone(), isps.first.link().to_owned());
            async move { connect_to_name(&connection, &requiring(&format!("interface:{link}"))).await }
        });
        host.wait_for_descriptors(before + 2).await;
        isps.first.pull_cable().await;
        let (kind, text) = refusal(completes("the end of the call", race).await.unwrap());
        // Its addresses may go before it.
        assert!([ErrorKind::PvdGone, ErrorKind::SourceNotValid].contains(&kind), "{kind:?} {text}");
        host.wait_for_descriptors(before).await;
    });
}

#[test]
fn a_lost_race_says_why() {
    universe::run(async |universe| {
        let (_isps, host) = ServedHost::between_two_isps(&universe).await;
        let cases = [
            (
                NameRequest::new("nowhere.test", ECHO_PORT),
                ErrorKind::NameNotFound,
                "no provisioning domain has",
            ),
            (requiring("kind:wifi"), ErrorKind::NetworkUnreachable, "others are required (4 left out)"),
            (NameRequest::new(SHARED_NAME, 1), ErrorKind::ConnectionRefused, "nothing listens there"),
            (NameRequest::new("localhost", 1), ErrorKind::InvalidArgs, "loopback"),
        ];
        for (request, expected, told) in cases {
            let (kind, text) = refusal(connect(&host.connection, &request).await);
            assert_eq!(kind, expected, "{request:?}: {text}");
            assert!(text.contains(told), "{request:?}: {text}");
        }
    });
}
