//! Whatever networks do, the race ends, in bounded space, and does not wait where it need not.

use crate::simulation::{Fate, Run, Simulation, dual};
use mif_selection::race::{ATTEMPTS_AT_ONCE, DOMAINS, Family, Happening, Outcome, Race, Selector, Timing};
use proptest::prelude::*;

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        (0..30_000_u64).prop_map(Fate::After),
        (0..3_000_u64).prop_map(Fate::Refused),
        Just(Fate::Silence)
    ]
}

/// Up to five PvDs on up to three links, each with up to four addresses for each family.
fn networks() -> impl Strategy<Value = Simulation> {
    let pvd = (0..3_u8, fate(), fate(), prop::collection::vec((any::<bool>(), fate()), 0..5), 0..4_u8);
    prop::collection::vec(pvd, 0..6).prop_map(|pvds| {
        let domains = pvds.iter().enumerate().map(|(index, (link, _, _, _, flags))| {
            let mut domain = dual(&format!("eth{link}"), u8::try_from(index).unwrap());
            (domain.captive, domain.default) = (flags & 1 != 0, flags & 2 != 0);
            domain
        });
        let mut simulation = Simulation::new(domains.collect());
        for (index, (_, v6, v4, addresses, _)) in pvds.iter().enumerate() {
            let named = |(place, (is_v6, fate)): (usize, &(bool, Fate))| {
                let text = if *is_v6 {
                    format!("2001:db8:{index}::{place}")
                } else {
                    format!("203.0.{index}.{place}")
                };
                (text, fate.clone())
            };
            let named: Vec<(String, Fate)> = addresses.iter().enumerate().map(named).collect();
            let texts: Vec<&str> = named.iter().map(|(text, _)| text.as_str()).collect();
            simulation = simulation.answers(index, 0, &texts);
            simulation = simulation.asked(index, Family::V6, v6.clone()).asked(index, Family::V4, v4.clone());
            for (text, fate) in named {
                simulation = simulation.connecting(&text, fate);
            }
        }
        simulation
    })
}

/// How many attempts were under way at most.
fn most_at_once(run: &Run) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for event in &run.story {
        match event.what {
            Happening::Begun { .. } => running += 1,
            Happening::Failed { .. } | Happening::Connected { .. } | Happening::Abandoned { .. } => {
                running -= 1
            }
            _ => {}
        }
        most = most.max(running);
    }
    assert_eq!(running, 0, "none is left behind");
    most
}

proptest! {
    #[test]
    fn every_race_ends_in_time_and_tries_nothing_twice(simulation in networks()) {
        let run = simulation.run();
        prop_assert!(run.ended <= 20_000, "{run:#?}");
        prop_assert!(most_at_once(&run) <= ATTEMPTS_AT_ONCE);
        let mut tried: Vec<_> = run.attempts.iter().map(|(_, interface, to)| (interface, to)).collect();
        tried.sort();
        let all = tried.len();
        tried.dedup();
        prop_assert_eq!(tried.len(), all);
        let mut last = None;
        for event in &run.story {
            prop_assert!(last.is_none_or(|last| last <= event.at), "the story is in order");
            last = Some(event.at);
        }
    }

    /// No pause between two attempts is longer than the Connection Attempt Delay while there is something to try.
    #[test]
    fn nobody_waits_longer_than_the_rfc_says(simulation in networks()) {
        let run = simulation.run();
        for pair in run.attempts.windows(2) {
            let (before, after) = (pair[0].0, pair[1].0);
            let answered = run.story.iter().filter_map(|event| match &event.what {
                Happening::Answered { addresses, .. } if !addresses.is_empty() => {
                    Some(u64::try_from(event.at.as_millis()).unwrap())
                }
                _ => None,
            });
            // Either a delay after the one before, or as soon as an answer brought it.
            let excuse = answered.filter(|at| *at <= after).max().unwrap_or(0);
            prop_assert!(after <= (before + 250).max(excuse), "{:#?}", run);
        }
        if let Outcome::Won(_) = run.outcome {
            prop_assert!(!run.attempts.is_empty());
        }
    }
}

#[test]
fn the_crowd_is_limited() {
    let many: Vec<String> = (1..=100).map(|last| format!("2001:db8:dead::{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut simulation = Simulation::new(vec![dual("eth0", 1)]).answers(0, 0, &many);
    for address in &many {
        simulation = simulation.connecting(address, Fate::Silence);
    }
    let run = simulation.run();
    assert_eq!((run.attempts.len(), most_at_once(&run)), (ATTEMPTS_AT_ONCE, ATTEMPTS_AT_ONCE));

    let crowd = (0..300).map(|index| dual(&format!("eth{index}"), 1)).collect();
    let race: Race<String> = Race::new(crowd, &Default::default(), &[Family::V4], Timing::default());
    let asked = race.story().iter().filter(|event| matches!(event.what, Happening::Asked { .. }));
    assert_eq!(asked.count(), DOMAINS);
    assert!(race.story().len() <= 2 * DOMAINS);
}

#[test]
fn what_was_not_asked_for_is_not_believed() {
    let mut race: Race<String> =
        Race::new(vec![dual("eth0", 1)], &Default::default(), &[Family::V4], Timing::default());
    let now = std::time::Duration::ZERO;
    race.handle_answer(now, 0, Family::V6, &["2001:db8::1".parse().unwrap()]);
    race.handle_answer(now, 7, Family::V4, &["192.0.2.1".parse().unwrap()]);
    // Of the other family, and then the same answer twice.
    race.handle_answer(now, 0, Family::V4, &["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()]);
    race.handle_answer(now, 0, Family::V4, &["192.0.2.2".parse().unwrap()]);
    let begun = race.story().iter().filter(|event| matches!(event.what, Happening::Begun { .. }));
    assert_eq!(begun.count(), 1);
    assert!(!race.handle_connected(now, mif_selection::race::Attempt(9)));
    assert!(race.handle_connected(now, mif_selection::race::Attempt(0)));
    assert!(!race.handle_connected(now, mif_selection::race::Attempt(0)), "nobody wins twice");
    assert_eq!(Selector::Kind("wifi".into()).to_string(), "kind:wifi");
}
