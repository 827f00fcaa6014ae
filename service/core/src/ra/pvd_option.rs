//! The PvD option (RFC 8801 3.1): an ID, flags, and perhaps a header and options of its own.

use super::options::{self, RaOption};
use super::{Dropped, HEADER_LENGTH, PvdOption, RouterAdvertisement, domain_names};

const FLAG_HTTP: u16 = 0x8000;
const FLAG_LEGACY: u16 = 0x4000;
const FLAG_RA: u16 = 0x2000;
const DELAY: u16 = 0x000f;
/// What comes before the ID: type, length, flags and sequence.
const BEFORE_ID: usize = 6;
/// The two bytes of type and length, which `value` is without.
const BEFORE_VALUE: usize = 2;
/// The ID is padded so that what follows begins at a multiple of this.
const ALIGNMENT: usize = 8;

/// Puts a PvD option, without its type and length, and all that is inside into `advertisement`. `None` when it is
/// malformed: nothing of it is taken then.
pub(super) fn take(
    advertisement: &mut RouterAdvertisement,
    option: RaOption<'_>,
    dropped: &mut Dropped,
) -> Option<()> {
    let [flags_high, flags_low, sequence_high, sequence_low, ..] = option.head;
    let (value, named) = (option.value, &option.value[BEFORE_ID - BEFORE_VALUE..]);
    let flags = u16::from_be_bytes([flags_high, flags_low]);
    let (id, after_id) = domain_names::pvd_id(named)?;
    let inside_at = (BEFORE_VALUE + value.len() - after_id.len()).next_multiple_of(ALIGNMENT) - BEFORE_VALUE;
    // Options are of whole units, so that it begins at their end at the latest.
    let mut inside = value.get(inside_at..).unwrap_or_default();
    let header = if flags & FLAG_RA == 0 {
        None
    } else {
        let (header, after_header) = inside.split_first_chunk::<HEADER_LENGTH>()?;
        inside = after_header;
        Some(header)
    };
    let nested: Vec<RaOption<'_>> = options::split(inside).collect::<Result<_, _>>().ok()?;
    if let Some(header) = header {
        advertisement.set_header(header);
    }
    take_nested(advertisement, nested, dropped);
    advertisement.pvd = Some(PvdOption {
        id,
        http: flags & FLAG_HTTP != 0,
        legacy: flags & FLAG_LEGACY != 0,
        ra: flags & FLAG_RA != 0,
        delay: u8::try_from(flags & DELAY).unwrap_or(0),
        sequence: u16::from_be_bytes([sequence_high, sequence_low]),
    });
    Some(())
}

/// The options inside are for hosts that know of provisioning domains: where there can be one value only, theirs
/// counts and not that of an option outside.
fn take_nested(advertisement: &mut RouterAdvertisement, nested: Vec<RaOption<'_>>, dropped: &mut Dropped) {
    let outer = (advertisement.mtu.take(), advertisement.captive_portal.take());
    for option in nested {
        options::take(advertisement, option, dropped);
    }
    advertisement.mtu = advertisement.mtu.or(outer.0);
    advertisement.captive_portal = advertisement.captive_portal.take().or(outer.1);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::configuration::Preference;
    use std::net::Ipv6Addr;

    /// A message with a header of lifetime 1800, medium, neither M nor O, and these options.
    fn parse(options: &[Vec<u8>]) -> (RouterAdvertisement, Dropped) {
        let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend(options.concat());
        RouterAdvertisement::parse(&message).unwrap()
    }

    /// RFC 8801 3.1, laid out field by field.
    fn option(flags: u16, sequence: u16, name: &[u8], inside: &[u8]) -> Vec<u8> {
        let mut option = vec![21, 0];
        option.extend(flags.to_be_bytes());
        option.extend(sequence.to_be_bytes());
        option.extend(name);
        option.resize(option.len().next_multiple_of(8), 0);
        option.extend(inside);
        option[1] = u8::try_from(option.len() / 8).unwrap();
        option
    }

    fn server(address: &str) -> Vec<u8> {
        let mut option = vec![25, 3, 0, 0, 0, 0, 0x04, 0xb0];
        option.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        option
    }

    fn prefix(address: &str) -> Vec<u8> {
        let mut option = vec![3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x07, 0x08, 0, 0, 0, 0];
        option.extend(address.parse::<Ipv6Addr>().unwrap().octets());
        option
    }

    const EXAMPLE_ORG: &[u8] = b"\x07example\x03org\x00";

    /// The example of RFC 8801 3.1: "example.org" with two servers and a prefix inside is 12 units long.
    #[test]
    fn the_example_of_the_rfc() {
        let mut servers = server("2001:db8:cafe::53");
        servers[1] = 5;
        servers.extend("2001:db8:f00d::53".parse::<Ipv6Addr>().unwrap().octets());
        let inside = [servers, prefix("2001:db8:cafe::")].concat();
        let example = option(0, 0, EXAMPLE_ORG, &inside);
        assert_eq!(example[1], 12);
        let (advertisement, dropped) = parse(&[example]);
        assert_eq!(advertisement.pvd.as_ref().unwrap().id, "example.org");
        assert_eq!(advertisement.dns_servers[1].value.to_string(), "2001:db8:f00d::53");
        assert_eq!(advertisement.prefixes[0].prefix.to_string(), "2001:db8:cafe::/64");
        assert!(dropped.is_empty());
    }

    #[test]
    fn flags_delay_and_sequence() {
        let (advertisement, _) = parse(&[option(0xc00f, 0x1234, EXAMPLE_ORG, &[])]);
        let pvd = advertisement.pvd.unwrap();
        assert!(pvd.http && pvd.legacy && !pvd.ra);
        assert_eq!((pvd.delay, pvd.sequence), (15, 0x1234));
        // Reserved flags are ignored.
        assert!(!parse(&[option(0x1ff0, 0, EXAMPLE_ORG, &[])]).0.pvd.unwrap().http);
    }

    #[test]
    fn the_inner_header_wins_whatever_its_type_and_checksum() {
        let inner = [0xff, 0xff, 0xff, 0xff, 64, 0xc8, 0x00, 0x3c, 0, 0, 0, 0, 0, 0, 0, 0];
        let (advertisement, _) = parse(&[option(0x2000, 0, EXAMPLE_ORG, &inner)]);
        assert_eq!(advertisement.router_lifetime, 60);
        assert_eq!(advertisement.preference, Preference::High);
        assert!(advertisement.managed && advertisement.other);
        assert!(advertisement.pvd.unwrap().ra);
    }

    #[test]
    fn options_outside_and_inside_belong_to_it() {
        let mtu = |mtu: u8| vec![5, 1, 0, 0, 0, 0, 0x05, mtu];
        let inside = [server("2001:db8::2"), mtu(0x10)].concat();
        let (advertisement, _) = parse(&[
            server("2001:db8::1"),
            mtu(0xdc),
            option(0, 0, EXAMPLE_ORG, &inside),
            server("2001:db8::3"),
        ]);
        let servers: Vec<String> = advertisement.dns_servers.iter().map(|s| s.value.to_string()).collect();
        assert_eq!(servers, ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        assert_eq!(advertisement.mtu, Some(0x510), "the inner one counts");
    }

    #[test]
    fn the_first_one_counts_and_nesting_is_skipped() {
        let nested = option(0, 9, b"\x05inner\x00", &server("2001:db8::9"));
        let (advertisement, dropped) = parse(&[
            option(0, 1, EXAMPLE_ORG, &nested),
            option(0, 2, b"\x06second\x00", &server("2001:db8::8")),
        ]);
        assert_eq!(advertisement.pvd.as_ref().map(|pvd| pvd.id.as_str()), Some("example.org"));
        assert_eq!(advertisement.dns_servers, []);
        assert_eq!(dropped.malformed, 1);
    }

    #[test]
    fn a_malformed_one_is_as_if_it_were_not_there() {
        let zero_length = [3, 0, 0, 0, 0, 0, 0, 0];
        let broken = [
            option(0, 0, b"\x00", &[]),
            option(0, 0, b"\x3fab", &[]),
            option(0, 0, b"\x01a\xc0\x02", &[]),
            option(0x2000, 0, EXAMPLE_ORG, &[134, 0, 0, 0, 64, 0, 0, 60]),
            option(0, 0, EXAMPLE_ORG, &[server("2001:db8::1"), zero_length.to_vec()].concat()),
            option(0, 0, EXAMPLE_ORG, &server("2001:db8::1")[..16]),
            vec![21, 1, 0, 0, 0, 0, 0, 0],
        ];
        for option in broken {
            let (advertisement, dropped) = parse(std::slice::from_ref(&option));
            assert_eq!(advertisement.pvd, None, "{option:?}");
            assert_eq!(advertisement.dns_servers, [], "{option:?}");
            assert_eq!((advertisement.router_lifetime, dropped.malformed), (1800, 1), "{option:?}");
        }
    }
}
