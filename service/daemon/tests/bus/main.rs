//! The service on one end of a socket pair, a client on the other: no bus, no network, a real engine in between.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod binding;
mod connections;
mod explain;
mod heard;
mod high_level;
mod introspection;
mod limits;
mod order;
mod overrun;
mod rig;
mod state;
mod subscriber;
mod work;
mod xml;
