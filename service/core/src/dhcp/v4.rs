//! DHCPINFORM and its answer (RFC 2131, RFC 2132).

use super::encrypted_dns::from_dhcpv4;
use super::{EncodeError, addresses, search_list};
use crate::configuration::Configuration;
use crate::lease_text;
use crate::{limits, text};
use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The port of clients.
pub const CLIENT_PORT: u16 = 68;
/// The port of servers and relays.
pub const SERVER_PORT: u16 = 67;

const BOOTREPLY: u8 = 2;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Bytes before the options: the fixed part and the cookie.
const HEADER: usize = 240;
/// Where the fields `sname` and `file` are, which may hold options (RFC 2132 9.3).
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
/// The shortest message that every relay forwards (RFC 1542 2.1).
const SHORTEST: usize = 300;

const PAD: u8 = 0;
const END: u8 = 255;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const ACK: u8 = 5;
/// DNS, domain, MTU, NIS domain and servers, NTP, captive portal, search list, encrypted DNS. Not the routers and
/// routes: who has set an address by hand has set by hand as well where its packets go, and an answer from anybody on
/// the link is not to lead them elsewhere.
const WANTED: [u8; 9] = [6, 15, 26, 40, 41, 42, 114, 119, 162];
/// The longest answer that is taken (RFC 2132 9.10): what Ethernet carries.
const LONGEST: u16 = 1_472;

/// A DHCPINFORM from a host that has `address`, and `hardware` on an Ethernet-like link; `elapsed` seconds after it asked
/// first.
///
/// # Errors
/// None that can come of these arguments.
pub fn inform(
    transaction: u32,
    elapsed: u16,
    address: Ipv4Addr,
    hardware: [u8; 6],
) -> Result<Vec<u8>, EncodeError> {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(transaction, address, none, none, none, &hardware);
    message.set_secs(elapsed);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Inform));
    options.insert(DhcpOption::MaxMessageSize(LONGEST));
    options.insert(DhcpOption::ParameterRequestList(WANTED.map(OptionCode::from).to_vec()));
    let mut message = message.to_vec()?;
    message.resize(message.len().max(SHORTEST), PAD);
    Ok(message)
}

/// What a server answered to the DHCPINFORM `transaction`; `None` when `message` is no answer to it.
pub fn informed(message: &[u8], transaction: u32) -> Option<Configuration> {
    let header = message.get(..HEADER)?;
    let is_reply =
        header[0] == BOOTREPLY && header[236..] == COOKIE && header[4..8] == transaction.to_be_bytes();
    if !is_reply {
        return None;
    }
    let options = Options::read(message);
    (options.get(MESSAGE_TYPE) == [ACK]).then(|| options.configuration())
}

/// The bytes of each option; those of one that is split are joined (RFC 3396).
struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    fn read(message: &[u8]) -> Self {
        let mut options = Self(BTreeMap::new());
        options.take(message.get(HEADER..).unwrap_or_default());
        let overload = options.get(OVERLOAD).first().copied().unwrap_or_default();
        if overload & 1 != 0 {
            options.take(message.get(FILE).unwrap_or_default());
        }
        if overload & 2 != 0 {
            options.take(message.get(SNAME).unwrap_or_default());
        }
        options
    }

    fn take(&mut self, mut rest: &[u8]) {
        while let Some((code, after)) = rest.split_first() {
            match *code {
                PAD => rest = after,
                END => return,
                code => {
                    let Some((length, after)) = after.split_first() else { return };
                    let Some((value, after)) = after.split_at_checked(usize::from(*length)) else { return };
                    self.0.entry(code).or_default().extend_from_slice(value);
                    rest = after;
                }
            }
        }
    }

    fn get(&self, code: u8) -> &[u8] {
        self.0.get(&code).map(Vec::as_slice).unwrap_or_default()
    }

    /// Text without the NUL that some servers end it with.
    fn text(&self, code: u8) -> Option<&[u8]> {
        let value = self.get(code);
        let value = value.strip_suffix(&[0]).unwrap_or(value);
        (!value.is_empty()).then_some(value)
    }

    fn addresses(&self, code: u8, limit: usize) -> Vec<IpAddr> {
        addresses::<4>(self.get(code), limit)
    }

    fn configuration(&self) -> Configuration {
        let ntp = self.addresses(42, limits::SERVERS_PER_PVD);
        let mtu = self.get(26).try_into().ok().map(|mtu| u32::from(u16::from_be_bytes(mtu)));
        let server = <[u8; 4]>::try_from(self.get(54)).ok().map(|octets| Ipv4Addr::from(octets).to_string());
        Configuration {
            dns_servers: self.addresses(6, limits::SERVERS_PER_PVD),
            search_domains: search_list(self.get(119), limits::DOMAINS_PER_PVD),
            domain_name: self.text(15).and_then(|name| lease_text::names([name], 1).pop()),
            mtu: mtu.and_then(lease_text::possible_mtu),
            ntp_servers: ntp.iter().map(ToString::to_string).collect(),
            nis_servers: self.addresses(41, limits::SERVERS_PER_PVD),
            nis_domain: self.text(40).map(text::escape),
            captive_portal: self.text(114).and_then(lease_text::portal),
            encrypted_dns: from_dhcpv4(self.get(162)),
            server_identifier: server,
            ..Configuration::default()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);

    /// An answer with these options behind the message type.
    fn answer(options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut message = inform(7, 0, HOST, [2; 6]).unwrap();
        message.truncate(HEADER);
        message[0] = BOOTREPLY;
        for (code, value) in [(MESSAGE_TYPE, &[ACK][..])].iter().chain(options) {
            message.extend([*code, u8::try_from(value.len()).unwrap()]);
            message.extend_from_slice(value);
        }
        message.push(END);
        message
    }

    #[test]
    fn everything_a_server_says_is_there() {
        let message = answer(&[
            (54, &[192, 0, 2, 1]),
            (6, &[192, 0, 2, 53, 0, 0, 0, 0]),
            (6, &[192, 0, 2, 54, 9]),
            (15, b"isp.test\0"),
            (119, b"\x01a\x04test\x00\x01b\xc0\x02"),
            (3, &[192, 0, 2, 1]),
            (121, &[0, 192, 0, 2, 1]),
            (26, &[5, 120]),
            (42, &[192, 0, 2, 123]),
            (40, b"nis.test"),
            (41, &[192, 0, 2, 77]),
            (114, b"https://portal.test/api"),
            (162, b"\x00\x0d\x00\x01\x0a\x03dns\x04test\x00"),
        ]);
        let told = informed(&message, 7).unwrap();
        let ips =
            |words: &[&str]| -> Vec<IpAddr> { words.iter().map(|word| word.parse().unwrap()).collect() };
        assert_eq!(told.dns_servers, ips(&["192.0.2.53", "192.0.2.54"]));
        assert_eq!(told.domain_name.as_deref(), Some("isp.test"));
        assert_eq!(told.search_domains, ["a.test", "b.test"]);
        assert_eq!((told.routers, told.routes.len()), (vec![], 0), "where packets go is set by hand");
        assert_eq!(told.encrypted_dns.len(), 1);
        assert_eq!((told.mtu, told.nis_domain.as_deref()), (Some(1400), Some("nis.test")));
        assert_eq!(
            (told.ntp_servers, told.nis_servers),
            (vec!["192.0.2.123".to_owned()], ips(&["192.0.2.77"]))
        );
        assert_eq!(told.captive_portal.as_deref(), Some("https://portal.test/api"));
        assert_eq!(told.server_identifier.as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_question_is_that_of_the_rfc() {
        let bytes = inform(0x0102_0304, 5, HOST, [2, 0, 0, 0, 0, 5]).unwrap();
        // BOOTREQUEST, Ethernet, six bytes of it; transaction, seconds, no flags: the answer is for this host alone.
        assert_eq!(bytes[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 5, 0, 0]);
        assert_eq!(
            (&bytes[12..16], &bytes[16..28]),
            (&HOST.octets()[..], &[0; 12][..]),
            "ciaddr and no other"
        );
        assert_eq!((&bytes[28..34], bytes.len()), (&[2, 0, 0, 0, 0, 5][..], SHORTEST));
        let options = Options::read(&bytes);
        assert_eq!((options.get(MESSAGE_TYPE), options.get(55)), (&[8][..], &WANTED[..]));
        assert!([50, 51, 54].iter().all(|code| options.get(*code).is_empty()), "RFC 2131 table 5: MUST NOT");
    }

    /// The library reads the same in what makes sense to both.
    #[test]
    fn dhcproto_agrees() {
        use dhcproto::{Decodable, Decoder};
        let message = answer(&[(6, &[192, 0, 2, 53, 192, 0, 2, 54]), (15, b"isp.test"), (26, &[5, 120])]);
        let theirs = Message::decode(&mut Decoder::new(&message)).unwrap();
        let ours = informed(&message, 7).unwrap();
        let Some(DhcpOption::DomainNameServer(servers)) = theirs.opts().get(OptionCode::DomainNameServer)
        else {
            panic!("{theirs:?}")
        };
        assert_eq!(servers.iter().copied().map(IpAddr::V4).collect::<Vec<_>>(), ours.dns_servers);
        assert_eq!(theirs.opts().get(OptionCode::InterfaceMtu), Some(&DhcpOption::InterfaceMtu(1400)));
        assert_eq!((theirs.xid(), ours.mtu), (7, Some(1400)));
    }

    #[test]
    fn options_may_be_in_other_fields() {
        let mut message = answer(&[(OVERLOAD, &[3])]);
        message[FILE.start..FILE.start + 6].copy_from_slice(&[6, 4, 192, 0, 2, 53]);
        message[SNAME.start..SNAME.start + 4].copy_from_slice(&[26, 2, 5, 120]);
        let told = informed(&message, 7).unwrap();
        assert_eq!((told.dns_servers.len(), told.mtu), (1, Some(1400)));
    }

    #[test]
    fn what_answers_another_question_is_none() {
        let good = answer(&[]);
        assert_eq!(informed(&good, 7), Some(Configuration::default()));
        assert_eq!(informed(&good, 8), None);
        for (at, byte) in [(0, 1), (236, 0), (HEADER + 2, 6)] {
            let mut odd = good.clone();
            odd[at] = byte;
            assert_eq!(informed(&odd, 7), None, "byte {at}");
        }
        assert_eq!(informed(&good[..HEADER - 1], 7), None);
        assert_eq!(informed(&inform(7, 0, HOST, [2; 6]).unwrap(), 7), None, "a question");
    }

    proptest! {
        #[test]
        fn any_options_are_survived(options in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut message = answer(&[]);
            message.pop();
            message.extend(options);
            let told = informed(&message, 7);
            prop_assert!(told.is_none_or(|told| told.dns_servers.len() <= limits::SERVERS_PER_PVD));
        }
    }
}
