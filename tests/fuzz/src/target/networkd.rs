//! Lease files of systemd-networkd, and what it says of a link when it is asked.

use super::lease;
use mif_core::limits;
use mif_core::networkd;

/// Reads any bytes as such a file, as the name of one, and as the description of a link.
pub fn check(bytes: &[u8]) {
    assert_ne!(networkd::ifindex(bytes), Some(0));
    if let Some(read) = networkd::lease(bytes) {
        lease::check(&read);
    }
    let Some(told) = networkd::description(&String::from_utf8_lossy(bytes)) else { return };
    if let Some(given) = &told.dhcpv6 {
        lease::check_dhcpv6(given);
    }
    let Some(set) = &told.settings else { return };
    assert!(set.dns_servers.len() <= limits::SERVERS_PER_PVD);
    assert!(set.ntp_servers.len() <= limits::SERVERS_PER_PVD);
    assert!(set.search_domains.len() <= limits::DOMAINS_PER_PVD);
    for text in set.search_domains.iter().chain(&set.ntp_servers) {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
}
