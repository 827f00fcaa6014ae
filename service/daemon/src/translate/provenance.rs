//! Which server said it, and over which transport.
//!
//! hickory does not tell, and its cache keeps messages only. So a note travels inside the message itself, as a record
//! of a private type in the additional section, into the cache and out again. The answer of a server loses all its
//! other additional records before: they are of no use here, could hold a forged note, and cost memory in the cache.

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::NULL;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use mif_core::plan::Transport;
use std::net::IpAddr;

/// Private use (RFC 6895 3.1).
const NOTE: RecordType = RecordType::Unknown(0xff4d);

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provenance {
    pub(super) server: IpAddr,
    pub(super) transport: Transport,
}

impl Provenance {
    /// Notes on `message` that it came from here.
    pub(super) fn note_on(self, message: &mut Message) {
        let mut bytes = vec![match self.transport {
            Transport::Udp => b'u',
            Transport::Tcp => b't',
        }];
        match self.server {
            IpAddr::V4(v4) => bytes.extend(v4.octets()),
            IpAddr::V6(v6) => bytes.extend(v6.octets()),
        }
        let rdata = RData::Unknown { code: NOTE, rdata: NULL::with(bytes) };
        message.additionals = vec![Record::from_rdata(Name::root(), 0, rdata)];
        if !message.answers.is_empty() {
            // Only a negative answer needs its SOA (RFC 2308 3).
            message.authorities.clear();
        }
    }

    /// What was noted among `additionals`.
    pub(super) fn noted_in(additionals: &[Record]) -> Option<Self> {
        additionals.iter().find_map(|record| match &record.data {
            RData::Unknown { code, rdata } if *code == NOTE => Self::read(&rdata.anything),
            _ => None,
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, address) = bytes.split_first()?;
        let transport = match kind {
            b'u' => Transport::Udp,
            b't' => Transport::Tcp,
            _ => return None,
        };
        let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
        let server = v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()?;
        Some(Self { server, transport })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::OpCode;

    #[test]
    fn a_note_replaces_what_the_server_put_there() {
        for (server, transport) in [("192.0.2.1", Transport::Udp), ("2001:db8::1", Transport::Tcp)] {
            let provenance = Provenance { server: server.parse().unwrap(), transport };
            let forged = Provenance { server: "203.0.113.9".parse().unwrap(), transport: Transport::Udp };
            let mut message = Message::response(1, OpCode::Query);
            forged.note_on(&mut message);
            assert_eq!(Provenance::noted_in(&message.additionals), Some(forged));
            provenance.note_on(&mut message);
            assert_eq!(Provenance::noted_in(&message.additionals), Some(provenance));
        }
        assert_eq!(Provenance::noted_in(&[]), None);
    }
}
