//! A DNS server that does as it is told: it answers, holds answers back, truncates or keeps silent.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::node::Node;

const PORT: u16 = 53;
pub(crate) const A: u16 = 1;
const CNAME: u16 = 5;
pub(crate) const AAAA: u16 = 28;
const TTL: u32 = 60;
/// QR and RA (RFC 1035 4.1.1); RD is sent back as it came.
const RESPONSE: u16 = 0x8080;
const TRUNCATED: u16 = 0x0200;
const NAME_ERROR: u16 = 3;

/// What is said to the questions for one name.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    addresses: Vec<IpAddr>,
    alias: Option<String>,
    silent: bool,
    held: Option<u16>,
    over_tcp: bool,
    other: Vec<(u16, Vec<u8>)>,
}

impl Reply {
    /// These addresses, to the questions of their family; none of the family asked for is NODATA.
    pub fn addresses<T: Into<IpAddr>>(addresses: impl IntoIterator<Item = T>) -> Self {
        Self { addresses: addresses.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// A record of any type, and nothing to other questions; `data` is as it is on the wire.
    pub fn record(kind: u16, data: Vec<u8>) -> Self {
        Self { other: vec![(kind, data)], ..Self::default() }
    }

    /// Nothing at all.
    pub fn silence() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// The addresses are those of another name, which this one is an alias of.
    #[must_use]
    pub fn alias_of(mut self, canonical: &str) -> Self {
        self.alias = Some(canonical.to_owned());
        self
    }

    /// Says what it says to questions for AAAA only after [`DnsServer::release`].
    #[must_use]
    pub fn hold_ipv6(mut self) -> Self {
        self.held = Some(AAAA);
        self
    }

    /// Says over UDP only that the answer is too long (TC).
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        self.over_tcp = true;
        self
    }
}

/// A question that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asked.
    pub from: IpAddr,
    /// For which name, without the final dot.
    pub name: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

impl Question {
    /// The question in a packet.
    pub(crate) fn read(packet: &[u8], from: IpAddr, tcp: bool) -> Option<Self> {
        read_name(packet).map(|(name, _)| Self { from, name, tcp })
    }
}

/// A DNS server on one address of a node. Names it was told nothing about do not exist (NXDOMAIN).
#[derive(Debug)]
pub struct DnsServer(Arc<Zone>);

/// What a server knows, and what it was asked.
#[derive(Debug)]
pub struct Zone {
    zone: BTreeMap<String, Reply>,
    suffixes: Vec<(String, Reply)>,
    questions: Mutex<Vec<Question>>,
    released: Mutex<bool>,
    release: Condvar,
}

impl DnsServer {
    /// Starts it on port 53. A name `*.example.test` stands for every name below `example.test`.
    ///
    /// # Panics
    /// When the node does not have the address.
    pub fn on<'a>(node: &Node, address: IpAddr, zone: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        let shared = Arc::new(Zone::new(zone));
        let (udp, tcp) = node.within(|| {
            let at = SocketAddr::new(address, PORT);
            (UdpSocket::bind(at).expect("a UDP port"), TcpListener::bind(at).expect("a TCP port"))
        });
        let for_udp = Arc::clone(&shared);
        std::thread::spawn(move || serve_udp(&Arc::new(udp), &for_udp));
        let for_tcp = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let shared = Arc::clone(&for_tcp);
                // A client that hangs up in the middle is its own affair.
                std::thread::spawn(move || drop(serve_tcp(stream, &shared)));
            }
        });
        Self(shared)
    }

    /// The questions so far, in the order in which they came.
    pub fn questions(&self) -> Vec<Question> {
        lock(&self.0.questions).clone()
    }

    /// How often a name was asked for.
    pub fn count(&self, name: &str) -> usize {
        self.questions().iter().filter(|question| question.name == name).count()
    }

    /// Sends what was held back, and holds nothing back from now on.
    pub fn release(&self) {
        self.0.release();
    }
}

fn serve_udp(socket: &Arc<UdpSocket>, shared: &Arc<Zone>) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let (packet, socket, shared) = (buffer[..length].to_vec(), Arc::clone(socket), Arc::clone(shared));
        std::thread::spawn(move || {
            if let Some(answer) = shared.answer(&packet, from.ip(), false) {
                // The client may have closed its socket.
                let _ = socket.send_to(&answer, from);
            }
        });
    }
}

fn serve_tcp(mut stream: TcpStream, shared: &Zone) -> io::Result<()> {
    let from = stream.peer_addr()?.ip();
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut packet)?;
        if let Some(answer) = shared.answer(&packet, from, true) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes()[..], &answer].concat())?;
        }
    }
}

impl Zone {
    /// As [`DnsServer::on`] takes it.
    pub(crate) fn new<'a>(zone: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
        let names = zone.into_iter().map(|(name, reply)| (name.to_owned(), reply));
        let (suffixes, zone): (Vec<_>, Vec<_>) = names.partition(|(name, _)| name.starts_with('*'));
        Self {
            zone: zone.into_iter().collect(),
            suffixes: suffixes.into_iter().map(|(name, reply)| (name[1..].to_owned(), reply)).collect(),
            questions: Mutex::default(),
            released: Mutex::default(),
            release: Condvar::new(),
        }
    }

    /// [`DnsServer::release`].
    pub(crate) fn release(&self) {
        *lock(&self.released) = true;
        self.release.notify_all();
    }

    fn reply_for(&self, name: &str) -> Option<&Reply> {
        let below =
            || self.suffixes.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, reply)| reply);
        self.zone.get(name).or_else(below)
    }

    /// The answer to a packet, when there is to be one. Waits as long as it is held back.
    pub(crate) fn answer(&self, packet: &[u8], from: IpAddr, tcp: bool) -> Option<Vec<u8>> {
        let (name, end) = read_name(packet)?;
        let kind = u16::from_be_bytes(packet.get(end..end + 2)?.try_into().ok()?);
        lock(&self.questions).push(Question { from, name: name.clone(), tcp });
        let reply = self.reply_for(&name);
        if reply.is_some_and(|reply| reply.silent) {
            return None;
        }
        if reply.is_some_and(|reply| reply.held == Some(kind)) {
            let released = lock(&self.released);
            drop(self.release.wait_while(released, |released| !*released));
        }
        let (mut flags, mut records) =
            (RESPONSE | u16::from_be_bytes([packet[2], packet[3]]) & 0x0100, vec![]);
        match reply {
            None => flags |= NAME_ERROR,
            Some(reply) if reply.over_tcp && !tcp => flags |= TRUNCATED,
            Some(reply) => records = reply.records(kind),
        }
        let mut answer = packet[..2].to_vec();
        let count = u16::try_from(records.len()).ok()?;
        for number in [flags, 1, count, 0, 0] {
            answer.extend(number.to_be_bytes());
        }
        answer.extend(packet.get(12..end + 4)?);
        answer.extend(records.concat());
        Some(answer)
    }
}

impl Reply {
    fn records(&self, kind: u16) -> Vec<Vec<u8>> {
        // A pointer to the name in the question (RFC 1035 4.1.4).
        let mut owner = vec![0xc0, 12];
        let mut records = Vec::new();
        if let Some(canonical) = &self.alias {
            let target = write_name(canonical);
            records.push(record(&owner, CNAME, &target));
            owner = target;
        }
        for address in &self.addresses {
            match address {
                IpAddr::V4(v4) if kind == A => records.push(record(&owner, A, &v4.octets())),
                IpAddr::V6(v6) if kind == AAAA => records.push(record(&owner, AAAA, &v6.octets())),
                IpAddr::V4(_) | IpAddr::V6(_) => {}
            }
        }
        let other = self.other.iter().filter(|(of, _)| *of == kind);
        records.extend(other.map(|(of, data)| record(&owner, *of, data)));
        records
    }
}

pub(crate) fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend(1_u16.to_be_bytes());
    record.extend(TTL.to_be_bytes());
    record.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
    record.extend(data);
    record
}

/// The name of the question, and where it ends.
pub(crate) fn read_name(packet: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_ascii_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).into_owned());
        at += length;
    }
}

pub(crate) fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let packet = [vec![0; 12], write_name("www.example.test"), vec![0, 1, 0, 1]].concat();
        assert_eq!(read_name(&packet), Some(("www.example.test".to_owned(), 30)));
        assert_eq!(read_name(&packet[..20]), None);
    }
}
