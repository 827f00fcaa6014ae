//! One raw ICMPv6 socket that hears Router Advertisements on every link, and sends Router Solicitations.
//!
//! Every IPv6 link is in the all-nodes group, so that nothing is to be joined; the kernel hands the packets over
//! whatever its own accept_ra and forwarding say, and has verified their checksum.

use super::super::SourceError;
use super::super::readiness;
use mif_core::event::Ifindex;
use mif_core::ra::{ICMPV6_TYPE, ReceivedFrame};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SetSockOpt, SockaddrIn6, recvmsg, sendto, setsockopt,
    sockopt::{Ipv6RecvHopLimit, Ipv6RecvPacketInfo, RcvBufForce},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Room for advertisements that wait while the engine is busy: some thousands.
const RECEIVE_BUFFER: usize = 1 << 20;
/// The longest IPv6 packet without a jumbo payload.
const MAX_PACKET: usize = 65_535;
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// RFC 4861 4.1, without options: type, code, checksum (the kernel's work), reserved.
const ROUTER_SOLICITATION: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];
/// RFC 3542 3.2, `struct icmp6_filter`: a bit for each type, set for those that are kept away.
const ICMP6_FILTER: libc::c_int = 1;

/// The types that pass; for the socket option ICMP6_FILTER.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TypeFilter([u32; 8]);

impl TypeFilter {
    const fn only(icmp_type: u8) -> Self {
        let mut blocked = [u32::MAX; 8];
        blocked[(icmp_type >> 5) as usize] &= !(1 << (icmp_type & 31));
        Self(blocked)
    }
}

/// The socket option ICMP6_FILTER (RFC 3542 3.2), which nix does not have.
#[derive(Clone, Copy, Debug)]
struct Icmp6Filter;

impl SetSockOpt for Icmp6Filter {
    type Val = TypeFilter;

    fn set<F: AsFd>(&self, socket: &F, filter: &TypeFilter) -> nix::Result<()> {
        let length = size_of::<TypeFilter>() as libc::socklen_t;
        let value = std::ptr::from_ref(filter).cast();
        // SAFETY: the option takes an icmp6_filter, which TypeFilter has the layout of, and does not keep it.
        let result = unsafe {
            libc::setsockopt(socket.as_fd().as_raw_fd(), libc::IPPROTO_ICMPV6, ICMP6_FILTER, value, length)
        };
        Errno::result(result).map(drop)
    }
}

/// A packet's link, and what the network layer knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) ifindex: Ifindex,
    pub(super) frame: ReceivedFrame,
    /// Bytes of the ICMPv6 message at the begin of the buffer.
    pub(super) length: usize,
}

/// The socket.
#[derive(Debug)]
pub(super) struct RawSocket {
    io: AsyncFd<OwnedFd>,
}

impl RawSocket {
    /// Needs CAP_NET_RAW. `None`: this kernel has no IPv6.
    pub(super) fn open() -> Result<Option<Self>, SourceError> {
        let socket = match Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)) {
            Ok(socket) => socket,
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(SourceError::NoRawSocketPermitted(error));
            }
            Err(error) => return Err(SourceError::RawSocket(error)),
        };
        Self::prepare(socket).map(Some).map_err(SourceError::RawSocket)
    }

    fn prepare(socket: Socket) -> io::Result<Self> {
        // The filter first: what comes in before it would have to be told apart.
        setsockopt(&socket, Icmp6Filter, &TypeFilter::only(ICMPV6_TYPE))?;
        setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
        if setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_nonblocking(true)?;
        Ok(Self { io: readiness::readable(OwnedFd::from(socket))? })
    }

    /// A buffer for [`RawSocket::receive`].
    pub(super) fn buffer() -> Vec<u8> {
        vec![0; MAX_PACKET]
    }

    /// Waits for the next packet; `None` is one that the kernel said too little of. Cancel safe.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        loop {
            let mut ready = self.io.readable().await?;
            if let Ok(packet) = ready.try_io(|io| receive_once(io.get_ref(), buffer)) {
                return packet;
            }
        }
    }

    /// Sends a Router Solicitation on the link. The kernel takes a link-local source, or refuses when there is none.
    pub(super) fn solicit(&self, ifindex: Ifindex) -> io::Result<()> {
        let destination = SockaddrIn6::from(SocketAddrV6::new(ALL_ROUTERS, 0, 0, ifindex));
        sendto(self.io.get_ref().as_raw_fd(), &ROUTER_SOLICITATION, &destination, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

fn receive_once(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
    let mut parts = [IoSliceMut::new(buffer)];
    let received =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let mut ifindex = None;
    let mut hop_limit = None;
    for message in received.cmsgs()? {
        match message {
            ControlMessageOwned::Ipv6PacketInfo(info) => ifindex = Some(info.ipi6_ifindex),
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
            _ => {}
        }
    }
    let source = received.address.map(|address| address.ip());
    let (Some(ifindex), Some(hop_limit), Some(source)) = (ifindex, hop_limit, source) else {
        return Ok(None);
    };
    Ok(Some(Packet { ifindex, frame: ReceivedFrame { hop_limit, source }, length: received.bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_lets_one_type_pass() {
        let TypeFilter(blocked) = TypeFilter::only(ICMPV6_TYPE);
        let passing = |icmp_type: u8| blocked[usize::from(icmp_type / 32)] & 1 << (icmp_type % 32) == 0;
        let all: Vec<u8> = (0..=255).filter(|icmp_type| passing(*icmp_type)).collect();
        assert_eq!(all, [134]);
    }
}
