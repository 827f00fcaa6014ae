//! `third-party/PACKAGE/THIRD-PARTY` of the source archive: the licences of other people's crates in a program, as those
//! licences want it. In the archive, because all kinds of packages are made from that, without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::linked::{self, Crate};
use super::{lines, read, write};
use crate::error::Error;
use crate::workspace;

/// The folder in the source archive.
const FOLDER: &str = "third-party";

/// The name of the file, there and in packages.
pub const NAME: &str = "THIRD-PARTY";

/// How files with licences begin, in capital letters.
const BEGINNINGS: [&str; 6] = ["LICENSE", "LICENCE", "UNLICENSE", "COPYING", "COPYRIGHT", "NOTICE"];

/// Ends of names that begin so and are none.
const OTHERS: [&str; 3] = ["rs", "yml", "yaml"];

/// The texts of licences whose crates have none, in the workspace.
const STANDARD: &str = "packaging/licences";

const RULER: &str = "================================================================================\n";

/// What cargo knows of a crate besides what [`Crate`] has.
#[derive(serde::Deserialize)]
struct Details {
    name: String,
    version: String,
    authors: Vec<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(serde::Deserialize)]
struct Metadata {
    packages: Vec<Details>,
}

/// Where the file of one package is in the tree of the source archive.
pub fn path(tree: &Path, package: &str) -> PathBuf {
    tree.join(FOLDER).join(package).join(NAME)
}

/// Writes the file of each package into the tree of a source archive, in which all crates are already.
///
/// # Errors
/// When there is a crate without a licence, or with one of which there is no text.
pub fn add(tree: &Path, packages: &[&str]) -> Result<(), Error> {
    let details = details(tree)?;
    for (package, crates) in linked::crates(tree, packages)? {
        let path = path(tree, &package);
        let folder = path.parent().unwrap_or(tree);
        fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
        write(&path, &text(&package, &crates, &details)?)?;
    }
    Ok(())
}

/// By name and version.
type AllDetails = BTreeMap<(String, String), Details>;

fn details(tree: &Path) -> Result<AllDetails, Error> {
    let mut cargo = workspace::cargo();
    cargo.args(["metadata", "--format-version", "1", "--frozen"]).current_dir(tree);
    let metadata: Metadata = serde_json::from_str(&lines(&mut cargo)?.concat())
        .map_err(|source| Error::File { path: tree.join("Cargo.lock"), source: source.into() })?;
    Ok(metadata.packages.into_iter().map(|it| ((it.name.clone(), it.version.clone()), it)).collect())
}

/// The whole file. It depends on nothing but the crates.
fn text(package: &str, crates: &BTreeSet<Crate>, details: &AllDetails) -> Result<String, Error> {
    let licence = super::licences::together(crates)?;
    let mut table = String::new();
    // Where it is from, by what it says.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for it in crates.iter().filter(|it| !it.own) {
        let _ = writeln!(table, "{} {}: {}", it.name, it.version, it.licence);
        for (origin, text) in texts_of(it, details)? {
            texts.entry(text).or_default().insert(origin);
        }
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, origins)| (origins, text)).collect();
    texts.sort();
    let mut whole = format!("{}\n{table}", head(package, &licence));
    for (origins, text) in texts {
        let origins = origins.into_iter().collect::<Vec<_>>().join("\n");
        let _ = write!(whole, "\n{RULER}{origins}\n{RULER}\n{text}\n");
    }
    Ok(whole)
}

fn head(package: &str, licence: &str) -> String {
    format!(
        "What is in the program {package} besides its own code, and under which licences.\n\n\
         Altogether it is under\n{licence}\n\n\
         It contains Rust's standard library, Copyright (c) The Rust Project Contributors, under\n\
         MIT OR Apache-2.0, and what that is made from: https://www.rust-lang.org, and the file\n\
         COPYRIGHT-library.html that comes with the compiler.\n\n\
         It contains the crates of other authors that follow. Behind them are the texts of their\n\
         licences, each once, with the files that it is from.\n"
    )
}

/// The texts that come with a crate, each with where it is from; or else the standard text of its licence.
fn texts_of(it: &Crate, details: &AllDetails) -> Result<Vec<(String, String)>, Error> {
    let crate_name = format!("{} {}", it.name, it.version);
    let without_text = || Error::NoLicenceText {
        name: it.name.clone(),
        version: it.version.clone(),
        licence: it.licence.clone(),
        folder: STANDARD,
    };
    let known = details.get(&(it.name.clone(), it.version.clone())).ok_or_else(without_text)?;
    let folder = known.manifest_path.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for path in licence_files(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path).display();
        found.push((format!("{crate_name}: {name}"), tidy(&read(&path)?)));
    }
    if found.is_empty() {
        let standard = workspace::root().join(STANDARD).join(format!("{}.txt", it.licence));
        if !standard.is_file() {
            return Err(without_text());
        }
        let authors = known.authors.join(", ");
        let repository = known.repository.as_deref().unwrap_or("no repository");
        let origin = format!(
            "{crate_name} has no text of its licence, {}; this is the usual one.\nAuthors: {authors} ({repository})",
            it.licence
        );
        found.push((origin, tidy(&read(&standard)?)));
    }
    Ok(found)
}

/// The same text is told from others by what can be read only: no ends of lines, no empty lines around it.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// All files with licences, also those of code that a crate has taken over, in the order of their names.
fn licence_files(folder: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let error = |source| Error::File { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().map_err(error)?.is_dir() {
                // Hidden folders are about the crate's own development.
                if !name.starts_with('.') {
                    folders.push(entry.path());
                }
            } else if is_licence_file(&name) {
                found.insert(entry.path());
            }
        }
    }
    Ok(found)
}

fn is_licence_file(name: &str) -> bool {
    let end = Path::new(name).extension().and_then(|end| end.to_str()).unwrap_or_default();
    let name = name.to_ascii_uppercase();
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) && !OTHERS.contains(&end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A crate in a folder of its own, with these files, and what is told of it.
    fn made(name: &str, licence: &str, files: &[(&str, &str)]) -> (Crate, AllDetails) {
        let folder = workspace::target().unwrap().join("notices").join(name);
        super::super::fresh(&folder).unwrap();
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (name, version) = (name.to_owned(), "1.0.0".to_owned());
        let details = Details {
            name: name.clone(),
            version: version.clone(),
            authors: vec!["Somebody".to_owned()],
            repository: None,
            manifest_path: folder.join("Cargo.toml"),
        };
        let key = (name.clone(), version.clone());
        (Crate { name, version, licence: licence.to_owned(), own: false }, [(key, details)].into())
    }

    #[test]
    fn the_same_text_stands_once_with_all_that_it_is_from() {
        let (one, mut details) = made(
            "same-one",
            "MIT",
            &[("LICENSE-MIT", "Do what\r\nyou like. \n\n"), ("license.rs", "no text")],
        );
        let (other, more) = made("same-other", "MIT", &[("src/taken/COPYING", "Do what\nyou like.\n")]);
        details.extend(more);
        let text = text("program", &[one, other].into(), &details).unwrap();
        let expected = "1.0.0: LICENSE-MIT\nsame-other 1.0.0: src/taken/COPYING\n";
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.matches("Do what\nyou like.\n").count(), 1, "{text}");
        assert!(!text.contains("no text"), "{text}");
    }

    #[test]
    fn a_crate_without_a_text_has_the_usual_one_or_is_an_error() {
        let (usual, details) = made("usual", "BSD-3-Clause", &[("README.md", "")]);
        let text = text("program", &[usual].into(), &details).unwrap();
        assert!(text.contains("usual 1.0.0 has no text") && text.contains("Somebody"), "{text}");
        assert!(text.contains("Redistributions in binary form"), "{text}");
        let (own, details) = made("own", "LicenseRef-own", &[("README.md", "")]);
        assert!(texts_of(&own, &details).is_err());
    }
}
