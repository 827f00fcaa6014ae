//! `cargo xtask bench hostile`: what one hostile client costs a well-behaved one, on dbus-daemon and on dbus-broker (root).
//!
//! The well-behaved one, of one user, reads a property of a provisioning domain; calls a service that does nothing (`idle.c`,
//! compiled here) for the same; and asks the bus itself something, in turn, one call after the other: alone, and then with
//! a hostile client of another user beside it that is busy with mifd, and with one that is busy with the other service.
//! What callers of a service that does nothing lose to its hostile client no service can spare them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod figures;
mod hostile;

use figures::Round;
use hostile::{Hostile, Kind, Victim};
use mif::Subscriber;
use mif_tests::bystander::{Callee, Latencies};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, BusProgram, REFERENCE_NAME};
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::report::{Benchmark, compile, microseconds};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{Privilege, Universe};
use mif_tests::user::{MEMBER, connect_as};
use std::process::ExitCode;
use zbus::Connection;

const BENCHMARK: Benchmark = Benchmark {
    name: "hostile",
    about: "what one hostile client costs a well-behaved one",
    arguments: &[
        ("calls", "of a round (200)"),
        ("rounds", "how many (3)"),
        (
            "kinds",
            "what the hostile client does: everything, calls, silent, unread, large, work, leaving (all)",
        ),
        ("bus", "daemon, broker or both of them (both)"),
    ],
    privilege: Privilege::Root,
};
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench-hostile/idle.c");
const PROGRAM: &str = "/tmp/idle";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((hostile::ITSELF, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        hostile::be_hostile(rest);
        return ExitCode::SUCCESS;
    }
    BENCHMARK.run(async |universe, arguments, report| {
        let calls = arguments.number("calls", 200).max(1);
        compile(SOURCE, PROGRAM);
        let far = universe.node("router").end("lan");
        let cable = Cable::between(universe.host().end("eth1"), far).await;
        cable.near().add_address("192.0.2.2/24");
        universe.host().ip("neighbour replace 192.0.2.99 lladdr 02:00:00:00:00:01 dev eth1 nud permanent");
        for program in report.buses(arguments, &BusProgram::ALL) {
            report.on(program);
            let bench = Bench::start(universe, program).await;
            for kind in Kind::ALL.into_iter().filter(|kind| arguments.wants("kinds", kind.word())) {
                for _ in 0..arguments.rounds(3) {
                    bench.round(kind, calls).await.add(kind, report);
                }
                figures::goal(kind, report);
            }
            bench.end().await;
        }
    })
}

/// A bus with mifd, the service that does nothing, and the well-behaved client.
struct Bench {
    node: Node,
    host: ServedHost,
    idle: Process,
    client: Connection,
    _subscriber: Subscriber,
    mifd: Victim,
    nothing: Victim,
    callees: [Callee; 3],
}

impl Bench {
    async fn start(universe: &Universe, program: BusProgram) -> Self {
        let bus = Bus::start_program(universe, program).await;
        let host = ServedHost::on(bus, universe, |settings| settings.log("error")).await;
        let mut command = std::process::Command::new(PROGRAM);
        command.arg(REFERENCE_NAME);
        let idle = universe.host().spawn("idle", command);
        idle.wait_for_log("serving").await;
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let client = connect_as(&host.bus, MEMBER).await;
        // One that nothing happens to: what there is to tell is told to it.
        let (subscriber, _) = Subscriber::create(&client, "bench").await.unwrap();
        let path = pvd.to_string();
        Self {
            node: universe.host().clone(),
            idle,
            client,
            _subscriber: subscriber,
            mifd: Victim { name: "org.ietf.Mif1".to_owned(), path: path.clone() },
            nothing: Victim { name: REFERENCE_NAME.to_owned(), path },
            callees: [Callee::Service(pvd), Callee::Reference, Callee::Bus],
            host,
        }
    }

    async fn round(&self, kind: Kind, calls: usize) -> Round {
        let [service, reference, bus] = &self.callees;
        let alone = self.measure([service, reference, bus], calls).await;
        let hostile = Hostile::start(&self.node, kind, &self.mifd).await;
        let beside_mifd = self.measure([service, bus], calls).await;
        hostile.stop().await;
        // What it left is over: its subscribers, its work.
        mif::State::read(&self.host.connection).await.unwrap();
        let hostile = Hostile::start(&self.node, kind, &self.nothing).await;
        let beside_idle = self.measure([reference, bus], calls).await;
        hostile.stop().await;
        reference.call(&self.client).await;
        Round { alone, beside_mifd, beside_idle }
    }

    /// The 99th percentile of the calls of each, in microseconds.
    async fn measure<const N: usize>(&self, whom: [&Callee; N], calls: usize) -> [f64; N] {
        let mut taken = whom.map(|_| Vec::with_capacity(calls));
        for _ in 0..calls {
            for (taken, callee) in taken.iter_mut().zip(whom) {
                taken.push(callee.call(&self.client).await);
            }
        }
        taken.map(|taken| microseconds(Latencies::of(taken).per_mille(990)))
    }

    async fn end(self) {
        self.idle.kill().await;
        self.host.end().await;
    }
}
