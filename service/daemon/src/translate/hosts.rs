//! The host table of this machine, read again when its file changes.

use mif_core::hosts::HostTable;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Larger files are taken for a mistake (block lists have a few megabytes).
const LARGEST: u64 = 32 << 20;

/// A host table in a file.
#[derive(Debug)]
pub(super) struct Hosts {
    path: PathBuf,
    read: RwLock<Version>,
}

/// What was read, and what the file looked like then.
#[derive(Clone, Debug, Default)]
struct Version {
    stamp: Option<Stamp>,
    table: Arc<HostTable>,
}

/// Changes whenever the file does: editors replace it (inode) or write to it (times, size).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Hosts {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: RwLock::default() }
    }

    /// The table as the file has it now. A file that is missing, unreadable or too large is an empty table.
    pub(super) async fn table(&self) -> Arc<HostTable> {
        let stamp = std::fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        let known = self.read.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.stamp == stamp {
            return known.table;
        }
        let path = self.path.clone();
        let version = tokio::task::spawn_blocking(move || load(&path, stamp)).await.unwrap_or_default();
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = version.clone();
        version.table
    }
}

/// Reads the file. Its stamp is taken from the open file, so that a table never gets the stamp of another one.
fn load(path: &Path, seen: Option<Stamp>) -> Version {
    match read(path) {
        Ok((stamp, bytes)) => Version { stamp: Some(stamp), table: Arc::new(HostTable::parse(&bytes)) },
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "host table not read");
            }
            Version { stamp: seen, table: Arc::default() }
        }
    }
}

fn read(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    // Not blocking: something else than a file could wait for ever.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {} MiB", LARGEST >> 20),
        ));
    }
    Ok((Stamp::of(&metadata), bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    /// A directory of its own that goes with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mifd-hosts-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    async fn printer(hosts: &Hosts) -> Vec<IpAddr> {
        hosts.table().await.addresses("printer").to_vec()
    }

    #[tokio::test]
    async fn changes_of_the_file_are_seen() {
        let directory = Directory::new("changes");
        let path = directory.0.join("hosts");
        let hosts = Hosts::new(path.clone());
        assert!(printer(&hosts).await.is_empty(), "there is no file yet");
        std::fs::write(&path, "192.0.2.1 printer\n").unwrap();
        assert_eq!(printer(&hosts).await, [IpAddr::from([192, 0, 2, 1])]);
        // Of the same size, and put in place as editors do.
        std::fs::write(directory.0.join("new"), "192.0.2.2 printer\n").unwrap();
        std::fs::rename(directory.0.join("new"), &path).unwrap();
        assert_eq!(printer(&hosts).await, [IpAddr::from([192, 0, 2, 2])]);
        std::fs::remove_file(&path).unwrap();
        assert!(printer(&hosts).await.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_table_is_an_empty_one() {
        let directory = Directory::new("large");
        let path = directory.0.join("hosts");
        std::fs::write(&path, "192.0.2.1 printer\n").unwrap();
        File::options().write(true).open(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(printer(&Hosts::new(path)).await.is_empty());
        assert!(printer(&Hosts::new(directory.0.clone())).await.is_empty());
        let fifo = directory.0.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(printer(&Hosts::new(fifo)).await.is_empty());
    }
}
