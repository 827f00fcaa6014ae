//! The last attempts, over restarts of the program.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Scope, Target};

/// How many are kept; the oldest go.
pub const KEPT: usize = 20;

/// The longest text of one that is kept, in bytes: as many networks as are tried, and more.
const LONGEST: usize = 32 * 1024;

/// An attempt that is over, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When it ended, in seconds since 1970.
    pub time: u64,
    /// What was tried.
    pub target: Target,
    /// Where.
    pub scope: Scope,
    /// How it went, in a line.
    pub outcome: String,
    /// All of it, for a bug report.
    pub report: String,
}

/// The last attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The latest first.
    past: Vec<Past>,
}

impl History {
    /// From what [`Self::to_json`] made: lines that cannot be read are left out.
    pub fn from_json(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        Self { past: lines.take(KEPT).collect() }
    }

    /// One object a line.
    pub fn to_json(&self) -> String {
        let lines = self.past.iter().filter_map(|past| serde_json::to_string(past).ok());
        lines.flat_map(|line| [line, "\n".to_owned()]).collect()
    }

    /// An attempt ended at `now` (since 1970).
    pub fn add(&mut self, attempt: &Attempt, now: Duration) {
        let mut report = attempt.to_text();
        report.truncate(report.floor_char_boundary(LONGEST));
        let past = Past {
            time: now.as_secs(),
            target: attempt.target.clone(),
            scope: attempt.scope,
            outcome: attempt.outcome(),
            report,
        };
        self.past.insert(0, past);
        self.past.truncate(KEPT);
    }

    /// The latest first.
    pub fn past(&self) -> &[Past] {
        &self.past
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::samples::path;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn attempt(name: &str) -> Attempt {
        let target = Target { name: name.to_owned(), port: Some(443) };
        let mut attempt = Attempt::new(target, Scope::Race, vec![(path("pvd", "a"), "a.example".to_owned())]);
        attempt.cancel();
        attempt
    }

    #[test]
    fn what_is_kept_is_read_again_the_latest_first() {
        let mut history = History::default();
        history.add(&attempt("one.example"), NOW);
        history.add(&attempt("two.example"), NOW);
        let again = History::from_json(&history.to_json());
        assert_eq!(again, history);
        let names: Vec<&str> = again.past().iter().map(|past| past.target.name.as_str()).collect();
        assert_eq!(names, ["two.example", "one.example"]);
        assert_eq!((again.past()[0].time, again.past()[0].outcome.as_str()), (1_700_000_000, "Cancelled"));
        assert!(again.past()[0].report.contains("a.example: Given up"));
    }

    #[test]
    fn the_oldest_go() {
        let mut history = History::default();
        for number in 0..=KEPT {
            history.add(&attempt(&format!("{number}.example")), NOW);
        }
        assert_eq!(history.past().len(), KEPT);
        assert_eq!(history.past()[KEPT - 1].target.name, "1.example");
        let twice = history.to_json().repeat(2);
        assert_eq!(History::from_json(&twice), history);
    }

    #[test]
    fn what_somebody_else_wrote_is_left_out() {
        let mut history = History::default();
        history.add(&attempt("one.example"), NOW);
        let text = format!("\n{{}}\nnot JSON\n{}[1]\n", history.to_json());
        assert_eq!(History::from_json(&text), history);
    }

    #[test]
    fn a_long_report_is_cut_between_letters() {
        let mut long = attempt("one.example");
        long.story = vec!["ä".repeat(LONGEST)];
        let mut history = History::default();
        history.add(&long, NOW);
        assert!(history.past()[0].report.len() <= LONGEST);
    }
}
