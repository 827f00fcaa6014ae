//! Router Advertisements (RFC 4861 4.2): what a message says, decoded, with lifetimes as they were on the wire.

pub(crate) mod domain_names;
pub(crate) mod encrypted_dns;
mod options;
mod pvd_option;

use crate::captive_portal::CaptivePortal;
use crate::configuration::{EncryptedDns, Preference, Prefix};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv6Addr;

/// The ICMPv6 type of a Router Advertisement (RFC 4861 4.2).
pub const ICMPV6_TYPE: u8 = 134;
/// The most Prefix Information options that are taken from one message.
pub const MAX_PREFIXES: usize = 64;
/// The most Route Information options that are taken from one message.
pub const MAX_ROUTES: usize = 64;
/// The most DNS servers that are taken from one message, over all its options.
pub const MAX_DNS_SERVERS: usize = 32;
/// The most search domains that are taken from one message, over all its options.
pub const MAX_SEARCH_DOMAINS: usize = 64;

/// The most NAT64 prefixes that are taken from one message.
pub const MAX_PREF64: usize = 8;
/// The most encrypted resolvers that are taken from one message.
pub const MAX_ENCRYPTED_DNS: usize = 16;

/// Bytes before the first option: ICMPv6 header and the fixed part (RFC 4861 4.2).
const HEADER_LENGTH: usize = 16;
/// The hop limit of a packet that no router has forwarded (RFC 4861 6.1.2).
const HOP_LIMIT: u8 = 255;

/// What one Router Advertisement says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterAdvertisement {
    /// How long the sender is a default router, in seconds; zero: it is none.
    pub router_lifetime: u16,
    /// How much it wants to be the default router (RFC 4191 2.2).
    pub preference: Preference,
    /// Flag M: addresses by DHCPv6.
    pub managed: bool,
    /// Flag O: other configuration by DHCPv6.
    pub other: bool,
    /// The MTU option, in bytes.
    pub mtu: Option<u32>,
    /// Prefix Information options (RFC 4861 4.6.2), in order.
    pub prefixes: Vec<PrefixInformation>,
    /// Route Information options (RFC 4191 2.3), in order.
    pub routes: Vec<RouteInformation>,
    /// The addresses of the Recursive DNS Server options (RFC 8106 5.1), in order.
    pub dns_servers: Vec<Timed<Ipv6Addr>>,
    /// The names of the DNS Search List options (RFC 8106 5.2), in order, escaped, no final dot.
    pub search_domains: Vec<Timed<String>>,
    /// The prefixes of the PREF64 options (RFC 8781), in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pref64: Vec<Timed<Prefix>>,
    /// What the Captive-Portal option says (RFC 8910 2.3); the first one, should they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captive_portal: Option<CaptivePortal>,
    /// The resolvers of the Encrypted DNS options (RFC 9463 6), in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encrypted_dns: Vec<Timed<EncryptedDns>>,
    /// The PvD option (RFC 8801 3.1). With it everything above is what hosts that know of it are told: the header
    /// inside it instead of the outer one, and the options outside and inside together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvd: Option<PvdOption>,
}

/// What a PvD option says besides the header and the options inside it (RFC 8801 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PvdOption {
    /// The PvD ID: a domain name in lower case, no final dot, odd bytes escaped.
    pub id: String,
    /// Flag H: additional information is to be had by HTTP.
    pub http: bool,
    /// Flag L: the DHCPv4 lease of the link belongs to it.
    pub legacy: bool,
    /// Flag R: it has a header of its own inside.
    pub ra: bool,
    /// How long to spread requests for additional information over, as the exponent of RFC 8801 4.1.
    pub delay: u8,
    /// Changes when the additional information does.
    pub sequence: u16,
}

impl RouterAdvertisement {
    /// Decodes `icmp_message`, which begins with the ICMPv6 header (its checksum is the kernel's work).
    ///
    /// The message must pass the checks of RFC 4861 6.1.2 that concern its bytes; [`accept`] does those that
    /// concern the packet. An option that breaks the rules of its own RFC is left out and counted in [`Dropped`],
    /// as is what goes beyond the limits of this module; an unknown option is skipped.
    ///
    /// # Errors
    ///
    /// The message is no Router Advertisement, or is one that RFC 4861 6.1.2 wants discarded as a whole.
    pub fn parse(icmp_message: &[u8]) -> Result<(Self, Dropped), RaError> {
        let Some((header, body)) = icmp_message.split_first_chunk::<HEADER_LENGTH>() else {
            return Err(RaError::TooShort { length: icmp_message.len() });
        };
        let [kind, code, ..] = *header;
        if kind != ICMPV6_TYPE {
            return Err(RaError::Type { found: kind });
        }
        if code != 0 {
            return Err(RaError::Code { found: code });
        }
        let mut advertisement = Self::default();
        advertisement.set_header(header);
        let mut dropped = Dropped::default();
        for option in options::split(body) {
            options::take_outer(&mut advertisement, option?, &mut dropped);
        }
        Ok((advertisement, dropped))
    }

    /// Takes over what the fixed part of a message says, that of the packet or that inside a PvD option.
    fn set_header(&mut self, header: &[u8; HEADER_LENGTH]) {
        let [_, _, _, _, _hop_limit, flags, lifetime_high, lifetime_low, ..] = *header;
        self.router_lifetime = u16::from_be_bytes([lifetime_high, lifetime_low]);
        self.preference = router_preference(self.router_lifetime, flags);
        self.managed = flags & 0x80 != 0;
        self.other = flags & 0x40 != 0;
    }
}

/// The router preference of the header (RFC 4191 2.2): reserved reads as medium, and a router that is no default
/// router has none.
const fn router_preference(router_lifetime: u16, flags: u8) -> Preference {
    match (router_lifetime, options::preference(flags)) {
        (0, _) | (_, None) => Preference::Medium,
        (_, Some(preference)) => preference,
    }
}

/// What the network layer knows of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// The IPv6 hop limit that it arrived with.
    pub hop_limit: u8,
    /// The IPv6 source address.
    pub source: Ipv6Addr,
}

/// The checks of RFC 4861 6.1.2 that concern the packet and not the message in it.
///
/// # Errors
///
/// The packet was forwarded by a router, or does not come from a link-local address.
pub const fn accept(frame: &ReceivedFrame) -> Result<(), RaError> {
    if frame.hop_limit != HOP_LIMIT {
        return Err(RaError::HopLimit { found: frame.hop_limit });
    }
    if !frame.source.is_unicast_link_local() {
        return Err(RaError::Source { found: frame.source });
    }
    Ok(())
}

/// What a message held that is not in its [`RouterAdvertisement`], for one log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Options, or values in them, that break the rules of the RFC that defines them.
    pub malformed: usize,
    /// Good values beyond the limits of this module.
    pub over_limit: usize,
}

impl Dropped {
    /// Whether nothing was left out.
    pub const fn is_empty(&self) -> bool {
        self.malformed == 0 && self.over_limit == 0
    }
}

/// Why a message is not taken as a Router Advertisement (RFC 4861 6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaError {
    /// Fewer bytes than the fixed part has.
    TooShort {
        /// How many there were.
        length: usize,
    },
    /// Another ICMPv6 type.
    Type {
        /// Which.
        found: u8,
    },
    /// The ICMPv6 code is not zero.
    Code {
        /// What it is.
        found: u8,
    },
    /// An option of length zero.
    EmptyOption {
        /// Where it begins, counted from the first option.
        offset: usize,
    },
    /// An option that goes on after the end of the message.
    CutOption {
        /// Where it begins, counted from the first option.
        offset: usize,
    },
    /// The packet did not come from this link.
    HopLimit {
        /// The hop limit it came with.
        found: u8,
    },
    /// The packet does not come from a link-local address.
    Source {
        /// Where it came from.
        found: Ipv6Addr,
    },
}

impl fmt::Display for RaError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length } => {
                write!(formatter, "the message has {length} bytes and needs at least {HEADER_LENGTH}")
            }
            Self::Type { found } => write!(formatter, "the ICMPv6 type is {found} and not {ICMPV6_TYPE}"),
            Self::Code { found } => write!(formatter, "the ICMPv6 code is {found} and not 0"),
            Self::EmptyOption { offset } => write!(formatter, "the option at byte {offset} has length 0"),
            Self::CutOption { offset } => {
                write!(formatter, "the option at byte {offset} goes beyond the end of the message")
            }
            Self::HopLimit { found } => write!(formatter, "the hop limit is {found} and not {HOP_LIMIT}"),
            Self::Source { found } => write!(formatter, "the source {found} is not a link-local address"),
        }
    }
}

impl std::error::Error for RaError {}

/// A Prefix Information option (RFC 4861 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixInformation {
    /// The prefix, host bits cleared.
    pub prefix: Prefix,
    /// Flag L.
    pub on_link: bool,
    /// Flag A.
    pub autonomous: bool,
    /// Valid lifetime in seconds; `u32::MAX`: for ever.
    pub valid_lifetime: u32,
    /// Preferred lifetime in seconds; `u32::MAX`: for ever.
    pub preferred_lifetime: u32,
}

/// A Route Information option (RFC 4191 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteInformation {
    /// The destination, host bits cleared.
    pub destination: Prefix,
    /// RFC 4191 preference.
    pub preference: Preference,
    /// Lifetime in seconds; `u32::MAX`: for ever.
    pub lifetime: u32,
}

/// A value with its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed<T> {
    /// The value.
    pub value: T,
    /// Lifetime in seconds; zero: no more; `u32::MAX`: for ever.
    pub lifetime: u32,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    /// A message as radvd sends it: header, source link-layer address, MTU, prefix, route, servers, domains.
    fn full_message() -> Vec<u8> {
        let mut message = vec![134, 0, 0x12, 0x34, 64, 0xc8, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend([1, 1, 0x02, 0, 0, 0, 0, 1]);
        message.extend([5, 1, 0, 0, 0, 0, 0x05, 0x78]);
        message.extend([3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x07, 0x08, 0, 0, 0, 0]);
        message.extend([0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([24, 2, 48, 0x18, 0, 0, 0x02, 0x58, 0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0]);
        message.extend([25, 3, 0, 0, 0, 0, 0x04, 0xb0]);
        message.extend([0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53]);
        message.extend([31, 3, 0, 0, 0, 0, 0x04, 0xb0]);
        message.extend(b"\x03isp\x07example\x00\x00\x00\x00");
        message
    }

    #[test]
    fn a_full_message_is_read() {
        let (advertisement, dropped) = RouterAdvertisement::parse(&full_message()).unwrap();
        assert_eq!(advertisement.router_lifetime, 1800);
        assert_eq!(advertisement.preference, Preference::High);
        assert!(advertisement.managed && advertisement.other);
        assert_eq!(advertisement.mtu, Some(1400));
        assert_eq!(advertisement.prefixes[0].valid_lifetime, 3600);
        assert_eq!(advertisement.prefixes[0].preferred_lifetime, 1800);
        assert_eq!(advertisement.routes[0].destination.to_string(), "2001:db8:2::/48");
        assert_eq!(advertisement.routes[0].preference, Preference::Low);
        assert_eq!(advertisement.dns_servers[0].value.to_string(), "2001:db8:1::53");
        assert_eq!(advertisement.search_domains[0].value, "isp.example");
        assert!(dropped.is_empty());
    }

    #[test]
    fn the_header_decides_over_preference_and_flags() {
        let header = |flags: u8, lifetime: u8| {
            let message = [134, 0, 0, 0, 0, flags, 0, lifetime, 0, 0, 0, 0, 0, 0, 0, 0];
            RouterAdvertisement::parse(&message).unwrap().0
        };
        assert_eq!(header(0x08, 9).preference, Preference::High);
        assert_eq!(header(0x18, 9).preference, Preference::Low);
        assert_eq!(header(0x10, 9).preference, Preference::Medium, "reserved");
        assert_eq!(header(0x08, 0).preference, Preference::Medium, "no default router");
        assert!(header(0x80, 9).managed && !header(0x80, 9).other);
        assert!(header(0x40, 9).other && !header(0x40, 9).managed);
    }

    #[test]
    fn messages_that_rfc_4861_wants_discarded_are_refused() {
        let message = full_message();
        let broken = |at: usize, byte: u8| {
            let mut message = message.clone();
            message[at] = byte;
            RouterAdvertisement::parse(&message).unwrap_err()
        };
        assert_eq!(RouterAdvertisement::parse(&message[..15]), Err(RaError::TooShort { length: 15 }));
        assert_eq!(broken(0, 133), RaError::Type { found: 133 });
        assert_eq!(broken(1, 1), RaError::Code { found: 1 });
        assert_eq!(broken(17, 0), RaError::EmptyOption { offset: 0 });
        assert_eq!(broken(17, 200), RaError::CutOption { offset: 0 });
        let cut = RouterAdvertisement::parse(&message[..message.len() - 1]).unwrap_err();
        assert_eq!(cut, RaError::CutOption { offset: message.len() - 24 - 16 });
        let one_byte_more = [&message[..], &[3]].concat();
        assert!(matches!(RouterAdvertisement::parse(&one_byte_more), Err(RaError::CutOption { .. })));
    }

    #[test]
    fn packets_from_elsewhere_are_refused() {
        let frame = |hop_limit, source: &str| ReceivedFrame { hop_limit, source: source.parse().unwrap() };
        assert_eq!(accept(&frame(255, "fe80::1")), Ok(()));
        assert_eq!(accept(&frame(254, "fe80::1")), Err(RaError::HopLimit { found: 254 }));
        for source in ["2001:db8::1", "::", "::1", "fec0::1"] {
            assert!(matches!(accept(&frame(255, source)), Err(RaError::Source { .. })), "{source}");
        }
    }

    /// What holds of every message, however broken: nothing panics, and every list keeps its limit.
    fn check_bounds(bytes: &[u8]) {
        if let Ok((advertisement, _)) = RouterAdvertisement::parse(bytes) {
            assert!(advertisement.prefixes.len() <= MAX_PREFIXES);
            assert!(advertisement.routes.len() <= MAX_ROUTES);
            assert!(advertisement.dns_servers.len() <= MAX_DNS_SERVERS);
            assert!(advertisement.search_domains.len() <= MAX_SEARCH_DOMAINS);
            for prefix in &advertisement.prefixes {
                assert!(prefix.prefix.covers(prefix.prefix.address));
                assert!(prefix.preferred_lifetime <= prefix.valid_lifetime);
            }
            for domain in &advertisement.search_domains {
                assert!(!domain.value.is_empty() && !domain.value.chars().any(char::is_control));
            }
            assert_eq!(RouterAdvertisement::parse(bytes).unwrap().0, advertisement);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            check_bounds(&bytes);
            check_bounds(&[&full_message()[..16], &bytes].concat());
        }

        #[test]
        fn mutated_messages_are_survived(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
            repeats in 1_usize..20,
        ) {
            let mut message = full_message();
            let options = message[16..].repeat(repeats);
            message.extend(options);
            for (at, byte) in changes {
                let at = at.index(message.len());
                message[at] = byte;
            }
            check_bounds(&message);
            message.truncate(cut.index(message.len()));
            check_bounds(&message);
        }
    }
}
