//! The programs of a release: built offline, with nothing of this machine in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, say};
use crate::error::Error;
use crate::workspace;

/// The crates whose programs are packaged.
const CRATES: [&str; 3] = ["mifd", "mifctl", "mif-applet"];

/// Unpacks the source archive in `folder` and builds it there. Returns the folder of the programs.
///
/// # Errors
/// When it does not build.
pub fn programs(folder: &Path, source: &Path, version: &str) -> Result<PathBuf, Error> {
    super::fresh(folder)?;
    command::run(
        Command::new("tar").arg("--extract").arg("--file").arg(source).arg("--directory").arg(folder),
    )?;
    let tree = folder.join(format!("mif-{version}"));
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--frozen"]).current_dir(&tree);
    for name in CRATES {
        cargo.args(["--package", name]);
    }
    // Panics name source files; the folder in which they lay must not make a difference.
    let remap = format!("--remap-path-prefix={}=/usr/src/mif-{version}", tree.display());
    command::run(cargo.env("RUSTFLAGS", remap).env("CARGO_TARGET_DIR", tree.join("target")))?;
    Ok(tree.join("target/release"))
}

/// Whether two builds are the same bytes.
///
/// # Errors
/// When they are not.
pub fn compare(one: &Path, other: &Path) -> Result<(), Error> {
    for name in CRATES {
        let read = |folder: &Path| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| Error::File { path, source })
        };
        if read(one)? != read(other)? {
            return Err(Error::NotReproducible { program: name });
        }
        say(&format!("{name}: two builds, the same bytes"));
    }
    Ok(())
}
