//! The results for people.

use crate::contender::{Contender, Measured};
use std::io::Write;
use std::time::Duration;

/// Prints medians and, where both were measured, the ratio to systemd-networkd.
pub fn print(links: usize, results: &[(Contender, Measured)]) {
    say(&format!("{links} links, one IPv4 and one IPv6 address each; medians of {} rounds", rounds(results)));
    say("                    complete ms   settled ms   (min-max)      CPU ms   RSS MB");
    for contender in Contender::available() {
        let of = |pick: fn(&Measured) -> f64| sorted(results, contender, pick);
        let settled = of(|measured| milliseconds(measured.settled));
        say(&format!(
            "{:<18} {:>12.0} {:>12.0}   {:>4.0}-{:<6.0} {:>9.0} {:>8.1}",
            contender.name(),
            median(&of(|measured| milliseconds(measured.complete))),
            median(&settled),
            settled.first().copied().unwrap_or(0.0),
            settled.last().copied().unwrap_or(0.0),
            median(&of(|measured| milliseconds(measured.cpu))),
            median(&of(|measured| measured.resident as f64 / 1024.0)),
        ));
    }
    let settled = |contender| median(&sorted(results, contender, |measured| milliseconds(measured.settled)));
    let networkd = settled(Contender::Networkd);
    if networkd > 0.0 {
        say(&format!("settled, mifd : systemd-networkd = {:.2}", settled(Contender::Mifd) / networkd));
    } else {
        say("systemd-networkd is not installed (Debian package systemd): nothing to compare with");
    }
}

/// Writes a line; a reader that left has heard enough.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn rounds(results: &[(Contender, Measured)]) -> usize {
    results.iter().filter(|(contender, _)| *contender == Contender::Mifd).count()
}

fn sorted(results: &[(Contender, Measured)], wanted: Contender, pick: fn(&Measured) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = results
        .iter()
        .filter(|(contender, _)| *contender == wanted)
        .map(|(_, measured)| pick(measured))
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
