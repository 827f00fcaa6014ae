//! What holds of every lease, whoever granted it.

use mif_core::configuration::Configuration;
use mif_core::event::{Dhcpv6Lease, Lease, LinkSettings};
use mif_core::limits;

/// Panics unless the lease keeps its caps and all text in it is fit for a bus, a log and a terminal.
pub fn check(lease: &Lease) {
    assert!(lease.prefix_length <= if lease.address.is_ipv4() { 32 } else { 128 });
    assert_eq!(lease.configuration.lease_expires, Some(lease.expires));
    check_configuration(&lease.configuration);
    let text = serde_json::to_string(lease).unwrap();
    assert_eq!(&serde_json::from_str::<Lease>(&text).unwrap(), lease, "recorded and read back");
}

/// The same for what a DHCPv6 server gave.
pub fn check_dhcpv6(lease: &Dhcpv6Lease) {
    assert!(lease.addresses.is_empty() || lease.expires.is_some());
    check_configuration(&lease.configuration);
    let text = serde_json::to_string(lease).unwrap();
    assert_eq!(&serde_json::from_str::<Dhcpv6Lease>(&text).unwrap(), lease, "recorded and read back");
}

/// The same for what is set on a link.
pub fn check_settings(set: &LinkSettings) {
    assert!(set.dns_servers.len() <= limits::SERVERS_PER_PVD);
    assert!(set.ntp_servers.len() <= limits::SERVERS_PER_PVD);
    assert!(set.search_domains.len() <= limits::DOMAINS_PER_PVD);
    for text in set.search_domains.iter().chain(&set.ntp_servers) {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
}

fn check_configuration(configuration: &Configuration) {
    assert!(configuration.dns_servers.len() <= limits::SERVERS_PER_PVD);
    assert!(configuration.search_domains.len() <= limits::DOMAINS_PER_PVD);
    assert!(configuration.routers.len() <= limits::ROUTERS_PER_PVD);
    assert!(configuration.ntp_servers.len() <= limits::SERVERS_PER_PVD);
    assert!(configuration.nis_servers.len() <= limits::SERVERS_PER_PVD);
    // Those of a router, and one default route for each router.
    assert!(configuration.routes.len() <= limits::ROUTES_PER_ROUTER + limits::ROUTERS_PER_PVD);
    for route in configuration.routes.keys() {
        assert!(route.destination.covers(route.destination.address), "host bits in {route:?}");
    }
    let texts = configuration.search_domains.iter().chain(&configuration.ntp_servers);
    let texts = texts.chain(&configuration.domain_name).chain(&configuration.nis_domain);
    for text in texts.chain(&configuration.server_identifier) {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
}
