//! Every input of every target is survived.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif_fuzz::TARGETS;
use std::fs;

#[test]
fn every_input_is_survived() {
    for target in TARGETS {
        let folder = fs::read_dir(target.corpus()).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let inputs: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let survived = std::panic::catch_unwind(|| (target.run)(&bytes));
            assert!(survived.is_ok(), "{} does not survive {}", target.name, input.display());
        }
    }
}

#[test]
fn every_folder_of_inputs_has_a_target() {
    let corpora = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")).unwrap();
    let mut corpora: Vec<String> =
        corpora.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    corpora.sort();
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(corpora, targets);
}
