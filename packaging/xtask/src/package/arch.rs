//! Packages for Arch Linux, made by makepkg from packaging/arch/PKGBUILD.

use std::path::Path;
use std::process::Command;

use super::{Release, copy, fresh, lines};
use crate::command::{self, is_root};
use crate::error::Error;
use crate::workspace;

/// Who runs makepkg when this is root: it refuses to be that.
const NOBODY: &str = "65534";

/// Makes the packages and compares their files with the list.
///
/// # Errors
/// When one cannot be made, or a file is missing or too much.
pub fn package(release: &Release) -> Result<(), Error> {
    let folder = release.output.join("arch");
    fresh(&folder)?;
    copy(&workspace::root().join("packaging/arch/PKGBUILD"), &folder.join("PKGBUILD"))?;
    let archive = release.source.file_name().map(|name| folder.join(name)).unwrap_or_default();
    copy(&release.source, &archive)?;
    make(release, &folder)?;
    for package in &release.packages {
        let mut find = Command::new("find");
        find.arg(&folder).args(["-name", &format!("{package}-{}-*.pkg.tar.*", release.version)]);
        let made = lines(&mut find)?.concat();
        let files = lines(Command::new("tar").args(["--list", "--file", &made]))?;
        let files = files.into_iter().filter(|path| !path.starts_with('.') && !path.ends_with('/'));
        same_files(release, package, files.map(|path| format!("/{path}")).collect())?;
        if let Some(name) = Path::new(&made).file_name() {
            copy(Path::new(&made), &release.output.join(name))?;
        }
    }
    Ok(())
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
    command::run(make.env("HOME", folder).env("PKGEXT", ".pkg.tar.zst"))
}

/// Whether a package holds the files of the list, man pages compressed, and nothing else but its license.
///
/// # Errors
/// When it does not.
pub fn same_files(release: &Release, package: &str, files: Vec<String>) -> Result<(), Error> {
    let mut wanted = release.list(package)?;
    for path in wanted.iter_mut().filter(|path| path.starts_with("/usr/share/man/")) {
        path.push_str(".gz");
    }
    let mut files: Vec<String> =
        files.into_iter().filter(|path| !path.starts_with("/usr/share/licenses/")).collect();
    wanted.sort();
    files.sort();
    if files == wanted {
        return Ok(());
    }
    let differing = |one: &[String], other: &[String]| {
        one.iter().filter(|path| !other.contains(path)).cloned().collect::<Vec<_>>().join(" ")
    };
    Err(Error::OtherFiles {
        package: package.to_owned(),
        missing: differing(&wanted, &files),
        too_much: differing(&files, &wanted),
    })
}
