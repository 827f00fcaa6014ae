//! Rules and routes as routing netlink writes them.

use mif_core::configuration::{AddressFamily, Prefix};
use mif_core::routing::{Layout, LinkName, Mark, PROTOCOL, Rule, TableRoute};
use netlink_packet_route::AddressFamily as WireFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage, RuleUidRange};
use std::net::IpAddr;

/// RT_TABLE_COMPAT: the number of the table is in an attribute.
const IN_ATTRIBUTE: u8 = 252;
/// The metric that the kernel gives IPv6 routes without one (IP6_RT_PRIO_USER).
const IPV6_METRIC: u32 = 1024;
/// Who asks when the reverse path filter looks for the way back.
const ROOT: RuleUidRange = RuleUidRange { start: 0, end: 0 };

pub(super) const fn wire_family(family: AddressFamily) -> WireFamily {
    match family {
        AddressFamily::Ipv4 => WireFamily::Inet,
        AddressFamily::Ipv6 => WireFamily::Inet6,
    }
}

/// `rule` as it is added and removed.
pub(super) fn rule(layout: &Layout, family: AddressFamily, rule: Rule) -> RuleMessage {
    let space = layout.space;
    let mut message = RuleMessage::default();
    message.header.family = wire_family(family);
    let marked = |Mark(mark), mask| [RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)];
    let tagged = || marked(Mark(space.tag()), space.tag_mask());
    message.attributes = vec![
        RuleAttribute::Priority(layout.priority(rule)),
        RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)),
    ];
    match rule {
        Rule::End => message.header.action = RuleAction::Nop,
        Rule::Refuse => {
            message.header.action = RuleAction::Unreachable;
            message.attributes.extend(tagged());
        }
        Rule::Pass => {
            message.header.action = RuleAction::Goto;
            message.header.flags = RuleFlags::Invert;
            message.attributes.extend(tagged());
            message.attributes.push(RuleAttribute::Goto(layout.priority(Rule::End)));
        }
        Rule::LookUp(mark) => {
            message.header.action = RuleAction::ToTable;
            message.attributes.extend(marked(mark, space.mask()));
            message.attributes.push(RuleAttribute::Table(mark.0));
        }
        Rule::Inside(mark, link) => {
            message.header.action = RuleAction::Goto;
            message.attributes.extend(marked(mark, space.mask()));
            message.attributes.push(RuleAttribute::Oifname(link.as_str().to_owned()));
            message.attributes.push(RuleAttribute::Goto(layout.priority(Rule::LookUp(mark))));
        }
        Rule::Carrier(mark) => {
            message.header.action = RuleAction::Goto;
            message.attributes.extend(marked(mark, space.mask()));
            message.attributes.push(RuleAttribute::Goto(layout.priority(Rule::End)));
        }
        Rule::Source(address, mark) => {
            from(&mut message, address.into(), mark);
            message.attributes.push(RuleAttribute::UidRange(ROOT));
        }
        Rule::AnySource(address, mark) => from(&mut message, address, mark),
    }
    message
}

/// What comes from `address` looks into the table of `mark`.
fn from(message: &mut RuleMessage, address: IpAddr, mark: Mark) {
    message.header.action = RuleAction::ToTable;
    message.header.src_len = if address.is_ipv4() { 32 } else { 128 };
    message.attributes.extend([RuleAttribute::Source(address), RuleAttribute::Table(mark.0)]);
}

/// Whether this service made the rule, in this run or another.
pub(super) fn is_own_rule(message: &RuleMessage) -> bool {
    let own = RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL));
    message.attributes.contains(&own)
}

/// The rule that the kernel describes so; `None` when this layout has no such rule.
pub(super) fn read_rule(layout: &Layout, family: AddressFamily, message: &RuleMessage) -> Option<Rule> {
    let table = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Table(table) => Some(Mark(*table)),
        _ => None,
    });
    let source = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Source(address) => Some(*address),
        _ => None,
    });
    let of_root = message.attributes.contains(&RuleAttribute::UidRange(ROOT));
    let inverted = |message: &RuleMessage| message.header.flags.contains(RuleFlags::Invert);
    let candidate = match (message.header.action, source, table) {
        (RuleAction::Nop, ..) => Rule::End,
        (RuleAction::Unreachable, ..) => Rule::Refuse,
        (RuleAction::Goto, ..) if inverted(message) => Rule::Pass,
        (RuleAction::Goto, ..) => passage(message)?,
        (RuleAction::ToTable, None, Some(mark)) => Rule::LookUp(mark),
        (RuleAction::ToTable, Some(IpAddr::V4(address)), Some(mark)) if of_root => {
            Rule::Source(address, mark)
        }
        (RuleAction::ToTable, Some(address), Some(mark)) => Rule::AnySource(address, mark),
        _ => return None,
    };
    let wanted = rule(layout, family, candidate);
    let same = wanted.attributes.iter().all(|attribute| message.attributes.contains(attribute))
        && inverted(&wanted) == inverted(message)
        && wanted.header.src_len == message.header.src_len;
    same.then_some(candidate)
}

/// Which of a tunnel's rules this can be.
fn passage(message: &RuleMessage) -> Option<Rule> {
    let mark = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::FwMark(mark) => Some(Mark(*mark)),
        _ => None,
    });
    let link = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Oifname(name) => Some(name.as_str()),
        _ => None,
    });
    let mark = mark?;
    link.map_or(Some(Rule::Carrier(mark)), |name| LinkName::new(name).map(|link| Rule::Inside(mark, link)))
}

/// `route` of the table of `table`, as it is added and removed.
pub(super) fn route(Mark(table): Mark, route: &TableRoute) -> RouteMessage {
    let family = route.family();
    let mut message = RouteMessage::default();
    message.header.address_family = wire_family(family);
    message.header.destination_prefix_length = route.destination.length;
    message.header.table = IN_ATTRIBUTE;
    message.header.protocol = RouteProtocol::from(PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.header.scope = RouteScope::Universe;
    message.attributes = vec![
        RouteAttribute::Table(table),
        RouteAttribute::Oif(route.ifindex),
        RouteAttribute::Priority(route.metric),
    ];
    if route.destination.length > 0 {
        message.attributes.push(RouteAttribute::Destination(wire_address(route.destination.address)));
    }
    match (family, route.gateway) {
        (AddressFamily::Ipv4, None) => message.header.scope = RouteScope::Link,
        (AddressFamily::Ipv6, None) => {}
        (AddressFamily::Ipv4, Some(IpAddr::V6(router))) => {
            message.attributes.push(RouteAttribute::Via(RouteVia::Inet6(router)));
        }
        (_, Some(router)) => {
            if family == AddressFamily::Ipv4 {
                // A router is where its network says, also outside of every prefix that the host has.
                message.header.flags = RouteFlags::Onlink;
            }
            message.attributes.push(RouteAttribute::Gateway(wire_address(router)));
        }
    }
    message.attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(wire_address(source))));
    message
}

/// Asks for all routes of this service in `family`, or for those in one table.
pub(super) fn own_routes(family: AddressFamily, table: Option<Mark>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = wire_family(family);
    message.header.protocol = RouteProtocol::from(PROTOCOL);
    message.attributes.extend(table.map(|Mark(table)| RouteAttribute::Table(table)));
    message
}

/// Whether this service made the route.
pub(super) fn is_own_route(message: &RouteMessage) -> bool {
    u8::from(message.header.protocol) == PROTOCOL
}

/// The table of a route.
pub(super) fn table_of(message: &RouteMessage) -> Mark {
    let in_attribute = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    Mark(in_attribute.unwrap_or(u32::from(message.header.table)))
}

/// The route that the kernel describes so; `None` when no table of ours has such routes.
pub(super) fn read_route(message: &RouteMessage) -> Option<TableRoute> {
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.source_prefix_length != 0 || header.tos != 0 {
        return None;
    }
    let (family, metric) = match header.address_family {
        WireFamily::Inet => (AddressFamily::Ipv4, 0),
        WireFamily::Inet6 => (AddressFamily::Ipv6, IPV6_METRIC),
        _ => return None,
    };
    let everywhere = Prefix::default_route(family).address;
    let mut route = TableRoute {
        destination: Prefix::covering(everywhere, header.destination_prefix_length),
        ifindex: 0,
        gateway: None,
        source: None,
        metric,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                route.destination =
                    Prefix::covering(read_address(address)?, header.destination_prefix_length);
            }
            RouteAttribute::Oif(ifindex) => route.ifindex = *ifindex,
            RouteAttribute::Gateway(address) => route.gateway = Some(read_address(address)?),
            RouteAttribute::Via(RouteVia::Inet6(address)) => route.gateway = Some((*address).into()),
            RouteAttribute::PrefSource(address) => route.source = Some(read_address(address)?),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::MultiPath(_) | RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    Some(route)
}

const fn wire_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

const fn read_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use mif_core::routing::MarkSpace;
    use std::net::Ipv4Addr;

    const MARK: Mark = Mark(0x4d00_0007);

    #[test]
    fn rules_read_back() {
        let layout = Layout::default();
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            let source = Rule::Source(Ipv4Addr::new(192, 0, 2, 7), MARK);
            let inside = Rule::Inside(MARK, LinkName::new("vpn0").unwrap());
            let own = [Rule::End, Rule::Refuse, Rule::Pass, Rule::LookUp(MARK)];
            let any = Rule::AnySource(Prefix::default_route(family).address, MARK);
            for wanted in own.into_iter().chain([inside, Rule::Carrier(MARK), source, any]) {
                let mut message = rule(&layout, family, wanted);
                assert!(is_own_rule(&message));
                assert_eq!(read_rule(&layout, family, &message), Some(wanted));
                message.attributes.push(RuleAttribute::SuppressPrefixLen(u32::MAX));
                assert_eq!(read_rule(&layout, family, &message), Some(wanted), "the kernel says more");
                let moved = Layout::new(MarkSpace::default(), 900).unwrap();
                assert_eq!(read_rule(&moved, family, &message), None, "at another priority");
            }
        }
        let mut reversed = rule(&layout, AddressFamily::Ipv4, Rule::Pass);
        reversed.header.flags = RuleFlags::empty();
        assert_eq!(read_rule(&layout, AddressFamily::Ipv4, &reversed), None);
    }

    #[test]
    fn routes_read_back() {
        let route_of = |destination: &str, length, gateway: Option<&str>, source: Option<&str>| TableRoute {
            destination: Prefix { address: destination.parse().unwrap(), length },
            ifindex: 3,
            gateway: gateway.map(|text| text.parse().unwrap()),
            source: source.map(|text| text.parse().unwrap()),
            metric: 200,
        };
        for wanted in [
            route_of("0.0.0.0", 0, Some("192.0.2.1"), Some("192.0.2.7")),
            route_of("0.0.0.0", 0, Some("fe80::1"), None),
            route_of("192.0.2.0", 24, None, Some("192.0.2.7")),
            route_of("::", 0, Some("fe80::1"), Some("2001:db8::7")),
            route_of("fe80::", 64, None, None),
        ] {
            let message = route(MARK, &wanted);
            assert!(is_own_route(&message));
            assert_eq!(table_of(&message), MARK);
            assert_eq!(read_route(&message), Some(wanted));
        }
    }
}
