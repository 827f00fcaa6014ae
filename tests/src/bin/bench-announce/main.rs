//! `cargo xtask bench announce`: from a Router Advertisement to the ProvisioningDomainAnnouncement at a client.
//!
//! A cable, duplicate address detection off. In turn, (a) a raw ICMPv6 socket hears an advertisement, the floor, and a
//! call to the bus takes one hop; (b) a subscriber of mifd is told of the new explicit provisioning domain that it
//! names. Each round withdraws it again. Then the same advertisement is repeated: signals and CPU time of mifd for each;
//! and mifd is idle with one of them every 4 s: voluntary context switches for each. Arguments: rounds (200), repeats
//! (1000), idle advertisements (5).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod rounds;

use mif_tests::cable::Cable;
use mif_tests::daemons::Bus;
use mif_tests::universe;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given);
        let (Ok(count), Ok(repeats), Ok(idle)) = (number(200), number(1_000), number(5)) else {
            say("usage: bench-announce [ROUNDS [REPEATS [IDLE]]], all whole numbers");
            return ExitCode::from(2);
        };
        let far = universe.node("router").end("lan");
        let cable = Cable::between(universe.host().end("eth1"), far).await;
        let bus = Bus::start(&universe).await;
        let mut bench = rounds::Bench::start(&universe, &bus, cable).await;
        bench.announce(count.max(1)).await;
        bench.repeat(repeats.max(1)).await;
        bench.idle(idle.max(1)).await;
        ExitCode::SUCCESS
    })
}

/// Writes a line; a reader that left has heard enough.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
