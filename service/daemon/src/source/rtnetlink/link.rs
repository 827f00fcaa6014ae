//! RTM_NEWLINK and RTM_DELLINK, read attribute by attribute: a name that is no text, or an attribute of a later
//! kernel, must not hide the link.

use super::message::{attributes, read_bytes, read_u32};
use mif_core::event::{Ifindex, LinkKind, LinkState};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkLayerType, State};

/// `struct ifinfomsg`.
const HEADER_LENGTH: usize = 16;
/// Inside of IFLA_LINKINFO: the driver of the link, and that of its master.
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_SLAVE_KIND: u16 = 4;

/// What a link message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkMessage {
    pub(super) ifindex: Ifindex,
    /// The name as the kernel has it: any bytes but `/`, `:` and white space.
    pub(super) name: Vec<u8>,
    pub(super) alias: Option<Vec<u8>>,
    pub(super) state: LinkState,
    pub(super) kind: KindHint,
    /// Set up by the administrator, whatever the carrier.
    pub(super) admin_up: bool,
    /// The link that it is a port of.
    pub(super) master: Option<Ifindex>,
}

/// How far a link message tells the kind of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KindHint {
    /// It does.
    Known(LinkKind),
    /// Only the driver knows: Ethernet, Wi-Fi and mobile broadband look the same here. This is the best guess.
    Guess(LinkKind),
}

/// The link that a message of type RTM_NEWLINK describes; `None` for messages that say nothing of the link itself.
///
/// Those are: the bridge's view of its ports (AF_BRIDGE), Wireless Extensions events (which carry nothing else),
/// and what cannot be read.
pub(super) fn decode(payload: &[u8]) -> Option<LinkMessage> {
    let header = header_of(payload)?;
    let mut name = None;
    let mut alias = None;
    let mut operational = State::Unknown;
    let mut info_kind = None;
    let mut master = None;
    let mut port_kind = None;
    for (kind, value) in attributes(payload.get(HEADER_LENGTH..)?) {
        match kind {
            libc::IFLA_IFNAME => name = Some(read_bytes(value)).filter(|name| !name.is_empty()),
            libc::IFLA_IFALIAS => alias = Some(read_bytes(value)).filter(|alias| !alias.is_empty()),
            libc::IFLA_OPERSTATE => {
                operational = value.first().map_or(State::Unknown, |state| State::from(*state))
            }
            libc::IFLA_MASTER => master = read_u32(value),
            libc::IFLA_LINKINFO => {
                info_kind = inside(value, IFLA_INFO_KIND);
                port_kind = inside(value, IFLA_INFO_SLAVE_KIND);
            }
            libc::IFLA_WIRELESS => return None,
            _ => {}
        }
    }
    Some(LinkMessage {
        ifindex: header.index,
        name: name?.to_vec(),
        alias: alias.map(<[u8]>::to_vec),
        state: state_of(header.flags, operational),
        kind: kind_of(header.flags, header.link_layer_type, info_kind),
        admin_up: header.flags.contains(LinkFlags::Up),
        master: master.filter(|_| port_kind.is_some_and(takes_what_comes_in)),
    })
}

/// The link that a message of type RTM_DELLINK takes away; `None` when it is only no port of a bridge any more.
pub(super) fn decode_gone(payload: &[u8]) -> Option<Ifindex> {
    header_of(payload).map(|header| header.index)
}

fn header_of(payload: &[u8]) -> Option<LinkHeader> {
    let header = LinkHeader::parse(payload).ok()?;
    (header.interface_family == AddressFamily::Unspec && header.index != 0).then_some(header)
}

/// The text of this attribute inside of IFLA_LINKINFO.
fn inside(link_info: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(link_info).find(|(kind, _)| *kind == wanted).map(|(_, value)| read_bytes(value))
}

/// Whether a master made by this driver takes for itself what its ports receive. A VRF does not, and what else has
/// masters is not known to.
fn takes_what_comes_in(port_kind: &[u8]) -> bool {
    matches!(port_kind, b"bridge" | b"bond" | b"team" | b"openvswitch")
}

fn state_of(flags: LinkFlags, operational: State) -> LinkState {
    if !flags.contains(LinkFlags::Up | LinkFlags::LowerUp) {
        LinkState::Down
    } else if flags.contains(LinkFlags::Dormant) || operational == State::Dormant {
        LinkState::Dormant
    } else {
        LinkState::Up
    }
}

fn kind_of(flags: LinkFlags, layer: LinkLayerType, info_kind: Option<&[u8]>) -> KindHint {
    match info_kind {
        _ if flags.contains(LinkFlags::Loopback) => KindHint::Known(LinkKind::Loopback),
        Some(info_kind) => KindHint::Known(kind_of_driver(info_kind, layer)),
        None => kind_of_layer(layer),
    }
}

/// By the name of the rtnetlink driver that made the link.
fn kind_of_driver(info_kind: &[u8], layer: LinkLayerType) -> LinkKind {
    match info_kind {
        b"bridge" => LinkKind::Bridge,
        b"vlan" => LinkKind::Vlan,
        b"bond" | b"team" => LinkKind::Bond,
        b"wwan" | b"rmnet" => LinkKind::Wwan,
        b"virt_wifi" => LinkKind::Wifi,
        b"tun" | b"wireguard" | b"ovpn" | b"ppp" | b"l2tp" | b"xfrm" | b"amt" | b"bareudp" | b"gtp"
        | b"pfcp" | b"ipip" | b"ip6tnl" | b"sit" | b"vti" | b"vti6" | b"gre" | b"gretap" | b"ip6gre"
        | b"ip6gretap" | b"erspan" | b"ip6erspan" | b"vxlan" | b"geneve" => LinkKind::Tunnel,
        // These carry Ethernet frames to nowhere.
        b"dummy" | b"ifb" | b"nlmon" => LinkKind::Other,
        _ if layer == LinkLayerType::Ether => LinkKind::Ethernet,
        _ => LinkKind::Other,
    }
}

/// By the ARPHRD type, for links that no rtnetlink driver made: hardware, and some tunnels.
fn kind_of_layer(layer: LinkLayerType) -> KindHint {
    match layer {
        LinkLayerType::Ether => KindHint::Guess(LinkKind::Ethernet),
        LinkLayerType::Rawip => KindHint::Guess(LinkKind::Wwan),
        LinkLayerType::None => KindHint::Guess(LinkKind::Other),
        LinkLayerType::Ieee80211 | LinkLayerType::Ieee80211Prism | LinkLayerType::Ieee80211Radiotap => {
            KindHint::Known(LinkKind::Wifi)
        }
        LinkLayerType::Tunnel
        | LinkLayerType::Tunnel6
        | LinkLayerType::Sit
        | LinkLayerType::Ipgre
        | LinkLayerType::Ip6gre
        | LinkLayerType::Ppp => KindHint::Known(LinkKind::Tunnel),
        _ => KindHint::Known(LinkKind::Other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use netlink_packet_core::{DefaultNla, Emitable};
    use netlink_packet_route::link::{InfoKind, InfoPortKind, LinkAttribute, LinkInfo};

    const UP: LinkFlags = LinkFlags::Up.union(LinkFlags::LowerUp);

    fn built(flags: LinkFlags, layer: LinkLayerType, attributes: Vec<LinkAttribute>) -> Vec<u8> {
        let mut message = netlink_packet_route::link::LinkMessage::default();
        message.header.index = 7;
        message.header.flags = flags;
        message.header.link_layer_type = layer;
        message.attributes = attributes;
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn name() -> LinkAttribute {
        LinkAttribute::IfName("eth0".to_owned())
    }

    fn of_kind(kind: InfoKind) -> Vec<LinkAttribute> {
        vec![name(), LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])]
    }

    #[test]
    fn a_plain_link() {
        let alias = LinkAttribute::IfAlias("uplink".to_owned());
        let bytes = built(UP, LinkLayerType::Ether, vec![name(), alias, LinkAttribute::OperState(State::Up)]);
        let expected = LinkMessage {
            ifindex: 7,
            name: b"eth0".to_vec(),
            alias: Some(b"uplink".to_vec()),
            state: LinkState::Up,
            kind: KindHint::Guess(LinkKind::Ethernet),
            admin_up: true,
            master: None,
        };
        assert_eq!(decode(&bytes), Some(expected));
        assert_eq!(decode_gone(&bytes), Some(7));
    }

    #[test]
    fn a_master_counts_where_it_takes_what_comes_in() {
        let master = |port_kind: Option<&str>| {
            let port_kind = port_kind.map(|kind| LinkInfo::PortKind(InfoPortKind::Other(kind.to_owned())));
            let info = LinkAttribute::LinkInfo(port_kind.into_iter().collect());
            let attributes = vec![name(), LinkAttribute::Controller(9), info];
            decode(&built(UP, LinkLayerType::Ether, attributes)).expect("a link").master
        };
        for kind in ["bridge", "bond", "team", "openvswitch"] {
            assert_eq!(master(Some(kind)), Some(9), "{kind}");
        }
        assert_eq!(master(Some("vrf")), None, "the link has its addresses and routers as before");
        assert_eq!(master(None), None);
        let no_master = vec![name(), LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(InfoPortKind::Bridge)])];
        assert_eq!(decode(&built(UP, LinkLayerType::Ether, no_master)).expect("a link").master, None);
    }

    #[test]
    fn a_name_that_is_no_text_is_kept_byte_for_byte() {
        let odd = LinkAttribute::Other(DefaultNla::new(libc::IFLA_IFNAME, b"a\xff\xfeb\0".to_vec()));
        let found = decode(&built(UP, LinkLayerType::Ether, vec![odd])).expect("a link");
        assert_eq!(found.name, b"a\xff\xfeb");
    }

    #[test]
    fn up_needs_the_administrator_and_a_carrier() {
        let state = |flags, operational| {
            let attributes = vec![name(), LinkAttribute::OperState(operational)];
            decode(&built(flags, LinkLayerType::Ether, attributes)).expect("a link").state
        };
        assert_eq!(state(UP, State::Unknown), LinkState::Up);
        assert_eq!(state(LinkFlags::Up, State::Down), LinkState::Down);
        assert_eq!(state(LinkFlags::LowerUp, State::Down), LinkState::Down);
        assert_eq!(state(UP, State::Dormant), LinkState::Dormant);
        assert_eq!(state(UP | LinkFlags::Dormant, State::Unknown), LinkState::Dormant);
        assert_eq!(state(LinkFlags::Up, State::Dormant), LinkState::Down);
    }

    #[test]
    fn kinds_follow_the_driver() {
        let kind = |kind, layer| match decode(&built(UP, layer, of_kind(kind))).expect("a link").kind {
            KindHint::Known(kind) => kind,
            KindHint::Guess(_) => panic!("the driver is known"),
        };
        assert_eq!(kind(InfoKind::Veth, LinkLayerType::Ether), LinkKind::Ethernet);
        assert_eq!(kind(InfoKind::Bridge, LinkLayerType::Ether), LinkKind::Bridge);
        assert_eq!(kind(InfoKind::Vlan, LinkLayerType::Ether), LinkKind::Vlan);
        assert_eq!(kind(InfoKind::Bond, LinkLayerType::Ether), LinkKind::Bond);
        assert_eq!(kind(InfoKind::Tun, LinkLayerType::Ether), LinkKind::Tunnel);
        assert_eq!(kind(InfoKind::Wireguard, LinkLayerType::None), LinkKind::Tunnel);
        assert_eq!(kind(InfoKind::Vxlan, LinkLayerType::Ether), LinkKind::Tunnel);
        assert_eq!(kind(InfoKind::Dummy, LinkLayerType::Ether), LinkKind::Other);
        assert_eq!(kind(InfoKind::Other("brandnew".to_owned()), LinkLayerType::Ether), LinkKind::Ethernet);
    }

    #[test]
    fn kinds_without_a_driver_follow_the_layer() {
        let kind = |flags, layer| decode(&built(flags, layer, vec![name()])).expect("a link").kind;
        assert_eq!(
            kind(UP | LinkFlags::Loopback, LinkLayerType::Loopback),
            KindHint::Known(LinkKind::Loopback)
        );
        assert_eq!(kind(UP, LinkLayerType::Sit), KindHint::Known(LinkKind::Tunnel));
        assert_eq!(kind(UP, LinkLayerType::Infiniband), KindHint::Known(LinkKind::Other));
        assert_eq!(kind(UP, LinkLayerType::Ether), KindHint::Guess(LinkKind::Ethernet));
        assert_eq!(kind(UP, LinkLayerType::Rawip), KindHint::Guess(LinkKind::Wwan));
    }

    #[test]
    fn messages_that_are_not_about_the_link_are_passed_over() {
        let wireless = LinkAttribute::Other(DefaultNla::new(libc::IFLA_WIRELESS, vec![1, 2, 3, 4]));
        assert_eq!(decode(&built(UP, LinkLayerType::Ether, vec![name(), wireless])), None);
        let mut of_bridge = built(UP, LinkLayerType::Ether, vec![name()]);
        of_bridge[0] = u8::try_from(libc::AF_BRIDGE).unwrap();
        assert_eq!((decode(&of_bridge), decode_gone(&of_bridge)), (None, None));
        assert_eq!(decode(&built(UP, LinkLayerType::Ether, vec![])), None);
        assert_eq!(decode(&[0; 15]), None);
    }
}
