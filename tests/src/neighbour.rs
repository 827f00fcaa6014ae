//! A machine on a link that answers multicast DNS, LLMNR and NIS, for as many names as a test can think of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::cable::LinkEnd;
use crate::dns::{A, AAAA, read_name, record};

/// The port that NIS servers get from [`Neighbour`]'s port mapper.
pub const NIS_PORT: u16 = 834;

const PORT_MAPPER: u16 = 111;
const GROUPS: [(u16, Ipv4Addr, Ipv6Addr); 2] = [
    (5353, Ipv4Addr::new(224, 0, 0, 251), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
    (5355, Ipv4Addr::new(224, 0, 0, 252), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3)),
];

/// A machine that has one IPv4 and one IPv6 address for every name.
#[derive(Clone, Debug)]
pub struct Neighbour(Arc<Mutex<Vec<String>>>);

impl Neighbour {
    /// Answers on a link, by both families, and as a NIS server on every address of the node.
    ///
    /// # Panics
    /// When a port is taken.
    pub fn on(end: &LinkEnd, v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        let neighbour = Self(Arc::default());
        let index = end.ifindex();
        for (port, group_v4, group_v6) in GROUPS {
            for (any, group) in [
                (IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(group_v4)),
                (Ipv6Addr::UNSPECIFIED.into(), group_v6.into()),
            ] {
                let socket =
                    end.node().within(move || group_socket(SocketAddr::new(any, port), group, index));
                let own = neighbour.clone();
                serve(socket, move |packet| own.answer(packet, v4, v6));
            }
        }
        let any = Ipv4Addr::UNSPECIFIED;
        let ports = [PORT_MAPPER, NIS_PORT];
        let sockets =
            end.node().within(|| ports.map(|port| UdpSocket::bind((any, port)).expect("a UDP port")));
        let [mapper, server] = sockets;
        serve(mapper, |call| Some(reply(call, &u32::from(NIS_PORT).to_be_bytes())));
        let own = neighbour.clone();
        serve(server, move |call| own.match_key(call, v4));
        neighbour
    }

    /// The names that it was asked for so far, each as often as it was.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
    }

    /// The answer to a DNS message.
    fn answer(&self, packet: &[u8], v4: Ipv4Addr, v6: Ipv6Addr) -> Option<Vec<u8>> {
        const RESPONSE: u16 = 0x8000;
        let (name, end) = read_name(packet)?;
        self.note(&name);
        let kind = u16::from_be_bytes(packet.get(end..end + 2)?.try_into().ok()?);
        // A pointer to the name in the question (RFC 1035 4.1.4).
        let record = match kind {
            A => record(&[0xc0, 12], A, &v4.octets()),
            AAAA => record(&[0xc0, 12], AAAA, &v6.octets()),
            _ => return None,
        };
        let numbers = [RESPONSE, 1, 1, 0, 0].into_iter().flat_map(u16::to_be_bytes);
        let head: Vec<u8> = packet[..2].iter().copied().chain(numbers).collect();
        Some([&head, packet.get(12..end + 4)?, &record].concat())
    }

    /// The answer to a lookup: domain, map, key.
    fn match_key(&self, call: &[u8], v4: Ipv4Addr) -> Option<Vec<u8>> {
        const FOUND: u32 = 1;
        const NO_MAP: u32 = u32::MAX;
        let (_, at) = opaque(call, 40)?;
        let (map, at) = opaque(call, at)?;
        let (key, _) = opaque(call, at)?;
        self.note(&key);
        if map != "hosts.byname" {
            return Some(reply(call, &[NO_MAP.to_be_bytes(), [0; 4]].concat()));
        }
        let value = format!("{v4} {key}");
        let length = u32::try_from(value.len()).ok()?;
        let mut results = [FOUND.to_be_bytes(), length.to_be_bytes()].concat();
        results.extend(value.as_bytes());
        results.resize(results.len().next_multiple_of(4), 0);
        Some(reply(call, &results))
    }
}

fn serve(socket: UdpSocket, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(packet) = answer(&buffer[..length]) {
                // Whoever asked may have closed its socket.
                let _ = socket.send_to(&packet, from);
            }
        }
    });
}

fn group_socket(address: SocketAddr, group: IpAddr, index: u32) -> UdpSocket {
    let socket =
        Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    match group {
        IpAddr::V4(v4) => {
            let on = InterfaceIndexOrAddress::Index(index);
            socket.set_ttl_v4(255).expect("a TTL");
            socket.bind(&address.into()).expect("a UDP port");
            socket.join_multicast_v4_n(&v4, &on).expect("the group");
        }
        IpAddr::V6(v6) => {
            socket.set_only_v6(true).expect("IPv6 only");
            socket.set_unicast_hops_v6(255).expect("a hop limit");
            socket.bind(&address.into()).expect("a UDP port");
            socket.join_multicast_v6(&v6, index).expect("the group");
        }
    }
    socket.into()
}

/// A reply that was accepted and done, with these results (RFC 5531 9).
fn reply(call: &[u8], results: &[u8]) -> Vec<u8> {
    let head: Vec<u8> = [1, 0, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect();
    [call.get(..4).unwrap_or_default(), &head, results].concat()
}

fn opaque(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    let text = String::from_utf8_lossy(bytes.get(at + 4..at + 4 + length)?).into_owned();
    Some((text, at + 4 + length.next_multiple_of(4)))
}
