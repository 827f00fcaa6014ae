//! Router Advertisements in few words: `advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 3600, 1800)`.

use super::prefix;
use mif_core::configuration::Preference;
use mif_core::event::{Event, Ifindex};
use mif_core::ra::{PrefixInformation, RouteInformation, RouterAdvertisement, Timed};
use std::net::Ipv6Addr;

/// A Router Advertisement: of a default router for 1800 s, without options, unless a method says otherwise.
#[derive(Clone, Debug)]
pub struct AdvertisementWords {
    ifindex: Ifindex,
    router: Ipv6Addr,
    says: RouterAdvertisement,
}

/// The router with this link-local address advertises.
pub fn advertisement(ifindex: Ifindex, router: &str) -> AdvertisementWords {
    let says = RouterAdvertisement { router_lifetime: 1800, ..RouterAdvertisement::default() };
    AdvertisementWords { ifindex, router: router.parse().expect(router), says }
}

impl AdvertisementWords {
    /// Router lifetime in seconds; zero: no default router.
    pub fn router_lifetime(mut self, seconds: u16) -> Self {
        self.says.router_lifetime = seconds;
        self
    }

    /// RFC 4191.
    pub fn preference(mut self, preference: Preference) -> Self {
        self.says.preference = preference;
        self
    }

    /// Flag M.
    pub fn managed(mut self) -> Self {
        self.says.managed = true;
        self
    }

    /// A prefix with flags L and A, and its valid and preferred lifetimes in seconds.
    pub fn prefix(mut self, text: &str, valid_lifetime: u32, preferred_lifetime: u32) -> Self {
        let option = PrefixInformation {
            prefix: prefix(text),
            on_link: true,
            autonomous: true,
            valid_lifetime,
            preferred_lifetime,
        };
        self.says.prefixes.push(option);
        self
    }

    /// A prefix with flag L only: addresses in it come from elsewhere.
    pub fn prefix_without_autoconfiguration(self, text: &str, valid: u32, preferred: u32) -> Self {
        let mut this = self.prefix(text, valid, preferred);
        if let Some(option) = this.says.prefixes.last_mut() {
            option.autonomous = false;
        }
        this
    }

    /// A more specific route.
    pub fn route(mut self, destination: &str, lifetime: u32) -> Self {
        let option =
            RouteInformation { destination: prefix(destination), preference: Preference::Medium, lifetime };
        self.says.routes.push(option);
        self
    }

    /// A DNS server.
    pub fn dns(mut self, server: &str, lifetime: u32) -> Self {
        self.says.dns_servers.push(Timed { value: server.parse().expect(server), lifetime });
        self
    }

    /// A search domain.
    pub fn search(mut self, domain: &str, lifetime: u32) -> Self {
        self.says.search_domains.push(Timed { value: domain.to_owned(), lifetime });
        self
    }

    /// The MTU option.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.says.mtu = Some(mtu);
        self
    }
}

impl From<AdvertisementWords> for Event {
    fn from(words: AdvertisementWords) -> Self {
        let AdvertisementWords { ifindex, router, says: advertisement } = words;
        Self::RouterAdvertisement { ifindex, router, advertisement }
    }
}
