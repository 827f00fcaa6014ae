//! Everything of mif that decodes bytes from outside, as functions that any bytes may be given to.
//!
//! A target panics when something does not hold that must hold of whatever comes. `cargo xtask fuzz
//! TARGET` runs one under libFuzzer; the inputs that reach all of its branches lie in
//! `corpus/TARGET`, and `tests/replay.rs` gives them to it in every test run.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod target;

// The model that the core's own tests hold the ordering rules against. Its modules name each other as those of a crate.
#[path = "../../../service/core/tests/common/mod.rs"]
mod common;
#[path = "../../../service/core/tests/ordering/ear.rs"]
mod ear;
#[path = "../../../service/core/tests/ordering/expectation.rs"]
mod expectation;
#[path = "../../../service/core/tests/ordering/hearsay.rs"]
mod hearsay;
#[path = "../../../service/core/tests/ordering/network.rs"]
mod network;
#[path = "../../../service/core/tests/ordering/overrun.rs"]
#[allow(dead_code)] // Here steps are made one by one.
mod overrun;
#[path = "../../../service/core/tests/ordering/pace.rs"]
mod pace;
#[path = "../../../service/core/tests/ordering/reference.rs"]
mod reference;
#[path = "../../../service/core/tests/ordering/service.rs"]
mod service;
#[path = "../../../service/core/tests/ordering/step.rs"]
#[allow(dead_code)] // As well.
mod step;
#[path = "../../../service/core/tests/ordering/word.rs"]
mod word;
#[path = "../../../service/core/tests/ordering/world.rs"]
mod world;

pub use target::TARGETS;

use std::path::{Path, PathBuf};

/// Something that decodes bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its folder of inputs too.
    pub name: &'static str,
    /// Gives it bytes. Panics when it breaks a promise.
    pub run: fn(&[u8]),
    /// The files of the workspace whose branches its inputs are to reach, by the begin of their paths.
    pub covers: &'static str,
}

impl Target {
    /// The target called `name`.
    pub fn find(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// The folder of its inputs.
    pub fn corpus(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }
}
