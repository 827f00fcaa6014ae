//! Messages that the kernel need not put into a queue, for nobody here would look at them (SO_ATTACH_FILTER, socket(7)).
//!
//! With each address come and go routes that say nothing new, a router may have a million more in tables that are not
//! ours, and IPv6 neighbours come and go all the time: to read each of them, only to leave it out, the service would be
//! woken for nothing.

use super::message::HEADER_LENGTH;
use socket2::{SockFilter, SockRef};
use std::io;
use std::os::fd::AsFd;

/// Where `struct nlmsghdr` has the type of a message.
const KIND: usize = 4;
/// Where `struct rtmsg` has the length of a route's destination, its table and its protocol.
const DESTINATION_LENGTH: usize = 1;
pub(crate) const ROUTE_TABLE: usize = 4;
pub(crate) const ROUTE_PROTOCOL: usize = 5;
/// Where `struct ndmsg` has the family of an address.
const NEIGHBOUR_FAMILY: usize = 0;
/// RTPROT_KERNEL
const BY_KERNEL: u8 = 2;
/// How many bytes of a message are kept.
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// Which messages of routes and neighbours a socket gets. It gets all other messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Routes of the main table, but none that the kernel made itself for the addresses of a link.
    MainTable,
    /// What the keeper of the routes of this protocol acts on: that one is gone, and IPv4 neighbours.
    KeeperOf(u8),
}

impl Filter {
    /// Has the kernel leave out the others from now on.
    pub(super) fn attach(self, socket: &impl AsFd) -> io::Result<()> {
        SockRef::from(socket).attach_filter(&self.program())
    }

    /// For the classic BPF machine. What is too short for the program is left out.
    fn program(self) -> Vec<SockFilter> {
        let (keep, leave_out) = (answer(ALL), answer(NOTHING));
        match self {
            Self::MainTable => vec![
                load_kind(),
                if_kind(libc::RTM_NEWROUTE, 1, 0),
                if_kind(libc::RTM_DELROUTE, 0, 6),
                load_inside(ROUTE_TABLE),
                if_byte(libc::RT_TABLE_MAIN, 0, 5),
                load_inside(ROUTE_PROTOCOL),
                if_byte(BY_KERNEL, 0, 2),
                // A default route of the kernel is what a router advertised.
                load_inside(DESTINATION_LENGTH),
                if_byte(0, 0, 1),
                keep,
                leave_out,
            ],
            Self::KeeperOf(protocol) => vec![
                load_kind(),
                if_kind(libc::RTM_NEWROUTE, 8, 0),
                if_kind(libc::RTM_DELNEIGH, 7, 0),
                if_kind(libc::RTM_DELROUTE, 1, 0),
                if_kind(libc::RTM_NEWNEIGH, 2, 4),
                load_inside(ROUTE_PROTOCOL),
                if_byte(protocol, 2, 3),
                load_inside(NEIGHBOUR_FAMILY),
                if_byte(libc::AF_INET as u8, 0, 1),
                keep,
                leave_out,
            ],
        }
    }
}

fn load_kind() -> SockFilter {
    load(libc::BPF_H, KIND)
}

fn load_inside(at: usize) -> SockFilter {
    load(libc::BPF_B, HEADER_LENGTH + at)
}

fn load(size: u32, at: usize) -> SockFilter {
    instruction(libc::BPF_LD | size | libc::BPF_ABS, 0, 0, at as u32)
}

/// Leaves out `then` or `otherwise` instructions.
fn if_kind(kind: u16, then: u8, otherwise: u8) -> SockFilter {
    // The machine reads in the byte order of networks what the kernel has written in its own.
    if_equal(u16::from_be_bytes(kind.to_ne_bytes()).into(), then, otherwise)
}

fn if_byte(byte: u8, then: u8, otherwise: u8) -> SockFilter {
    if_equal(byte.into(), then, otherwise)
}

fn if_equal(value: u32, then: u8, otherwise: u8) -> SockFilter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, then, otherwise, value)
}

fn answer(bytes: u32) -> SockFilter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, bytes)
}

fn instruction(code: u32, then: u8, otherwise: u8, value: u32) -> SockFilter {
    // Codes have 16 bits.
    SockFilter::new(code as u16, then, otherwise, value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::ErrorKind;
    use std::os::unix::net::UnixDatagram;

    const LOCAL_TABLE: u8 = 255;
    const OURS: u8 = 77;
    const STATIC: u8 = 4;
    const NEW_NETCONF: u16 = 80;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER_LENGTH + payload.len()).unwrap();
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], payload].concat()
    }

    fn route(kind: u16, table: u8, protocol: u8, destination_length: u8) -> Vec<u8> {
        message(kind, &[libc::AF_INET as u8, destination_length, 0, 0, table, protocol, 0, 1, 0, 0, 0, 0])
    }

    /// The kernel's own machine decides.
    fn passes(filter: Filter, message: &[u8]) -> bool {
        let (near, far) = UnixDatagram::pair().unwrap();
        filter.attach(&near).unwrap();
        near.set_nonblocking(true).unwrap();
        far.send(message).unwrap();
        match near.recv(&mut [0; 64]) {
            Ok(length) => {
                assert_eq!(length, message.len());
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }

    #[test]
    fn of_the_main_table_are_all_but_the_kernels_own() {
        let main = libc::RT_TABLE_MAIN;
        for kind in [libc::RTM_NEWROUTE, libc::RTM_DELROUTE] {
            let passes = |route: Vec<u8>| passes(Filter::MainTable, &route);
            assert!(passes(route(kind, main, STATIC, 24)));
            assert!(passes(route(kind, main, STATIC, 0)));
            assert!(passes(route(kind, main, BY_KERNEL, 0)));
            assert!(!passes(route(kind, main, BY_KERNEL, 24)));
            assert!(!passes(route(kind, LOCAL_TABLE, BY_KERNEL, 32)));
            assert!(!passes(route(kind, 100, STATIC, 0)));
        }
    }

    #[test]
    fn who_waits_for_routes_to_go_hears_of_no_others() {
        let passes = |route: Vec<u8>| passes(Filter::KeeperOf(OURS), &route);
        assert!(passes(route(libc::RTM_DELROUTE, 0, OURS, 0)));
        assert!(!passes(route(libc::RTM_DELROUTE, 0, STATIC, 0)));
        assert!(!passes(route(libc::RTM_NEWROUTE, 0, OURS, 0)));
    }

    #[test]
    fn who_keeps_routes_hears_of_neighbours_of_ipv4_that_are_there() {
        let neighbour = |kind, family: i32| message(kind, &[family as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let passes = |neighbour: Vec<u8>| passes(Filter::KeeperOf(OURS), &neighbour);
        assert!(passes(neighbour(libc::RTM_NEWNEIGH, libc::AF_INET)));
        assert!(!passes(neighbour(libc::RTM_NEWNEIGH, libc::AF_INET6)));
        assert!(!passes(neighbour(libc::RTM_DELNEIGH, libc::AF_INET)));
    }

    #[test]
    fn everything_else_passes() {
        for filter in [Filter::MainTable, Filter::KeeperOf(OURS)] {
            for kind in [libc::RTM_NEWLINK, libc::RTM_DELADDR, libc::RTM_DELRULE, NEW_NETCONF] {
                assert!(passes(filter, &message(kind, &[])), "{filter:?} {kind}");
            }
            let error = u16::try_from(libc::NLMSG_ERROR).unwrap();
            assert!(passes(filter, &message(error, &[0; 4])));
        }
    }
}
