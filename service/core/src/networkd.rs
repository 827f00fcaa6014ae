//! What systemd-networkd writes into its state directory: `NAME=value` lines. What it says of a link when it is
//! asked is in the module `description`.
//!
//! It calls these files private. But anybody may read them, they are replaced as a whole whenever something
//! changes, and they have kept their form since systemd 209 but for names that were added; of a lease its D-Bus
//! interface tells far less. What is not understood counts as not there.

mod description;

pub use description::{Description, MAX_DESCRIPTION, description};

use crate::BootTime;
use crate::configuration::{Configuration, RouteKey};
use crate::event::{Ifindex, Lease};
use crate::lease_text::{self, parse};
use crate::{limits, text};
use std::net::{IpAddr, Ipv4Addr};

/// The longest file that is taken: a lease is a few hundred bytes, and holds no more than a DHCP packet.
pub const MAX_FILE: usize = 64 << 10;

/// The link that a file is about: its name is the link's number.
pub fn ifindex(file_name: &[u8]) -> Option<Ifindex> {
    parse(file_name).filter(|ifindex| *ifindex != 0)
}

/// The lease in a file of the folder `leases`, as told at `now`.
///
/// The file does not say when the lease was granted, so that the end is only not before the true one; the kernel's
/// address has that ([`LeaseClient::leaves_records`](crate::event::LeaseClient::leaves_records)).
pub fn lease(file: &[u8]) -> Option<Lease> {
    let variables = Variables(file);
    let address: Ipv4Addr = parse(variables.get("ADDRESS")?)?;
    let prefix_length = variables.get("NETMASK").and_then(lease_text::prefix_length).unwrap_or(32);
    let routers = lease_text::addresses(variables.words("ROUTER"), limits::ROUTERS_PER_PVD);
    let (routes, routers) = lease_text::routes_and_routers(classless_routes(variables), routers);
    let configuration = Configuration {
        dns_servers: lease_text::addresses(variables.words("DNS"), limits::SERVERS_PER_PVD),
        search_domains: lease_text::names(variables.words("DOMAIN_SEARCH_LIST"), limits::DOMAINS_PER_PVD),
        domain_name: lease_text::names(variables.words("DOMAINNAME"), 1).pop(),
        routers,
        mtu: variables.get("MTU").and_then(lease_text::mtu),
        ntp_servers: lease_text::names(variables.words("NTP"), limits::SERVERS_PER_PVD),
        captive_portal: variables.get("CAPTIVE_PORTAL").and_then(lease_text::portal),
        server_identifier: variables.get("SERVER_ADDRESS").map(text::escape),
        ..Configuration::default()
    };
    let configuration = configuration.with_routes(&routes);
    let expires = BootTime::FOREVER;
    Some(Lease { address: IpAddr::V4(address), prefix_length, expires, configuration }.ending(expires))
}

/// Whether a file of the folder `links` says that its link is not being configured: what it lacks then is not to be
/// waited for.
pub fn is_settled(file: &[u8]) -> bool {
    let state = Variables(file).get("ADMIN_STATE").unwrap_or_default();
    !matches!(state, b"pending" | b"initialized" | b"configuring")
}

/// `DESTINATION/LENGTH,ROUTER` each. Before systemd 250 they were called `ROUTES`, and were those of option 33 when
/// there was no option 121.
fn classless_routes(variables: Variables<'_>) -> Vec<RouteKey> {
    let route = |word: &[u8]| {
        let mut parts = word.splitn(2, |byte| *byte == b',');
        lease_text::route(parts.next().unwrap_or_default(), parts.next()?)
    };
    let routes = |name| -> Vec<RouteKey> {
        variables.words(name).filter_map(route).take(limits::ROUTES_PER_ROUTER).collect()
    };
    let routes_of_option_121 = routes("CLASSLESS_ROUTES");
    if routes_of_option_121.is_empty() { routes("ROUTES") } else { routes_of_option_121 }
}

/// The variables of a file.
#[derive(Clone, Copy, Debug)]
struct Variables<'a>(&'a [u8]);

impl<'a> Variables<'a> {
    fn get(&self, name: &str) -> Option<&'a [u8]> {
        let value = |line: &'a [u8]| line.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        let value = self.0.split(|byte| *byte == b'\n').find_map(value);
        value.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty())
    }

    fn words(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let value = self.get(name).unwrap_or_default();
        value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::configuration::{Preference, Prefix, RouteData};
    use proptest::prelude::*;

    /// As systemd 252 writes it, with the portal of later ones.
    const FILE: &str = "# This is private data. Do not parse.
ADDRESS=192.0.2.51
NETMASK=255.255.255.0
ROUTER=192.0.2.2
SERVER_ADDRESS=192.0.2.1
NEXT_SERVER=192.0.2.1
BROADCAST=192.0.2.255
MTU=1400
T1=300
T2=525
LIFETIME=600
DNS=192.0.2.53 192.0.2.54
NTP=192.0.2.123
SIP=
DOMAINNAME=isp.test
DOMAIN_SEARCH_LIST=a.test b.test
HOSTNAME=host
CAPTIVE_PORTAL=https://portal.test/api
CLASSLESS_ROUTES=10.0.0.0/8,192.0.2.9 0.0.0.0/0,192.0.2.1 172.16.0.0/12,0.0.0.0
CLIENTID=ff3db4257100020000ab1137ff6653b92704af
";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn everything_networkd_says_is_there() {
        let data = RouteData { preference: Preference::Medium, valid_until: BootTime::FOREVER };
        let route = |address: &str, length, gateway: Option<&str>| {
            let destination = Prefix { address: ip(address), length };
            (RouteKey { destination, gateway: gateway.map(ip) }, data)
        };
        let configuration = Configuration {
            dns_servers: vec![ip("192.0.2.53"), ip("192.0.2.54")],
            search_domains: vec!["a.test".to_owned(), "b.test".to_owned()],
            domain_name: Some("isp.test".to_owned()),
            routers: vec![ip("192.0.2.1")],
            routes: [
                route("10.0.0.0", 8, Some("192.0.2.9")),
                route("0.0.0.0", 0, Some("192.0.2.1")),
                route("172.16.0.0", 12, None),
            ]
            .into(),
            mtu: Some(1400),
            ntp_servers: vec!["192.0.2.123".to_owned()],
            captive_portal: Some("https://portal.test/api".to_owned()),
            server_identifier: Some("192.0.2.1".to_owned()),
            lease_expires: Some(BootTime::FOREVER),
            ..Configuration::default()
        };
        let expires = BootTime::FOREVER;
        let expected = Lease { address: ip("192.0.2.51"), prefix_length: 24, expires, configuration };
        assert_eq!(lease(FILE.as_bytes()), Some(expected));
    }

    #[test]
    fn without_classless_routes_the_routers_lead_everywhere() {
        let told = lease(b"ADDRESS=192.0.2.7\nROUTER=192.0.2.1 192.0.2.2\n").unwrap();
        assert_eq!(told.configuration.routers, [ip("192.0.2.1"), ip("192.0.2.2")]);
        assert_eq!((told.configuration.routes.len(), told.prefix_length), (2, 32));
        let older = lease(b"ADDRESS=192.0.2.7\nROUTES=0.0.0.0/0,192.0.2.9\nROUTER=192.0.2.1\n").unwrap();
        assert_eq!(older.configuration.routers, [ip("192.0.2.9")]);
    }

    #[test]
    fn odd_values_count_as_not_there() {
        let file = "ADDRESS=192.0.2.7\nNETMASK=x\nMTU=9\nCAPTIVE_PORTAL=urn:ietf:params:capport:unrestricted\nDNS=0.0.0.0 x 192.0.2.53\nCLASSLESS_ROUTES=10.0.0.0/33,192.0.2.1 \
                    10.0.0.0/8 ,\nDOMAINNAME=\nNTP=\n";
        let told = lease(file.as_bytes()).unwrap();
        let configuration = Configuration {
            dns_servers: vec![ip("192.0.2.53")],
            lease_expires: Some(BootTime::FOREVER),
            ..Configuration::default()
        };
        assert_eq!((told.prefix_length, told.configuration), (32, configuration));
        assert_eq!(lease(b"ADDRESS=\nDNS=192.0.2.53\n"), None);
        assert_eq!(lease(b""), None);
    }

    #[test]
    fn a_link_that_is_being_configured_is_not_settled() {
        let file = |state: &str| format!("# Private.\nADMIN_STATE={state}\nOPER_STATE=routable\n");
        for state in ["configured", "failed", "unmanaged", "linger", ""] {
            assert!(is_settled(file(state).as_bytes()), "{state}");
        }
        for state in ["pending", "initialized", "configuring"] {
            assert!(!is_settled(file(state).as_bytes()), "{state}");
        }
    }

    #[test]
    fn a_file_is_called_like_its_link() {
        assert_eq!(ifindex(b"12"), Some(12));
        for name in [b"0".as_slice(), b"", b"12~", b".#12abcdef", b"99999999999", b"-1"] {
            assert_eq!(ifindex(name), None);
        }
    }

    proptest! {
        #[test]
        fn any_file_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = lease(&bytes);
            let _ = is_settled(&bytes);
            let _ = ifindex(&bytes);
        }

        #[test]
        fn a_file_that_is_cut_off_anywhere_is_survived(cut in 0..FILE.len()) {
            if let Some(told) = lease(&FILE.as_bytes()[..cut]) {
                prop_assert!(told.prefix_length <= 32);
            }
        }
    }
}
