//! The ordering rules of the D-Bus contract (O1 to O8) and fairness, in every interleaving of changes, calls,
//! outcomes, time and sending that chance finds.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p mif-core --test ordering` looks at a million.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod ear;
mod expectation;
mod hearsay;
mod lanes;
mod network;
mod overrun;
mod pace;
mod reference;
mod service;
mod silence;
mod step;
mod word;
mod world;

use network::happenings;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use step::steps;
use world::World;

/// `cases` interleavings, unless PROPTEST_CASES says how many.
fn config(cases: u32) -> Config {
    let path = "tests/ordering/regressions.txt";
    let persistence = Some(Box::new(FileFailurePersistence::Direct(path)) as Box<_>);
    let config = Config { failure_persistence: persistence, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { Config { cases, ..config } }
}

proptest! {
    #![proptest_config(config(5_000))]

    /// Three subscribers, two links. The reference says what each must hear, and insists.
    #[test]
    fn everybody_hears_what_the_contract_promises(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.end();
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    /// O7 alone: many changes, little time between them, nobody subscribed.
    #[test]
    fn properties_are_told_at_once_then_at_a_slow_pace_and_in_the_end(
        changes in prop::collection::vec((happenings(), 0_u64..200), 1..40)
    ) {
        let mut world = World::new();
        for (happenings, milliseconds) in &changes {
            world.happen(happenings);
            world.pass(*milliseconds);
        }
        world.settle();
    }
}

proptest! {
    #![proptest_config(config(4_000))]

    /// The outbox alone, against a list of everything in the order in which it was put in.
    #[test]
    fn lanes_are_in_order_and_take_turns(operations in lanes::operations()) {
        lanes::check(&operations);
    }
}

proptest! {
    #![proptest_config(config(4_000))]

    /// O8: a bus that holds little, and clients that read when they like.
    #[test]
    fn whoever_loses_a_message_is_told_in_the_end_and_nothing_after(steps in overrun::steps()) {
        overrun::check(&steps);
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    /// The same on a bus that says nothing: with room enough nobody loses anything, because whoever does not read is closed
    /// before; and with any room whoever is closed is told in the end.
    #[test]
    fn who_does_not_read_is_closed_before_a_silent_bus_drops_anything(steps in silence::steps(), room in 5..silence::ENOUGH) {
        silence::check(&steps, silence::Rules { room: silence::ENOUGH, diligent: false });
        silence::check(&steps, silence::Rules { room, diligent: false });
    }

    /// Whoever reads and answers what it is asked is never closed.
    #[test]
    fn who_reads_and_answers_is_never_closed(steps in silence::steps()) {
        silence::check(&steps, silence::Rules { room: silence::ENOUGH, diligent: true });
    }
}
