//! Figures of a benchmark as they are kept, and what became worse.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a benchmark measured.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Kept {
    rows: Vec<Row>,
    /// Machine, goals and the like.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// What was aimed at.
#[derive(Clone, Debug, Deserialize)]
pub struct Goal {
    /// What it is about.
    pub figure: String,
    /// How that is.
    pub value: f64,
    /// Whether it is as it is to be.
    pub holds: bool,
}

/// One quantity of one contender in one case.
#[derive(Debug, Deserialize, Serialize)]
struct Row {
    case: String,
    who: String,
    what: String,
    unit: String,
    better: String,
    median: f64,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Kept {
    /// From what a benchmark wrote; `None` when that is something else.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        // Plain data has a text.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What became of the goals, each with the name of the benchmark.
    pub fn goals(&self) -> Vec<Goal> {
        let benchmark = self.rest.get("benchmark").and_then(Value::as_str).unwrap_or_default();
        let goals = self.rest.get("goals").and_then(Value::as_array).into_iter().flatten();
        let goals = goals.filter_map(|goal| serde_json::from_value::<Goal>(goal.clone()).ok());
        goals.map(|goal| Goal { figure: format!("{benchmark}: {}", goal.figure), ..goal }).collect()
    }

    /// A line for each figure of ours that is more than `percent` worse than it was. Those of others say how the machine
    /// is, and are for whoever reads the table.
    pub fn worse_than(&self, former: &Self, percent: u32) -> Vec<String> {
        let allowed = 1.0 + f64::from(percent) / 100.0;
        let line = |row: &Row| {
            let before = former.find(row)?.median;
            let times = match row.better.as_str() {
                "less" => row.median / before,
                "more" => before / row.median,
                _ => return None,
            };
            let Row { case, who, what, unit, median, .. } = row;
            (times > allowed).then(|| {
                format!(
                    "worse than the last time: {case}, {who}, {what}: {median:.2} {unit}, then {before:.2}"
                )
            })
        };
        self.rows.iter().filter(|row| row.who.starts_with("mif")).filter_map(line).collect()
    }

    /// The same with the rows of `former` that were not measured anew.
    pub fn with_the_rest_of(mut self, former: Self) -> Self {
        let missing: Vec<Row> = former.rows.into_iter().filter(|row| self.find(row).is_none()).collect();
        self.rows.extend(missing);
        self
    }

    fn find(&self, wanted: &Row) -> Option<&Row> {
        let same = |row: &&Row| row.case == wanted.case && row.who == wanted.who && row.what == wanted.what;
        self.rows.iter().find(same)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn kept(rows: &[(&str, &str, &str, f64)]) -> Kept {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(who, what, better, median)| {
                serde_json::json!({"case": "10 links", "who": who, "what": what, "unit": "ms", "better": better,
                    "median": median, "values": [median]})
            })
            .collect();
        Kept::read(&serde_json::json!({"benchmark": "start", "rows": rows}).to_string()).unwrap()
    }

    #[test]
    fn what_became_worse_is_named() {
        let before = kept(&[("mifd", "settled", "less", 100.0), ("mifd", "rate", "more", 100.0)]);
        let same = kept(&[("mifd", "settled", "less", 109.0), ("mifd", "rate", "more", 95.0)]);
        assert_eq!(same.worse_than(&before, 10), Vec::<String>::new());
        let slower = kept(&[("mifd", "settled", "less", 112.0), ("mifd", "rate", "more", 80.0)]);
        let lines = slower.worse_than(&before, 10);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("settled: 112.00 ms, then 100.00"), "{lines:?}");
        assert_eq!(slower.worse_than(&Kept::default(), 10), Vec::<String>::new(), "there was nothing before");
    }

    #[test]
    fn what_others_do_is_no_concern_of_ours() {
        let before = kept(&[("networkd", "settled", "less", 100.0), ("mifd", "links", "neither", 1.0)]);
        let after = kept(&[("networkd", "settled", "less", 200.0), ("mifd", "links", "neither", 2.0)]);
        assert_eq!(after.worse_than(&before, 10), Vec::<String>::new());
    }

    #[test]
    fn what_was_not_measured_anew_is_kept_with_all_that_it_had() {
        let before = kept(&[("mifd", "settled", "less", 1.0), ("mifd", "CPU", "less", 2.0)]);
        let after = kept(&[("mifd", "settled", "less", 3.0)]).with_the_rest_of(before);
        let read = Kept::read(&after.text()).unwrap();
        let medians: Vec<f64> = read.rows.iter().map(|row| row.median).collect();
        assert_eq!(medians, [3.0, 2.0]);
        assert_eq!(read.rows[1].rest["values"], serde_json::json!([2.0]));
        assert_eq!(read.rest["benchmark"], "start");
    }

    #[test]
    fn goals_are_those_of_a_benchmark() {
        let text = r#"{"benchmark": "send", "rows": [], "goals": [
            {"figure": "a packet", "value": 1.5, "bound": {"at-most": 2.0}, "holds": true, "promised": true}]}"#;
        let goals = Kept::read(text).unwrap().goals();
        assert_eq!((goals[0].figure.as_str(), goals[0].holds), ("send: a packet", true));
        assert!(kept(&[]).goals().is_empty());
    }

    #[test]
    fn words_are_no_figures() {
        assert!(Kept::read("usage: bench-start\n").is_none());
    }
}
