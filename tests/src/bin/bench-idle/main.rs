//! `cargo xtask bench idle`: what services cost while nothing, or next to nothing, happens.
//!
//! Each on a machine of its own with one link to a router: mifd, and when that has ended systemd-networkd and
//! NetworkManager at the same time, for mifd hears what these tell others. They are watched with a router that is silent
//! (as one that advertises every 600 s is for almost all of the time), and with one that advertises every 4 s. Wake-ups
//! are those of all threads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;

use contender::Contender;
use mif_tests::cable::Cable;
use mif_tests::daemons::Bus;
use mif_tests::process::Process;
use mif_tests::report::{Benchmark, Bound, Quantity, Report};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::universe::Privilege;
use mif_tests::usage::{self, Usage};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const BENCHMARK: Benchmark = Benchmark {
    name: "idle",
    about: "memory, wake-ups and CPU while next to nothing happens",
    arguments: &[
        ("seconds", "how long each is watched, twice (60)"),
        ("who", "mifd, networkd, NetworkManager (all)"),
    ],
    privilege: Privilege::UserNamespace,
};
const PSS: Quantity = Quantity::less("PSS", "MB");
const WAKEUPS: Quantity = Quantity::less("wake-ups", "per minute");
const CPU: Quantity = Quantity::less("CPU", "ms per minute");
const SILENT: &str = "a silent router";
const TALKATIVE: &str = "an advertisement every 4 s";
/// Long enough for solicitations and whatever else follows a start.
const SETTLING: Duration = Duration::from_secs(45);
const PERIOD: Duration = Duration::from_secs(4);
const PERIODS_A_MINUTE: f64 = 15.0;

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let bus = Bus::start(universe).await;
        let seconds = arguments.number("seconds", 60).max(4);
        for together in Contender::chosen(arguments, report) {
            let mut watched = Vec::new();
            for contender in together {
                watched.push(contender.start(universe, &bus).await);
            }
            watch(&watched, seconds, report).await;
            for (_, process, _) in watched {
                process.terminate().await;
            }
        }
        report.goal("MB, PSS of mifd, idle", report.median(SILENT, "mifd", PSS), Bound::AtMost(5.0));
        let wakeups = report.median(SILENT, "mifd", WAKEUPS);
        report.goal("wake-ups per minute of mifd, idle", wakeups, Bound::AtMost(1.0));
        let each = report.median(TALKATIVE, "mifd", WAKEUPS).map(|wakeups| wakeups / PERIODS_A_MINUTE);
        report.goal("wake-ups of mifd per advertisement", each, Bound::AtMost(1.0));
    })
}

async fn watch(watched: &[(&str, Process, Cable)], seconds: usize, report: &mut Report) {
    let advertisement = RouterAdvertisement::new(1800)
        .prefix("2001:db8:1::", 64, 3600, 1800)
        .dns_servers(3600, &["2001:db8:1::53"]);
    let senders: Vec<RawSender> = watched.iter().map(|(_, _, cable)| RawSender::on(cable.far())).collect();
    let advertise = || senders.iter().for_each(|sender| sender.send(advertisement.bytes()));
    let processes: Vec<(&str, &Process)> =
        watched.iter().map(|(name, process, _)| (*name, process)).collect();
    // Time is what is measured: how much happens in a minute in which no state changes, of a service that has run a while.
    advertise();
    tokio::time::sleep(SETTLING).await;
    let silent = Watch::begin(&processes);
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    silent.end(SILENT, seconds, report);
    let mut pace = interval(PERIOD);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.tick().await;
    // Of a program that was silent for a minute the machine may have to read pages from the disk, and each of them is a
    // wait. So the first one is not counted.
    advertise();
    pace.tick().await;
    let talkative = Watch::begin(&processes);
    for _ in 0..seconds / 4 {
        advertise();
        pace.tick().await;
    }
    talkative.end(TALKATIVE, seconds / 4 * 4, report);
}

/// Processes from a moment on.
struct Watch<'a> {
    before: Vec<(&'a str, &'a Process, Usage)>,
}

impl<'a> Watch<'a> {
    fn begin(processes: &[(&'a str, &'a Process)]) -> Self {
        let before = processes.iter().map(|(name, process)| (*name, *process, Usage::of(process)));
        Self { before: before.collect() }
    }

    fn end(self, case: &str, seconds: usize, report: &mut Report) {
        let minutes = seconds as f64 / 60.0;
        for (name, process, before) in self.before {
            let used = Usage::of(process).since(before);
            report.add(case, name, PSS, usage::proportional_share(process) as f64 / 1024.0);
            report.add(case, name, WAKEUPS, used.sleeps as f64 / minutes);
            report.add(case, name, CPU, used.cpu.as_secs_f64() * 1e3 / minutes);
        }
    }
}
