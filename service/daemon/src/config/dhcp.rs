//! `[dhcp]`: what DHCP servers are asked.

use mif_core::facts::InquiryPolicy;
use serde::Deserialize;

/// What DHCP servers are asked where nobody else on this host tells what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dhcp {
    inform: bool,
    information_request: bool,
}

impl Dhcp {
    /// The same, for the engine.
    pub const fn policy(&self) -> InquiryPolicy {
        InquiryPolicy { dhcpv4: self.inform, dhcpv6: self.information_request }
    }
}

impl Default for Dhcp {
    fn default() -> Self {
        Self { inform: true, information_request: true }
    }
}
