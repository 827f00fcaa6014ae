//! What systemd-networkd says of a link when it is asked to describe it (`DescribeLink`, systemd 249 and later):
//! JSON in which each server, domain and address names its source.

use crate::BootTime;
use crate::configuration::Configuration;
use crate::lease::{Dhcpv6Lease, LinkSettings};
use crate::lease_text;
use crate::limits;
use serde::Deserialize;
use std::net::{IpAddr, Ipv6Addr};

/// The longest description that is taken. One of a link with hundreds of addresses has a tenth of it.
pub const MAX_DESCRIPTION: usize = 4 << 20;
/// Leased addresses beyond this are not looked at.
const MAX_ADDRESSES: usize = 16;

/// What a description comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// What is set on the link; `None` while it has not read yet how the link is to be configured.
    pub settings: Option<LinkSettings>,
    /// What a DHCPv6 server gave.
    pub dhcpv6: Option<Dhcpv6Lease>,
    /// The link is configured, or that has failed: what is not there is not to be waited for.
    pub settled: bool,
}

/// Reads a description; `None` when it is none, or of a link that networkd does not manage. What is not understood
/// counts as not there.
pub fn description(json: &str) -> Option<Description> {
    let within_bounds = Some(json).filter(|json| json.len() <= MAX_DESCRIPTION)?;
    let link: Link = serde_json::from_str(within_bounds).ok()?;
    if link.administrative_state == "unmanaged" {
        return None;
    }
    let settings = LinkSettings {
        dns_servers: addresses(&link.dns, is_set),
        search_domains: domains(&link.search_domains, is_set),
        ntp_servers: servers(&link.ntp, is_set),
        exclusive: true,
    };
    // Before these states are over it has no .network file for the link, and so lists nothing as set.
    let undecided = matches!(&*link.administrative_state, "pending" | "initialized");
    let settled = matches!(&*link.administrative_state, "configured" | "failed" | "linger");
    Some(Description { settings: (!undecided).then_some(settings), dhcpv6: dhcpv6(&link), settled })
}

fn dhcpv6(link: &Link) -> Option<Dhcpv6Lease> {
    let leased: Vec<Ipv6Addr> = addresses(&link.addresses, is_dhcpv6)
        .into_iter()
        .filter_map(|address| match address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
        .take(MAX_ADDRESSES)
        .collect();
    let configuration = Configuration {
        dns_servers: addresses(&link.dns, is_dhcpv6),
        search_domains: domains(&link.search_domains, is_dhcpv6),
        ntp_servers: servers(&link.ntp, is_dhcpv6),
        ..Configuration::default()
    };
    let nothing = leased.is_empty() && configuration == Configuration::default();
    // When the addresses end is the kernel's to say: networkd counts on a clock that stops when the machine sleeps.
    let expires = (!leased.is_empty()).then_some(BootTime::FOREVER);
    (!nothing).then_some(Dhcpv6Lease { addresses: leased, expires, configuration, refresh: None })
}

fn is_set(source: &str) -> bool {
    source == "static" || source == "runtime"
}

fn is_dhcpv6(source: &str) -> bool {
    source == "DHCPv6"
}

fn addresses(servers: &[Server], of: impl Fn(&str) -> bool) -> Vec<IpAddr> {
    let of_source = servers.iter().filter(|server| of(&server.config_source));
    let addresses = of_source.filter_map(|server| lease_text::packed_address(&server.address));
    addresses.take(limits::SERVERS_PER_PVD).collect()
}

/// Addresses or, of NTP servers, names.
fn servers(servers: &[Server], of: impl Fn(&str) -> bool) -> Vec<String> {
    let of_source = servers.iter().filter(|server| of(&server.config_source));
    let name = |server: &Server| match lease_text::packed_address(&server.address) {
        Some(address) => Some(address.to_string()),
        None => lease_text::names([server.server.as_bytes()], 1).pop(),
    };
    of_source.filter_map(name).take(limits::SERVERS_PER_PVD).collect()
}

fn domains(domains: &[Domain], of: impl Fn(&str) -> bool) -> Vec<String> {
    let of_source = domains.iter().filter(|domain| of(&domain.config_source));
    lease_text::search_domains(of_source.map(|domain| &*domain.domain))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Link {
    administrative_state: String,
    #[serde(default, rename = "DNS")]
    dns: Vec<Server>,
    #[serde(default, rename = "NTP")]
    ntp: Vec<Server>,
    #[serde(default)]
    search_domains: Vec<Domain>,
    #[serde(default)]
    addresses: Vec<Server>,
}

/// A server or an address.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[derive(Default)]
struct Server {
    address: Vec<u8>,
    server: String,
    config_source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Domain {
    domain: String,
    config_source: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    /// As networkd 252 says it, shortened.
    const JSON: &str = r#"{"Index":2,"Name":"eth1","AdministrativeState":"configured",
        "DNS":[{"Family":2,"Address":[192,0,2,9],"ConfigSource":"static"},
               {"Family":2,"Address":[192,0,2,53],"ConfigSource":"DHCPv4","ConfigProvider":[192,0,2,1]},
               {"Family":10,"Address":[32,1,13,184,0,1,0,0,0,0,0,0,0,0,0,83],"ConfigSource":"DHCPv6"},
               {"Family":10,"Address":[32,1,13,184,0,1,0,0,0,0,0,0,0,0,0,84],"ConfigSource":"NDisc"}],
        "NTP":[{"Family":10,"Address":[32,1,13,184,0,1,0,0,0,0,0,0,0,0,1,35],"ConfigSource":"DHCPv6"},
               {"Server":"ntp.test","ConfigSource":"static"}],
        "SearchDomains":[{"Domain":"extra.test","ConfigSource":"static"},
                         {"Domain":"six.test","ConfigSource":"DHCPv6"}],
        "RouteDomains":[{"Domain":"route.test","ConfigSource":"static"}],
        "Addresses":[{"Family":10,"Address":[32,1,13,184,0,1,0,0,0,0,0,0,0,0,1,120],"PrefixLength":128,
                      "ValidLifetimeUsec":12385968204,"ConfigSource":"DHCPv6","ConfigState":"configured"},
                     {"Family":2,"Address":[198,51,100,7],"PrefixLength":24,"ConfigSource":"static"}]}"#;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_source_has_its_own() {
        let told = description(JSON).unwrap();
        assert!(told.settled);
        let settings = LinkSettings {
            dns_servers: vec![ip("192.0.2.9")],
            search_domains: vec!["extra.test".to_owned()],
            ntp_servers: vec!["ntp.test".to_owned()],
            exclusive: true,
        };
        assert_eq!(told.settings, Some(settings));
        let given = told.dhcpv6.unwrap();
        assert_eq!(given.addresses, ["2001:db8:1::178".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!(given.expires, Some(BootTime::FOREVER));
        assert_eq!(given.configuration.dns_servers, [ip("2001:db8:1::53")]);
        assert_eq!(given.configuration.search_domains, ["six.test"]);
        assert_eq!(given.configuration.ntp_servers, ["2001:db8:1::123"]);
    }

    #[test]
    fn a_link_that_it_does_not_manage_is_not_told() {
        assert_eq!(description(r#"{"AdministrativeState":"unmanaged"}"#), None);
        let bare = description(r#"{"AdministrativeState":"configuring","DNS":[{}],"NTP":[{}]}"#).unwrap();
        let nothing = LinkSettings { exclusive: true, ..LinkSettings::default() };
        assert_eq!((bare.settings, bare.dhcpv6), (Some(nothing), None));
        assert!(!bare.settled);
        for odd in ["", "{", "[]", r#"{"AdministrativeState":5}"#, &"[".repeat(4096)] {
            assert_eq!(description(odd), None, "{odd:.20}");
        }
    }

    #[test]
    fn what_is_set_is_not_known_before_the_configuration_is_read() {
        for state in ["pending", "initialized"] {
            let told = description(&format!(r#"{{"AdministrativeState":"{state}"}}"#)).unwrap();
            assert_eq!((told.settings, told.settled), (None, false), "{state}");
        }
    }

    proptest! {
        #[test]
        fn a_description_that_is_cut_off_anywhere_is_refused(cut in 0..JSON.len()) {
            prop_assert_eq!(description(&JSON[..cut]), None);
        }
    }
}
