//! `cargo xtask bench polkit`: what it costs to ask polkit who may connect (root).
//!
//! A universe with one cable to a server, the real polkitd with a rule that allows, and mifd. In turn root, about whom
//! nobody is asked, and a user connect; a round is the median of its connections.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::ExitCode;
use std::time::Instant;

use mif::wire::Family;
use mif::{ConnectRequest, connect_to_address};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Polkitd};
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::report::{Benchmark, Quantity, median, microseconds};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::Privilege;
use mif_tests::user::{ORDINARY_USER, connect_as};
use zbus::{Connection, OwnedObjectPath};

const BENCHMARK: Benchmark = Benchmark {
    name: "polkit",
    about: "what it costs to ask polkit who may connect",
    arguments: &[("connections", "of a round (500)"), ("rounds", "how many (5)")],
    privilege: Privilege::Root,
};
const P50: Quantity = Quantity::less("p50", "us");
const CASE: &str = "ConnectToAddress";

const ALLOW: &str = "polkit.addRule(function(action) {
    return action.id == \"org.ietf.Mif1.connect\" ? polkit.Result.YES : polkit.Result.NOT_HANDLED;
});";

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let calls = arguments.number("connections", 500).max(1);
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address("192.0.2.1/24");
        let _echo = EchoServer::on(&server);
        let bus = Bus::start(universe).await;
        let polkitd = Polkitd::start(universe, &bus).await;
        polkitd.rules(ALLOW).await;
        let host = ServedHost::on(bus, universe, |settings| settings).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let user = connect_as(&host.bus, ORDINARY_USER).await;
        for _ in 0..arguments.rounds(5) {
            for (who, client) in
                [("mifd, root: nobody is asked", &host.connection), ("mifd, a user: polkit is asked", &user)]
            {
                report.add(CASE, who, P50, middle(client, &pvd, calls).await);
            }
        }
    })
}

/// The median of so many connections, in microseconds.
async fn middle(client: &Connection, pvd: &OwnedObjectPath, calls: usize) -> f64 {
    let request = ConnectRequest::new([192, 0, 2, 1].into(), ECHO_PORT);
    let mut times = Vec::new();
    for _ in 0..calls {
        let since = Instant::now();
        let connected = connect_to_address(client, pvd, &request).await.expect("a connection");
        times.push(microseconds(since.elapsed()));
        drop(connected);
    }
    median(times)
}
