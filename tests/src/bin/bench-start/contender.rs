//! What is measured: mifd, and systemd-networkd if it is installed.

use mif_tests::daemons::{Bus, program};
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::wait::within;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use zbus::Connection;

const NETWORKD: &str = "/lib/systemd/systemd-networkd";
const WINDOW: Duration = Duration::from_millis(200);
const QUIET_WINDOWS: u32 = 5;
/// The most CPU time in a quiet window.
const QUIET: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that keeps track of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// The service of this project.
    Mifd,
    /// systemd-networkd, without configuration: it manages no link, only tells of them.
    Networkd,
}

/// One start.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From exec until the name was owned and every link was there in one call.
    pub complete: Duration,
    /// From exec until it was settled.
    pub settled: Duration,
    /// CPU time until it was settled.
    pub cpu: Duration,
    /// Resident memory when settled, in kB.
    pub resident: u64,
}

impl Contender {
    /// Those that can be measured here; systemd-networkd is named on standard error when it is missing.
    pub fn available() -> impl Iterator<Item = Self> {
        let networkd = Path::new(NETWORKD).exists().then_some(Self::Networkd);
        std::iter::once(Self::Mifd).chain(networkd)
    }

    /// How the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mifd => "mifd",
            Self::Networkd => "systemd-networkd",
        }
    }

    /// Starts it, waits until it is settled, and ends it.
    pub async fn measure(self, node: &Node, bus: &Bus, links: usize) -> Measured {
        let connection = bus.connect().await;
        let begin = Instant::now();
        let process = node.spawn(self.name(), self.command(bus));
        let complete = within(PATIENCE, "every link on the bus", async || {
            if let Some(status) = process.exit_status() {
                panic!("{} ended with {status}:\n{}", self.name(), process.log());
            }
            match self.links(&connection, &process).await {
                Some((there, seen)) if seen >= links => Ok(there),
                seen => Err(format!("{seen:?} links")),
            }
        })
        .await;
        let settled = settle(&process, begin, complete).await;
        let measured = Measured {
            complete: complete.at.duration_since(begin),
            settled: settled.at.duration_since(begin),
            cpu: settled.cpu,
            resident: resident(&process),
        };
        process.terminate().await;
        measured
    }

    fn command(self, bus: &Bus) -> Command {
        match self {
            Self::Mifd => {
                let mut command = Command::new(program("mifd"));
                command.args(["--log", "warn", "--bus", bus.address()]);
                command
            }
            Self::Networkd => {
                fs::create_dir_all("/run/systemd/netif/links").expect("make its folder");
                fs::create_dir_all("/run/systemd/netif/leases").expect("make its folder");
                let mut command = Command::new(NETWORKD);
                command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).env("SYSTEMD_LOG_LEVEL", "warning");
                command
            }
        }
    }

    /// When the reply of the one call came and how many links it holds; `None` while the name is not owned. What
    /// this program needs to read the reply is not the contender's time.
    async fn links(self, connection: &Connection, process: &Process) -> Option<(Moment, usize)> {
        let (name, path, interface, method) = match self {
            Self::Mifd => {
                ("org.ietf.Mif1", "/org/ietf/Mif1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
            }
            Self::Networkd => (
                "org.freedesktop.network1",
                "/org/freedesktop/network1",
                "org.freedesktop.network1.Manager",
                "ListLinks",
            ),
        };
        let owned = connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "NameHasOwner",
                &name,
            )
            .await
            .ok()?;
        if !owned.body().deserialize::<bool>().ok()? {
            return None;
        }
        let reply = connection.call_method(Some(name), path, Some(interface), method, &()).await.ok()?;
        let there = Moment::now(process);
        let seen = match self {
            Self::Mifd => {
                let objects: zbus::fdo::ManagedObjects = reply.body().deserialize().ok()?;
                objects.keys().filter(|path| path.as_str().contains("/interface/")).count()
            }
            Self::Networkd => {
                let links: Vec<(i32, String, zbus::OwnedObjectPath)> = reply.body().deserialize().ok()?;
                links.len()
            }
        };
        Some((there, seen))
    }
}

/// A moment and the CPU time that a process had used by then.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Moment {
    fn now(process: &Process) -> Self {
        Self { at: Instant::now(), cpu: cpu(process) }
    }
}

/// Waits for the five quiet windows; the moment at which they began, `complete` at the earliest.
async fn settle(process: &Process, begin: Instant, complete: Moment) -> Moment {
    let deadline = begin + PATIENCE;
    let mut quiet_since = complete;
    let mut before = complete;
    let mut quiet = 0;
    // A window of time is what is measured here.
    let mut windows = tokio::time::interval_at((Instant::now() + WINDOW).into(), WINDOW);
    windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while quiet < QUIET_WINDOWS {
        assert!(Instant::now() < deadline, "not settled in {} s", PATIENCE.as_secs());
        windows.tick().await;
        let after = Moment::now(process);
        if after.cpu.saturating_sub(before.cpu) < QUIET {
            quiet += 1;
        } else {
            quiet = 0;
            quiet_since = after;
        }
        before = after;
    }
    quiet_since
}

/// CPU time of all threads, in the scheduler's nanoseconds (the clock ticks of `stat` are too coarse).
fn cpu(process: &Process) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.pid())).into_iter().flatten().flatten();
    let nanoseconds = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
