//! Which provisioning domains take part, and which first.

use crate::simulation::{Fate, Run, Simulation, dual};
use mif_selection::race::{
    Defeat, Exclusion, Happening, Origin, Outcome, Policy, Reserve, Selector, SelectorError, is_in_zone,
};

const FIRST: &[&str] = &["2001:db8:f::1", "203.0.113.1"];
const SECOND: &[&str] = &["2001:db8:f::2", "203.0.113.2"];

/// eth0 (named explicitly) and wlan0 (implicit, Wi-Fi).
fn networks(policy: Policy) -> Simulation {
    let mut domains = vec![dual("eth0", 1), dual("wlan0", 2)];
    domains[1].kind = "wifi".to_owned();
    domains[1].origin = Origin::Implicit;
    domains[1].id = "implicit:wlan0:ipv6:fe80::1".to_owned();
    let mut simulation = Simulation::new(domains).answers(0, 0, FIRST).answers(1, 0, SECOND);
    simulation.policy = policy;
    simulation
}

fn select(texts: &[&str]) -> Vec<Selector> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn left_out(run: &Run) -> Vec<(usize, Exclusion)> {
    let events = run.story.iter();
    let left_out = events.filter_map(|event| match event.what {
        Happening::LeftOut { domain, why } => Some((domain, why)),
        _ => None,
    });
    left_out.collect()
}

#[test]
fn required_by_id_interface_kind_or_origin() {
    let names = [
        "implicit:wlan0:ipv6:fe80::1",
        "id:IMPLICIT:wlan0:ipv6:FE80::1.",
        "interface:wlan0",
        "kind:wifi",
        "origin:implicit",
    ];
    for name in names {
        let run = networks(Policy { require: select(&[name]), ..Policy::default() }).run();
        assert_eq!(run.winner().0, "wlan0", "{name}");
        assert_eq!(left_out(&run), [(0, Exclusion::NotRequired)]);
    }
    let none = networks(Policy { require: select(&["nowhere.example"]), ..Policy::default() }).run();
    assert!(matches!(none.outcome, Outcome::Lost(Defeat::NoDomain)));
}

#[test]
fn preferred_pvds_get_the_first_attempt_and_the_others_the_second() {
    let policy = Policy { prefer: select(&["kind:wifi"]), ..Policy::default() };
    let run = networks(policy).connecting("2001:db8:f::2", Fate::Silence).run();
    assert_eq!(run.lines(), ["0 wlan0 2001:db8:f::2", "250 eth0 203.0.113.1"]);
}

#[test]
fn avoided_pvds_wait_until_the_others_had_their_chance() {
    let policy = Policy { avoid: select(&["eth0.example"]), ..Policy::default() };
    let simulation = networks(policy);
    let run = simulation.clone().run();
    assert_eq!(run.winner(), ("wlan0", "2001:db8:f::2"));
    let run = simulation
        .connecting("2001:db8:f::2", Fate::Silence)
        .connecting("203.0.113.2", Fate::Refused(1))
        .run();
    assert_eq!(run.lines(), ["0 wlan0 2001:db8:f::2", "250 wlan0 203.0.113.2", "251 eth0 2001:db8:f::1"]);
}

#[test]
fn a_long_list_of_dead_addresses_does_not_keep_the_reserve_away() {
    let many: Vec<String> = (1..=60).map(|last| format!("2001:db8:dead::{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let policy = Policy { avoid: select(&["eth0.example"]), ..Policy::default() };
    let mut simulation = networks(policy).answers(1, 0, &many);
    for address in &many {
        simulation = simulation.connecting(address, Fate::Silence);
    }
    let run = simulation.run();
    assert_eq!((run.winner().0, run.ended), ("eth0", 1_020));
}

#[test]
fn captive_pvds_and_those_without_internet_are_the_last_resort() {
    for (captive, no_internet) in [(true, false), (false, true)] {
        let policy = Policy { avoid: select(&["wlan0"]), ..Policy::default() };
        let mut simulation = networks(policy);
        simulation.domains[0].captive = captive;
        simulation.domains[0].no_internet = no_internet;
        let run = simulation.clone().run();
        assert_eq!(run.winner().0, "wlan0", "even an avoided one is better");
        // Better a captive one than none.
        let run = simulation.clone().answers(1, 0, &[]).run();
        assert_eq!(run.winner().0, "eth0");

        let mut never = simulation.clone();
        (never.policy.captive, never.policy.no_internet) = (Reserve::Never, Reserve::Never);
        let run = never.answers(1, 0, &[]).run();
        assert!(matches!(run.outcome, Outcome::Lost(Defeat::NoAddress(_))));
        let why = if captive { Exclusion::Captive } else { Exclusion::NoInternet };
        assert_eq!(left_out(&run), [(0, why)]);

        let mut equal = simulation;
        (equal.policy.captive, equal.policy.no_internet) = (Reserve::Equal, Reserve::Equal);
        assert_eq!(equal.run().winner().0, "eth0");
    }
}

#[test]
fn a_pvd_that_says_that_it_knows_the_zone_has_the_first_attempt() {
    for no_internet in [false, true] {
        let mut simulation = networks(Policy::default());
        (simulation.domains[0].default, simulation.domains[1].in_zone) = (true, true);
        simulation.domains[1].no_internet = no_internet;
        // Its answer is waited for as long as that of one that the caller prefers.
        assert_eq!(simulation.clone().answers(1, 49, &["2001:db8:f::2"]).run().winner().0, "wlan0");
        assert_eq!(simulation.clone().answers(1, 51, &["2001:db8:f::2"]).run().winner().0, "eth0");
        // What the caller says weighs more.
        simulation.policy.prefer = select(&["eth0.example"]);
        assert_eq!(simulation.run().winner().0, "eth0");
    }
    let mut simulation = networks(Policy { no_internet: Reserve::Never, ..Policy::default() });
    (simulation.domains[1].in_zone, simulation.domains[1].no_internet) = (true, true);
    assert_eq!(left_out(&simulation.run()), [(1, Exclusion::NoInternet)]);
}

#[test]
fn a_zone_holds_itself_and_what_is_below() {
    for (name, zone) in [
        ("corp.example", "corp.example"),
        ("a.Corp.example.", "corp.EXAMPLE"),
        ("a.b.corp.example", "corp.example."),
    ] {
        assert!(is_in_zone(name, zone), "{name} in {zone}");
    }
    for (name, zone) in [
        ("xcorp.example", "corp.example"),
        ("example", "corp.example"),
        ("a.example", "corp.example"),
        ("a", ""),
        ("", ""),
    ] {
        assert!(!is_in_zone(name, zone), "{name} not in {zone:?}");
    }
}

#[test]
fn interfaces_that_are_down_take_no_part() {
    let mut simulation = networks(Policy::default());
    simulation.domains[0].up = false;
    let run = simulation.run();
    assert_eq!((run.winner().0, left_out(&run)), ("wlan0", vec![(0, Exclusion::Down)]));
}

#[test]
fn selectors_read_as_they_are_written_and_wrong_ones_say_what_is_right() {
    for text in ["id:home.example", "interface:eth0", "kind:wwan", "origin:explicit"] {
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
    }
    for (text, told) in [("", "interface:NAME"), ("kind:", "kind:KIND"), ("origin:x", "neither explicit")] {
        let error: SelectorError = text.parse::<Selector>().unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
