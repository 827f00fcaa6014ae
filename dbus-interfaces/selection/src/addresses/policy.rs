//! The default policy table (RFC 6724 2.1) and scopes (3.1, 3.2).

use super::is_link_local;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A row of the policy table.
struct Row {
    prefix: Ipv6Addr,
    length: u32,
    precedence: u8,
    label: u8,
}

const fn row(prefix: [u16; 8], length: u32, precedence: u8, label: u8) -> Row {
    let [a, b, c, d, e, f, g, h] = prefix;
    Row { prefix: Ipv6Addr::new(a, b, c, d, e, f, g, h), length, precedence, label }
}

/// RFC 6724 2.1, longest prefix first, so that the first match is the longest.
const TABLE: [Row; 9] = [
    row([0, 0, 0, 0, 0, 0, 0, 1], 128, 50, 0),
    row([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, 35, 4),
    row([0, 0, 0, 0, 0, 0, 0, 0], 96, 1, 3),
    row([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, 5, 5),
    row([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, 30, 2),
    row([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, 1, 12),
    row([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, 1, 11),
    row([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, 3, 13),
    row([0, 0, 0, 0, 0, 0, 0, 0], 0, 40, 1),
];

/// The address's precedence: higher is tried first.
pub(super) fn precedence(address: IpAddr) -> u8 {
    look_up(address).precedence
}

/// The address's label: equal ones suit each other.
pub(super) fn label(address: IpAddr) -> u8 {
    look_up(address).label
}

/// The address's scope as IPv6 multicast counts it: 2 link-local, 5 site-local, 14 global.
pub(super) fn scope(address: IpAddr) -> u8 {
    const LINK_LOCAL: u8 = 0x2;
    const SITE_LOCAL: u8 = 0x5;
    const GLOBAL: u8 = 0xe;
    match address {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        IpAddr::V6(v6) if v6.is_multicast() => v6.octets()[1] & 0xf,
        IpAddr::V6(v6) if v6.is_loopback() || is_link_local(v6) => LINK_LOCAL,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => SITE_LOCAL,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(GLOBAL, |v4| scope_of_mapped(v4, LINK_LOCAL, GLOBAL)),
    }
}

const fn scope_of_mapped(address: Ipv4Addr, link_local: u8, global: u8) -> u8 {
    if address.is_loopback() || address.is_link_local() { link_local } else { global }
}

/// IPv4 addresses are looked up as IPv4-mapped ones (RFC 6724 2.1).
fn look_up(address: IpAddr) -> &'static Row {
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let covers = |row: &&Row| (u128::from(address) ^ u128::from(row.prefix)).leading_zeros() >= row.length;
    // The last row covers everything.
    TABLE.iter().find(covers).unwrap_or(&TABLE[TABLE.len() - 1])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_row_wins() {
        let of = |text: &str| -> (u8, u8) {
            let address = text.parse().unwrap();
            (precedence(address), label(address))
        };
        assert_eq!(of("::1"), (50, 0));
        assert_eq!(of("2001:db8::1"), (40, 1));
        assert_eq!(of("192.0.2.1"), (35, 4));
        assert_eq!(of("::ffff:192.0.2.1"), (35, 4));
        assert_eq!(of("2002:c633:6401::1"), (30, 2));
        assert_eq!(of("2001::1"), (5, 5));
        assert_eq!(of("fd00::1"), (3, 13));
        assert_eq!(of("::192.0.2.1"), (1, 3));
        assert_eq!(of("fec0::1"), (1, 11));
        assert_eq!(of("3ffe::1"), (1, 12));
    }

    #[test]
    fn the_table_is_sorted_by_length() {
        assert!(TABLE.windows(2).all(|pair| pair[0].length >= pair[1].length));
    }

    #[test]
    fn scopes() {
        let of = |text: &str| scope(text.parse().unwrap());
        assert_eq!(of("fe80::1"), 2);
        assert_eq!(of("169.254.1.1"), 2);
        assert_eq!(of("::ffff:169.254.1.1"), 2);
        assert_eq!(of("127.0.0.1"), 2);
        assert_eq!(of("ff05::1"), 5);
        assert_eq!(of("fec0::1"), 5);
        assert_eq!(of("10.0.0.1"), 14);
        assert_eq!(of("fd00::1"), 14);
    }
}
