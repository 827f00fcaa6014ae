//! The programs of a release: built offline, with nothing of this machine in them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::command::{self, say};
use crate::error::Error;
use crate::workspace;

/// The packages whose programs must be the same bytes wherever and whenever they are built. Each is named like its crate
/// and its program.
pub const REPRODUCIBLE: [&str; 2] = ["mifd", "mifctl"];

/// Where other people's crates are in the archive; cargo tells them apart by version and checksum.
const VENDORED: &str = "vendor";

/// Unpacks the source archive in `folder` and builds it there. Returns the folder of the programs.
///
/// What an earlier call compiled and is still the same is used again.
///
/// # Errors
/// When it does not build.
pub fn programs(folder: &Path, source: &Path, version: &str, packages: &[&str]) -> Result<PathBuf, Error> {
    let tree = unpack(folder, source, version)?;
    for packages in together(packages) {
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--release", "--frozen"]).current_dir(&tree);
        for name in packages {
            cargo.args(["--package", name]);
        }
        // Panics name source files; the folder in which they lay must not make a difference.
        let remap = format!("--remap-path-prefix={}=/usr/src/mif-{version}", tree.display());
        command::run(cargo.env("RUSTFLAGS", remap).env("CARGO_TARGET_DIR", tree.join("target")))?;
    }
    Ok(tree.join("target/release"))
}

/// The packages by what cargo builds in one go. In one for all it would choose features of common crates for all of them,
/// and programs would differ by what else is built.
pub fn together<'a>(packages: &[&'a str]) -> Vec<Vec<&'a str>> {
    let (reproducible, others): (Vec<&str>, Vec<&str>) =
        packages.iter().partition(|name| REPRODUCIBLE.contains(name));
    [reproducible, others].into_iter().filter(|packages| !packages.is_empty()).collect()
}

/// Makes `folder/mif-VERSION` what the archive holds, apart from what was compiled there.
fn unpack(folder: &Path, source: &Path, version: &str) -> Result<PathBuf, Error> {
    let name = format!("mif-{version}");
    let (tree, fresh) = (folder.join(&name), folder.join("fresh"));
    super::fresh(&fresh)?;
    command::run(
        Command::new("tar").arg("--extract").arg("--file").arg(source).arg("--directory").arg(&fresh),
    )?;
    let fresh = fresh.join(&name);
    let error = |source| Error::File { path: tree.clone(), source };
    keep_ages(&fresh, &tree).map_err(error)?;
    if tree.exists() {
        let compiled = tree.join("target");
        if compiled.exists() {
            fs::rename(&compiled, fresh.join("target")).map_err(error)?;
        }
        fs::remove_dir_all(&tree).map_err(error)?;
    }
    fs::rename(&fresh, &tree).map_err(error)?;
    Ok(tree)
}

/// Gives each file of the workspace its age in an earlier tree when it is the same there, else that of now: in the
/// archive all are of one age, by which cargo would take all for unchanged.
fn keep_ages(fresh: &Path, earlier: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(fresh)? {
        let entry = entry?;
        let (path, before) = (entry.path(), earlier.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if entry.file_name() != VENDORED {
                keep_ages(&path, &before)?;
            }
        } else if entry.file_type()?.is_file() {
            let same = fs::read(&before).is_ok_and(|bytes| fs::read(&path).is_ok_and(|own| own == bytes));
            let age = if same { before.metadata()?.modified()? } else { now };
            File::options().append(true).open(&path)?.set_modified(age)?;
        }
    }
    Ok(())
}

/// Whether two builds are the same bytes.
///
/// # Errors
/// When they are not.
pub fn compare(one: &Path, other: &Path) -> Result<(), Error> {
    for name in REPRODUCIBLE {
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
