//! What DHCPv6 clients and network managers tell, in few words.

use super::ip;
use mif_core::BootTime;
use mif_core::event::{Dhcpv6Lease, Event, Ifindex, LeaseClient, LinkSettings, SettingsManager};
use std::net::IpAddr;

/// What a DHCPv6 server gave, by dhcpcd unless a method says otherwise.
#[derive(Clone, Debug)]
pub struct Dhcpv6Words {
    ifindex: Ifindex,
    client: LeaseClient,
    lease: Dhcpv6Lease,
}

/// Other configuration only.
pub fn dhcpv6(ifindex: Ifindex) -> Dhcpv6Words {
    Dhcpv6Words { ifindex, client: LeaseClient::Dhcpcd, lease: Dhcpv6Lease::default() }
}

/// dhcpcd has nothing from a DHCPv6 server any more.
pub fn dhcpv6_gone(ifindex: Ifindex) -> Event {
    Event::Dhcpv6Gone { ifindex, client: LeaseClient::Dhcpcd }
}

impl Dhcpv6Words {
    /// By another client than dhcpcd.
    pub fn told_by(mut self, client: LeaseClient) -> Self {
        self.client = client;
        self
    }

    /// With an address.
    pub fn address(mut self, address: &str, expires: BootTime) -> Self {
        if let IpAddr::V6(address) = ip(address) {
            self.lease.addresses.push(address);
        }
        self.lease.expires = Some(expires);
        self
    }

    /// Option 23.
    pub fn dns(mut self, server: &str) -> Self {
        self.lease.configuration.dns_servers.push(ip(server));
        self
    }
}

impl From<Dhcpv6Words> for Event {
    fn from(words: Dhcpv6Words) -> Self {
        let Dhcpv6Words { ifindex, client, lease } = words;
        Self::Dhcpv6 { ifindex, client, lease: Box::new(lease) }
    }
}

/// A manager says that these servers and domains are set on a link; what is no address is a domain.
pub fn set(ifindex: Ifindex, manager: SettingsManager, words: &[&str]) -> Event {
    let (servers, domains): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.parse::<IpAddr>().is_ok());
    let settings = LinkSettings {
        dns_servers: servers.into_iter().map(ip).collect(),
        search_domains: domains.into_iter().map(str::to_owned).collect(),
        ..LinkSettings::default()
    };
    Event::Settings { ifindex, manager, settings: Box::new(settings) }
}
