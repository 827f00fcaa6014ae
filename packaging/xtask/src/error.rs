//! What can go wrong, in words that say what to do next.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// The one error of this program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its name or path.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ended with something else than 0.
    #[error("{command} ended with {status}")]
    Failed {
        /// What was called.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line of the list of packages is not understood.
    #[error("{list}, line {line}: {text:?} is not `{form}`")]
    PackageList {
        /// The list, in the workspace.
        list: &'static str,
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
        /// What a line looks like.
        form: &'static str,
    },
    /// This machine has no apt-get that knows our packages.
    #[error(
        "this is not Debian: install what corresponds to {packages}\n\
         and say --no-install to go on without this check"
    )]
    OtherDistribution {
        /// All that are needed, by their Debian names.
        packages: String,
    },
    /// Root is needed and there is no way to become it.
    #[error("{purpose} needs root, and neither is this root nor is there sudo; as root: {command}")]
    NoRoot {
        /// What for.
        purpose: &'static str,
        /// What to do as root.
        command: String,
    },
    /// The second tier of tests cannot be run.
    #[error(
        "the root tier was not run: it needs root, or sudo without a password; \
         `cargo xtask test --unprivileged` leaves it out"
    )]
    NoRootTier,
    /// The tests in a real system cannot be run.
    #[error("`cargo xtask test --system` boots a system, which only root can")]
    NoSystem,
    /// It is not known which Debian to make.
    #[error("/etc/os-release has no VERSION_CODENAME: the release of this machine is what is booted")]
    NoSuite,
    /// A daemon that was started ended, or did not get ready.
    #[error("{name} {what}; it said:\n{log}")]
    Daemon {
        /// Which.
        name: &'static str,
        /// What it did.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// Two builds of a program differ.
    #[error("two builds of {program} are not the same bytes")]
    NotReproducible {
        /// Which.
        program: &'static str,
    },
    /// Nothing describes a package that the list names.
    #[error("packaging/debian/control or packaging/rpm/mif.spec has nothing about the package {package}")]
    NoStanza {
        /// Which.
        package: String,
    },
    /// It is not known under which licence a crate is.
    #[error(
        "the crate {name} {version}, which a program contains, is under no licence that is understood: {licence:?}"
    )]
    Licence {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// What it says.
        licence: String,
    },
    /// A crate comes without the text of its licence.
    #[error(
        "the crate {name} {version}, which a program contains, has no text of its licence, and there is no usual one in \
         {folder}/{licence}.txt"
    )]
    NoLicenceText {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Its licence.
        licence: String,
        /// Where usual texts are, in the workspace.
        folder: &'static str,
    },
    /// Packages of one kind do not bring what the Debian packages bring.
    #[error(
        "{kind}: other files than in the Debian packages; missing: {missing}; too much: {too_much}; others: {others}"
    )]
    OtherFiles {
        /// Which kind.
        kind: &'static str,
        /// Files of the Debian packages.
        missing: String,
        /// Files that those do not have.
        too_much: String,
        /// Files with other contents or another mode.
        others: String,
    },
    /// There is no such fuzz target.
    #[error("there is no fuzz target {name:?}; known: {known}")]
    NoFuzzTarget {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// There is nothing of that name.
    #[error("there is no benchmark {name:?}; known: {known}")]
    NoBenchmark {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}
