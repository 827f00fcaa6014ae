//! `cargo xtask bench start`: from start to settled with many links, beside systemd-networkd.
//!
//! A universe with N veth ends, each up with one IPv4 and one IPv6 address, and a private bus. In turn mifd and
//! systemd-networkd are started there. "Settled": the bus name is owned, every link is on the bus in one call,
//! and after that the process uses less than 4 ms of CPU in each of five windows of 200 ms; the time that counts is
//! the begin of the first of these windows. Arguments: the number of links (1000), the number of rounds (3).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;
mod links;
mod table;

use contender::Contender;
use mif_tests::daemons::Bus;
use mif_tests::universe;
use std::process::ExitCode;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given);
        let (Ok(links), Ok(rounds)) = (number(1_000), number(3)) else {
            table::say("usage: bench-start [LINKS [ROUNDS]], both whole numbers");
            return ExitCode::from(2);
        };
        links::make(universe.host(), links).await;
        let bus = Bus::start(&universe).await;
        let mut results = Vec::new();
        for _ in 0..rounds.max(1) {
            for contender in Contender::available() {
                results.push((contender, contender.measure(universe.host(), &bus, links).await));
            }
        }
        table::print(links, &results);
        ExitCode::SUCCESS
    })
}
