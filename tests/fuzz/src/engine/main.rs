//! The fuzzing engine around one target. Made and started by `cargo xtask fuzz`.

#![no_main]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod coverage;

use libfuzzer_sys::fuzz_target;
use mif_fuzz::Target;
use std::sync::LazyLock;

/// Names the target in the environment: the command line is libFuzzer's.
const NAME: &str = "MIF_FUZZ_TARGET";

/// Set to show what the inputs of the target reach instead of looking for more.
const COVERAGE: &str = "MIF_FUZZ_COVERAGE";

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var(NAME).unwrap_or_else(|_| panic!("{NAME} is not set: use `cargo xtask fuzz`"));
    Target::find(&name).unwrap_or_else(|| panic!("{NAME} is {name:?}, and there is no such target"))
});

fuzz_target!(
    init: {
        if std::env::var_os(COVERAGE).is_some() {
            coverage::show(*TARGET);
            std::process::exit(0);
        }
    },
    |data: &[u8]| (TARGET.run)(data)
);
