//! The testbed of mif: real networks in throw-away universes.
//!
//! A *universe* is a process in namespaces of its own (mounts, network, pids, host name, IPC and,
//! for all but a few tests, users): what runs in it sees neither the machine's links nor its files
//! under `/etc`, `/run`, `/tmp` and `/var`, and nothing leaves it. When its first process ends the
//! kernel ends every daemon and removes every link, socket and file, so there is no clean-up code,
//! a crash leaves nothing behind, and tests may run side by side though all use the same names.
//!
//! ```no_run
//! use mif_tests::{cable::Cable, daemons::Radvd, universe};
//!
//! # #[allow(dead_code)]
//! // #[test]
//! fn the_router_is_heard() {
//!     universe::run(async |universe| {
//!         let router = universe.node("router");
//!         let cable = Cable::between(universe.host().end("eth1"), router.end("lan")).await;
//!         Radvd::on(&router, "lan").prefix("2001:db8:1::/64").start().await;
//!         cable.near().wait_for_address("2001:db8:1:").await;
//!     });
//! }
//! ```
//!
//! Failures are panics that say what was waited for and show the log of every daemon; a program
//! that is missing is named together with its Debian package.

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod booted;
pub mod bystander;
pub mod cable;
pub mod daemons;
pub mod desktop;
pub mod dns;
pub mod echo;
pub mod encrypted_dns;
mod filesystem;
pub mod https;
pub mod installed;
pub mod neighbour;
pub mod node;
pub mod peers;
pub mod process;
pub mod raw_client;
pub mod report;
pub mod router_advertisement;
pub mod routing;
pub mod served_host;
pub mod served_state;
pub mod signals;
pub mod soak;
pub mod tally;
pub mod tool;
pub mod topology;
pub mod universe;
pub mod usage;
pub mod user;
pub mod wait;
pub mod wire_log;
