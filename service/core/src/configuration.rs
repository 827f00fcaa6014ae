//! Configuration elements and the configuration data that each of them gave (the draft, 3.5.10 and 3.5.15).

use crate::BootTime;
use crate::captive_portal::Captivity;
use crate::pvd_info::AdditionalInformation;
use crate::{limits, ra};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Where a piece of configuration came from: the draft's Configuration Element Type (3.5.10).
///
/// The order is the one in which `any` joins lists: additional information first, static last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Element {
    /// The JSON object of RFC 8801 section 4.
    AdditionalInformation,
    /// Router Advertisements (RFC 4861).
    Ra,
    /// DHCPv6 (RFC 8415).
    Dhcpv6,
    /// DHCPv4 (RFC 2131).
    Dhcpv4,
    /// A tunnel's own configuration.
    Vpn,
    /// Configured by hand.
    Static,
    /// 169.254/16 (RFC 3927).
    LinkLocal,
}

impl Element {
    /// All elements, in the order in which `any` joins their lists.
    pub const ALL: [Self; 7] = [
        Self::AdditionalInformation,
        Self::Ra,
        Self::Dhcpv6,
        Self::Dhcpv4,
        Self::Vpn,
        Self::Static,
        Self::LinkLocal,
    ];

    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AdditionalInformation => "additional-information",
            Self::Ra => "ra",
            Self::Dhcpv6 => "dhcpv6",
            Self::Dhcpv4 => "dhcpv4",
            Self::Vpn => "vpn",
            Self::Static => "static",
            Self::LinkLocal => "link-local",
        }
    }

    /// The element that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.word() == word)
    }
}

/// An address prefix. The address has no bits set beyond `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prefix {
    /// The prefix's address, host bits zero.
    pub address: IpAddr,
    /// Number of leading bits that count.
    pub length: u8,
}

impl Prefix {
    /// The whole address space of a family: the destination of a default route.
    pub const fn default_route(family: AddressFamily) -> Self {
        match family {
            AddressFamily::Ipv4 => Self { address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), length: 0 },
            AddressFamily::Ipv6 => Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 },
        }
    }

    /// The prefix of `length` bits that covers `address`; a length beyond the family's is cut to it.
    pub fn covering(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { address: IpAddr::V4((u32::from(v4) & mask).into()), length }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { address: IpAddr::V6((u128::from(v6) & mask).into()), length }
            }
        }
    }

    /// Whether `address` lies in this prefix.
    pub fn covers(&self, address: IpAddr) -> bool {
        AddressFamily::of(address) == AddressFamily::of(self.address)
            && Self::covering(address, self.length).address == self.address
    }

    /// Whether all addresses of `other` lie in this prefix.
    pub fn contains(&self, other: &Self) -> bool {
        self.length <= other.length && self.covers(other.address)
    }

    /// Reads `address/length`; host bits are cleared. `None` when it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?);
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (length <= longest).then(|| Self::covering(address, length))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

/// The family of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressFamily {
    /// Internet Protocol version 4.
    Ipv4,
    /// Internet Protocol version 6.
    Ipv6,
}

impl AddressFamily {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// Router and route preference (RFC 4191 2.1); the reserved value reads as medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// 11 on the wire.
    Low,
    /// 00 on the wire, and what everything that has no preference counts as.
    #[default]
    Medium,
    /// 01 on the wire.
    High,
}

impl Preference {
    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a route says of its destination besides where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteKey {
    /// Where the route leads to; `::/0` and `0.0.0.0/0` are default routes.
    pub destination: Prefix,
    /// The router; `None` means on-link.
    pub gateway: Option<IpAddr>,
}

/// Preference and deadline of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteData {
    /// RFC 4191 preference.
    pub preference: Preference,
    /// When the route ends.
    pub valid_until: BootTime,
}

/// What a Prefix Information Option says (RFC 4861 4.6.2), with deadlines instead of lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixData {
    /// Flag L: addresses in this prefix are on the link.
    pub on_link: bool,
    /// Flag A: hosts make addresses in it themselves (RFC 4862).
    pub autonomous: bool,
    /// Addresses made from it are deprecated from then on.
    pub preferred_until: BootTime,
    /// The prefix ends then.
    pub valid_until: BootTime,
}

/// Maps as lists of pairs: JSON, in which events are recorded, knows no keys but strings.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, K: Deserialize<'de> + Ord, V: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Configuration data, one field an identifier of the D-Bus contract. Empty lists and `None` mean "no value".
///
/// All text in here is escaped already ([`crate::text::escape`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// `dns-servers`, in the order to ask them.
    pub dns_servers: Vec<IpAddr>,
    /// `search-domains`, in the order to try them, no final dot.
    pub search_domains: Vec<String>,
    /// `domain-name` (DHCPv4 option 15).
    pub domain_name: Option<String>,
    /// `routers` that lead everywhere, best first.
    pub routers: Vec<IpAddr>,
    /// `routes`, default routes included.
    #[serde(with = "pairs")]
    pub routes: BTreeMap<RouteKey, RouteData>,
    /// `prefixes`.
    #[serde(with = "pairs")]
    pub prefixes: BTreeMap<Prefix, PrefixData>,
    /// `mtu` in bytes.
    pub mtu: Option<u32>,
    /// `ntp-servers`: addresses or names.
    pub ntp_servers: Vec<String>,
    /// `nis-servers`.
    pub nis_servers: Vec<IpAddr>,
    /// `nis-domain`.
    pub nis_domain: Option<String>,
    /// `captive-portal`: the URI of RFC 8910.
    pub captive_portal: Option<String>,
    /// `pref64`: prefixes of NAT64 translators (RFC 8781).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pref64: Vec<Prefix>,
    /// `encrypted-dns`: resolvers that speak DoT, DoH or DoQ (RFC 9463), best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub encrypted_dns: Vec<EncryptedDns>,
    /// `server-identifier` of the DHCP server.
    pub server_identifier: Option<String>,
    /// `lease-expires`.
    pub lease_expires: Option<BootTime>,
    /// `pvd-option-sequence` and `pvd-option-flags` (RFC 8801 3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvd_option: Option<PvdFlags>,
    /// `told-by`: the program that told of it; `None` for what the kernel and routers tell themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_by: Option<String>,
    /// `captive`, `captive-portal-url` and `captive-expires` (RFC 8908): what the API at `captive_portal` says. No
    /// source gives it, hence no recording holds it.
    #[serde(skip)]
    pub captivity: Option<Captivity>,
    /// `additional-information` and what is in it (RFC 8801 4). In no recording, as `captivity`.
    #[serde(skip)]
    pub additional_information: Option<Arc<AdditionalInformation>>,
}

/// A resolver that speaks encrypted DNS, as its network designates it (RFC 9463 3).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EncryptedDns {
    /// Service priority: the lowest is best; zero means that `name` is to be asked for more (AliasMode).
    pub priority: u16,
    /// The authentication domain name that its certificate must carry.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The protocols that it speaks, by their ALPN identifiers (dot, h2, h3, doq).
    pub alpn: Vec<String>,
    /// Its port, when it is not the protocol's own.
    pub port: Option<u16>,
    /// The URI template of DoH (RFC 9461 5).
    pub path: Option<String>,
}

/// The sequence number and the flags of a PvD option (RFC 8801 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PvdFlags {
    /// Changes when the additional information does.
    pub sequence: u16,
    /// Flag H.
    pub http: bool,
    /// Flag L.
    pub legacy: bool,
    /// Flag R.
    pub ra: bool,
}

impl PvdFlags {
    /// The words of the flags that are set.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let flags = [(self.http, "http"), (self.legacy, "legacy"), (self.ra, "ra")];
        flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word)
    }
}

impl Configuration {
    /// Whether the two hold the same values, times left out of account.
    ///
    /// A refreshed lifetime is no news to anybody: revisions and announcements follow this comparison.
    pub fn same_but_times(&self, other: &Self) -> bool {
        // Destructured so that a new field cannot be forgotten here.
        let Self {
            dns_servers,
            search_domains,
            domain_name,
            routers,
            routes: _,
            prefixes: _,
            mtu,
            ntp_servers,
            nis_servers,
            nis_domain,
            captive_portal,
            pref64,
            encrypted_dns,
            server_identifier,
            lease_expires,
            pvd_option,
            told_by,
            captivity,
            additional_information,
        } = self;
        *dns_servers == other.dns_servers
            && *search_domains == other.search_domains
            && *domain_name == other.domain_name
            && *routers == other.routers
            && self.routes_but_times().eq(other.routes_but_times())
            && self.prefixes_but_times().eq(other.prefixes_but_times())
            && *mtu == other.mtu
            && *ntp_servers == other.ntp_servers
            && *nis_servers == other.nis_servers
            && *nis_domain == other.nis_domain
            && *captive_portal == other.captive_portal
            && *pref64 == other.pref64
            && *encrypted_dns == other.encrypted_dns
            && *server_identifier == other.server_identifier
            && lease_expires.is_some() == other.lease_expires.is_some()
            && *pvd_option == other.pvd_option
            && *told_by == other.told_by
            && both(captivity.as_ref(), other.captivity.as_ref(), Captivity::same_but_times)
            && both(
                additional_information.as_deref(),
                other.additional_information.as_deref(),
                AdditionalInformation::same_but_times,
            )
    }

    fn routes_but_times(&self) -> impl Iterator<Item = (RouteKey, Preference)> {
        self.routes.iter().map(|(key, data)| (*key, data.preference))
    }

    fn prefixes_but_times(&self) -> impl Iterator<Item = (Prefix, bool, bool)> {
        self.prefixes.iter().map(|(prefix, data)| (*prefix, data.on_link, data.autonomous))
    }

    /// The same with these routes, of medium preference and without end.
    #[must_use]
    pub fn with_routes(mut self, routes: &[RouteKey]) -> Self {
        let data = RouteData { preference: Preference::Medium, valid_until: BootTime::FOREVER };
        self.routes = routes.iter().map(|route| (*route, data)).collect();
        self
    }

    /// Adds what a later element gave: lists are joined without repeats, other values kept when they are set.
    pub fn join(&mut self, later: &Self) {
        extend_without_repeats(&mut self.dns_servers, &later.dns_servers);
        extend_without_repeats(&mut self.search_domains, &later.search_domains);
        extend_without_repeats(&mut self.routers, &later.routers);
        extend_without_repeats(&mut self.ntp_servers, &later.ntp_servers);
        extend_without_repeats(&mut self.nis_servers, &later.nis_servers);
        extend_without_repeats(&mut self.pref64, &later.pref64);
        extend_without_repeats(&mut self.encrypted_dns, &later.encrypted_dns);
        for (key, data) in &later.routes {
            self.routes.entry(*key).or_insert(*data);
        }
        for (prefix, data) in &later.prefixes {
            self.prefixes.entry(*prefix).or_insert(*data);
        }
        keep_first(&mut self.domain_name, &later.domain_name);
        keep_first(&mut self.mtu, &later.mtu);
        keep_first(&mut self.nis_domain, &later.nis_domain);
        keep_first(&mut self.captive_portal, &later.captive_portal);
        keep_first(&mut self.server_identifier, &later.server_identifier);
        keep_first(&mut self.lease_expires, &later.lease_expires);
        keep_first(&mut self.pvd_option, &later.pvd_option);
        keep_first(&mut self.told_by, &later.told_by);
        keep_first(&mut self.captivity, &later.captivity);
        keep_first(&mut self.additional_information, &later.additional_information);
    }

    /// Cuts the lists to what one provisioning domain may have, the last items first; whether any was longer.
    pub fn cut_lists(&mut self) -> bool {
        cut(&mut self.dns_servers, limits::SERVERS_PER_PVD)
            | cut(&mut self.ntp_servers, limits::SERVERS_PER_PVD)
            | cut(&mut self.nis_servers, limits::SERVERS_PER_PVD)
            | cut(&mut self.search_domains, limits::DOMAINS_PER_PVD)
            | cut(&mut self.routers, limits::ROUTERS_PER_PVD)
            | cut(&mut self.encrypted_dns, ra::MAX_ENCRYPTED_DNS)
    }

    /// Whether [`join`](Self::join) of nothing and this is this.
    pub fn repeats_nothing(&self) -> bool {
        !repeats(&self.dns_servers)
            && !repeats(&self.search_domains)
            && !repeats(&self.routers)
            && !repeats(&self.ntp_servers)
            && !repeats(&self.nis_servers)
            && !repeats(&self.pref64)
            && !repeats(&self.encrypted_dns)
    }
}

/// Whether there is neither, or both and they are the `same`.
fn both<T>(one: Option<&T>, other: Option<&T>, same: impl Fn(&T, &T) -> bool) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn repeats<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().any(|(place, item)| list[..place].contains(item))
}

fn extend_without_repeats<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

fn cut<T>(list: &mut Vec<T>, cap: usize) -> bool {
    let longer = list.len() > cap;
    list.truncate(cap);
    longer
}

fn keep_first<T: Clone>(value: &mut Option<T>, later: &Option<T>) {
    if value.is_none() {
        value.clone_from(later);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn words_and_elements_agree() {
        for element in Element::ALL {
            assert_eq!(Element::from_word(element.word()), Some(element));
        }
        assert_eq!(Element::from_word("any"), None);
    }

    #[test]
    fn a_prefix_covers_bit_by_bit() {
        let prefix = Prefix::covering("2001:db8:1::5".parse().unwrap(), 48);
        assert_eq!(prefix.to_string(), "2001:db8:1::/48");
        assert!(prefix.covers("2001:db8:1:ffff::1".parse().unwrap()));
        // "2001:db8:1" is a textual prefix of this one, and covers none of it.
        assert!(!prefix.covers("2001:db8:10::1".parse().unwrap()));
        assert!(!prefix.covers("192.0.2.1".parse().unwrap()));
        assert!(Prefix::default_route(AddressFamily::Ipv4).covers("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn join_keeps_order_and_first_values() {
        let dns = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut first =
            Configuration { dns_servers: vec![dns("192.0.2.1")], mtu: Some(1400), ..Default::default() };
        let later = Configuration {
            dns_servers: vec![dns("192.0.2.2"), dns("192.0.2.1")],
            mtu: Some(1500),
            domain_name: Some("example.test".into()),
            ..Default::default()
        };
        first.join(&later);
        assert_eq!(first.dns_servers, [dns("192.0.2.1"), dns("192.0.2.2")]);
        assert_eq!(first.mtu, Some(1400));
        assert_eq!(first.domain_name.as_deref(), Some("example.test"));
    }

    /// Adds to a list: the first time something, the second time the same.
    const LISTS: [fn(&mut Configuration); 7] = [
        |it| it.dns_servers.push(IpAddr::from([192, 0, 2, 1])),
        |it| it.search_domains.push("example.test".into()),
        |it| it.routers.push(IpAddr::from([192, 0, 2, 1])),
        |it| it.ntp_servers.push("192.0.2.1".into()),
        |it| it.nis_servers.push(IpAddr::from([192, 0, 2, 1])),
        |it| it.pref64.push(Prefix::default_route(AddressFamily::Ipv6)),
        |it| it.encrypted_dns.push(EncryptedDns::default()),
    ];

    #[test]
    fn what_repeats_nothing_is_joined_to_nothing_as_it_is() {
        let joined = |configuration: &Configuration| {
            let mut joined = Configuration::default();
            joined.join(configuration);
            joined
        };
        let mut each_once = Configuration { mtu: Some(1400), ..Configuration::default() };
        LISTS.iter().for_each(|add| add(&mut each_once));
        assert!(each_once.repeats_nothing());
        assert_eq!(joined(&each_once), each_once);
        for add in LISTS {
            let mut twice = each_once.clone();
            add(&mut twice);
            assert!(!twice.repeats_nothing(), "{twice:?}");
            assert_eq!(joined(&twice), each_once);
        }
    }

    #[test]
    fn a_refreshed_lifetime_is_no_difference() {
        let at = |valid_until| {
            let data = RouteData { preference: Preference::Medium, valid_until };
            let key = RouteKey { destination: Prefix::default_route(AddressFamily::Ipv6), gateway: None };
            Configuration { routes: BTreeMap::from([(key, data)]), ..Default::default() }
        };
        assert!(at(BootTime::from_micros(1)).same_but_times(&at(BootTime::FOREVER)));
        assert!(!at(BootTime::FOREVER).same_but_times(&Configuration::default()));
    }

    #[test]
    fn configurations_survive_being_recorded() {
        let mut configuration = Configuration::default();
        let destination = Prefix::default_route(AddressFamily::Ipv6);
        let route = RouteData { preference: Preference::High, valid_until: BootTime::FOREVER };
        configuration.routes.insert(RouteKey { destination, gateway: None }, route);
        let prefix = PrefixData {
            on_link: true,
            autonomous: false,
            preferred_until: BootTime::ZERO,
            valid_until: BootTime::from_micros(1),
        };
        configuration.prefixes.insert(destination, prefix);
        let recorded = serde_json::to_string(&configuration).expect("JSON");
        assert_eq!(serde_json::from_str::<Configuration>(&recorded).expect("the same"), configuration);
    }
}
