//! How much the tests tried: they write it into a file, a line for each time, as `bad-inputs 3`; and what they measured,
//! as `figure` and words.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::command::say;
use crate::error::Error;
use crate::workspace;

/// Names the file to the tests.
pub const FILE: &str = "MIF_TALLY";

/// Where it is.
///
/// # Errors
/// When the path of this program is not known.
pub fn path() -> Result<PathBuf, Error> {
    Ok(workspace::target()?.join("tally"))
}

/// Begins anew.
///
/// # Errors
/// When the file cannot be written.
pub fn begin() -> Result<(), Error> {
    let path = path()?;
    fs::write(&path, "").map_err(|source| Error::File { path, source })
}

/// Says what was counted.
///
/// # Errors
/// When the file cannot be read.
pub fn tell() -> Result<(), Error> {
    let path = path()?;
    let text = fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
    text.lines().filter_map(|line| line.strip_prefix("figure ")).for_each(say);
    let counts = sum(&text);
    let count = |what: &str| counts.get(what).copied().unwrap_or(0);
    say(&format!("bad inputs tried: {}; faults injected: {}", count("bad-inputs"), count("faults")));
    Ok(())
}

fn sum(text: &str) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for (what, count) in text.lines().filter_map(|line| line.split_once(' ')) {
        if let Ok(count) = count.parse::<u64>() {
            *counts.entry(what).or_default() += count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_up() {
        let counts = sum("faults 2\nbad-inputs 3\nfaults 40\n");
        assert_eq!((counts["faults"], counts["bad-inputs"]), (42, 3));
    }
}
