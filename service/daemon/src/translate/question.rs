//! Questions to the neighbours of a link, and what their answers say: what multicast DNS and LLMNR have in common. Both
//! are DNS messages (RFC 6762 18, RFC 4795 2.1).

use super::delivery::Delivery;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordType};
use mif_core::configuration::AddressFamily;
use mif_core::plan::{Answer, AnswerSource, Families, LinkPlan, LinkQuestion, Transport};
use mif_core::text;
use std::net::{IpAddr, SocketAddr};

/// The longest chain of aliases that is followed.
const LONGEST_CHAIN: usize = 16;

/// One question, as it is on the wire.
pub(super) struct Question {
    message: Message,
    packet: Vec<u8>,
    /// For a question who has an address: which.
    owner_of: Option<IpAddr>,
    families: Families,
    /// It need not be asked again.
    pub(super) answered: bool,
}

/// Where an answer came from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) source: AnswerSource,
    pub(super) from: SocketAddr,
    pub(super) transport: Transport,
}

impl Question {
    /// The questions of `plan`: one a family, or the one for a reverse name.
    pub(super) fn of(plan: &LinkPlan, families: Families) -> Result<Vec<Self>, NetError> {
        // Labels are bytes here: nothing of them is to be turned into A-labels.
        let mut name = Name::from_labels(plan.name().split('.').map(str::as_bytes))?;
        name.set_fqdn(true);
        match plan.question {
            LinkQuestion::Owner(address, _) => {
                let question = Self::new(&name, RecordType::PTR, families)?;
                Ok(vec![Self { owner_of: Some(address), ..question }])
            }
            LinkQuestion::Addresses(_) => {
                [(AddressFamily::Ipv4, RecordType::A), (AddressFamily::Ipv6, RecordType::AAAA)]
                    .into_iter()
                    .filter(|(family, _)| families.includes(*family))
                    .map(|(_, record_type)| Self::new(&name, record_type, families))
                    .collect()
            }
        }
    }

    fn new(name: &Name, record_type: RecordType, families: Families) -> Result<Self, NetError> {
        // With a random id, and every flag clear (RFC 6762 18, RFC 4795 2.1.1).
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(name.clone(), record_type));
        let packet = message.to_vec()?;
        Ok(Self { message, packet, owner_of: None, families, answered: false })
    }

    pub(super) fn packet(&self) -> &[u8] {
        &self.packet
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    /// Whether `message` is an answer to this question: its id, its question, no error. (Both protocols have whoever
    /// answers repeat the question: RFC 6762 6.7, RFC 4795 2.1.1.)
    pub(super) fn is_answered_by(&self, message: &Message) -> bool {
        message.message_type == MessageType::Response
            && message.op_code == OpCode::Query
            && message.response_code == ResponseCode::NoError
            && message.id == self.message.id
            && message.queries == self.message.queries
    }

    /// Hands out what `records` say to this question. Whether they said anything.
    pub(super) fn deliver<'r, S: FnMut(Answer)>(
        &self,
        records: impl Iterator<Item = &'r Record> + Clone,
        origin: Origin,
        delivery: &mut Delivery<S>,
    ) -> bool {
        let records = records.filter(|record| is_internet(record.dns_class));
        let Some(asked) = self.message.queries.first().map(Query::name) else { return false };
        let (canonical, ttl) = follow(asked, records.clone());
        let mut said = false;
        for record in records.filter(|record| record.name == canonical) {
            let address = match (&record.data, self.owner_of) {
                (RData::PTR(owner), Some(address)) => {
                    delivery.name(shown(&owner.0));
                    Some(address)
                }
                (data, None) => data.ip_addr(),
                (_, Some(_)) => None,
            };
            let wanted = |address: &IpAddr| self.families.includes(AddressFamily::of(*address));
            let Some(address) = address.filter(wanted) else { continue };
            said = true;
            delivery.give(Answer {
                ttl: Some(ttl.min(record.ttl)),
                server: Some(origin.from.ip()),
                transport: Some(origin.transport),
                ..Answer::local(address, origin.source)
            });
        }
        if said && self.owner_of.is_none() {
            delivery.name(shown(&canonical));
        }
        said
    }
}

/// The top bit is not part of the class in multicast DNS (RFC 6762 10.2).
fn is_internet(class: DNSClass) -> bool {
    const TOP_BIT: u16 = 1 << 15;
    u16::from(class) & !TOP_BIT == u16::from(DNSClass::IN)
}

/// The end of the chain of aliases that begins at `name`, and the least TTL on the way. All of it must be there.
fn follow<'r>(name: &Name, records: impl Iterator<Item = &'r Record> + Clone) -> (Name, u32) {
    let (mut current, mut ttl) = (name.clone(), u32::MAX);
    for _ in 0..LONGEST_CHAIN {
        let alias = records.clone().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == current => Some((&target.0, record.ttl)),
            _ => None,
        });
        let Some((target, alias_ttl)) = alias else { break };
        ttl = ttl.min(alias_ttl);
        current = target.clone();
    }
    (current, ttl)
}

/// `name` as the contract writes text from the network: UTF-8 stays, everything odd is `\DDD`; no final dot.
fn shown(name: &Name) -> String {
    let label = |label: &[u8]| text::escape(label).replace('.', "\\046");
    name.iter().map(label).collect::<Vec<_>>().join(".")
}
