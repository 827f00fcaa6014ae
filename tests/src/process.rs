//! Processes of a universe, each with a log that is shown when the test fails.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::filesystem::TESTBED;
use crate::tally;
use crate::wait::eventually;

/// How much of each log a failure shows.
const SHOWN_LINES: usize = 80;

/// A running program. Dropping this does not end it: the universe does.
#[derive(Clone, Debug)]
pub struct Process {
    name: Arc<str>,
    pid: Pid,
    child: Arc<Mutex<Child>>,
    log: PathBuf,
}

impl Process {
    /// Starts a command; its output goes to a log of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub(crate) fn spawn(name: &str, mut command: Command) -> Self {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let log = logs().join(format!("{serial:03}-{name}.log"));
        let spawned = File::create(&log).and_then(|file| {
            let copy = file.try_clone()?;
            command.stdin(Stdio::null()).stdout(copy).stderr(file).spawn()
        });
        let child = match spawned {
            Ok(child) => child,
            Err(error) => panic!("cannot start {name} ({command:?}): {error}"),
        };
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        Self { name: name.into(), pid, child: Arc::new(Mutex::new(child)), log }
    }

    /// Its process id in the universe.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// All it has said so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// A line of its `/proc/PID/status` that is a number, such as `VmRSS:` (in kB) or `Threads:`.
    ///
    /// # Panics
    /// When it does not run.
    pub fn status_number(&self, key: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("the state of a process");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("such a line");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// Waits until its log holds `text`.
    ///
    /// # Panics
    /// At the deadline, or when it ends before.
    pub async fn wait_for_log(&self, text: &str) {
        eventually(&format!("{:?} in the log of {}", text, self.name), async || {
            let ended = self.exit_status();
            let log = self.log();
            if log.contains(text) {
                return Ok(());
            }
            if let Some(status) = ended {
                panic!("{} ended with {status}:\n{log}", self.name);
            }
            Err(log)
        })
        .await;
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().expect("wait for a child")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn ended(&self) -> ExitStatus {
        eventually(&format!("the end of {}", self.name), async || {
            self.exit_status().ok_or_else(|| format!("it runs still and said:\n{}", self.log()))
        })
        .await
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn terminate(&self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Ends it at once (SIGKILL).
    pub async fn kill(&self) {
        self.signal(Signal::SIGKILL);
        let status = self.ended().await;
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{} had ended before", self.name);
    }

    /// Sends a signal; nothing happens when it has ended already.
    pub fn signal(&self, signal: Signal) {
        // The child lock keeps the pid from being given to another process meanwhile.
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if child.try_wait().expect("wait for a child").is_none() {
            kill(self.pid, signal).expect("signal a child");
            if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
                tally::faults(1);
            }
        }
    }
}

/// What a finished command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; 128 + signal when a signal ended it, as a shell has it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command to its end without blocking the runtime.
///
/// # Panics
/// When it cannot be started.
pub async fn output(command: Command) -> Output {
    let what = format!("the end of {command:?}");
    crate::wait::completes(&what, async {
        tokio::task::spawn_blocking(move || output_now(command)).await.expect("no panic")
    })
    .await
}

/// Runs a command to its end, blocking.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub(crate) fn output_now(mut command: Command) -> Output {
    let finished: io::Result<_> = command.stdin(Stdio::null()).output();
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => panic!("cannot start {command:?}: {error}"),
    };
    let status = finished.status;
    Output {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&finished.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&finished.stderr).into_owned(),
    }
}

/// The end of every log of the universe, for a failure.
pub(crate) fn all_logs() -> String {
    let mut paths: Vec<_> =
        fs::read_dir(logs()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| tail(path)).collect()
}

fn tail(path: &Path) -> String {
    let log = fs::read(path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    format!("---- {name}: last {} of {} lines\n{}\n", shown.len(), lines.len(), shown.join("\n"))
}

fn logs() -> PathBuf {
    Path::new(TESTBED).join("log")
}
