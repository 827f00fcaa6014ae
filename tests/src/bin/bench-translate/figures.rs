//! What is measured, and what is aimed at.

use crate::contender::Contender;
use crate::load::{Load, Measured};
use mif_tests::report::{Bound, Quantity, Report};

const P50: Quantity = Quantity::less("p50", "us");
const RATE: Quantity = Quantity::more("rate", "per second");
const CPU: Quantity = Quantity::less("CPU", "us each");

/// Adds a round.
pub fn add(load: Load, contender: Contender, measured: Measured, report: &mut Report) {
    let mut add = |quantity, value| report.add(&case(load), contender.name(), quantity, value);
    add(P50, measured.median.as_secs_f64() * 1e6);
    add(RATE, measured.rate);
    if !matches!(contender, Contender::Direct | Contender::Floor) {
        add(CPU, measured.cpu.as_secs_f64() * 1e6);
    }
}

/// What became of the goals.
pub fn goals(report: &mut Report) {
    let [mifd, resolved] = [Contender::Mifd, Contender::Resolved].map(Contender::name);
    let uncached = |outstanding| case(Load { outstanding, cached: false });
    let one = report.ratio(&uncached(1), P50, mifd, resolved);
    report.goal("uncached, 1 outstanding, p50, times resolved's", one, Bound::AtMost(1.0 / 3.0));
    let many = report.ratio(&uncached(64), RATE, mifd, resolved);
    report.goal("uncached, 64 outstanding, rate, times resolved's", many, Bound::AtLeast(5.0));
}

fn case(load: Load) -> String {
    format!("{} outstanding, {}", load.outstanding, if load.cached { "cached" } else { "uncached" })
}
