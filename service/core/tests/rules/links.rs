//! Links: what they are called, what they are, and that a number used again is another link.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, ETH1, address, gone, link, up};
use crate::common::events;
use crate::common::host::Host;
use mif_core::event::{Event, Link, LinkKind, LinkState};

const IPV4: &str = "implicit:eth0:ipv4";

fn host() -> Host {
    let mut host = Host::started();
    host.see(events![up(ETH0), address(ETH0, "192.0.2.5/24")]);
    host
}

#[test]
fn a_renamed_link_keeps_its_identifier_and_the_ids_born_on_it() {
    let mut host = host();
    let before = (host.interface("eth0").serial, host.pvd(IPV4).serial);
    let renamed = Link { name: "wan".to_owned(), ..link(ETH0, LinkState::Up) };
    host.see([Event::Link(renamed)]);
    assert_eq!((host.interface("wan").serial, host.pvd(IPV4).serial), before);
    assert_eq!(host.interface("wan").display_name, "wan");
    assert_eq!(host.announcements(), [""; 0]);
    // What is born now is named after the link as it is called now.
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.ids(), [IPV4, "implicit:wan:ipv6:fe80::1"]);
}

#[test]
fn one_id_may_live_on_several_links() {
    let mut host = host();
    host.see([Event::Link(Link { name: "wan".to_owned(), ..link(ETH0, LinkState::Up) })]);
    let namesake = Link { name: "eth0".to_owned(), ..link(ETH1, LinkState::Up) };
    host.see(events![Event::Link(namesake), address(ETH1, "198.51.100.7/24")]);
    assert_eq!(host.ids(), [IPV4, IPV4]);
    assert_eq!(host.snapshot().pvds_by_id(IPV4).count(), 2);
}

#[test]
fn people_see_the_alias() {
    let mut host = host();
    host.see([Event::Link(Link { alias: Some("uplink".to_owned()), ..link(ETH0, LinkState::Up) })]);
    assert_eq!(host.interface("eth0").display_name, "uplink");
    host.see([Event::Link(Link { alias: Some(String::new()), ..link(ETH0, LinkState::Up) })]);
    assert_eq!(host.interface("eth0").display_name, "eth0");
}

#[test]
fn a_number_used_again_is_another_link() {
    let mut host = host();
    let before = host.interface("eth0").serial;
    host.see([gone(ETH0), up(ETH0)]);
    assert_eq!(host.announcements(), [&format!("-{IPV4}"), "-eth0", "+eth0"]);
    assert_ne!(host.interface("eth0").serial, before);
    assert_eq!(host.ids(), [""; 0], "its predecessor's addresses are not its own");
}

#[test]
fn another_kind_under_the_same_number_is_another_link() {
    let mut host = host();
    let bridge = Link { kind: LinkKind::Bridge, ..link(ETH0, LinkState::Up) };
    host.see([Event::Link(bridge)]);
    assert_eq!(host.announcements(), [&format!("-{IPV4}"), "-eth0", "+eth0"]);
    assert_eq!(host.interface("eth0").kind, LinkKind::Bridge);
}

#[test]
fn a_dormant_link_carries_nothing() {
    let mut host = Host::started();
    let dormant = Event::Link(link(ETH0, LinkState::Dormant));
    host.see(events![dormant, address(ETH0, "192.0.2.5/24")]);
    assert_eq!(host.interface("eth0").state, LinkState::Dormant);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn the_same_again_is_no_news() {
    let mut host = host();
    host.see(events![up(ETH0), address(ETH0, "192.0.2.5/24")]);
    assert_eq!(host.last().changes, []);
}
