//! What a process has used so far, by /proc.

use mif_tests::process::Process;
use std::fs;
use std::time::Duration;

/// CPU time of all threads and how often they went to sleep of their own will.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// In the scheduler's nanoseconds.
    pub cpu: Duration,
    /// Voluntary context switches: each ends with a wake-up.
    pub sleeps: u64,
}

impl Used {
    /// By now.
    pub fn by(process: &Process) -> Self {
        let tasks = fs::read_dir(format!("/proc/{}/task", process.pid())).into_iter().flatten().flatten();
        let mut used = Self::default();
        for task in tasks {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let cpu = read("schedstat").split_whitespace().next().and_then(|number| number.parse().ok());
            used.cpu += Duration::from_nanos(cpu.unwrap_or(0));
            let status = read("status");
            let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            used.sleeps += sleeps.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0);
        }
        used
    }

    /// Since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), sleeps: self.sleeps.saturating_sub(earlier.sleeps) }
    }
}
