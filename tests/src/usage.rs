//! What a process has used so far, by /proc.

use std::fs;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::process::Process;

/// How long it is looked how much CPU time is used, at a time.
const WINDOW: Duration = Duration::from_millis(200);
const QUIET_WINDOWS: u32 = 5;
/// The most CPU time in a quiet window.
const QUIET: Duration = Duration::from_millis(4);

/// CPU time and wake-ups of a process, all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time, in the scheduler's nanoseconds.
    pub cpu: Duration,
    /// How often a thread went to sleep of its own will: each of these ends with a wake-up.
    pub sleeps: u64,
    /// Those of the first thread.
    pub main_sleeps: u64,
}

impl Usage {
    /// By now. A process that has ended has used nothing.
    pub fn of(process: &Process) -> Self {
        let pid = process.pid().to_string();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let mut used = Self::default();
        for task in tasks {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let cpu = read("schedstat").split_whitespace().next().and_then(|number| number.parse().ok());
            used.cpu += Duration::from_nanos(cpu.unwrap_or(0));
            let status = read("status");
            let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let sleeps = sleeps.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0);
            used.sleeps += sleeps;
            if task.file_name() == *pid {
                used.main_sleeps = sleeps;
            }
        }
        used
    }

    /// Since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            sleeps: self.sleeps.saturating_sub(earlier.sleeps),
            main_sleeps: self.main_sleeps.saturating_sub(earlier.main_sleeps),
        }
    }
}

/// A moment and the CPU time that a process had used by then.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// CPU time of all threads.
    pub cpu: Duration,
}

impl Moment {
    /// Now.
    pub fn now(process: &Process) -> Self {
        Self { at: Instant::now(), cpu: Usage::of(process).cpu }
    }
}

/// Waits until a process is settled: five windows of 200 ms in each of which it uses less than 4 ms of CPU. What counts
/// is the moment at which they began.
///
/// # Panics
/// When it is not by the deadline.
pub async fn settled(process: &Process, deadline: Instant) -> Moment {
    let mut quiet_since = Moment::now(process);
    let (mut before, mut quiet) = (quiet_since, 0);
    // A window of time is what is measured here.
    let mut windows = tokio::time::interval_at((Instant::now() + WINDOW).into(), WINDOW);
    windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while quiet < QUIET_WINDOWS {
        assert!(Instant::now() < deadline, "not settled in time; it said\n{}", process.log());
        windows.tick().await;
        let after = Moment::now(process);
        if after.cpu.saturating_sub(before.cpu) < QUIET {
            quiet += 1;
        } else {
            (quiet, quiet_since) = (0, after);
        }
        before = after;
    }
    quiet_since
}

/// The memory of a process, of what it shares with others its share (PSS), in kB; zero when it has ended.
pub fn proportional_share(process: &Process) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
