//! `mif-soak [MINUTES [SEED]]`: random storms and clients around mifd, with an oracle (30 minutes; a seed of chance).
//!
//! It needs no privileges and nothing of the machine's networks. It ends with 1, and the logs, as soon as something is
//! not as it should be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mif_tests::soak::{self, Report};
use mif_tests::universe;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given);
        let (Ok(minutes @ 1..), Ok(seed)) = (number(30), number(now)) else {
            say("usage: mif-soak [MINUTES [SEED]], both whole numbers");
            return ExitCode::from(2);
        };
        let duration = Duration::from_secs(60 * minutes);
        let report = soak::run(&universe, seed, duration, |report: &Report| say(&report.to_string())).await;
        say(&format!("all as it should be. {report}"));
        ExitCode::SUCCESS
    })
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
