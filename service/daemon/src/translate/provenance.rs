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
    /// [`mif_core::plan::Answer::encrypted`].
    pub(super) encrypted: bool,
}

impl Provenance {
    /// Anybody on the way could read and change it.
    pub(super) const fn in_the_clear(server: IpAddr, transport: Transport) -> Self {
        Self { server, transport, encrypted: false }
    }

    /// Notes on `message` that it came from here.
    pub(super) fn note_on(self, message: &mut Message) {
        let transport = match self.transport {
            Transport::Udp => b'u',
            Transport::Tcp => b't',
            Transport::Dot => b'd',
            Transport::Doh => b'h',
            Transport::Doq => b'q',
        };
        let mut bytes = vec![transport, u8::from(self.encrypted)];
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
        let ([transport, encrypted], address) = bytes.split_first_chunk::<2>()?;
        let transport = match transport {
            b'u' => Transport::Udp,
            b't' => Transport::Tcp,
            b'd' => Transport::Dot,
            b'h' => Transport::Doh,
            b'q' => Transport::Doq,
            _ => return None,
        };
        let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
        let server = v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()?;
        Some(Self { server, transport, encrypted: *encrypted != 0 })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::OpCode;

    #[test]
    fn a_note_replaces_what_the_server_put_there() {
        for (server, transport, encrypted) in [
            ("192.0.2.1", Transport::Udp, false),
            ("2001:db8::1", Transport::Tcp, false),
            ("192.0.2.1", Transport::Dot, false),
            ("2001:db8::1", Transport::Dot, true),
            ("192.0.2.1", Transport::Doh, true),
            ("2001:db8::1", Transport::Doq, true),
        ] {
            let provenance = Provenance { server: server.parse().unwrap(), transport, encrypted };
            let forged = Provenance {
                encrypted: true,
                ..Provenance::in_the_clear([203, 0, 113, 9].into(), Transport::Doh)
            };
            let mut message = Message::response(1, OpCode::Query);
            forged.note_on(&mut message);
            assert_eq!(Provenance::noted_in(&message.additionals), Some(forged));
            provenance.note_on(&mut message);
            assert_eq!(Provenance::noted_in(&message.additionals), Some(provenance));
        }
        assert_eq!(Provenance::noted_in(&[]), None);
    }
}
