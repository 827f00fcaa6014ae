//! The developer's front door. `cargo xtask --help` tells what it can do.
//!
//! It knows the programs of this workspace by name and how to start them, and nothing of what is
//! in them.

mod bench;
mod bus;
mod command;
mod demo;
mod deps;
mod error;
mod fuzz;
mod interrupt;
mod lint;
mod package;
mod peers;
mod reference;
mod run;
mod system;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::say;
use crate::deps::Dependencies;
use crate::error::Error;

/// Everything a developer of mif does, in one place. Each command installs the system packages it
/// lacks (packaging/deps/debian.txt) and builds what it starts.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    /// Trust that all system packages are there: look for none, install none
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start the service over this machine's real interfaces and watch it live
    ///
    /// mifd runs on a private bus of its own, so that nothing of the machine is changed; it needs
    /// root (sudo is asked) to listen to Router Advertisements. Shows `mifctl status`, then `mifctl
    /// monitor` until Ctrl-C; without a terminal the status alone.
    Run(run::Options),
    /// Build everything and pass all tests
    ///
    /// Two tiers: one that anybody can run (unit tests, then networks in user namespaces), and one
    /// that needs root because it is about several users (test targets named root_*).
    Test(test::Options),
    /// See one name answered differently by two ISPs, in a network of its own
    ///
    /// Needs no privileges and touches nothing of the machine. Ends with 1 unless answers, sources
    /// and the order of announcements are what they should be.
    Demo,
    /// Unpack the daemons of other projects that tests and benchmarks work with
    ///
    /// Into the build folder; nothing is installed. `test` and `bench` do it by themselves, this is
    /// for those who run single tests with cargo.
    Peers,
    /// Formatting, clippy, rustdoc, and cargo-deny (which it installs when it is missing)
    Lint,
    /// Write the reference of the D-Bus interfaces anew from their XML files, and the manual pages of mifctl
    /// into `man` of the build folder
    Reference,
    /// Look for inputs that break what decodes bytes from outside (libFuzzer)
    ///
    /// The inputs kept in tests/fuzz/corpus are replayed by every test run.
    Fuzz(fuzz::Options),
    /// Make packages for Debian, RPM and Arch from one list (packaging/install.txt)
    ///
    /// Built offline from vendored sources, into `package` in the build folder.
    Package(package::Options),
    /// Compare with other network services (release build)
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let dependencies = Dependencies { install: !arguments.no_install };
    let done = match arguments.task {
        Task::Run(options) => run::run(&dependencies, &options),
        Task::Test(options) => test::test(&dependencies, &options),
        Task::Demo => demo::demo(&dependencies),
        Task::Peers => dependencies.unpack_peers(),
        Task::Lint => lint::lint(&dependencies),
        Task::Reference => reference::write(),
        Task::Fuzz(options) => fuzz::fuzz(&dependencies, &options),
        Task::Package(options) => package::package(&dependencies, &options),
        Task::Bench(options) => bench::bench(&dependencies, &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            error.exit_code()
        }
    }
}

impl Error {
    /// 3 when the machine is one for which packages cannot be installed, else 1.
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Error::OtherDistribution { .. }) { 3 } else { 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
