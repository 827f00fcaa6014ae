//! Lease files of systemd-networkd, and what it says of a link when it is asked.

use super::lease;
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
    if let Some(set) = &told.settings {
        lease::check_settings(set);
    }
}
