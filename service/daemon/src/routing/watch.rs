//! Hears when somebody else takes away what is this service's, or turns a reverse path filter.

use crate::source::rtnetlink::{
    Filter, Message, Monitor, ROUTE_PROTOCOL, ROUTE_TABLE, Received, attributes, messages, read_u32,
};
use mif_core::event::Ifindex;
use mif_core::routing::{Mark, PROTOCOL};
use std::io;
use std::net::Ipv4Addr;

/// What is listened to.
const GROUPS: [u32; 6] = [
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_RULE,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV4_NETCONF,
    libc::RTNLGRP_NEIGH,
];
/// How many datagrams are read before others have their turn.
const READ_AT_ONCE: usize = 64;
/// `struct fib_rule_hdr` and `struct rtmsg`.
const HEADER_LENGTH: usize = 12;
/// FRA_PROTOCOL.
const RULE_PROTOCOL: u16 = 21;
/// Where `struct ndmsg` has its state; its index is before that.
const NEIGHBOUR_STATE: std::ops::Range<usize> = 8..10;
const NEIGHBOUR_LINK: std::ops::Range<usize> = 4..8;
/// NUD_REACHABLE, NUD_STALE (what a neighbour that asks us is), NUD_NOARP and NUD_PERMANENT.
const ANSWERS: u16 = 0x02 | 0x04 | 0x40 | 0x80;
/// NUD_FAILED.
const FAILED: u16 = 0x20;
/// NDA_DST.
const NEIGHBOUR_ADDRESS: u16 = 1;
/// RTM_NEWNETCONF: a setting of an interface.
const NEW_SETTING: u16 = 80;

/// What is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    /// A rule of this service went.
    Rules,
    /// A route of this service went from this table.
    Table(Mark),
    /// A setting of an interface may be another one now.
    Settings,
    /// A neighbour of IPv4 answers, or does not.
    Neighbour {
        /// Its link.
        ifindex: Ifindex,
        /// Its address.
        address: Ipv4Addr,
        /// Whether it answers.
        answers: bool,
    },
    /// Notices were lost.
    Everything,
}

/// Listens. It has missed nothing since it was opened, or says so.
pub(super) struct Watch {
    monitor: Monitor,
    buffer: Vec<u8>,
}

impl Watch {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { monitor: Monitor::open(&GROUPS, Filter::KeeperOf(PROTOCOL))?, buffer: Vec::new() })
    }

    /// What came in since the last time. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Vec<Notice>> {
        loop {
            self.monitor.readable().await?;
            // The same news may have woken the source, and whoever asked to be told of it goes first.
            tokio::task::yield_now().await;
            let notices = self.at_hand()?;
            if !notices.is_empty() {
                return Ok(notices);
            }
        }
    }

    /// What is in the queue; often nothing that matters.
    fn at_hand(&mut self) -> io::Result<Vec<Notice>> {
        let mut notices = Vec::new();
        for _ in 0..READ_AT_ONCE {
            match self.monitor.receive_at_hand(&mut self.buffer)? {
                Some(Received::Datagram) => {
                    notices.extend(messages(&self.buffer).filter_map(|message| notice(&message)));
                }
                Some(Received::Overrun) => notices.push(Notice::Everything),
                None => break,
            }
        }
        Ok(notices)
    }
}

fn notice(message: &Message<'_>) -> Option<Notice> {
    let header = message.payload.first_chunk::<HEADER_LENGTH>();
    let inside = message.payload.get(HEADER_LENGTH..).unwrap_or_default();
    match message.kind {
        libc::RTM_DELRULE => {
            let own = |(kind, value): (u16, &[u8])| kind == RULE_PROTOCOL && value == [PROTOCOL];
            attributes(inside).any(own).then_some(Notice::Rules)
        }
        libc::RTM_DELROUTE => {
            let header = header.filter(|header| header[ROUTE_PROTOCOL] == PROTOCOL)?;
            let table = attributes(inside).find(|(kind, _)| *kind == libc::RTA_TABLE);
            let table = table.and_then(|(_, value)| read_u32(value));
            Some(Notice::Table(Mark(table.unwrap_or(u32::from(header[ROUTE_TABLE])))))
        }
        libc::RTM_NEWNEIGH => neighbour(header?, inside),
        NEW_SETTING => Some(Notice::Settings),
        _ => None,
    }
}

fn neighbour(header: &[u8; HEADER_LENGTH], inside: &[u8]) -> Option<Notice> {
    if i32::from(header[0]) != libc::AF_INET {
        return None;
    }
    let state = header.get(NEIGHBOUR_STATE)?.first_chunk().map(|two| u16::from_ne_bytes(*two))?;
    let ifindex = read_u32(header.get(NEIGHBOUR_LINK)?)?;
    let address = attributes(inside).find(|(kind, _)| *kind == NEIGHBOUR_ADDRESS);
    let address = address.and_then(|(_, value)| <[u8; 4]>::try_from(value).ok()).map(Ipv4Addr::from)?;
    let answers = state & ANSWERS != 0;
    (answers || state & FAILED != 0).then_some(Notice::Neighbour { ifindex, address, answers })
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;
    use mif_core::configuration::{AddressFamily, Prefix};
    use mif_core::routing::{Layout, Rule, TableRoute};
    use netlink_packet_core::Emitable;

    fn notice_of(kind: u16, body: &impl Emitable) -> Option<Notice> {
        let mut payload = vec![0; body.buffer_len()];
        body.emit(&mut payload);
        notice(&Message { kind, flags: 0, sequence: 0, payload: &payload })
    }

    #[test]
    fn only_what_is_ours_is_noticed() {
        let mark = Mark(0x4d00_0007);
        let own = message::rule(&Layout::default(), AddressFamily::Ipv6, Rule::LookUp(mark));
        assert_eq!(notice_of(libc::RTM_DELRULE, &own), Some(Notice::Rules));
        assert_eq!(notice_of(libc::RTM_NEWRULE, &own), None);
        let mut foreign = own.clone();
        foreign
            .attributes
            .retain(|attribute| !matches!(attribute, netlink_packet_route::rule::RuleAttribute::Protocol(_)));
        assert_eq!(notice_of(libc::RTM_DELRULE, &foreign), None);
        let route = TableRoute {
            destination: Prefix::default_route(AddressFamily::Ipv4),
            ifindex: 3,
            gateway: None,
            source: None,
            metric: 50,
        };
        let mut own = message::route(mark, &route);
        assert_eq!(notice_of(libc::RTM_DELROUTE, &own), Some(Notice::Table(mark)));
        own.header.protocol = netlink_packet_route::route::RouteProtocol::Static;
        assert_eq!(notice_of(libc::RTM_DELROUTE, &own), None);
        for kind in [libc::RTM_DELROUTE, libc::RTM_NEWNEIGH] {
            assert_eq!(notice(&Message { kind, flags: 0, sequence: 0, payload: &[] }), None);
        }
    }

    #[test]
    fn neighbours_of_ipv4_are_told_by_whether_they_answer() {
        use netlink_packet_route::AddressFamily as WireFamily;
        use netlink_packet_route::neighbour::{
            NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
        };
        let address = Ipv4Addr::new(192, 0, 2, 1);
        let told = |family, state| {
            let mut message = NeighbourMessage::default();
            message.header.family = family;
            message.header.ifindex = 4;
            message.header.state = state;
            message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(address))];
            notice_of(libc::RTM_NEWNEIGH, &message)
        };
        let expected = |answers| Some(Notice::Neighbour { ifindex: 4, address, answers });
        assert_eq!(told(WireFamily::Inet, NeighbourState::Failed), expected(false));
        for state in [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Permanent] {
            assert_eq!(told(WireFamily::Inet, state), expected(true));
        }
        for state in [NeighbourState::Incomplete, NeighbourState::Probe, NeighbourState::Delay] {
            assert_eq!(told(WireFamily::Inet, state), None, "nobody knows yet");
        }
        assert_eq!(told(WireFamily::Inet6, NeighbourState::Failed), None, "the kernel does it itself");
    }
}
