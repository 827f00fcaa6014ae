//! `cargo xtask bench`: the programs `bench-*` of the testbed.

use std::fs;
use std::process::Command;

use crate::command::{self, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::workspace::{self, Profile, Programs};

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// One benchmark, with or without its `bench-`; without a name all run
    name: Option<String>,
    /// Arguments for the benchmark
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds for release and runs one benchmark or all.
///
/// # Errors
/// When there is none of that name, or one fails; the others run all the same.
pub fn bench(dependencies: &Dependencies, options: &Options) -> Result<(), Error> {
    dependencies.ensure(&[Purpose::Build, Purpose::Run, Purpose::Test, Purpose::Desktop])?;
    dependencies.unpack_peers()?;
    let known = benchmarks()?;
    let chosen: Vec<&String> = match &options.name {
        None => known.iter().collect(),
        Some(name) => {
            known.iter().filter(|known| known.strip_prefix(PREFIX) == Some(name) || *known == name).collect()
        }
    };
    if chosen.is_empty() {
        let name = options.name.clone().unwrap_or_else(|| format!("{PREFIX}*"));
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(" ") };
        return Err(Error::NoBenchmark { name, known });
    }
    workspace::build(Profile::Release, Programs::All)?;
    let mut failed = Ok(());
    for benchmark in chosen {
        say(benchmark);
        let program = workspace::program(benchmark, Profile::Release)?;
        // One that misses its bound keeps nobody from seeing the others' figures.
        failed = failed.and(command::run(Command::new(program).args(&options.arguments)));
    }
    failed
}

const PREFIX: &str = "bench-";

fn benchmarks() -> Result<Vec<String>, Error> {
    let path = workspace::root().join("tests/src/bin");
    let folder = fs::read_dir(&path).map_err(|source| Error::File { path, source })?;
    // A program is a file or a folder.
    let names = folder.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| name.starts_with(PREFIX)).collect();
    names.sort();
    Ok(names)
}
