//! DHCPv4 leases in few words: `lease(ETH0, "192.0.2.5/24", at(4600)).dns("192.0.2.53")`.

use super::{ip, prefix, with_length};
use mif_core::BootTime;
use mif_core::configuration::{AddressFamily, Configuration, Preference, Prefix, RouteData, RouteKey};
use mif_core::event::{Event, Ifindex, Lease, LeaseClient};

/// A DHCPv4 lease without options unless a method says otherwise.
#[derive(Clone, Debug)]
pub struct LeaseWords {
    ifindex: Ifindex,
    client: LeaseClient,
    lease: Lease,
}

/// dhcpcd holds a lease of this address.
pub fn lease(ifindex: Ifindex, text: &str, expires: BootTime) -> LeaseWords {
    let (address, prefix_length) = with_length(text);
    let lease = Lease { address, prefix_length, expires, configuration: Configuration::default() };
    LeaseWords { ifindex, client: LeaseClient::Dhcpcd, lease }
}

/// dhcpcd holds no lease on this link any more.
pub fn lease_gone(ifindex: Ifindex) -> Event {
    Event::LeaseGone { ifindex, client: LeaseClient::Dhcpcd }
}

impl LeaseWords {
    /// By another client than dhcpcd.
    pub fn told_by(mut self, client: LeaseClient) -> Self {
        self.client = client;
        self
    }

    /// Option 3.
    pub fn router(mut self, router: &str) -> Self {
        let configuration = &mut self.lease.configuration;
        configuration.routers.push(ip(router));
        let destination = Prefix::default_route(AddressFamily::Ipv4);
        let key = RouteKey { destination, gateway: Some(ip(router)) };
        let data = RouteData { preference: Preference::Medium, valid_until: self.lease.expires };
        configuration.routes.insert(key, data);
        self
    }

    /// Option 6.
    pub fn dns(mut self, server: &str) -> Self {
        self.lease.configuration.dns_servers.push(ip(server));
        self
    }

    /// Option 114.
    pub fn portal(mut self, uri: &str) -> Self {
        self.lease.configuration.captive_portal = Some(uri.to_owned());
        self
    }

    /// Option 42.
    pub fn ntp(mut self, server: &str) -> Self {
        self.lease.configuration.ntp_servers.push(server.to_owned());
        self
    }

    /// Option 121.
    pub fn route(mut self, destination: &str, router: &str) -> Self {
        let key = RouteKey { destination: prefix(destination), gateway: Some(ip(router)) };
        let data = RouteData { preference: Preference::Medium, valid_until: self.lease.expires };
        self.lease.configuration.routes.insert(key, data);
        self
    }

    /// Option 15.
    pub fn domain(mut self, domain: &str) -> Self {
        self.lease.configuration.domain_name = Some(domain.to_owned());
        self
    }
}

impl From<LeaseWords> for Event {
    fn from(words: LeaseWords) -> Self {
        let LeaseWords { ifindex, client, lease } = words;
        Self::Lease { ifindex, client, lease: Box::new(lease) }
    }
}
