//! The programs of a release: built offline, with nothing of this machine in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, say};
use crate::error::Error;
use crate::workspace;

/// The packages whose programs must be the same bytes wherever and whenever they are built. Each is named like its crate
/// and its program.
pub const REPRODUCIBLE: [&str; 2] = ["mifd", "mifctl"];

/// Unpacks the source archive in `folder` and builds it there. Returns the folder of the programs.
///
/// What an earlier call compiled of other people's crates is used again: their sources are told apart by version and
/// checksum. Everything of the workspace is compiled anew.
///
/// # Errors
/// When it does not build.
pub fn programs(folder: &Path, source: &Path, version: &str, packages: &[&str]) -> Result<PathBuf, Error> {
    let tree = unpack(folder, source, version)?;
    // Together cargo would choose features of common crates for all of them, and programs would differ by what else
    // is built.
    let (reproducible, others): (Vec<&str>, Vec<&str>) =
        packages.iter().partition(|name| REPRODUCIBLE.contains(name));
    for packages in [reproducible, others].into_iter().filter(|packages| !packages.is_empty()) {
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

/// Makes `folder/mif-VERSION` what the archive holds, apart from what was compiled there.
fn unpack(folder: &Path, source: &Path, version: &str) -> Result<PathBuf, Error> {
    let tree = folder.join(format!("mif-{version}"));
    let error = |source| Error::File { path: tree.clone(), source };
    fs::create_dir_all(&tree).map_err(error)?;
    let mut clear = Command::new("find");
    clear.arg(&tree).args(["-mindepth", "1", "-maxdepth", "1", "-not", "-name", "target"]);
    command::run(clear.args(["-exec", "rm", "--recursive", "--force", "{}", "+"]))?;
    command::run(
        Command::new("tar").arg("--extract").arg("--file").arg(source).arg("--directory").arg(folder),
    )?;
    // In the archive all files are of one age, by which cargo would take them for unchanged.
    let mut touch = Command::new("find");
    touch.arg(&tree).args(["(", "-name", "vendor", "-o", "-name", "target", ")", "-prune", "-o"]);
    command::run(touch.args(["-type", "f", "-exec", "touch", "{}", "+"]))?;
    Ok(tree)
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
