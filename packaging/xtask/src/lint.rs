//! `cargo xtask lint`: what is checked without running anything.

use crate::command::{self, say};
use crate::deps::{Dependencies, Purpose};
use crate::error::Error;
use crate::workspace;

/// Runs rustfmt, clippy, rustdoc and cargo-deny.
///
/// # Errors
/// When one of them finds something.
pub fn lint(dependencies: &Dependencies) -> Result<(), Error> {
    dependencies.ensure(&[Purpose::Build, Purpose::Desktop])?;
    command::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    command::run(workspace::cargo().args(clippy))?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked", "--lib"];
    command::run(workspace::cargo().args(doc).env("RUSTDOCFLAGS", "--deny warnings"))?;
    install_cargo_deny()?;
    // Not its advisories: they change without a change here.
    // Its configuration is where it looks for it: .cargo/deny.toml.
    let deny = ["deny", "--locked", "check", "bans", "licenses", "sources"];
    command::run(workspace::cargo().args(deny))
}

fn install_cargo_deny() -> Result<(), Error> {
    if command::output(workspace::cargo().args(["deny", "--version"]))?.status.success() {
        return Ok(());
    }
    say("installing cargo-deny; this takes some minutes, once");
    command::run(workspace::cargo().args(["install", "--locked", "cargo-deny"]))
}
