//! Dumps of the kernel: what they do not name is gone, what they name again is no news, and order does not matter.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, ETH1, LO, address, address_gone, gone, link, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::lease;
use mif_core::event::{Event, Link, LinkKind, LinkState};

const ETH0_IPV4: &str = "implicit:eth0:ipv4";
const ETH1_IPV4: &str = "implicit:eth1:ipv4";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";

fn dump() -> Vec<Event> {
    vec![
        up(LO),
        up(ETH0),
        up(ETH1),
        address(ETH0, "192.0.2.5/24").into(),
        address(ETH1, "198.51.100.7/24").into(),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").into(),
        route(ETH1, "0.0.0.0/0").via("198.51.100.1").metric(200).into(),
    ]
}

/// What [`dump`] says, and a router.
fn host() -> Host {
    let mut host = Host::started();
    host.see(dump());
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.ids(), [ETH0_IPV4, ROUTER1, ETH1_IPV4]);
    host
}

fn resync(host: &mut Host, dump: impl IntoIterator<Item = Event>) {
    host.see([Event::ResyncBegin]);
    host.see(dump);
    assert!(host.last().changes.is_empty(), "nothing is published in between");
    host.see([Event::ResyncEnd]);
}

#[test]
fn the_same_again_is_no_news() {
    let mut host = host();
    resync(&mut host, dump());
    assert_eq!(host.last().changes, []);
    resync(&mut host, dump().into_iter().rev());
    assert_eq!(host.last().changes, []);
}

#[test]
fn what_a_dump_does_not_name_is_gone() {
    let mut host = host();
    resync(&mut host, dump().into_iter().filter(|event| *event != up(ETH0)));
    assert_eq!(host.announcements(), [format!("-{ETH0_IPV4}"), format!("-{ROUTER1}"), "-eth0".to_owned()]);

    resync(&mut host, events![up(LO), up(ETH1), address(ETH1, "198.51.100.7/24")]);
    assert_eq!(host.defaults(), [""; 0]);
    resync(&mut host, [up(LO), up(ETH1)]);
    assert_eq!(host.announcements(), [format!("-{ETH1_IPV4}")]);
}

#[test]
fn advertisements_and_leases_are_not_in_dumps_and_stay() {
    let mut host = host();
    host.see([lease(ETH0, "192.0.2.5/24", host.within(3600))]);
    resync(&mut host, dump());
    assert_eq!(host.last().changes, []);
    assert_eq!(host.elements(ETH0_IPV4), ["dhcpv4"]);
    assert_eq!(host.elements(ROUTER1), ["ra"]);
}

#[test]
fn what_changes_while_it_runs_counts() {
    let mut host = host();
    let meanwhile = events![
        address_gone(ETH0, "192.0.2.5/24"),
        gone(ETH1),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").gone(),
        advertisement(ETH0, "fe80::2"),
    ];
    resync(&mut host, dump().into_iter().chain(meanwhile));
    assert_eq!(host.ids(), [ROUTER1, "implicit:eth0:ipv6:fe80::2"]);
    assert_eq!(host.defaults(), [""; 0]);
}

#[test]
fn a_link_gone_and_back_while_it_runs_is_another() {
    let mut host = host();
    let before = host.interface("eth1").serial;
    let meanwhile = [gone(ETH1), up(ETH1)];
    resync(&mut host, dump().into_iter().chain(meanwhile));
    assert_ne!(host.interface("eth1").serial, before);
    assert_eq!(host.ids(), [ETH0_IPV4, ROUTER1]);
}

#[test]
fn a_number_used_again_in_a_lost_moment_is_another_link_in_any_order() {
    let bridge = Event::Link(Link { kind: LinkKind::Bridge, ..link(ETH0, LinkState::Up) });
    let with_bridge = |event: Event| if event == up(ETH0) { bridge.clone() } else { event };
    let dumps: [Vec<Event>; 2] =
        [dump().into_iter().map(with_bridge).collect(), dump().into_iter().rev().map(with_bridge).collect()];
    for dump in dumps {
        let mut host = host();
        let before = host.interface("eth0").serial;
        resync(&mut host, dump);
        assert_ne!(host.interface("eth0").serial, before);
        assert_eq!(host.ids(), [ETH0_IPV4, ETH1_IPV4], "its own address, not its predecessor's router");
        assert_eq!(host.defaults(), [ETH0_IPV4]);
    }
}

#[test]
fn time_that_passes_while_it_runs_is_made_up_for() {
    let mut host = host();
    host.see([Event::ResyncBegin]);
    assert_eq!(host.engine().next_timeout(), None);
    host.see(dump());
    host.wait(1800);
    assert_eq!(host.ids(), [ETH0_IPV4, ROUTER1, ETH1_IPV4]);
    host.see([Event::ResyncEnd]);
    host.wait(0);
    assert_eq!(host.ids(), [ETH0_IPV4, ETH1_IPV4]);
}

#[test]
fn a_dump_that_begins_again_forgets_the_first() {
    let mut host = host();
    host.see([Event::ResyncBegin]);
    host.see(dump());
    resync(&mut host, [up(LO)]);
    assert!(host.ids().is_empty());
    assert_eq!(host.snapshot().interfaces().count(), 1);
}
