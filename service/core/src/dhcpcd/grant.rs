//! A DHCPv4 lease as dhcpcd describes it, and how long it may be believed.

use super::Variables;
use crate::BootTime;
use crate::configuration::{Configuration, RouteKey};
use crate::event::Lease;
use crate::lease_text::{self, parse};
use crate::{limits, text};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A lease begins when the server grants it; dhcpcd tells of it after it has probed the address (RFC 5227 2.1: up
/// to seven seconds, and one for the exchange).
const PROBING: Duration = Duration::from_secs(8);
/// The kernel counts whole seconds.
const ROUNDING: Duration = Duration::from_secs(1);

/// A lease without its end, which dhcpcd does not tell: only how long it was when it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    address: Ipv4Addr,
    prefix_length: u8,
    /// In seconds, all ones for ever.
    lease_time: u32,
    reason: Reason,
    configuration: Configuration,
    routes: Vec<RouteKey>,
}

/// When dhcpcd told of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// As it happened.
    Live {
        /// Then.
        at: BootTime,
    },
    /// When asked, some time after.
    Asked {
        /// Then.
        at: BootTime,
    },
}

/// Why dhcpcd tells, as far as it says when the lease was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The server has just granted it.
    Acknowledged,
    /// The server has granted it, and then the address was probed.
    Probed,
    /// For another reason: it may have been granted long ago.
    Other,
}

impl Grant {
    /// Reads the variables of the lease that holds now; `None` when there is none.
    pub(super) fn read(variables: Variables<'_>) -> Option<Self> {
        let (routes, routers) = routes_and_routers(variables);
        Some(Self {
            address: parse(variables.of_lease("ip_address")?)?,
            prefix_length: prefix_length(variables),
            lease_time: variables.of_lease("dhcp_lease_time").and_then(parse).unwrap_or(u32::MAX),
            reason: match variables.get("reason") {
                Some(b"RENEW" | b"REBIND") => Reason::Acknowledged,
                Some(b"BOUND" | b"REBOOT") => Reason::Probed,
                _ => Reason::Other,
            },
            configuration: Configuration {
                dns_servers: addresses(variables, "domain_name_servers", limits::SERVERS_PER_PVD),
                search_domains: names(variables, "domain_search", limits::DOMAINS_PER_PVD),
                domain_name: names(variables, "domain_name", 1).pop(),
                routers,
                mtu: variables.of_lease("interface_mtu").and_then(lease_text::mtu),
                ntp_servers: names(variables, "ntp_servers", limits::SERVERS_PER_PVD),
                nis_servers: addresses(variables, "nis_servers", limits::SERVERS_PER_PVD),
                nis_domain: variables.of_lease("nis_domain").map(text::escape),
                captive_portal: variables.of_lease("captive_portal_uri").and_then(lease_text::portal),
                server_identifier: variables.of_lease("dhcp_server_identifier").map(text::escape),
                ..Configuration::default()
            },
            routes,
        })
    }

    /// The leased address.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The lease with its end, which is never later than the true one.
    ///
    /// `kernel_valid_until` is what the kernel says of the address (dhcpcd gives it the lease time when it adds
    /// or renews it), `former` the lease that was known before.
    pub fn lease(&self, told: Told, kernel_valid_until: BootTime, former: Option<&Lease>) -> Lease {
        let expires = self.expires(told, kernel_valid_until, former);
        let configuration = self.configuration.clone().with_routes(&self.routes);
        let address = IpAddr::V4(self.address);
        Lease { address, prefix_length: self.prefix_length, expires, configuration }.ending(expires)
    }

    fn expires(&self, told: Told, kernel_valid_until: BootTime, former: Option<&Lease>) -> BootTime {
        let (at, live) = match told {
            Told::Live { at } => (at, true),
            Told::Asked { at } => (at, false),
        };
        let late = match self.reason {
            Reason::Acknowledged if live => Duration::ZERO,
            Reason::Acknowledged | Reason::Other => ROUNDING,
            Reason::Probed => PROBING + ROUNDING,
        };
        let expires = before(at.after_lifetime(self.lease_time).min(kernel_valid_until), late);
        // Nothing but a new grant makes a lease longer.
        let granted_now = live && self.reason != Reason::Other;
        let same = former.filter(|former| former.address == self.address && !granted_now);
        same.map_or(expires, |former| former.expires.min(expires))
    }
}

/// `moment` less `duration`; for ever stays for ever.
fn before(moment: BootTime, duration: Duration) -> BootTime {
    if moment == BootTime::FOREVER {
        return moment;
    }
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    BootTime::from_micros(moment.as_micros().saturating_sub(micros))
}

/// The routes and the routers that lead everywhere.
fn routes_and_routers(variables: Variables<'_>) -> (Vec<RouteKey>, Vec<IpAddr>) {
    let mut routes = classless_routes(variables, "classless_static_routes");
    if routes.is_empty() {
        routes = classless_routes(variables, "ms_classless_static_routes");
    }
    lease_text::routes_and_routers(routes, addresses(variables, "routers", limits::ROUTERS_PER_PVD))
}

/// Pairs of destination and router.
fn classless_routes(variables: Variables<'_>, name: &str) -> Vec<RouteKey> {
    let words: Vec<&[u8]> = variables.words(name).take(2 * limits::ROUTES_PER_ROUTER).collect();
    let route = |[destination, gateway]: &[&[u8]; 2]| lease_text::route(destination, gateway);
    words.as_chunks::<2>().0.iter().filter_map(route).collect()
}

fn prefix_length(variables: Variables<'_>) -> u8 {
    let told = variables.of_lease("subnet_cidr").and_then(parse).filter(|length: &u8| *length <= 32);
    told.or_else(|| variables.of_lease("subnet_mask").and_then(lease_text::prefix_length)).unwrap_or(32)
}

fn addresses(variables: Variables<'_>, name: &str, limit: usize) -> Vec<IpAddr> {
    lease_text::addresses(variables.words(name), limit)
}

fn names(variables: Variables<'_>, name: &str, limit: usize) -> Vec<String> {
    lease_text::names(variables.words(name), limit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::configuration::{Preference, Prefix, RouteData};

    /// What dhcpcd 9.4.1 says of a lease of dnsmasq, with `more` before it.
    fn granted(more: &str) -> Grant {
        let message = format!(
            "{more}\0protocol=dhcp\0new_ip_address=192.0.2.71\0new_subnet_cidr=24\0\
             new_classless_static_routes=10.0.0.0/8 192.0.2.9 0.0.0.0/0 192.0.2.1 172.16.0.0/12 0.0.0.0\0\
             new_routers=192.0.2.2\0new_domain_name_servers=192.0.2.53 192.0.2.54\0new_domain_name=isp.example\0\
             new_interface_mtu=1400\0new_nis_domain=nis.example\0new_nis_servers=192.0.2.77\0\
             new_ntp_servers=192.0.2.123\0new_dhcp_lease_time=180\0new_dhcp_server_identifier=192.0.2.1\0\
             new_domain_search=a.example b.example\0new_captive_portal_uri=https://portal.example/api\0"
        );
        Grant::read(Variables(message.as_bytes())).expect("a lease")
    }

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    fn live(seconds: u64) -> Told {
        Told::Live { at: at(seconds) }
    }

    #[test]
    fn everything_dhcpcd_says_is_there() {
        let lease = granted("reason=RENEW").lease(live(1000), BootTime::FOREVER, None);
        let data = RouteData { preference: Preference::Medium, valid_until: at(1180) };
        let route = |address: &str, length, gateway: Option<&str>| {
            let destination = Prefix { address: address.parse().unwrap(), length };
            (RouteKey { destination, gateway: gateway.map(|gateway| gateway.parse().unwrap()) }, data)
        };
        let configuration = Configuration {
            dns_servers: vec!["192.0.2.53".parse().unwrap(), "192.0.2.54".parse().unwrap()],
            search_domains: vec!["a.example".to_owned(), "b.example".to_owned()],
            domain_name: Some("isp.example".to_owned()),
            routers: vec!["192.0.2.1".parse().unwrap()],
            routes: [
                route("10.0.0.0", 8, Some("192.0.2.9")),
                route("0.0.0.0", 0, Some("192.0.2.1")),
                route("172.16.0.0", 12, None),
            ]
            .into(),
            mtu: Some(1400),
            ntp_servers: vec!["192.0.2.123".to_owned()],
            nis_servers: vec!["192.0.2.77".parse().unwrap()],
            nis_domain: Some("nis.example".to_owned()),
            captive_portal: Some("https://portal.example/api".to_owned()),
            server_identifier: Some("192.0.2.1".to_owned()),
            lease_expires: Some(at(1180)),
            ..Configuration::default()
        };
        let address = "192.0.2.71".parse().unwrap();
        assert_eq!(lease, Lease { address, prefix_length: 24, expires: at(1180), configuration });
    }

    #[test]
    fn without_classless_routes_the_routers_lead_everywhere() {
        let grant =
            Grant::read(Variables(b"new_ip_address=192.0.2.7\0new_routers=192.0.2.1 192.0.2.2")).unwrap();
        let lease = grant.lease(live(0), BootTime::FOREVER, None);
        assert_eq!(lease.configuration.routers.len(), 2);
        assert_eq!(lease.configuration.routes.len(), 2);
        assert_eq!((lease.prefix_length, lease.expires), (32, BootTime::FOREVER));
    }

    #[test]
    fn odd_values_count_as_not_there() {
        let grant = Grant::read(Variables(
            b"new_ip_address=192.0.2.7\0new_subnet_cidr=99\0new_subnet_mask=255.255.0.0\0new_interface_mtu=7\0\
              new_domain_name_servers=0.0.0.0 x 224.0.0.1 192.0.2.53\0new_domain_name=a\xff.\0\
              new_classless_static_routes=10.0.0.0/33 192.0.2.1 10.0.0.0 192.0.2.1 10.0.0.0/8",
        ));
        let lease = grant.unwrap().lease(live(0), at(9), None);
        assert_eq!(lease.prefix_length, 16);
        assert_eq!(lease.configuration.mtu, None);
        assert_eq!(lease.configuration.dns_servers, ["192.0.2.53".parse::<IpAddr>().unwrap()]);
        assert_eq!(lease.configuration.domain_name.as_deref(), Some("a\\255"));
        assert!(lease.configuration.routes.is_empty());
        assert_eq!(Grant::read(Variables(b"new_ip_address=1.2.3")), None);
    }

    #[test]
    fn a_lease_never_ends_later_than_the_server_says() {
        let expires = |reason: &str, told, kernel, former: Option<&Lease>| {
            granted(reason).lease(told, kernel, former).expires
        };
        assert_eq!(expires("reason=RENEW", live(1000), at(1181), None), at(1180));
        assert_eq!(expires("reason=RENEW", live(1000), at(1100), None), at(1100));
        assert_eq!(expires("reason=BOUND", live(1000), at(1180), None), at(1171), "it was probed before");
        let asked = Told::Asked { at: at(1000) };
        assert_eq!(expires("reason=RENEW", asked, at(1050), None), at(1049));
        assert_eq!(expires("reason=BOUND", asked, BootTime::FOREVER, None), at(1171));
    }

    #[test]
    fn only_a_new_grant_makes_a_lease_longer() {
        let former = granted("reason=RENEW").lease(live(1000), BootTime::FOREVER, None);
        let expires = |reason: &str| granted(reason).lease(live(1100), at(1280), Some(&former)).expires;
        assert_eq!(expires("reason=RECONFIGURE"), at(1180));
        assert_eq!(expires("reason=RENEW"), at(1280));
        let asked = Told::Asked { at: at(1100) };
        assert_eq!(
            granted("reason=RENEW").lease(asked, at(1280), Some(&former)),
            former,
            "it is the same one"
        );
        let of_another_address = Lease { address: "192.0.2.9".parse().unwrap(), ..former.clone() };
        let lease = granted("reason=RECONFIGURE").lease(live(1100), at(1280), Some(&of_another_address));
        assert_eq!(lease.expires, at(1279));
    }

    #[test]
    fn a_lease_is_not_made_endless_by_a_message_without_lease_time() {
        let former = granted("reason=RENEW").lease(live(1000), BootTime::FOREVER, None);
        let grant = Grant::read(Variables(b"new_ip_address=192.0.2.71\0reason=RECONFIGURE")).unwrap();
        assert_eq!(grant.lease(live(1001), BootTime::FOREVER, Some(&former)).expires, former.expires);
    }

    #[test]
    fn an_endless_lease_has_no_end() {
        let message = b"new_ip_address=192.0.2.7\0new_dhcp_lease_time=4294967295\0reason=BOUND";
        let grant = Grant::read(Variables(message)).unwrap();
        assert_eq!(grant.lease(live(5), BootTime::FOREVER, None).expires, BootTime::FOREVER);
    }
}
