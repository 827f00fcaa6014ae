//! Who a client is, and whether it may have packets sent for it.

use nix::sys::stat;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use zbus::Connection;

/// Who a client is, for as long as its unique name lives.
#[derive(Debug)]
pub struct Credentials {
    /// Its user.
    pub uid: u32,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// Pinned: as long as the descriptor says that it runs, its number is not another one's.
    Pinned { pid: u32, pidfd: OwnedFd },
    /// At the other end of a socket pair that this process made.
    Ourselves,
    /// The bus does not tell, or it is gone already.
    Unknown,
}

/// A network namespace, told apart without any capability: the inode of its /proc/PID/net/dev.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(u64);

impl Namespace {
    /// The service's own.
    pub fn own() -> io::Result<Self> {
        Self::of("self")
    }

    fn of(process: &str) -> io::Result<Self> {
        let stat = stat::stat(format!("/proc/{process}/net/dev").as_str())?;
        Ok(Self(stat.st_ino))
    }
}

/// The inode of the service's own network namespace, as /proc/PID/ns/net shows it (Manager.NamespaceId).
pub fn namespace_id() -> io::Result<u64> {
    Ok(stat::stat("/proc/self/ns/net")?.st_ino)
}

impl Credentials {
    /// Those of this process itself.
    pub fn ourselves() -> Self {
        Self { uid: nix::unistd::getuid().as_raw(), process: Process::Ourselves }
    }

    /// Asks the bus who `client` is. The process is pinned, and the bus asked again afterwards, so that a number
    /// that another process took over meanwhile is never believed.
    pub async fn ask(bus: &Connection, client: &str) -> zbus::Result<Self> {
        let (uid, pid) = ask_once(bus, client).await?;
        let Some((pid, pidfd)) = pid.and_then(|pid| Some((pid, open_pidfd(pid).ok()?))) else {
            return Ok(Self { uid, process: Process::Unknown });
        };
        let (_, again) = ask_once(bus, client).await?;
        let process = if again == Some(pid) { Process::Pinned { pid, pidfd } } else { Process::Unknown };
        Ok(Self { uid, process })
    }

    /// Whether the client lives in `own` network namespace now. What cannot be told is another one.
    pub fn is_in(&self, own: Namespace) -> bool {
        match &self.process {
            Process::Ourselves => true,
            Process::Unknown => false,
            Process::Pinned { pid, pidfd } => {
                let there = Namespace::of(&pid.to_string());
                runs(pidfd) && there.is_ok_and(|there| there == own)
            }
        }
    }

    /// Whether the client may connect: root and the service's own user.
    pub fn may_connect(&self) -> bool {
        self.uid == 0 || self.uid == nix::unistd::getuid().as_raw()
    }
}

async fn ask_once(bus: &Connection, client: &str) -> zbus::Result<(u32, Option<u32>)> {
    const BUS: &str = "org.freedesktop.DBus";
    let reply = bus
        .call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetConnectionCredentials", &client)
        .await?;
    let body = reply.body();
    let credentials: std::collections::HashMap<String, zbus::Variant<'_>> = body.deserialize()?;
    let number = |key: &str| match credentials.get(key) {
        Some(zbus::Variant::U32(number)) => Some(*number),
        _ => None,
    };
    let uid = number("UnixUserID").ok_or_else(|| zbus::Error::Failure("the bus tells no user".to_owned()))?;
    Ok((uid, number("ProcessID")))
}

fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and gives a new descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A pidfd becomes readable when its process has ended.
fn runs(pidfd: &OwnedFd) -> bool {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, and no waiting.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 0
}
