//! `cargo xtask test --system`: the packages in a real Debian with systemd as PID 1.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, is_root, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::package::{self, Kind};
use crate::workspace::{self, Profile, Programs};

/// What is in the Debian that is booted before the packages are.
const INCLUDED: &str =
    "systemd,systemd-sysv,dbus,polkitd,iproute2,libpam-systemd,passwd,network-manager,autopkgtest,dpkg-dev";

/// Done in it once: a test starts what it is about.
const SETTLED: &str = "--customize-hook=chroot \"$1\" systemctl disable NetworkManager.service \
                       NetworkManager-wait-online.service NetworkManager-dispatcher.service \
                       systemd-networkd.service";

/// Where apt-get learns where this machine gets its packages from. Other people's archives are none of this.
const SOURCES: [&str; 3] = [
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
    "/etc/apt/sources.list",
];

/// The packages that are tested in it.
const TESTED: [&str; 2] = ["mifd", "mifctl"];

/// Written last beside the system: what it was made from.
const STAMP: &str = "root.txt";

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
    create(&folder)?;
    make_root(&folder)?;
    take_packages(&folder.join("packages"))?;
    workspace::build(Profile::Dev, Programs::WithoutDesktop)?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--locked", "--package=mif-tests", "--features=system", "--test=system"]);
    // Each of them boots a system.
    command::run(cargo.args(["--", "--test-threads=2"]).env("MIF_SYSTEM", folder))?;
    say("the packages passed all tests in a real system");
    Ok(())
}

/// The files of a small Debian, of the release that this machine has, since the packages are for that. Made once, and
/// again when it is to be another one; from then on nothing is downloaded.
fn make_root(folder: &Path) -> Result<(), Error> {
    let (suite, mirrors) = (suite()?, mirrors());
    let wanted = format!("{suite}\n{INCLUDED}\n{SETTLED}\n");
    let (root, stamp) = (folder.join("root"), folder.join(STAMP));
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(());
    }
    say(&format!("making a Debian {suite}; this takes two minutes, once"));
    remove(&stamp)?;
    remove(&root)?;
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", "--format=directory", &format!("--include={INCLUDED}")]);
    // Else apt's own user could not come in where the build folder is closed to others.
    make.args(["--aptopt=APT::Sandbox::User \"root\"", SETTLED, &suite]).arg(&root).args(mirrors);
    command::run(&mut make)?;
    fs::write(&stamp, wanted).map_err(|source| Error::File { path: stamp, source })
}

/// The code name of this machine's release.
fn suite() -> Result<String, Error> {
    let path = Path::new("/etc/os-release");
    let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let suite = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    suite.map(|suite| suite.trim_matches('"').to_owned()).ok_or(Error::NoSuite)
}

/// The first list of sources that is there; without one mmdebstrap takes Debian's own.
fn mirrors() -> Option<&'static str> {
    SOURCES.into_iter().find(|path| fs::metadata(path).is_ok_and(|found| found.len() > 0))
}

/// Makes the packages and copies those that are tested.
fn take_packages(to: &Path) -> Result<(), Error> {
    let made = package::make(&[Kind::Deb], &TESTED)?;
    remove(to)?;
    create(to)?;
    let error = |source| Error::File { path: made.clone(), source };
    for entry in fs::read_dir(&made).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let is_tested = |name: &str| TESTED.iter().any(|tested| name.starts_with(&format!("{tested}_")));
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_tested(name)) {
            let to = to.join(name);
            fs::copy(&path, &to).map_err(|source| Error::File { path: to, source })?;
        }
    }
    Ok(())
}

fn create(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })
}

/// Removes a file, a link or a folder with all that is in it, if there is any.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(|source| Error::File { path: path.to_owned(), source })
}
