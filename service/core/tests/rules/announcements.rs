//! O6: when an address that is known is announced again. (The listener checks O3 to O6 in every other test too.)

use crate::common::event::{ETH0, address, address_gone, up};
use crate::common::events;
use crate::common::host::Host;
use mif_core::event::Event;

const FIVE: &str = "2001:db8:5::5/64";

/// An address, preferred for 1000 s and valid for 2000 s from now, and another that never changes.
fn host() -> Host {
    let mut host = Host::started();
    host.see(events![up(ETH0), lasting(&host, 1000, 2000), address(ETH0, "2001:db8:5::1/64")]);
    host.wait(4);
    assert_eq!(host.addresses("implicit:eth0:ipv6").len(), 2);
    host
}

fn lasting(host: &Host, preferred: u64, valid: u64) -> Event {
    address(ETH0, FIVE).lasting(host.within(preferred), host.within(valid)).into()
}

#[test]
fn later_deadlines_are_no_news() {
    let mut host = host();
    host.see([lasting(&host, 1500, 2500)]);
    assert_eq!(host.last().changes, []);
    assert!(
        host.last().is_news() && host.last().is_quiet(),
        "the state is another one, and nobody need look"
    );
    host.see([lasting(&host, 1500, 2500)]);
    assert!(!host.last().is_news(), "the same once more");
}

#[test]
fn two_seconds_earlier_is_no_news_and_three_are() {
    let mut host = host();
    host.see([lasting(&host, 994, 1994)]);
    assert_eq!(host.last().changes, []);
    host.see([lasting(&host, 993, 1994)]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
    host.see([lasting(&host, 993, 1991)]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
}

#[test]
fn earlier_in_small_steps_is_news_when_the_sum_is() {
    let mut host = host();
    host.see([lasting(&host, 995, 1995)]);
    host.see([lasting(&host, 994, 1994)]);
    assert_eq!(host.last().changes, []);
    host.see([lasting(&host, 993, 1993)]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
}

#[test]
fn earlier_than_what_it_had_silently_moved_to_is_news() {
    let mut host = host();
    host.see([lasting(&host, 3000, 4000)]);
    assert_eq!(host.last().changes, []);
    host.see([lasting(&host, 2000, 4000)]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
}

#[test]
fn deprecated_and_preferred_again_are_news() {
    let mut host = host();
    let (preferred, valid) = (host.within(996), host.within(1996));
    let five = address(ETH0, FIVE).lasting(preferred, valid);
    host.see([five.clone().deprecated()]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
    host.see([five.clone().deprecated()]);
    assert_eq!(host.last().changes, []);
    host.see([five]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
}

#[test]
fn gone_and_back_are_two_announcements() {
    let mut host = host();
    host.see([address_gone(ETH0, FIVE)]);
    assert_eq!(host.announcements(), ["-2001:db8:5::5", "-dhcpv6"]);
    host.see([address(ETH0, FIVE)]);
    assert_eq!(host.announcements(), ["+2001:db8:5::5"]);
}

#[test]
fn gone_and_back_at_once_is_nothing() {
    let mut host = host();
    let again = lasting(&host, 996, 1996);
    host.see([address_gone(ETH0, FIVE), again]);
    // As if new, it waits for an advertisement that explains it.
    assert_eq!(host.announcements(), ["-2001:db8:5::5", "-dhcpv6"]);
    host.wait(4);
    assert_eq!(host.announcements(), ["+2001:db8:5::5", "+dhcpv6"]);
}
