//! The results for people.

use std::io::Write;

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
    /// From what the client prints, and the CPU time of the service for one call.
    pub fn new(printed: &str, cpu: f64) -> Self {
        let mut words = printed.split_whitespace().map(|word| word.parse().expect("a number"));
        let mut next = || words.next().expect("two numbers");
        Self { p50: next(), p99: next(), cpu }
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
    say("                         C service                 mifd");
    say("                        p50     p99     CPU     p50     p99     CPU   us");
    let times = |pick: &dyn Fn(&Round) -> Figure| {
        let [p50, p99, cpu] = [|it: Figure| it.p50, |it: Figure| it.p99, |it: Figure| it.cpu]
            .map(|what: fn(Figure) -> f64| median(&|round| what(pick(round))));
        format!("{p50:>8.0}{p99:>8.0}{cpu:>8.0}")
    };
    let nothing = " ".repeat(3 * 8);
    for (name, reference, mifd) in [
        ("ConnectToAddress", times(&|round| round.connect[0]), times(&|round| round.connect[1])),
        ("BindSocket", times(&|round| round.bind[0]), times(&|round| round.bind[1])),
        ("BindSocket, refused", nothing.clone(), times(&|round| round.refused)),
        ("connect(2)", times(&|round| round.plain), nothing),
    ] {
        say(format!("{name:<19}{reference}{mifd}").trim_end());
    }
    let rates = (median(&|round| round.rate[0]), median(&|round| round.rate[1]));
    say(&format!("{:<19}{:>8.0}{:>24.0}   calls/s, 32 under way", "ConnectToAddress", rates.0, rates.1));
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
