//! One start: the service, its memory, what it answers, what a change costs it.

use crate::contender::{Contender, call};
use crate::figures::{AGAIN, ALL, CHANGE, COMPLETE, CPU, INTROSPECT, PSS, RSS, RSS_AFTER, SETTLED, case};
use mif_tests::daemons::Bus;
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::report::Report;
use mif_tests::usage::{self, Usage};
use mif_tests::wait::within;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use zbus::Connection;

const WINDOW: Duration = Duration::from_millis(200);
const QUIET_WINDOWS: u32 = 5;
/// The most CPU time in a quiet window.
const QUIET: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(90);
/// How many addresses come, and go again.
const CHANGES: u32 = 50;
/// One every so often, so that each is a change of its own.
const PACE: Duration = Duration::from_millis(12);

/// Starts a contender, measures, and ends it.
pub async fn measure(contender: Contender, node: &Node, bus: &Bus, links: usize, report: &mut Report) {
    let connection = bus.connect().await;
    let begin = Instant::now();
    let process = node.spawn("contender", contender.command(bus));
    let complete = within(PATIENCE, "every link on the bus", async || {
        if let Some(status) = process.exit_status() {
            panic!("{} ended with {status}:\n{}", contender.name(), process.log());
        }
        if is_owned(&connection, contender).await && contender.is_complete(&connection, links).await {
            return Ok(Moment::now(&process));
        }
        Err("not yet")
    })
    .await;
    let settled = settle(&process, begin, complete).await;
    let mut add = |quantity, value| report.add(&case(links), contender.name(), quantity, value);
    add(COMPLETE, milliseconds(complete.at.duration_since(begin)));
    add(SETTLED, milliseconds(settled.at.duration_since(begin)));
    add(CPU, milliseconds(settled.cpu));
    add(RSS, megabytes(process.status_number("VmRSS:")));
    add(PSS, megabytes(usage::proportional_share(&process)));
    add(CHANGE, change(node, &process).await);
    add(ALL, everything(&connection, contender).await);
    add(AGAIN, everything(&connection, contender).await);
    add(RSS_AFTER, megabytes(process.status_number("VmRSS:")));
    if contender == Contender::Mifd {
        let [name, path, ..] = contender.everything();
        let introspect = [name, path, "org.freedesktop.DBus.Introspectable", "Introspect"];
        let begin = Instant::now();
        call(&connection, introspect, &()).await.expect("its introspection");
        add(INTROSPECT, milliseconds(begin.elapsed()));
    }
    process.terminate().await;
}

async fn is_owned(connection: &Connection, contender: Contender) -> bool {
    const BUS: &str = "org.freedesktop.DBus";
    let at = [BUS, "/org/freedesktop/DBus", BUS, "NameHasOwner"];
    let reply = call(connection, at, &contender.bus_name()).await;
    reply.is_ok_and(|reply| reply.body().deserialize::<bool>().unwrap_or(false))
}

/// How long the one call takes, in milliseconds; what this program needs to read the reply is not counted.
async fn everything(connection: &Connection, contender: Contender) -> f64 {
    let begin = Instant::now();
    let answer = call(connection, contender.everything(), &()).await;
    let took = begin.elapsed();
    answer.unwrap_or_else(|error| panic!("{} does not tell everything: {error}", contender.name()));
    milliseconds(took)
}

/// CPU time of one change, in microseconds: an address comes or goes.
async fn change(node: &Node, process: &Process) -> f64 {
    let before = Usage::of(process);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..CHANGES {
        for verb in ["add", "del"] {
            pace.tick().await;
            node.ip(&format!("address {verb} 203.0.113.{number}/32 dev a0"));
        }
    }
    // What is put off for a little belongs to them.
    tokio::time::sleep(WINDOW * 2).await;
    let used = Usage::of(process).since(before);
    used.cpu.as_secs_f64() * 1e6 / f64::from(CHANGES * 2)
}

/// A moment and the CPU time that a process had used by then.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Moment {
    fn now(process: &Process) -> Self {
        Self { at: Instant::now(), cpu: Usage::of(process).cpu }
    }
}

/// Waits for the five quiet windows; the moment at which they began, `complete` at the earliest.
async fn settle(process: &Process, begin: Instant, complete: Moment) -> Moment {
    let deadline = begin + PATIENCE;
    let mut quiet_since = complete;
    let mut before = complete;
    let mut quiet = 0;
    // A window of time is what is measured here.
    let mut windows = tokio::time::interval_at((Instant::now() + WINDOW).into(), WINDOW);
    windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while quiet < QUIET_WINDOWS {
        assert!(Instant::now() < deadline, "not settled in {} s", PATIENCE.as_secs());
        windows.tick().await;
        let after = Moment::now(process);
        if after.cpu.saturating_sub(before.cpu) < QUIET {
            quiet += 1;
        } else {
            quiet = 0;
            quiet_since = after;
        }
        before = after;
    }
    quiet_since
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// From kB.
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
