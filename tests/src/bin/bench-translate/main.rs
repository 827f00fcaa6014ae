//! `cargo xtask bench translate`: names translated by mifd, by systemd-resolved and by a plain UDP client.
//!
//! One link, one DNS server that answers at once, one client connection to one private bus. In turn mifd
//! (TranslateName), systemd-resolved (ResolveHostname) and a client that sends the question itself are asked for IPv4
//! addresses, beside a call that does nothing and the question itself one after the other: one at a time and 64 at a time, names that nobody asked for before and one that everybody did. Then what
//! mifd's memory grows by with each provisioning domain that is asked, and what 1,000 translations that no server
//! answers do to the others. Arguments: the number of rounds (5), translations in a round (400).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contender;
mod figures;
mod load;
mod world;

use contender::{Contender, Contenders};
use figures::say;
use load::{Load, Measured};
use mif_tests::{peers, universe};
use std::process::ExitCode;
use world::World;

fn main() -> ExitCode {
    universe::run_program(async |universe| {
        let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
        let mut number = |default| arguments.next().map_or(Ok(default), |given| given);
        let (Ok(rounds), Ok(translations)) = (number(5), number(400)) else {
            say("usage: bench-translate [ROUNDS [TRANSLATIONS]], both whole numbers");
            return ExitCode::from(2);
        };
        peers::mount();
        let world = World::start(&universe).await;
        let contenders = Contenders::start(&world).await;
        let mut results: Vec<(Load, Contender, Measured)> = Vec::new();
        for round in 0..rounds.max(1) {
            for load in Load::ALL {
                for contender in Contender::ALL {
                    let measured = load.put(&contenders, contender, round, translations).await;
                    results.push((load, contender, measured));
                }
            }
        }
        figures::print(rounds, translations, &results);
        say(&world.memory_of_provisioning_domains().await);
        say(&world.dead_server().await);
        ExitCode::SUCCESS
    })
}
