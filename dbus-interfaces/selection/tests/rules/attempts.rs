//! Sections 4 and 5: in which order addresses are tried, and when.

use std::time::Duration;

use crate::simulation::{Fate, Simulation, domain, dual};
use mif_selection::race::{Attempt, Defeat, Family, Happening, Outcome};

const FIRST: &[&str] = &["2001:db8:f::1", "203.0.113.1"];
const SECOND: &[&str] = &["2001:db8:f::2", "203.0.113.2"];

fn all_silent(mut simulation: Simulation, addresses: &[&str]) -> Simulation {
    for address in addresses {
        simulation = simulation.connecting(address, Fate::Silence);
    }
    simulation
}

#[test]
fn families_take_turns_on_one_interface() {
    let answer = ["2001:db8:f::1", "2001:db8:f::2", "2001:db8:f::3", "203.0.113.1", "203.0.113.2"];
    let simulation = Simulation::new(vec![dual("eth0", 1)]).answers(0, 0, &answer);
    let run = all_silent(simulation, &answer).run();
    assert_eq!(
        run.lines(),
        [
            "0 eth0 2001:db8:f::1",
            "250 eth0 203.0.113.1",
            "500 eth0 2001:db8:f::2",
            "750 eth0 203.0.113.2",
            "1000 eth0 2001:db8:f::3"
        ]
    );
    assert_eq!(run.defeat(), &Defeat::TimedOut);
    assert_eq!(run.ended, 20_000);
}

#[test]
fn the_second_attempt_differs_in_family_and_interface() {
    let simulation =
        Simulation::new(vec![dual("eth0", 1), dual("eth1", 2)]).answers(0, 0, FIRST).answers(1, 0, SECOND);
    let run = all_silent(simulation, &[FIRST, SECOND].concat()).run();
    assert_eq!(
        run.lines(),
        ["0 eth0 2001:db8:f::1", "250 eth1 203.0.113.2", "500 eth1 2001:db8:f::2", "750 eth0 203.0.113.1"]
    );
}

#[test]
fn implicit_pvds_of_one_interface_count_as_one() {
    let simulation = Simulation::new(vec![
        domain("eth0", &["2001:db8:1::9"]),
        domain("eth0", &["192.0.2.9"]),
        domain("eth1", &["2001:db8:2::9"]),
        domain("eth1", &["192.0.3.9"]),
    ])
    .answers(0, 0, FIRST)
    .answers(1, 0, FIRST)
    .answers(2, 0, SECOND)
    .answers(3, 0, SECOND);
    let run = all_silent(simulation, FIRST).run();
    // Everything on eth0 is dead: that costs one delay and no more.
    assert_eq!(run.winner(), ("eth1", "203.0.113.2"));
    assert_eq!(run.ended, 270);
}

#[test]
fn a_failure_lets_the_next_begin_at_once_and_silence_a_delay_later() {
    let run = Simulation::new(vec![dual("eth0", 1), dual("eth1", 2)])
        .answers(0, 0, FIRST)
        .answers(1, 0, SECOND)
        .connecting("2001:db8:f::1", Fate::Refused(10))
        .connecting("203.0.113.2", Fate::Silence)
        .connecting("2001:db8:f::2", Fate::Refused(300))
        .run();
    assert_eq!(
        run.lines(),
        ["0 eth0 2001:db8:f::1", "10 eth1 203.0.113.2", "260 eth1 2001:db8:f::2", "510 eth0 203.0.113.1"]
    );
    assert_eq!((run.winner(), run.ended), (("eth0", "203.0.113.1"), 530));
}

#[test]
fn attempts_go_on_side_by_side_and_the_first_that_is_there_wins() {
    let run = Simulation::new(vec![dual("eth0", 1), dual("eth1", 2)])
        .answers(0, 0, FIRST)
        .answers(1, 0, SECOND)
        .connecting("2001:db8:f::1", Fate::After(400))
        .connecting("203.0.113.2", Fate::After(900))
        .run();
    assert_eq!(run.outcome, Outcome::Won(Attempt(0)));
    assert_eq!(run.ended, 400);
    let abandoned = run.story.iter().filter(|event| matches!(event.what, Happening::Abandoned { .. }));
    assert_eq!(abandoned.count(), 1, "{:#?}", run.story);
}

#[test]
fn when_everything_fails_the_first_attempts_error_is_told() {
    let run = Simulation::new(vec![dual("eth0", 1)])
        .answers(0, 0, FIRST)
        .connecting("2001:db8:f::1", Fate::Refused(5))
        .connecting("203.0.113.1", Fate::Refused(5))
        .run();
    assert_eq!(run.defeat(), &Defeat::NotConnected("attempt 0 failed".to_owned()));
    assert_eq!(run.ended, 10);
}

#[test]
fn the_order_of_rfc_6724_holds_before_that_of_the_answers() {
    // A destination of the Internet with nothing but a ULA as its IPv6 source: rule 5 (labels) says IPv4.
    let run = Simulation::new(vec![domain("eth0", &["fd00::9", "192.0.2.9"])]).answers(0, 0, FIRST).run();
    assert_eq!(run.lines()[0], "0 eth0 203.0.113.1");
    // A deprecated source is worse than one that is not, whichever PvD answers first.
    let mut domains = vec![dual("eth0", 1), dual("eth1", 2)];
    for source in &mut domains[0].sources {
        source.deprecated = true;
    }
    let run = Simulation::new(domains).answers(0, 0, FIRST).answers(1, 0, SECOND).run();
    assert_eq!(run.lines(), ["0 eth1 2001:db8:f::2"]);
}

#[test]
fn the_default_pvd_goes_first_among_equals() {
    let mut domains = vec![dual("eth0", 1), dual("eth1", 2)];
    domains[1].default = true;
    let run = Simulation::new(domains)
        .asked(0, Family::V6, Fate::Silence)
        .asked(1, Family::V6, Fate::Silence)
        .answers(0, 0, FIRST)
        .answers(1, 0, SECOND)
        .run();
    // The better one is asked first, so that its answer is there first, too.
    assert_eq!(run.lines()[0], "0 eth1 2001:db8:f::2");
}

#[test]
fn the_attempt_delay_can_be_set_within_bounds() {
    let with = |ms| {
        let mut simulation = Simulation::new(vec![dual("eth0", 1)]).answers(0, 0, FIRST);
        simulation.timing = simulation.timing.with_attempt_delay(Duration::from_millis(ms));
        all_silent(simulation, FIRST).run().attempts[1].0
    };
    assert_eq!([with(0), with(100), with(400), with(60_000)], [100, 100, 400, 2_000]);
}
