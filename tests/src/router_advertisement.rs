//! Router Advertisements that no daemon sends: any bytes, from any source, with any hop limit.

use std::io;
use std::net::Ipv6Addr;

use nix::net::if_::if_nametoindex;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::cable::LinkEnd;

/// `ff02::1`, and where it is on an Ethernet (RFC 2464 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_ETHERNET: [u8; 8] = [0x33, 0x33, 0, 0, 0, 1, 0, 0];

const ICMPV6: u8 = 58;

/// Sends ICMPv6 messages to all nodes, out of one end of a cable. The IPv6 header is made here, so that it can be
/// wrong in every way, and is not looked at by the kernel that sends it: that would want an entry for the destination
/// in its table of neighbours, and has none left for it while a flood of routers fills that of the whole machine.
#[derive(Debug)]
pub struct RawSender {
    socket: Socket,
    destination: SockAddr,
    source: Ipv6Addr,
    hop_limit: u8,
    wrong_checksum: bool,
}

impl RawSender {
    /// A sender with proper values: the end's link-local source, hop limit 255.
    ///
    /// # Panics
    /// When the end is not there or has no link-local address.
    pub fn on(end: &LinkEnd) -> Self {
        let name = end.name().to_owned();
        // Without a protocol it receives nothing.
        let (socket, ifindex) = end.node().within(move || {
            let socket = Socket::new(Domain::PACKET, Type::DGRAM, None).expect("a packet socket");
            (socket, if_nametoindex(&*name).expect("the link"))
        });
        let source = end.link_local().parse().expect("an address");
        Self { socket, destination: all_nodes_on(ifindex), source, hop_limit: 255, wrong_checksum: false }
    }

    /// Another source, whether the end has it or not.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.source = source.parse().expect("an IPv6 address");
        self
    }

    /// Another hop limit than 255.
    #[must_use]
    pub fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// A checksum that is wrong.
    #[must_use]
    pub fn wrong_checksum(mut self) -> Self {
        self.wrong_checksum = true;
        self
    }

    /// Sends an ICMPv6 message; its checksum field is filled in when there is one.
    ///
    /// # Panics
    /// When the kernel refuses it, for example because it is longer than the MTU.
    pub fn send(&self, message: &[u8]) {
        self.try_send(message).expect("send a raw packet");
    }

    /// The same over a link that may be down.
    ///
    /// # Errors
    /// It is not sent.
    pub fn try_send(&self, message: &[u8]) -> io::Result<()> {
        let packet = self.packet(message);
        let sent = self.socket.send_to(&packet, &self.destination)?;
        assert_eq!(sent, packet.len());
        Ok(())
    }

    fn packet(&self, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        if message.len() >= 4 {
            message[2..4].fill(0);
            let sum = checksum(self.source, ALL_NODES, &message) ^ u16::from(self.wrong_checksum);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let length = u16::try_from(message.len()).expect("a length of IPv6");
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([ICMPV6, self.hop_limit]);
        packet.extend(self.source.octets());
        packet.extend(ALL_NODES.octets());
        packet.extend(message);
        packet
    }
}

/// packet(7): all nodes of a link.
fn all_nodes_on(ifindex: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a sockaddr_ll fits into the storage, and zeros are a value of each of its fields.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = u16::try_from(libc::AF_PACKET).expect("a family");
    address.sll_protocol = u16::try_from(libc::ETH_P_IPV6).expect("an EtherType").to_be();
    address.sll_ifindex = i32::try_from(ifindex).expect("an index");
    address.sll_halen = 6;
    address.sll_addr = ALL_NODES_ETHERNET;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).expect("a length");
    // SAFETY: so much of it is what it was made into just now.
    unsafe { SockAddr::new(storage, length) }
}

/// Builds a Router Advertisement (RFC 4861, 4.2). Options follow in the order of the calls.
#[derive(Clone, Debug)]
pub struct RouterAdvertisement(Vec<u8>);

impl RouterAdvertisement {
    /// The header alone: hop limit 64, no flags, the lifetime of the default router in seconds.
    pub fn new(router_lifetime: u16) -> Self {
        let mut bytes = vec![134, 0, 0, 0, 64, 0];
        bytes.extend(router_lifetime.to_be_bytes());
        bytes.extend([0; 8]);
        Self(bytes)
    }

    /// Sets the octet of flags: M 0x80, O 0x40, preference 0x18.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.0[5] = flags;
        self
    }

    /// A prefix (RFC 4861, 4.6.2) with flags L and A; lifetimes in seconds.
    #[must_use]
    pub fn prefix(mut self, prefix: &str, length: u8, valid: u32, preferred: u32) -> Self {
        self.0.extend([3, 4, length, 0xc0]);
        self.0.extend(valid.to_be_bytes());
        self.0.extend(preferred.to_be_bytes());
        self.0.extend([0; 4]);
        self.0.extend(prefix.parse::<Ipv6Addr>().expect("a prefix").octets());
        self
    }

    /// The MTU of the link (RFC 4861, 4.6.4).
    #[must_use]
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.0.extend([5, 1, 0, 0]);
        self.0.extend(mtu.to_be_bytes());
        self
    }

    /// A route (RFC 4191); preference as in the octet of flags: high 0x08, medium 0, low 0x18.
    #[must_use]
    pub fn route(mut self, prefix: &str, length: u8, preference: u8, lifetime: u32) -> Self {
        self.0.extend([24, 3, length, preference]);
        self.0.extend(lifetime.to_be_bytes());
        self.0.extend(prefix.parse::<Ipv6Addr>().expect("a prefix").octets());
        self
    }

    /// DNS servers (RFC 8106, RDNSS).
    #[must_use]
    pub fn dns_servers(mut self, lifetime: u32, servers: &[&str]) -> Self {
        let length = u8::try_from(1 + 2 * servers.len()).expect("servers that fit into one option");
        self.0.extend([25, length, 0, 0]);
        self.0.extend(lifetime.to_be_bytes());
        for server in servers {
            self.0.extend(server.parse::<Ipv6Addr>().expect("a server").octets());
        }
        self
    }

    /// Search domains (RFC 8106, DNSSL).
    #[must_use]
    pub fn search_domains(mut self, lifetime: u32, domains: &[&str]) -> Self {
        let mut names = Vec::new();
        for domain in domains {
            for label in domain.split('.') {
                names.push(u8::try_from(label.len()).expect("a label"));
                names.extend(label.as_bytes());
            }
            names.push(0);
        }
        names.resize(names.len().next_multiple_of(8), 0);
        let length = u8::try_from(1 + names.len() / 8).expect("domains that fit into one option");
        self.0.extend([31, length, 0, 0]);
        self.0.extend(lifetime.to_be_bytes());
        self.0.extend(names);
        self
    }

    /// The prefix of a NAT64 (RFC 8781), 96 bits long; the lifetime in seconds, a multiple of eight.
    #[must_use]
    pub fn pref64(mut self, prefix: &str, lifetime: u16) -> Self {
        self.0.extend([38, 2]);
        self.0.extend((lifetime & !7).to_be_bytes());
        self.0.extend(&prefix.parse::<Ipv6Addr>().expect("a prefix").octets()[..12]);
        self
    }

    /// A resolver of encrypted DNS (RFC 9463, 6.1) that speaks these protocols (ALPN identifiers).
    #[must_use]
    pub fn encrypted_dns(mut self, name: &str, addresses: &[&str], alpn: &[&str], path: &str) -> Self {
        let counted = |bytes: &[u8]| {
            let length = u16::try_from(bytes.len()).expect("an option of at most 2,040 octets");
            [&length.to_be_bytes()[..], bytes].concat()
        };
        let label = |label: &str| {
            let length = u8::try_from(label.len()).expect("a label");
            [&[length][..], label.as_bytes()].concat()
        };
        let parameter = |key: u8, value: &[u8]| [vec![0, key], counted(value)].concat();
        let name = [name.split('.').flat_map(label).collect(), vec![0]].concat();
        let octets = |address: &&str| address.parse::<Ipv6Addr>().expect("an address").octets();
        let addresses: Vec<u8> = addresses.iter().flat_map(octets).collect();
        let alpn: Vec<u8> = alpn.iter().flat_map(|protocol| label(protocol)).collect();
        let parameters = [parameter(1, &alpn), parameter(7, path.as_bytes())].concat();
        let mut option = vec![144, 0, 0, 1];
        option.extend(3600_u32.to_be_bytes());
        option.extend([counted(&name), counted(&addresses), counted(&parameters)].concat());
        option.resize(option.len().next_multiple_of(8), 0);
        option[1] = u8::try_from(option.len() / 8).expect("an option of at most 2,040 octets");
        self.0.extend(option);
        self
    }

    /// A resolver that speaks encrypted DNS and of which nothing is said but its name (RFC 9463 3.1.6, 6.1).
    #[must_use]
    pub fn named_resolver(mut self, name: &str) -> Self {
        let name = crate::dns::write_name(name);
        let mut option = vec![144, 0, 0, 1];
        option.extend(3600_u32.to_be_bytes());
        option.extend(u16::try_from(name.len()).expect("a name").to_be_bytes());
        option.extend(name);
        option.resize(option.len().next_multiple_of(8), 0);
        option[1] = u8::try_from(option.len() / 8).expect("an option of at most 2,040 octets");
        self.0.extend(option);
        self
    }

    /// A PvD option (RFC 8801, 3.1) with the options of another message inside; `flags` are its first two octets:
    /// H 0x8000, L 0x4000, R 0x2000 (then the header of that message is inside, too), delay 0x000f.
    #[must_use]
    pub fn pvd(mut self, flags: u16, sequence: u16, id: &str, inside: &Self) -> Self {
        let mut option = vec![21, 0];
        option.extend(flags.to_be_bytes());
        option.extend(sequence.to_be_bytes());
        for label in id.split('.') {
            option.push(u8::try_from(label.len()).expect("a label"));
            option.extend(label.as_bytes());
        }
        option.push(0);
        option.resize(option.len().next_multiple_of(8), 0);
        let own_header = flags & 0x2000 != 0;
        option.extend(if own_header { &inside.0[..] } else { &inside.0[16..] });
        option[1] = u8::try_from(option.len() / 8).expect("an option of at most 2,040 octets");
        self.0.extend(option);
        self
    }

    /// Any bytes.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// The ICMPv6 message, its checksum field 0.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// RFC 4443, 2.3: the Internet checksum over the pseudo-header and the message.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).expect("a message");
    let mut bytes = [source.octets(), destination.octets()].concat();
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, ICMPV6]);
    bytes.extend(message);
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_message_with_its_checksum_is_zero() {
        let (source, destination) = ("fe80::1".parse().unwrap(), ALL_NODES);
        let mut message = RouterAdvertisement::new(1800).prefix("2001:db8::", 64, 10, 5).bytes().to_vec();
        let sum = checksum(source, destination, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(checksum(source, destination, &message), 0);
    }

    #[test]
    fn options_are_whole_units_of_eight_octets() {
        let advertisement = RouterAdvertisement::new(0)
            .mtu(1400)
            .route("2001:db8:9::", 48, 8, 60)
            .dns_servers(60, &["2001:db8::53"])
            .search_domains(60, &["a.example", "example"]);
        let mut rest = &advertisement.bytes()[16..];
        let mut kinds = Vec::new();
        while let [kind, length, ..] = *rest {
            kinds.push(kind);
            rest = &rest[usize::from(length) * 8..];
        }
        assert_eq!(kinds, [5, 24, 25, 31]);
    }
}
