//! Rule 5: a link without carrier keeps its provisioning domains for a grace of 2 s; then nothing of before holds.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, address, down, gone, link, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::lease;
use mif_core::engine::Command;
use mif_core::event::{Event, LinkState};

const IPV4: &str = "implicit:eth0:ipv4";
const NO_ROUTER: &str = "implicit:eth0:ipv6";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";

/// With a lease, a router, and an address of each.
pub fn host() -> Host {
    let mut host = Host::started();
    let until = host.within(3600);
    host.see(events![
        up(ETH0),
        address(ETH0, "fe80::a/64"),
        address(ETH0, "192.0.2.5/24").lasting(until, until),
        lease(ETH0, "192.0.2.5/24", until),
        advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600),
        address(ETH0, "2001:db8:1::5/64").autoconfigured(),
    ]);
    assert_eq!(host.ids(), [IPV4, ROUTER1]);
    host
}

#[test]
fn in_the_grace_the_state_is_down_and_everything_else_stays() {
    let mut host = host();
    host.see([down(ETH0)]);
    host.wait(1);
    assert_eq!(host.interface("eth0").state, LinkState::Down);
    assert_eq!(host.ids(), [IPV4, ROUTER1]);
    assert!(!host.pvd(IPV4).link_up, "packets cannot leave");
}

#[test]
fn back_within_the_grace_nobody_notices() {
    let mut host = host();
    let before = host.pvd(ROUTER1).serial;
    host.see([down(ETH0)]);
    host.wait(1);
    host.see([up(ETH0)]);
    host.wait(60);
    assert_eq!(host.ids(), [IPV4, ROUTER1]);
    assert_eq!(host.pvd(ROUTER1).serial, before);
    assert!(host.pvd(IPV4).link_up);
}

#[test]
fn after_the_grace_they_are_gone_and_the_interface_stays() {
    let mut host = host();
    host.see([down(ETH0)]);
    host.wait(2);
    assert_eq!(host.announcements(), [format!("-{IPV4}"), format!("-{ROUTER1}")]);
    assert_eq!(host.ids(), [""; 0]);
    assert!(host.interface("eth0").pvds.is_empty());
}

#[test]
fn the_grace_counts_from_the_loss_however_often_it_is_told() {
    let mut host = host();
    host.see([down(ETH0)]);
    host.wait(1);
    host.see([Event::Link(link(ETH0, LinkState::Dormant))]);
    host.wait(1);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn facts_from_before_are_not_trusted_and_routers_are_asked_anew() {
    let mut host = host();
    let before = host.pvd(IPV4).serial;
    host.see([down(ETH0)]);
    host.wait(5);
    host.see([up(ETH0)]);
    assert_eq!(host.last().commands, [Command::Solicit { ifindex: ETH0 }]);
    // The kernel still has the IPv4 address; nobody repeated the lease or the advertisement.
    assert_eq!(host.ids(), [IPV4]);
    assert_ne!(host.pvd(IPV4).serial, before);
    assert_eq!(host.gave(IPV4, mif_core::configuration::Element::Dhcpv4).lease_expires, None);
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600)]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 preferred ra"]);
}

#[test]
fn an_address_from_before_waits_for_an_explanation_again() {
    let mut host = host();
    host.see([down(ETH0)]);
    host.wait(5);
    host.see([up(ETH0)]);
    host.wait(3);
    assert_eq!(host.ids(), [IPV4]);
    host.wait(1);
    assert_eq!(host.ids(), [IPV4, NO_ROUTER]);
}

#[test]
fn a_grace_that_was_slept_through_is_over() {
    let mut host = host();
    host.see([down(ETH0)]);
    host.suspend(3600);
    host.see([up(ETH0)]);
    assert_eq!(host.ids(), [IPV4], "the router of an hour ago, possibly of another network, is not believed");
    assert_eq!(host.last().commands, [Command::Solicit { ifindex: ETH0 }]);
}

#[test]
fn a_link_that_is_down_at_first_has_none() {
    let mut host = Host::started();
    host.see(events![down(ETH0), address(ETH0, "192.0.2.5/24")]);
    assert_eq!(host.ids(), [""; 0]);
    host.see([up(ETH0)]);
    assert_eq!(host.ids(), [IPV4]);
}

#[test]
fn a_link_that_is_gone_has_no_grace() {
    let mut host = host();
    host.see([gone(ETH0)]);
    assert_eq!(host.announcements(), [format!("-{IPV4}"), format!("-{ROUTER1}"), "-eth0".to_owned()]);
    assert!(host.snapshot().interface_by_index(ETH0).is_none());
}
