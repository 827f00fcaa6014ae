//! RFC 8305 over provisioning domains, rule by rule, in simulated time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attempts;
mod bounds;
mod policy;
mod resolution;
mod simulation;
