//! The directory in which every running dhcpcd has its sockets.

use super::super::SourceError;
use super::super::readiness;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tokio::io::unix::AsyncFd;

/// How the unprivileged sockets are called: `unpriv.sock` of the one that manages all interfaces,
/// `IF.unpriv.sock` and `IF-4.unpriv.sock` of those for one.
const SUFFIX: &[u8] = b"unpriv.sock";
/// More sockets are not looked at.
const MAX_SOCKETS: usize = 4096;

/// A directory that may come and go.
pub(super) struct Directory {
    path: PathBuf,
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
    parent: Option<WatchDescriptor>,
}

impl Directory {
    /// Watches `path`, or its parent until it exists.
    pub(super) fn watch(path: PathBuf) -> Result<Self, SourceError> {
        let opened = || -> io::Result<_> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let ready = readiness::readable(inotify.as_fd().try_clone_to_owned()?)?;
            Ok((inotify, ready))
        };
        let (inotify, ready) = opened().map_err(SourceError::Watch)?;
        let mut directory = Self { path, inotify, ready, parent: None };
        directory.follow();
        Ok(directory)
    }

    /// Waits until there may be something new. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<(), SourceError> {
        loop {
            let mut ready = self.ready.readable().await.map_err(SourceError::Watch)?;
            match self.inotify.read_events() {
                Ok(_) => break,
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(error) => return Err(SourceError::Watch(error.into())),
            }
        }
        self.follow();
        Ok(())
    }

    /// The names of the sockets that are there now.
    pub(super) fn sockets(&self) -> Vec<OsString> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
        names.filter(|name| is_socket_name(name)).take(MAX_SOCKETS).collect()
    }

    /// The path of a socket.
    pub(super) fn socket(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Watches what there is to watch. Watching the same directory again changes nothing; the parent is watched
    /// before the directory is looked for, so that its coming is never missed.
    fn follow(&mut self) {
        let news = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        let end = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        if self.inotify.add_watch(&self.path, news | end).is_ok() {
            self.leave_parent();
            return;
        }
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        match self.inotify.add_watch(parent, news) {
            Ok(watch) => self.parent = Some(watch),
            Err(error) => {
                tracing::warn!(directory = %parent.display(), %error, "no DHCP client can be noticed to start");
            }
        }
        if self.inotify.add_watch(&self.path, news | end).is_ok() {
            self.leave_parent();
        }
    }

    fn leave_parent(&mut self) {
        if let Some(watch) = self.parent.take() {
            // It may be gone itself.
            let _ = self.inotify.rm_watch(watch);
        }
    }
}

fn is_socket_name(name: &OsStr) -> bool {
    let start = name.as_bytes().strip_suffix(SUFFIX);
    start.is_some_and(|start| start.is_empty() || start.ends_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprivileged_sockets_are_told_from_the_rest() {
        for name in ["unpriv.sock", "wan.unpriv.sock", "wan-4.unpriv.sock", "a.b-6.unpriv.sock"] {
            assert!(is_socket_name(OsStr::new(name)), "{name}");
        }
        for name in ["sock", "wan-4.sock", "wan-4.pid", "hook-state", "xunpriv.sock", ""] {
            assert!(!is_socket_name(OsStr::new(name)), "{name}");
        }
    }
}
