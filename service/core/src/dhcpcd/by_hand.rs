//! What `static` lines of dhcpcd.conf set, as dhcpcd tells it.

use super::Variables;
use crate::lease::LinkSettings;
use crate::lease_text::{self, parse};
use crate::limits;
use std::net::{IpAddr, Ipv4Addr};

/// An address that is set, and what is set with it. Its routers are in the kernel's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// The address.
    pub address: Ipv4Addr,
    /// Servers and domains.
    pub settings: LinkSettings,
}

impl ByHand {
    /// Reads the variables of what holds now; `None` without an address.
    pub(super) fn read(variables: Variables<'_>) -> Option<Self> {
        let address = parse(variables.of_lease("ip_address")?)?;
        // Where no list is given, the one domain is searched (resolv.conf(5)).
        let search =
            ["domain_search", "domain_name"].into_iter().find(|name| variables.of_lease(name).is_some());
        let domains = search.into_iter().flat_map(|name| variables.words(name));
        let ntp_servers = variables.words("ntp_servers");
        let settings = LinkSettings {
            dns_servers: dns_servers(variables),
            search_domains: lease_text::names(domains, limits::DOMAINS_PER_PVD),
            ntp_servers: lease_text::names(ntp_servers, limits::SERVERS_PER_PVD),
            exclusive: false,
        };
        Some(Self { address, settings })
    }
}

/// Servers of both families: the example in dhcpcd.conf sets them in one line.
fn dns_servers(variables: Variables<'_>) -> Vec<IpAddr> {
    let words = || variables.words("domain_name_servers");
    let mut servers = lease_text::addresses(words(), limits::SERVERS_PER_PVD);
    servers.extend(lease_text::ipv6_addresses(words(), limits::SERVERS_PER_PVD - servers.len()));
    servers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn read(text: &str) -> Option<ByHand> {
        ByHand::read(Variables(text.as_bytes()))
    }

    /// What dhcpcd 9.4.1 says of `static` lines.
    #[test]
    fn everything_that_is_set_is_there() {
        let told = read(
            "reason=STATIC\0protocol=dhcp\0new_ip_address=192.0.2.7\0new_subnet_cidr=24\0new_routers=192.0.2.1\0\
             new_domain_name_servers=192.0.2.53 192.0.2.54\0new_domain_name=x.test\0\
             new_domain_search=corp.test b.test\0new_ntp_servers=192.0.2.123\0",
        );
        let settings = LinkSettings {
            dns_servers: vec!["192.0.2.53".parse().unwrap(), "192.0.2.54".parse().unwrap()],
            search_domains: vec!["corp.test".to_owned(), "b.test".to_owned()],
            ntp_servers: vec!["192.0.2.123".to_owned()],
            exclusive: false,
        };
        assert_eq!(told, Some(ByHand { address: Ipv4Addr::new(192, 0, 2, 7), settings }));
    }

    #[test]
    fn servers_may_be_of_both_families_and_a_domain_alone_is_searched() {
        let told = read("new_ip_address=192.0.2.7\0new_domain_name_servers=2001:db8::53 x 192.0.2.53 ::1");
        let servers: Vec<IpAddr> = ["192.0.2.53", "2001:db8::53"].map(|text| text.parse().unwrap()).into();
        assert_eq!(told.unwrap().settings.dns_servers, servers);
        let told = read("new_ip_address=192.0.2.7\0new_domain_name=x.test\0").unwrap();
        assert_eq!(told.settings.search_domains, ["x.test"]);
        assert_eq!(read("new_domain_name_servers=192.0.2.53\0"), None);
    }
}
