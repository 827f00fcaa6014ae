//! `cargo xtask run`: the main job on this machine.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bus::Bus;
use crate::command::{self, Daemon, INTERVAL, as_root, is_root, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::interrupt;
use crate::workspace::{self, Profile, Programs};

/// How long mifd may take to serve; its start-up rule alone allows four seconds per link.
const START: Duration = Duration::from_secs(30);

/// How much of a log is shown.
const SHOWN_LINES: usize = 20;

/// Options of `cargo xtask run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Build as for users: slower to build, faster to run
    #[arg(long)]
    release: bool,
    /// How much mifd writes into its log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
}

/// Starts bus and service, shows what the service sees, and ends both.
///
/// # Errors
/// When one of them does not start, or mifctl fails.
pub fn run(dependencies: &Dependencies, options: &Options) -> Result<(), Error> {
    dependencies.ensure(&[Purpose::Build, Purpose::Run])?;
    let profile = if options.release { Profile::Release } else { Profile::Dev };
    workspace::build(profile, Programs::WithoutDesktop)?;
    interrupt::catch();
    let bus = Bus::start()?;
    let log = workspace::target()?.join("mifd.log");
    let mut mifd = start_mifd(&bus, options, profile, &log)?;
    let mifctl = workspace::program("mifctl", profile)?;
    wait_for_service(&mut mifd, &mifctl, bus.address(), &log)?;
    command::run(Command::new(&mifctl).args(["--bus", bus.address(), "status"]))?;
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    say(&format!("the service is on the bus {}; try in another terminal:", bus.address()));
    say(&format!("  busctl --address={} tree org.ietf.Mif1", bus.address()));
    say(&format!("  {} --bus {} translate www.ietf.org", mifctl.display(), bus.address()));
    say(&format!("its log is {}; Ctrl-C ends it all", log.display()));
    monitor(&mifctl, bus.address())
}

fn start_mifd(bus: &Bus, options: &Options, profile: Profile, log: &Path) -> Result<Daemon, Error> {
    let file = File::create(log).map_err(|source| Error::File { path: log.to_owned(), source })?;
    let mut mifd = Command::new(workspace::program("mifd", profile)?);
    // Looking changes nothing: connections then work where a link has one provisioning domain a family.
    mifd.args(["--no-routing", "--bus", bus.address(), "--log", &options.log]);
    if !is_root() {
        say(
            "mifd needs root to listen to Router Advertisements and to make sockets for others; asking sudo:",
        );
        command::run(Command::new("sudo").arg("--validate"))?;
    }
    let mut mifd = as_root("mifd", mifd)?;
    mifd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    Daemon::start(mifd)
}

/// Waits until mifd owns its name, that is after its first inventory.
fn wait_for_service(mifd: &mut Daemon, mifctl: &Path, address: &str, log: &Path) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        let answer = command::output(Command::new(mifctl).args(["--bus", address, "status"]))?;
        if answer.status.success() {
            return Ok(());
        }
        let what = match mifd.ended() {
            Some(status) => format!("ended with {status}"),
            None if start.elapsed() > START => {
                format!("does not serve: {}", String::from_utf8_lossy(&answer.stderr).trim())
            }
            None if interrupt::requested() => "was not waited for any longer".to_owned(),
            None => {
                std::thread::sleep(INTERVAL);
                continue;
            }
        };
        return Err(Error::Daemon { name: "mifd", what, log: tail(log) });
    }
}

/// Runs `mifctl monitor` until it ends or this program is asked to.
fn monitor(mifctl: &Path, address: &str) -> Result<(), Error> {
    let mut monitor = Command::new(mifctl);
    monitor.args(["--bus", address, "monitor"]);
    let mut monitor = Daemon::start(monitor)?;
    while monitor.ended().is_none() && !interrupt::requested() {
        std::thread::sleep(INTERVAL);
    }
    Ok(())
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
