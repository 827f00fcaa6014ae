//! Replies of a NIS server and its host's port mapper.

use mif_core::nis::{ReplyError, read_hosts, read_port};

/// Reads any bytes as both, once as the reply to the call that they name and once as that to another.
pub fn check(datagram: &[u8]) {
    let named = datagram.first_chunk().map_or(0, |xid| u32::from_be_bytes(*xid));
    let _ = read_port(named, datagram);
    for host in read_hosts(named, datagram).into_iter().flatten() {
        let name = host.canonical_name.unwrap_or_default();
        assert!(!name.chars().any(|it| it.is_control() || it.is_whitespace()), "{name:?}");
    }
    let other = named.wrapping_add(1);
    for error in [read_port(other, datagram).err(), read_hosts(other, datagram).err()] {
        assert!(matches!(error, Some(ReplyError::NotOurs | ReplyError::Malformed)), "{error:?}");
    }
}
