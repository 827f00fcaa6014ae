//! RPM packages, made by rpmbuild from packaging/rpm/mif.spec.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Release, copy, fresh, lines};
use crate::command;
use crate::error::Error;
use crate::workspace;

/// Makes the packages, has rpmlint look at them, and compares their files with the list.
///
/// # Errors
/// When one cannot be made, rpmlint finds an error, or a file is missing or too much.
pub fn package(release: &Release) -> Result<(), Error> {
    let top = release.output.join("rpm");
    fresh(&top)?;
    let sources = top.join("SOURCES");
    fs::create_dir_all(&sources).map_err(|source| Error::File { path: sources.clone(), source })?;
    if let Some(name) = release.source.file_name() {
        copy(&release.source, &sources.join(name))?;
    }
    let specification = workspace::root().join("packaging/rpm/mif.spec");
    let mut build = Command::new("rpmbuild");
    build.args(["-bb", "--quiet", "--nodeps", "--define"]).arg(format!("_topdir {}", top.display()));
    // They were built already, from the same archive.
    build.arg("--define").arg(format!("mif_programs {}", release.programs.display()));
    build.args(["--define", "clamp_mtime_to_source_date_epoch 1", "--define", "_buildhost localhost"]);
    command::run(build.arg(&specification).env("SOURCE_DATE_EPOCH", &release.epoch))?;
    for package in &release.packages {
        let file = made(&top, package, &release.version)?;
        compare(release, package, &file)?;
        if let Some(name) = file.file_name() {
            copy(&file, &release.output.join(name))?;
        }
    }
    command::run(
        Command::new("rpmlint")
            .arg("--config")
            .arg(workspace::root().join("packaging/rpm/rpmlint.toml"))
            .arg(top.join("RPMS")),
    )
}

/// The archive of one package: `RPMS/ARCHITECTURE/NAME-VERSION-...`.
fn made(top: &Path, package: &str, version: &str) -> Result<PathBuf, Error> {
    let mut find = Command::new("find");
    find.arg(top.join("RPMS")).args(["-name", &format!("{package}-{version}-*.rpm")]);
    let found = lines(&mut find)?.into_iter().next();
    found.map(PathBuf::from).ok_or_else(|| Error::NoStanza { package: package.to_owned() })
}

/// Whether a package holds the files of the list, man pages compressed, and nothing else.
fn compare(release: &Release, package: &str, archive: &Path) -> Result<(), Error> {
    let files = lines(Command::new("rpm").args(["--query", "--list", "--package"]).arg(archive))?;
    super::arch::same_files(release, package, files)
}
