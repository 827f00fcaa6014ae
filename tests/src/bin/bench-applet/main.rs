//! `cargo xtask bench applet`: how soon the applet shows what is there and what changes, and what that costs.
//!
//! A screen without a graphics card, a window manager and accessibility, as on a desktop; mifd with networks of an
//! address each. What is seen is the pixels of the screen, looked at every millisecond; what is announced is heard by a
//! subscriber beside the applet. In turn, the applet and an empty window of its toolkit are started, with 4 and with 500
//! networks. With 500: single changes; 250 at once; 10 and 500 a second; then nothing but countdowns; then not even a
//! window that can be seen. Argument: the rounds of what is done in rounds (10). Fails when a goal is missed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crowd;
mod live;
mod start;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use mif_tests::desktop::{Desktop, Panel};
use mif_tests::served_host::ServedHost;
use mif_tests::universe;

use crowd::{Crowd, Ear};
use live::Live;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let rounds = std::env::args().nth(1).map_or(Ok(10), |rounds| rounds.parse::<usize>());
        let Ok(rounds @ 1..) = rounds else {
            say("usage: bench-applet [ROUNDS], a whole number");
            return ExitCode::from(2);
        };
        let host = ServedHost::start_with(&universe, |settings| settings.log("warn")).await;
        let desktop = Desktop::start(&universe).await;
        let _panel = Panel::start().await;
        let mut crowd = Crowd::new();
        let mut goals = Goals::default();
        for pairs in [2, 250] {
            crowd.grow(pairs, &host).await;
            start::first_frames(&desktop, crowd.len(), rounds, &mut goals).await;
        }
        let ear = Ear::listen(&host.connection).await;
        let mut live = Live::start(&desktop, crowd, ear).await;
        live.first_change(3 * rounds, &mut goals).await;
        live.burst(rounds, &mut goals).await;
        live.storm(10, 10.0, &mut goals).await;
        live.storm(500, 25.0, &mut goals).await;
        live.idle(&mut goals).await;
        goals.outcome()
    })
}

/// What is to be reached.
#[derive(Default)]
struct Goals {
    missed: usize,
}

impl Goals {
    /// Says a figure and whether it is as it should be: `most` at most.
    fn figure(&mut self, what: &str, figure: f64, unit: &str, most: f64) {
        let missed = figure > most;
        self.missed += usize::from(missed);
        let verdict = if missed { "MISSED" } else { "reached" };
        say(&format!("{what}: {figure:.2}{unit} (goal: {most}{unit} at most, {verdict})"));
    }

    fn outcome(&self) -> ExitCode {
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Writes a line; a reader that left has heard enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The value in the middle.
fn median(values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
