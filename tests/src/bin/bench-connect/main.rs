//! `cargo xtask bench connect`: sockets over the bus, beside a C service that does the same with sd-bus and nothing
//! more.
//!
//! A universe with one cable to a server, mifd, and the C service (`reference.c`, compiled here); the same C client
//! measures both as uid 0, in rounds that take turns, and plain connect(2) as the floor. The C service does it twice: as
//! short as can be, and with the link, the mark, the source and the result that the contract wants, which shows what of the
//! difference staying in a network costs by itself. First with everything on one processor, where the way from process to
//! process takes the same time each time, then free.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod table;

use mif::wire::Family;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, BusProgram, REFERENCE_NAME};
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::report::{Benchmark, compile, microseconds};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{Privilege, Universe};
use mif_tests::usage::Usage;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;
use table::{Figure, Round};
use zbus::OwnedObjectPath;

const BENCHMARK: Benchmark = Benchmark {
    name: "connect",
    about: "sockets over the bus: connected for the caller, or bound",
    arguments: &[
        ("calls", "of a round, at least 100 (2000)"),
        ("rounds", "how many (5)"),
        ("bus", "daemon, broker or both of them (both)"),
    ],
    privilege: Privilege::UserNamespace,
};
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench-connect/reference.c");
const PROGRAM: &str = "/tmp/reference";
const LINK: &str = "eth1";
const HOST: &str = "192.0.2.2";
const SERVER: &str = "192.0.2.1";
/// Each setting has a port of its own.
const FIRST_PORT: u16 = 7001;
/// Connects by one client, after which the service has as many descriptors as before.
const CONNECTS: usize = 5_000;

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let calls = arguments.number("calls", 2_000).max(100);
        compile(SOURCE, PROGRAM);
        let server = universe.node("server");
        let cable = Cable::between(universe.host().end(LINK), server.end("lan")).await;
        cable.near().add_address(&format!("{HOST}/24"));
        cable.far().add_address(&format!("{SERVER}/24"));
        let everywhere = sched_getaffinity(Pid::this()).expect("the processors of this program");
        let one = first_of(&everywhere);
        let mut ports = FIRST_PORT..;
        for program in report.buses(arguments, &BusProgram::ALL) {
            report.on(program);
            for (title, processors) in [("everything on one processor", &one), ("free", &everywhere)] {
                sched_setaffinity(Pid::this(), processors).expect("choose processors");
                let port = ports.next().expect("not that many");
                listen(&server, port);
                let bench = Bench::start(universe, program, port).await;
                let measured: Vec<Round> = (0..arguments.rounds(5)).map(|_| bench.round(calls)).collect();
                table::add(title, &measured, report);
                bench.descriptors_stay_flat().await;
                bench.end().await;
            }
        }
    })
}

/// Takes connections, on the processors that are chosen now.
fn listen(server: &Node, port: u16) {
    let listener = server.within(|| TcpListener::bind((SERVER, port))).expect("listen");
    std::thread::spawn(move || listener.incoming().for_each(drop));
}

fn first_of(processors: &CpuSet) -> CpuSet {
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|number| processors.is_set(*number).unwrap_or(false));
    one.set(first.unwrap_or(0)).expect("a processor");
    one
}

/// A server, mifd and the C service.
struct Bench {
    node: Node,
    host: ServedHost,
    reference: Process,
    pvd: OwnedObjectPath,
    port: u16,
}

impl Bench {
    async fn start(universe: &Universe, program: BusProgram, port: u16) -> Self {
        let bus = Bus::start_program(universe, program).await;
        let host = ServedHost::on(bus, universe, |settings| settings).await;
        let [pvd] = host.pvds([LINK], Family::Ipv4, false).await;
        let node = universe.host().clone();
        let mut command = std::process::Command::new(PROGRAM);
        command.args(["serve", REFERENCE_NAME, REFERENCE_PATH, LINK, HOST]);
        let reference = node.spawn("reference", command);
        reference.wait_for_log("serving").await;
        Self { node, host, reference, pvd, port }
    }

    /// Everything once, in turns.
    fn round(&self, calls: usize) -> Round {
        let mifd = ("org.ietf.Mif1", self.pvd.as_str());
        let reference = (REFERENCE_NAME, REFERENCE_PATH);
        let inside = (REFERENCE_NAME, INSIDE);
        let figure = |what, (name, path): (&str, &str)| {
            let used = || match name {
                REFERENCE_NAME => Usage::of(&self.reference).cpu,
                "-" => Duration::ZERO,
                _ => Usage::of(self.host.mifd.process()).cpu,
            };
            let before = used();
            let printed = self.client(what, name, path, calls);
            Figure::new(&printed, microseconds(used() - before) / counted(calls))
        };
        let rate = |(name, path)| self.client("flight", name, path, calls).trim().parse().expect("a rate");
        Round {
            plain: figure("plain", ("-", "-")),
            connect: [figure("connect", reference), figure("connect", inside), figure("connect", mifd)],
            bind: [figure("bind", reference), figure("bind", mifd)],
            refused: figure("refused", mifd),
            rate: [rate(reference), rate(inside), rate(mifd)],
        }
    }

    fn client(&self, what: &str, name: &str, path: &str, calls: usize) -> String {
        let (port, calls) = (self.port.to_string(), calls.to_string());
        self.node.run(PROGRAM, [what, name, path, SERVER, &port, &calls])
    }

    async fn descriptors_stay_flat(&self) {
        let before = self.host.descriptors();
        self.client("connect", "org.ietf.Mif1", &self.pvd, CONNECTS);
        self.host.wait_for_no_more_descriptors_than(before).await;
    }

    async fn end(self) {
        self.reference.terminate().await;
        self.host.end().await;
    }
}

/// How many calls the client makes of that many: a twentieth more, before it measures.
fn counted(calls: usize) -> f64 {
    f64::from(u32::try_from(calls + calls / 20).expect("not that many"))
}

/// Any path that is one.
const REFERENCE_PATH: &str = "/reference";
/// Where the C service has sockets stay in a network.
const INSIDE: &str = "/reference/inside";
