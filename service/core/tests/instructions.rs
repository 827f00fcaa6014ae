//! How many instructions the core's hot paths take, counted by callgrind: a number that is the same on a busy machine
//! and on an idle one, so that what makes a path slower shows.
//!
//! This program runs itself under valgrind, once with a path taken some times and once without; the difference is the
//! path's. The budgets are for the unoptimized build of tests, each twice what was counted when it was set: they are to
//! notice another order of growth and forgotten copies of everything, not every line of code.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/mod.rs"]
mod common;

use common::advertisement::advertisement;
use common::event::{ETH0, STATIC, address, address_gone, route, up};
use common::host::SETTINGS;
use common::lease::lease;
use common::{at, events, ip};
use mif_core::BootTime;
use mif_core::announcement::Announcement;
use mif_core::engine::{Batch, Engine};
use mif_core::event::{Event, Ifindex};
use mif_core::plan::{
    self, ConnectRequest, Encryption, Families, Protocol, Systems, TranslateRequest, Translation,
};
use mif_core::pvd::Serial;
use mif_core::routing::Routing;
use mif_core::subscription::{Reasons, Subscriber, Topic};
use std::process::Command;
use std::time::Duration;

/// What is to be run under valgrind, and with how many links.
const WHAT: &str = "MIF_COUNT_INSTRUCTIONS";
/// How often a path is taken; it is counted with none as well.
const TIMES: u64 = 40;
const LINKS: Ifindex = 10;
const MANY_LINKS: Ifindex = 100;

const EVENT_TO_ANNOUNCEMENT: u64 = 600_000;
const REPETITION: u64 = 460_000;
const CONNECT_PLAN: u64 = 45_000;
const TRANSLATE_PLAN: u64 = 95_000;

/// A path that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// None: what making the world takes.
    Nothing,
    /// An address comes, and is announced to who asked.
    Event,
    /// A router says what it has said before.
    Repetition,
    /// How to connect to an address.
    Connect,
    /// How to translate a name.
    Translate,
}

#[test]
fn from_an_event_to_its_announcement() {
    let few = each(Path::Event, LINKS);
    within(few, EVENT_TO_ANNOUNCEMENT);
    let many = each(Path::Event, MANY_LINKS);
    // Trees grow in depth, and unoptimized they do so at a price; a look at every link takes more than twice as much.
    assert!(
        many * 10 <= few * 17,
        "{many} with {MANY_LINKS} links, {few} with {LINKS}: it grows with the links"
    );
}

#[test]
fn from_a_repeated_advertisement_to_a_state_that_nobody_is_told_of() {
    within(each(Path::Repetition, LINKS), REPETITION);
}

#[test]
fn the_plan_of_a_connection() {
    within(each(Path::Connect, LINKS), CONNECT_PLAN);
}

#[test]
fn the_plan_of_a_translation() {
    within(each(Path::Translate, LINKS), TRANSLATE_PLAN);
}

/// What valgrind runs; nothing when nobody asked for it.
#[test]
fn counted() {
    let Ok(what) = std::env::var(WHAT) else { return };
    let (path, links) = what.split_once(' ').unwrap();
    let mut world = World::with(links.parse().unwrap());
    for _ in 0..TIMES {
        match path {
            "Event" => world.event(),
            "Repetition" => world.repetition(),
            "Connect" => world.connect(),
            "Translate" => world.translate(),
            _ => return,
        }
    }
}

fn within(counted: u64, budget: u64) {
    assert!(counted <= budget, "{counted} instructions, the budget is {budget}");
    assert!(
        counted >= budget / 8,
        "{counted} instructions only: lower the budget of {budget}, or nothing was run"
    );
}

/// Instructions of a path taken once.
fn each(path: Path, links: Ifindex) -> u64 {
    let with = count(path, links);
    let without = count(Path::Nothing, links);
    with.checked_sub(without).expect("a path takes some") / TIMES
}

fn count(path: Path, links: Ifindex) -> u64 {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["counted", "--exact", "--test-threads=1"])
        .env(WHAT, format!("{path:?} {links}"))
        .output()
        .expect("valgrind is not installed; on Debian: apt-get install valgrind (or run `cargo xtask test`)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    let line = said.lines().find_map(|line| line.split_once("Collected :")).expect("what callgrind counted");
    line.1.trim().parse().expect("a number")
}

/// Links with two addresses each, and a subscriber who has asked for everything.
struct World {
    engine: Engine,
    subscriber: Subscriber<()>,
    batch: Batch,
    pvd: Serial,
    now: BootTime,
}

impl World {
    fn with(links: Ifindex) -> Self {
        let mut engine = Engine::new(SETTINGS).with_routing(Routing::PerPvd);
        let now = at(1000);
        for ifindex in (ETH0..).take(links as usize) {
            let networks = [format!("192.0.2.{ifindex}/24"), format!("2001:db8:{ifindex}::1/64")];
            let link_local = format!("fe80::{ifindex}/64");
            for event in events![
                up(ifindex),
                address(ifindex, &link_local),
                address(ifindex, &networks[0]),
                address(ifindex, &networks[1]),
                route(ifindex, "192.0.2.0/24"),
                route(ifindex, "0.0.0.0/0").via("192.0.2.254").metric(ifindex).protocol(STATIC),
            ] {
                engine.handle_event(now, event);
            }
        }
        let leased = lease(ETH0, "192.0.2.2/24", at(9_000)).router("192.0.2.254").dns("192.0.2.53");
        engine.handle_event(now, leased.into());
        engine.handle_event(now, Event::ResyncEnd);
        let batch = engine.commit(now);
        let pvd = batch.snapshot.pvds_by_id("implicit:eth0:ipv4").next().expect("eth0 has one").serial;
        let mut subscriber = Subscriber::new(Reasons { pvd_gone: (), not_claimed: () });
        subscriber.announce(Topic::Interfaces, &batch.snapshot).unwrap();
        for known in batch.snapshot.pvds() {
            subscriber.announce(Topic::Elements(known.serial), &batch.snapshot).unwrap();
            subscriber.announce(Topic::Addresses(known.serial), &batch.snapshot).unwrap();
        }
        Self { engine, subscriber, batch, pvd, now }
    }

    /// An address comes and goes; it is announced, and taken back.
    fn event(&mut self) {
        let added = address(ETH0, "192.0.2.200/24").into();
        let removed = address_gone(ETH0, "192.0.2.200/24");
        let announced = |told: &Announcement<()>| matches!(told, Announcement::Address(..));
        let withdrawn = |told: &Announcement<()>| matches!(told, Announcement::NoAddress(..));
        assert_eq!(self.told_of(added).iter().filter(|told| announced(told)).count(), 1);
        assert_eq!(self.told_of(removed).iter().filter(|told| withdrawn(told)).count(), 1);
    }

    /// A second later; the first one makes the provisioning domain.
    fn repetition(&mut self) {
        let first = self.batch.snapshot.pvds_by_id("isp.example.org").next().is_none();
        self.now = self.now.after(Duration::from_secs(1));
        let advertised = advertisement(ETH0, "fe80::ff")
            .router_lifetime(1_800)
            .prefix("2001:db8:ff::/64", 3_600, 1_800)
            .dns("2001:db8:ff::53", 1_800)
            .portal("https://portal.example.org/api")
            .pvd("isp.example.org")
            .http();
        self.told_of(advertised.into());
        assert!(self.batch.is_quiet() != first, "what is new is told once");
    }

    fn told_of(&mut self, event: Event) -> Vec<Announcement<()>> {
        self.engine.handle_event(self.now, event);
        self.batch = self.engine.commit(self.now);
        let mut told = Vec::new();
        for change in &self.batch.changes {
            told.extend(self.subscriber.handle_change(change).announcements);
        }
        told
    }

    fn connect(&self) {
        let request = ConnectRequest {
            address: ip("198.51.100.80"),
            port: 80,
            source: None,
            timeout_ms: plan::CONNECT_TIMEOUT_MS,
            protocol: Protocol::Tcp,
        };
        plan::connect(&self.batch.snapshot, self.pvd, &request).expect("a way");
    }

    fn translate(&self) {
        let request = TranslateRequest {
            name: "www.example.org".to_owned(),
            families: Families::Any,
            timeout_ms: plan::TRANSLATE_TIMEOUT_MS,
            systems: None,
            available: Systems::ALL,
        };
        let plan = plan::translate(&self.batch.snapshot, self.pvd, &request, Encryption::default());
        assert!(matches!(plan.unwrap().translation, Translation::Lookup(lookup) if lookup.dns.is_ok()));
    }
}
