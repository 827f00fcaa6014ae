//! Running other programs.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;

/// How long a daemon may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How often a state is looked at that cannot be waited for.
pub const INTERVAL: Duration = Duration::from_millis(20);

/// Writes a line for the developer. Nothing is done about a closed standard error.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "xtask: {text}");
}

/// Runs a command to its end; what it writes is seen.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<(), Error> {
    let status = status(command)?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: text(command), status }) }
}

/// Runs a command to its end, whatever that is; what it writes is seen.
///
/// # Errors
/// When it cannot be started.
pub fn status(command: &mut Command) -> Result<ExitStatus, Error> {
    command.status().map_err(|source| cannot_start(command, source))
}

/// Runs a command to its end and catches what it writes.
///
/// # Errors
/// When it cannot be started.
pub fn output(command: &mut Command) -> Result<Output, Error> {
    command.stdin(Stdio::null()).output().map_err(|source| cannot_start(command, source))
}

/// The error of a command that could not be started.
pub fn cannot_start(command: &Command, source: io::Error) -> Error {
    Error::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// A command as one would type it.
pub fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Whether this process is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A command that runs as root: itself when this is root, else behind sudo.
///
/// # Errors
/// When there is no sudo.
pub fn as_root(purpose: &'static str, command: Command) -> Result<Command, Error> {
    if is_root() {
        return Ok(command);
    }
    if !have_sudo() {
        return Err(Error::NoRoot { purpose, command: text(&command) });
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(command.get_program()).args(command.get_args());
    Ok(sudo)
}

fn have_sudo() -> bool {
    output(Command::new("sudo").arg("--version")).is_ok_and(|output| output.status.success())
}

/// A program that runs beside this one and is ended with it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    behind_sudo: bool,
}

impl Daemon {
    /// Starts a command made by [`as_root`] or an ordinary one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let behind_sudo = command.get_program() == "sudo";
        let child = command.spawn().map_err(|source| cannot_start(&command, source))?;
        Ok(Self { child, behind_sudo })
    }

    /// The running process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id();
        if self.behind_sudo {
            // sudo hands the signal on to what it runs, but takes it from root only.
            let name = signal.as_str().trim_start_matches("SIG");
            let _ = output(Command::new("sudo").args(["-n", "kill", "-s", name, &pid.to_string()]));
        } else if let Ok(pid) = i32::try_from(pid) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while self.ended().is_none() {
            if start.elapsed() > GRACE {
                self.signal(Signal::SIGKILL);
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(INTERVAL);
        }
    }
}
