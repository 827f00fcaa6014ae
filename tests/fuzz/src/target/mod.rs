//! The targets.

mod additional_information;
mod captive_portal;
mod deliveries;
mod dhclient;
mod dhcp_answer;
mod dhcpcd;
mod hosts;
mod lease;
mod neighbour;
mod networkd;
mod nis;
#[path = "../../../../service/core/tests/advertisements/invariants.rs"]
mod router_advertisement;
mod sequence;
mod subscriber;

use crate::Target;

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target {
        name: "additional-information",
        run: additional_information::check,
        covers: "service/core/src/pvd_info",
    },
    Target { name: "captive-portal", run: captive_portal::check, covers: "service/core/src/captive_portal" },
    Target { name: "deliveries", run: deliveries::check, covers: "service/core/src/deliveries.rs" },
    Target { name: "dhclient", run: dhclient::check, covers: "service/core/src/dhclient" },
    Target { name: "dhcp-answer", run: dhcp_answer::check, covers: "service/core/src/dhcp/" },
    Target { name: "dhcpcd", run: dhcpcd::check, covers: "service/core/src/dhcpcd" },
    Target { name: "hosts", run: hosts::check, covers: "service/core/src/hosts.rs" },
    Target { name: "neighbour", run: neighbour::check, covers: "service/daemon/src/translate" },
    Target { name: "networkd", run: networkd::check, covers: "service/core/src/networkd" },
    Target { name: "nis", run: nis::check, covers: "service/core/src/nis.rs" },
    Target { name: "router-advertisement", run: router_advertisement::check, covers: "service/core/src/ra/" },
    Target { name: "subscriber", run: subscriber::check, covers: "service/core/src/subscription" },
];
