//! Packages for Arch Linux, made by makepkg from packaging/arch/PKGBUILD.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::contents::{self, Layout};
use super::{Release, copy, fresh, lines};
use crate::command::{self, is_root};
use crate::error::Error;

/// Who runs makepkg when this is root: it refuses to be that.
const NOBODY: &str = "65534";

/// What packaging/arch/PKGBUILD says.
const LAYOUT: Layout<'static> =
    Layout { kind: "Arch", sbin: "/usr/bin", zsh: "/usr/share/zsh/site-functions" };

/// What Arch's package `filesystem` has in place of folders, and what they lead to. pacman puts no file below one of them.
const LINKS: [(&str, &str); 6] = [
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib"),
    ("sbin", "usr/bin"),
    ("usr/lib64", "lib"),
    ("usr/sbin", "bin"),
];

/// Makes the packages, installs them into an empty root, and compares the files there with Debian's.
///
/// # Errors
/// When one cannot be made or installed, or a file is missing, too much or another one.
pub fn package(release: &Release) -> Result<(), Error> {
    let folder = release.output.join("arch");
    fresh(&folder)?;
    for name in ["PKGBUILD", "mifd.install"] {
        copy(&release.packaging("arch").join(name), &folder.join(name))?;
    }
    let archive = release.source.file_name().map(|name| folder.join(name)).unwrap_or_default();
    copy(&release.source, &archive)?;
    make(release, &folder)?;
    let mut find = Command::new("find");
    find.arg(&folder).args(["-maxdepth", "1", "-name", &format!("*-{}-*.pkg.tar.*", release.version)]);
    let made = lines(&mut find)?;
    for path in made.iter().map(Path::new) {
        if let Some(name) = path.file_name() {
            copy(path, &release.output.join(name))?;
        }
    }
    let root = release.output.join("arch-root");
    empty_root(&root)?;
    install(&root, &made)?;
    contents::compare(release, &LAYOUT, &root)
}

/// A root as on Arch, with nothing in it.
fn empty_root(root: &Path) -> Result<(), Error> {
    fresh(root)?;
    for folder in ["usr/bin", "usr/lib", "var/lib/pacman"] {
        fresh(&root.join(folder))?;
    }
    for (name, target) in LINKS {
        let path = root.join(name);
        symlink(target, &path).map_err(|source| Error::File { path, source })?;
    }
    Ok(())
}

/// Installs the packages without what they depend on, and without their scripts, which need a system.
fn install(root: &Path, packages: &[String]) -> Result<(), Error> {
    let mut pacman = contents::as_root_of("pacman");
    pacman.args(["--upgrade", "--noconfirm", "--noprogressbar", "--nodeps", "--nodeps", "--noscriptlet"]);
    pacman.args(["--config", "/dev/null", "--logfile", "/dev/null", "--root"]).arg(root);
    pacman.arg("--dbpath").arg(root.join("var/lib/pacman")).arg("--cachedir").arg(root.join("var/cache"));
    pacman.arg("--hookdir").arg(root.join("var/cache"));
    command::run(pacman.args(packages))
}

fn make(release: &Release, folder: &Path) -> Result<(), Error> {
    let mut make = if is_root() {
        command::run(Command::new("chown").args(["-R", NOBODY]).arg(folder))?;
        let mut make = Command::new("setpriv");
        make.args(["--reuid", NOBODY, "--clear-groups", "makepkg"]);
        make
    } else {
        Command::new("makepkg")
    };
    make.args(["--nodeps", "--skipinteg", "--force", "--noprogressbar"]).current_dir(folder);
    // They were built already, from the same archive.
    make.env("MIF_PROGRAMS", &release.programs).env("SOURCE_DATE_EPOCH", &release.epoch);
    if !release.has_applet() {
        make.env("MIF_WITHOUT_APPLET", "1");
    }
    command::run(make.env("HOME", folder).env("PKGEXT", ".pkg.tar.zst"))
}
