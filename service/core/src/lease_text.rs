//! Values of DHCP options (RFC 2132, RFC 8415) as clients write them down: in words, unchecked.

use crate::captive_portal::CaptivePortal;
use crate::configuration::{AddressFamily, Prefix, RouteKey};
use crate::{limits, text};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The smallest MTU of IPv4 (RFC 2132 5.1).
const MINIMUM_MTU: u32 = 68;
/// The longest domain name as text (RFC 1035 3.1).
const MAX_NAME_LENGTH: usize = 253;

/// A value of any type that reads itself; `None` when it makes no sense.
pub(crate) fn parse<T: FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The first `limit` addresses that a host can have.
pub(crate) fn addresses<'a>(words: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<IpAddr> {
    let usable = |address: &Ipv4Addr| !address.is_unspecified() && !address.is_multicast();
    words.into_iter().filter_map(parse).filter(usable).map(IpAddr::V4).take(limit).collect()
}

/// The first `limit` IPv6 addresses that a host can have.
pub(crate) fn ipv6_addresses<'a>(words: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<IpAddr> {
    let usable =
        |address: &Ipv6Addr| !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    words.into_iter().filter_map(parse).filter(usable).map(IpAddr::V6).take(limit).collect()
}

/// The first `limit` names of possible length, escaped, without final dot.
pub(crate) fn names<'a>(words: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<String> {
    let names = words.into_iter().map(|word| word.strip_suffix(b".").unwrap_or(word));
    names.filter(|name| (1..=MAX_NAME_LENGTH).contains(&name.len())).map(text::escape).take(limit).collect()
}

/// An address in the bytes of its family that a host can have.
pub(crate) fn packed_address(bytes: &[u8]) -> Option<IpAddr> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    (!address.is_unspecified() && !address.is_multicast()).then_some(address)
}

/// The search domains among `words`, up to their cap; those for routing only (`~NAME`) are none.
pub(crate) fn search_domains<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let searched = words.into_iter().filter(|word| !word.starts_with('~')).map(str::as_bytes);
    names(searched, limits::DOMAINS_PER_PVD)
}

/// An MTU in bytes that IPv4 can have.
pub(crate) fn mtu(value: &[u8]) -> Option<u32> {
    parse(value).and_then(possible_mtu)
}

/// The same as a number.
pub(crate) fn possible_mtu(mtu: u32) -> Option<u32> {
    Some(mtu).filter(|mtu| (MINIMUM_MTU..=u32::from(u16::MAX)).contains(mtu))
}

/// The prefix length of a subnet mask.
pub(crate) fn prefix_length(mask: &[u8]) -> Option<u8> {
    u8::try_from(u32::from(parse::<Ipv4Addr>(mask)?).leading_ones()).ok()
}

/// The URI of a captive portal, when there is one (RFC 8910 2.1).
pub(crate) fn portal(value: &[u8]) -> Option<String> {
    CaptivePortal::read(value).and_then(CaptivePortal::into_uri)
}

/// A route to `ADDRESS/LENGTH`; the router 0.0.0.0 means on-link (RFC 3442).
pub(crate) fn route(destination: &[u8], gateway: &[u8]) -> Option<RouteKey> {
    let (address, length) = std::str::from_utf8(destination).ok()?.split_once('/')?;
    let length = length.parse().ok().filter(|length| *length <= 32)?;
    Some(route_to(address.parse().ok()?, length, parse(gateway)?))
}

/// Classless routes in the bytes of their option: prefix length, as many bytes of the destination as it covers,
/// router (RFC 3442). What comes after something that makes no sense is lost.
pub(crate) fn packed_routes(bytes: &[u8]) -> Vec<RouteKey> {
    let mut routes = Vec::new();
    let mut rest = bytes;
    while routes.len() < limits::ROUTES_PER_ROUTER
        && let Some((route, left)) = packed_route(rest)
    {
        routes.push(route);
        rest = left;
    }
    routes
}

/// The routes of a lease and the routers that lead everywhere. Classless routes replace the Router option
/// (RFC 3442).
pub(crate) fn routes_and_routers(
    classless: Vec<RouteKey>,
    routers: Vec<IpAddr>,
) -> (Vec<RouteKey>, Vec<IpAddr>) {
    let everywhere = Prefix::default_route(AddressFamily::Ipv4);
    if classless.is_empty() {
        let route = |router: &IpAddr| RouteKey { destination: everywhere, gateway: Some(*router) };
        return (routers.iter().map(route).collect(), routers);
    }
    let leading_everywhere = classless.iter().filter(|route| route.destination == everywhere);
    let routers =
        leading_everywhere.filter_map(|route| route.gateway).take(limits::ROUTERS_PER_PVD).collect();
    (classless, routers)
}

fn packed_route(bytes: &[u8]) -> Option<(RouteKey, &[u8])> {
    let (length, rest) = bytes.split_first().filter(|(length, _)| **length <= 32)?;
    let (significant, rest) = rest.split_at_checked(usize::from(length.div_ceil(8)))?;
    let (gateway, rest) = rest.split_first_chunk::<4>()?;
    let mut destination = [0; 4];
    destination.iter_mut().zip(significant).for_each(|(byte, told)| *byte = *told);
    Some((route_to(destination.into(), *length, Ipv4Addr::from(*gateway)), rest))
}

fn route_to(destination: Ipv4Addr, length: u8, gateway: Ipv4Addr) -> RouteKey {
    let gateway = (!gateway.is_unspecified()).then_some(IpAddr::V4(gateway));
    RouteKey { destination: Prefix::covering(IpAddr::V4(destination), length), gateway }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packed_routes_are_those_of_the_rfc() {
        let bytes = [8, 10, 192, 0, 2, 9, 0, 192, 0, 2, 1, 12, 172, 31, 0, 0, 0, 0, 24, 10, 1];
        let routes = packed_routes(&bytes);
        let expected = [
            route(b"10.0.0.0/8", b"192.0.2.9"),
            route(b"0.0.0.0/0", b"192.0.2.1"),
            // Bits beyond the length do not count, and the last one is cut off.
            route(b"172.16.0.0/12", b"0.0.0.0"),
        ];
        assert_eq!(routes, expected.map(Option::unwrap));
        assert_eq!(routes[2].gateway, None);
        assert!(packed_routes(&[33, 1, 2, 3, 4, 5, 6, 7, 8, 9]).is_empty());
    }

    proptest! {
        #[test]
        fn any_packed_routes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let routes = packed_routes(&bytes);
            prop_assert!(routes.len() <= limits::ROUTES_PER_ROUTER);
            prop_assert!(routes.iter().all(|route| route.destination.length <= 32));
        }
    }
}
