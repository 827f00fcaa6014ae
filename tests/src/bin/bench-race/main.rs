//! `cargo xtask bench race`: what a provisioning domain that drops everything costs a race over all of them.
//!
//! Two ISPs, of which one drops every TCP packet; name servers answer. In turn a name is connected to over the
//! PvDs of the good ISP alone, and over all. Argument: the number of rounds (20).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mif::happy_eyeballs::{Options, Policy, connect};
use mif::wire::Family;
use mif_tests::echo::ECHO_PORT;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe;
use zbus::Connection;

/// What the race may cost more.
const ALLOWED: Duration = Duration::from_millis(300);

const DROP: &str =
    "table inet dead { chain input { type filter hook input priority 0; meta l4proto tcp drop; }; }";

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        for family in [Family::Ipv4, Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        isps.first.node().run("nft", [DROP]);
        let require = vec![format!("interface:{}", isps.second.link()).parse().expect("a selector")];
        let alone = Options { policy: Policy { require, ..Policy::default() }, ..Options::default() };
        let (mut best, mut race) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            best.push(timed(&host.connection, &alone).await);
            race.push(timed(&host.connection, &Options::default()).await);
        }
        let (best, race) = (Spread::of(best), Spread::of(race));
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{rounds} rounds; ms            median     min     max");
        let _ = writeln!(out, "the good PvD alone      {best}");
        let _ = writeln!(out, "all, one of them dead   {race}");
        let cost = race.median.saturating_sub(best.median);
        let _ = writeln!(out, "cost {:.1} ms, allowed {} ms", ms(cost), ALLOWED.as_millis());
        if cost <= ALLOWED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

async fn timed(connection: &Connection, options: &Options) -> Duration {
    let begin = Instant::now();
    let raced = connect(connection, SHARED_NAME, ECHO_PORT, options).await.expect("a connection");
    let took = begin.elapsed();
    drop(raced);
    took
}

struct Spread {
    median: Duration,
    min: Duration,
    max: Duration,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self { median: times[times.len() / 2], min: times[0], max: times[times.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:>7.1} {:>7.1} {:>7.1}", ms(self.median), ms(self.min), ms(self.max))
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
