//! A DNS server that does what the name says: it answers, waits, lies, truncates or keeps silent.

use hickory_resolver::proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A question that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub from: SocketAddr,
    pub name: String,
    pub record_type: RecordType,
    pub tcp: bool,
}

/// The questions that came in, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Question>>>);

impl Log {
    pub fn all(&self) -> Vec<Question> {
        self.0.lock().unwrap().clone()
    }

    /// How often `name` was asked for.
    pub fn count(&self, name: &str) -> usize {
        self.all().iter().filter(|question| question.name == name).count()
    }
}

/// What a server does with a question.
#[derive(Clone)]
pub enum Reply {
    /// Says this.
    Records(Vec<Record>),
    /// Says that.
    Code(ResponseCode),
    /// Says it later.
    Late(Duration, Box<Self>),
    /// Cuts it off over UDP.
    OverTcp(Vec<Record>),
    /// Sends forged answers before the right one: another id, another question.
    AfterForgeries(Vec<Record>),
    /// Over UDP that it is too long; over TCP half of it, and hangs up.
    HalfOverTcp(Vec<Record>),
    /// These packets, which are made of the one that came in; second argument: who sent it, third: over TCP.
    Packets(fn(&Message, SocketAddr, bool) -> Vec<Vec<u8>>),
    /// Nothing at all.
    Silence,
}

/// What is said to a question, by its name and type.
pub type Zone = fn(&Name, RecordType) -> Reply;

/// The domain of all the names here.
pub fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

pub fn address(owner: &Name, ttl: u32, address: &str) -> Record {
    let rdata = match address.parse().unwrap() {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(owner.clone(), ttl, rdata)
}

pub fn alias(owner: &Name, ttl: u32, target: &Name) -> Record {
    Record::from_rdata(owner.clone(), ttl, RData::CNAME(CNAME(target.clone())))
}

/// Serves `zone` on one address of the network namespace of this thread. (A server on all of them could answer from
/// another address than it was asked at.)
pub fn serve(address: &str, zone: Zone, log: &Log) {
    let address = match address.parse().unwrap() {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(v6, 53, 0, super::ifindex("peer")))
        }
        address => SocketAddr::new(address, 53),
    };
    let udp = Arc::new(UdpSocket::bind(address).unwrap());
    let tcp = TcpListener::bind(address).unwrap();
    let udp_log = log.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let (udp, log, packet) = (Arc::clone(&udp), udp_log.clone(), buffer[..length].to_vec());
            std::thread::spawn(move || {
                for answer in answers(&packet, from, false, zone, &log) {
                    udp.send_to(&answer, from).unwrap();
                }
            });
        }
    });
    let tcp_log = log.clone();
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let log = tcp_log.clone();
            std::thread::spawn(move || {
                let from = stream.peer_addr().unwrap();
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut packet).unwrap();
                    for mut answer in answers(&packet, from, true, zone, &log) {
                        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                        let half = is_told_half(&packet, zone);
                        answer.truncate(if half { answer.len() / 2 } else { answer.len() });
                        // Who does not like what it hears hangs up.
                        let written = stream.write_all(&[&length[..], &answer].concat());
                        if half || written.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
}

fn is_told_half(packet: &[u8], zone: Zone) -> bool {
    let request = Message::from_vec(packet).unwrap();
    matches!(zone(request.queries[0].name(), request.queries[0].query_type()), Reply::HalfOverTcp(_))
}

fn answers(packet: &[u8], from: SocketAddr, tcp: bool, zone: Zone, log: &Log) -> Vec<Vec<u8>> {
    let request = Message::from_vec(packet).unwrap();
    let query = request.queries[0].clone();
    let name = query.name().to_ascii().trim_end_matches('.').to_owned();
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    let question = Question { from, name, record_type: query.query_type(), tcp };
    log.0.lock().unwrap().push(question);
    let reply = zone(query.name(), query.query_type());
    if let Reply::Packets(packets) = reply {
        return packets(&request, from, tcp);
    }
    perform(reply, &request, &query, tcp)
}

fn perform(reply: Reply, request: &Message, query: &Query, tcp: bool) -> Vec<Vec<u8>> {
    let mut answer = Message::response(request.id, request.op_code);
    assert_eq!(answer.message_type, MessageType::Response);
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match reply {
        Reply::Silence | Reply::Packets(_) => return Vec::new(),
        Reply::Late(wait, reply) => {
            std::thread::sleep(wait);
            return perform(*reply, request, query, tcp);
        }
        Reply::Code(code) => answer.metadata.response_code = code,
        Reply::OverTcp(_) | Reply::HalfOverTcp(_) if !tcp => answer.metadata.truncation = true,
        Reply::Records(records) | Reply::OverTcp(records) | Reply::HalfOverTcp(records) => {
            answer.add_answers(records);
        }
        Reply::AfterForgeries(records) => {
            let mut other_id = answer.clone();
            other_id.metadata.id = answer.id.wrapping_add(1);
            other_id.add_answer(self::address(query.name(), 60, "203.0.113.66"));
            let mut other_question = Message::response(request.id, request.op_code);
            other_question.add_query(Query::query(self::name("other.example"), query.query_type()));
            other_question.add_answer(self::address(query.name(), 60, "203.0.113.66"));
            answer.add_answers(records);
            return [other_id, other_question, answer].map(|message| message.to_vec().unwrap()).into();
        }
    }
    if answer.answers.is_empty() && !answer.truncation {
        let soa = SOA::new(self::name("ns.example"), self::name("root.example"), 1, 3600, 600, 86400, 60);
        answer.add_authority(Record::from_rdata(self::name("example"), 60, RData::SOA(soa)));
    }
    vec![answer.to_vec().unwrap()]
}
