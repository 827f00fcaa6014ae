//! `cargo xtask bench hostile`: what one hostile client costs a well-behaved one.
//!
//! The well-behaved one reads a property of a provisioning domain and then asks the bus itself something, in turn, one
//! call after the other: alone, and with a hostile client beside it, round by round in the same run. What the calls to the
//! bus itself lose to the hostile client is no service's doing; a call to the service is passed on twice. Arguments: calls
//! a round (500), rounds (4), a word of what the hostile client does (all of it, one kind after the other).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;

use hostile::{Hostile, Kind};
use mif::Subscriber;
use mif_tests::bystander::{Callee, Latencies};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, MifdSettings};
use mif_tests::served_host::ServedHost;
use mif_tests::universe;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let mut arguments = std::env::args().skip(1);
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given.parse::<usize>());
        let (Ok(calls @ 1..), Ok(rounds @ 1..)) = (number(500), number(4)) else {
            say("usage: bench-hostile [CALLS [ROUNDS [WORD]]], the first two whole numbers");
            return ExitCode::from(2);
        };
        let word = arguments.next().unwrap_or_default();
        let far = universe.node("router").end("lan");
        let cable = Cable::between(universe.host().end("eth1"), far).await;
        cable.near().add_address("192.0.2.2/24");
        universe.host().ip("neighbour replace 192.0.2.99 lladdr 02:00:00:00:00:01 dev eth1 nud permanent");
        let bus = Bus::start(&universe).await;
        let mifd = MifdSettings::new(&universe, &bus).log("error").start().await;
        let connection = bus.connect().await;
        let host = ServedHost { bus, mifd, connection };
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let (_subscriber, _messages) = Subscriber::create(&host.connection, "bench").await.unwrap();
        say(&format!(
            "us, of {calls} calls in each of {rounds} rounds; p99 beside it over p99 alone (goal 2)"
        ));
        let service = Callee::Service(pvd.clone());
        for kind in Kind::ALL.into_iter().filter(|kind| kind.to_string().contains(&word)) {
            let (mut alone, mut beside) = (Calls::default(), Calls::default());
            for _ in 0..rounds {
                alone.measure(&host, &service, calls).await;
                let hostile = Hostile::start(kind, &pvd);
                beside.measure(&host, &service, calls).await;
                hostile.stop().await;
                // What it left is over: its subscribers, its work.
                mif::State::read(&host.connection).await.unwrap();
            }
            say(&row(kind, alone, beside));
        }
        ExitCode::SUCCESS
    })
}

/// What calls took.
#[derive(Default)]
struct Calls {
    of_service: Vec<Duration>,
    of_bus: Vec<Duration>,
}

impl Calls {
    async fn measure(&mut self, host: &ServedHost, service: &Callee, calls: usize) {
        for _ in 0..calls {
            self.of_service.push(service.call(&host.connection).await);
            self.of_bus.push(Callee::Bus.call(&host.connection).await);
        }
    }
}

fn row(kind: Kind, alone: Calls, beside: Calls) -> String {
    let part = |what: &str, alone: Vec<Duration>, beside: Vec<Duration>| {
        let (alone, beside) = (Latencies::of(alone), Latencies::of(beside));
        let us = |latencies: &Latencies, share| latencies.per_mille(share).as_micros();
        format!(
            "{what} p50 {} -> {}, p99 {} -> {}: {:.2}",
            us(&alone, 500),
            us(&beside, 500),
            us(&alone, 990),
            us(&beside, 990),
            beside.per_mille(990).as_secs_f64() / alone.per_mille(990).as_secs_f64(),
        )
    };
    let service = part("service", alone.of_service, beside.of_service);
    let bus = part("the bus alone", alone.of_bus, beside.of_bus);
    format!("{kind}: {service}; {bus}")
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
