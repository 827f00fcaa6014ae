//! Netlink messages and attributes as they lie in a datagram. Total: what is cut or does not add up is the end.

use netlink_packet_core::NlasIterator;

/// `struct nlmsghdr`.
pub(super) const HEADER_LENGTH: usize = 16;
/// `struct nlattr`.
const ATTRIBUTE_HEADER_LENGTH: usize = 4;
const ALIGNMENT: usize = 4;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// `RTM_*` or `NLMSG_*`.
    pub(crate) kind: u16,
    /// `NLM_F_*`.
    pub(crate) flags: u16,
    /// The number of the request that this answers.
    pub(crate) sequence: u32,
    /// What comes after the header.
    pub(crate) payload: &'a [u8],
}

/// The messages of a datagram, in order.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<HEADER_LENGTH>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let payload = rest.get(HEADER_LENGTH..length)?;
        rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    })
}

/// The attributes in `bytes` as (type, value), up to the first one that does not add up.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute| {
        let kind = attribute.kind();
        let length = usize::from(attribute.length());
        (kind, attribute.into_inner().get(ATTRIBUTE_HEADER_LENGTH..length).unwrap_or_default())
    })
}

/// A native-endian 32-bit attribute.
pub(crate) fn read_u32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|four| u32::from_ne_bytes(*four))
}

/// A string attribute as its bytes, without the NUL that ends it.
pub(super) fn read_bytes(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER_LENGTH + payload.len()).unwrap_or(0);
        let mut bytes =
            [length.to_ne_bytes().as_slice(), &kind.to_ne_bytes(), &[2, 0], &[7, 0, 0, 0], &[0; 4]].concat();
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0xee);
        bytes
    }

    #[test]
    fn several_messages_with_padding() {
        let datagram = [message(16, b"abcde"), message(20, b"")].concat();
        let found: Vec<_> = messages(&datagram).map(|found| (found.kind, found.payload)).collect();
        assert_eq!(found, [(16, b"abcde".as_slice()), (20, b"".as_slice())]);
    }

    #[test]
    fn what_does_not_add_up_is_the_end() {
        let good = message(16, b"abcd");
        assert_eq!(messages(&good[..good.len() - 1]).count(), 0);
        let mut short = message(16, b"abcd");
        short[0] = 15;
        assert_eq!(messages(&short).count(), 0);
        let mut endless = good.clone();
        endless.extend([0; 40]);
        assert_eq!(messages(&endless).count(), 1);
    }

    #[test]
    fn attributes_stop_at_one_that_is_cut() {
        let bytes = [[5, 0, 3, 0, b'x', 0, 0, 0], [4, 0, 4, 0, 9, 0, 5, 0]].concat();
        if cfg!(target_endian = "little") {
            let found: Vec<_> = attributes(&bytes).collect();
            assert_eq!(found, [(3, b"x".as_slice()), (4, b"".as_slice())]);
        }
    }

    #[test]
    fn strings_end_at_their_nul() {
        assert_eq!(read_bytes(b"eth0\0\0"), b"eth0");
        assert_eq!(read_bytes(b"eth0"), b"eth0");
        assert_eq!(read_bytes(b""), b"");
    }
}
