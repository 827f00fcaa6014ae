//! `cargo xtask bench subscribers`: one change and many who asked for it.
//!
//! A cable, mifd, and 1 to 1,000 subscribers, eight on a connection, who have asked for the addresses of one provisioning
//! domain. An address comes: from then until the last of them has its AddressAnnouncement. The floor is a client of the
//! bus that sends as many unicast signals to the same connections. Then the same with one more subscriber, who never
//! reads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audience;
mod floor;

use audience::Audience;
use floor::Sender;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, BusProgram};
use mif_tests::node::Batch;
use mif_tests::raw_client::RawClient;
use mif_tests::report::{Arguments, Benchmark, Bound, Quantity, Report, microseconds, milliseconds};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::Privilege;
use mif_tests::usage::Usage;
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Instant;
use zbus::{OwnedObjectPath, Variant};

const BENCHMARK: Benchmark = Benchmark {
    name: "subscribers",
    about: "one change and many who asked for it",
    arguments: &[
        ("subscribers", "how many, parted by commas (1,10,100,1000)"),
        ("rounds", "how many changes each (30)"),
        ("bus", "daemon, broker or both of them (both)"),
    ],
    privilege: Privilege::UserNamespace,
};
const ALL_HEARD: Quantity = Quantity::less("all have it", "ms");
const CPU: Quantity = Quantity::less("CPU", "us");
/// What the silent one is sent before anything is measured: more than its socket takes.
const UNREAD: usize = 500;

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let far = universe.node("router").end("lan");
        let cable = Cable::between(universe.host().end("eth1"), far).await;
        cable.near().add_address("192.0.2.2/24");
        for program in report.buses(arguments, &BusProgram::ALL) {
            report.on(program);
            let bus = Bus::start_program(universe, program).await;
            let host = ServedHost::on(bus, universe, |settings| settings.log("error")).await;
            let mut bench = Bench { host, changes: universe.host().batch(), number: 0, report };
            bench.measure(arguments).await;
            bench.host.end().await;
        }
    })
}

/// The service, and how its addresses change.
struct Bench<'a> {
    host: ServedHost,
    changes: Batch,
    number: usize,
    report: &'a mut Report,
}

impl Bench<'_> {
    async fn measure(&mut self, arguments: &Arguments) {
        let pvd = self.host.pvd("implicit:eth1:ipv4").await.path;
        let rounds = arguments.rounds(30);
        for count in arguments.numbers("subscribers", &[1, 10, 100, 1_000]) {
            let mut audience = Audience::of(&self.host.bus, &pvd, count).await;
            let case = format!("{count} subscriber{}", if count == 1 { "" } else { "s" });
            let mut sender = Sender::start(audience.names());
            for _ in 0..rounds {
                self.change(&case, &mut audience).await;
                let began = Instant::now();
                sender.send(count);
                audience.all_heard_the_floor().await;
                self.report.add(&case, "the bus alone", ALL_HEARD, milliseconds(began.elapsed()));
            }
        }
        let _silent = silent_subscriber(&pvd).await;
        let mut audience = Audience::of(&self.host.bus, &pvd, 99).await;
        self.unmeasured(UNREAD, &mut audience).await;
        for _ in 0..rounds {
            self.change("99 subscribers and one that never reads", &mut audience).await;
        }
        let hundred = self.report.ratio("100 subscribers", ALL_HEARD, "mifd", "the bus alone");
        self.report.goal("100 subscribers, one change, times the bus alone", hundred, Bound::AtMost(1.5));
    }

    async fn change(&mut self, case: &str, audience: &mut Audience) {
        let before = Usage::of(self.host.mifd.process());
        let address = self.next_address();
        let began = Instant::now();
        self.changes.line(&format!("address add {address} dev eth1"));
        audience.all_heard("AddressAnnouncement").await;
        self.report.add(case, "mifd", ALL_HEARD, milliseconds(began.elapsed()));
        let used = Usage::of(self.host.mifd.process()).since(before);
        self.report.add(case, "mifd", CPU, microseconds(used.cpu));
        self.changes.line(&format!("address del {address} dev eth1"));
        audience.all_heard("NoAddressAnnouncement").await;
    }

    async fn unmeasured(&mut self, changes: usize, audience: &mut Audience) {
        for _ in 0..changes / 2 {
            let address = self.next_address();
            for (verb, told) in [("add", "AddressAnnouncement"), ("del", "NoAddressAnnouncement")] {
                self.changes.line(&format!("address {verb} {address} dev eth1"));
                audience.all_heard(told).await;
            }
        }
    }

    fn next_address(&mut self) -> String {
        self.number += 1;
        format!("198.18.{}.{}/32", self.number / 250, self.number % 250 + 1)
    }
}

/// One that has asked for the addresses and never reads.
async fn silent_subscriber(pvd: &OwnedObjectPath) -> RawClient {
    let mut silent = RawClient::lazy().await;
    let create = ("silent", HashMap::<&str, Variant<'_>>::new());
    let created = silent.call("/org/ietf/Mif1", "org.ietf.Mif1.Manager", "CreateSubscriber", &create).await;
    let path: OwnedObjectPath = created.expect("a subscriber").body().deserialize().expect("its path");
    silent.tell(&path, "org.ietf.Mif1.Subscriber", "AnnounceAddresses", pvd).await;
    silent
}
