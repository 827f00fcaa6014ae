//! `cargo xtask fuzz`: what decodes bytes from outside, under libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::workspace;

/// Instrumentation of every edge of the control flow, as libFuzzer wants it; these are flags of LLVM that the stable
/// toolchain passes on.
const INSTRUMENTED: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The folder of the crate with the targets and their inputs, in the workspace.
const CRATE: &str = "tests/fuzz";

/// Targets whose bytes are steps, two each. Sixty of them reach all that more do, and sooner.
const SEQUENCES: [&str; 2] = ["deliveries", "subscriber"];

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// One target; without a name all run, one after the other
    target: Option<String>,
    /// How many inputs to try
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Put found inputs that reach more than the kept ones into tests/fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Look for nothing; say which branches the kept inputs reach
    #[arg(long)]
    coverage: bool,
}

/// Builds with instrumentation and runs targets.
///
/// # Errors
/// When there is no such target, or one does not survive an input.
pub fn fuzz(dependencies: &Dependencies, options: &Options) -> Result<(), Error> {
    dependencies.ensure(&[Purpose::Build, Purpose::Fuzz])?;
    let targets = chosen(options.target.as_deref())?;
    let plain = build("fuzz-coverage")?;
    if !options.coverage {
        let fast = build("fuzz")?;
        for name in &targets {
            say(&format!("{name}: {} runs", options.runs));
            // The optimizer merges branches; without it more of them are told apart, and more inputs found.
            Target { engine: &plain, name }.run(options.runs / 10)?;
            Target { engine: &fast, name }.run(options.runs)?;
            if options.keep {
                Target { engine: &plain, name }.keep()?;
            }
        }
    }
    targets.iter().try_for_each(|name| Target { engine: &plain, name }.show_coverage())
}

/// Each target has a folder of inputs.
fn chosen(name: Option<&str>) -> Result<Vec<String>, Error> {
    let path = workspace::root().join(CRATE).join("corpus");
    let folder = fs::read_dir(&path).map_err(|source| Error::File { path, source })?;
    let mut known: Vec<String> =
        folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    known.sort();
    match name {
        None => Ok(known),
        Some(name) if known.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(Error::NoFuzzTarget { name: name.to_owned(), known: known.join(" ") }),
    }
}

/// In a folder of its own, and for a named platform, so that build scripts are not instrumented. Returns the engine.
fn build(profile: &str) -> Result<PathBuf, Error> {
    let folder = workspace::target()?.join("fuzz");
    let platform = platform()?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--locked", "--package=mif-fuzz", "--features=engine", "--bin=mif-fuzz"]);
    cargo.args(["--profile", profile, "--target", &platform, "--target-dir"]).arg(&folder);
    command::run(cargo.env("RUSTFLAGS", INSTRUMENTED.join(" ")))?;
    Ok(folder.join(platform).join(profile).join("mif-fuzz"))
}

/// The platform that this program was built for, in the compiler's words.
fn platform() -> Result<String, Error> {
    let mut rustc = Command::new("rustc");
    let said = command::output(rustc.args(["--version", "--verbose"]).current_dir(workspace::root()))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or(Error::Failed { command: command::text(&rustc), status: said.status })
}

struct Target<'a> {
    engine: &'a Path,
    name: &'a str,
}

impl Target<'_> {
    fn run(&self, runs: u64) -> Result<(), Error> {
        let found = self.found()?;
        let mut engine = self.command();
        let longest = if SEQUENCES.contains(&self.name) { 120 } else { 4_096 };
        engine.args([&format!("-runs={runs}"), &format!("-max_len={longest}")]);
        engine.args(["-timeout=10", "-rss_limit_mb=1024"]);
        engine.args(["-print_final_stats=1", "-verbosity=0"]);
        engine.arg(format!("-artifact_prefix={}-", found.display()));
        let words = workspace::root().join(CRATE).join("words").join(self.name);
        if words.exists() {
            engine.arg(format!("-dict={}", words.display()));
        }
        command::run(engine.arg(&found).arg(self.corpus()))
    }

    /// Keeps the fewest inputs that reach every branch that any reaches.
    fn keep(&self) -> Result<(), Error> {
        let error = |path: &Path, source| Error::File { path: path.to_owned(), source };
        let kept = workspace::target()?.join("fuzz/kept").join(self.name);
        if kept.exists() {
            fs::remove_dir_all(&kept).map_err(|source| error(&kept, source))?;
        }
        fs::create_dir_all(&kept).map_err(|source| error(&kept, source))?;
        let mut engine = self.command();
        engine.args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"]);
        command::run(engine.arg(&kept).arg(self.corpus()).arg(self.found()?))?;
        let corpus = self.corpus();
        fs::remove_dir_all(&corpus).map_err(|source| error(&corpus, source))?;
        command::run(Command::new("cp").arg("--recursive").arg(&kept).arg(&corpus))
    }

    fn show_coverage(&self) -> Result<(), Error> {
        command::run(self.command().env("MIF_FUZZ_COVERAGE", "1"))
    }

    fn command(&self) -> Command {
        let mut engine = Command::new(self.engine);
        engine.env("MIF_FUZZ_TARGET", self.name);
        engine
    }

    fn corpus(&self) -> PathBuf {
        workspace::root().join(CRATE).join("corpus").join(self.name)
    }

    /// The folder for inputs that are found; it stays, so that the next run goes on.
    fn found(&self) -> Result<PathBuf, Error> {
        let path = workspace::target()?.join("fuzz/found").join(self.name);
        fs::create_dir_all(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        Ok(path)
    }
}
