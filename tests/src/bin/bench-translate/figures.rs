//! The results for people.

use crate::contender::Contender;
use crate::load::{Load, Measured};
use std::io::Write;

/// Prints medians over the rounds and the ratios that count.
pub fn print(rounds: usize, translations: usize, results: &[(Load, Contender, Measured)]) {
    say(&format!(
        "medians of {rounds} interleaved rounds of {translations} translations (ten times as many at 64)"
    ));
    say("                                      p50 us   per second   CPU us each");
    for load in Load::ALL {
        let title =
            format!("{} outstanding, {}", load.outstanding, if load.cached { "cached" } else { "uncached" });
        for contender in Contender::ALL {
            let of = |pick: fn(&Measured) -> f64| median(results, load, contender, pick);
            say(&format!(
                "{title:<25} {:<10} {:>8.0} {:>12.0} {:>13.0}",
                contender.name(),
                of(|measured| measured.median.as_secs_f64() * 1e6),
                of(|measured| measured.rate),
                of(|measured| measured.cpu.as_secs_f64() * 1e6),
            ));
        }
        let ratio_of = |contender, pick: fn(&Measured) -> f64| {
            median(results, load, contender, pick) / median(results, load, Contender::Resolved, pick)
        };
        let ratio = |pick| ratio_of(Contender::Mifd, pick);
        say(&format!(
            "{title:<25} mifd : resolved = p50 {:.2} (the floor: {:.2}), per second {:.2}, CPU {:.2}",
            ratio(|measured| measured.median.as_secs_f64()),
            ratio_of(Contender::Floor, |measured| measured.median.as_secs_f64()),
            ratio(|measured| measured.rate),
            ratio(|measured| measured.cpu.as_secs_f64()),
        ));
    }
}

/// Writes a line; a reader that left has heard enough.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn median(
    results: &[(Load, Contender, Measured)],
    load: Load,
    contender: Contender,
    pick: fn(&Measured) -> f64,
) -> f64 {
    let of_both = |(its, whose, _): &&(Load, Contender, Measured)| *its == load && *whose == contender;
    let mut values: Vec<f64> =
        results.iter().filter(of_both).map(|(_, _, measured)| pick(measured)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
