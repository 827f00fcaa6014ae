//! The D-Bus contract's "What is a PvD" as tests, one file per concern.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../advertisements/wire.rs"]
mod wire;

mod additional_information;
mod announcements;
mod caps;
mod captive_portal;
mod carrier;
mod defaults;
mod designated_resolvers;
mod dhcpv6;
mod ended_prefixes;
mod explicit;
mod explicit_caps;
mod explicit_ipv4;
mod explicit_objects;
mod explicit_routers;
mod explicit_values;
mod ipv4;
mod ipv6_addresses;
mod leases;
mod links;
mod own_addresses;
mod own_dhcp;
mod ports;
mod resync;
mod revision;
mod routers;
mod settings;
mod startup;
