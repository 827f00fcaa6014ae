//! What this service asks DHCP servers itself: only what nobody else tells.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, RouteWords, TUN0, address, address_gone, down, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::{lease, lease_gone};
use crate::common::told::{dhcpv6, dhcpv6_gone, set};
use mif_core::BootTime;
use mif_core::configuration::Element;
use mif_core::engine::Command;
use mif_core::event::{Dhcpv6Lease, Event, LeaseClient, LinkSettings, SettingsManager};
use mif_core::facts::{InquiryPolicy, Subject};
use std::net::Ipv4Addr;

const IPV4: &str = "implicit:eth0:ipv4";
const INFORM: Subject = Subject::Dhcpv4 { address: Ipv4Addr::new(192, 0, 2, 5) };

fn asked(host: &Host) -> Vec<Subject> {
    let asked = |command: &Command| match command {
        Command::Inquire { ifindex: ETH0, question } => Some(question.subject),
        Command::Inquire { .. } => panic!("{command:?}"),
        Command::Solicit { .. } | Command::Fetch(_) | Command::CancelFetch { .. } => None,
    };
    host.commands().iter().filter_map(asked).collect()
}

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(TUN0)]);
    host
}

fn default_route() -> RouteWords {
    route(ETH0, "0.0.0.0/0").via("192.0.2.1")
}

/// What a server said to a DHCPINFORM.
fn informed(dns: &str) -> Event {
    lease(ETH0, "192.0.2.5/32", BootTime::FOREVER).told_by(LeaseClient::Own).dns(dns).into()
}

fn requested(dns: &str, refresh: u32) -> Event {
    let Event::Dhcpv6 { ifindex, lease, .. } = dhcpv6(ETH0).dns(dns).into() else { unreachable!() };
    let lease = Box::new(Dhcpv6Lease { refresh: Some(refresh), ..*lease });
    Event::Dhcpv6 { ifindex, client: LeaseClient::Own, lease }
}

#[test]
fn others_are_given_four_seconds_to_tell() {
    let mut host = host();
    host.see(events![
        address(ETH0, "169.254.1.1/16"),
        address(ETH0, "192.0.2.5/24"),
        default_route(),
        address(TUN0, "10.8.0.2/24"),
        route(TUN0, "0.0.0.0/0").via("10.8.0.1"),
    ]);
    host.wait(3);
    assert_eq!(asked(&host), []);
    host.wait(3);
    assert_eq!(asked(&host), [INFORM]);
    host.wait(70);
    assert_eq!(asked(&host).len(), 4, "RFC 2131 4.4.3");
    host.wait(3_000);
    assert_eq!(asked(&host).len(), 4);
}

#[test]
fn an_answer_joins_what_is_set_by_hand_and_is_asked_for_again_in_a_day() {
    let mut host = host();
    host.see(events![address(ETH0, "192.0.2.5/24"), default_route()]);
    host.see([informed("192.0.2.9")]);
    assert_eq!(host.elements(IPV4), ["static"], "nobody has asked yet");
    host.wait(6);
    host.see([informed("192.0.2.53")]);
    assert_eq!(host.elements(IPV4), ["dhcpv4", "static"]);
    assert_eq!(host.gave(IPV4, Element::Dhcpv4).told_by.as_deref(), Some("mifd"));
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred static"]);
    host.see([informed("192.0.2.99")]);
    assert_eq!(host.pvd(IPV4).used.dns_servers.len(), 1, "the first answer counts");
    host.wait(86_000);
    assert_eq!(asked(&host).len(), 1);
    host.wait(402);
    assert_eq!(asked(&host).len(), 2);
    assert_eq!(host.elements(IPV4), ["dhcpv4", "static"], "it stands while it is asked for anew");
    host.see(events![address_gone(ETH0, "192.0.2.5/24"), address(ETH0, "192.0.2.6/24")]);
    assert_eq!(host.elements(IPV4), ["static"], "what was said was about the other address");
    host.wait(6);
    assert_eq!(asked(&host).last(), Some(&Subject::Dhcpv4 { address: Ipv4Addr::new(192, 0, 2, 6) }));
}

#[test]
fn another_address_beside_it_changes_nothing() {
    let mut host = host();
    host.see(events![address(ETH0, "192.0.2.5/24"), default_route()]);
    host.wait(6);
    host.see([informed("192.0.2.53")]);
    host.see(events![address(ETH0, "192.0.2.4/24")]);
    host.wait(3_600);
    assert_eq!(asked(&host), [INFORM]);
    assert_eq!(host.elements(IPV4), ["dhcpv4", "static"]);
}

#[test]
fn a_link_that_leads_nowhere_is_not_asked() {
    let mut host = host();
    host.see(events![address(ETH0, "172.17.0.1/16"), route(ETH0, "172.17.0.0/16")]);
    host.wait(3_600);
    assert_eq!(asked(&host), []);
}

#[test]
fn this_host_does_not_inform_itself() {
    let mut host = host();
    host.see(events![address(ETH0, "192.0.2.5/24"), default_route()]);
    host.wait(6);
    let Event::Lease { ifindex, client, mut lease } = informed("192.0.2.53") else { unreachable!() };
    lease.configuration.server_identifier = Some("192.0.2.5".to_owned());
    host.see([Event::Lease { ifindex, client, lease }]);
    assert_eq!(host.elements(IPV4), ["static"]);
    host.wait(3_600);
    assert_eq!(asked(&host).len(), 1, "nor does it ask itself again");
}

#[test]
fn who_tells_leaves_nothing_to_ask_and_takes_the_place_of_what_was_asked() {
    let mut host = host();
    let expires = host.within(100_000);
    host.see(events![address(ETH0, "192.0.2.5/24"), default_route(), lease(ETH0, "192.0.2.5/24", expires)]);
    host.wait(3_600);
    assert_eq!(asked(&host), []);
    host.see([lease_gone(ETH0)]);
    host.wait(6);
    assert_eq!(asked(&host), [INFORM]);
    host.see([informed("192.0.2.53")]);
    host.see(events![lease(ETH0, "192.0.2.5/24", expires).dns("192.0.2.54")]);
    host.see([lease_gone(ETH0)]);
    assert_eq!(host.elements(IPV4), ["static"], "what was asked before is of before");
    host.see([set(ETH0, SettingsManager::Resolved, &["192.0.2.53"])]);
    host.wait(3_600);
    assert_eq!(asked(&host).len(), 1, "a manager tells");
    let exclusive = Box::new(LinkSettings { exclusive: true, ..LinkSettings::default() });
    let settings = Event::Settings { ifindex: ETH0, manager: SettingsManager::Networkd, settings: exclusive };
    host.see([settings]);
    host.wait(3_600);
    assert_eq!(asked(&host).len(), 1, "a manager tells that there is nothing");
}

#[test]
fn dhcpv6_is_asked_when_a_router_says_so() {
    let mut host = host();
    host.see(events![address(ETH0, "fe80::a/64"), advertisement(ETH0, "fe80::1")]);
    host.wait(10);
    assert_eq!(asked(&host), []);
    host.see([advertisement(ETH0, "fe80::1").other()]);
    host.wait(6);
    assert_eq!(asked(&host)[0], Subject::Dhcpv6);
    host.see([requested("2001:db8::53", 600)]);
    let so_far = asked(&host).len();
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::1"), ["ra", "dhcpv6"]);
    for _ in 0..2 {
        // The router goes on.
        host.wait(295);
        host.see([advertisement(ETH0, "fe80::1").other()]);
    }
    assert_eq!(asked(&host).len(), so_far, "the answer is good for ten minutes");
    host.wait(11);
    assert!(asked(&host).len() > so_far);
    host.see([requested("2001:db8::53", 600)]);
    host.see(events![dhcpv6(ETH0)]);
    let so_far = asked(&host).len();
    host.wait(1_000);
    assert_eq!(asked(&host).len(), so_far, "somebody else tells now");
    host.see(events![advertisement(ETH0, "fe80::1").other(), dhcpv6_gone(ETH0)]);
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::1"), ["ra"]);
    host.wait(6);
    assert!(asked(&host).len() > so_far);
    host.see([requested("2001:db8::53", 600)]);
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::1"), ["ra"], "the router says no more that there is");
}

#[test]
fn nothing_is_asked_without_carrier_and_everything_anew_on_another_network() {
    let mut host = host();
    host.see(events![address(ETH0, "192.0.2.5/24"), default_route()]);
    host.wait(6);
    host.see([informed("192.0.2.53")]);
    host.see([down(ETH0)]);
    host.wait(1);
    host.see([up(ETH0)]);
    assert_eq!(host.elements(IPV4), ["dhcpv4", "static"], "within the grace");
    host.see([down(ETH0)]);
    host.wait(100_000);
    assert_eq!(asked(&host).len(), 1);
    host.see([up(ETH0), informed("192.0.2.53")]);
    assert_eq!(host.elements(IPV4), ["static"], "too late, and of another network perhaps");
    host.wait(6);
    assert_eq!(asked(&host).len(), 2);
}

#[test]
fn who_does_not_want_it_asks_nothing() {
    let mut host = Host::asking_for(InquiryPolicy::NONE);
    host.see(events![
        up(ETH0),
        address(ETH0, "192.0.2.5/24"),
        default_route(),
        address(ETH0, "fe80::a/64"),
        advertisement(ETH0, "fe80::1").other(),
    ]);
    host.wait(100);
    assert_eq!(asked(&host), []);
}
