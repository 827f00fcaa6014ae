//! What DHCP servers answer to the questions of this service.

use super::lease;
use mif_core::BootTime;
use mif_core::configuration::Configuration;
use mif_core::dhcp::{v4, v6};
use mif_core::event::Lease;

/// Reads any bytes as an answer of both protocols to the question that it names. What is taken is fit for a bus and has
/// its caps, and no answer is one to another question.
pub fn check(message: &[u8]) {
    if let Some(transaction) = message.get(4..8).and_then(|bytes| bytes.try_into().ok()) {
        let transaction = u32::from_be_bytes(transaction);
        if let Some(configuration) = v4::informed(message, transaction) {
            assert_eq!(v4::informed(message, transaction ^ 1), None);
            assert!(configuration.routers.is_empty() && configuration.routes.is_empty());
            check_configuration(configuration);
        }
    }
    if let Some([_, high, middle, low]) = message.first_chunk() {
        let transaction = u32::from_be_bytes([0, *high, *middle, *low]);
        if let Some(lease) = v6::informed(message, transaction) {
            assert_eq!(v6::informed(message, transaction ^ 1), None);
            assert!(lease.addresses.is_empty() && lease.refresh.is_some_and(|refresh| refresh >= 600));
            check_configuration(lease.configuration);
        }
    }
}

fn check_configuration(configuration: Configuration) {
    let address = "192.0.2.5".parse().unwrap();
    let expires = BootTime::from_micros(5_000_000);
    let lease = Lease { address, prefix_length: 32, expires, configuration };
    lease::check(&lease.ending(expires));
}
