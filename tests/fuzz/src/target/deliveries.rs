//! Sequences of messages, lost ones among them, and of clients that read when they like (O8).

use super::sequence::Steps;
use crate::overrun::{self, Step};

thread_local! {
    static STEPS: Steps<Step> = Steps::of(overrun::step());
}

/// Takes the steps that the bytes stand for. Whoever loses a message is told in the end, once, and nothing after.
pub fn check(bytes: &[u8]) {
    overrun::check(&STEPS.with(|steps| steps.in_order(bytes)));
}
