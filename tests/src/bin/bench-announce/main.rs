//! `cargo xtask bench announce`: from a change to the signal that tells a client of it.
//!
//! mifd, systemd-networkd and NetworkManager in turn on a private bus, and a client in C with sd-bus (`listener.c`,
//! compiled here), which hears in the same loop what the kernel tells everybody: netlink, a raw socket for Router
//! Advertisements, inotify. Changes are made by netlink in this process, Router Advertisements sent from the other end of
//! a cable; the time begins just before that. Of mifd the announcement counts, which comes to this client alone; of the
//! others the broadcast that their properties of it have changed. "kernel" is when the client has the kernel's word, and
//! "beyond" how long after it has the signal; a hop is a signal that the client sends to itself over the bus. A round is
//! the median of its changes. No duplicate address detection.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;
mod contender;
mod fresh;
mod kernel;
mod listener;

use cases::{BEYOND, CPU, FIRST, HOP, REPEATED, ROUTER, Round, SECOND, SIGNAL};
use contender::Contender;
use listener::Listener;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, BusProgram};
use mif_tests::report::{Arguments, Benchmark, Bound, Report, compile};
use mif_tests::universe::{Privilege, Universe};
use std::fs;
use std::process::ExitCode;

const BENCHMARK: Benchmark = Benchmark {
    name: "announce",
    about: "from a change to the signal that tells a client of it",
    arguments: &[
        ("rounds", "how many (3)"),
        ("changes", "of a kind in a round (20)"),
        ("who", "mifd, networkd, NetworkManager (all)"),
        ("cases", "links, addresses, routers, leases, files (all)"),
        ("bus", "daemon, broker or both of them (both)"),
    ],
    privilege: Privilege::UserNamespace,
};
const LINK: &str = "eth1";

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        compile(listener::SOURCE, listener::PROGRAM);
        fs::create_dir_all(listener::FOLDER).expect("the folder of leases");
        let router = universe.node("router");
        let cable = Cable::between(universe.host().end(LINK), router.end("lan")).await;
        let contenders = Contender::chosen(arguments, report);
        for program in report.buses(arguments, &BusProgram::ALL) {
            report.on(program);
            let bus = Bus::start_program(universe, program).await;
            for _ in 0..arguments.rounds(3) {
                for contender in &contenders {
                    round(universe, (&bus, *contender), &cable, arguments, report).await;
                }
            }
            goals(report);
            bus.end().await;
        }
    })
}

async fn round(
    universe: &Universe,
    (bus, contender): (&Bus, Contender),
    cable: &Cable,
    arguments: &Arguments,
    report: &mut Report,
) {
    let (near, far) = (universe.host(), cable.far().node());
    let running = contender.start(universe, bus).await;
    let mut listener = Listener::start(contender, near).await;
    let mut round = Round {
        contender,
        running: &running,
        listener: &mut listener,
        changes: arguments.number("changes", 20).max(1),
        report,
        ifindex: cable.near().ifindex(),
    };
    round.hop().await;
    let wants = |case| arguments.wants("cases", case);
    if wants("links") {
        round.links().await;
    }
    if wants("addresses") {
        round.addresses().await;
    }
    if wants("routers") {
        round.routers(near, far).await;
    }
    if wants("leases") {
        round.leases(near, far).await;
    }
    if wants("files") {
        round.files(LINK).await;
    }
    listener.end();
    running.end().await;
}

fn goals(report: &mut Report) {
    let [mifd, networkd, manager] =
        [Contender::Mifd, Contender::Networkd, Contender::NetworkManager].map(Contender::name);
    for (case, other, bound) in [(FIRST, networkd, 0.5), (FIRST, manager, 0.2), (ROUTER, networkd, 0.5)] {
        let ratio = report.ratio(case.name, SIGNAL, mifd, other);
        report.goal(&format!("{}: signal, times {other}'s", case.name), ratio, Bound::AtMost(bound));
    }
    let hop = report.median(HOP, "the bus", SIGNAL);
    for case in [FIRST, SECOND] {
        let beyond = report.median(case.name, mifd, BEYOND);
        let hops = beyond.zip(hop).map(|(beyond, hop)| beyond / hop);
        report.goal(
            &format!("{}: beyond the kernel, in hops over the bus", case.name),
            hops,
            Bound::AtMost(2.5),
        );
    }
    let beyond = report.median(ROUTER.name, mifd, BEYOND);
    let more = beyond.zip(hop).map(|(beyond, hop)| beyond - hop);
    report.goal(&format!("{}: beyond the kernel and a hop, us", ROUTER.name), more, Bound::AtMost(300.0));
    let each = report.median(REPEATED, mifd, CPU);
    report.goal(&format!("{REPEATED}: us of CPU"), each, Bound::AtMost(100.0));
}
