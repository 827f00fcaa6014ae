//! `cargo xtask bench`: the programs `bench-*` of the testbed, and what they measured before.

mod kept;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{self, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::workspace::{self, Profile, Programs};
use kept::Kept;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Benchmarks, with or without their `bench-`; without a name all run
    names: Vec<String>,
    /// What became so many per cent worse than in the last run is named
    #[arg(long, value_name = "PER CENT", default_value_t = 15)]
    worse: u32,
    /// Everything that there is to measure, however long it takes
    #[arg(long)]
    full: bool,
    /// One JSON object for each benchmark on standard output; the tables go to standard error
    #[arg(long)]
    json: bool,
    /// Arguments for the benchmarks
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds for release, runs benchmarks, and compares with what they came to the last time. That something became worse
/// is told, and is no failure: the machine may have been busy.
///
/// # Errors
/// When there is none of that name, or one fails; the others run all the same.
pub fn bench(dependencies: &Dependencies, options: &Options) -> Result<(), Error> {
    let known = benchmarks()?;
    let chosen = chosen(&known, &options.names)?;
    dependencies.ensure(&[Purpose::Build, Purpose::Run, Purpose::Test, Purpose::Desktop])?;
    dependencies.unpack_peers()?;
    workspace::build(Profile::Release, Programs::All)?;
    let mut outcome = Ok(());
    let (begin, mut goals, mut stands_out) = (Instant::now(), Vec::new(), Vec::new());
    for benchmark in &chosen {
        show("\n", false);
        say(benchmark);
        // One that fails keeps nobody from seeing the others' figures.
        let mut measured = measure(benchmark, options)
            .unwrap_or_else(|error| Measured { outcome: Err(error), ..Measured::nothing() });
        goals.append(&mut measured.goals);
        stands_out.append(&mut measured.stands_out);
        if let Err(error) = &measured.outcome {
            say(&error.to_string());
            stands_out.push(format!("{benchmark} failed"));
        }
        outcome = outcome.and(measured.outcome);
    }
    summary(chosen.len(), begin.elapsed(), &goals, &stands_out);
    outcome
}

/// What a benchmark came to.
#[derive(Debug)]
struct Measured {
    goals: Vec<kept::Goal>,
    /// What became worse or could not be measured, each in a line.
    stands_out: Vec<String>,
    outcome: Result<(), Error>,
}

impl Measured {
    fn nothing() -> Self {
        Self { goals: Vec::new(), stands_out: Vec::new(), outcome: Ok(()) }
    }
}

/// Where all of them ran to their ends, what stands out.
fn summary(benchmarks: usize, took: Duration, goals: &[kept::Goal], stands_out: &[String]) {
    let missed: Vec<&kept::Goal> = goals.iter().filter(|goal| !goal.holds).collect();
    let held = goals.len() - missed.len();
    let minutes = took.as_secs_f64() / 60.0;
    show("\n", false);
    say(&format!("{benchmarks} benchmarks in {minutes:.1} minutes: {held} of {} goals hold", goals.len()));
    for goal in missed {
        say(&format!("  not: {}: {:.2}", goal.figure, goal.value));
    }
    stands_out.iter().for_each(|line| say(line));
}

const PREFIX: &str = "bench-";
/// How a benchmark ends that only root can run: no failure of those who are not.
const NEEDS_ROOT: i32 = 77;
/// Has a benchmark write JSON to standard output and its table to standard error.
const JSON: &str = "MIF_BENCH_JSON";

fn measure(benchmark: &str, options: &Options) -> Result<Measured, Error> {
    let mut command = Command::new(workspace::program(benchmark, Profile::Release)?);
    command
        .args(options.full.then_some("--full"))
        .args(&options.arguments)
        .env(JSON, "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|source| command::cannot_start(&command, source))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(measured) = Kept::read(&text) else {
        // It has failed, or was asked for help.
        show(&text, !options.json);
        let needs_root = output.status.code() == Some(NEEDS_ROOT);
        let outcome = if needs_root { Ok(()) } else { passed(&command, output.status) };
        let skipped = needs_root.then(|| format!("not measured: {benchmark}, which needs root"));
        return Ok(Measured { outcome, stands_out: skipped.into_iter().collect(), ..Measured::nothing() });
    };
    let file = workspace::target()?.join("bench").join(format!("{benchmark}.json"));
    let former = fs::read_to_string(&file).ok().and_then(|text| Kept::read(&text)).unwrap_or_default();
    let stands_out = measured.worse_than(&former, options.worse);
    let goals = measured.goals();
    let failed = |source| Error::File { path: file.clone(), source };
    fs::create_dir_all(file.parent().unwrap_or(&file)).map_err(failed)?;
    fs::write(&file, measured.with_the_rest_of(former).text()).map_err(failed)?;
    if options.json {
        show(&text, true);
    }
    Ok(Measured { goals, stands_out, outcome: passed(&command, output.status) })
}

fn passed(command: &Command, status: std::process::ExitStatus) -> Result<(), Error> {
    if status.success() { Ok(()) } else { Err(Error::Failed { command: command::text(command), status }) }
}

/// Nothing is done about a reader that left.
fn show(text: &str, on_standard_output: bool) {
    if on_standard_output {
        let _ = write!(std::io::stdout().lock(), "{text}");
    } else {
        let _ = write!(std::io::stderr().lock(), "{text}");
    }
}

fn chosen<'a>(known: &'a [String], names: &[String]) -> Result<Vec<&'a String>, Error> {
    if names.is_empty() {
        return Ok(known.iter().collect());
    }
    let find = |name: &String| {
        let found = known.iter().find(|known| known.strip_prefix(PREFIX) == Some(name) || *known == name);
        found.ok_or_else(|| Error::NoBenchmark { name: name.clone(), known: known.join(" ") })
    };
    names.iter().map(find).collect()
}

fn benchmarks() -> Result<Vec<String>, Error> {
    let path = workspace::root().join("tests/src/bin");
    let folder = fs::read_dir(&path).map_err(|source| Error::File { path, source })?;
    // A program is a file or a folder.
    let names = folder.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| name.starts_with(PREFIX)).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_benchmark_is_found_with_and_without_its_prefix() {
        let known = benchmarks().unwrap();
        let names = ["start".to_owned(), "bench-send".to_owned()];
        assert_eq!(chosen(&known, &names).unwrap(), ["bench-start", "bench-send"]);
        assert_eq!(chosen(&known, &[]).unwrap().len(), known.len());
        let error = chosen(&known, &["stat".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("bench-start"), "{error}");
    }
}
