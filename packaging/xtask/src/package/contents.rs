//! Whether packages of different kinds bring the same files: each kind is installed into an empty root by its own
//! tools, and compared with what the Debian packages bring.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Release, debian, fresh, notices};
use crate::command::{self, is_root};
use crate::error::Error;

/// What each distribution has of its own: changelogs, the package manager's database.
const OF_THE_DISTRIBUTION: [&str; 5] =
    ["/usr/share/lintian/", "/var/lib/rpm/", "/usr/lib/sysimage/", "/var/lib/pacman/", "/var/cache/"];

/// What each distribution says of mif's own licence, and the changelog that Debian's policy wants: folder and name.
const DOCUMENTS: [(&str, &str); 3] = [
    ("/usr/share/doc/", "/changelog.Debian.gz"),
    ("/usr/share/doc/", "/copyright"),
    ("/usr/share/licenses/", "/LICENSE"),
];

/// Where Debian has programs for the administrator.
const SBIN: &str = "/usr/sbin/";

/// Files by path, each with its mode and its contents.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// A command that is root of an empty root: itself, or by a user namespace. Its arguments are to follow.
pub fn as_root_of(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--"]).arg(program);
    command
}

/// What a distribution has in other places than Debian.
#[derive(Debug)]
pub struct Layout<'a> {
    /// Its kind of packages.
    pub kind: &'static str,
    /// The folder of programs for the administrator.
    pub sbin: &'a str,
    /// The folder of completions for zsh.
    pub zsh: &'a str,
}

impl Layout<'_> {
    /// A file of Debian's as it is to be here.
    fn place(&self, path: &str, contents: Vec<u8>) -> (String, Vec<u8>) {
        let moved = |folder: &str, to: &str| Some(format!("{to}/{}", path.strip_prefix(folder)?));
        let notices = path.strip_suffix(notices::NAME).and_then(|it| it.strip_prefix("/usr/share/doc/"));
        let place = notices.map(|package| format!("/usr/share/licenses/{package}{}", notices::NAME));
        let place = place.or_else(|| moved(SBIN, self.sbin));
        let place = place.or_else(|| moved("/usr/share/zsh/vendor-completions/", self.zsh));
        if path.starts_with("/usr/lib/systemd/system/") {
            // What a unit starts is where it is.
            let text = String::from_utf8_lossy(&contents);
            let text = text.replace(&format!("\nExecStart={SBIN}"), &format!("\nExecStart={}/", self.sbin));
            return (place.unwrap_or_else(|| path.to_owned()), text.into_bytes());
        }
        (place.unwrap_or_else(|| path.to_owned()), contents)
    }
}

/// Compares the files below `root` with those of the Debian packages.
///
/// # Errors
/// When a file is missing, too much or another one.
pub fn compare(release: &Release, layout: &Layout, root: &Path) -> Result<(), Error> {
    let kind = layout.kind;
    let place = |(path, (mode, contents)): (String, (u32, Vec<u8>))| {
        let (path, contents) = layout.place(&path, contents);
        (path, (mode, contents))
    };
    let expected: Files = files(&debian_root(release)?)?.into_iter().map(place).collect();
    let found = files(root)?;
    let missing: Vec<&str> =
        expected.keys().filter(|path| !found.contains_key(*path)).map(|it| &**it).collect();
    let too_much: Vec<&str> =
        found.keys().filter(|path| !expected.contains_key(*path)).map(|it| &**it).collect();
    let is_other = |path: &&String| found.get(*path).is_some_and(|other| Some(other) != expected.get(*path));
    let others: Vec<&str> = expected.keys().filter(is_other).map(|it| &**it).collect();
    if missing.is_empty() && too_much.is_empty() && others.is_empty() {
        command::say(&format!("{kind}: the same {} files as the Debian packages", found.len()));
        return Ok(());
    }
    let (missing, too_much, others) = (missing.join(" "), too_much.join(" "), others.join(" "));
    Err(Error::OtherFiles { kind, missing, too_much, others })
}

/// A root with the Debian packages in it.
fn debian_root(release: &Release) -> Result<PathBuf, Error> {
    let root = release.output.join("debian/installed");
    fresh(&root)?;
    for archive in debian::archives(release)? {
        command::run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&root))?;
    }
    Ok(root)
}

fn files(root: &Path) -> Result<Files, Error> {
    let mut found = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let error = |source| Error::File { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(error)? {
            let path = entry.map_err(error)?.path();
            let name = format!("/{}", path.strip_prefix(root).unwrap_or(&path).display());
            let metadata = path.symlink_metadata().map_err(error)?;
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_symlink() && path.is_dir() {
                // A folder that is another one, as it came with the root: its files are found there.
            } else if !is_of_the_distribution(&name) {
                let contents = fs::read(&path).map_err(|source| Error::File { path, source })?;
                found.insert(name, (metadata.permissions().mode(), contents));
            }
        }
    }
    Ok(found)
}

fn is_of_the_distribution(path: &str) -> bool {
    let is_document = |(folder, end): &(&str, &str)| path.starts_with(folder) && path.ends_with(end);
    DOCUMENTS.iter().any(is_document) || OF_THE_DISTRIBUTION.iter().any(|folder| path.starts_with(folder))
}
