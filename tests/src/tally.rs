//! How much was tried: bad inputs and faults, counted over all tests of a run.
//!
//! `cargo xtask test` names a file in `MIF_TALLY`, adds up what the tests wrote into it, and says it at the end.

use std::fs::File;
use std::io::Write;

/// Names the file.
const FILE: &str = "MIF_TALLY";

/// Counts inputs that somebody got wrong: calls, messages, files.
pub fn bad_inputs(count: usize) {
    write(&format!("bad-inputs {count}\n"));
}

/// Counts what machines and networks did to the service: processes killed or stopped, links gone, floods, full disks.
pub fn faults(count: usize) {
    write(&format!("faults {count}\n"));
}

/// Notes what was measured, in words.
pub fn figure(words: &str) {
    write(&format!("figure {words}\n"));
}

/// Short lines of several processes do not mix.
fn write(line: &str) {
    let Some(path) = std::env::var_os(FILE) else { return };
    let written = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("cannot count in {}: {error}", path.display());
    }
}
