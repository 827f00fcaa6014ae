//! Lease files of ISC dhclient.

use super::lease;
use mif_core::BootTime;
use mif_core::dhclient::{Clocks, dhcpv6_records, records};
use std::time::Duration;

/// Reads any bytes as a lease file, at a moment at which the leases of the inputs hold.
pub fn check(file: &[u8]) {
    let now = Clocks { boot: BootTime::from_micros(1_000_000), unix: Duration::from_secs(1_700_000_000) };
    for record in dhcpv6_records(file).values() {
        assert!(!record.is_newer_than(record));
        record.lease(now).iter().for_each(lease::check_dhcpv6);
    }
    let records = records(file);
    for (interface, record) in &records {
        assert!(file.windows(interface.len()).any(|window| window == interface), "{interface:?}");
        assert!(!record.is_newer_than(record));
        if let Some(read) = record.lease(now) {
            assert_eq!(read.address, record.address());
            lease::check(&read);
        }
    }
}
