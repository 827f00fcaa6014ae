//! A row for each thing that a hostile client does.

use mif_tests::bystander::Latencies;
use std::time::Duration;

/// What the columns are.
pub const HEAD: &str = "\
                                alone            its victim is mifd              its victim does nothing
                                mifd  idle  bus  mifd           bus              idle           bus";

/// What calls took.
#[derive(Default)]
pub struct Row {
    /// Nobody else is there: to mifd, to the service that does nothing, to the bus.
    pub alone: [Vec<Duration>; 3],
    /// Beside a client that is hostile to mifd: to mifd, to the bus.
    pub beside_mifd: [Vec<Duration>; 2],
    /// Beside one that is hostile to the other service: to that, to the bus.
    pub beside_idle: [Vec<Duration>; 2],
}

impl Row {
    /// The p99 of each, in microseconds, with how many times that is of what it is alone.
    pub fn line(self, kind: &str) -> String {
        let p99 = |taken: Vec<Duration>| Latencies::of(taken).per_mille(990);
        let [mifd, idle, bus] = self.alone.map(p99);
        let beside = |taken: Vec<Duration>, alone: Duration| {
            let taken = p99(taken);
            format!("{:<6} ({:.1})", taken.as_micros(), taken.as_secs_f64() / alone.as_secs_f64())
        };
        let [mifd_beside, bus_beside] = self.beside_mifd;
        let [idle_beside, other_bus_beside] = self.beside_idle;
        format!(
            "{kind:<32}{:<6}{:<6}{:<5}{:<15}{:<17}{:<15}{}",
            mifd.as_micros(),
            idle.as_micros(),
            bus.as_micros(),
            beside(mifd_beside, mifd),
            beside(bus_beside, bus),
            beside(idle_beside, idle),
            beside(other_bus_beside, bus),
        )
    }
}
