//! Prints what the sources see, one JSON object a line, and asks for advertisements on every link that comes up.
//! To be run in a network namespace, as root or with CAP_NET_RAW and CAP_NET_ADMIN.

use mif_core::event::{Event, LinkKind, LinkState};
use mifd::clock;
use mifd::source::{self, Observation};
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::sync::mpsc;

/// Observations that wait to be printed.
const FEED: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(tracing::Level::DEBUG).init();
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
                let micros = clock::now().as_micros() - begun.as_micros();
                print(&serde_json::json!({ "inventory-after-us": micros }))?;
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
        print(&serde_json::json!({ "at": observation.at, "event": observation.event }))?;
    }
}

fn print(line: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}
