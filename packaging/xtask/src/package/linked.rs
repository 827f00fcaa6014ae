//! Which crates a program contains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{build, lines};
use crate::error::Error;
use crate::workspace;

/// What packages are made for, as in .cargo/deny.toml: the source archive says the same wherever it is made.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A crate of which code is in a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its Cargo.toml says of its licence; empty when that says nothing.
    pub licence: String,
    /// Whether it is of this workspace.
    pub own: bool,
}

/// The crates in the programs of some packages, by package; `tree` is the workspace. Neither what only builds and tests
/// need is among them, nor are procedural macros, which run in the compiler.
///
/// # Errors
/// When cargo cannot tell.
pub fn crates(tree: &Path, packages: &[&str]) -> Result<BTreeMap<String, BTreeSet<Crate>>, Error> {
    let mut found = BTreeMap::new();
    // What is built together shares its choice of features, and with it of crates.
    for together in build::together(packages) {
        let mut cargo = workspace::cargo();
        cargo.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--no-dedupe"]).current_dir(tree);
        cargo.args(["--prefix", "depth", "--format", "|{p}|{l}"]);
        cargo.args(TARGETS.iter().flat_map(|target| ["--target", target]));
        cargo.args(together.iter().flat_map(|name| ["--package", name]));
        found.append(&mut by_program(&lines(&mut cargo)?));
    }
    Ok(found)
}

/// Reads `DEPTH|NAME vVERSION (FOLDER)|LICENCE`, where depth 0 is a program and the folder is that of a crate of the
/// workspace.
fn by_program(lines: &[String]) -> BTreeMap<String, BTreeSet<Crate>> {
    let mut found = BTreeMap::new();
    let mut program = None;
    for line in lines {
        let mut fields = line.splitn(3, '|');
        let (Some(depth), Some(package), Some(licence)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let mut words = package.splitn(3, ' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if depth == "0" {
            program = Some(found.entry(name.to_owned()).or_insert_with(BTreeSet::new));
        }
        if let Some(crates) = &mut program {
            crates.insert(Crate {
                name: name.to_owned(),
                version: version.trim_start_matches('v').to_owned(),
                licence: licence.to_owned(),
                own: words.next().is_some(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_program_has_what_stands_below_it() {
        let told =
            ["0|one v0.1.0 (/tree/one)|MIT", "1|common v1.2.3|ISC", "", "0|other v0.1.0 (/tree/other)|MIT"];
        let found = by_program(&told.map(str::to_owned));
        let names = |program: &str| -> Vec<&str> { found[program].iter().map(|it| &*it.name).collect() };
        assert_eq!(names("one"), ["common", "one"]);
        assert_eq!(names("other"), ["other"]);
        let common = found["one"].first().unwrap();
        assert_eq!((&*common.version, &*common.licence, common.own), ("1.2.3", "ISC", false));
        assert!(found["other"].first().unwrap().own);
    }
}
