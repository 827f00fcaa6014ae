//! The head that all benchmarks have.

use std::io::Write;
use std::process::ExitCode;

use super::{Arguments, Report};
use crate::universe::{self, Privilege, Universe};
use crate::{peers, tool};

/// How a benchmark ends that only root can run. `cargo xtask bench` goes on without it.
const NEEDS_ROOT: u8 = 77;

/// A program that measures: a universe with the unpacked peers in it, arguments, a report.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// What it is called, without its `bench-`.
    pub name: &'static str,
    /// What it measures, in a line for people.
    pub about: &'static str,
    /// The keys that it takes, each with what it means and its default.
    pub arguments: &'static [(&'static str, &'static str)],
    /// Whose rights it needs.
    pub privilege: Privilege,
}

impl Benchmark {
    /// Runs it and tells what was measured. Fails when the body panics or a bound that was promised does not hold.
    pub fn run<B>(self, body: B) -> ExitCode
    where
        B: AsyncFnOnce(&Universe, &Arguments, &mut Report),
    {
        let arguments = match Arguments::of_program(self.about, self.arguments) {
            Ok(arguments) => arguments,
            Err(code) => return code,
        };
        if self.privilege == Privilege::Root && !nix::unistd::geteuid().is_root() {
            let _ =
                writeln!(std::io::stderr().lock(), "{}: this needs several users: run it as root", self.name);
            return ExitCode::from(NEEDS_ROOT);
        }
        let measure = async move |universe: Universe| {
            peers::mount_if_unpacked();
            let mut report = Report::new(self.name, self.about);
            body(&universe, &arguments, &mut report).await;
            report.finish(&arguments)
        };
        match self.privilege {
            Privilege::UserNamespace => universe::run_program(measure),
            Privilege::Root => universe::run_program_as_root(measure),
        }
    }
}

/// Compiles a program in C that stands beside what is measured, or listens to it, with `sd-bus`.
///
/// # Panics
/// When the compiler is missing or refuses.
pub fn compile(source: &str, program: &str) {
    let mut compiler = tool::command("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-o", program, source, "-lsystemd"]);
    let output = compiler.output().expect("start the compiler");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot compile {source} (Debian package libsystemd-dev): {errors}");
}
