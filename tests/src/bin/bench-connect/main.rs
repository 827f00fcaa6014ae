//! `cargo xtask bench connect`: sockets over the bus, beside a C service that does the same with sd-bus and nothing
//! more.
//!
//! A universe with one cable to a server, mifd, and the C service (`reference.c`, compiled here); the same C client
//! measures both as uid 0, in rounds that take turns, and plain connect(2) as the floor. First with everything on one
//! processor, where the way from process to process takes the same time each time, then free.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod table;

use mif::wire::Family;
use mif_tests::cable::Cable;
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::report::{Arguments, Report};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use mif_tests::usage::Usage;
use mif_tests::{daemons, tool};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;
use table::{Figure, Round};
use zbus::OwnedObjectPath;

const ARGUMENTS: &[(&str, &str)] =
    &[("calls", "of a round, at least 100 (2000)"), ("rounds", "how many (5)")];
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench-connect/reference.c");
const PROGRAM: &str = "/tmp/reference";
const SERVER: &str = "192.0.2.1";
const PORT: u16 = 7;
/// Connects by one client, after which the service has as many descriptors as before.
const CONNECTS: usize = 5_000;

fn main() -> ExitCode {
    let arguments = match Arguments::of_program(ARGUMENTS) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    universe::run_program(async |universe| {
        let (calls, rounds) =
            (arguments.number("calls", 2_000).max(100), arguments.number("rounds", 5).max(1));
        let mut report = Report::new("connect");
        compile();
        let everywhere = sched_getaffinity(Pid::this()).expect("the processors of this program");
        let one = first_of(&everywhere);
        for (title, processors) in [("everything on one processor", one), ("free", everywhere)] {
            sched_setaffinity(Pid::this(), &processors).expect("choose processors");
            let bench = Bench::start(&universe, title).await;
            let measured: Vec<Round> = (0..rounds).map(|_| bench.round(calls)).collect();
            table::add(title, &measured, &mut report);
            bench.descriptors_stay_flat().await;
            bench.end().await;
        }
        report.finish(&arguments)
    })
}

fn compile() {
    let output = tool::command("cc")
        .args(["-O2", "-Wall", "-Wextra", "-o", PROGRAM, SOURCE, "-lsystemd"])
        .output()
        .expect("start the compiler");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot compile {SOURCE} (Debian package libsystemd-dev): {errors}");
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
    _cable: Cable,
}

impl Bench {
    async fn start(universe: &Universe, title: &str) -> Self {
        let server = universe.node(&format!("server-{}", title.len()));
        let link = format!("eth{}", title.len());
        let cable = Cable::between(universe.host().end(&link), server.end("lan")).await;
        cable.near().add_address("192.0.2.2/24");
        cable.far().add_address(&format!("{SERVER}/24"));
        let listener = server.within(|| TcpListener::bind((SERVER, PORT))).expect("listen");
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let host = ServedHost::start(universe).await;
        let [pvd] = host.pvds([&*link], Family::Ipv4, false).await;
        let node = universe.host().clone();
        let mut command = std::process::Command::new(PROGRAM);
        command.args(["serve", daemons::REFERENCE_NAME, REFERENCE_PATH]);
        let reference = node.spawn("reference", command);
        reference.wait_for_log("serving").await;
        Self { node, host, reference, pvd, _cable: cable }
    }

    /// Everything once, in turns.
    fn round(&self, calls: usize) -> Round {
        let mifd = ("org.ietf.Mif1", self.pvd.as_str());
        let reference = (daemons::REFERENCE_NAME, REFERENCE_PATH);
        let figure = |what, (name, path): (&str, &str)| {
            let used = || match name {
                daemons::REFERENCE_NAME => Usage::of(&self.reference).cpu,
                "-" => Duration::ZERO,
                _ => Usage::of(self.host.mifd.process()).cpu,
            };
            let before = used();
            let printed = self.client(what, name, path, calls);
            Figure::new(&printed, (used() - before).as_secs_f64() * 1e6 / counted(calls))
        };
        let rate = |(name, path)| self.client("flight", name, path, calls).trim().parse().expect("a rate");
        Round {
            plain: figure("plain", ("-", "-")),
            connect: [figure("connect", reference), figure("connect", mifd)],
            bind: [figure("bind", reference), figure("bind", mifd)],
            refused: figure("refused", mifd),
            rate: [rate(reference), rate(mifd)],
        }
    }

    fn client(&self, what: &str, name: &str, path: &str, calls: usize) -> String {
        let (port, calls) = (PORT.to_string(), calls.to_string());
        self.node.run(PROGRAM, [what, name, path, SERVER, &port, &calls])
    }

    async fn descriptors_stay_flat(&self) {
        let before = self.host.descriptors();
        self.client("connect", "org.ietf.Mif1", &self.pvd, CONNECTS);
        self.host.wait_for_no_more_descriptors_than(before).await;
    }

    async fn end(self) {
        self.reference.terminate().await;
        self.host.mifd.process().terminate().await;
        self.host.bus.process().terminate().await;
    }
}

/// How many calls the client makes of that many: a twentieth more, before it measures.
fn counted(calls: usize) -> f64 {
    f64::from(u32::try_from(calls + calls / 20).expect("not that many"))
}

/// Any path that is one.
const REFERENCE_PATH: &str = "/reference";
