//! `cargo xtask bench translate`: names translated by mifd, by systemd-resolved and by a plain UDP client.
//!
//! One link, one DNS server that answers at once, one client connection to one private bus. In turn mifd
//! (TranslateName), systemd-resolved (ResolveHostname) and a client that sends the question itself are asked for IPv4
//! addresses, beside a call that does nothing and the question itself, one after the other: one, 8 and 64 at a
//! time, names that nobody asked for before and one that everybody did. Then what mifd's memory grows by with each
//! provisioning domain that is asked, and what 1,000 translations that no server answers do to the others.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;
mod figures;
mod load;
mod world;

use contender::{Contender, Contenders};
use load::Load;
use mif_tests::daemons::{Bus, BusProgram};
use mif_tests::report::Benchmark;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::Privilege;
use std::process::ExitCode;
use world::World;

const BENCHMARK: Benchmark = Benchmark {
    name: "translate",
    about: "names translated into addresses",
    arguments: &[
        ("rounds", "how many (5)"),
        ("translations", "in a round, ten times as many at 8 and at 64 (400)"),
        ("bus", "daemon, broker or both of them (both)"),
    ],
    privilege: Privilege::UserNamespace,
};

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let translations = arguments.number("translations", 400).max(1);
        if !Contender::Resolved.is_there() {
            report.missing("resolved", "systemd-resolved");
        }
        let links = world::links(universe).await;
        for program in report.buses(arguments, &BusProgram::ALL) {
            report.on(program);
            let bus = Bus::start_program(universe, program).await;
            let host = ServedHost::on(bus, universe, |settings| settings.log("error")).await;
            let world = World::with(universe, host, &links);
            let contenders = Contenders::start(&world).await;
            for round in 0..arguments.rounds(5) {
                for load in Load::ALL {
                    for contender in Contender::available() {
                        let measured = load.put(&contenders, contender, round, translations).await;
                        figures::add(load, contender, measured, report);
                    }
                }
            }
            figures::goals(report);
            world.memory_of_provisioning_domains(report).await;
            world.dead_server(report).await;
            contenders.end().await;
            world.host.end().await;
        }
    })
}
