//! Datagram sockets that ask a multicast group on one link.

use super::Scope;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::{Ipv4RecvTtl, Ipv6RecvHopLimit},
};
use socket2::{Domain, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Neither crosses a router, so that a receiver can tell that the sender is on its link (RFC 6762 11, RFC 4795 2.5).
const HOP_LIMIT: u32 = 255;

/// A socket of one scope, on a port of its own, that asks one group and hears whoever answers to that port.
///
/// It joins no group: answers come to its own port alone, and a responder of this host on the protocol's port is not
/// disturbed.
#[derive(Debug)]
pub struct GroupSocket {
    io: UdpSocket,
    group: SocketAddr,
}

/// Where a datagram came from. Its bytes are at the begin of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// What was left of its hop limit (TTL), if the kernel said so.
    pub hop_limit: Option<u8>,
    /// How many bytes it has.
    pub length: usize,
}

impl GroupSocket {
    /// A socket in `scope` that asks `group` from `source`; `None` lets the kernel take the interface's own
    /// link-local address.
    ///
    /// # Errors
    /// What the kernel says; EADDRNOTAVAIL: `source` is no address of this host.
    pub fn new(scope: Scope, group: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let socket = super::new(scope, group, Type::DGRAM, socket2::Protocol::UDP)?;
        // The scope's interface is the one that multicast leaves by, too.
        if group.is_ipv4() {
            socket.set_multicast_ttl_v4(HOP_LIMIT)?;
            // What this host calls itself is in its host table.
            socket.set_multicast_loop_v4(false)?;
            setsockopt(&socket, Ipv4RecvTtl, &true)?;
        } else {
            socket.set_multicast_hops_v6(HOP_LIMIT)?;
            socket.set_multicast_loop_v6(false)?;
            setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
        }
        match source {
            Some(source) => super::bind(&socket, scope, source)?,
            // A port before the first packet: answers to any other could not be told from noise.
            None => socket.bind(&any(socket.domain()?).into())?,
        }
        Ok(Self { io: UdpSocket::from_std(socket.into())?, group })
    }

    /// The group that it asks.
    pub const fn group(&self) -> SocketAddr {
        self.group
    }

    /// Asks.
    ///
    /// # Errors
    /// What the kernel says: ENODEV, ENETUNREACH, ENETDOWN when the interface is going.
    pub async fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.io.send_to(packet, self.group).await.map(drop)
    }

    /// The next datagram.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn poll_receive(&self, task: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Datagram>> {
        loop {
            ready!(self.io.poll_recv_ready(task))?;
            match self.io.try_io(Interest::READABLE, || receive(&self.io, buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return Poll::Ready(received),
            }
        }
    }
}

fn any(domain: Domain) -> SocketAddr {
    if domain == Domain::IPV4 {
        SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0))
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut control = nix::cmsg_space!(libc::c_int);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let hop_limit = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
            u8::try_from(limit).ok()
        }
        _ => None,
    });
    let from = received.address.and_then(socket_address).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Datagram { from, hop_limit, length: received.bytes })
}

fn socket_address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}
