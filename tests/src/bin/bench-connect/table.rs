//! The results for people.

use std::io::Write;

/// The middle of the times of one client, and how long the slowest took, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Half of the calls were faster.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
}

/// What one round measured: the C service first, then mifd.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// connect(2) without any service.
    pub plain: Figure,
    /// ConnectToAddress.
    pub connect: [Figure; 2],
    /// BindSocket; the C service does nothing with the socket.
    pub bind: [Figure; 2],
    /// BindSocket with an option that mifd refuses: it takes the socket, and does nothing with it.
    pub refused: Figure,
    /// Calls in a second, 32 under way.
    pub rate: [f64; 2],
}

impl Figure {
    /// From what the client prints.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace().map(|word| word.parse().expect("a number"));
        let mut next = || words.next().expect("two numbers");
        Self { p50: next(), p99: next() }
    }
}

/// Prints medians over the rounds, and what became of the goals.
pub fn print(title: &str, calls: usize, rounds: Vec<Round>) {
    let median = |pick: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    say(&format!("{title}; medians of {} rounds of {calls} calls, taking turns", rounds.len()));
    say("                          C service            mifd");
    say("                        p50     p99       p50     p99   us");
    let pair = |name: &str, pick: &dyn Fn(&Round) -> [Figure; 2]| {
        let of = |which: usize, what: fn(Figure) -> f64| median(&|round| what(pick(round)[which]));
        let (p50, p99) = (|it: Figure| it.p50, |it: Figure| it.p99);
        say(&format!(
            "{name:<18} {:>8.0} {:>7.0}  {:>8.0} {:>7.0}",
            of(0, p50),
            of(0, p99),
            of(1, p50),
            of(1, p99)
        ));
    };
    pair("ConnectToAddress", &|round| round.connect);
    pair("BindSocket", &|round| round.bind);
    let refused = (median(&|round| round.refused.p50), median(&|round| round.refused.p99));
    say(&format!("{:<34} {:>9.0} {:>7.0}", "BindSocket, refused", refused.0, refused.1));
    let plain = (median(&|round| round.plain.p50), median(&|round| round.plain.p99));
    say(&format!("{:<18} {:>8.0} {:>7.0}", "connect(2)", plain.0, plain.1));
    let rates = (median(&|round| round.rate[0]), median(&|round| round.rate[1]));
    say(&format!("{:<18} {:>8.0} {:>26.0}   calls/s, 32 under way", "ConnectToAddress", rates.0, rates.1));
    // Ratios within each round: what disturbs the machine disturbs both.
    let connect = median(&|round| round.connect[1].p50 / round.connect[0].p50);
    let rate = median(&|round| round.rate[1] / round.rate[0]);
    let bind = median(&|round| round.bind[1].p50 - round.refused.p50);
    let above_nothing = median(&|round| round.bind[1].p50 - round.bind[0].p50);
    goal(&format!("ConnectToAddress, p50, mifd : C service = {connect:.2}"), connect <= 1.2, "at most 1.20");
    goal(&format!("ConnectToAddress, rate, mifd : C service = {rate:.2}"), rate >= 1.0, "at least 1.00");
    goal(
        &format!("BindSocket, p50, above a call of mifd's that is refused: {bind:.0} us"),
        bind <= 20.0,
        "at most 20",
    );
    say(&format!("BindSocket, p50, above the C service, which does nothing: {above_nothing:.0} us"));
}

fn goal(text: &str, reached: bool, wanted: &str) {
    say(&format!("{text} ({wanted}: {})", if reached { "reached" } else { "missed" }));
}

/// Writes a line; a reader that left has heard enough.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
