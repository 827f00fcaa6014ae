//! What people or a VPN set on a link (contract rule 4), and what this service asked for itself.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, TUN0, address, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::ip;
use crate::common::lease::{lease, lease_gone};
use crate::common::told::{dhcpv6, set};
use mif_core::configuration::Element;
use mif_core::event::{Event, LeaseClient, LinkSettings, SettingsManager};

const IPV4: &str = "implicit:eth0:ipv4";
const IPV6: &str = "implicit:eth0:ipv6";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(TUN0)]);
    host
}

#[test]
fn servers_join_the_pvd_of_their_family_and_domains_both() {
    let mut host = host();
    let both = ["192.0.2.53", "2001:db8::53", "corp.test"];
    host.see([set(ETH0, SettingsManager::Networkd, &both)]);
    assert_eq!(host.ids(), [""; 0], "alone they form none");
    host.see(events![address(ETH0, "192.0.2.5/24"), address(ETH0, "2001:db8:9::5/64")]);
    for (id, server) in [(IPV4, "192.0.2.53"), (IPV6, "2001:db8::53")] {
        let gave = host.gave(id, Element::Static);
        assert_eq!(
            (&gave.dns_servers, &gave.search_domains),
            (&vec![ip(server)], &vec!["corp.test".to_owned()])
        );
        assert_eq!(gave.told_by.as_deref(), Some("systemd-networkd"));
    }
    host.see([Event::SettingsGone { ifindex: ETH0, manager: SettingsManager::Networkd }]);
    assert!(host.gave(IPV4, Element::Static).dns_servers.is_empty());
    assert_eq!(host.elements(IPV6), ["static"]);
}

#[test]
fn on_a_tunnel_they_are_of_the_vpn() {
    let mut host = host();
    host.see(events![
        address(TUN0, "10.8.0.2/32"),
        set(TUN0, SettingsManager::Resolved, &["10.8.0.53", "corp.test"]),
    ]);
    assert_eq!(host.gave("implicit:tun0:ipv4", Element::Vpn).dns_servers, [ip("10.8.0.53")]);
    assert_eq!(host.elements("implicit:tun0:ipv4"), ["vpn"]);
}

#[test]
fn who_sets_counts_before_who_is_told() {
    let mut host = host();
    host.see(events![
        address(ETH0, "192.0.2.5/24"),
        set(ETH0, SettingsManager::Resolved, &["192.0.2.3"]),
        set(ETH0, SettingsManager::NetworkManager, &["192.0.2.1"]),
    ]);
    assert_eq!(host.gave(IPV4, Element::Static).dns_servers, [ip("192.0.2.1")]);
    // One that has nothing to say does not stand in the way.
    host.see([set(ETH0, SettingsManager::NetworkManager, &[])]);
    assert_eq!(host.gave(IPV4, Element::Static).dns_servers, [ip("192.0.2.3")]);
    // One to whom the link belongs does: what resolved knows it has from there.
    let settings = Box::new(LinkSettings { exclusive: true, ..LinkSettings::default() });
    host.see([Event::Settings { ifindex: ETH0, manager: SettingsManager::Networkd, settings }]);
    assert!(host.gave(IPV4, Element::Static).dns_servers.is_empty());
}

#[test]
fn what_the_network_gave_is_not_set_by_hand() {
    let mut host = host();
    let expires = host.within(3600);
    let leased = |server: &str| lease(ETH0, "192.0.2.5/24", expires).dns(server).domain("isp.test");
    let all = ["192.0.2.53", "192.0.2.9", "2001:db8::53", "2001:db8::54", "isp.test"];
    host.see(events![
        leased("192.0.2.53"),
        address(ETH0, "192.0.2.5/24").lasting(expires, expires),
        advertisement(ETH0, "fe80::1").other().dns("2001:db8::53", 60),
        dhcpv6(ETH0).dns("2001:db8::54"),
        set(ETH0, SettingsManager::Resolved, &all),
    ]);
    assert_eq!(host.gave(IPV4, Element::Static).dns_servers, [ip("192.0.2.9")]);
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::1"), ["ra", "dhcpv6"]);
    // Its manager is a moment behind: nothing shall flap.
    host.see([leased("192.0.2.54")]);
    assert_eq!(host.gave(IPV4, Element::Static).dns_servers, [ip("192.0.2.9")]);
    host.wait(60);
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::1"), ["ra", "dhcpv6"]);
    host.see(events![lease_gone(ETH0), set(ETH0, SettingsManager::Resolved, &["192.0.2.53"])]);
    assert_eq!(host.gave(IPV4, Element::Static).dns_servers, [ip("192.0.2.53")], "it is set, then");
}

#[test]
fn it_never_reaches_a_pvd_that_a_network_named() {
    let mut host = host();
    host.see(events![
        advertisement(ETH0, "fe80::1").pvd("isp.example"),
        advertisement(ETH0, "fe80::2"),
        set(ETH0, SettingsManager::NetworkManager, &["2001:db8::53"]),
    ]);
    assert_eq!(host.elements("isp.example"), ["ra"]);
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::2"), ["ra", "static"]);
    host.see(events![address(ETH0, "2001:db8:9::5/64")]);
    assert_eq!(host.elements("implicit:eth0:ipv6:fe80::2"), ["ra"], "it belongs beside the address by hand");
    assert_eq!(host.gave(IPV6, Element::Static).dns_servers, [ip("2001:db8::53")]);
}

#[test]
fn what_a_server_only_informs_of_says_nothing_of_the_address() {
    let mut host = host();
    host.see(events![
        address(ETH0, "192.0.2.5/24"),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1"),
        advertisement(ETH0, "fe80::1").pvd("isp.example").legacy(),
    ]);
    // It asks by then.
    host.wait(6);
    host.see(events![
        lease(ETH0, "192.0.2.5/24", mif_core::BootTime::FOREVER).told_by(LeaseClient::Own).dns("192.0.2.53"),
    ]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred static"]);
    let gave = host.gave(IPV4, Element::Dhcpv4);
    assert_eq!((&gave.dns_servers, gave.lease_expires), (&vec![ip("192.0.2.53")], None));
    assert_eq!(gave.told_by.as_deref(), Some("mifd"));
}
