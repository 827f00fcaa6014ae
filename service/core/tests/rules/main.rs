//! The D-Bus contract's "What is a PvD" as tests, one file per concern. Without explicit provisioning domains.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod announcements;
mod caps;
mod carrier;
mod defaults;
mod ipv4;
mod ipv6_addresses;
mod links;
mod resync;
mod revision;
mod routers;
mod startup;
