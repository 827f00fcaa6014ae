//! `cargo xtask bench mifctl`: mifctl starts, asks and prints, beside busctl with the same call.
//!
//! The state of a host with two ISPs: GetManagedObjects by `busctl --json=short call`, and by `mifctl list --json`,
//! which asks for the Manager's properties too. In turn; what counts is the median of the whole process, from its
//! start to its end. Argument: the number of rounds (50).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mif::wire::Family;
use mif_tests::daemons::program;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::TwoIsps;
use mif_tests::{tool, universe};

/// How much longer than busctl it may take.
const ALLOWED: f64 = 1.5;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(50);
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        for family in [Family::Ipv4, Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        let mut busctl = tool::command("busctl");
        busctl.args(["--json=short", "call", "org.ietf.Mif1", "/org/ietf/Mif1"]);
        busctl.args(["org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]);
        let mut mifctl = Command::new(program("mifctl"));
        mifctl.args(["list", "--json"]);
        let (mut by_busctl, mut by_mifctl) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            by_busctl.push(timed(&mut busctl));
            by_mifctl.push(timed(&mut mifctl));
        }
        let (busctl, mifctl) = (median(by_busctl), median(by_mifctl));
        let ratio = mifctl.as_secs_f64() / busctl.as_secs_f64();
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut out = std::io::stdout().lock();
        let _ = writeln!(
            out,
            "{rounds} rounds, medians: busctl {:.2} ms, mifctl {:.2} ms",
            ms(busctl),
            ms(mifctl)
        );
        let _ = writeln!(out, "mifctl : busctl = {ratio:.2}, allowed {ALLOWED}");
        if ratio <= ALLOWED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
