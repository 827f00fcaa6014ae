//! A report for people.

use std::fmt::Write as _;

use super::{Better, Bound, Goal, Report, Row, ratio_of_rounds};

/// One block a case: a line for each contender, a column for each quantity, median and spread.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "{}: {}\n  {} x {}, Linux {}\n  {}",
        report.benchmark,
        report.about,
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
        let rounds = match rows.iter().map(|row| row.values.len()).max() {
            None | Some(1) => "one round".to_owned(),
            Some(rounds) => format!("median of {rounds} rounds, least-most"),
        };
        let _ = writeln!(text, "\n{case} ({rounds})");
        block(&mut text, &rows);
    }
    if !report.notes.is_empty() {
        let _ = writeln!(text);
    }
    for note in &report.notes {
        let _ = writeln!(text, "  {note}");
    }
    if !report.goals.is_empty() {
        let _ = writeln!(text, "\ngoals");
    }
    for goal in &report.goals {
        let (words, bound) = match goal.bound {
            Bound::AtMost(bound) => ("at most", bound),
            Bound::AtLeast(bound) => ("at least", bound),
        };
        let came = match goal {
            Goal { holds: true, .. } => "holds",
            Goal { promised: true, .. } => "BROKEN",
            Goal { promised: false, .. } => "MISSED",
        };
        let _ =
            writeln!(text, "  {came:<6} {}: {} ({words} {})", goal.figure, short(goal.value), short(bound));
    }
    text
}

/// How many characters a line of a table may have.
const WIDTH: usize = 110;
/// The cell of a quantity that somebody does not have.
const NOTHING: &str = "-";

/// Who is compared with the others: programs of ours.
const OURS: [&str; 3] = ["mifd", "mifctl", "mif-applet"];

fn block(text: &mut String, rows: &[&Row]) {
    let columns = in_order(rows.iter().map(|row| row.quantity.what));
    let contenders = in_order(rows.iter().map(|row| row.who.as_str()));
    let mut lines = vec![vec![String::new()]];
    for column in &columns {
        let unit = rows.iter().find(|row| row.quantity.what == *column).map_or("", |row| row.quantity.unit);
        lines[0].push(format!("{column} {unit}"));
    }
    let find = |who: &str, what: &str| rows.iter().find(|row| row.who == who && row.quantity.what == what);
    for who in &contenders {
        let mut line = vec![(*who).to_owned()];
        let cells =
            columns.iter().map(|column| find(who, column).map_or(NOTHING.to_owned(), |row| cell(row)));
        line.extend(cells);
        lines.push(line);
    }
    let ours = contenders.iter().find(|who| OURS.contains(who));
    for (ours, other) in ours.into_iter().flat_map(|ours| contenders.iter().map(move |other| (ours, other))) {
        // What is only told for others to be read against is not compared.
        let compared = |row: &&&&Row| row.quantity.better != Better::Neither;
        let ratio =
            |what: &&str| ratio_of_rounds(find(ours, what).as_ref().filter(compared)?, find(other, what)?);
        let ratios: Vec<Option<f64>> = columns.iter().map(ratio).collect();
        if other != ours && ratios.iter().any(Option::is_some) {
            let mut line = vec![format!("{ours} : {other}")];
            line.extend(ratios.into_iter().map(|ratio| ratio.map_or(NOTHING.to_owned(), short)));
            lines.push(line);
        }
    }
    write(text, &lines);
}

/// As many columns beside each other as a line has room for, each time behind the names.
fn write(text: &mut String, lines: &[Vec<String>]) {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let mut first = 1;
    while first < widths.len() {
        let mut end = first + 1;
        let taken = |end: usize| widths[0] + widths[first..end].iter().map(|width| width + 2).sum::<usize>();
        while end < widths.len() && taken(end + 1) <= WIDTH {
            end += 1;
        }
        // Who has nothing in these columns has no line in them.
        let said = |line: &&Vec<String>| line[first..end].iter().any(|cell| cell != NOTHING);
        for line in lines.iter().filter(said) {
            let _ = write!(text, "  {:<1$}", line[0], widths[0]);
            for (cell, width) in line[first..end].iter().zip(&widths[first..end]) {
                let _ = write!(text, "  {cell:>width$}");
            }
            let _ = writeln!(text);
        }
        first = end;
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
