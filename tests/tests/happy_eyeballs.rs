//! Connecting to a name over every provisioning domain, through two real ISPs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mif::happy_eyeballs::{Defeat, Happening, Options, Policy, Raced, Sockets, connect};
use mif::{BusChoice, Error, ErrorKind};
use mif_tests::echo::{ECHO_PORT, Greeting};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::SHARED_NAME;
use mif_tests::universe::{self};
use mif_tests::wait::{DEADLINE, completes};
use zbus::Connection;

async fn race(connection: &Connection, name: &str, options: &Options) -> mif::Result<Raced> {
    completes("the end of the race", connect(connection, name, ECHO_PORT, options)).await
}

fn requiring(selector: &str) -> Options {
    let policy = Policy { require: vec![selector.parse().unwrap()], ..Policy::default() };
    Options { policy, ..Options::default() }
}

#[test]
fn the_socket_is_the_programs_own_and_stays_in_the_pvd() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        for link in ["eth1", "eth2"] {
            for sockets in [Sockets::Own, Sockets::Service] {
                let options = Options { sockets, ..requiring(&format!("interface:{link}")) };
                let raced = race(&host.connection, SHARED_NAME, &options).await.unwrap();
                assert!(raced.pvd.id.contains(link), "{}", raced.story);
                assert!(raced.remote.is_ipv6(), "IPv6 answers at the same time: {}", raced.story);
                let (own, _) = isps.behind(&raced.pvd.id);
                assert!(own.gave(raced.local.unwrap().ip()), "{:?}", raced.local);
                let left_out =
                    raced.story.events.iter().filter(|event| matches!(event.what, Happening::LeftOut { .. }));
                assert_eq!(left_out.count(), 2, "{}", raced.story);
                let view = socket2::SockRef::from(&raced.socket);
                assert_eq!(view.device().unwrap().unwrap(), link.as_bytes());
                assert!(!view.nonblocking().unwrap());
                let inode = nix::sys::stat::fstat(raced.socket.as_fd()).unwrap();
                assert_eq!(inode.st_uid, nix::unistd::getuid().as_raw());
                let greeting = Greeting::over(raced.socket).await;
                assert_eq!(greeting.server, own.node().name());
            }
        }
        // Without a runtime of the program's own.
        let bus = BusChoice::Address(host.bus.address().to_owned());
        let program = tokio::task::spawn_blocking(move || {
            let client = mif::blocking::Client::open(&bus)?;
            client.connect_to_name(SHARED_NAME, ECHO_PORT, &Options::default())
        });
        let raced = completes("a connection", program).await.unwrap().unwrap();
        assert_eq!(Greeting::over(raced.socket).await.server, isps.behind(&raced.pvd.id).0.node().name());
    });
}

#[test]
fn a_pvd_that_drops_everything_costs_one_attempt_delay() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        let free = race(&host.connection, SHARED_NAME, &Options::default()).await.unwrap();
        let (dead, alive) = isps.behind(&free.pvd.id);
        dead.drop_connections();
        let raced = race(&host.connection, SHARED_NAME, &Options::default()).await.unwrap();
        assert!(raced.pvd.id.contains(alive.link()), "{}", raced.story);
        assert!(raced.story.attempts().len() <= 2, "{}", raced.story);
        assert_eq!(Greeting::over(raced.socket).await.server, alive.node().name());

        // With nothing else to turn to, it is lost when the time is up; not before, and not long after.
        let mut options = requiring(&format!("interface:{}", dead.link()));
        options.timing.limit = Duration::from_millis(700);
        let begin = Instant::now();
        let error = race(&host.connection, SHARED_NAME, &options).await.unwrap_err();
        assert!(begin.elapsed() >= options.timing.limit);
        let Error::Lost(lost) = &error else { panic!("{error}") };
        assert!(matches!(lost.defeat, Defeat::TimedOut), "{}", lost.story);
        assert_eq!(error.kind(), Some(ErrorKind::TimedOut));
    });
}

#[test]
fn the_next_connection_goes_the_other_way_within_a_second_of_the_pulled_cable() {
    universe::run(async |universe| {
        let (isps, host) = ServedHost::between_two_isps(&universe).await;
        let first = race(&host.connection, SHARED_NAME, &Options::default()).await.unwrap();
        let (winner, other) = isps.behind(&first.pvd.id);
        let download = TcpStream::from(first.socket);
        download.set_read_timeout(Some(DEADLINE)).unwrap();
        let download = tokio::task::spawn_blocking(move || {
            Greeting::read(&download).unwrap();
            download
        });
        let download = download.await.unwrap();
        winner.pull_cable().await;
        let pulled = Instant::now();
        let next = race(&host.connection, SHARED_NAME, &Options::default()).await.unwrap();
        let took = pulled.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}\n{}", next.story);
        assert!(next.pvd.id.contains(other.link()), "{}", next.story);
        assert_eq!(Greeting::over(next.socket).await.server, other.node().name());
        // The download is not moved to the other network.
        assert!(winner.gave(download.local_addr().unwrap().ip()));
    });
}

#[test]
fn a_lost_race_says_why() {
    universe::run(async |universe| {
        let (_isps, host) = ServedHost::between_two_isps(&universe).await;
        let cases = [
            (
                "nowhere.test",
                Options::default(),
                ErrorKind::NameNotFound,
                "no provisioning domain has an address",
            ),
            (SHARED_NAME, requiring("kind:wifi"), ErrorKind::NetworkUnreachable, "can be used"),
        ];
        for (name, options, kind, told) in cases {
            let error = race(&host.connection, name, &options).await.unwrap_err();
            assert_eq!(error.kind(), Some(kind), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
        let options = Options::default();
        let refused = connect(&host.connection, SHARED_NAME, 1, &options);
        let error = completes("the end", refused).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::ConnectionRefused));
        let Error::Lost(lost) = &error else { panic!("{error}") };
        assert_eq!(lost.story.attempts().len(), 4, "every address was tried once: {}", lost.story);
    });
}
