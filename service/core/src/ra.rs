//! Router Advertisements (RFC 4861 4.2): what a message says, decoded, with lifetimes as they were on the wire.

use crate::configuration::{Preference, Prefix};
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

/// What one Router Advertisement says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterAdvertisement {
    /// How long the sender is a default router, in seconds; zero: it is none.
    pub router_lifetime: u16,
    /// How much it wants to be the default router (RFC 4191 2.2).
    pub preference: Preference,
    /// Flag M: addresses by DHCPv6.
    pub managed: bool,
    /// Flag O: other configuration by DHCPv6.
    pub other: bool,
    /// The MTU option, in bytes.
    pub mtu: Option<u32>,
    /// Prefix Information options (RFC 4861 4.6.2), in order.
    pub prefixes: Vec<PrefixInformation>,
    /// Route Information options (RFC 4191 2.3), in order.
    pub routes: Vec<RouteInformation>,
    /// The addresses of the Recursive DNS Server options (RFC 8106 5.1), in order.
    pub dns_servers: Vec<Timed<Ipv6Addr>>,
    /// The names of the DNS Search List options (RFC 8106 5.2), in order, escaped, no final dot.
    pub search_domains: Vec<Timed<String>>,
}

/// A Prefix Information option (RFC 4861 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixInformation {
    /// The prefix, host bits cleared.
    pub prefix: Prefix,
    /// Flag L.
    pub on_link: bool,
    /// Flag A.
    pub autonomous: bool,
    /// Valid lifetime in seconds; `u32::MAX`: for ever.
    pub valid_lifetime: u32,
    /// Preferred lifetime in seconds; `u32::MAX`: for ever.
    pub preferred_lifetime: u32,
}

/// A Route Information option (RFC 4191 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteInformation {
    /// The destination, host bits cleared.
    pub destination: Prefix,
    /// RFC 4191 preference.
    pub preference: Preference,
    /// Lifetime in seconds; `u32::MAX`: for ever.
    pub lifetime: u32,
}

/// A value with its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed<T> {
    /// The value.
    pub value: T,
    /// Lifetime in seconds; zero: no more; `u32::MAX`: for ever.
    pub lifetime: u32,
}
