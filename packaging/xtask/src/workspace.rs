//! Where things are, and cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::Error;

/// The folder of the workspace.
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// The version of everything in the workspace.
pub const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The folder of the build; this program lies in `debug` of it.
///
/// # Errors
/// When the path of this program is not known.
pub fn target() -> Result<PathBuf, Error> {
    let program = std::env::current_exe().map_err(|source| Error::File { path: "xtask".into(), source })?;
    Ok(program.ancestors().nth(2).map_or_else(|| root().join("target"), Path::to_owned))
}

/// A built program.
///
/// # Errors
/// When the path of this program is not known.
pub fn program(name: &str, profile: Profile) -> Result<PathBuf, Error> {
    Ok(target()?.join(profile.folder()).join(name))
}

/// The cargo that started this program, in the workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(root());
    cargo
}

/// Builds programs. As much of the workspace as there is a use for at once: for a part of it cargo would choose
/// other features of the dependencies and build them a second time.
///
/// # Errors
/// When it does not build.
pub fn build(profile: Profile, programs: Programs) -> Result<(), Error> {
    let mut cargo = cargo();
    cargo.args(["build", "--workspace", "--bins", "--locked"]);
    if programs == Programs::WithoutDesktop {
        cargo.args(["--exclude", "mif-applet"]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)
}

/// Which programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Every one.
    All,
    /// All but the applet, so that nobody needs GTK for the service.
    WithoutDesktop,
}

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quickly.
    Dev,
    /// As for users.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}
