//! Routing netlink sockets: one kind hears of changes, the other asks for dumps.
//!
//! They are read by hand and not through a `netlink_proto::Connection`: that one queues without bound (so that the
//! kernel's own queue, whose overrun is told, would never fill), and it drops every message with a string that is
//! not UTF-8, as link names may be.

use super::filter::Filter;
use super::message::{Message, messages};
use mif_core::configuration::AddressFamily;
use mif_core::event::Ifindex;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::route::{RouteHeader, RouteMessage};
use netlink_packet_route::{AddressFamily as WireFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The kernel's end of every netlink socket.
const KERNEL_PORT: u32 = 0;
/// What changes of links, addresses and routes are told to.
pub(super) const GROUPS: [u32; 5] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
];
/// Room for what the kernel says while nobody listens: some ten thousand changes.
const MONITOR_BUFFER: usize = 8 << 20;
/// Larger than any datagram of routing netlink (dumps come in 32 KiB at most).
const DATAGRAM: usize = 64 << 10;
/// The number of every request: each has its own socket.
const SEQUENCE: u32 = 1;

/// What came out of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A datagram of the kernel; empty when somebody else sent it.
    Datagram,
    /// The queue was full, and messages are lost.
    Overrun,
}

/// A socket that hears of changes. It has missed nothing since it was opened, or says so.
pub(crate) struct Monitor {
    socket: AsyncFd<Socket>,
}

impl Monitor {
    /// A monitor of `groups` (RTNLGRP_*) with an empty queue, which hears of routes what `filter` lets through.
    pub(crate) fn open(groups: &[u32], filter: Filter) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        // Beyond the system's limit with CAP_NET_ADMIN, else up to it.
        if setsockopt(&socket, RcvBufForce, &MONITOR_BUFFER).is_err() {
            socket.set_rx_buf_sz(libc::c_int::try_from(MONITOR_BUFFER).unwrap_or(libc::c_int::MAX))?;
        }
        if let Err(error) = filter.attach(&socket) {
            // There is more to read, and nothing else.
            tracing::debug!(%error, ?filter, "the kernel takes no filter of routes");
        }
        socket.bind_auto()?;
        for group in groups {
            socket.add_membership(*group)?;
        }
        // SAFETY: the socket owns its descriptor and never changes it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self { socket })
    }

    /// Waits until something is in the queue. Cancel safe.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await.map(drop)
    }

    /// What is known to be in the queue; `None` when all of that is read, and to be [waited for](Self::readable).
    pub(crate) fn receive_at_hand(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
        unless_empty(self.socket.try_io(Interest::READABLE, |socket| read(socket, buffer)))
    }

    /// Waits for the next datagram and puts it into `buffer`. Cancel safe.
    pub(crate) async fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(received) = ready.try_io(|socket| read(socket.get_ref(), buffer)) {
                return received;
            }
        }
    }

    /// What is in the queue now, without waiting; `None` when it is empty.
    pub(super) fn try_receive(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
        unless_empty(read(self.socket.get_ref(), buffer))
    }
}

/// What a dump is to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// All links.
    Links,
    /// All addresses.
    Addresses,
    /// The IPv4 addresses of one link.
    Ipv4AddressesOf(Ifindex),
    /// The routes of the main table.
    Routes(AddressFamily),
}

impl Request {
    /// What is asked for, in a word.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Addresses | Self::Ipv4AddressesOf(_) => "addresses",
            Self::Routes(_) => "routes",
        }
    }

    fn message(self) -> RouteNetlinkMessage {
        match self {
            Self::Links => {
                let mut message = LinkMessage::default();
                // Counters are two thirds of a link's message, and nobody here reads them.
                message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
                RouteNetlinkMessage::GetLink(message)
            }
            Self::Addresses => RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            Self::Ipv4AddressesOf(ifindex) => {
                let mut message = AddressMessage::default();
                message.header.family = WireFamily::Inet;
                message.header.index = ifindex;
                RouteNetlinkMessage::GetAddress(message)
            }
            Self::Routes(family) => {
                let mut message = RouteMessage::default();
                message.header.table = RouteHeader::RT_TABLE_MAIN;
                message.header.address_family = match family {
                    AddressFamily::Ipv4 => WireFamily::Inet,
                    AddressFamily::Ipv6 => WireFamily::Inet6,
                };
                RouteNetlinkMessage::GetRoute(message)
            }
        }
    }

    fn bytes(self) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        header.sequence_number = SEQUENCE;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(self.message()));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }
}

/// A dump under way.
pub(super) struct Dump {
    socket: TokioSocket,
    buffer: Vec<u8>,
    finished: bool,
    interrupted: bool,
}

impl Dump {
    /// Asks the kernel.
    pub(super) fn begin(request: Request) -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        let inner = socket.socket_mut();
        // Without it (before Linux 4.20) the kernel tells more than was asked for; decoding leaves that out.
        let _ = inner.set_netlink_get_strict_chk(true);
        inner.bind_auto()?;
        inner.send_to(&request.bytes(), &SocketAddr::new(KERNEL_PORT, 0), 0)?;
        Ok(Self { socket, buffer: Vec::new(), finished: false, interrupted: false })
    }

    /// The next messages, or `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<impl Iterator<Item = Message<'_>>>> {
        if self.finished {
            return Ok(None);
        }
        if receive(&self.socket, &mut self.buffer).await? == Received::Overrun {
            return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        }
        for message in messages(&self.buffer).filter(|message| message.sequence == SEQUENCE) {
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match i32::from(message.kind) {
                libc::NLMSG_DONE => self.finished = true,
                libc::NLMSG_ERROR => {
                    self.finished = true;
                    check_error(message.payload)?;
                }
                _ => {}
            }
        }
        Ok(Some(messages(&self.buffer).filter(|message| message.sequence == SEQUENCE)))
    }

    /// Whether the state changed so that the dump may have left something out: ask again.
    pub(super) const fn interrupted(&self) -> bool {
        self.interrupted
    }
}

/// The error number that NLMSG_ERROR carries. A family or table that this kernel does not have is an empty one.
fn check_error(payload: &[u8]) -> io::Result<()> {
    let number = payload.first_chunk().map_or(0, |four| i32::from_ne_bytes(*four));
    match number.saturating_neg() {
        0 | libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

async fn receive(socket: &TokioSocket, buffer: &mut Vec<u8>) -> io::Result<Received> {
    prepare(buffer);
    let sender = socket.recv_from(buffer).await;
    received(sender, buffer)
}

fn read(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<Received> {
    prepare(buffer);
    let sender = socket.recv_from(buffer, 0).map(|(_, sender)| sender);
    received(sender, buffer)
}

fn unless_empty(received: io::Result<Received>) -> io::Result<Option<Received>> {
    match received {
        Ok(received) => Ok(Some(received)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn prepare(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.reserve(DATAGRAM);
}

fn received(sender: io::Result<SocketAddr>, buffer: &mut Vec<u8>) -> io::Result<Received> {
    match sender {
        Ok(sender) => {
            // Any process may send to any netlink socket.
            if sender.port_number() != KERNEL_PORT {
                buffer.clear();
            }
            Ok(Received::Datagram)
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(Received::Overrun),
        Err(error) => Err(error),
    }
}
