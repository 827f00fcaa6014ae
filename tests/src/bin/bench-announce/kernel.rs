//! Changes made in this process, by netlink, so that none waits for another program.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

const REQUEST_ACK: u16 = 0x5;
const CREATE_EXCLUSIVE: u16 = 0x600;
const HEADER: usize = 16;
/// `NLMSG_ERROR`: the answer, with 0 for "done".
const ERROR: u16 = 2;

/// A netlink socket.
#[derive(Debug)]
pub struct Kernel(OwnedFd);

impl Kernel {
    /// Opens one.
    pub fn open() -> Self {
        let (domain, kind) = (AddressFamily::Netlink, SockType::Raw);
        Self(socket(domain, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).expect("netlink"))
    }

    /// Makes a bridge, which is a link without ends elsewhere.
    pub fn add_link(&self, name: &str) {
        let kind = attribute(libc::IFLA_INFO_KIND, b"bridge");
        let mut body = vec![0; 16]; // ifinfomsg
        body.extend(attribute(libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat()));
        body.extend(attribute(libc::IFLA_LINKINFO, &kind));
        self.ask(libc::RTM_NEWLINK, CREATE_EXCLUSIVE, &body);
    }

    /// Removes a link.
    pub fn remove_link(&self, name: &str) {
        let mut body = vec![0; 16];
        body.extend(attribute(libc::IFLA_IFNAME, &[name.as_bytes(), &[0]].concat()));
        self.ask(libc::RTM_DELLINK, 0, &body);
    }

    /// Gives a link an address with a prefix of 24 bits.
    pub fn add_address(&self, address: Ipv4Addr, ifindex: u32) {
        self.ask(libc::RTM_NEWADDR, CREATE_EXCLUSIVE, &address_message(address, ifindex));
    }

    /// Takes it away.
    pub fn remove_address(&self, address: Ipv4Addr, ifindex: u32) {
        self.ask(libc::RTM_DELADDR, 0, &address_message(address, ifindex));
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8]) {
        let length = u32::try_from(HEADER + body.len()).expect("a short message");
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST_ACK | flags).to_ne_bytes());
        message.extend([0; 8]); // sequence number and sender
        message.extend(body);
        sendto(self.0.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty()).expect("ask");
        let mut answer = [0; 1_024];
        let length = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()).expect("an answer");
        assert!(length >= HEADER + 4 && u16::from_ne_bytes([answer[4], answer[5]]) == ERROR, "{length}");
        let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
        assert_eq!(code, 0, "the kernel refuses message {kind}");
    }
}

/// `ifaddrmsg` and the address, as local and as the peer's.
fn address_message(address: Ipv4Addr, ifindex: u32) -> Vec<u8> {
    const PREFIX_LENGTH: u8 = 24;
    let mut body = vec![u8::try_from(libc::AF_INET).expect("a family"), PREFIX_LENGTH, 0, 0];
    body.extend(ifindex.to_ne_bytes());
    body.extend(attribute(libc::IFA_LOCAL, &address.octets()));
    body.extend(attribute(libc::IFA_ADDRESS, &address.octets()));
    body
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("a short value");
    let mut attribute = length.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}
