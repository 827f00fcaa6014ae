//! `cargo xtask test --system`: the packages in a real Debian with systemd as PID 1.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, is_root, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::package::{self, Kind};
use crate::workspace::{self, Profile, Programs};

/// The Debian that is booted, and what is in it before the packages are.
const SUITE: &str = "bookworm";
const INCLUDED: &str = "systemd,systemd-sysv,dbus,polkitd,iproute2,libpam-systemd,passwd";

/// Makes the packages, a system for them, and runs the tests of both.
///
/// # Errors
/// When something of it cannot be made, a test fails, or this is not root.
pub fn test(dependencies: &Dependencies) -> Result<(), Error> {
    if !is_root() {
        return Err(Error::NoSystem);
    }
    dependencies.ensure(&[Purpose::Build, Purpose::Run, Purpose::Test, Purpose::Package, Purpose::System])?;
    let folder = workspace::target()?.join("system");
    fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    make_root(&folder.join("root.tar"))?;
    let made = package::make(&[Kind::Deb])?;
    let packages = folder.join("packages");
    if packages.symlink_metadata().is_ok() {
        fs::remove_file(&packages).map_err(|source| Error::File { path: packages.clone(), source })?;
    }
    std::os::unix::fs::symlink(&made, &packages).map_err(|source| Error::File { path: packages, source })?;
    workspace::build(Profile::Dev, Programs::WithoutDesktop)?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--locked", "--package=mif-tests", "--features=system", "--test=system"]);
    // Each of them boots a system.
    command::run(cargo.args(["--", "--test-threads=2"]).env("MIF_SYSTEM", folder))?;
    say("the packages passed all tests in a real system");
    Ok(())
}

/// The archive of a small Debian; made once.
fn make_root(archive: &Path) -> Result<(), Error> {
    if archive.exists() {
        return Ok(());
    }
    say(&format!("making a Debian {SUITE}; this takes two minutes, once"));
    let unfinished = archive.with_extension("part.tar");
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", &format!("--include={INCLUDED}"), SUITE]);
    command::run(make.arg(&unfinished))?;
    fs::rename(&unfinished, archive).map_err(|source| Error::File { path: archive.to_owned(), source })
}
