//! Licences as SPDX expressions.

use std::collections::BTreeSet;

use super::linked::Crate;
use crate::error::Error;

/// Licences of which one may choose.
type Choice = BTreeSet<String>;

/// The licence of a program that contains these crates: all of them hold.
///
/// # Errors
/// When what a crate says is no expression, or one of another form than all have so far.
pub fn together<'a>(crates: impl IntoIterator<Item = &'a Crate>) -> Result<String, Error> {
    let mut all = BTreeSet::new();
    for it in crates {
        let choices = choices(&it.licence).ok_or_else(|| Error::Licence {
            name: it.name.clone(),
            version: it.version.clone(),
            licence: it.licence.clone(),
        })?;
        all.extend(choices);
    }
    let alone = all.len() == 1;
    let written = all.iter().map(|choice| {
        let text = choice.iter().map(String::as_str).collect::<Vec<_>>().join(" OR ");
        if alone || choice.len() == 1 { text } else { format!("({text})") }
    });
    Ok(written.collect::<Vec<_>>().join(" AND "))
}

/// The licences of a crate that need no choice, or one: `A`, `A OR B`, `A/B` as it was written once, and
/// `(A OR B) AND C`.
fn choices(expression: &str) -> Option<BTreeSet<Choice>> {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let parts: Vec<&str> = expression.split(" AND ").collect();
    parts.iter().map(|part| choice(part, parts.len() == 1)).collect()
}

/// The alternatives of one part. AND binds more closely than OR, which therefore wants parentheses beside an AND.
fn choice(part: &str, alone: bool) -> Option<Choice> {
    let inner = part.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let text = inner.unwrap_or(part);
    if (text.contains(" OR ") && inner.is_none() && !alone) || text.contains(['(', ')']) {
        return None;
    }
    let licences = text.split(" OR ").map(str::to_owned);
    licences.map(|licence| is_licence(&licence).then_some(licence)).collect()
}

/// An identifier, or one with an exception.
fn is_licence(text: &str) -> bool {
    let identifier = |word: &str| {
        !word.is_empty() && word.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '+'))
    };
    text.split(" WITH ").all(identifier) && text.split(" WITH ").count() <= 2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{every_package, linked, read};
    use super::*;
    use crate::workspace;

    fn licensed(licence: &str) -> Crate {
        let (name, version) = ("some".to_owned(), "1.0.0".to_owned());
        Crate { name, version, licence: licence.to_owned(), own: false }
    }

    #[test]
    fn what_is_said_in_several_ways_is_said_once() {
        let crates =
            ["MIT OR Apache-2.0", "Apache-2.0/MIT", "Apache-2.0 / MIT", "(MIT OR Apache-2.0) AND ISC", "ISC"];
        let crates = crates.map(licensed);
        assert_eq!(together(&crates).unwrap(), "(Apache-2.0 OR MIT) AND ISC");
        assert_eq!(together(&crates[..2]).unwrap(), "Apache-2.0 OR MIT");
        let exception = [licensed("Apache-2.0 WITH LLVM-exception OR MIT")];
        assert_eq!(together(&exception).unwrap(), "Apache-2.0 WITH LLVM-exception OR MIT");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for licence in [
            "",
            "see LICENSE",
            "MIT OR Apache-2.0 AND ISC",
            "((MIT) OR ISC)",
            "(MIT AND ISC) OR Zlib",
            "MIT OR ",
        ] {
            assert!(together(&[licensed(licence)]).is_err(), "{licence:?}");
        }
    }

    /// The rest of a text behind a line of it.
    fn behind<'a>(text: &'a str, line: &str) -> &'a str {
        text.split_once(&format!("\n{line}\n")).unwrap_or_else(|| panic!("{line}")).1
    }

    #[test]
    fn packages_say_the_licences_of_all_that_is_in_them() {
        let packages = every_package().unwrap();
        let names: Vec<&str> = packages.iter().map(String::as_str).collect();
        let crates = linked::crates(workspace::root(), &names).unwrap();
        let specification = read(&workspace::root().join("packaging/rpm/mif.spec")).unwrap();
        let recipe = read(&workspace::root().join("packaging/arch/PKGBUILD")).unwrap();
        for package in packages {
            let licence = together(&crates[&package]).unwrap();
            let own = behind(&specification, &format!("%package -n {package}"));
            let stated = own.lines().find_map(|line| line.strip_prefix("License:")).unwrap();
            assert_eq!(stated.trim(), licence, "mif.spec, {package}");
            let own = behind(&recipe, &format!("package_{package}() {{"));
            let stated = own.lines().find_map(|line| line.trim().strip_prefix("license=('")).unwrap();
            assert_eq!(stated.trim_end_matches("')"), licence, "PKGBUILD, {package}");
        }
    }
}
