//! What DHCP clients and network managers tell of a link besides what the kernel knows.

use crate::BootTime;
use crate::configuration::{AddressFamily, Configuration};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr};

/// The program that told of a lease.
///
/// The order is the precedence when several tell of one link: how surely each still stands behind what it told.
/// First what is told by a client that is there and says itself when a lease ends; then the state of a manager of
/// this boot, which takes it back only when it ends in good order; then a file that outlives client and machine;
/// last what this service asked for itself because nobody told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseClient {
    /// dhcpcd.
    Dhcpcd,
    /// NetworkManager, over D-Bus.
    NetworkManager,
    /// systemd-networkd, by the files of its state and over D-Bus.
    Networkd,
    /// ISC dhclient, by its lease files.
    Dhclient,
    /// This service, by DHCPINFORM (RFC 2131 3.4) and Information-Request (RFC 8415 18.2.6).
    Own,
}

impl LeaseClient {
    /// Whether what it told may be older than what happened to the lease: a record on disk, or the word of a
    /// manager that may have crashed since. Then the kernel is the witness: the lease holds as long as the link has
    /// its address, and ends with that.
    pub const fn leaves_records(self) -> bool {
        match self {
            Self::Dhcpcd => false,
            Self::NetworkManager | Self::Networkd | Self::Dhclient | Self::Own => true,
        }
    }

    /// Whether addresses are its own: what a server only informs of says nothing of the address and has no end.
    pub const fn leases_addresses(self) -> bool {
        match self {
            Self::Dhcpcd | Self::NetworkManager | Self::Networkd | Self::Dhclient => true,
            Self::Own => false,
        }
    }

    /// Whether what it told still counts when the carrier was gone for longer than the grace. A program that looks
    /// at the carrier itself does not tell the same twice; of what was asked here, another network may know nothing.
    pub const fn outlives_carrier(self) -> bool {
        match self {
            Self::NetworkManager | Self::Networkd | Self::Dhclient => true,
            Self::Dhcpcd | Self::Own => false,
        }
    }

    /// What people call it: the value of `told-by`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dhcpcd => "dhcpcd",
            Self::NetworkManager => "NetworkManager",
            Self::Networkd => "systemd-networkd",
            Self::Dhclient => "dhclient",
            Self::Own => "mifd",
        }
    }
}

/// A DHCPv4 lease (RFC 2131).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The leased address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_length: u8,
    /// When it ends.
    pub expires: BootTime,
    /// Everything else it said. Deadlines inside follow `expires`.
    pub configuration: Configuration,
}

impl Lease {
    /// The same lease, ending at `expires`.
    #[must_use]
    pub fn ending(mut self, expires: BootTime) -> Self {
        self.expires = expires;
        self.configuration.lease_expires = Some(expires);
        self.configuration.routes.values_mut().for_each(|route| route.valid_until = expires);
        self
    }
}

/// What a DHCPv6 server gave (RFC 8415): addresses, or other configuration only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dhcpv6Lease {
    /// The leased addresses (IA_NA); none when the server gave other configuration only.
    pub addresses: Vec<Ipv6Addr>,
    /// When the last of the addresses ends. Other configuration alone has no end: its client asks again in time
    /// (RFC 8415 21.23).
    pub expires: Option<BootTime>,
    /// Everything else it said.
    pub configuration: Configuration,
    /// After how many seconds the server is to be asked again, when this service has asked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<u32>,
}

/// The program that told what is set on a link. The order is the precedence when several tell of one: who sets it
/// before who is only told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingsManager {
    /// NetworkManager.
    NetworkManager,
    /// systemd-networkd.
    Networkd,
    /// dhcpcd, by `static` lines of its configuration.
    Dhcpcd,
    /// systemd-resolved, which VPNs and scripts tell.
    Resolved,
}

impl SettingsManager {
    /// What people call it: the value of `told-by`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NetworkManager => "NetworkManager",
            Self::Networkd => "systemd-networkd",
            Self::Dhcpcd => "dhcpcd",
            Self::Resolved => "systemd-resolved",
        }
    }
}

/// What people or a VPN set on a link, as its manager tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkSettings {
    /// DNS servers of both families, in the order to ask them.
    pub dns_servers: Vec<IpAddr>,
    /// Search domains, in the order to try them, escaped, no final dot.
    pub search_domains: Vec<String>,
    /// NTP servers: addresses or names.
    pub ntp_servers: Vec<String>,
    /// Nobody else sets anything on this link: what a lesser manager tells of it is what this one gave it.
    pub exclusive: bool,
}

impl LinkSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.dns_servers.is_empty() && self.search_domains.is_empty() && self.ntp_servers.is_empty()
    }

    /// Drops what `given` gives as well: managers tell what they were given together with what is set.
    pub fn leave_to(&mut self, given: &Configuration) {
        self.dns_servers.retain(|server| !given.dns_servers.contains(server));
        self.search_domains.retain(|domain| {
            !given.search_domains.contains(domain) && given.domain_name.as_ref() != Some(domain)
        });
        self.ntp_servers.retain(|server| !given.ntp_servers.contains(server));
    }

    /// What of it is of use to a provisioning domain of `family`: servers of the other one cannot be reached from
    /// there.
    pub fn of_family(&self, family: AddressFamily) -> Configuration {
        let servers = self.dns_servers.iter().filter(|server| AddressFamily::of(**server) == family);
        let usable = |server: &&String| {
            server.parse().ok().is_none_or(|address: IpAddr| AddressFamily::of(address) == family)
        };
        Configuration {
            dns_servers: servers.copied().collect(),
            search_domains: self.search_domains.clone(),
            ntp_servers: self.ntp_servers.iter().filter(usable).cloned().collect(),
            ..Configuration::default()
        }
    }
}
