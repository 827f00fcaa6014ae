//! The short form of `mif-soak`: three storms of different seeds side by side, two minutes in all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use mif_tests::soak;
use mif_tests::universe::{self, Universe};

const EACH: Duration = Duration::from_secs(40);

async fn storm(universe: &Universe, seed: u64) {
    soak::run(universe, seed, EACH, |_| {}).await;
}

#[test]
fn a_first_storm_leaves_what_is_true() {
    universe::run(async |universe| storm(&universe, 1).await);
}

#[test]
fn a_second_storm_leaves_what_is_true() {
    universe::run(async |universe| storm(&universe, 2).await);
}

#[test]
fn a_third_storm_leaves_what_is_true() {
    universe::run(async |universe| storm(&universe, 3).await);
}
