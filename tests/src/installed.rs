//! Programs as they are installed, for tests of what starts them.

use std::path::Path;
use std::process::Command;

use crate::filesystem::PROGRAMS;
use crate::peers::lay_over;

/// Where they are installed first.
const FOLDER: &str = "/run/testbed/installed";

/// Installs a package of packaging/install.txt, with the programs of this build, over `/usr` of this universe. To be called
/// before what looks for it there is started.
///
/// # Panics
/// When that fails.
pub fn install(package: &str) {
    let mut install = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/install"));
    install.args(["--destdir", FOLDER, "--package", package, "--programs", PROGRAMS]);
    let output = install.output().expect("run packaging/install");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{install:?}: {said}");
    let laid = lay_over(Path::new(FOLDER));
    laid.unwrap_or_else(|error| panic!("cannot lay {FOLDER} over /usr: {error}"));
}
