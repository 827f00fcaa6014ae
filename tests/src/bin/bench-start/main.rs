//! `cargo xtask bench start`: from start to settled with many links, and what they cost from then on.
//!
//! A universe with N veth ends, each up with one IPv4 and one IPv6 address, and a private bus. In turn mifd,
//! systemd-networkd (as it comes: it tells of links and manages none; and managing them, as it hears routers then, too)
//! and NetworkManager are started there. "Complete": the bus name is owned and every link is on the bus. "Settled":
//! after that the process uses less than 4 ms of CPU in each of five windows of 200 ms; the time that counts is the
//! begin of the first of these windows. Who listens to routers asks those of all links in between; networkd as it
//! comes does not. Memory is looked at when settled, and once more after the one call that gives everything; changes are
//! made when nothing of the start goes on any more, and the kernel itself asks for no routers. The floor is a dump of
//! links, addresses and routes over netlink.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;
mod figures;
mod floor;
mod links;
mod start;

use contender::Contender;
use mif_tests::daemons::{Bus, BusProgram};
use mif_tests::report::{Arguments, Benchmark, Report};
use mif_tests::universe::{Privilege, Universe};
use std::process::ExitCode;

const BENCHMARK: Benchmark = Benchmark {
    name: "start",
    about: "from start to settled with many links, and what these cost from then on",
    arguments: &[
        ("links", "how many, ascending, parted by commas (10,100,1000; in full up to 10000)"),
        ("rounds", "how many (3)"),
        ("who", "mifd, networkd, managing, NetworkManager (all)"),
        ("bus", "daemon, broker or both of them (daemon)"),
    ],
    privilege: Privilege::UserNamespace,
};
/// NetworkManager takes half a minute for a thousand links, and the square of it for more: it has one round there.
const SLOW_FROM: usize = 101;
const MOST_FOR_PEERS: usize = 3_000;

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let contenders = Contender::chosen(arguments, report);
        let usual: &[usize] =
            if arguments.full { &[10, 100, 1_000, 3_000, 10_000] } else { &[10, 100, 1_000] };
        let counts = arguments.numbers("links", usual);
        links::keep_kernel_quiet(universe.host());
        let mut made = 0;
        let buses = report.buses(arguments, &[BusProgram::DbusDaemon]);
        for count in &counts {
            links::make(universe.host(), made, *count).await;
            made = *count;
            for program in &buses {
                report.on(*program);
                rounds(universe, *program, (&contenders, *count), arguments, report).await;
            }
        }
        for program in buses {
            report.on(program);
            figures::goals(report, &counts);
        }
    })
}

async fn rounds(
    universe: &Universe,
    program: BusProgram,
    (contenders, links): (&[Contender], usize),
    arguments: &Arguments,
    report: &mut Report,
) {
    let bus = Bus::start_program(universe, program).await;
    for round in 0..arguments.rounds(3) {
        floor::measure(links, report);
        for contender in contenders.iter().filter(|contender| takes_part(**contender, links, round)) {
            start::measure(*contender, universe.host(), &bus, links, report).await;
        }
    }
    bus.end().await;
}

fn takes_part(contender: Contender, links: usize, round: usize) -> bool {
    match contender {
        Contender::Mifd => true,
        Contender::Networkd | Contender::Managing => links <= MOST_FOR_PEERS,
        Contender::NetworkManager => links < SLOW_FROM || (links <= MOST_FOR_PEERS && round == 0),
    }
}
