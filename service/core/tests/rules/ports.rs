//! Rules 1 and 5: what comes in by a port of another link is that one's. A port has nothing, and one that is none any more
//! begins anew.

use crate::carrier::host;
use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, ETH1, address, down, gone, port, up};
use crate::common::events;
use crate::common::host::Host;
use mif_core::configuration::Element;
use mif_core::engine::Command;
use mif_core::event::{Event, LinkState};

const IPV4: &str = "implicit:eth0:ipv4";
const NO_ROUTER: &str = "implicit:eth0:ipv6";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";

fn router() -> Event {
    advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600).into()
}

#[test]
fn a_port_has_none_from_the_moment_on_that_it_is_one() {
    let mut host = host();
    host.see([port(ETH0, ETH1)]);
    assert_eq!(host.announcements(), [format!("-{IPV4}"), format!("-{ROUTER1}")]);
    assert_eq!(host.interface("eth0").state, LinkState::Up);
    host.wait(30);
    assert_eq!(host.ids(), [""; 0], "its addresses are no sources any more");
}

#[test]
fn a_port_asks_for_nothing_and_hears_nobody() {
    let mut host = Host::started();
    host.see(events![port(ETH0, ETH1), address(ETH0, "fe80::a/64"), router()]);
    host.wait(60);
    assert_eq!(host.commands(), []);
    host.see([up(ETH0)]);
    assert_eq!(host.ids(), [""; 0], "it was the master's router");
}

#[test]
fn one_that_is_none_any_more_begins_anew() {
    let mut host = host();
    host.see([port(ETH0, ETH1)]);
    host.wait(60);
    host.see([up(ETH0)]);
    assert_eq!(host.last().commands, [Command::Solicit { ifindex: ETH0 }]);
    assert_eq!(host.ids(), [IPV4], "what was heard before is not trusted");
    assert_eq!(host.gave(IPV4, Element::Dhcpv4).lease_expires, None);
    host.wait(3);
    assert_eq!(host.ids(), [IPV4]);
    host.see([router()]);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::5/64 preferred ra"]);
}

#[test]
fn its_addresses_wait_for_an_explanation_as_if_they_were_new() {
    let mut host = host();
    host.see([port(ETH0, ETH1)]);
    host.wait(60);
    host.see([up(ETH0)]);
    host.wait(4);
    assert_eq!(host.ids(), [IPV4, NO_ROUTER]);
}

#[test]
fn another_master_and_a_lost_carrier_are_no_difference_to_a_port() {
    let mut host = host();
    host.see([down(ETH0)]);
    host.see([port(ETH0, ETH1)]);
    assert_eq!(host.ids(), [""; 0], "there is no grace: nobody pulled a cable");
    host.see([port(ETH0, 77)]);
    assert_eq!(host.last().changes, []);
    host.see([gone(ETH0)]);
    assert_eq!(host.announcements(), ["-eth0"]);
}
