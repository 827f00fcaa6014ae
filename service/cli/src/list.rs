//! `mifctl list`: provisioning domains, one on each line.

use mif::State;
use serde::Serialize;
use zbus::Connection;

use crate::args::ListArguments;
use crate::failure::Failure;
use crate::format;
use crate::output::{Output, Paint, Style};
use crate::{selection, status};

const HEADING: [&str; 6] = ["ID", "INTERFACE", "FAMILY", "ORIGIN", "ADDRESS", "DNS"];

/// Lists.
pub async fn run(
    connection: &Connection,
    request: &ListArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let state = status::read_state(connection).await?;
    if request.names {
        return output
            .text(&selection::names(&state).iter().map(|name| format!("{name}\n")).collect::<String>());
    }
    if output.is_json() {
        return output.json(&entries(&state));
    }
    let text = match output.width() {
        Some(width) => table(&state, width, output.paint()),
        None => plain(&state),
    };
    output.text(&text)
}

/// The schema is in `mifctl list --help`.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    path: &'a str,
    interface: &'a str,
    family: String,
    origin: String,
    default: bool,
    addresses: Vec<String>,
    dns_servers: Vec<String>,
}

fn entries(state: &State) -> Vec<Entry<'_>> {
    let entries = state.pvds().map(|pvd| Entry {
        id: &pvd.id,
        path: pvd.path.as_str(),
        interface: state.interface_of(pvd).map_or("", |interface| interface.name.as_str()),
        family: pvd.family.to_string(),
        origin: pvd.origin.to_string(),
        default: state.is_default(pvd),
        addresses: pvd.addresses.iter().map(|entry| entry.address.to_string()).collect(),
        dns_servers: pvd.dns_servers.iter().map(ToString::to_string).collect(),
    });
    entries.collect()
}

fn cells(entry: &Entry<'_>) -> [String; 6] {
    [
        entry.id.to_owned(),
        entry.interface.to_owned(),
        entry.family.clone(),
        entry.origin.clone(),
        entry.addresses.first().cloned().unwrap_or_else(|| "-".to_owned()),
        if entry.dns_servers.is_empty() { "-".to_owned() } else { entry.dns_servers.join(",") },
    ]
}

/// For programs.
fn plain(state: &State) -> String {
    entries(state).iter().map(|entry| cells(entry).join("\t") + "\n").collect()
}

/// For people: columns under a heading, no line longer than `width`.
fn table(state: &State, width: usize, paint: Paint) -> String {
    let rows: Vec<[String; 6]> = entries(state).iter().map(cells).collect();
    let widths: Vec<usize> = (0..HEADING.len())
        .map(|column| {
            rows.iter().map(|row| row[column].len()).chain([HEADING[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format::cut(cells.collect::<Vec<_>>().join("  ").trim_end(), width)
    };
    let mut text = paint.paint(Style::Faint, &line(&HEADING.map(str::to_owned))) + "\n";
    for row in &rows {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples;

    #[test]
    fn lines_are_cut_for_terminals_and_whole_for_programs() {
        let state = samples::two_isps();
        let shown = table(&state, 40, Paint::PLAIN);
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(shown.starts_with("ID  "), "{shown}");
        assert_eq!(shown.lines().count(), state.pvds().count() + 1);
        let plain = plain(&state);
        assert!(plain.lines().all(|line| line.split('\t').count() == 6), "{plain}");
        assert_eq!(plain.lines().count(), state.pvds().count());
    }
}
