//! What the demo writes.

use std::io::{self, Write};
use std::process::ExitCode;

/// Writes the story to standard output and keeps count of what was not as it should be.
#[derive(Debug, Default)]
pub struct Narrator {
    steps: u32,
    checks: u32,
    failures: Vec<String>,
}

impl Narrator {
    /// Begins a step: a question, and the draft's message that asks it.
    pub fn step(&mut self, question: &str, message: &str) {
        self.steps += 1;
        self.say(&format!("\n{}. {question}\n   ({message})\n", self.steps));
    }

    /// A line of the story. A reader who has gone away ends the program quietly.
    pub fn say(&mut self, line: &str) {
        if writeln!(io::stdout(), "{line}").is_err() {
            std::process::exit(1);
        }
    }

    /// Something that must hold, said as a fact. It is mentioned only when it does not.
    pub fn expect(&mut self, holds: bool, fact: &str) {
        self.checks += 1;
        if !holds {
            self.say(&format!("   NOT SO: {fact}"));
            self.failures.push(fact.to_owned());
        }
    }

    /// The end of the story.
    pub fn verdict(mut self) -> ExitCode {
        if self.failures.is_empty() {
            self.say(&format!("\nAll {} checks of answers, sources and order hold.", self.checks));
            return ExitCode::SUCCESS;
        }
        let failures = std::mem::take(&mut self.failures);
        self.say(&format!(
            "\n{} of {} checks do not hold:\n- {}",
            failures.len(),
            self.checks,
            failures.join("\n- ")
        ));
        ExitCode::FAILURE
    }
}
