//! `cargo xtask bench translate`: names translated by mifd, by systemd-resolved and by a plain UDP client.
//!
//! One link, one DNS server that answers at once, one client connection to one private bus. In turn mifd
//! (TranslateName), systemd-resolved (ResolveHostname) and a client that sends the question itself are asked for IPv4
//! addresses, beside a call that does nothing and the question itself one after the other: one at a time and 64 at a time, names that nobody asked for before and one that everybody did. Then what
//! mifd's memory grows by with each provisioning domain that is asked, and what 1,000 translations that no server
//! answers do to the others.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;
mod figures;
mod load;
mod world;

use contender::{Contender, Contenders};
use load::Load;
use mif_tests::report::{Arguments, Report};
use mif_tests::{peers, universe};
use std::process::ExitCode;
use world::World;

const ARGUMENTS: &[(&str, &str)] =
    &[("rounds", "how many (5)"), ("translations", "in a round, ten times as many at 64 (400)")];

fn main() -> ExitCode {
    let arguments = match Arguments::of_program(ARGUMENTS) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    universe::run_program(async |universe| {
        let (rounds, translations) = (arguments.number("rounds", 5), arguments.number("translations", 400));
        peers::mount();
        let mut report = Report::new("translate");
        let world = World::start(&universe).await;
        let contenders = Contenders::start(&world).await;
        for round in 0..rounds.max(1) {
            for load in Load::ALL {
                for contender in Contender::ALL {
                    let measured = load.put(&contenders, contender, round, translations).await;
                    figures::add(load, contender, measured, &mut report);
                }
            }
        }
        figures::goals(&mut report);
        // In words, for people: neither is a figure that others have, too.
        figures::say(&world.memory_of_provisioning_domains().await);
        figures::say(&world.dead_server().await);
        report.finish(&arguments)
    })
}
