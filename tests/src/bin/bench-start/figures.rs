//! What is measured, and what is aimed at.

use crate::contender::Contender;
use mif_tests::report::{Better, Bound, Quantity, Report};

/// From exec until the name is owned and every link is on the bus.
pub const COMPLETE: Quantity = Quantity::less("complete", "ms");
/// From exec until it is settled.
pub const SETTLED: Quantity = Quantity::less("settled", "ms");
/// CPU time until it is settled.
pub const CPU: Quantity = Quantity::less("CPU", "ms");
/// Resident memory when settled.
pub const RSS: Quantity = Quantity::less("RSS", "MB");
/// Its proportional share of memory.
pub const PSS: Quantity = Quantity::less("PSS", "MB");
/// CPU time for one later change of an address.
pub const CHANGE: Quantity = Quantity::less("change", "us CPU");
/// The one call that gives everything.
pub const ALL: Quantity = Quantity::less("everything", "ms");
/// The same again.
pub const AGAIN: Quantity = Quantity::less("again", "ms");
/// Resident memory after it.
pub const RSS_AFTER: Quantity = Quantity::less("RSS after", "MB");
/// Introspection of the root.
pub const INTROSPECT: Quantity = Quantity::less("introspect", "ms");
/// What one link more takes of memory.
pub const PER_LINK: Quantity = Quantity { what: "per link", unit: "kB", better: Better::Less };

/// The name of a case.
pub fn case(links: usize) -> String {
    format!("{links} links")
}

/// Adds what the figures come to together.
pub fn goals(report: &mut Report, counts: &[usize]) {
    per_link(report, counts);
    let thousand = case(1_000);
    let [mifd, networkd, manager] =
        [Contender::Mifd, Contender::Networkd, Contender::NetworkManager].map(Contender::name);
    let against = |report: &Report, quantity, other| report.ratio(&thousand, quantity, mifd, other);
    for (figure, quantity, other, bound) in [
        ("1000 links, complete, times networkd's", COMPLETE, networkd, 0.2),
        ("1000 links, settled, times managing networkd's", SETTLED, Contender::Managing.name(), 0.2),
        ("1000 links, complete, times NetworkManager's", COMPLETE, manager, 0.01),
        ("1000 links, CPU of a later change, times networkd's", CHANGE, networkd, 2.0 / 3.0),
        ("1000 links, RSS, times networkd's", RSS, networkd, 1.0),
        ("1000 links, everything in one call, times NetworkManager's", ALL, manager, 0.1),
    ] {
        let ratio = against(report, quantity, other);
        report.goal(figure, ratio, Bound::AtMost(bound));
    }
    report.goal("kB of a link", report.median(&thousand, mifd, PER_LINK), Bound::AtMost(10.0));
    let grown = |quantity, more: usize, less: usize| {
        Some(report.median(&case(more), mifd, quantity)? / report.median(&case(less), mifd, quantity)?)
    };
    let complete = grown(COMPLETE, 10_000, 1_000);
    let change = grown(CHANGE, 10_000, 10);
    report.goal("complete, 10000 links, times that of 1000", complete, Bound::AtMost(11.0));
    report.goal("CPU of a later change, 10000 links, times that of 10", change, Bound::AtMost(1.3));
}

/// The memory of each count less that of the smallest, for each link more.
fn per_link(report: &mut Report, counts: &[usize]) {
    let Some(least) = counts.iter().copied().min() else { return };
    for count in counts.iter().copied().filter(|count| *count > least) {
        for contender in Contender::ALL {
            let memory = |links| report.median(&case(links), contender.name(), RSS);
            let (Some(more), Some(less)) = (memory(count), memory(least)) else { continue };
            let each = (more - less) * 1024.0 / (count - least) as f64;
            report.add(&case(count), contender.name(), PER_LINK, each);
        }
    }
}
