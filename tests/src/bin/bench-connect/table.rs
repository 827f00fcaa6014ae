//! What is measured, and what is aimed at.

use mif_tests::report::{Bound, Quantity, Report, median};

const P50: Quantity = Quantity::less("p50", "us");
const P99: Quantity = Quantity::less("p99", "us");
const CPU: Quantity = Quantity::less("CPU", "us a call");
const RATE: Quantity = Quantity::more("rate", "calls/s");
const REFERENCE: &str = "C service";
const INSIDE: &str = "C service, staying inside";
const MIFD: &str = "mifd";

/// The times of one client's calls, and what a call costs the service, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Half of the calls were faster.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// CPU time of the service for one call; zero where none is called.
    pub cpu: f64,
}

/// What one round measured: the C service first, mifd last.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// connect(2) without any service.
    pub plain: Figure,
    /// ConnectToAddress; between them the C service with a socket that stays in the network.
    pub connect: [Figure; 3],
    /// BindSocket; the C service does nothing with the socket.
    pub bind: [Figure; 2],
    /// BindSocket with an option that mifd refuses: it takes the socket, and does nothing with it.
    pub refused: Figure,
    /// Calls in a second, 32 under way, of the same three.
    pub rate: [f64; 3],
}

impl Figure {
    /// From what the client prints, and the CPU time of the service for one call.
    pub fn new(printed: &str, cpu: f64) -> Self {
        let mut words = printed.split_whitespace().map(|word| word.parse().expect("a number"));
        let mut next = || words.next().expect("two numbers");
        Self { p50: next(), p99: next(), cpu }
    }
}

/// Adds the rounds of one setting, and what became of the goals in it.
pub fn add(title: &str, rounds: &[Round], report: &mut Report) {
    for round in rounds {
        let [connect, bind, refused] =
            ["ConnectToAddress", "BindSocket", "BindSocket, refused"].map(|what| format!("{title}: {what}"));
        times(&connect, "connect(2)", round.plain, report);
        for (who, number) in [(REFERENCE, 0), (INSIDE, 1), (MIFD, 2)] {
            times(&connect, who, round.connect[number], report);
            report.add(&format!("{title}: 32 under way"), who, RATE, round.rate[number]);
        }
        times(&bind, REFERENCE, round.bind[0], report);
        times(&bind, MIFD, round.bind[1], report);
        times(&refused, MIFD, round.refused, report);
    }
    // Ratios within each round: what disturbs the machine disturbs both.
    let of = |pick: &dyn Fn(&Round) -> f64| Some(median(rounds.iter().map(pick).collect()));
    let connect = of(&|round| round.connect[2].p50 / round.connect[0].p50);
    let rate = of(&|round| round.rate[2] / round.rate[0]);
    let bind = of(&|round| round.bind[1].p50 - round.refused.p50);
    let name = |what: &str| format!("{title}: {what}");
    report.goal(&name("ConnectToAddress, p50, times the C service's"), connect, Bound::AtMost(1.2));
    report.goal(&name("ConnectToAddress, rate, times the C service's"), rate, Bound::AtLeast(1.0));
    report.goal(&name("BindSocket, us above a call that is refused"), bind, Bound::AtMost(20.0));
}

fn times(case: &str, who: &str, figure: Figure, report: &mut Report) {
    for (quantity, value) in [(P50, figure.p50), (P99, figure.p99), (CPU, figure.cpu)] {
        report.add(case, who, quantity, value);
    }
}
