//! `cargo xtask demo`: two ISPs, one name, two answers.

use std::process::Command;

use crate::command;
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::workspace::{self, Profile, Programs};

/// Builds the demo and shows it.
///
/// # Errors
/// When something of what it shows is not as it should be.
pub fn demo(dependencies: &Dependencies) -> Result<(), Error> {
    dependencies.ensure(&[Purpose::Build, Purpose::Test])?;
    workspace::build(Profile::Dev, Programs::WithoutDesktop)?;
    command::run(&mut Command::new(workspace::program("mif-demo", Profile::Dev)?))
}
