//! What is measured, and what is aimed at.

use crate::hostile::Kind;
use mif_tests::report::{Bound, Quantity, Report};

const ALONE: Quantity = Quantity::less("p99 alone", "us");
const BESIDE: Quantity = Quantity::less("beside", "us");
const LONGER: Quantity = Quantity::less("longer", "times");
const BUS_ALONE: Quantity = Quantity::told("the bus alone", "us");
const BUS_BESIDE: Quantity = Quantity::told("the bus meanwhile", "us");
const MIFD: &str = "mifd";

/// The 99th percentiles of one round, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Nobody else is there: of mifd, of the service that does nothing, of the bus.
    pub alone: [f64; 3],
    /// Beside a client that is hostile to mifd: of mifd, of the bus.
    pub beside_mifd: [f64; 2],
    /// Beside one that is hostile to the other service: of that, of the bus.
    pub beside_idle: [f64; 2],
}

impl Round {
    /// Adds it.
    pub fn add(self, kind: Kind, report: &mut Report) {
        let [mifd, idle, bus] = self.alone;
        let case = kind.to_string();
        for (who, alone, [beside, bus_beside]) in
            [(MIFD, mifd, self.beside_mifd), ("a service that does nothing", idle, self.beside_idle)]
        {
            for (quantity, value) in [
                (ALONE, alone),
                (BESIDE, beside),
                (LONGER, beside / alone),
                (BUS_ALONE, bus),
                (BUS_BESIDE, bus_beside),
            ] {
                report.add(&case, who, quantity, value);
            }
        }
    }
}

/// Says what became of the goal.
pub fn goal(kind: Kind, report: &mut Report) {
    let longer = report.median(&kind.to_string(), MIFD, LONGER);
    report.goal(&format!("{kind}: p99 of mifd, times that alone"), longer, Bound::AtMost(2.0));
}
