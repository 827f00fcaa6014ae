//! Router Advertisements in few words: `advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 3600, 1800)`.

use super::prefix;
use mif_core::captive_portal::CaptivePortal;
use mif_core::configuration::{EncryptedDns, Preference};
use mif_core::event::{Event, Ifindex};
use mif_core::ra::{PrefixInformation, PvdOption, RouteInformation, RouterAdvertisement, Timed};
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

    /// Flag O.
    pub fn other(mut self) -> Self {
        self.says.other = true;
        self
    }

    /// A PvD option with this ID and no flags, around everything that is said.
    pub fn pvd(mut self, id: &str) -> Self {
        let option =
            PvdOption { id: id.to_owned(), http: false, legacy: false, ra: false, delay: 0, sequence: 0 };
        self.says.pvd = Some(option);
        self
    }

    /// Flag H of the PvD option.
    pub fn http(self) -> Self {
        self.option(|option| option.http = true)
    }

    /// The PvD option without flag H.
    pub fn http_off(self) -> Self {
        self.option(|option| option.http = false)
    }

    /// Flag L of the PvD option.
    pub fn legacy(self) -> Self {
        self.option(|option| option.legacy = true)
    }

    /// Flag R of the PvD option.
    pub fn own_header(self) -> Self {
        self.option(|option| option.ra = true)
    }

    /// The sequence number of the PvD option.
    pub fn sequence(self, number: u16) -> Self {
        self.option(|option| option.sequence = number)
    }

    /// A NAT64 prefix.
    pub fn pref64(mut self, text: &str, lifetime: u32) -> Self {
        self.says.pref64.push(Timed { value: prefix(text), lifetime });
        self
    }

    /// A captive portal.
    pub fn portal(mut self, uri: &str) -> Self {
        self.says.captive_portal = CaptivePortal::read(uri.as_bytes());
        self
    }

    /// A designated resolver, by its name.
    pub fn resolver(self, name: &str, priority: u16, lifetime: u32) -> Self {
        self.designated(EncryptedDns { name: name.to_owned(), priority, ..EncryptedDns::default() }, lifetime)
    }

    /// A designated resolver with everything that is told of it.
    pub fn designated(mut self, value: EncryptedDns, lifetime: u32) -> Self {
        self.says.encrypted_dns.push(Timed { value, lifetime });
        self
    }

    fn option(mut self, change: impl FnOnce(&mut PvdOption)) -> Self {
        change(self.says.pvd.as_mut().expect("call pvd() first"));
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
