//! A neighbour that answers multicast DNS or LLMNR as it is told: rightly, wrongly, forged, late or not at all.

use super::dns::name;
use hickory_resolver::proto::op::{Message, Query};
use hickory_resolver::proto::rr::{Record, RecordType};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

/// The protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Mdns,
    Llmnr,
}

impl Dialect {
    pub fn groups(self) -> (Ipv4Addr, Ipv6Addr) {
        match self {
            Self::Mdns => ("224.0.0.251".parse().unwrap(), "ff02::fb".parse().unwrap()),
            Self::Llmnr => ("224.0.0.252".parse().unwrap(), "ff02::1:3".parse().unwrap()),
        }
    }

    pub const fn port(self) -> u16 {
        match self {
            Self::Mdns => 5353,
            Self::Llmnr => 5355,
        }
    }
}

/// A question that came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub from: SocketAddr,
    pub name: String,
    pub message: Message,
    pub tcp: bool,
}

impl Asked {
    pub fn record_type(&self) -> RecordType {
        self.message.queries[0].query_type()
    }

    /// The right answer, with nothing in it yet.
    pub fn answer(&self) -> Message {
        let mut answer = Message::response(self.message.id, self.message.op_code);
        answer.add_query(self.message.queries[0].clone());
        answer
    }

    /// The right answer with these records.
    pub fn with(&self, records: impl IntoIterator<Item = Record>) -> Reply {
        let mut answer = self.answer();
        answer.add_answers(records.into_iter().collect::<Vec<_>>());
        Reply::from(answer)
    }

    /// One address of the family that was asked for; nothing to any other question.
    pub fn address(&self, v4: &str, v6: &str) -> Reply {
        let owner = self.message.queries[0].name();
        match self.record_type() {
            RecordType::A => self.with([super::dns::address(owner, 10, v4)]),
            RecordType::AAAA => self.with([super::dns::address(owner, 10, v6)]),
            other => panic!("{other} was asked for"),
        }
    }

    /// An answer to another question.
    pub fn elsewhere(&self, records: Vec<Record>) -> Reply {
        let mut answer = Message::response(self.message.id, self.message.op_code);
        answer.add_query(Query::query(name("other.local"), self.record_type()));
        answer.add_answers(records);
        Reply::from(answer)
    }
}

/// A packet that is sent back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub hop_limit: u32,
    /// Another address of the neighbour than the one that a plain answer has.
    pub from: Option<&'static str>,
    pub port: Option<u16>,
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self::raw(message.to_vec().unwrap())
    }
}

impl Reply {
    pub fn raw(bytes: Vec<u8>) -> Self {
        Self { bytes, hop_limit: 255, from: None, port: None }
    }
}

/// The questions that came in, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Asked>>>);

impl Log {
    pub fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }

    /// How often `name` was asked for.
    pub fn count(&self, name: &str) -> usize {
        self.all().iter().filter(|asked| asked.name == name).count()
    }
}

/// What is sent back to a question, and how often it had been asked before.
pub type Script = fn(&Asked, usize) -> Vec<Reply>;

/// Answers in the network namespace of this thread, whose link is `peer`.
pub fn respond(dialect: Dialect, script: Script, log: &Log) {
    let (v4, v6) = dialect.groups();
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    for address in any {
        let socket = socket(SocketAddr::new(address, dialect.port()), Type::DGRAM);
        match address {
            IpAddr::V4(_) => {
                let peer = socket2::InterfaceIndexOrAddress::Index(super::ifindex("peer"));
                socket.join_multicast_v4_n(&v4, &peer).unwrap();
            }
            IpAddr::V6(_) => socket.join_multicast_v6(&v6, super::ifindex("peer")).unwrap(),
        }
        let (udp, udp_log): (UdpSocket, Log) = (socket.into(), log.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 9000];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                let Some((asked, before)) = note(&buffer[..length], from, false, &udp_log) else { continue };
                for reply in script(&asked, before) {
                    send(&reply, from, dialect);
                }
            }
        });
        if dialect == Dialect::Llmnr {
            respond_by_tcp(address, script, log.clone());
        }
    }
}

fn respond_by_tcp(address: IpAddr, script: Script, log: Log) {
    let socket = socket(SocketAddr::new(address, Dialect::Llmnr.port()), Type::STREAM);
    socket.listen(16).unwrap();
    let listener: TcpListener = socket.into();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let log = log.clone();
            std::thread::spawn(move || {
                let from = stream.peer_addr().unwrap();
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    return;
                }
                let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut packet).unwrap();
                let Some((asked, before)) = note(&packet, from, true, &log) else { return };
                for reply in script(&asked, before) {
                    let length = u16::try_from(reply.bytes.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &reply.bytes].concat()).unwrap();
                }
            });
        }
    });
}

fn note(packet: &[u8], from: SocketAddr, tcp: bool, log: &Log) -> Option<(Asked, usize)> {
    let message = Message::from_vec(packet).ok()?;
    let query = message.queries.first()?;
    let labels: Vec<String> =
        query.name().iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    let asked = Asked { from, name: labels.join("."), message: message.clone(), tcp };
    let mut log = log.0.lock().unwrap();
    let same = |known: &&Asked| known.name == asked.name && known.record_type() == asked.record_type();
    let before = log.iter().filter(same).count();
    log.push(asked.clone());
    Some((asked, before))
}

fn socket(address: SocketAddr, kind: Type) -> Socket {
    let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol)).unwrap();
    socket.set_reuse_address(true).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    socket
}

/// From a socket of its own, on the port of the protocol, or another one when it is told so.
fn send(reply: &Reply, to: SocketAddr, dialect: Dialect) {
    let own: IpAddr = match (reply.from, to) {
        (Some(from), _) => from.parse().unwrap(),
        (None, SocketAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (None, SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut own = SocketAddr::new(own, reply.port.unwrap_or(dialect.port()));
    if let SocketAddr::V6(v6) = &mut own
        && v6.ip().is_unicast_link_local()
    {
        *v6 = SocketAddrV6::new(*v6.ip(), v6.port(), 0, super::ifindex("peer"));
    }
    let socket = socket(own, Type::DGRAM);
    match to {
        SocketAddr::V4(_) => socket.set_ttl_v4(reply.hop_limit).unwrap(),
        SocketAddr::V6(_) => socket.set_unicast_hops_v6(reply.hop_limit).unwrap(),
    }
    // Whoever asked may have closed its port.
    let _ = socket.send_to(&reply.bytes, &to.into());
}
