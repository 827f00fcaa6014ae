//! ConfigurationRevision counts changes of values, and nothing else.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, address, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::lease;

const IPV4: &str = "implicit:eth0:ipv4";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

#[test]
fn it_begins_with_one_and_goes_up_by_one() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::53", 900)]);
    assert_eq!(host.pvd(ROUTER1).revision, 1);
    host.see([advertisement(ETH0, "fe80::1").dns("2001:db8::54", 900).search("isp.test", 900)]);
    assert_eq!(host.pvd(ROUTER1).revision, 2);
    host.wait(900);
    assert_eq!(host.pvd(ROUTER1).revision, 3);
}

#[test]
fn times_do_not_count() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600)]);
    host.wait(60);
    host.see([advertisement(ETH0, "fe80::1").router_lifetime(900).prefix("2001:db8:1::/64", 60, 30)]);
    assert_eq!(host.pvd(ROUTER1).revision, 1);
    assert_eq!(host.last().changes, []);
}

#[test]
fn addresses_do_not_count() {
    let mut host = host();
    let until = host.within(3600);
    host.see([lease(ETH0, "192.0.2.5/24", until)]);
    host.see([address(ETH0, "192.0.2.5/24").lasting(until, until)]);
    assert_eq!(host.announcements(), ["+192.0.2.5"]);
    assert_eq!(host.pvd(IPV4).revision, 1);
}

#[test]
fn a_new_value_of_a_lease_counts() {
    let mut host = host();
    let leased = |until| lease(ETH0, "192.0.2.5/24", until).dns("192.0.2.53");
    host.see([leased(host.within(3600))]);
    host.wait(1800);
    host.see([leased(host.within(3600)).dns("192.0.2.54")]);
    assert_eq!(host.announcements(), ["+dhcpv4"]);
    assert_eq!(host.pvd(IPV4).revision, 2);
}

#[test]
fn an_element_that_comes_or_goes_counts() {
    let mut host = host();
    host.see([lease(ETH0, "192.0.2.5/24", host.within(3600))]);
    host.see(events![address(ETH0, "198.51.100.7/24")]);
    assert_eq!(host.announcements(), ["+198.51.100.7", "+static"]);
    assert_eq!(host.pvd(IPV4).revision, 2);
}
