//! What a benchmark has measured: a table for people, JSON for machines.
//!
//! Every `bench-*` program makes one of these. Rounds take turns, so that what disturbs the machine disturbs everybody
//! alike; a row holds the values of all rounds, and shows their median and how far they spread. `cargo xtask bench`
//! reads the JSON, keeps it, and compares it with what was kept before.

mod machine;
mod table;

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

pub use machine::Machine;

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
}

/// The figures of one benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    benchmark: &'static str,
    machine: Machine,
    rows: Vec<Row>,
    goals: Vec<Goal>,
    missing: Vec<String>,
}

impl Report {
    /// Of nothing yet.
    pub fn new(benchmark: &'static str) -> Self {
        let machine = Machine::here();
        Self { benchmark, machine, rows: Vec::new(), goals: Vec::new(), missing: Vec::new() }
    }

    /// What one round came to.
    pub fn add(&mut self, case: &str, who: &str, quantity: Quantity, value: f64) {
        let same = |row: &&mut Row| row.case == case && row.who == who && row.quantity.what == quantity.what;
        let row = match self.rows.iter_mut().find(same) {
            Some(row) => row,
            None => {
                let (case, who) = (case.to_owned(), who.to_owned());
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
        let (one, other) = (self.row(case, one, quantity)?, self.row(case, other, quantity)?);
        let rounds = one.values.iter().zip(&other.values);
        let ratios: Vec<f64> = rounds.map(|(one, other)| one / other).filter(|it| it.is_finite()).collect();
        (!ratios.is_empty()).then(|| median(ratios))
    }

    /// Says whether a figure is as it is to be; one that could not be measured says nothing.
    pub fn goal(&mut self, figure: &str, value: Option<f64>, bound: Bound) {
        let Some(value) = value else { return };
        self.goals.push(Goal { figure: figure.to_owned(), value, bound, holds: bound.holds(value) });
    }

    /// Tells everything: people on standard output, or, when `--json` was asked for, machines there and people on
    /// standard error. A missed goal is no failure.
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
        ExitCode::SUCCESS
    }

    fn row(&self, case: &str, who: &str, quantity: Quantity) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.case == case && row.who == who && row.quantity.what == quantity.what)
    }
}

/// Asks for JSON as `--json` does; so does `cargo xtask bench`.
const JSON: &str = "MIF_BENCH_JSON";

/// What every benchmark is called with: `[--json] [KEY=VALUE]...`.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// JSON on standard output.
    pub json: bool,
    given: Vec<(String, String)>,
}

impl Arguments {
    /// Those of this program. `known` are the keys that it takes, each with what it means and its default.
    ///
    /// # Errors
    /// When one is not known: how to call it.
    pub fn of_program(known: &[(&str, &str)]) -> Result<Self, ExitCode> {
        let mut read = Self { json: std::env::var_os(JSON).is_some(), ..Self::default() };
        for argument in std::env::args().skip(1) {
            match argument.split_once('=') {
                Some((key, value)) if known.iter().any(|(name, _)| *name == key) => {
                    read.given.push((key.to_owned(), value.to_owned()));
                }
                None if argument == "--json" => read.json = true,
                _ => return Err(usage(&argument, known)),
            }
        }
        Ok(read)
    }

    /// What was given for `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == key).map(|(_, value)| &**value)
    }

    /// A whole number.
    ///
    /// # Panics
    /// When it is none.
    pub fn number(&self, key: &str, default: usize) -> usize {
        self.text(key)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{key}={text}: no number")))
    }

    /// Whole numbers, parted by commas.
    ///
    /// # Panics
    /// When they are none.
    pub fn numbers(&self, key: &str, default: &[usize]) -> Vec<usize> {
        let read = |text: &str| text.parse().unwrap_or_else(|_| panic!("{key}={text}: no number"));
        self.text(key).map_or_else(|| default.to_vec(), |text| text.split(',').map(read).collect())
    }

    /// Whether `case` is wanted: all are, unless `cases` names some.
    pub fn wants(&self, case: &str) -> bool {
        self.text("cases").is_none_or(|cases| cases.split(',').any(|wanted| wanted == case))
    }
}

fn usage(wrong: &str, known: &[(&str, &str)]) -> ExitCode {
    let mut text = format!("{wrong:?} is not understood. Arguments:\n  --json  for machines\n");
    for (key, meaning) in known {
        text.push_str(&format!("  {key}=  {meaning}\n"));
    }
    let _ = write!(std::io::stderr().lock(), "{text}");
    ExitCode::from(2)
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
        let mut report = Report::new("start");
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
    fn machines_read_every_round() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["rows"][0]["values"], serde_json::json!([2.0, 30.0, 3.0]));
        assert_eq!(json["rows"][0]["better"], "less");
        assert!(json["machine"]["kernel"].is_string());
    }

    #[test]
    fn people_read_a_table() {
        let mut report = report();
        report.missing("NetworkManager", "network-manager");
        report.goal("settled", Some(0.3), Bound::AtMost(0.5));
        let table = table::of(&report);
        for part in
            ["ten links", "settled ms", "3.00", "2.00-30.0", "NetworkManager (Debian package", "holds"]
        {
            assert!(table.contains(part), "{part} in\n{table}");
        }
    }
}
