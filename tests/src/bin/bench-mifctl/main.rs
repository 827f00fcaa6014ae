//! `cargo xtask bench mifctl`: mifctl starts, asks and prints, beside busctl with the same call.
//!
//! The state of a host with two ISPs: GetManagedObjects by `busctl --json=short call`, and by `mifctl list --json`,
//! which asks for the Manager's properties too. In turn; what counts is the time of the whole process, from its
//! start to its end.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mif::wire::Family;
use mif_tests::daemons::program;
use mif_tests::report::{Benchmark, Bound, Quantity, milliseconds};
use mif_tests::served_host::ServedHost;
use mif_tests::tool;
use mif_tests::topology::TwoIsps;
use mif_tests::universe::Privilege;

const BENCHMARK: Benchmark = Benchmark {
    name: "mifctl",
    about: "a command that starts, asks for everything and prints it",
    arguments: &[("rounds", "how many (50)")],
    privilege: Privilege::UserNamespace,
};
const TIME: Quantity = Quantity::less("start to end", "ms");
const CASE: &str = "everything of a host with two ISPs";
/// A program of ours, whose figures are looked at when it becomes slower.
const MIFCTL: &str = "mifctl";
/// How much longer than busctl it may take.
const ALLOWED: f64 = 1.5;

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let isps = TwoIsps::start(universe).await;
        let host = ServedHost::start(universe).await;
        for family in [Family::Ipv4, Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        let mut busctl = tool::command("busctl");
        busctl.args(["--json=short", "call", "org.ietf.Mif1", "/org/ietf/Mif1"]);
        busctl.args(["org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]);
        let mut mifctl = Command::new(program("mifctl"));
        mifctl.args(["list", "--json"]);
        for _ in 0..arguments.rounds(50) {
            for (who, command) in [(MIFCTL, &mut mifctl), ("busctl", &mut busctl)] {
                report.add(CASE, who, TIME, milliseconds(timed(command)));
            }
        }
        let times = report.ratio(CASE, TIME, MIFCTL, "busctl");
        report.promise("mifctl, times busctl", times, Bound::AtMost(ALLOWED));
    })
}

fn timed(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().expect("it can be started");
    let took = begin.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    took
}
