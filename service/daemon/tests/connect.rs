//! Connections inside provisioning domains.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use mif_core::plan::{ConnectFailure, ConnectFailureReason, ConnectPlan, Protocol};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use mifd::request::connect::{self, Connection};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use support::{ifindex, neighbour, open_descriptors, runtime, universe, wait_for};

const PORT: u16 = 7;
/// The only uid of the user namespace.
const ROOT: u32 = 0;

fn plan(link: &str, sources: &[&str], destination: &str) -> ConnectPlan {
    let destination = match destination.parse().unwrap() {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            format!("[{v6}%{}]:{PORT}", ifindex(link)).parse().unwrap()
        }
        address => SocketAddr::new(address, PORT),
    };
    ConnectPlan {
        pvd: Serial(1),
        ifindex: ifindex(link),
        sources: sources.iter().map(|source| source.parse().unwrap()).collect(),
        destination,
        timeout_ms: 10_000,
        protocol: Protocol::Tcp,
    }
}

/// Connects in a world in which nothing is known and nothing changes.
async fn connect(plan: &ConnectPlan, owner: u32) -> Result<Connection, ConnectFailure> {
    connect::connect(plan, None, owner, tokio::sync::watch::channel(Snapshot::default()).1).await
}

/// Tells everybody who connects which address that was, and `name`.
fn serve(name: &'static str) {
    let listener = TcpListener::bind(("::", PORT)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let peer = stream.peer_addr().unwrap().ip().to_canonical();
            writeln!(stream, "{peer} at {name}").unwrap();
        }
    });
}

fn two_links() {
    // The same addresses behind both; the main routing table knows one of the two ways only.
    for (n, name) in [(1, "one"), (2, "two")] {
        let own = [format!("192.0.2.{n}0/24"), format!("2001:db8:1::{n}0/64")];
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let theirs = ["192.0.2.1/24", "2001:db8:1::1/64", "fe80::53/64"];
        neighbour(&format!("e{n}"), &own, &theirs, move || serve(name));
    }
}

fn greeting(socket: impl Into<TcpStream>) -> String {
    let mut text = String::new();
    socket.into().read_to_string(&mut text).unwrap();
    text.trim_end().to_owned()
}

#[test]
fn each_connection_leaves_by_its_own_link() {
    universe("each_connection_leaves_by_its_own_link", || {
        two_links();
        runtime().block_on(async {
            for (n, name) in [(2, "two"), (1, "one"), (2, "two")] {
                for (destination, source) in
                    [("192.0.2.1", format!("192.0.2.{n}0")), ("2001:db8:1::1", format!("2001:db8:1::{n}0"))]
                {
                    let plan = plan(&format!("e{n}"), &[&source], destination);
                    let connection = connect(&plan, ROOT).await.unwrap();
                    assert_eq!(connection.local.ip().to_string(), source);
                    assert!(connection.handshake < Duration::from_secs(1));
                    assert_eq!(greeting(connection.socket), format!("{source} at {name}"));
                }
                let link_local = plan(&format!("e{n}"), &[&format!("2001:db8:1::{n}0")], "fe80::53");
                let connection = connect(&link_local, ROOT).await.unwrap();
                assert_eq!(greeting(connection.socket), format!("2001:db8:1::{n}0 at {name}"));
            }
        });
    });
}

#[test]
fn the_next_source_is_tried_when_one_is_gone() {
    universe("the_next_source_is_tried_when_one_is_gone", || {
        two_links();
        runtime().block_on(async {
            let plan = plan("e1", &["2001:db8:1::dead", "2001:db8:1::10"], "2001:db8:1::1");
            let connection = connect(&plan, ROOT).await.unwrap();
            assert_eq!(greeting(connection.socket), "2001:db8:1::10 at one");
        });
    });
}

#[test]
fn multipath_tcp_works_or_is_named() {
    universe("multipath_tcp_works_or_is_named", || {
        two_links();
        runtime().block_on(async {
            let plan = ConnectPlan { protocol: Protocol::Mptcp, ..plan("e2", &["192.0.2.20"], "192.0.2.1") };
            match connect(&plan, ROOT).await {
                Ok(connection) => assert_eq!(greeting(connection.socket), "192.0.2.20 at two"),
                Err(failure) => assert_eq!(failure.reason, ConnectFailureReason::NotSupported, "{failure}"),
            }
        });
    });
}

#[test]
fn failures_are_told_apart() {
    universe("failures_are_told_apart", || {
        two_links();
        runtime().block_on(async {
            let reason = async |plan: &ConnectPlan| connect(plan, ROOT).await.unwrap_err().reason;
            let good = plan("e1", &["192.0.2.10"], "192.0.2.1");
            let mut refused = good.clone();
            refused.destination.set_port(9);
            assert_eq!(reason(&refused).await, ConnectFailureReason::ConnectionRefused);
            // No neighbour answers for it: the kernel gives up after three seconds.
            let absent = plan("e1", &["192.0.2.10"], "192.0.2.77");
            assert_eq!(reason(&absent).await, ConnectFailureReason::HostUnreachable);
            let nowhere = plan("e1", &["2001:db8:1::10"], "2001:db8:9::1");
            assert_eq!(reason(&nowhere).await, ConnectFailureReason::NetworkUnreachable);
            let hasty = ConnectPlan { timeout_ms: 200, ..absent.clone() };
            let since = Instant::now();
            assert_eq!(reason(&hasty).await, ConnectFailureReason::TimedOut);
            assert!(since.elapsed() < Duration::from_secs(2));
            let foreign = plan("e1", &["203.0.113.5"], "192.0.2.1");
            assert_eq!(reason(&foreign).await, ConnectFailureReason::SourceNotValid);
            // A uid that this user namespace does not have.
            let failure = connect(&good, 4242).await.unwrap_err();
            assert_eq!((failure.reason, failure.errno), (ConnectFailureReason::Other, libc::EINVAL));
            support::ip("link set e1 down");
            assert_eq!(reason(&good).await, ConnectFailureReason::NetworkUnreachable);
        });
    });
}

#[test]
fn a_dropped_connect_leaves_no_socket() {
    universe("a_dropped_connect_leaves_no_socket", || {
        two_links();
        runtime().block_on(async {
            let plan = plan("e1", &["192.0.2.10"], "192.0.2.77");
            drop(connect(&plan, ROOT).await);
            let before = open_descriptors();
            for _ in 0..5 {
                let under_way = async {
                    while open_descriptors() == before {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    () = under_way => {}
                    connected = connect(&plan, ROOT) => panic!("{connected:?}"),
                }
                wait_for("every socket to be closed", || open_descriptors() <= before);
            }
        });
    });
}

#[test]
fn the_socket_shows_its_owner() {
    universe("the_socket_shows_its_owner", || {
        two_links();
        runtime().block_on(async {
            let connection = connect(&plan("e1", &["192.0.2.10"], "192.0.2.1"), ROOT).await.unwrap();
            let status = nix::sys::stat::fstat(connection.socket.as_fd()).unwrap();
            assert_eq!(status.st_uid, ROOT);
            let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
            let local = format!(":{:04X} ", connection.local.port());
            let line = table.lines().find(|line| line.contains(&local)).unwrap();
            assert_eq!(line.split_whitespace().nth(7), Some("0"), "{line}");
        });
    });
}
