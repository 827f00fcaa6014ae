//! Lease files of systemd-networkd.

use super::lease;
use mif_core::networkd;

/// Reads any bytes as such a file, and as the name of one.
pub fn check(file: &[u8]) {
    assert_ne!(networkd::ifindex(file), Some(0));
    if let Some(read) = networkd::lease(file) {
        lease::check(&read);
    }
}
