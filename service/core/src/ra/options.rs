//! The options of a Router Advertisement that say something about provisioning, each by the rules of its RFC.

use super::{
    Dropped, MAX_DNS_SERVERS, MAX_ENCRYPTED_DNS, MAX_PREF64, MAX_PREFIXES, MAX_ROUTES, MAX_SEARCH_DOMAINS,
    PrefixInformation, RaError, RouteInformation, RouterAdvertisement, Timed, domain_names, encrypted_dns,
    pvd_option,
};
use crate::captive_portal::{self, CaptivePortal};
use crate::configuration::{Preference, Prefix};
use std::net::{IpAddr, Ipv6Addr};

const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const ROUTE_INFORMATION: u8 = 24;
const RECURSIVE_DNS_SERVER: u8 = 25;
const DNS_SEARCH_LIST: u8 = 31;
const CAPTIVE_PORTAL: u8 = 37;
const PREF64: u8 = 38;
const ENCRYPTED_DNS: u8 = 144;
const PVD: u8 = 21;

/// Option lengths are counted in units of this many bytes (RFC 4861 4.6).
const UNIT: usize = 8;
/// The smallest MTU that an IPv6 link may have (RFC 8200 5).
const MINIMUM_MTU: u32 = 1280;

/// One option: its type and everything after the two bytes of type and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RaOption<'a> {
    kind: u8,
    /// The begin of `value`: no option is shorter.
    pub(super) head: [u8; UNIT - 2],
    pub(super) value: &'a [u8],
}

impl<'a> RaOption<'a> {
    /// What comes after the head.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.value[self.head.len()..]
    }
}

/// The options in `body`; after an error there are no more (RFC 4861 6.1.2: the whole message is discarded).
pub(super) fn split(body: &[u8]) -> impl Iterator<Item = Result<RaOption<'_>, RaError>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let offset = body.len() - rest.len();
        match rest {
            [_, 0, ..] => {
                rest = &[];
                Some(Err(RaError::EmptyOption { offset }))
            }
            [kind, units, a, b, c, d, e, f, ..] if usize::from(*units) * UNIT <= rest.len() => {
                let (option, after) = rest.split_at(usize::from(*units) * UNIT);
                rest = after;
                let head = [*a, *b, *c, *d, *e, *f];
                Some(Ok(RaOption { kind: *kind, head, value: &option[2..] }))
            }
            _ => {
                rest = &[];
                Some(Err(RaError::CutOption { offset }))
            }
        }
    })
}

/// Puts what `option` says into `advertisement`. Types that are not known here are skipped (RFC 4861 4.6).
pub(super) fn take(advertisement: &mut RouterAdvertisement, option: RaOption<'_>, dropped: &mut Dropped) {
    match option.kind {
        PREFIX_INFORMATION => {
            keep(&mut advertisement.prefixes, MAX_PREFIXES, prefix_information(option), dropped);
        }
        MTU => match mtu(option) {
            Some(mtu) => advertisement.mtu = advertisement.mtu.or(Some(mtu)),
            None => dropped.malformed += 1,
        },
        ROUTE_INFORMATION => {
            keep(&mut advertisement.routes, MAX_ROUTES, route_information(option), dropped);
        }
        RECURSIVE_DNS_SERVER => recursive_dns_servers(&mut advertisement.dns_servers, option, dropped),
        DNS_SEARCH_LIST => dns_search_list(&mut advertisement.search_domains, option, dropped),
        CAPTIVE_PORTAL => take_captive_portal(&mut advertisement.captive_portal, option, dropped),
        PREF64 => keep(&mut advertisement.pref64, MAX_PREF64, pref64(option), dropped),
        ENCRYPTED_DNS => {
            let resolver = encrypted_dns::from_advertisement(option.head, option.rest());
            keep(&mut advertisement.encrypted_dns, MAX_ENCRYPTED_DNS, resolver, dropped);
        }
        _ => {}
    }
}

/// Puts what `option` of the message itself says into `advertisement`: also what a PvD option holds, of which the
/// first one counts (RFC 8801 3.1). One inside another is skipped like an unknown option.
pub(super) fn take_outer(
    advertisement: &mut RouterAdvertisement,
    option: RaOption<'_>,
    dropped: &mut Dropped,
) {
    if option.kind != PVD {
        take(advertisement, option, dropped);
    } else if advertisement.pvd.is_some() || pvd_option::take(advertisement, option, dropped).is_none() {
        dropped.malformed += 1;
    }
}

/// A two-bit preference as RFC 4191 2.1 places it in a byte; `None` for the reserved value.
pub(super) const fn preference(byte: u8) -> Option<Preference> {
    match byte >> 3 & 0b11 {
        0b01 => Some(Preference::High),
        0b00 => Some(Preference::Medium),
        0b11 => Some(Preference::Low),
        _ => None,
    }
}

/// RFC 4861 4.6.2 and 6.3.4, RFC 4862 5.5.3. Prefixes that no host may use (link-local, multicast) and prefixes
/// preferred for longer than they are valid are refused.
fn prefix_information(option: RaOption<'_>) -> Option<PrefixInformation> {
    let value: &[u8; 30] = option.value.try_into().ok()?;
    let [length, flags, v0, v1, v2, v3, p0, p1, p2, p3, _, _, _, _, address @ ..] = *value;
    let valid_lifetime = u32::from_be_bytes([v0, v1, v2, v3]);
    let preferred_lifetime = u32::from_be_bytes([p0, p1, p2, p3]);
    let address = Ipv6Addr::from(address);
    if length > 128
        || preferred_lifetime > valid_lifetime
        || address.is_unicast_link_local()
        || address.is_multicast()
    {
        return None;
    }
    Some(PrefixInformation {
        prefix: Prefix::covering(IpAddr::V6(address), length),
        on_link: flags & 0x80 != 0,
        autonomous: flags & 0x40 != 0,
        valid_lifetime,
        preferred_lifetime,
    })
}

/// RFC 4861 4.6.4. What is too small for IPv6 is refused.
fn mtu(option: RaOption<'_>) -> Option<u32> {
    let [_, _, mtu @ ..] = option.head;
    let mtu = u32::from_be_bytes(mtu);
    (option.rest().is_empty() && mtu >= MINIMUM_MTU).then_some(mtu)
}

/// RFC 4191 2.3: the prefix takes no, eight or sixteen bytes, at least as many as its length asks for, and an
/// option with the reserved preference is ignored (unlike a header with it).
fn route_information(option: RaOption<'_>) -> Option<RouteInformation> {
    let [length, flags, lifetime @ ..] = option.head;
    let carried = option.rest();
    let needed = match length {
        0 => 0,
        1..=64 => 8,
        65..=128 => 16,
        _ => return None,
    };
    if carried.len() < needed || carried.len() > 16 {
        return None;
    }
    let mut octets = [0; 16];
    octets.iter_mut().zip(carried).for_each(|(octet, byte)| *octet = *byte);
    Some(RouteInformation {
        destination: Prefix::covering(IpAddr::V6(Ipv6Addr::from(octets)), length),
        preference: preference(flags)?,
        lifetime: u32::from_be_bytes(lifetime),
    })
}

/// RFC 8106 5.1 and 5.3.1: a lifetime and one or more whole addresses. Link-local servers are welcome; addresses
/// that no packet can be sent to on a network are not.
fn recursive_dns_servers(servers: &mut Vec<Timed<Ipv6Addr>>, option: RaOption<'_>, dropped: &mut Dropped) {
    let [_, _, lifetime @ ..] = option.head;
    let lifetime = u32::from_be_bytes(lifetime);
    let (addresses, odd) = option.rest().as_chunks::<16>();
    if addresses.is_empty() || !odd.is_empty() {
        dropped.malformed += 1;
        return;
    }
    for octets in addresses {
        let address = Ipv6Addr::from(*octets);
        let usable = !address.is_multicast() && !address.is_unspecified() && !address.is_loopback();
        keep(servers, MAX_DNS_SERVERS, usable.then_some(Timed { value: address, lifetime }), dropped);
    }
}

/// RFC 8106 5.2 and 5.3.1.
fn dns_search_list(domains: &mut Vec<Timed<String>>, option: RaOption<'_>, dropped: &mut Dropped) {
    let [_, _, lifetime @ ..] = option.head;
    let lifetime = u32::from_be_bytes(lifetime);
    let names = option.rest();
    if names.is_empty() {
        dropped.malformed += 1;
        return;
    }
    for name in domain_names::uncompressed(names) {
        keep(domains, MAX_SEARCH_DOMAINS, name.map(|value| Timed { value, lifetime }), dropped);
    }
}

/// RFC 8910 2.3: a URI, zeros up to the end. Others than the first one are worth a line in the log (RFC 8910 3).
fn take_captive_portal(portal: &mut Option<CaptivePortal>, option: RaOption<'_>, dropped: &mut Dropped) {
    let uri = option.value.split(|byte| *byte == 0).next().unwrap_or_default();
    let new = CaptivePortal::read(uri);
    if uri.len() > captive_portal::MAX_URI_LENGTH {
        dropped.over_limit += 1;
    } else if new.is_none() || portal.as_ref().is_some_and(|first| Some(first) != new.as_ref()) {
        dropped.malformed += 1;
    }
    *portal = portal.take().or(new);
}

/// RFC 8781 4: a lifetime in units of eight seconds and the code of a prefix length, then 96 bits of the prefix.
fn pref64(option: RaOption<'_>) -> Option<Timed<Prefix>> {
    let value: &[u8; 14] = option.value.try_into().ok()?;
    let [high, low, carried @ ..] = *value;
    let scaled = u16::from_be_bytes([high, low]);
    let length = match scaled & 0b111 {
        0 => 96,
        1 => 64,
        2 => 56,
        3 => 48,
        4 => 40,
        5 => 32,
        _ => return None,
    };
    let mut octets = [0; 16];
    octets.iter_mut().zip(carried).for_each(|(octet, byte)| *octet = byte);
    let prefix = Prefix::covering(IpAddr::V6(Ipv6Addr::from(octets)), length);
    Some(Timed { value: prefix, lifetime: u32::from(scaled >> 3) * 8 })
}

/// Adds `value` to `list` unless it is malformed (`None`) or one too many.
pub(super) fn keep<T>(list: &mut Vec<T>, limit: usize, value: Option<T>, dropped: &mut Dropped) {
    match value {
        None => dropped.malformed += 1,
        Some(_) if list.len() >= limit => dropped.over_limit += 1,
        Some(value) => list.push(value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn parse(options: &[Vec<u8>]) -> (RouterAdvertisement, Dropped) {
        let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend(options.concat());
        RouterAdvertisement::parse(&message).expect("a good message")
    }

    /// RFC 4861 4.6.2, laid out field by field.
    fn prefix_option(length: u8, flags: u8, valid: u32, preferred: u32, address: &str) -> Vec<u8> {
        let mut option = vec![3, 4, length, flags];
        option.extend(valid.to_be_bytes());
        option.extend(preferred.to_be_bytes());
        option.extend([0; 4]);
        option.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        option
    }

    /// RFC 4191 2.3 with the prefix cut to what `units` leaves room for.
    fn route_option(units: u8, length: u8, flags: u8, lifetime: u32, address: &str) -> Vec<u8> {
        let mut option = vec![24, units, length, flags];
        option.extend(lifetime.to_be_bytes());
        option.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        option.resize(usize::from(units) * 8, 0);
        option
    }

    /// RFC 8106 5.1.
    fn server_option(lifetime: u32, servers: &[&str]) -> Vec<u8> {
        let units = u8::try_from(1 + 2 * servers.len()).unwrap();
        let mut option = vec![25, units, 0, 0];
        option.extend(lifetime.to_be_bytes());
        servers.iter().for_each(|server| option.extend(server.parse::<Ipv6Addr>().unwrap().octets()));
        option
    }

    fn prefix(text: &str, length: u8) -> Prefix {
        Prefix { address: text.parse().unwrap(), length }
    }

    #[test]
    fn a_prefix_loses_its_host_bits() {
        let (advertisement, dropped) =
            parse(&[prefix_option(64, 0xc0, 2_592_000, 604_800, "2001:db8:1::dead:beef")]);
        let expected = PrefixInformation {
            prefix: prefix("2001:db8:1::", 64),
            on_link: true,
            autonomous: true,
            valid_lifetime: 2_592_000,
            preferred_lifetime: 604_800,
        };
        assert_eq!(advertisement.prefixes, [expected]);
        assert!(dropped.is_empty());
    }

    #[test]
    fn prefixes_that_the_rfcs_want_ignored_are_ignored() {
        let mut of_wrong_length = prefix_option(64, 0xc0, 100, 100, "2001:db8::");
        of_wrong_length[1] = 5;
        of_wrong_length.resize(40, 0);
        let (advertisement, dropped) = parse(&[
            prefix_option(129, 0xc0, 100, 100, "2001:db8::"),
            prefix_option(64, 0xc0, 100, 101, "2001:db8::"),
            prefix_option(64, 0xc0, 100, 100, "fe80::"),
            prefix_option(64, 0xc0, 100, 100, "ff02::"),
            prefix_option(64, 0x80, u32::MAX, u32::MAX, "2001:db8:2::"),
            of_wrong_length,
        ]);
        assert_eq!(advertisement.prefixes.len(), 1, "{advertisement:?}");
        assert!(advertisement.prefixes[0].on_link && !advertisement.prefixes[0].autonomous);
        assert_eq!(dropped.malformed, 5);
    }

    #[test]
    fn an_mtu_below_the_ipv6_minimum_is_ignored() {
        let option = |mtu: u32| [vec![5, 1, 0, 0], mtu.to_be_bytes().to_vec()].concat();
        assert_eq!(parse(&[option(1280)]).0.mtu, Some(1280));
        let (advertisement, dropped) = parse(&[option(1279)]);
        assert_eq!((advertisement.mtu, dropped.malformed), (None, 1));
        assert_eq!(parse(&[option(1400), option(1500)]).0.mtu, Some(1400), "the first one counts");
    }

    #[test]
    fn routes_may_leave_out_what_their_length_does_not_need() {
        let (advertisement, dropped) = parse(&[
            route_option(1, 0, 0x18, 600, "::"),
            route_option(2, 48, 0x08, 600, "2001:db8:a::"),
            route_option(3, 48, 0x00, 0, "2001:db8:b::1"),
            route_option(3, 96, 0x00, u32::MAX, "2001:db8:c::1:0:0"),
        ]);
        let routes: Vec<_> =
            advertisement.routes.iter().map(|r| (r.destination, r.preference, r.lifetime)).collect();
        let expected = [
            (prefix("::", 0), Preference::Low, 600),
            (prefix("2001:db8:a::", 48), Preference::High, 600),
            (prefix("2001:db8:b::", 48), Preference::Medium, 0),
            (prefix("2001:db8:c::1:0:0", 96), Preference::Medium, u32::MAX),
        ];
        assert_eq!(routes, expected);
        assert!(dropped.is_empty());
    }

    #[test]
    fn routes_that_rfc_4191_wants_ignored_are_ignored() {
        let (advertisement, dropped) = parse(&[
            route_option(1, 48, 0, 600, "2001:db8::"),
            route_option(2, 65, 0, 600, "2001:db8::"),
            route_option(3, 129, 0, 600, "2001:db8::"),
            route_option(4, 48, 0, 600, "2001:db8::"),
            route_option(2, 48, 0x10, 600, "2001:db8::"),
        ]);
        assert_eq!(advertisement.routes, []);
        assert_eq!(dropped.malformed, 5);
    }

    #[test]
    fn link_local_dns_servers_are_fine_and_impossible_ones_are_not() {
        let (advertisement, dropped) =
            parse(&[server_option(1200, &["fe80::53", "::", "::1", "ff02::fb", "2001:db8::53"])]);
        let servers: Vec<_> =
            advertisement.dns_servers.iter().map(|s| (s.value.to_string(), s.lifetime)).collect();
        assert_eq!(servers, [("fe80::53".to_owned(), 1200), ("2001:db8::53".to_owned(), 1200)]);
        assert_eq!(dropped.malformed, 3);
    }

    #[test]
    fn dns_server_options_of_a_wrong_length_are_ignored() {
        let mut even = server_option(1200, &["2001:db8::53"]);
        even[1] = 4;
        even.resize(32, 0);
        let none = server_option(1200, &[]);
        let (advertisement, dropped) = parse(&[even, none]);
        assert_eq!(advertisement.dns_servers, []);
        assert_eq!(dropped.malformed, 2);
    }

    #[test]
    fn search_domains_come_with_their_lifetime() {
        let mut option = vec![31, 4, 0, 0];
        option.extend(300u32.to_be_bytes());
        option.extend(b"\x07example\x03org\x00\x03foo\x00");
        option.resize(32, 0);
        let (advertisement, dropped) = parse(&[option]);
        let domains: Vec<_> =
            advertisement.search_domains.iter().map(|d| (d.value.as_str(), d.lifetime)).collect();
        assert_eq!(domains, [("example.org", 300), ("foo", 300)]);
        assert!(dropped.is_empty());
        let (advertisement, dropped) = parse(&[vec![31, 1, 0, 0, 0, 0, 1, 0]]);
        assert_eq!((advertisement.search_domains.len(), dropped.malformed), (0, 1));
    }

    #[test]
    fn unknown_options_are_skipped() {
        let (advertisement, dropped) =
            parse(&[vec![1, 1, 2, 0, 0, 0, 0, 1], vec![200; 1600], prefix_option(64, 0, 1, 1, "2001:db8::")]);
        assert_eq!(advertisement.prefixes.len(), 1);
        assert!(dropped.is_empty());
    }

    #[test]
    fn lists_stop_at_their_limits() {
        let servers = vec!["2001:db8::53"; MAX_DNS_SERVERS + 3];
        let mut search = vec![31, 41, 0, 0, 0, 0, 0, 1];
        search.extend(b"\x02ab\x00".repeat(MAX_SEARCH_DOMAINS + 16));
        let (advertisement, dropped) = parse(&[
            prefix_option(64, 0, 1, 1, "2001:db8::").repeat(MAX_PREFIXES + 1),
            route_option(2, 48, 0, 600, "2001:db8::").repeat(MAX_ROUTES + 2),
            server_option(1200, &servers),
            search,
        ]);
        assert_eq!(advertisement.prefixes.len(), MAX_PREFIXES);
        assert_eq!(advertisement.routes.len(), MAX_ROUTES);
        assert_eq!(advertisement.dns_servers.len(), MAX_DNS_SERVERS);
        assert_eq!(advertisement.search_domains.len(), MAX_SEARCH_DOMAINS);
        assert_eq!(dropped, Dropped { malformed: 0, over_limit: 1 + 2 + 3 + 16 });
    }
}
