//! Hosts in NIS: the calls that look one up and what their replies say. The protocol ("Yellow Pages", version 2) has no
//! RFC; it is the one of `yp_prot.h`, over ONC RPC (RFC 5531). A server's port is asked of its port mapper (RFC 1833 3).
//!
//! Replies come from the network: whatever the bytes are, reading them ends in a value or a [`ReplyError`], and never
//! takes more than the datagram holds.

use crate::text;
use onc_rpc::auth::AuthFlavor;
use onc_rpc::{AcceptedStatus, CallBody, MessageType, ReplyBody, RpcMessage};
use std::fmt;
use std::net::IpAddr;

/// The longest reply that is looked at, in bytes: a value of [`LONGEST_VALUE`] with everything around it.
pub const LONGEST_REPLY: usize = 4096;

/// The addresses of one key that are taken.
const MOST_HOSTS: usize = 64;
/// `YPMAXRECORD`.
const LONGEST_VALUE: usize = 1024;
/// `YPMAXDOMAIN`.
const LONGEST_DOMAIN: usize = 64;
/// The length of a record on a stream, which a datagram does without (RFC 5531 11).
const RECORD_MARK: usize = 4;

const PORT_MAPPER: u32 = 100_000;
const GET_PORT: u32 = 3;
const YP_SERVER: u32 = 100_004;
const MATCH: u32 = 3;
const VERSION: u32 = 2;
const UDP: u32 = 17;

/// A map of hosts by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// IPv4 hosts, on some servers also IPv6 ones.
    Hosts,
    /// Hosts of both families, where a server has it.
    IpNodes,
}

impl Map {
    const fn name(self) -> &'static str {
        match self {
            Self::Hosts => "hosts.byname",
            Self::IpNodes => "ipnodes.byname",
        }
    }
}

/// An address that a map gives a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The address.
    pub address: IpAddr,
    /// The first name of its line.
    pub canonical_name: Option<String>,
}

/// Why a datagram is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// It answers another call, or none.
    NotOurs,
    /// It is cut off, or no reply at all.
    Malformed,
    /// The server does not do what was asked of it: it is none, or does not have the domain.
    Refused,
}

impl std::error::Error for ReplyError {}

impl fmt::Display for ReplyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotOurs => "not the reply to this call",
            Self::Malformed => "not a reply that can be read",
            Self::Refused => "the server refused, or does not have that domain",
        })
    }
}

/// Whether `domain` can be the name of a NIS domain.
pub fn is_domain(domain: &str) -> bool {
    (1..=LONGEST_DOMAIN).contains(&domain.len()) && domain.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The call for the UDP port of the NIS server, to its host's port mapper.
pub fn ask_port(xid: u32) -> Vec<u8> {
    let arguments: Vec<u8> = [YP_SERVER, VERSION, UDP, 0].into_iter().flat_map(u32::to_be_bytes).collect();
    call(xid, PORT_MAPPER, GET_PORT, &arguments)
}

/// The call for what `map` of `domain` has for `name`. Names in maps are in lower case.
pub fn ask_host(xid: u32, domain: &str, map: Map, name: &str) -> Vec<u8> {
    let mut arguments = Vec::new();
    for text in [domain, map.name(), &name.to_ascii_lowercase()] {
        put_opaque(&mut arguments, text.as_bytes());
    }
    call(xid, YP_SERVER, MATCH, &arguments)
}

/// The port in the reply to [`ask_port`]; `None`: no NIS server runs there.
///
/// # Errors
/// It is no such reply.
pub fn read_port(xid: u32, datagram: &[u8]) -> Result<Option<u16>, ReplyError> {
    reply(xid, datagram, |results| {
        let port = results.number()?;
        u16::try_from(port).map(|port| (port != 0).then_some(port)).map_err(|_| ReplyError::Malformed)
    })
}

/// The hosts in the reply to [`ask_host`]; none when the map does not have the name, or is not there.
///
/// # Errors
/// It is no such reply, or the server does not have the domain.
pub fn read_hosts(xid: u32, datagram: &[u8]) -> Result<Vec<Host>, ReplyError> {
    const TRUE: i32 = 1;
    const NO_MAP: i32 = -1;
    const NO_KEY: i32 = -3;
    reply(xid, datagram, |results| match results.number()?.cast_signed() {
        TRUE => Ok(hosts(results.opaque(LONGEST_VALUE)?)),
        NO_MAP | NO_KEY => Ok(Vec::new()),
        _ => Err(ReplyError::Refused),
    })
}

fn call(xid: u32, program: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
    let none = || AuthFlavor::AuthNone(None::<&[u8]>);
    let body = CallBody::new(program, VERSION, procedure, none(), none(), arguments);
    let message = RpcMessage::new(xid, MessageType::Call(body));
    // Writing to memory does not fail.
    let mut bytes = message.serialise().unwrap_or_default();
    bytes.drain(..RECORD_MARK.min(bytes.len()));
    bytes
}

fn reply<T>(
    xid: u32,
    datagram: &[u8],
    read: impl FnOnce(&mut Results<'_>) -> Result<T, ReplyError>,
) -> Result<T, ReplyError> {
    const LAST_FRAGMENT: u32 = 1 << 31;
    if datagram.len() > LONGEST_REPLY {
        return Err(ReplyError::Malformed);
    }
    let length = u32::try_from(datagram.len()).map_err(|_| ReplyError::Malformed)?;
    let record = [&(LAST_FRAGMENT | length).to_be_bytes(), datagram].concat();
    let message = RpcMessage::try_from(record.as_slice()).map_err(|_| ReplyError::Malformed)?;
    if message.xid() != xid {
        return Err(ReplyError::NotOurs);
    }
    match message.reply_body().ok_or(ReplyError::NotOurs)? {
        ReplyBody::Accepted(accepted) => match accepted.status() {
            AcceptedStatus::Success(results) => read(&mut Results(results)),
            _ => Err(ReplyError::Refused),
        },
        ReplyBody::Denied(_) => Err(ReplyError::Refused),
    }
}

/// What is left of the results of a call, in XDR (RFC 4506).
struct Results<'a>(&'a [u8]);

impl<'a> Results<'a> {
    fn number(&mut self) -> Result<u32, ReplyError> {
        let (number, rest) = self.0.split_first_chunk().ok_or(ReplyError::Malformed)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    /// Bytes of a length that goes before them (RFC 4506 4.10). Their padding is of no account at the end.
    fn opaque(&mut self, longest: usize) -> Result<&'a [u8], ReplyError> {
        let length = usize::try_from(self.number()?).map_err(|_| ReplyError::Malformed)?;
        if length > longest {
            return Err(ReplyError::Malformed);
        }
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(ReplyError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }
}

fn put_opaque(bytes: &mut Vec<u8>, opaque: &[u8]) {
    const UNIT: usize = 4;
    // What is put here is a name, a domain or a map, all of them short.
    bytes.extend(u32::try_from(opaque.len()).unwrap_or_default().to_be_bytes());
    bytes.extend(opaque);
    bytes.resize(bytes.len().next_multiple_of(UNIT), 0);
}

/// A value is one or more lines of the host table.
fn hosts(value: &[u8]) -> Vec<Host> {
    let host = |line: &[u8]| {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        Some(Host { address, canonical_name: words.next().map(|name| text::escape(name.as_bytes())) })
    };
    value.split(|byte| matches!(byte, b'\n' | 0)).filter_map(host).take(MOST_HOSTS).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use onc_rpc::{AcceptedReply, RejectedReply};
    use proptest::prelude::*;

    const XID: u32 = 0x0102_0304;

    fn accepted(status: AcceptedStatus<&[u8]>) -> Vec<u8> {
        let body = ReplyBody::Accepted(AcceptedReply::new(AuthFlavor::AuthNone(None::<&[u8]>), status));
        RpcMessage::new(XID, MessageType::Reply(body)).serialise().unwrap().split_off(RECORD_MARK)
    }

    fn with_value(status: i32, value: &[u8]) -> Vec<u8> {
        let mut results = status.to_be_bytes().to_vec();
        put_opaque(&mut results, value);
        accepted(AcceptedStatus::Success(&results))
    }

    fn found(value: &str) -> Vec<(String, Option<String>)> {
        let hosts = read_hosts(XID, &with_value(1, value.as_bytes())).unwrap();
        hosts.into_iter().map(|host| (host.address.to_string(), host.canonical_name)).collect()
    }

    #[test]
    fn calls_are_those_of_the_protocol() {
        // xid, call, RPC 2, program, version, procedure, two empty authenticators.
        let head = |program: u32, procedure: u32| -> Vec<u8> {
            [XID, 0, 2, program, 2, procedure, 0, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect()
        };
        let arguments: Vec<u8> = [100_004_u32, 2, 17, 0].into_iter().flat_map(u32::to_be_bytes).collect();
        assert_eq!(ask_port(XID), [head(100_000, 3), arguments].concat());
        let expected =
            [head(100_004, 3), b"\0\0\0\x08nis.test\0\0\0\x0chosts.byname\0\0\0\x07printer\0".to_vec()];
        assert_eq!(ask_host(XID, "nis.test", Map::Hosts, "Printer"), expected.concat());
        let nodes = ask_host(XID, "n", Map::IpNodes, "h");
        assert!(
            nodes.ends_with(b"\0\0\0\x01n\0\0\0\0\0\0\x0eipnodes.byname\0\0\0\0\0\x01h\0\0\0"),
            "{nodes:?}"
        );
    }

    #[test]
    fn ports() {
        let port = |number: u32| read_port(XID, &accepted(AcceptedStatus::Success(&number.to_be_bytes())));
        assert_eq!(port(834), Ok(Some(834)));
        assert_eq!(port(0), Ok(None));
        assert_eq!(port(65_536), Err(ReplyError::Malformed));
        assert_eq!(read_port(XID, &accepted(AcceptedStatus::Success(&[0, 0]))), Err(ReplyError::Malformed));
    }

    #[test]
    fn values_are_lines_of_the_host_table() {
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(
            found("192.0.2.5\tprinter.example printer # hall"),
            [("192.0.2.5".into(), name("printer.example"))]
        );
        assert_eq!(
            found("192.0.2.5 a\n2001:db8::5 b\nnonsense c\n# 192.0.2.6 d\n"),
            [("192.0.2.5".into(), name("a")), ("2001:db8::5".into(), name("b"))]
        );
        assert_eq!(found("192.0.2.5\0"), [("192.0.2.5".into(), None)]);
        assert_eq!(found(""), []);
        let many: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
        assert_eq!(found(&many.join("\n")).len(), MOST_HOSTS);
    }

    #[test]
    fn statuses() {
        for (status, expected) in [
            (-1, Ok(0)),
            (-3, Ok(0)),
            (-2, Err(ReplyError::Refused)),
            (-6, Err(ReplyError::Refused)),
            (7, Err(ReplyError::Refused)),
        ] {
            let found = read_hosts(XID, &with_value(status, b"192.0.2.5 a")).map(|hosts| hosts.len());
            assert_eq!(found, expected, "{status}");
        }
        let unavailable = accepted(AcceptedStatus::ProgramUnavailable);
        assert_eq!(read_hosts(XID, &unavailable), Err(ReplyError::Refused));
        let denied = ReplyBody::Denied(RejectedReply::RpcVersionMismatch { low: 3, high: 3 });
        let denied = RpcMessage::<&[u8], &[u8]>::new(XID, MessageType::Reply(denied)).serialise().unwrap();
        assert_eq!(read_port(XID, &denied[RECORD_MARK..]), Err(ReplyError::Refused));
    }

    #[test]
    fn what_is_no_reply_of_ours() {
        let good = with_value(1, b"192.0.2.5 a");
        assert_eq!(read_hosts(XID + 1, &good), Err(ReplyError::NotOurs));
        assert_eq!(read_hosts(XID, &ask_port(XID)), Err(ReplyError::NotOurs));
        for length in 0..good.len() - 1 {
            assert_eq!(read_hosts(XID, &good[..length]), Err(ReplyError::Malformed), "{length}");
        }
        let lengths = |length: u32| {
            let results = [1_u32.to_be_bytes(), length.to_be_bytes()].concat();
            read_hosts(XID, &accepted(AcceptedStatus::Success(&results)))
        };
        for length in [1, 1024, 1025, 0x7fff_ffff, u32::MAX] {
            assert_eq!(lengths(length), Err(ReplyError::Malformed), "{length}");
        }
        let long = with_value(1, &[b' '; LONGEST_VALUE + 1]);
        assert_eq!(read_hosts(XID, &long), Err(ReplyError::Malformed));
        assert_eq!(read_hosts(XID, &vec![0; LONGEST_REPLY + 1]), Err(ReplyError::Malformed));
    }

    #[test]
    fn domains() {
        for domain in ["nis.test", "a", &"d".repeat(64)] {
            assert!(is_domain(domain), "{domain}");
        }
        for domain in ["", "a b", "b\u{fc}ro", "a\n", &"d".repeat(65)] {
            assert!(!is_domain(domain), "{domain}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200), xid in any::<u32>()) {
            let _ = read_port(xid, &bytes);
            let _ = read_hosts(xid, &bytes);
        }

        #[test]
        fn any_results_are_read_to_an_end(results in prop::collection::vec(any::<u8>(), 0..64)) {
            let reply = accepted(AcceptedStatus::Success(&results));
            let _ = read_port(XID, &reply);
            if let Ok(hosts) = read_hosts(XID, &reply) {
                prop_assert!(hosts.len() <= MOST_HOSTS);
            }
        }

        #[test]
        fn a_changed_byte_is_no_trouble(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut reply = with_value(1, b"192.0.2.5 printer.example printer");
            let at = at.index(reply.len());
            reply[at] = byte;
            let _ = read_hosts(XID, &reply);
        }
    }
}
