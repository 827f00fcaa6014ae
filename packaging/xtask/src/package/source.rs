//! The source archive: the workspace as it is committed, every crate that it needs, and what those are licensed under.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{every_package, notices};
use crate::command::{self, cannot_start};
use crate::error::Error;
use crate::workspace;

/// Makes `mif-VERSION.tar.zst` in `folder`. Building it needs no network.
///
/// # Errors
/// When this is no clone of the repository, or a crate cannot be had.
pub fn archive(folder: &Path, version: &str, epoch: &str) -> Result<PathBuf, Error> {
    let name = format!("mif-{version}");
    let tree = tree(folder, version);
    check_out(&tree)?;
    vendor(&tree)?;
    let packages = every_package()?;
    notices::add(&tree, &packages.iter().map(String::as_str).collect::<Vec<_>>())?;
    let archive = folder.join(format!("{name}.tar.zst"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--zstd", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime=@{epoch}")).arg("--file").arg(&archive);
    command::run(tar.arg("--directory").arg(folder.join("source")).arg(name))?;
    Ok(archive)
}

/// What [`archive`] in `folder` was made of.
pub fn tree(folder: &Path, version: &str) -> PathBuf {
    folder.join("source").join(format!("mif-{version}"))
}

/// What is committed, and nothing that merely lies around.
fn check_out(tree: &Path) -> Result<(), Error> {
    fs::create_dir_all(tree).map_err(|source| Error::File { path: tree.to_owned(), source })?;
    let mut git = Command::new("git");
    // Files are copied from the tree into packages: nobody but their owner writes them.
    git.args(["-c", "tar.umask=0022", "archive", "--format=tar", "HEAD"])
        .current_dir(workspace::root())
        .stdout(Stdio::piped());
    let mut archiving = git.spawn().map_err(|source| cannot_start(&git, source))?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--directory").arg(tree);
    if let Some(output) = archiving.stdout.take() {
        tar.stdin(output);
    }
    let extracted = command::run(&mut tar);
    let status = archiving.wait().map_err(|source| cannot_start(&git, source))?;
    extracted?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: command::text(&git), status }) }
}

/// Puts the sources of all crates into the tree and tells cargo, which writes how on its standard output, to use them.
fn vendor(tree: &Path) -> Result<(), Error> {
    let config = tree.join(".cargo/config.toml");
    let error = |source| Error::File { path: config.clone(), source };
    let mut appended: File = OpenOptions::new().append(true).create(true).open(&config).map_err(error)?;
    appended.write_all(b"\n").map_err(error)?;
    let mut cargo = workspace::cargo();
    cargo.args(["vendor", "--quiet", "--locked", "vendor"]).current_dir(tree).stdout(appended);
    command::run(&mut cargo)
}
