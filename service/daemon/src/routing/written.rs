//! The list of marks, on a file system that lasts as long as the boot.

use super::error::RoutingError;
use mif_core::routing::{Mark, MarkSpace, Owner, Register};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where it is unless the service manager names another folder.
const DIRECTORY: &str = "/run/mif";
/// In which variable systemd names it (RuntimeDirectory=, with RuntimeDirectoryPreserve=yes).
const NAMED: &str = "RUNTIME_DIRECTORY";
/// No more of it is read: more than all marks with the longest names.
const LONGEST: u64 = 64 << 20;

/// The open list.
#[derive(Debug)]
pub(super) struct Written {
    path: PathBuf,
    file: File,
}

impl Written {
    /// Opens the list for the network namespace `namespace`, and what earlier runs wrote. Each namespace has routing
    /// of its own, and so a list.
    pub(super) fn open(space: MarkSpace, namespace: u64) -> Result<(Self, Register), RoutingError> {
        let named = std::env::var_os(NAMED).filter(|named| !named.is_empty());
        let directory = named.map_or_else(|| PathBuf::from(DIRECTORY), PathBuf::from);
        let path = directory.join(format!("marks-{namespace}"));
        match Self::open_at(&path, space) {
            Ok(opened) => Ok(opened),
            Err(source) => Err(RoutingError::Written { path, source }),
        }
    }

    fn open_at(path: &Path, space: MarkSpace) -> io::Result<(Self, Register)> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o644).open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(LONGEST).read_to_end(&mut bytes)?;
        let mut register = Register::new(space);
        let mut damaged = 0_usize;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            damaged += usize::from(!register.remember(&String::from_utf8_lossy(line)));
        }
        if damaged > 0 {
            tracing::warn!(path = %path.display(), lines = damaged, "the list of marks is damaged in places");
        }
        if bytes.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        Ok((Self { path: path.to_owned(), file }, register))
    }

    /// Writes down that `mark` is `owner`'s. One write, so that a process that ends leaves whole lines.
    pub(super) fn add(&mut self, owner: &Owner, mark: Mark) -> Result<(), RoutingError> {
        let line = Register::line(owner, mark);
        let before = self.file.seek(SeekFrom::End(0));
        self.file.write_all(line.as_bytes()).map_err(|source| {
            // A part of a line would be taken for a damaged one at the next start; it is no loss either way.
            if let Ok(length) = before {
                let _ = self.file.set_len(length);
            }
            RoutingError::Written { path: self.path.clone(), source }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("mifd-{name}-{}", std::process::id()))
    }

    #[test]
    fn what_is_written_is_remembered() {
        let folder = scratch("written");
        let path = folder.join("deep").join("marks-1");
        let owner = Owner { ifindex: 4, id: "pvd.example".to_owned() };
        let space = MarkSpace::default();
        let (mut list, mut register) = Written::open_at(&path, space).unwrap();
        let mark = register.give(&owner).unwrap();
        list.add(&owner, mark).unwrap();
        drop(list);
        // A line that was cut by a full disk.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"0x4d000005 4").unwrap();
        let (mut list, mut later) = Written::open_at(&path, space).unwrap();
        assert_eq!(later.mark_of(&owner), Some(mark));
        let other = Owner { ifindex: 5, ..owner.clone() };
        let next = later.give(&other).unwrap();
        assert_eq!(next, Mark(0x4d00_0006));
        list.add(&other, next).unwrap();
        let (_, last) = Written::open_at(&path, space).unwrap();
        assert_eq!((last.mark_of(&owner), last.mark_of(&other)), (Some(mark), Some(next)));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_there_is_no_list() {
        let error = Written::open_at(Path::new("/proc/mif/marks-1"), MarkSpace::default()).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied), "{error}");
    }
}
