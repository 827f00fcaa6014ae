//! `cargo xtask bench paths`: many connections over two provisioning domains of one link, of which none may leave by the
//! other's router.
//!
//! A universe with one link and two routers, each of which drops what comes from the other's prefix, and counts it. One
//! client connects over the bus, in turn in each provisioning domain, 32 under way. Argument: how many connections
//! (100000). Fails when a single one does not arrive, has a foreign source or went by the wrong router.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use mif::{ConnectRequest, connect_to_address};
use mif_tests::node::Node;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{OneLinkTwoRouters, SERVER_BEHIND_BOTH};
use mif_tests::universe;
use mif_tests::wait::DEADLINE;
use zbus::OwnedObjectPath;

/// As many as one client may have pending.
const UNDER_WAY: usize = 32;
/// Several ports, so that no pair of ends is used twice while the server still remembers it.
const PORTS: std::ops::Range<u16> = 7001..7009;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let Ok(connections) = std::env::args().nth(1).map_or(Ok(100_000), |given| given.parse::<usize>())
        else {
            say("usage: bench-paths [CONNECTIONS], a whole number");
            return ExitCode::from(2);
        };
        let network = OneLinkTwoRouters::start(&universe).await;
        PORTS.for_each(|port| answer(network.server(), port));
        let host = ServedHost::start_with(&universe, |settings| settings.log("warn")).await;
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
        let took = begin.elapsed().as_secs_f64();
        host.wait_for_descriptors(before).await;
        report(&network, (connections, took), &failures, before)
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

fn report(
    network: &OneLinkTwoRouters,
    (connections, took): (usize, f64),
    failures: &[String],
    descriptors: usize,
) -> ExitCode {
    let rate = connections as f64 / took;
    say(format!("{connections} connections over two PvDs of one link in {took:.1} s ({rate:.0} a second)"));
    say(format!("  {} did not arrive; {descriptors} descriptors of mifd before and after", failures.len()));
    failures.iter().take(5).for_each(|failure| say(format!("  {failure}")));
    let mut wrong = 0;
    for router in &network.routers {
        let (dropped, forwarded) = router.dropped_and_forwarded();
        wrong += dropped;
        say(format!(
            "  {}: {forwarded} packets of its own prefix, {dropped} of the other's",
            router.node().name()
        ));
    }
    if wrong == 0 && failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
