//! `cargo xtask bench hostile`: what one hostile client costs a well-behaved one, on dbus-daemon and on dbus-broker (root).
//!
//! The well-behaved one, of one user, reads a property of a provisioning domain; calls a service that does nothing (`idle.c`,
//! compiled here) for the same; and asks the bus itself something, in turn, one call after the other: alone, and then with
//! a hostile client of another user beside it that is busy with mifd, and with one that is busy with the other service.
//! What callers of a service that does nothing lose to its hostile client no service can spare them. Round by round in the
//! same run. Arguments: calls a round (200), rounds (3), a word of what the hostile client does (all of it, one kind after
//! the other).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
mod table;

use hostile::{Hostile, Kind, Victim};
use mif::Subscriber;
use mif_tests::bystander::Callee;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, MifdSettings, REFERENCE_NAME};
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use mif_tests::user::{MEMBER, connect_as};
use mif_tests::{peers, tool};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use table::Row;
use zbus::Connection;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench-hostile/idle.c");
const PROGRAM: &str = "/tmp/idle";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((hostile::ITSELF, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        hostile::be_hostile(rest);
        return ExitCode::SUCCESS;
    }
    universe::run_program_as_root(async move |universe| {
        let mut arguments = arguments.into_iter();
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given.parse::<usize>());
        let (Ok(calls @ 1..), Ok(rounds @ 1..)) = (number(200), number(3)) else {
            say("usage: bench-hostile [CALLS [ROUNDS [WORD]]], the first two whole numbers");
            return ExitCode::from(2);
        };
        let word = arguments.next().unwrap_or_default();
        peers::mount();
        compile();
        let far = universe.node("router").end("lan");
        let cable = Cable::between(universe.host().end("eth1"), far).await;
        cable.near().add_address("192.0.2.2/24");
        universe.host().ip("neighbour replace 192.0.2.99 lladdr 02:00:00:00:00:01 dev eth1 nud permanent");
        say(&format!("of {calls} calls in each of {rounds} rounds; p99 in us"));
        for broker in [false, true] {
            let bench = Bench::start(&universe, broker).await;
            say(table::HEAD);
            for kind in Kind::ALL.into_iter().filter(|kind| kind.to_string().contains(&word)) {
                let mut row = Row::default();
                for _ in 0..rounds {
                    bench.round(&mut row, kind, calls).await;
                }
                say(&row.line(&kind.to_string()));
            }
            bench.end().await;
        }
        ExitCode::SUCCESS
    })
}

fn compile() {
    let mut compiler = tool::command("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-o", PROGRAM, SOURCE, "-lsystemd"]);
    let output = compiler.output().expect("start the compiler");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot compile {SOURCE} (Debian package libsystemd-dev): {errors}");
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
    async fn start(universe: &Universe, broker: bool) -> Self {
        say(if broker { "\ndbus-broker" } else { "\ndbus-daemon" });
        let bus = if broker { Bus::start_broker(universe).await } else { Bus::start(universe).await };
        let mifd = MifdSettings::new(universe, &bus).log("error").start().await;
        let connection = bus.connect().await;
        let host = ServedHost { bus, mifd, connection };
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

    async fn round(&self, row: &mut Row, kind: Kind, calls: usize) {
        let [service, reference, bus] = &self.callees;
        self.measure(&mut row.alone, [service, reference, bus], calls).await;
        let hostile = Hostile::start(&self.node, kind, &self.mifd).await;
        self.measure(&mut row.beside_mifd, [service, bus], calls).await;
        hostile.stop().await;
        // What it left is over: its subscribers, its work.
        mif::State::read(&self.host.connection).await.unwrap();
        let hostile = Hostile::start(&self.node, kind, &self.nothing).await;
        self.measure(&mut row.beside_idle, [reference, bus], calls).await;
        hostile.stop().await;
        reference.call(&self.client).await;
    }

    async fn measure<const N: usize>(&self, into: &mut [Vec<Duration>; N], whom: [&Callee; N], calls: usize) {
        for _ in 0..calls {
            for (taken, callee) in into.iter_mut().zip(whom) {
                taken.push(callee.call(&self.client).await);
            }
        }
    }

    async fn end(self) {
        self.host.mifd.process().terminate().await;
        self.idle.kill().await;
        self.host.bus.process().kill().await;
        // The next bus listens there.
        let _ = std::fs::remove_file(universe::SYSTEM_BUS.trim_start_matches("unix:path="));
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
