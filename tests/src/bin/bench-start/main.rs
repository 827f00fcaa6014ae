//! `cargo xtask bench start`: from start to settled with many links, and what they cost from then on.
//!
//! A universe with N veth ends, each up with one IPv4 and one IPv6 address, and a private bus. In turn mifd,
//! systemd-networkd (as it comes: it tells of links and manages none; and managing them, as it hears routers then, too)
//! and NetworkManager are started there. "Settled": the bus name is owned, every link is on the bus, and after that the
//! process uses less than 4 ms of CPU in each of five windows of 200 ms; the time that counts is the begin of the first of
//! these windows. Memory is looked at then, and once more after the one call that gives everything. The floor is a dump of
//! links, addresses and routes over netlink.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;
mod figures;
mod floor;
mod links;
mod start;

use contender::Contender;
use mif_tests::daemons::Bus;
use mif_tests::report::{Arguments, Report};
use mif_tests::{peers, universe};
use std::process::ExitCode;

const ARGUMENTS: &[(&str, &str)] = &[
    ("links", "how many, ascending, parted by commas (10,100,1000)"),
    ("rounds", "how many (3)"),
    ("who", "mifd, networkd, managing, NetworkManager (all; beyond 100 links NetworkManager once)"),
    ("bus", "daemon or broker (daemon)"),
];
/// NetworkManager takes half a minute for a thousand links, and the square of it for more.
const SLOW_FROM: usize = 101;
const MOST_FOR_PEERS: usize = 3_000;

fn main() -> ExitCode {
    let arguments = match Arguments::of_program(ARGUMENTS) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    universe::run_program(async |universe| {
        peers::mount();
        let mut report = Report::new("start");
        let contenders = Contender::chosen(&arguments, &mut report);
        let bus = match arguments.text("bus") {
            Some("broker") => Bus::start_broker(&universe).await,
            _ => Bus::start(&universe).await,
        };
        let counts = arguments.numbers("links", &[10, 100, 1_000]);
        let mut made = 0;
        for count in &counts {
            links::make(universe.host(), made, *count).await;
            made = *count;
            for round in 0..arguments.number("rounds", 3).max(1) {
                floor::measure(*count, &mut report);
                for contender in contenders.iter().filter(|contender| takes_part(**contender, *count, round))
                {
                    start::measure(*contender, universe.host(), &bus, *count, &mut report).await;
                }
            }
        }
        figures::goals(&mut report, &counts);
        report.finish(&arguments)
    })
}

fn takes_part(contender: Contender, links: usize, round: usize) -> bool {
    match contender {
        Contender::Mifd => true,
        Contender::Networkd | Contender::Managing => links <= MOST_FOR_PEERS,
        Contender::NetworkManager => links < SLOW_FROM || (links <= MOST_FOR_PEERS && round == 0),
    }
}
