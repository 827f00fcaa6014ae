//! `cargo xtask bench applet`: how soon the applet shows what is there and what changes, and what that costs.
//!
//! A screen without a graphics card, a window manager and accessibility, as on a desktop; mifd with networks of an
//! address each. What is seen is the pixels of the screen, looked at every millisecond; what is announced is heard by a
//! subscriber beside the applet. In turn, the applet and an empty window of its toolkit are started, with 4 and with 500
//! networks. With 500: single changes; 250 at once; 10 and 500 a second; then nothing but countdowns; then not even a
//! window that can be seen.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crowd;
mod live;
mod start;

use std::process::ExitCode;

use mif_tests::desktop::{Desktop, Panel};
use mif_tests::report::Benchmark;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::Privilege;

use crowd::{Crowd, Ear};
use live::Live;

const BENCHMARK: Benchmark = Benchmark {
    name: "applet",
    about: "how soon the applet shows what is there and what changes, and what that costs",
    arguments: &[("rounds", "of what is done in rounds (10)")],
    privilege: Privilege::UserNamespace,
};
/// How the tables call it.
const APPLET: &str = "mif-applet";

fn main() -> ExitCode {
    BENCHMARK.run(async |universe, arguments, report| {
        let rounds = arguments.rounds(10);
        let host = ServedHost::start_with(universe, |settings| settings.log("warn")).await;
        let desktop = Desktop::start(universe).await;
        let _panel = Panel::start().await;
        let mut crowd = Crowd::new();
        for pairs in [2, 250] {
            crowd.grow(pairs, &host).await;
            start::first_frames(&desktop, crowd.len(), rounds, report).await;
        }
        let ear = Ear::listen(&host.connection).await;
        let mut live = Live::start(&desktop, crowd, ear).await;
        live.first_change(3 * rounds, report).await;
        live.burst(rounds, report).await;
        live.storm(10, 10.0, report).await;
        live.storm(500, 25.0, report).await;
        live.idle(report).await;
    })
}
