//! `cargo xtask bench race`: what a provisioning domain that drops everything costs a race over all of them.
//!
//! Two ISPs, of which one drops every TCP packet; name servers answer. In turn a name is connected to over the
//! PvDs of the good ISP alone, and over all. Fails when the dead one costs more than a second attempt and its delays.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mif::happy_eyeballs::{Options, Policy, connect};
use mif::wire::Family;
use mif_tests::echo::ECHO_PORT;
use mif_tests::report::{Benchmark, Bound, Quantity, milliseconds};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe::Privilege;
use zbus::Connection;

const BENCHMARK: Benchmark = Benchmark {
    name: "race",
    about: "a name connected to while one provisioning domain drops everything",
    arguments: &[("rounds", "how many (20)")],
    privilege: Privilege::UserNamespace,
};
const TIME: Quantity = Quantity::less("connected", "ms");
const CASE: &str = "a name of both ISPs";
/// Who has nothing to race with; and mifd's provisioning domains, one of them dead.
const CONTENDERS: [&str; 2] = ["the good PvD alone", "mifd, all PvDs"];
/// What the race may cost more, in milliseconds.
const ALLOWED: f64 = 300.0;

const DROP: &str =
    "table inet dead { chain input { type filter hook input priority 0; meta l4proto tcp drop; }; }";

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let isps = TwoIsps::start(universe).await;
        let host = ServedHost::start(universe).await;
        for family in [Family::Ipv4, Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        isps.first.node().run("nft", [DROP]);
        let require = vec![format!("interface:{}", isps.second.link()).parse().expect("a selector")];
        let alone = Options { policy: Policy { require, ..Policy::default() }, ..Options::default() };
        for _ in 0..arguments.rounds(20) {
            for (who, options) in CONTENDERS.into_iter().zip([&alone, &Options::default()]) {
                let took = timed(&host.connection, options).await;
                report.add(CASE, who, TIME, milliseconds(took));
            }
        }
        let [alone, race] = CONTENDERS.map(|who| report.median(CASE, who, TIME));
        let cost = race.zip(alone).map(|(race, alone)| race - alone);
        report.promise("ms that a dead PvD costs the race", cost, Bound::AtMost(ALLOWED));
    })
}

async fn timed(connection: &Connection, options: &Options) -> Duration {
    let begin = Instant::now();
    let raced = connect(connection, SHARED_NAME, ECHO_PORT, options).await.expect("a connection");
    let took = begin.elapsed();
    drop(raced);
    took
}
