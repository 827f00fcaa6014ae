//! The targets.

mod dhclient;
mod dhcpcd;
mod hosts;
mod lease;
mod networkd;
#[path = "../../../../service/core/tests/advertisements/invariants.rs"]
mod router_advertisement;

use crate::Target;

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target { name: "dhclient", run: dhclient::check, covers: "service/core/src/dhclient" },
    Target { name: "dhcpcd", run: dhcpcd::check, covers: "service/core/src/dhcpcd" },
    Target { name: "hosts", run: hosts::check, covers: "service/core/src/hosts.rs" },
    Target { name: "networkd", run: networkd::check, covers: "service/core/src/networkd" },
    Target { name: "router-advertisement", run: router_advertisement::check, covers: "service/core/src/ra/" },
];
