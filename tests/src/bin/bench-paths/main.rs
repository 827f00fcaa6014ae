//! `cargo xtask bench paths`: many connections over two provisioning domains of one link, of which none may leave by the
//! other's router.
//!
//! A universe with one link and two routers, each of which drops what comes from the other's prefix, and counts it. One
//! client connects over the bus, in turn in each provisioning domain, 32 under way. Fails when a single one does not
//! arrive, has a foreign source or went by the wrong router.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use mif::{ConnectRequest, connect_to_address};
use mif_tests::node::Node;
use mif_tests::report::{Benchmark, Bound, Quantity, Report};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{OneLinkTwoRouters, SERVER_BEHIND_BOTH};
use mif_tests::universe::Privilege;
use mif_tests::wait::DEADLINE;
use zbus::OwnedObjectPath;

const BENCHMARK: Benchmark = Benchmark {
    name: "paths",
    about: "connections over two provisioning domains of one link, and the routers that they leave by",
    arguments: &[("connections", "how many (20000; in full 100000)")],
    privilege: Privilege::UserNamespace,
};
const CASE: &str = "two provisioning domains of one link";
/// As many as one client may have pending.
const UNDER_WAY: usize = 32;
/// Several ports, so that no pair of ends is used twice while the server still remembers it.
const PORTS: std::ops::Range<u16> = 7001..7009;

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let connections =
            arguments.number("connections", if arguments.full { 100_000 } else { 20_000 }).max(1);
        let network = OneLinkTwoRouters::start(universe).await;
        PORTS.for_each(|port| answer(network.server(), port));
        let host = ServedHost::start_with(universe, |settings| settings.log("warn")).await;
        let pvds = pvds_of(&network, &host).await;
        let before = host.descriptors();
        let begin = Instant::now();
        let outcomes = stream::iter(0..connections)
            .map(|number| {
                let pvd = number % 2;
                one(&host, &pvds[pvd], PORTS.start + port_of(number), pvd + 1)
            })
            .buffer_unordered(UNDER_WAY);
        let failures: Vec<String> = outcomes.filter_map(async |outcome| outcome.err()).collect().await;
        let rate = connections as f64 / begin.elapsed().as_secs_f64();
        host.wait_for_descriptors(before).await;
        report.add(CASE, "mifd", Quantity::more("rate", "connections/s"), rate);
        report.add(CASE, "mifd", Quantity::told("made", "connections"), connections as f64);
        tell(&network, &failures, report);
    })
}

fn port_of(number: usize) -> u16 {
    let ports = usize::from(PORTS.end - PORTS.start);
    u16::try_from(number / 2 % ports).expect("a few ports")
}

/// The PvD of each router, in their order.
async fn pvds_of(network: &OneLinkTwoRouters, host: &ServedHost) -> [OwnedObjectPath; 2] {
    let usable = |pvd: &mif::ProvisioningDomain| !pvd.addresses.is_empty();
    let id = |number: usize| format!("implicit:eth1:ipv6:{}", network.routers[number].link_local());
    [host.pvd_where(&id(0), usable).await.path, host.pvd_where(&id(1), usable).await.path]
}

/// A server that ends every connection, so that both ends are done with it when the client has read that.
fn answer(server: &Node, port: u16) {
    let listen = || TcpListener::bind((SERVER_BEHIND_BOTH.parse::<IpAddr>().expect("an address"), port));
    let listener = server.within(listen).expect("listen");
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            // The end that it sees is seen by the client too, as too few octets.
            let _ = connection.write_all(b"welcome");
        }
    });
}

/// One connection in PvD `number` (from 1).
async fn one(host: &ServedHost, pvd: &OwnedObjectPath, port: u16, number: usize) -> Result<(), String> {
    let to = SocketAddr::new(SERVER_BEHIND_BOTH.parse().expect("an address"), port);
    let request = ConnectRequest::new(to.ip(), to.port());
    let connected =
        connect_to_address(&host.connection, pvd, &request).await.map_err(|error| error.to_string())?;
    let local = connected.local.ok_or("no local address")?;
    if !local.ip().to_string().starts_with(&format!("2001:db8:{number}:")) {
        return Err(format!("{local} is no address of PvD {number}"));
    }
    let mut stream = TcpStream::from(connected.socket);
    stream.set_read_timeout(Some(DEADLINE)).map_err(|error| error.to_string())?;
    let mut word = String::new();
    // Within microseconds, or it did not arrive.
    stream.read_to_string(&mut word).map_err(|error| error.to_string())?;
    if word == "welcome" { Ok(()) } else { Err(format!("the server said {word:?}")) }
}

fn tell(network: &OneLinkTwoRouters, failures: &[String], report: &mut Report) {
    let counts = network.routers.each_ref().map(|router| router.dropped_and_forwarded());
    let wrong = counts.map(|(dropped, _)| dropped).iter().sum::<u64>() as f64;
    let right = counts.map(|(_, forwarded)| forwarded).iter().sum::<u64>() as f64;
    report.add(CASE, "mifd", Quantity::told("by their own router", "packets"), right);
    report.add(CASE, "mifd", Quantity::less("by the other one", "packets"), wrong);
    report.add(CASE, "mifd", Quantity::less("not arrived", "connections"), failures.len() as f64);
    failures.iter().take(5).for_each(|failure| report.note(failure));
    report.promise("packets by the other router", Some(wrong), Bound::AtMost(0.0));
    report.promise("connections that did not arrive", Some(failures.len() as f64), Bound::AtMost(0.0));
}
