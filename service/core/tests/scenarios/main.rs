//! Recorded scenarios: a folder each, with what sources saw (`events.jsonl`, as `mifd --record` writes it) and what
//! came of it (`expected.txt`).
//!
//! With `MIF_BLESS=1` in the environment the expectations are rewritten: read the difference before you commit it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod transcript;

use common::host::SETTINGS;
use common::listener::Listener;
use mif_core::BootTime;
use mif_core::engine::Engine;
use mif_core::event::Event;
use mif_core::recording::{Line, Recorded};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use transcript::Transcript;

/// So much time passes after the last line.
const QUIET_AT_THE_END: Duration = Duration::from_secs(10);

#[test]
fn every_recording_gives_what_is_expected() {
    let folders = folders();
    assert!(folders.len() >= 8, "scenarios are missing: {folders:?}");
    let bless = std::env::var_os("MIF_BLESS").is_some();
    let mut different = Vec::new();
    for folder in &folders {
        let expected = folder.join("expected.txt");
        let told = replay(&read(&folder.join("events.jsonl")));
        if bless {
            fs::write(&expected, &told).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            different.push(format!("{} expects something else than:\n{told}", expected.display()));
        }
    }
    assert!(different.is_empty(), "{}\n(MIF_BLESS=1 takes them over)", different.join("\n"));
}

fn folders() -> Vec<PathBuf> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(scenarios).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn read(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}, line {}: {error}", path.display(), number + 1))
    };
    text.lines().enumerate().map(parse).collect()
}

/// Shows an engine what was recorded, at the recorded times: what was seen at one moment makes one batch.
fn replay(lines: &[Line]) -> String {
    let beginning = lines.first().expect("something was recorded").at;
    let end = lines.last().map_or(beginning, |line| line.at).after(QUIET_AT_THE_END);
    let mut replay = Replay {
        engine: Engine::new(SETTINGS),
        listener: Listener::new(),
        transcript: Transcript::beginning(beginning),
    };
    for moment in lines.chunk_by(|line, next| line.at == next.at) {
        let now = moment[0].at;
        replay.sleep_until(now);
        for line in moment {
            match &line.what {
                Recorded::Event(event) => replay.engine.handle_event(now, Event::clone(event)),
                Recorded::Lost(lost) => {
                    panic!("the recording lacks {lost} events: there is nothing to expect")
                }
            }
        }
        replay.commit(now);
    }
    replay.sleep_until(end);
    replay.commit(end);
    replay.transcript.finish(&replay.engine.commit(end).snapshot)
}

struct Replay {
    engine: Engine,
    listener: Listener,
    transcript: Transcript,
}

impl Replay {
    /// Wakes the engine whenever it wants to before `moment`.
    fn sleep_until(&mut self, moment: BootTime) {
        while let Some(wake) = self.engine.next_timeout().filter(|wake| *wake < moment) {
            self.engine.handle_timeout(wake);
            self.commit(wake);
            assert!(self.engine.next_timeout().is_none_or(|next| next > wake), "due again at once");
        }
    }

    fn commit(&mut self, now: BootTime) {
        let batch = self.engine.commit(now);
        self.listener.hear(&batch);
        self.transcript.note(now, &batch);
    }
}
