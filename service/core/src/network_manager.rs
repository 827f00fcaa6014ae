//! What NetworkManager tells of a device on D-Bus: the options of its DHCP clients as text by name
//! (`DHCP4Config.Options`, `DHCP6Config.Options`), and the servers and domains of its IP configuration, in which what
//! the network gave and what people set are mixed.

use crate::BootTime;
use crate::configuration::{Configuration, RouteKey};
use crate::lease::{Dhcpv6Lease, Lease, LinkSettings};
use crate::lease_text::{self, parse};
use crate::{limits, text};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The options of a DHCP client, by NetworkManager's names for them.
pub type Options = BTreeMap<String, String>;

/// The DHCPv4 lease in `options`, as told at `now`; `None` when there is none.
///
/// They say when it ends by the time of day, which may have been set since it was granted (a machine without a clock
/// of its own). So the end is only not before the true one; the kernel's address has that
/// ([`LeaseClient::leaves_records`](crate::event::LeaseClient::leaves_records)).
pub fn lease(options: &Options, now: BootTime) -> Option<Lease> {
    let options = Named(options);
    let address: Ipv4Addr = options.parse("ip_address")?;
    let prefix_length =
        options.get("subnet_mask").map(str::as_bytes).and_then(lease_text::prefix_length).unwrap_or(32);
    let expires = now.after_lifetime(options.parse("dhcp_lease_time").unwrap_or(u32::MAX));
    let routers = lease_text::addresses(options.words("routers"), limits::ROUTERS_PER_PVD);
    let (routes, routers) = lease_text::routes_and_routers(classless_routes(options), routers);
    let configuration = Configuration {
        dns_servers: lease_text::addresses(options.words("domain_name_servers"), limits::SERVERS_PER_PVD),
        search_domains: lease_text::names(options.words("domain_search"), limits::DOMAINS_PER_PVD),
        domain_name: lease_text::names(options.words("domain_name"), 1).pop(),
        routers,
        mtu: options.get("interface_mtu").map(str::as_bytes).and_then(lease_text::mtu),
        ntp_servers: lease_text::names(options.words("ntp_servers"), limits::SERVERS_PER_PVD),
        nis_servers: lease_text::addresses(options.words("nis_servers"), limits::SERVERS_PER_PVD),
        nis_domain: options.escaped("nis_domain"),
        captive_portal: ["captive_portal", "default_url"]
            .iter()
            .find_map(|name| options.get(name))
            .and_then(|uri| lease_text::portal(uri.as_bytes())),
        server_identifier: options.escaped("dhcp_server_identifier"),
        ..Configuration::default()
    };
    let configuration = configuration.with_routes(&routes);
    Some(Lease { address: IpAddr::V4(address), prefix_length, expires, configuration }.ending(expires))
}

/// What a DHCPv6 server gave; `None` when none stands behind `options`. They do not say when its addresses end: the
/// kernel does.
pub fn dhcpv6(options: &Options) -> Option<Dhcpv6Lease> {
    let options = Named(options);
    let address: Option<Ipv6Addr> = options.parse("ip6_address");
    let addresses = |name| lease_text::ipv6_addresses(options.words(name), limits::SERVERS_PER_PVD);
    let configuration = Configuration {
        dns_servers: addresses("dhcp6_name_servers"),
        search_domains: lease_text::names(options.words("dhcp6_domain_search"), limits::DOMAINS_PER_PVD),
        ntp_servers: lease_text::names(ntp_servers(options), limits::SERVERS_PER_PVD),
        nis_servers: addresses("dhcp6_nis_servers"),
        nis_domain: options.escaped("dhcp6_nis_domain_name"),
        captive_portal: options
            .get("dhcp6_captive_portal")
            .and_then(|uri| lease_text::portal(uri.as_bytes())),
        server_identifier: options.escaped("dhcp6_server_id").map(|id| id.replace(':', "")),
        ..Configuration::default()
    };
    let nothing = address.is_none() && configuration == Configuration::default();
    (!nothing).then(|| Dhcpv6Lease {
        addresses: address.into_iter().collect(),
        expires: address.map(|_| BootTime::FOREVER),
        configuration,
        refresh: None,
    })
}

/// Servers and domains of both families' IP configuration.
pub fn settings<'a>(
    dns_servers: impl IntoIterator<Item = IpAddr>,
    domains: impl IntoIterator<Item = &'a str>,
) -> LinkSettings {
    let usable = |address: &IpAddr| !address.is_unspecified() && !address.is_multicast();
    LinkSettings {
        dns_servers: dns_servers.into_iter().filter(usable).take(limits::SERVERS_PER_PVD).collect(),
        search_domains: lease_text::search_domains(domains),
        ..LinkSettings::default()
    }
}

/// `DESTINATION/LENGTH ROUTER` pairs, or with the helper dhclient the bytes of the option in decimal.
fn classless_routes(options: Named<'_>) -> Vec<RouteKey> {
    let names = ["rfc3442_classless_static_routes", "ms_classless_static_routes"];
    let Some(name) = names.into_iter().find(|name| options.get(name).is_some()) else { return Vec::new() };
    let words: Vec<&[u8]> = options.words(name).take(8 * limits::ROUTES_PER_ROUTER).collect();
    if let Some(bytes) = words.iter().map(|word| parse(word)).collect::<Option<Vec<u8>>>() {
        return lease_text::packed_routes(&bytes);
    }
    let route = |[destination, gateway]: &[&[u8]; 2]| lease_text::route(destination, gateway);
    words.as_chunks::<2>().0.iter().take(limits::ROUTES_PER_ROUTER).filter_map(route).collect()
}

fn ntp_servers(options: Named<'_>) -> impl Iterator<Item = &[u8]> {
    let ntp = options.words("dhcp6_ntp_servers");
    let known: Vec<&[u8]> = options.words("dhcp6_ntp_servers").collect();
    ntp.chain(options.words("dhcp6_sntp_servers").filter(move |server| !known.contains(server)))
}

#[derive(Clone, Copy, Debug)]
struct Named<'a>(&'a Options);

impl<'a> Named<'a> {
    fn get(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn parse<T: std::str::FromStr>(self, name: &str) -> Option<T> {
        self.get(name).and_then(|value| parse(value.as_bytes()))
    }

    fn escaped(self, name: &str) -> Option<String> {
        self.get(name).map(|value| text::escape(value.as_bytes()))
    }

    fn words(self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.get(name).unwrap_or_default().split_ascii_whitespace().map(str::as_bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const NOW: BootTime = BootTime::from_micros(1_000_000);

    fn ips(words: &[&str]) -> Vec<IpAddr> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    /// What NetworkManager 1.42 says of a lease of dnsmasq.
    fn granted() -> Options {
        options(&[
            ("ip_address", "192.0.2.52"),
            ("subnet_mask", "255.255.255.0"),
            ("dhcp_lease_time", "600"),
            ("expiry", "1795363608"),
            ("dhcp_server_identifier", "192.0.2.1"),
            ("domain_name_servers", "192.0.2.53 192.0.2.54"),
            ("domain_name", "isp.test"),
            ("domain_search", "a.test b.test"),
            ("routers", "192.0.2.2"),
            ("rfc3442_classless_static_routes", "10.0.0.0/8 192.0.2.9 0.0.0.0/0 192.0.2.1"),
            ("interface_mtu", "1400"),
            ("ntp_servers", "192.0.2.123"),
            ("nis_domain", "nis.test"),
            ("nis_servers", "192.0.2.77"),
            ("requested_routers", "1"),
        ])
    }

    #[test]
    fn everything_it_says_of_a_lease_is_there() {
        let told = lease(&granted(), NOW).unwrap();
        assert_eq!((told.address, told.prefix_length), ("192.0.2.52".parse().unwrap(), 24));
        assert_eq!(told.expires, BootTime::from_micros(601_000_000));
        let configuration = told.configuration;
        assert_eq!(configuration.dns_servers, ips(&["192.0.2.53", "192.0.2.54"]));
        assert_eq!(configuration.search_domains, ["a.test", "b.test"]);
        assert_eq!(configuration.domain_name.as_deref(), Some("isp.test"));
        assert_eq!(configuration.routers, ips(&["192.0.2.1"]));
        assert_eq!((configuration.routes.len(), configuration.mtu), (2, Some(1400)));
        assert_eq!(configuration.ntp_servers, ["192.0.2.123"]);
        assert_eq!(configuration.nis_servers, ips(&["192.0.2.77"]));
        assert_eq!(configuration.nis_domain.as_deref(), Some("nis.test"));
        assert_eq!(configuration.server_identifier.as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_time_of_day_ends_no_lease() {
        let mut long_ago = granted();
        long_ago.insert("expiry".to_owned(), "5".to_owned());
        assert_eq!(lease(&long_ago, NOW), lease(&granted(), NOW));
        let mut endless = granted();
        endless.insert("dhcp_lease_time".to_owned(), "4294967295".to_owned());
        assert_eq!(lease(&endless, NOW).unwrap().expires, BootTime::FOREVER);
        assert_eq!(lease(&options(&[("routers", "192.0.2.1")]), NOW), None);
    }

    #[test]
    fn routes_come_in_two_spellings() {
        let mut of_dhclient = granted();
        let bytes = "8 10 192 0 2 9 0 192 0 2 1".to_owned();
        of_dhclient.insert("rfc3442_classless_static_routes".to_owned(), bytes);
        assert_eq!(lease(&of_dhclient, NOW), lease(&granted(), NOW));
    }

    #[test]
    fn everything_it_says_of_dhcpv6_is_there() {
        let told = dhcpv6(&options(&[
            ("dhcp6_name_servers", "2001:db8:1::53 ff02::1"),
            ("dhcp6_domain_search", "six.test"),
            ("dhcp6_ntp_servers", "2001:db8:1::123"),
            ("ip6_address", "2001:db8:1::151"),
            ("iaid", "2a:83:5d:db"),
        ]))
        .unwrap();
        assert_eq!(told.addresses, ["2001:db8:1::151".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!(told.expires, Some(BootTime::FOREVER));
        assert_eq!(told.configuration.dns_servers, ips(&["2001:db8:1::53"]));
        assert_eq!(told.configuration.search_domains, ["six.test"]);
        assert_eq!(told.configuration.ntp_servers, ["2001:db8:1::123"]);
        let stateless = dhcpv6(&options(&[("dhcp6_name_servers", "2001:db8:1::53")])).unwrap();
        assert_eq!((stateless.addresses.len(), stateless.expires), (0, None));
        assert_eq!(dhcpv6(&options(&[("iaid", "2a:83:5d:db")])), None);
    }

    #[test]
    fn domains_for_routing_are_not_searched() {
        let told = settings(ips(&["192.0.2.53", "0.0.0.0", "::1"]), ["~corp.test", "a.test.", "~."]);
        assert_eq!(told.dns_servers, ips(&["192.0.2.53", "::1"]));
        assert_eq!(told.search_domains, ["a.test"]);
    }

    proptest! {
        #[test]
        fn any_options_are_survived(values in prop::collection::vec("\\PC{0,40}", 12)) {
            let mut odd = granted();
            for (value, told) in odd.values_mut().zip(values) {
                *value = told;
            }
            let _ = lease(&odd, NOW);
            let six = odd.iter().map(|(name, value)| (format!("dhcp6_{name}"), value.clone())).collect();
            let _ = dhcpv6(&six);
        }
    }
}
