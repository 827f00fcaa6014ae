//! Prints what the sources see, one JSON object a line, and asks for advertisements on every link that comes up.
//! With `--quiet` only the time until the first inventory is printed. To be run in a network namespace, as root or
//! with CAP_NET_RAW and CAP_NET_ADMIN.

use mif_core::BootTime;
use mif_core::event::{Event, LinkKind, LinkState};
use mifd::clock;
use mifd::source::{self, Observation};
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::sync::mpsc;

/// A line of output.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Inventory { inventory_after_us: u64 },
    Observation { at: BootTime, event: &'a Event },
}

/// Observations that wait to be printed.
const FEED: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.get_ref().and_then(std::error::Error::source);
            tracing::error!(cause = cause.map(tracing::field::display), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let quiet = std::env::args().nth(1).is_some_and(|argument| argument == "--quiet");
    let begun = clock::now();
    let (feed, mut observations) = mpsc::channel::<Observation>(FEED);
    let mut started = source::start(feed).map_err(io::Error::other)?;
    let mut inventory = false;
    loop {
        let observation = tokio::select! {
            biased;
            Some(observation) = observations.recv() => observation,
            () = started.inventory.complete(), if !inventory => {
                inventory = true;
                let inventory_after_us = clock::now().as_micros() - begun.as_micros();
                print(&Line::Inventory { inventory_after_us })?;
                continue;
            }
            error = started.sources.failed() => return Err(io::Error::other(error)),
        };
        if let Event::Link(link) = &observation.event
            && link.state == LinkState::Up
            && link.kind != LinkKind::Loopback
        {
            started.solicitor.solicit(link.ifindex);
        }
        if !quiet {
            print(&Line::Observation { at: observation.at, event: &observation.event })?;
        }
    }
}

fn print(line: &Line<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}
