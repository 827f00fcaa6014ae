//! `cargo xtask test`: everything that must hold.

use std::fs;
use std::process::Command;

use crate::command::{self, is_root, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::system;
use crate::tally;
use crate::workspace::{self, Profile, Programs};

/// Universes run side by side; more than four on two cores only wait for each other.
const THREADS: &str = "--test-threads=4";

/// The crate of the networks.
const NETWORKS: &str = "mif-tests";

/// What the test targets of the second tier begin with.
const ROOT_TIER: &str = "root_";

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Run the first tier only; the last line says what was left out
    #[arg(long)]
    unprivileged: bool,
    /// Instead: make the Debian packages and test them in a real system (root)
    #[arg(long, conflicts_with = "unprivileged")]
    system: bool,
}

/// Builds, and runs both tiers or, if so wished, the first.
///
/// # Errors
/// When a test fails, or a tier that was wished for cannot be run.
pub fn test(dependencies: &Dependencies, options: &Options) -> Result<(), Error> {
    if options.system {
        return system::test(dependencies);
    }
    dependencies.ensure(&[Purpose::Build, Purpose::Run, Purpose::Test, Purpose::Desktop])?;
    dependencies.unpack_peers()?;
    workspace::build(Profile::Dev, Programs::All)?;
    tally::begin()?;
    let tested = tiers(options);
    tally::tell()?;
    tested
}

/// Runs both tiers or, if so wished, the first.
fn tiers(options: &Options) -> Result<(), Error> {
    let (first, second) = targets()?;
    if is_root() && !options.unprivileged {
        everything()?;
        say("all tests passed, those of the root tier among them");
        return Ok(());
    }
    first_tier(&first)?;
    if options.unprivileged {
        let left_out = count(&second)?;
        say(&format!("the first tier passed; not run: {left_out} tests of the root tier"));
        return Ok(());
    }
    if second.is_empty() {
        say("all tests passed; there are none in the root tier");
        return Ok(());
    }
    let sudo = command::output(Command::new("sudo").args(["-n", "true"]));
    if !sudo.is_ok_and(|output| output.status.success()) {
        return Err(Error::NoRootTier);
    }
    root_tier(&second)?;
    say("all tests passed, those of the root tier among them");
    Ok(())
}

/// The test targets of the networks, by tier.
fn targets() -> Result<(Vec<String>, Vec<String>), Error> {
    let path = workspace::root().join("tests/tests");
    let folder = fs::read_dir(&path).map_err(|source| Error::File { path, source })?;
    let mut names: Vec<String> = folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names.into_iter().partition(|name| !name.starts_with(ROOT_TIER)))
}

fn cargo_test() -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--locked", "--no-fail-fast"]);
    // Without it they count nothing.
    if let Ok(path) = tally::path() {
        cargo.env(tally::FILE, path);
    }
    cargo
}

fn everything() -> Result<(), Error> {
    command::run(cargo_test().args(["--workspace", "--", THREADS]))
}

/// All but the targets of the root tier. cargo cannot leave single targets out, so those of the
/// networks are named.
fn first_tier(targets: &[String]) -> Result<(), Error> {
    let others = command::run(cargo_test().args(["--workspace", "--exclude", NETWORKS, "--", THREADS]));
    let mut networks = cargo_test();
    networks.args(["--package", NETWORKS, "--lib", "--bins"]);
    for target in targets {
        networks.args(["--test", target]);
    }
    let networks = command::run(networks.args(["--", THREADS]));
    others.and(networks)
}

fn of_root_tier(targets: &[String]) -> Command {
    let mut cargo = cargo_test();
    cargo.args(["--package", NETWORKS]);
    for target in targets {
        cargo.args(["--test", target]);
    }
    cargo
}

/// Built as the user, run as root.
fn root_tier(targets: &[String]) -> Result<(), Error> {
    let mut cargo = of_root_tier(targets);
    cargo.args(["--config", "target.'cfg(unix)'.runner=['sudo','-n']"]);
    command::run(cargo.args(["--", THREADS]))
}

fn count(targets: &[String]) -> Result<usize, Error> {
    if targets.is_empty() {
        return Ok(0);
    }
    let mut cargo = of_root_tier(targets);
    let listing = command::output(cargo.args(["--quiet", "--", "--list"]))?;
    let listing = String::from_utf8_lossy(&listing.stdout);
    Ok(listing.lines().filter(|line| line.ends_with(": test")).count())
}
