//! A directory in which a program tells how things stand, and which may come and go with it.

use super::SourceError;
use super::readiness;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// More entries are not looked at.
const MAX_ENTRIES: usize = 4096;
/// What says that a directory on the way to ours may have come.
const COMING: AddWatchFlags =
    AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_MOVED_TO).union(AddWatchFlags::IN_ONLYDIR);
/// What says that a directory has gone.
const GOING: AddWatchFlags = AddWatchFlags::IN_DELETE_SELF.union(AddWatchFlags::IN_MOVE_SELF);

/// A directory that may come and go.
pub(super) struct Directory {
    path: PathBuf,
    news: AddWatchFlags,
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
    /// The watch of the directory itself, while it is there.
    own: Option<WatchDescriptor>,
    /// The nearest directory above that exists, watched while ours does not.
    above: Option<(PathBuf, WatchDescriptor)>,
}

/// What may be new in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// These entries.
    Entries(BTreeSet<OsString>),
    /// Any.
    Everything,
}

impl Directory {
    /// Watches `path` for `news`, or what is above it until it exists.
    pub(super) fn watch(path: PathBuf, news: AddWatchFlags) -> Result<Self, SourceError> {
        let opened = || -> io::Result<_> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let ready = readiness::readable(inotify.as_fd().try_clone_to_owned()?)?;
            Ok((inotify, ready))
        };
        let (inotify, ready) = opened().map_err(SourceError::Watch)?;
        let mut directory = Self { path, news, inotify, ready, own: None, above: None };
        directory.follow();
        Ok(directory)
    }

    /// Waits until there may be something new, and says where. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<Changed, SourceError> {
        let events = loop {
            let mut ready = self.ready.readable().await.map_err(SourceError::Watch)?;
            match self.inotify.read_events() {
                Ok(events) => break events,
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(error) => return Err(SourceError::Watch(error.into())),
            }
        };
        let own = self.own;
        self.follow();
        let mut entries = BTreeSet::new();
        for event in events {
            // One about the directory itself, one above it, or an overrun.
            let Some(name) = event.name.filter(|_| Some(event.wd) == own && own == self.own) else {
                return Ok(Changed::Everything);
            };
            entries.insert(name);
        }
        Ok(Changed::Entries(entries))
    }

    /// The names of the entries that are `wanted` and there now.
    pub(super) fn names(&self, wanted: impl Fn(&OsStr) -> bool) -> Vec<OsString> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
        names.filter(|name| wanted(name)).take(MAX_ENTRIES).collect()
    }

    /// The path of an entry.
    pub(super) fn entry(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The last `most` bytes of the regular file of this name; `None` when it cannot be read.
    pub(super) fn read_end(&self, name: &OsStr, most: usize) -> Option<Vec<u8>> {
        let path = self.entry(name);
        match read_end(&path, most) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                // It may be gone already.
                tracing::debug!(file = %path.display(), %error, "a file could not be read");
                None
            }
        }
    }

    /// Watches what there is to watch. Watching the same directory again changes nothing; one above is watched
    /// before what is below it is looked for again, so that its coming is never missed.
    fn follow(&mut self) {
        loop {
            let news = self.news | AddWatchFlags::IN_ONLYDIR | GOING;
            self.own = self.inotify.add_watch(&self.path, news).ok();
            if self.own.is_some() {
                self.leave_above();
                return;
            }
            let watched = self.path.ancestors().skip(1).find_map(|above| {
                let watch = self.inotify.add_watch(above, COMING | GOING).ok()?;
                Some((above.to_owned(), watch))
            });
            if watched == self.above {
                if watched.is_none() {
                    tracing::warn!(directory = %self.path.display(), "it cannot be noticed when this comes");
                }
                return;
            }
            self.leave_above();
            self.above = watched;
        }
    }

    fn leave_above(&mut self) {
        if let Some((_, watch)) = self.above.take() {
            // It may be gone itself.
            let _ = self.inotify.rm_watch(watch);
        }
    }
}

fn read_end(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for its writer.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_directory_is_noticed_however_many_are_missing_above_it() {
        let top = std::env::temp_dir().join(format!("mifd-directory-{}", std::process::id()));
        let path = top.join("a/b");
        let mut directory = Directory::watch(path.clone(), COMING).unwrap();
        for _ in 0..2 {
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("file"), "0123456789").unwrap();
            while directory.names(|name| name == "file").is_empty() {
                tokio::time::timeout(Duration::from_secs(20), directory.changed()).await.unwrap().unwrap();
            }
            assert_eq!(directory.read_end(OsStr::new("file"), 4).unwrap(), b"6789");
            assert_eq!(directory.read_end(OsStr::new("file"), 40).unwrap(), b"0123456789");
            assert_eq!(directory.read_end(OsStr::new("."), 40), None);
            fs::remove_dir_all(&top).unwrap();
            while directory.above.is_none() {
                tokio::time::timeout(Duration::from_secs(20), directory.changed()).await.unwrap().unwrap();
            }
        }
    }
}
