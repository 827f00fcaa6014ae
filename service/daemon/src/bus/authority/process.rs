//! Where a process lives, by /proc.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// The folder /proc/PID/net of the process that `pidfd` (pidfd_open(2)) is of; `None` when that has ended. While it lives
/// nobody else has its number, so it is looked at again once the folder is open.
pub(super) fn net_of(pidfd: &OwnedFd) -> Option<OwnedFd> {
    let number = number_of(pidfd)?;
    let net = open_net_of(&number.to_string()).ok()?;
    (number_of(pidfd) == Some(number)).then_some(net)
}

/// The folder of the process with this number, or of "self".
pub(super) fn open_net_of(process: &str) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(format!("/proc/{process}/net").as_str(), flags, Mode::empty())?)
}

/// proc_pid_fdinfo(5): -1 once it has ended, 0 when it lives where its number means nothing here.
fn number_of(pidfd: &OwnedFd) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::super::Namespace;
    use super::*;
    use std::fs::File;
    use std::os::fd::FromRawFd;
    use std::process::{Child, Command, Stdio};

    /// Of a child that still has to be waited for, or of this process.
    pub(in super::super) fn pidfd_of(pid: u32) -> OwnedFd {
        // SAFETY: makes a descriptor that nobody has yet, or fails.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: see above.
        unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
    }

    /// It ends when its input does.
    fn child() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_process_is_known_by_its_descriptor_while_it_lives() {
        let mut child = child();
        let pidfd = pidfd_of(child.id());
        let net = net_of(&pidfd).unwrap();
        assert_eq!(Namespace::seen_in(&net).unwrap(), Namespace::own().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(net_of(&pidfd).is_none(), "its number may be somebody else's");
        assert!(Namespace::seen_in(&net).is_err(), "nor is what was opened before");
    }

    #[test]
    fn what_is_no_process_is_none() {
        assert!(net_of(&OwnedFd::from(File::open("/dev/null").unwrap())).is_none());
    }
}
