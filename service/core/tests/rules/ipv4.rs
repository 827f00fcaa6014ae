//! The implicit IPv4 provisioning domain of a link: rule 2 (DHCPv4), rule 4 (by hand, link-local), rule 5.

use crate::common::event::{DHCP, ETH0, KERNEL, TUN0, address, address_gone, route, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::lease::{lease, lease_gone};
use crate::common::{ip, prefix};
use mif_core::configuration::Element;
use mif_core::pvd::{Family, Origin};

const IPV4: &str = "implicit:eth0:ipv4";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

#[test]
fn a_link_without_configuration_has_none() {
    let host = host();
    assert_eq!(host.ids(), [""; 0]);
    assert!(host.interface("eth0").pvds.is_empty());
}

#[test]
fn loopback_has_none() {
    let mut host = Host::started();
    host.see([address(1, "127.0.0.1/8"), address(1, "::1/128"), address(1, "192.0.2.1/32")]);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn a_lease_makes_it() {
    let mut host = host();
    let expires = host.within(3600);
    let leased =
        lease(ETH0, "192.0.2.5/24", expires).router("192.0.2.1").dns("192.0.2.53").domain("isp.test");
    host.see(events![address(ETH0, "192.0.2.5/24").lasting(expires, expires), leased]);

    let pvd = host.pvd(IPV4);
    assert_eq!((pvd.key.origin(), pvd.family), (Origin::Implicit, Family::Ipv4));
    assert_eq!(host.interface("eth0").pvds, [pvd.serial]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred dhcpv4"]);
    assert_eq!(host.elements(IPV4), ["dhcpv4"]);
    let gave = host.gave(IPV4, Element::Dhcpv4);
    assert_eq!(gave.dns_servers, [ip("192.0.2.53")]);
    assert_eq!(gave.routers, [ip("192.0.2.1")]);
    assert_eq!(gave.domain_name.as_deref(), Some("isp.test"));
    assert_eq!(gave.lease_expires, Some(expires));
    assert!(gave.prefixes.contains_key(&prefix("192.0.2.0/24")));
    assert_eq!(*pvd.used, *gave);
}

#[test]
fn it_exists_from_the_lease_on_before_the_kernel_has_the_address() {
    let mut host = host();
    let expires = host.within(3600);
    host.see([lease(ETH0, "192.0.2.5/24", expires)]);
    assert_eq!(host.addresses(IPV4), [""; 0]);
    host.see([address(ETH0, "192.0.2.5/24").lasting(expires, expires)]);
    assert_eq!(host.announcements(), ["+192.0.2.5"]);
}

#[test]
fn it_goes_with_the_lease() {
    let mut host = host();
    host.see([lease(ETH0, "192.0.2.5/24", host.within(3600))]);
    host.see([lease_gone(ETH0)]);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn it_goes_when_the_lease_runs_out_unheard() {
    let mut host = host();
    host.see([lease(ETH0, "192.0.2.5/24", host.within(3600))]);
    host.wait(3599);
    assert_eq!(host.ids(), [IPV4]);
    host.wait(1);
    assert_eq!(host.ids(), [""; 0]);
}

#[test]
fn a_renewal_is_no_news() {
    let mut host = host();
    let valid = host.within(3600);
    host.see(events![
        address(ETH0, "192.0.2.5/24").lasting(valid, valid),
        lease(ETH0, "192.0.2.5/24", valid)
    ]);
    host.wait(1800);
    let valid = host.within(3600);
    host.see(events![
        address(ETH0, "192.0.2.5/24").lasting(valid, valid),
        lease(ETH0, "192.0.2.5/24", valid)
    ]);
    assert_eq!(host.last().changes, []);
    assert_eq!(host.gave(IPV4, Element::Dhcpv4).lease_expires, Some(valid));
    assert_eq!(host.pvd(IPV4).addresses[0].valid_until, valid);
}

#[test]
fn an_address_with_a_lifetime_is_from_a_dhcp_client_that_nobody_told_us_of() {
    let mut host = host();
    host.see([address(ETH0, "192.0.2.5/24").lasting(host.within(60), host.within(60))]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred dhcpv4"]);
    assert!(host.gave(IPV4, Element::Dhcpv4).prefixes.contains_key(&prefix("192.0.2.0/24")));
}

#[test]
fn an_address_by_hand_makes_it_with_the_element_static() {
    let mut host = host();
    host.see(events![
        address(ETH0, "192.0.2.5/24"),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1"),
        route(ETH0, "198.51.100.0/24").via("192.0.2.2"),
    ]);
    assert_eq!(host.elements(IPV4), ["static"]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred static"]);
    let gave = host.gave(IPV4, Element::Static);
    assert_eq!(gave.routers, [ip("192.0.2.1")]);
    let destinations: Vec<String> = gave.routes.keys().map(|key| key.destination.to_string()).collect();
    assert_eq!(destinations, ["0.0.0.0/0", "198.51.100.0/24"]);
}

#[test]
fn an_address_by_hand_beside_a_lease_is_in_the_same_one() {
    let mut host = host();
    let expires = host.within(3600);
    host.see(events![
        address(ETH0, "192.0.2.5/24").lasting(expires, expires),
        address(ETH0, "198.51.100.7/24"),
        lease(ETH0, "192.0.2.5/24", expires).dns("192.0.2.53"),
    ]);
    assert_eq!(host.ids(), [IPV4]);
    assert_eq!(host.elements(IPV4), ["dhcpv4", "static"]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred dhcpv4", "198.51.100.7/24 preferred static"]);
    host.see([lease_gone(ETH0), address_gone(ETH0, "192.0.2.5/24")]);
    assert_eq!(host.announcements(), ["-192.0.2.5", "-dhcpv4"]);
    assert_eq!(host.elements(IPV4), ["static"]);
}

#[test]
fn the_lease_tells_of_its_network_even_beside_an_older_address_of_dhcp() {
    let mut host = host();
    let (soon, later) = (host.within(60), host.within(3600));
    host.see(events![
        address(ETH0, "192.0.2.5/24").lasting(soon, soon),
        lease(ETH0, "198.51.100.7/24", later),
    ]);
    let networks: Vec<String> =
        host.gave(IPV4, Element::Dhcpv4).prefixes.keys().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.0.2.0/24", "198.51.100.0/24"]);
}

#[test]
fn link_local_alone_has_the_element_link_local() {
    let mut host = host();
    host.see(events![address(ETH0, "169.254.7.7/16"), route(ETH0, "169.254.0.0/16").protocol(KERNEL),]);
    assert_eq!(host.elements(IPV4), ["link-local"]);
    assert_eq!(host.addresses(IPV4), ["169.254.7.7/16 preferred link-local"]);
}

#[test]
fn routes_of_a_dhcp_client_belong_to_its_lease_and_no_other_element() {
    let mut host = host();
    let expires = host.within(3600);
    host.see(events![
        address(ETH0, "198.51.100.7/24"),
        route(ETH0, "0.0.0.0/0").via("192.0.2.1").protocol(DHCP),
        lease(ETH0, "192.0.2.5/24", expires).router("192.0.2.1"),
    ]);
    assert_eq!(host.gave(IPV4, Element::Static).routers.len(), 0);
    assert_eq!(host.gave(IPV4, Element::Dhcpv4).routers, [ip("192.0.2.1")]);
}

#[test]
fn a_point_to_point_network_of_two_addresses_is_one() {
    let mut host = host();
    host.see([address(ETH0, "192.0.2.4/31")]);
    assert!(host.gave(IPV4, Element::Static).prefixes.contains_key(&prefix("192.0.2.4/31")));
}

#[test]
fn a_host_address_has_no_network() {
    let mut host = host();
    host.see([address(ETH0, "192.0.2.5/32")]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/32 preferred static"]);
    assert!(host.gave(IPV4, Element::Static).prefixes.is_empty());
}

#[test]
fn the_other_end_of_a_link_is_on_it_and_the_networks_of_both_are_not_mixed_up() {
    let mut host = host();
    host.see([
        address(ETH0, "192.0.2.5/32").peer("192.0.2.9"),
        address(ETH0, "10.1.0.1/24").peer("10.2.0.1"),
    ]);
    let on_link: Vec<_> = host.gave(IPV4, Element::Static).prefixes.keys().copied().collect();
    assert_eq!(on_link, [prefix("10.2.0.0/24"), prefix("192.0.2.9/32")]);
}

#[test]
fn by_hand_on_a_tunnel_is_by_the_vpn() {
    let mut host = Host::started();
    host.see(events![
        up(TUN0),
        address(TUN0, "198.51.100.9/32"),
        route(TUN0, "0.0.0.0/0"),
        address(TUN0, "fd00:9::9/128"),
        route(TUN0, "::/0"),
    ]);
    assert_eq!(host.ids(), ["implicit:tun0:ipv4", "implicit:tun0:ipv6"]);
    for id in ["implicit:tun0:ipv4", "implicit:tun0:ipv6"] {
        assert_eq!(host.elements(id), ["vpn"]);
        assert_eq!(host.gave(id, Element::Vpn).routes.len(), 1);
    }
}

#[test]
fn the_same_address_twice_is_told_once() {
    let mut host = host();
    host.see([address(ETH0, "192.0.2.5/24"), address(ETH0, "192.0.2.5/32").deprecated()]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/24 preferred static"]);
    host.see([address(ETH0, "192.0.2.5/24").tentative()]);
    assert_eq!(host.addresses(IPV4), ["192.0.2.5/32 deprecated static"]);
    host.see([address_gone(ETH0, "192.0.2.5/32")]);
    assert_eq!(host.ids(), [""; 0]);
}
