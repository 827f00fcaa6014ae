//! `cargo xtask package`: packages for distributions, all from packaging/install.txt.

mod arch;
mod build;
mod contents;
mod debian;
mod licences;
mod linked;
mod notices;
mod rpm;
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::workspace;

/// Options of `cargo xtask package`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which kinds of packages; without one all of them
    #[arg(value_enum)]
    kinds: Vec<Kind>,
    /// Build the programs twice, in two folders, and fail unless they are the same bytes
    #[arg(long)]
    reproduce: bool,
    /// Leave mif-applet out, for which GTK is needed
    #[arg(long)]
    without_applet: bool,
}

/// What packages can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// For Debian and its relatives, checked by lintian.
    Deb,
    /// For Fedora, openSUSE and their relatives, checked by rpmlint.
    Rpm,
    /// For Arch Linux.
    Arch,
}

/// The package that only desktops want.
const APPLET: &str = "mif-applet";

/// What every kind of package is made from.
#[derive(Debug)]
struct Release {
    /// The names of the packages that are made.
    packages: Vec<String>,
    /// The version of the workspace.
    version: String,
    /// The time of the last entry of the changelog, in seconds since 1970: files are as old as this, so that
    /// two builds are the same bytes.
    epoch: String,
    /// Where the built programs are.
    programs: PathBuf,
    /// The archive with the sources of mif and of all crates.
    source: PathBuf,
    /// What that was made of. Packages of all kinds are made from this and not from the workspace, where work goes on.
    tree: PathBuf,
    /// Where packages come to lie.
    output: PathBuf,
}

/// Builds the programs offline from vendored sources, and packages of them.
///
/// # Errors
/// When something cannot be built, or a package does not pass its check.
pub fn package(dependencies: &Dependencies, options: &Options) -> Result<(), Error> {
    dependencies.ensure(&[Purpose::Build, Purpose::Package])?;
    let mut packages = every_package()?;
    if options.without_applet {
        packages.retain(|name| name != APPLET);
    } else {
        dependencies.ensure(&[Purpose::Desktop])?;
    }
    let release = Release::build(&packages)?;
    if options.reproduce {
        // Beside the output: one that was interrupted goes on where it was.
        let folder = workspace::target()?.join("package-build-again");
        let again = build::programs(&folder, &release.source, &release.version, &build::REPRODUCIBLE)?;
        build::compare(&release.programs, &again)?;
        fs::remove_dir_all(&folder).map_err(|source| Error::File { path: folder, source })?;
    }
    let kinds =
        if options.kinds.is_empty() { &[Kind::Deb, Kind::Rpm, Kind::Arch][..] } else { &options.kinds };
    release.package(kinds)?;
    say(&format!("the packages are in {}", release.output.display()));
    Ok(())
}

/// [`package`] for other commands, of some packages only. Returns the folder of the packages.
///
/// # Errors
/// As [`package`].
pub fn make(kinds: &[Kind], packages: &[&str]) -> Result<PathBuf, Error> {
    let release = Release::build(packages)?;
    release.package(kinds)?;
    Ok(release.output)
}

impl Release {
    fn build(packages: &[impl AsRef<str>]) -> Result<Self, Error> {
        let packages: Vec<&str> = packages.iter().map(AsRef::as_ref).collect();
        let target = workspace::target()?;
        let output = target.join("package");
        fresh(&output)?;
        let version = workspace::version().to_owned();
        let epoch = epoch()?;
        let source = source::archive(&output, &version, &epoch)?;
        let programs = build::programs(&target.join("package-build"), &source, &version, &packages)?;
        let packages = packages.into_iter().map(str::to_owned).collect();
        let tree = source::tree(&output, &version);
        Ok(Self { packages, version, epoch, programs, source, tree, output })
    }

    fn package(&self, kinds: &[Kind]) -> Result<(), Error> {
        kinds.iter().try_for_each(|kind| match kind {
            Kind::Deb => debian::package(self),
            Kind::Rpm => rpm::package(self),
            Kind::Arch => arch::package(self),
        })
    }

    fn has_applet(&self) -> bool {
        self.packages.iter().any(|name| name == APPLET)
    }

    /// A file of the folder packaging.
    fn packaging(&self, name: &str) -> PathBuf {
        self.tree.join("packaging").join(name)
    }

    /// packaging/install with the programs of this release.
    fn installer(&self) -> Command {
        let mut install = Command::new(self.packaging("install"));
        install.arg("--programs").arg(&self.programs);
        install
    }

    /// Installs what belongs to one package below `root`.
    fn install(&self, package: &str, root: &Path) -> Result<(), Error> {
        command::run(self.installer().args(["--package", package, "--destdir"]).arg(root))
    }

    /// The paths that belong to one package.
    fn list(&self, package: &str) -> Result<Vec<String>, Error> {
        lines(self.installer().args(["--list", "--package", package]))
    }
}

/// The names of all packages of the list.
fn every_package() -> Result<Vec<String>, Error> {
    lines(Command::new(workspace::root().join("packaging/install")).arg("--packages"))
}

/// When the newest entry of packaging/debian/changelog was written.
fn epoch() -> Result<String, Error> {
    let changelog = workspace::root().join("packaging/debian/changelog");
    let mut parse = Command::new("dpkg-parsechangelog");
    parse.arg("-l").arg(changelog).args(["--show-field", "Timestamp"]);
    Ok(lines(&mut parse)?.concat())
}

/// What a command writes, by lines.
fn lines(command: &mut Command) -> Result<Vec<String>, Error> {
    let output = command::output(command)?;
    if !output.status.success() {
        say(&String::from_utf8_lossy(&output.stderr));
        return Err(Error::Failed { command: command::text(command), status: output.status });
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<(), Error> {
    let error = |source| Error::File { path: folder.to_owned(), source };
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(error)?;
    }
    fs::create_dir_all(folder).map_err(error)
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(|source| Error::File { path: from.to_owned(), source })
}
