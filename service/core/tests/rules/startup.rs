//! Startup: nothing is published before the first dump is complete; then links have 4 s to explain themselves.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, ETH1, LO, address, down, gone, up};
use crate::common::events;
use crate::common::host::Host;
use mif_core::change::Change;
use mif_core::engine::Command;
use mif_core::event::Event;

/// `eth0` is up and can solicit, `eth1` is down; an address of before the start waits for its advertisement.
fn host() -> Host {
    let mut host = Host::starting();
    host.see(events![
        up(LO),
        up(ETH0),
        down(ETH1),
        address(ETH0, "fe80::a/64"),
        address(ETH0, "2001:db8:1::5/64").autoconfigured(),
        Event::ResyncEnd,
    ]);
    host
}

#[test]
fn nothing_is_published_before_the_first_dump_is_complete() {
    let mut host = Host::starting();
    host.see(events![up(ETH0), address(ETH0, "192.0.2.5/24")]);
    assert!(host.last().changes.is_empty() && host.snapshot().is_empty());
    assert!(host.engine().is_resyncing());
    host.see([Event::ResyncEnd]);
    assert!(!host.engine().is_resyncing());
    assert_eq!(host.ids(), ["implicit:eth0:ipv4"]);
}

#[test]
fn a_link_that_is_up_is_asked_for_routers() {
    let host = host();
    assert_eq!(host.last().commands, [Command::Solicit { ifindex: ETH0 }]);
    assert!(host.snapshot().startup());
}

#[test]
fn it_ends_with_the_answer() {
    let mut host = host();
    host.wait(1);
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600)]);
    assert!(!host.snapshot().startup());
    assert_eq!(host.ids(), ["implicit:eth0:ipv6:fe80::1"]);
    assert_eq!(host.last().changes.last(), Some(&Change::StartupFinished));
}

#[test]
fn it_ends_after_four_seconds_without_an_answer() {
    let mut host = host();
    host.wait(3);
    assert!(host.snapshot().startup());
    assert_eq!(host.ids(), [""; 0]);
    host.wait(1);
    assert!(!host.snapshot().startup());
    assert_eq!(host.ids(), ["implicit:eth0:ipv6"]);
}

#[test]
fn four_seconds_count_from_the_solicitation() {
    let mut host = Host::starting();
    host.see(events![up(ETH0), address(ETH0, "fe80::a/64").tentative(), Event::ResyncEnd]);
    assert_eq!(host.last().commands, []);
    host.wait(2);
    host.see([address(ETH0, "fe80::a/64")]);
    assert_eq!(host.last().commands, [Command::Solicit { ifindex: ETH0 }]);
    host.wait(3);
    assert!(host.snapshot().startup());
    host.wait(1);
    assert!(!host.snapshot().startup());
}

#[test]
fn a_link_that_cannot_ask_is_waited_for_no_longer() {
    let mut host = Host::starting();
    host.see([up(ETH0), Event::ResyncEnd]);
    host.wait(3);
    assert!(host.snapshot().startup());
    host.wait(1);
    assert!(!host.snapshot().startup());
}

#[test]
fn links_that_go_or_come_do_not_count() {
    let mut host = host();
    host.see([up(ETH1)]);
    host.see([gone(ETH0)]);
    assert!(!host.snapshot().startup());
}

#[test]
fn with_nothing_up_it_is_over_at_once() {
    let mut host = Host::starting();
    host.see([up(LO), down(ETH0), Event::ResyncEnd]);
    assert!(!host.snapshot().startup());
}

#[test]
fn three_solicitations_and_no_more() {
    let mut host = host();
    for _ in 0..60 {
        host.wait(1);
    }
    assert_eq!(host.commands(), vec![Command::Solicit { ifindex: ETH0 }; 3]);
    assert_eq!(host.engine().next_timeout(), None);
}
