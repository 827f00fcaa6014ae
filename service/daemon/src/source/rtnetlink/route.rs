//! RTM_NEWROUTE and RTM_DELROUTE: the unicast routes of the main table, one for each next hop.

use super::address::read_address;
use super::message::{attributes, read_u32};
use mif_core::configuration::{AddressFamily, Prefix};
use mif_core::event::{Ifindex, Route};
use netlink_packet_route::AddressFamily as WireFamily;
use netlink_packet_route::route::{RouteFlags, RouteHeader, RouteNextHopFlags, RouteType, RouteVia};
use std::net::IpAddr;

/// `struct rtmsg`.
const HEADER_LENGTH: usize = 12;
/// `struct rtnexthop`.
const NEXT_HOP_LENGTH: usize = 8;
const PROTOCOL_KERNEL: u8 = 2;

/// Which next hops of a route are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextHops {
    /// Those that the kernel would send to.
    Alive,
    /// All: the route is gone, and so is each of them.
    All,
}

/// Where a next hop leads to.
#[derive(Clone, Copy, Debug, Default)]
struct NextHop {
    ifindex: Option<Ifindex>,
    gateway: Option<IpAddr>,
    dead: bool,
}

/// The routes that the message describes; none when it is about something that no socket of ours can use.
///
/// Left out are: other tables, cached copies, routes that are not unicast, routes only for some sources or types
/// of service, and what the kernel makes itself for the addresses of a link (but never a default route).
pub(super) fn decode(payload: &[u8], wanted: NextHops) -> Vec<Route> {
    let Some((header, destination)) = header_of(payload) else { return Vec::new() };
    let mut table = u32::from(header.table);
    let mut destination = Some(destination);
    let mut metric = 0;
    let mut only = NextHop { dead: header.flags.contains(dead_flag()), ..NextHop::default() };
    let mut several: Vec<NextHop> = Vec::new();
    for (kind, value) in attributes(payload.get(HEADER_LENGTH..).unwrap_or_default()) {
        match kind {
            libc::RTA_TABLE => table = read_u32(value).unwrap_or(table),
            libc::RTA_PRIORITY => metric = read_u32(value).unwrap_or(metric),
            libc::RTA_DST => {
                destination = read_address(header.address_family, value)
                    .map(|address| Prefix::covering(address, header.destination_prefix_length));
            }
            libc::RTA_MULTIPATH => several = next_hops(header.address_family, value),
            _ => only.read(header.address_family, kind, value),
        }
    }
    let protocol = u8::from(header.protocol);
    let (Some(destination), RouteHeader::RT_TABLE_MAIN) = (destination, u8::try_from(table).unwrap_or(0))
    else {
        return Vec::new();
    };
    if protocol == PROTOCOL_KERNEL && destination.length != 0 {
        return Vec::new();
    }
    let hops = if several.is_empty() { vec![only] } else { several };
    let wanted = hops.into_iter().filter(|hop| wanted == NextHops::All || !hop.dead);
    let route = |hop: NextHop| {
        let ifindex = hop.ifindex.filter(|ifindex| *ifindex != 0)?;
        Some(Route { ifindex, destination, gateway: hop.gateway, metric, protocol })
    };
    wanted.filter_map(route).collect()
}

/// The source that the route in the message prefers.
pub(super) fn preferred_source(payload: &[u8]) -> Option<IpAddr> {
    let header = RouteHeader::parse(payload).ok()?;
    let mut attributes = attributes(payload.get(HEADER_LENGTH..)?);
    attributes.find_map(|(kind, value)| {
        (kind == libc::RTA_PREFSRC).then(|| read_address(header.address_family, value))?
    })
}

/// The header of a route that can be of use, and its destination as long as no attribute names one.
fn header_of(payload: &[u8]) -> Option<(RouteHeader, Prefix)> {
    let header = RouteHeader::parse(payload).ok()?;
    let family = match header.address_family {
        WireFamily::Inet => AddressFamily::Ipv4,
        WireFamily::Inet6 => AddressFamily::Ipv6,
        _ => return None,
    };
    let everywhere = Prefix::default_route(family);
    let longest = if family == AddressFamily::Ipv4 { 32 } else { 128 };
    let usable = header.kind == RouteType::Unicast
        && header.source_prefix_length == 0
        && header.tos == 0
        && header.destination_prefix_length <= longest
        && !header.flags.contains(RouteFlags::Cloned);
    let destination = Prefix::covering(everywhere.address, header.destination_prefix_length);
    usable.then_some((header, destination))
}

fn dead_flag() -> RouteFlags {
    RouteFlags::from_bits_retain(u32::from(RouteNextHopFlags::Dead.bits()))
}

fn next_hops(family: WireFamily, mut value: &[u8]) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some([l0, l1, flags, _, i0, i1, i2, i3]) = value.first_chunk::<NEXT_HOP_LENGTH>().copied() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(own) = value.get(NEXT_HOP_LENGTH..length) else { break };
        let mut hop = NextHop {
            ifindex: Some(u32::from_ne_bytes([i0, i1, i2, i3])),
            dead: RouteNextHopFlags::from_bits_retain(flags).contains(RouteNextHopFlags::Dead),
            ..NextHop::default()
        };
        attributes(own).for_each(|(kind, value)| hop.read(family, kind, value));
        hops.push(hop);
        value = value.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

impl NextHop {
    fn read(&mut self, family: WireFamily, kind: u16, value: &[u8]) {
        match kind {
            libc::RTA_OIF => self.ifindex = read_u32(value),
            libc::RTA_GATEWAY => self.gateway = read_address(family, value),
            // RFC 5549: an IPv4 route through an IPv6 router.
            libc::RTA_VIA => {
                self.gateway = match RouteVia::parse(value) {
                    Ok(RouteVia::Inet(address)) => Some(IpAddr::V4(address)),
                    Ok(RouteVia::Inet6(address)) => Some(IpAddr::V6(address)),
                    _ => None,
                };
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use netlink_packet_core::Emitable;
    use netlink_packet_route::route::{
        RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteProtocol, RouteScope,
    };

    fn message(destination: Option<(&str, u8)>, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = WireFamily::Inet;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Universe;
        message.attributes = attributes;
        if let Some((address, length)) = destination {
            message.header.destination_prefix_length = length;
            let address = RouteAddress::Inet(address.parse().unwrap());
            message.attributes.push(RouteAttribute::Destination(address));
        }
        message
    }

    fn decoded(message: &RouteMessage) -> Vec<Route> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        decode(&bytes, NextHops::Alive)
    }

    fn gateway(text: &str) -> RouteAttribute {
        RouteAttribute::Gateway(RouteAddress::Inet(text.parse().unwrap()))
    }

    fn via_router() -> Vec<RouteAttribute> {
        vec![RouteAttribute::Oif(4), gateway("192.0.2.1"), RouteAttribute::Priority(100)]
    }

    #[test]
    fn a_default_route() {
        let expected = Route {
            ifindex: 4,
            destination: Prefix::default_route(AddressFamily::Ipv4),
            gateway: Some("192.0.2.1".parse().unwrap()),
            metric: 100,
            protocol: 4,
        };
        assert_eq!(decoded(&message(None, via_router())), [expected]);
    }

    #[test]
    fn a_route_may_prefer_a_source() {
        let source = |attributes| {
            let message = message(None, attributes);
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            preferred_source(&bytes)
        };
        let preferred = RouteAttribute::PrefSource(RouteAddress::Inet("192.0.2.7".parse().unwrap()));
        assert_eq!(source(vec![preferred]), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(source(via_router()), None);
        assert_eq!(preferred_source(&[0; 11]), None);
    }

    #[test]
    fn the_kernels_own_routes_do_not_count_except_to_everywhere() {
        let mut own = message(Some(("192.0.2.0", 24)), vec![RouteAttribute::Oif(4)]);
        own.header.protocol = RouteProtocol::Kernel;
        assert_eq!(decoded(&own), []);
        let mut default = message(None, via_router());
        default.header.protocol = RouteProtocol::Kernel;
        assert_eq!(decoded(&default).len(), 1);
    }

    #[test]
    fn a_route_has_one_entry_for_each_living_next_hop() {
        let hop = |ifindex, address, flags| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = ifindex;
            hop.flags = flags;
            hop.attributes = vec![gateway(address)];
            hop
        };
        let hops = vec![
            hop(4, "192.0.2.1", RouteNextHopFlags::empty()),
            hop(5, "198.51.100.1", RouteNextHopFlags::Dead),
            hop(6, "203.0.113.1", RouteNextHopFlags::Linkdown),
        ];
        let several = message(Some(("10.0.0.0", 8)), vec![RouteAttribute::MultiPath(hops)]);
        let links: Vec<_> = decoded(&several).iter().map(|route| route.ifindex).collect();
        assert_eq!(links, [4, 6]);
        let mut bytes = vec![0; several.buffer_len()];
        several.emit(&mut bytes);
        assert_eq!(decode(&bytes, NextHops::All).len(), 3);
    }

    #[test]
    fn an_ipv4_route_may_lead_through_an_ipv6_router() {
        let via = RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()));
        let found = decoded(&message(None, vec![RouteAttribute::Oif(4), via]));
        assert_eq!(found[0].gateway, Some("fe80::1".parse().unwrap()));
        assert_eq!(found[0].metric, 0);
    }

    #[test]
    fn what_no_socket_can_use_is_left_out() {
        let changed = |change: fn(&mut RouteMessage)| {
            let mut message = message(None, via_router());
            change(&mut message);
            decoded(&message)
        };
        assert_eq!(changed(|message| message.header.kind = RouteType::BlackHole), []);
        assert_eq!(changed(|message| message.header.kind = RouteType::Local), []);
        assert_eq!(changed(|message| message.header.table = 255), []);
        assert_eq!(changed(|message| message.attributes.push(RouteAttribute::Table(1000))), []);
        assert_eq!(changed(|message| message.header.flags = RouteFlags::Cloned), []);
        assert_eq!(changed(|message| message.header.tos = 8), []);
        assert_eq!(changed(|message| message.header.source_prefix_length = 24), []);
        assert_eq!(changed(|message| message.header.destination_prefix_length = 33), []);
        assert_eq!(changed(|message| message.attributes.clear()), []);
        assert_eq!(changed(|message| message.header.flags = dead_flag()), []);
        assert_eq!(decode(&[0; 11], NextHops::All), []);
    }
}
