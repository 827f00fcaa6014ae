//! A report for people.

use std::fmt::Write as _;

use super::{Bound, Report, Row};

/// One block a case: a line for each contender, a column for each quantity, median and spread.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "{}: {} x {}, Linux {}\n  {}",
        report.benchmark,
        machine.processors,
        machine.processor,
        machine.kernel,
        versions.join("; ")
    );
    for missing in &report.missing {
        let _ = writeln!(text, "  not measured: {missing}");
    }
    for case in in_order(report.rows.iter().map(|row| row.case.as_str())) {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.case == case).collect();
        let rounds = rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
        let _ = writeln!(text, "\n{case} (medians of {rounds}, least-most)");
        block(&mut text, &rows);
    }
    if !report.goals.is_empty() {
        let _ = writeln!(text, "\ngoals");
    }
    for goal in &report.goals {
        let (words, bound) = match goal.bound {
            Bound::AtMost(bound) => ("at most", bound),
            Bound::AtLeast(bound) => ("at least", bound),
        };
        let came = if goal.holds { "holds" } else { "MISSED" };
        let _ =
            writeln!(text, "  {came:<6} {}: {} ({words} {})", goal.figure, short(goal.value), short(bound));
    }
    text
}

fn block(text: &mut String, rows: &[&Row]) {
    let columns = in_order(rows.iter().map(|row| row.quantity.what));
    let contenders = in_order(rows.iter().map(|row| row.who.as_str()));
    let mut lines = vec![vec![String::new()]];
    for column in &columns {
        let unit = rows.iter().find(|row| row.quantity.what == *column).map_or("", |row| row.quantity.unit);
        lines[0].push(format!("{column} {unit}"));
    }
    for who in contenders {
        let mut line = vec![who.to_owned()];
        line.extend(columns.iter().map(|column| {
            let row = rows.iter().find(|row| row.who == who && row.quantity.what == *column);
            row.map_or_else(|| "-".to_owned(), |row| cell(row))
        }));
        lines.push(line);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=columns.len()).map(width).collect();
    for line in &lines {
        let _ = write!(text, "  {:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        let _ = writeln!(text);
    }
}

fn cell(row: &Row) -> String {
    let least = row.values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = row.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if row.values.len() < 2 {
        return short(row.median);
    }
    format!("{} ({}-{})", short(row.median), short(least), short(most))
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Each once, in the order of first appearance.
fn in_order<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
