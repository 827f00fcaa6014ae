//! Section 3: when answers are waited for, and when not.

use crate::simulation::{Fate, Simulation, domain, dual};
use mif_selection::race::{Defeat, Family, Happening, Outcome, Selector};

const BOTH: &[&str] = &["2001:db8:f::80", "203.0.113.80"];

#[test]
fn ipv6_that_answers_first_is_used_at_once() {
    let run = Simulation::new(vec![dual("eth0", 1)])
        .answers(0, 5, BOTH)
        .asked(0, Family::V4, Fate::After(400))
        .run();
    assert_eq!(run.lines(), ["5 eth0 2001:db8:f::80"]);
    assert_eq!(run.ended, 25);
}

#[test]
fn ipv4_that_answers_first_waits_the_resolution_delay_for_ipv6() {
    let late = |ms| {
        Simulation::new(vec![dual("eth0", 1)])
            .answers(0, 5, BOTH)
            .asked(0, Family::V6, Fate::After(ms))
            .run()
            .lines()
    };
    assert_eq!(late(30), ["30 eth0 2001:db8:f::80"], "within 50 ms of the first answer");
    assert_eq!(late(54), ["54 eth0 2001:db8:f::80"]);
    assert_eq!(late(60), ["55 eth0 203.0.113.80"], "no longer than 50 ms after the first answer");
}

#[test]
fn that_there_is_no_ipv6_ends_the_wait() {
    let run = Simulation::new(vec![dual("eth0", 1)])
        .answers(0, 5, BOTH)
        .asked(0, Family::V6, Fate::Refused(17))
        .run();
    assert_eq!(run.lines(), ["17 eth0 203.0.113.80"]);
}

#[test]
fn ipv6_of_another_pvd_is_waited_for_too() {
    // Implicit PvDs have one family each.
    let run = Simulation::new(vec![domain("eth0", &["192.0.2.9"]), domain("eth0", &["2001:db8::9"])])
        .answers(0, 5, BOTH)
        .answers(1, 40, BOTH)
        .run();
    assert_eq!(run.lines(), ["40 eth0 2001:db8:f::80"]);
}

#[test]
fn a_preferred_pvd_is_waited_for_no_longer_than_that() {
    let mut simulation = Simulation::new(vec![dual("eth0", 1), dual("wlan0", 2)]).answers(0, 1, BOTH);
    simulation.policy.prefer = vec![Selector::Interface("wlan0".into())];
    let quick = simulation.clone().answers(1, 30, BOTH).run();
    assert_eq!(quick.lines(), ["30 wlan0 2001:db8:f::80"]);
    let slow = simulation.answers(1, 80, BOTH).run();
    assert_eq!(slow.lines()[0], "51 eth0 2001:db8:f::80");
}

#[test]
fn a_pvd_without_an_answer_keeps_nobody() {
    let run = Simulation::new(vec![dual("eth0", 1), dual("eth1", 2)]).answers(1, 5, BOTH).run();
    assert_eq!(run.lines(), ["5 eth1 2001:db8:f::80"]);
}

#[test]
fn late_answers_join_the_race() {
    let run = Simulation::new(vec![dual("eth0", 1), dual("eth1", 2)])
        .answers(0, 5, &["203.0.113.80"])
        .answers(1, 120, &["203.0.113.81"])
        .connecting("203.0.113.80", Fate::Silence)
        .run();
    // Nothing better than IPv4 was on its way after 120 ms; the delay between attempts is kept.
    assert_eq!(run.lines(), ["55 eth0 203.0.113.80", "305 eth1 203.0.113.81"]);
    assert_eq!(run.winner(), ("eth1", "203.0.113.81"));
}

#[test]
fn ipv6_is_asked_first_and_only_what_the_pvd_has() {
    let run = Simulation::new(vec![dual("eth0", 1), domain("eth1", &["192.0.2.9"])])
        .answers(0, 1, BOTH)
        .answers(1, 1, BOTH)
        .run();
    let asked: Vec<(usize, Family)> = run
        .story
        .iter()
        .filter_map(|event| match event.what {
            Happening::Asked { domain, family } => Some((domain, family)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [(0, Family::V6), (0, Family::V4), (1, Family::V4)]);
}

#[test]
fn no_address_anywhere_ends_the_race_with_the_best_pvds_error() {
    let run =
        Simulation::new(vec![dual("eth0", 1), dual("eth1", 2)]).answers(0, 9, &[]).answers(1, 3, &[]).run();
    assert_eq!(run.defeat(), &Defeat::NoAddress("nothing from 0".to_owned()));
    assert_eq!((run.ended, run.attempts.len()), (9, 0));
}

#[test]
fn an_answer_without_addresses_is_none() {
    let run =
        Simulation::new(vec![domain("eth0", &["192.0.2.9"])]).asked(0, Family::V4, Fate::After(3)).run();
    assert!(matches!(run.outcome, Outcome::Lost(Defeat::NoDomain)), "{run:?}");
}
