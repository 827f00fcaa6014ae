//! What a DHCPv6 server gave, as dhcpcd describes it.

use super::Variables;
use crate::BootTime;
use crate::configuration::Configuration;
use crate::lease::Dhcpv6Lease;
use crate::lease_text::{self, parse};
use crate::{limits, text};
use std::net::Ipv6Addr;

/// How dhcpcd calls what came by DHCPv6: `new_dhcp6_NAME`.
const PREFIX: &str = "dhcp6_";
/// Identity associations and addresses in each, beyond which none are looked for.
const MAX_ADDRESSES: usize = 16;

/// What a server gave, with lifetimes instead of deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv6Grant {
    /// Addresses and their valid lifetimes in seconds, all ones for ever.
    addresses: Vec<(Ipv6Addr, u32)>,
    configuration: Configuration,
}

impl Dhcpv6Grant {
    /// Reads the variables of what holds now; `None` when no server stands behind them.
    pub(super) fn read(variables: Variables<'_>) -> Option<Self> {
        let server = get(variables, "server_id")?;
        let addresses = |name: &str, limit| lease_text::ipv6_addresses(words(variables, name), limit);
        let ntp = ntp_servers(variables);
        Some(Self {
            addresses: leased(variables),
            configuration: Configuration {
                dns_servers: addresses("name_servers", limits::SERVERS_PER_PVD),
                search_domains: lease_text::names(words(variables, "domain_search"), limits::DOMAINS_PER_PVD),
                ntp_servers: lease_text::names(ntp, limits::SERVERS_PER_PVD),
                nis_servers: addresses("nis_servers", limits::SERVERS_PER_PVD),
                nis_domain: get(variables, "nis_domain_name").map(text::escape),
                captive_portal: get(variables, "captive_portal_uri").and_then(lease_text::portal),
                server_identifier: Some(text::escape(server)),
                ..Configuration::default()
            },
        })
    }

    /// The lease, told at `now`. The kernel has the addresses' own ends, which may be sooner: dhcpcd looks for
    /// duplicates before it tells.
    pub fn lease(self, now: BootTime) -> Dhcpv6Lease {
        let ends = self.addresses.iter().map(|(_, lifetime)| now.after_lifetime(*lifetime));
        Dhcpv6Lease {
            expires: ends.max(),
            addresses: self.addresses.into_iter().map(|(address, _)| address).collect(),
            configuration: self.configuration,
            refresh: None,
        }
    }
}

/// The addresses of every identity association: `ia_na1_ia_addr1` and so on.
fn leased(variables: Variables<'_>) -> Vec<(Ipv6Addr, u32)> {
    let mut leased = Vec::new();
    for association in 1..=MAX_ADDRESSES {
        let before = leased.len();
        for number in 1..=MAX_ADDRESSES {
            let name = format!("ia_na{association}_ia_addr{number}");
            let Some(address) = get(variables, &name).and_then(parse) else { break };
            let lifetime = get(variables, &format!("{name}_vltime")).and_then(parse).unwrap_or(u32::MAX);
            leased.push((address, lifetime));
        }
        if leased.len() == before {
            break;
        }
    }
    leased
}

/// Those of option 56, which may be names, then those of the older option 31.
fn ntp_servers<'a>(variables: Variables<'a>) -> Vec<&'a [u8]> {
    let mut servers: Vec<&[u8]> = Vec::new();
    for name in ["ntp_server_addr", "ntp_server_fqdn", "sntp_servers"] {
        for server in words(variables, name) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }
    servers
}

fn get<'a>(variables: Variables<'a>, name: &str) -> Option<&'a [u8]> {
    variables.of_lease(&format!("{PREFIX}{name}"))
}

fn words<'a>(variables: Variables<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    variables.words(&format!("{PREFIX}{name}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use std::net::IpAddr;

    /// What dhcpcd 9.4.1 says of a lease of dnsmasq.
    const BOUND: &str = "new_dhcp6_client_id=00030001624bb45f1fee\0new_dhcp6_domain_search=six.test b.test\0\
        new_dhcp6_ia_na1_ia_addr1=2001:db8:1::195\0new_dhcp6_ia_na1_ia_addr1_pltime=300\0\
        new_dhcp6_ia_na1_ia_addr1_vltime=600\0new_dhcp6_ia_na1_iaid=b45f1fee\0new_dhcp6_ia_na1_t1=300\0\
        new_dhcp6_name_servers=2001:db8:1::53 fe80::53\0new_dhcp6_ntp_server_addr=2001:db8:1::123\0\
        new_dhcp6_nis_servers=2001:db8:1::77\0new_dhcp6_server_id=000100013295cce5ee4209ccd5c4\0\
        new_dhcp6_sntp_servers=2001:db8:1::123 2001:db8:1::124\0reason=BOUND6\0protocol=dhcp6\0";

    #[test]
    fn everything_dhcpcd_says_is_there() {
        let now = BootTime::from_micros(5_000_000);
        let lease = Dhcpv6Grant::read(Variables(BOUND.as_bytes())).unwrap().lease(now);
        let ips =
            |words: &[&str]| -> Vec<IpAddr> { words.iter().map(|word| word.parse().unwrap()).collect() };
        let configuration = Configuration {
            dns_servers: ips(&["2001:db8:1::53", "fe80::53"]),
            search_domains: vec!["six.test".to_owned(), "b.test".to_owned()],
            ntp_servers: vec!["2001:db8:1::123".to_owned(), "2001:db8:1::124".to_owned()],
            nis_servers: ips(&["2001:db8:1::77"]),
            server_identifier: Some("000100013295cce5ee4209ccd5c4".to_owned()),
            ..Configuration::default()
        };
        let addresses = vec!["2001:db8:1::195".parse().unwrap()];
        let expires = Some(BootTime::from_micros(605_000_000));
        assert_eq!(lease, Dhcpv6Lease { addresses, expires, configuration, refresh: None });
    }

    #[test]
    fn without_addresses_it_has_no_end() {
        let message = b"new_dhcp6_server_id=00\0new_dhcp6_name_servers=x :: ff02::1 2001:db8::53\0";
        let lease = Dhcpv6Grant::read(Variables(message)).unwrap().lease(BootTime::ZERO);
        assert_eq!(
            (lease.addresses.len(), lease.expires, lease.configuration.dns_servers.len()),
            (0, None, 1)
        );
        assert_eq!(Dhcpv6Grant::read(Variables(b"new_dhcp6_name_servers=2001:db8::53\0")), None);
    }
}
