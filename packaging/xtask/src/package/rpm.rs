//! RPM packages, made by rpmbuild from packaging/rpm/mif.spec.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::contents::{self, Layout};
use super::{Release, copy, fresh, lines};
use crate::command;
use crate::error::Error;

/// Makes the packages, installs them into an empty root, compares the files there with Debian's, and has rpmlint look.
///
/// # Errors
/// When one cannot be made or installed, rpmlint finds an error, or a file is missing, too much or another one.
pub fn package(release: &Release) -> Result<(), Error> {
    let top = release.output.join("rpm");
    fresh(&top)?;
    let sources = top.join("SOURCES");
    fs::create_dir_all(&sources).map_err(|source| Error::File { path: sources.clone(), source })?;
    if let Some(name) = release.source.file_name() {
        copy(&release.source, &sources.join(name))?;
    }
    copy(&release.packaging("sysusers/mif.conf"), &sources.join("mif.conf"))?;
    let specification = release.packaging("rpm/mif.spec");
    let mut build = Command::new("rpmbuild");
    build.args(["-bb", "--quiet", "--nodeps", "--define"]).arg(format!("_topdir {}", top.display()));
    // They were built already, from the same archive.
    build.arg("--define").arg(format!("mif_programs {}", release.programs.display()));
    // Nothing is done to what the list says: the programs are stripped, and the specification compresses man pages.
    build.args(["--define", "__os_install_post %{nil}"]);
    // As on Fedora and openSUSE: folders of documents and licences are named without the version.
    build.args(["--define", "_docdir_fmt %%{NAME}"]);
    build.args(["--define", "clamp_mtime_to_source_date_epoch 1", "--define", "_buildhost localhost"]);
    if !release.has_applet() {
        build.args(["--without", "applet"]);
    }
    command::run(build.arg(&specification).env("SOURCE_DATE_EPOCH", &release.epoch))?;
    let mut find = Command::new("find");
    find.arg(top.join("RPMS")).args(["-name", &format!("*-{}-*.rpm", release.version)]);
    let made = lines(&mut find)?;
    for path in made.iter().map(Path::new) {
        if let Some(name) = path.file_name() {
            copy(path, &release.output.join(name))?;
        }
    }
    let root = release.output.join("rpm-root");
    install(&root, &made)?;
    // Where Fedora has one folder for all programs, it is that.
    let sbin = lines(Command::new("rpm").args(["--eval", "%{_sbindir}"]))?.concat();
    let layout = Layout { kind: "RPM", sbin: &sbin, zsh: "/usr/share/zsh/site-functions" };
    contents::compare(release, &layout, &root)?;
    command::run(
        Command::new("rpmlint")
            .arg("--config")
            .arg(release.packaging("rpm/rpmlint.toml"))
            .arg(top.join("RPMS")),
    )
}

/// Installs the packages without what they depend on, and without their scripts, which need a system.
fn install(root: &Path, packages: &[String]) -> Result<(), Error> {
    fresh(root)?;
    let mut rpm = contents::as_root_of("rpm");
    rpm.args(["--install", "--nodeps", "--noscripts", "--nosignature", "--dbpath", "/var/lib/rpm", "--root"]);
    rpm.arg(root);
    command::run(rpm.args(packages))
}
