//! The packages in a real Debian with systemd as PID 1: installed, confined, used, upgraded, misused and purged.
//!
//! Needs root and what `cargo xtask test --system` prepares.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fresh_install;
mod installed;
mod managers;
mod mishaps;
mod package_tests;
mod upgrade;
mod users;
