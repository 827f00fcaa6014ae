//! Daemons of other projects that are unpacked for the universes, never installed: NetworkManager,
//! polkitd, avahi and the like (packaging/deps/unpacked.txt).

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount as mount_at};

use crate::filesystem::{copy_missing, profile_folder};

/// Lays the files of the unpacked packages over `/usr`, `/etc` and `/var` of this universe; what
/// starts from now on finds them as if they were installed. To be called first in a test.
///
/// # Panics
/// When they are not unpacked: the message says which command does it.
#[track_caller]
pub fn mount() {
    let files = folder().expect("the folder of this program");
    assert!(
        files.join("usr").is_dir(),
        "the packages of packaging/deps/unpacked.txt are not unpacked in {}: run `cargo xtask peers`",
        files.display()
    );
    lay_over(&files).unwrap_or_else(|error| panic!("cannot lay {} over /usr: {error}", files.display()));
}

/// The same where it is no matter whether they are: a benchmark names the peers that it cannot measure.
///
/// # Panics
/// When they are unpacked and cannot be laid there.
#[track_caller]
pub fn mount_if_unpacked() {
    if folder().is_ok_and(|files| files.join("usr").is_dir()) {
        mount();
    }
}

/// `peers/root` in the build folder, which `cargo xtask` fills.
fn folder() -> io::Result<PathBuf> {
    let profile = profile_folder()?;
    Ok(profile.parent().unwrap_or(&profile).join("peers/root"))
}

/// Lays `usr` of a folder over `/usr`, and copies what is in `etc` and `var` of it.
///
/// # Errors
/// When something cannot be mounted or copied.
pub(crate) fn lay_over(files: &Path) -> io::Result<()> {
    let layers = format!("lowerdir={}:/usr", escaped(&files.join("usr")));
    mount_at(Some("overlay"), "/usr", Some("overlay"), MsFlags::MS_RDONLY, Some(layers.as_str()))?;
    for folder in ["etc", "var"] {
        let from = files.join(folder);
        if from.is_dir() {
            copy_missing(&from, &Path::new("/").join(folder))?;
        }
    }
    Ok(())
}

/// The path as a mount option takes it: `:` parts layers and `,` parts options.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}
