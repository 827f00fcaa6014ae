//! What a benchmark has measured: a table for people, JSON for machines.
//!
//! Every `bench-*` program makes one of these. Rounds take turns, so that what disturbs the machine disturbs everybody
//! alike; a row holds the values of all rounds, and shows their median and how far they spread. `cargo xtask bench`
//! reads the JSON, keeps it, and compares it with what was kept before.

mod arguments;
mod benchmark;
mod machine;
mod table;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

pub use arguments::Arguments;
pub use benchmark::{Benchmark, compile};
pub use machine::Machine;

use crate::daemons::BusProgram;

/// Which way is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The smaller the better.
    Less,
    /// The larger the better.
    More,
    /// It is told for other figures to be read against.
    Neither,
}

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantity {
    /// What it is, such as `settled`.
    pub what: &'static str,
    /// In which unit, such as `ms`.
    pub unit: &'static str,
    /// Which way is up.
    pub better: Better,
}

impl Quantity {
    /// One of which less is better.
    pub const fn less(what: &'static str, unit: &'static str) -> Self {
        Self { what, unit, better: Better::Less }
    }

    /// One that is told for others to be read against.
    pub const fn told(what: &'static str, unit: &'static str) -> Self {
        Self { what, unit, better: Better::Neither }
    }

    /// One of which more is better.
    pub const fn more(what: &'static str, unit: &'static str) -> Self {
        Self { what, unit, better: Better::More }
    }
}

/// One quantity of one contender in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Under which circumstances, such as `1000 links`.
    pub case: String,
    /// Who was measured, such as `mifd`.
    pub who: String,
    /// What.
    #[serde(flatten)]
    pub quantity: Quantity,
    /// The value in the middle.
    pub median: f64,
    /// The value of each round, in the order of the rounds.
    pub values: Vec<f64>,
}

/// How a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// What is aimed at, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Which figure it is about.
    pub figure: String,
    /// How that is.
    pub value: f64,
    /// How it is to be.
    pub bound: Bound,
    /// Whether it is.
    pub holds: bool,
    /// Whether the benchmark fails when it is not.
    pub promised: bool,
}

/// The figures of one benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    benchmark: &'static str,
    about: &'static str,
    machine: Machine,
    rows: Vec<Row>,
    goals: Vec<Goal>,
    missing: Vec<String>,
    notes: Vec<String>,
    #[serde(skip)]
    setting: String,
}

impl Report {
    /// Of nothing yet: the name of the benchmark, and what it measures.
    pub fn new(benchmark: &'static str, about: &'static str) -> Self {
        let (rows, goals, missing, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (machine, setting) = (Machine::here(), String::new());
        Self { benchmark, about, machine, rows, goals, missing, notes, setting }
    }

    /// The buses on which it is to be measured, those that are not there named as missing.
    ///
    /// # Panics
    /// When one is asked for that is not known.
    pub fn buses(&mut self, arguments: &Arguments, default: &[BusProgram]) -> Vec<BusProgram> {
        let (there, missing): (Vec<_>, Vec<_>) =
            arguments.buses(default).into_iter().partition(|program| program.is_there());
        missing.into_iter().for_each(|program| self.missing(program.name(), program.name()));
        there
    }

    /// What is added and asked from now on is about this bus. Figures on dbus-daemon have no word for it.
    pub fn on(&mut self, bus: BusProgram) {
        self.setting = match bus {
            BusProgram::DbusDaemon => String::new(),
            BusProgram::DbusBroker => format!(", {}", bus.name()),
        };
    }

    /// What one round came to.
    pub fn add(&mut self, case: &str, who: &str, quantity: Quantity, value: f64) {
        let case = self.case(case);
        let same = |row: &&mut Row| row.case == case && row.who == who && row.quantity.what == quantity.what;
        let row = match self.rows.iter_mut().find(same) {
            Some(row) => row,
            None => {
                let who = who.to_owned();
                self.rows.push(Row { case, who, quantity, median: 0.0, values: Vec::new() });
                self.rows.last_mut().expect("one was added")
            }
        };
        row.values.push(value);
        row.median = median(row.values.clone());
    }

    /// A peer that cannot be measured here, and the Debian package that brings it.
    pub fn missing(&mut self, peer: &str, package: &str) {
        self.missing.push(format!("{peer} (Debian package {package})"));
    }

    /// The median of what somebody came to; nothing when it was not measured.
    pub fn median(&self, case: &str, who: &str, quantity: Quantity) -> Option<f64> {
        self.row(case, who, quantity).map(|row| row.median)
    }

    /// The median over the rounds of how many times `other`'s value `one`'s was in the same round.
    pub fn ratio(&self, case: &str, quantity: Quantity, one: &str, other: &str) -> Option<f64> {
        ratio_of_rounds(self.row(case, one, quantity)?, self.row(case, other, quantity)?)
    }

    /// Something that is no figure and worth a line.
    pub fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }

    /// Says whether a figure is as it is to be; one that could not be measured says nothing. That it is not, is no
    /// failure: the machine may be slow or busy.
    pub fn goal(&mut self, figure: &str, value: Option<f64>, bound: Bound) {
        self.judge(figure, value, bound, false);
    }

    /// The same of what holds on any machine: the benchmark fails when it does not.
    pub fn promise(&mut self, figure: &str, value: Option<f64>, bound: Bound) {
        self.judge(figure, value, bound, true);
    }

    fn judge(&mut self, figure: &str, value: Option<f64>, bound: Bound, promised: bool) {
        let Some(value) = value else { return };
        let (figure, holds) = (format!("{figure}{}", self.setting), bound.holds(value));
        self.goals.push(Goal { figure, value, bound, holds, promised });
    }

    /// Tells everything: people on standard output, or, when `--json` was asked for, machines there and people on
    /// standard error. A missed goal is no failure, a broken promise is.
    pub fn finish(self, arguments: &Arguments) -> ExitCode {
        let table = table::of(&self);
        // A reader that left has heard enough.
        if arguments.json {
            let _ = write!(std::io::stderr().lock(), "{table}");
            let json = serde_json::to_string(&self).expect("plain data");
            let _ = writeln!(std::io::stdout().lock(), "{json}");
        } else {
            let _ = write!(std::io::stdout().lock(), "{table}");
        }
        let broken = self.goals.iter().any(|goal| goal.promised && !goal.holds);
        if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn case(&self, case: &str) -> String {
        format!("{case}{}", self.setting)
    }

    fn row(&self, case: &str, who: &str, quantity: Quantity) -> Option<&Row> {
        let (case, mut rows) = (self.case(case), self.rows.iter());
        rows.find(|row| row.case == case && row.who == who && row.quantity.what == quantity.what)
    }
}

/// In milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// In microseconds.
pub fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The median of how many times `other`'s value `one`'s was in the same round.
fn ratio_of_rounds(one: &Row, other: &Row) -> Option<f64> {
    let rounds = one.values.iter().zip(&other.values);
    let ratios: Vec<f64> = rounds.map(|(one, other)| one / other).filter(|it| it.is_finite()).collect();
    (!ratios.is_empty()).then(|| median(ratios))
}

/// The value in the middle, the higher one of two; zero of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Quantity = Quantity::less("settled", "ms");

    fn report() -> Report {
        let mut report = Report::new("start", "from start to settled");
        for (one, other) in [(2.0, 10.0), (30.0, 40.0), (3.0, 10.0)] {
            report.add("ten links", "mifd", TIME, one);
            report.add("ten links", "networkd", TIME, other);
        }
        report
    }

    #[test]
    fn ratios_are_those_of_rounds() {
        let report = report();
        assert_eq!(report.median("ten links", "mifd", TIME), Some(3.0));
        assert_eq!(report.ratio("ten links", TIME, "mifd", "networkd"), Some(0.3));
        assert_eq!(report.ratio("ten links", TIME, "mifd", "NetworkManager"), None);
    }

    #[test]
    fn what_was_not_measured_is_no_goal() {
        let mut report = report();
        report.goal("settled", report.ratio("ten links", TIME, "mifd", "networkd"), Bound::AtMost(0.5));
        report.goal("settled", report.ratio("ten links", TIME, "mifd", "NetworkManager"), Bound::AtMost(0.5));
        report.goal("rate", Some(0.9), Bound::AtLeast(1.0));
        assert_eq!(report.goals.iter().map(|goal| goal.holds).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn only_a_broken_promise_is_a_failure() {
        let succeeds = |report: Report| report.finish(&Arguments::default()) == ExitCode::SUCCESS;
        let mut missed = report();
        missed.goal("settled", Some(3.0), Bound::AtMost(2.0));
        missed.promise("lost", Some(0.0), Bound::AtMost(0.0));
        assert!(succeeds(missed));
        let mut broken = report();
        broken.promise("lost", Some(1.0), Bound::AtMost(0.0));
        assert!(!succeeds(broken));
    }

    #[test]
    fn each_bus_has_figures_of_its_own() {
        let mut report = report();
        report.on(BusProgram::DbusBroker);
        report.add("ten links", "mifd", TIME, 7.0);
        assert_eq!(report.median("ten links", "mifd", TIME), Some(7.0));
        assert_eq!(report.median("ten links", "networkd", TIME), None);
        report.goal("settled", Some(7.0), Bound::AtMost(8.0));
        assert_eq!(report.goals[0].figure, "settled, dbus-broker");
        report.on(BusProgram::DbusDaemon);
        assert_eq!(report.median("ten links", "mifd", TIME), Some(3.0));
    }

    #[test]
    fn machines_read_every_round() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["rows"][0]["values"], serde_json::json!([2.0, 30.0, 3.0]));
        assert_eq!(json["rows"][0]["better"], "less");
        assert!(json["machine"]["kernel"].is_string());
    }

    #[test]
    fn a_wide_table_goes_on_below() {
        const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let mut report = Report::new("start", "from start to settled");
        for what in NAMES {
            report.add("ten links", "mifd", Quantity::less(what, "milliseconds"), 1.0);
        }
        report.add("ten links", "networkd", Quantity::less("a", "milliseconds"), 2.0);
        let table = table::of(&report);
        let lines: Vec<&str> = table.lines().skip(3).collect();
        assert!(lines.iter().all(|line| line.len() <= 112), "{table}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("  mifd  ")).count(), 3, "{table}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("  networkd  ")).count(), 1, "{table}");
    }

    #[test]
    fn people_read_a_table() {
        let mut report = report();
        report.missing("NetworkManager", "network-manager");
        report.goal("settled", Some(0.3), Bound::AtMost(0.5));
        let table = table::of(&report);
        for part in ["from start to", "settled ms", "3.00", "2.00-30.0", "0.30", "(Debian package", "holds"] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
    }
}
