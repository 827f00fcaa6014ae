//! What the tests of the core share: events in few words, a host to show them to, and a listener who checks
//! that everything is told in the order that the D-Bus contract promises.

// Each test program uses its own part of this.
#![allow(dead_code, unused_imports, unused_macros)]

/// Events of several sorts as one array.
macro_rules! events {
    ($($event:expr),* $(,)?) => { [$(mif_core::event::Event::from($event)),*] };
}
pub(crate) use events;

pub mod advertisement;
pub mod event;
pub mod host;
pub mod lease;
pub mod listener;
mod listener_pvd;
pub mod told;
pub mod web;

use mif_core::BootTime;
use mif_core::configuration::Prefix;
use std::net::IpAddr;

/// The moment `seconds` after boot.
pub const fn at(seconds: u64) -> BootTime {
    BootTime::from_micros(seconds * 1_000_000)
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// An address and a prefix length.
pub fn with_length(text: &str) -> (IpAddr, u8) {
    let (address, length) = text.split_once('/').expect(text);
    (ip(address), length.parse().expect(text))
}

/// A prefix.
pub fn prefix(text: &str) -> Prefix {
    let (address, length) = with_length(text);
    let prefix = Prefix::covering(address, length);
    assert_eq!(prefix.address, address, "{text} has host bits");
    prefix
}
