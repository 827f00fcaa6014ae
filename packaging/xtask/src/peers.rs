//! Packages that are unpacked for the universes of tests, never installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{self, cannot_start, is_root, say};
use crate::error::Error;
use crate::workspace;

/// The list, in the workspace.
const LIST: &str = "packaging/deps/unpacked.txt";

/// Written last into the folder of the peers: the list that it was made from.
const STAMP: &str = "unpacked.txt";

/// Folders that are links into `/usr` on Debian since 12; packages still name them.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Sees to it that `peers` in the build folder holds the files of the packages in the list and of
/// what they depend on as far as this machine lacks it. Nothing is downloaded when they are there.
///
/// # Errors
/// When apt-get or dpkg-deb fails, or the folder cannot be written.
pub fn ensure() -> Result<(), Error> {
    let list = read(&workspace::root().join(LIST))?;
    let folder = workspace::target()?.join("peers");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|made_from| made_from == list) {
        return Ok(());
    }
    let packages = parse(&list)?;
    say(&format!("unpacking {} into {}", packages.join(" "), folder.display()));
    if is_root() {
        command::run(apt_get().arg("update"))?;
    }
    remove(&folder)?;
    let files = folder.join("root");
    prepare(&files)?;
    let archives = download(&packages, &folder.join("archives"))?;
    for archive in archives {
        unpack(&archive, &files)?;
    }
    write(&folder.join(STAMP), &list)
}

fn parse(list: &str) -> Result<Vec<&str>, Error> {
    let lines = list.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some(package), Some(_why)) => Ok(package),
                _ => Err(Error::PackageList {
                    list: LIST,
                    line: index + 1,
                    text: line.to_owned(),
                    form: "package why",
                }),
            }
        })
        .collect()
}

/// The skeleton of a merged `/usr`, so that what packages put into `/lib` comes to lie in `/usr/lib`.
fn prepare(files: &Path) -> Result<(), Error> {
    for name in MERGED {
        let inside = Path::new("usr").join(name);
        create(&files.join(&inside))?;
        let link = files.join(name);
        symlink(&inside, &link).map_err(|source| Error::File { path: link, source })?;
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["--quiet", "-o", "DPkg::Lock::Timeout=600"]);
    if is_root() {
        // Else it would want to become a user who cannot write into the build folder.
        apt.args(["-o", "APT::Sandbox::User=root"]);
    }
    apt
}

/// Downloads what installing `packages` would bring. Returns the archives.
fn download(packages: &[&str], to: &Path) -> Result<Vec<PathBuf>, Error> {
    create(to)?;
    let mut plan = apt_get();
    plan.args(["--simulate", "--no-install-recommends", "install"]).args(packages);
    let output = command::output(plan.env("LC_ALL", "C"))?;
    if !output.status.success() {
        say(&String::from_utf8_lossy(&output.stderr));
        return Err(Error::Failed { command: command::text(&plan), status: output.status });
    }
    let needed = to_download(&String::from_utf8_lossy(&output.stdout));
    if !needed.is_empty() {
        command::run(apt_get().arg("download").args(needed).current_dir(to).stdout(Stdio::null()))?;
    }
    let entries = fs::read_dir(to).map_err(|source| Error::File { path: to.to_owned(), source })?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// `package=version` of each line `Inst package [installed] (version origin ...)`.
fn to_download(plan: &str) -> Vec<String> {
    let lines = plan.lines().filter_map(|line| line.strip_prefix("Inst "));
    let packages = lines.filter_map(|line| {
        let name = line.split_whitespace().next()?;
        let version = line.split_once('(')?.1.split_whitespace().next()?;
        Some(format!("{name}={version}"))
    });
    packages.collect()
}

/// Unlike `dpkg-deb --extract` this follows the links of [`MERGED`] instead of replacing them.
fn unpack(archive: &Path, files: &Path) -> Result<(), Error> {
    let mut contents = Command::new("dpkg-deb");
    contents.arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped());
    let mut reading = contents.spawn().map_err(|source| cannot_start(&contents, source))?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--keep-directory-symlink", "--no-same-owner", "--directory"]).arg(files);
    if let Some(output) = reading.stdout.take() {
        tar.stdin(output);
    }
    let unpacked = command::run(&mut tar);
    let status = reading.wait().map_err(|source| cannot_start(&contents, source))?;
    unpacked?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: command::text(&contents), status }) }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn create(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { path: folder.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_list_in_the_tree_is_understood() {
        let list = read(&workspace::root().join(LIST)).unwrap();
        assert!(parse(&list).unwrap().contains(&"network-manager"));
    }

    #[test]
    fn a_line_without_a_reason_is_named() {
        let error = parse("# comment\n\nunbound\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn the_plan_of_apt_is_read() {
        let plan = "Reading package lists...\n\
                    Inst libudev1 [252.38-1] (252.39-1 Debian:12.15/oldstable [amd64])\n\
                    Inst knot (3.2.6-1 Debian:12.15/oldstable [amd64]) []\n\
                    Conf knot (3.2.6-1 Debian:12.15/oldstable [amd64])\n";
        assert_eq!(to_download(plan), ["libudev1=252.39-1", "knot=3.2.6-1"]);
    }
}
