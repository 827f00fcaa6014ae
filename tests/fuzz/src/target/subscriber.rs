//! Sequences of calls, changes, outcomes, time and sending, against the reference of the ordering rules.

use super::sequence::Steps;
use crate::step::{self, Step};
use crate::world::World;

thread_local! {
    static STEPS: Steps<Step> = Steps::of(step::step());
}

/// Takes the steps that the bytes stand for. Everybody hears what the contract promises (O1 to O7), and nothing is
/// left of what is over.
pub fn check(bytes: &[u8]) {
    let mut world = World::new();
    for step in &STEPS.with(|steps| steps.in_order(bytes)) {
        world.take(step);
    }
    world.settle();
    world.end();
}
