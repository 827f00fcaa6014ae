//! `cargo xtask bench send`: what a packet of a program that knows nothing of provisioning domains pays for those that
//! others use.
//!
//! Machines with a neighbour each and with the rules and tables of 0, 100 and 4,000 provisioning domains in use, as
//! `core::routing` lays them out; and one with 4,000 whose first rule, which lets packets of others pass by, is missing.
//! A datagram socket without a mark sends to its neighbour, not connected, so that every packet is looked up. Rounds take
//! turns. Fails when with 4,000 in use a packet takes more than twice the time that it takes with none.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Instant;

use mif_tests::cable::Cable;
use mif_tests::node::Node;
use mif_tests::report::{Benchmark, Bound, Quantity, Report};
use mif_tests::universe::{Privilege, Universe};

const BENCHMARK: Benchmark = Benchmark {
    name: "send",
    about: "a packet of a program that knows nothing of provisioning domains",
    arguments: &[("packets", "of a round, at least 100 (20000)"), ("rounds", "how many (15)")],
    privilege: Privilege::UserNamespace,
};
/// The goal: with the most in use, at most so many times the time with none.
const ALLOWED: f64 = 2.0;
const TAG: u32 = 0x4d00_0000;
/// What nobody answers.
const PORT: u16 = 9;
const NEIGHBOURS: [&str; 2] = ["192.0.2.1", "2001:db8:1::1"];

/// A machine and how many provisioning domains are in use on it.
struct Machine {
    title: String,
    sockets: [UdpSocket; 2],
    /// Nanoseconds a packet, by family, of each round.
    rounds: [Vec<f64>; 2],
    _cable: Cable,
    _neighbour: [UdpSocket; 2],
}

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let packets = arguments.number("packets", 20_000).max(100);
        let mut machines = Vec::new();
        for (name, in_use, first_rule) in
            [("none", 0, true), ("some", 100, true), ("many", 4_000, true), ("naive", 4_000, false)]
        {
            machines.push(Machine::with(universe, name, in_use, first_rule).await);
        }
        for _ in 0..arguments.rounds(15) {
            for machine in &mut machines {
                machine.round(packets);
            }
        }
        tell(&machines, report);
    })
}

impl Machine {
    async fn with(universe: &Universe, name: &str, in_use: u32, first_rule: bool) -> Self {
        let (node, far) = (universe.node(name), universe.node(&format!("{name}-neighbour")));
        let cable = Cable::between(node.end("eth1"), far.end("lan")).await;
        for (own, length) in [("192.0.2", 24), ("2001:db8:1:", 64)] {
            let address = |last| format!("{own}{}{last}/{length}", if length == 24 { "." } else { ":" });
            cable.far().add_address(&address(1));
            cable.near().add_address(&address(2));
        }
        install(&node, in_use, first_rule);
        // Sockets that nobody reads: what comes is dropped, and nothing comes back.
        let neighbour = NEIGHBOURS.map(|own| far.within(|| UdpSocket::bind((own, PORT))).expect("bind"));
        let sockets = NEIGHBOURS.map(|to| {
            let any = if to.contains(':') { "::" } else { "0.0.0.0" };
            node.within(|| UdpSocket::bind((any, 0))).expect("a socket")
        });
        let title = match (in_use, first_rule) {
            (_, true) => format!("mifd, {in_use} in use"),
            (_, false) => format!("{in_use} in use, without the rule that lets others pass by"),
        };
        Self { title, sockets, rounds: [Vec::new(), Vec::new()], _cable: cable, _neighbour: neighbour }
    }

    fn round(&mut self, packets: usize) {
        for ((socket, to), rounds) in self.sockets.iter().zip(NEIGHBOURS).zip(&mut self.rounds) {
            let to = (to.parse::<IpAddr>().expect("an address"), PORT);
            let begin = Instant::now();
            for _ in 0..packets {
                socket.send_to(b"anybody there?", to).expect("send");
            }
            rounds.push(begin.elapsed().as_secs_f64() * 1e9 / packets as f64);
        }
    }
}

/// Rules and tables, as the service makes them.
fn install(node: &Node, in_use: u32, first_rule: bool) {
    if in_use == 0 {
        return;
    }
    let (own, mask) = ("protocol 77", "0xff00ffff");
    let mut rules = String::new();
    writeln!(rules, "rule add priority 705 nop {own}").expect("a line");
    writeln!(rules, "rule add priority 704 fwmark {TAG:#x}/0xff000000 unreachable {own}").expect("a line");
    if first_rule {
        writeln!(rules, "rule add priority 700 not fwmark {TAG:#x}/0xff000000 goto 705 {own}")
            .expect("a line");
    }
    for number in 1..=in_use {
        let mark = TAG + number;
        writeln!(rules, "rule add priority 703 fwmark {mark:#x}/{mask} lookup {mark} {own}").expect("a line");
    }
    for (family, network, router) in
        [("-4", "192.0.2.0/24", "192.0.2.1"), ("-6", "2001:db8:1::/64", "fe80::1")]
    {
        let mut batch = rules.clone();
        for number in 1..=in_use {
            let table = TAG + number;
            writeln!(batch, "route add {network} dev eth1 table {table} metric 50 {own}").expect("a line");
            writeln!(batch, "route add default via {router} dev eth1 table {table} metric 200 {own}")
                .expect("a line");
        }
        let path = format!("/tmp/{}{family}.batch", node.name());
        fs::write(&path, batch).expect("write the batch");
        node.run("ip", [family, "-batch", &path]);
    }
}

fn tell(machines: &[Machine], report: &mut Report) {
    const TIME: Quantity = Quantity::less("a packet", "us");
    let many = &machines[2].title;
    for (family, case) in ["IPv4, no mark", "IPv6, no mark"].into_iter().enumerate() {
        for machine in machines {
            for round in &machine.rounds[family] {
                report.add(case, &machine.title, TIME, round / 1e3);
            }
        }
        let times = report.ratio(case, TIME, many, &machines[0].title);
        report.promise(&format!("{case}: {many}, times none"), times, Bound::AtMost(ALLOWED));
    }
}
