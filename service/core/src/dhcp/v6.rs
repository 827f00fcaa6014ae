//! Information-Request and its answer (RFC 8415).

use super::encrypted_dns::from_dhcpv6;
use super::{EncodeError, addresses, search_list};
use crate::captive_portal::CaptivePortal;
use crate::configuration::Configuration;
use crate::lease::Dhcpv6Lease;
use crate::{limits, ra};
use dhcproto::Encodable;
use dhcproto::v6::{DhcpOption, Message, MessageType, ORO, OptionCode};
use std::net::{IpAddr, Ipv6Addr};

/// The port of clients.
pub const CLIENT_PORT: u16 = 546;
/// The port of servers and relays.
pub const SERVER_PORT: u16 = 547;
/// All_DHCP_Relay_Agents_and_Servers.
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// IRT_DEFAULT and IRT_MINIMUM, in seconds (RFC 8415 7.6): after this, what a server said is asked for again.
pub const REFRESH_DEFAULT: u32 = 86_400;
const REFRESH_MINIMUM: u32 = 600;

const REPLY: u8 = 7;
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const STATUS_CODE: u16 = 13;
const DNS_SERVERS: u16 = 23;
const DOMAIN_LIST: u16 = 24;
const NIS_SERVERS: u16 = 27;
const NIS_DOMAIN: u16 = 29;
const SNTP_SERVERS: u16 = 31;
const REFRESH_TIME: u16 = 32;
const NTP_SERVER: u16 = 56;
const CAPTIVE_PORTAL: u16 = 103;
const ENCRYPTED_DNS: u16 = 144;
const WANTED: [u16; 9] = [
    DNS_SERVERS,
    DOMAIN_LIST,
    NIS_SERVERS,
    NIS_DOMAIN,
    SNTP_SERVERS,
    REFRESH_TIME,
    NTP_SERVER,
    CAPTIVE_PORTAL,
    ENCRYPTED_DNS,
];

/// An Information-Request `elapsed` hundredths of a second after the first one. Only the low three bytes of
/// `transaction` count.
///
/// It does not say who asks, for nothing hangs on it (RFC 7844 4.3.1): a client on this host may have told servers
/// another identifier.
///
/// # Errors
/// None that can come of these arguments.
pub fn information_request(transaction: u32, elapsed: u16) -> Result<Vec<u8>, EncodeError> {
    let [_, transaction @ ..] = transaction.to_be_bytes();
    let mut message = Message::new_with_id(MessageType::InformationRequest, transaction);
    let options = message.opts_mut();
    options.insert(DhcpOption::ElapsedTime(elapsed));
    options.insert(DhcpOption::ORO(ORO { opts: WANTED.map(OptionCode::from).to_vec() }));
    message.to_vec()
}

/// What a server answered to the Information-Request `transaction`; `None` when `message` is no answer to it (RFC 8415
/// 16.10: one that names a client is for another), or the server refuses.
pub fn informed(message: &[u8], transaction: u32) -> Option<Dhcpv6Lease> {
    let (head, options) = message.split_first_chunk::<4>()?;
    let [_, transaction @ ..] = transaction.to_be_bytes();
    let first = |code| Options(options).find(|(known, _)| *known == code).map(|(_, value)| value);
    let is_reply = head[0] == REPLY && head[1..] == transaction && first(CLIENT_ID).is_none();
    let granted = first(STATUS_CODE).is_none_or(|status| status.starts_with(&[0, 0]));
    let server = first(SERVER_ID).filter(|server| is_reply && granted && !server.is_empty())?;
    let refresh = first(REFRESH_TIME).and_then(|time| time.try_into().ok()).map(u32::from_be_bytes);
    let mut configuration = Configuration {
        server_identifier: Some(server.iter().map(|byte| format!("{byte:02x}")).collect()),
        ..Configuration::default()
    };
    for (code, value) in Options(options) {
        take(&mut configuration, code, value);
    }
    configuration.encrypted_dns.sort_by_key(|resolver| resolver.priority);
    let refresh = Some(refresh.unwrap_or(REFRESH_DEFAULT).max(REFRESH_MINIMUM));
    Some(Dhcpv6Lease { configuration, refresh, ..Dhcpv6Lease::default() })
}

fn take(configuration: &mut Configuration, code: u16, value: &[u8]) {
    let servers = || addresses::<16>(value, limits::SERVERS_PER_PVD);
    match code {
        DNS_SERVERS => configuration.dns_servers = servers(),
        DOMAIN_LIST => configuration.search_domains = search_list(value, limits::DOMAINS_PER_PVD),
        NIS_SERVERS => configuration.nis_servers = servers(),
        NIS_DOMAIN => configuration.nis_domain = search_list(value, 1).pop(),
        SNTP_SERVERS => add_ntp(configuration, servers().iter().map(ToString::to_string)),
        NTP_SERVER => add_ntp(configuration, ntp_servers(value)),
        CAPTIVE_PORTAL => {
            configuration.captive_portal = CaptivePortal::read(value).and_then(CaptivePortal::into_uri);
        }
        ENCRYPTED_DNS if configuration.encrypted_dns.len() < ra::MAX_ENCRYPTED_DNS => {
            configuration.encrypted_dns.extend(from_dhcpv6(value));
        }
        _ => {}
    }
}

fn add_ntp(configuration: &mut Configuration, servers: impl IntoIterator<Item = String>) {
    for server in servers {
        let known = configuration.ntp_servers.contains(&server);
        if !known && configuration.ntp_servers.len() < limits::SERVERS_PER_PVD {
            configuration.ntp_servers.push(server);
        }
    }
}

/// The addresses and names of servers (RFC 5908 4); multicast groups are none.
fn ntp_servers(value: &[u8]) -> Vec<String> {
    const ADDRESS: u16 = 1;
    const NAME: u16 = 3;
    let server = |(code, value): (u16, &[u8])| match code {
        ADDRESS => addresses::<16>(value, 1).pop().map(|address: IpAddr| address.to_string()),
        NAME => search_list(value, 1).pop(),
        _ => None,
    };
    Options(value).filter_map(server).collect()
}

/// Options one after the other: code, length, value.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([code_high, code_low, high, low], rest) = self.0.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        self.0 = rest;
        Some((u16::from_be_bytes([*code_high, *code_low]), value))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn option(message: &mut Vec<u8>, code: u16, value: &[u8]) {
        message.extend(code.to_be_bytes());
        message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        message.extend_from_slice(value);
    }

    fn answer(options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = vec![REPLY, 0, 0, 7];
        option(&mut message, SERVER_ID, &[0, 1, 0xab]);
        for (code, value) in options {
            option(&mut message, *code, value);
        }
        message
    }

    fn octets(address: &str) -> [u8; 16] {
        address.parse::<Ipv6Addr>().unwrap().octets()
    }

    #[test]
    fn everything_a_server_says_is_there() {
        let servers = [octets("2001:db8::53"), octets("ff02::1"), octets("fe80::53")].concat();
        let (mut ntp, mut ntp_name) = (Vec::new(), b"\x03ntp\x04test\x00".to_vec());
        option(&mut ntp, 1, &octets("2001:db8::124"));
        option(&mut ntp, 3, &ntp_name);
        ntp_name.clear();
        let message = answer(&[
            (DNS_SERVERS, &servers),
            (DOMAIN_LIST, b"\x03six\x04test\x00\x01b\x00"),
            (SNTP_SERVERS, &octets("2001:db8::123")),
            (NTP_SERVER, &ntp),
            (NIS_SERVERS, &octets("2001:db8::77")),
            (NIS_DOMAIN, b"\x03nis\x04test\x00"),
            (CAPTIVE_PORTAL, b"https://portal.test/6"),
            (ENCRYPTED_DNS, b"\x00\x02\x00\x0a\x03dns\x04test\x00"),
            (ENCRYPTED_DNS, b"\x00\x01\x00\x0a\x03ens\x04test\x00"),
            (REFRESH_TIME, &3600_u32.to_be_bytes()),
        ]);
        let told = informed(&message, 7).unwrap();
        assert_eq!((told.refresh, told.addresses.len(), told.expires), (Some(3600), 0, None));
        let told = told.configuration;
        assert_eq!(
            told.dns_servers,
            ["2001:db8::53", "fe80::53"].map(|word| word.parse::<IpAddr>().unwrap())
        );
        assert_eq!(told.search_domains, ["six.test", "b"]);
        assert_eq!(told.ntp_servers, ["2001:db8::123", "2001:db8::124", "ntp.test"]);
        assert_eq!((told.nis_servers.len(), told.nis_domain.as_deref()), (1, Some("nis.test")));
        assert_eq!(told.captive_portal.as_deref(), Some("https://portal.test/6"));
        let names: Vec<&str> = told.encrypted_dns.iter().map(|resolver| &*resolver.name).collect();
        assert_eq!(names, ["ens.test", "dns.test"]);
        assert_eq!(told.server_identifier.as_deref(), Some("0001ab"));
    }

    #[test]
    fn the_question_is_that_of_the_rfc() {
        let bytes = information_request(0xff01_0203, 150).unwrap();
        assert_eq!(bytes[..4], [11, 1, 2, 3]);
        let options: Vec<(u16, &[u8])> = Options(&bytes[4..]).collect();
        let wanted: Vec<u8> = WANTED.iter().flat_map(|code| code.to_be_bytes()).collect();
        assert_eq!(options.len(), 2, "{options:?}");
        assert!(options.contains(&(6, &wanted)) && options.contains(&(8, &[0, 150])), "{options:?}");
    }

    /// The library reads the same in what makes sense to both.
    #[test]
    fn dhcproto_agrees() {
        use dhcproto::{Decodable, Decoder};
        let servers = [octets("2001:db8::53"), octets("2001:db8::54")].concat();
        let message = answer(&[(DNS_SERVERS, &servers)]);
        let theirs = Message::decode(&mut Decoder::new(&message)).unwrap();
        let Some(DhcpOption::DomainNameServers(servers)) = theirs.opts().get(OptionCode::DomainNameServers)
        else {
            panic!("{theirs:?}")
        };
        let ours = informed(&message, 7).unwrap().configuration.dns_servers;
        assert_eq!(servers.iter().copied().map(IpAddr::V6).collect::<Vec<_>>(), ours);
    }

    #[test]
    fn what_answers_another_question_is_none() {
        assert_eq!(informed(&answer(&[]), 7).unwrap().refresh, Some(REFRESH_DEFAULT));
        let often = answer(&[(REFRESH_TIME, &[0, 0, 0, 1])]);
        assert_eq!(informed(&often, 7).unwrap().refresh, Some(REFRESH_MINIMUM));
        assert_eq!(informed(&answer(&[]), 8), None);
        assert_eq!(informed(&answer(&[(STATUS_CODE, &[0, 2])]), 7), None);
        assert_eq!(informed(&answer(&[(CLIENT_ID, &[1])]), 7), None);
        assert_eq!(informed(&[REPLY, 0, 0, 7], 7), None, "of no server");
        assert_eq!(informed(&[REPLY, 0, 0, 7, 0, 2, 0, 0], 7), None, "of one without identifier");
        assert_eq!(informed(&information_request(7, 0).unwrap(), 7), None, "a question");
    }

    proptest! {
        #[test]
        fn any_options_are_survived(options in prop::collection::vec(any::<u8>(), 0..600)) {
            let message = [answer(&[]), options].concat();
            let told = informed(&message, 7);
            prop_assert!(told.is_none_or(|told| told.configuration.dns_servers.len() <= 32));
        }
    }
}
