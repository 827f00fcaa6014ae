//! One start: the service, its memory, what it answers, what a change costs it.

use crate::contender::{Contender, call};
use crate::figures::{AGAIN, ALL, CHANGE, COMPLETE, CPU, INTROSPECT, PSS, RSS, RSS_AFTER, SETTLED, case};
use mif_tests::daemons::Bus;
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::report::{Report, milliseconds};
use mif_tests::usage::{self, Usage};
use mif_tests::wait::within;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use zbus::Connection;

/// How many addresses come, and go again.
const CHANGES: u32 = 50;
/// One every so often, so that each is a change of its own.
const PACE: Duration = Duration::from_millis(12);

/// Starts a contender, measures, and ends it.
pub async fn measure(contender: Contender, node: &Node, bus: &Bus, links: usize, report: &mut Report) {
    let connection = bus.connect().await;
    let begin = Instant::now();
    let process = node.spawn("contender", contender.command(bus));
    let complete = within(contender.patience(), "every link on the bus", async || {
        if let Some(status) = process.exit_status() {
            panic!("{} ended with {status}:\n{}", contender.name(), process.log());
        }
        if is_owned(&connection, contender).await && contender.is_complete(&connection, links).await {
            return Ok(Instant::now());
        }
        Err("not yet")
    })
    .await;
    let settled = usage::settled(&process, begin + contender.patience()).await;
    let mut add = |quantity, value| report.add(&case(links), contender.name(), quantity, value);
    add(COMPLETE, milliseconds(complete - begin));
    add(SETTLED, milliseconds(settled.at - begin));
    add(CPU, milliseconds(settled.cpu));
    add(RSS, megabytes(process.status_number("VmRSS:")));
    add(PSS, megabytes(usage::proportional_share(&process)));
    within(contender.patience(), "its start to be over", async || {
        if contender.is_started(&connection).await { Ok(()) } else { Err("not yet") }
    })
    .await;
    usage::settled(&process, Instant::now() + contender.patience()).await;
    add(CHANGE, change(node, &process, contender.patience()).await);
    add(ALL, everything(&connection, contender).await);
    add(AGAIN, everything(&connection, contender).await);
    add(RSS_AFTER, megabytes(process.status_number("VmRSS:")));
    add(INTROSPECT, introspect(&connection, contender).await);
    // One that manages thousands of links takes its time, also to be killed: the kernel has much of theirs to do.
    process.signal(Signal::SIGKILL);
    within(contender.patience(), "its end", async || process.exit_status().ok_or("it runs still")).await;
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

/// How long introspection of the root takes, in milliseconds.
async fn introspect(connection: &Connection, contender: Contender) -> f64 {
    let at = [contender.bus_name(), contender.root(), "org.freedesktop.DBus.Introspectable", "Introspect"];
    let begin = Instant::now();
    call(connection, at, &()).await.expect("its introspection");
    milliseconds(begin.elapsed())
}

/// CPU time of one change, in microseconds: an address comes or goes.
async fn change(node: &Node, process: &Process, patience: Duration) -> f64 {
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
    usage::settled(process, Instant::now() + patience).await;
    let used = Usage::of(process).since(before);
    used.cpu.as_secs_f64() * 1e6 / f64::from(CHANGES * 2)
}

/// From kB.
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
