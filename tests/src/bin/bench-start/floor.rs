//! The floor: what it takes to read the kernel's state at all.

use crate::figures::{COMPLETE, case};
use mif_tests::report::Report;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::AsRawFd;
use std::time::Instant;

const REQUEST_DUMP: u16 = 0x301;
const DONE: u16 = 3;
const HEADER: usize = 16;

/// Dumps links, addresses and routes.
pub fn measure(links: usize, report: &mut Report) {
    let begin = Instant::now();
    for kind in [libc::RTM_GETLINK, libc::RTM_GETADDR, libc::RTM_GETROUTE] {
        dump(kind);
    }
    report.add(&case(links), "netlink dump", COMPLETE, begin.elapsed().as_secs_f64() * 1e3);
}

fn dump(kind: u16) {
    let (domain, kind_of_socket) = (AddressFamily::Netlink, SockType::Raw);
    let socket = socket(domain, kind_of_socket, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
    let socket = socket.expect("a netlink socket");
    // nlmsghdr, and of ifinfomsg, ifaddrmsg and rtmsg nothing but zeroes.
    let mut request = [0_u8; HEADER + 16];
    request[0..4].copy_from_slice(&32_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&kind.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &request, &kernel, MsgFlags::empty()).expect("ask the kernel");
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("its answer");
        if holds_the_end(&buffer[..length]) {
            return;
        }
    }
}

fn holds_the_end(mut messages: &[u8]) -> bool {
    while let Some((header, _)) = messages.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if u16::from_ne_bytes([header[4], header[5]]) == DONE {
            return true;
        }
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}
