//! Sockets that callers made: looked at, and put into a scope.
//!
//! Each of these calls may take as long as the caller likes, because the kernel locks a socket for whole system calls,
//! and those wait for their user's memory. So none of them is for a thread that others wait for.

use super::{Scope, number_of, option_of, set_option};
use mif_core::configuration::AddressFamily;
use mif_core::plan::{CallerSocket, SocketKind};
use nix::errno::Errno;
use socket2::{SockAddr, SockRef};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// What tells the network namespaces of sockets apart (SO_NETNS_COOKIE, since Linux 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceCookie(u64);

impl NamespaceCookie {
    /// That of the service's own sockets.
    ///
    /// # Errors
    /// ENOPROTOOPT: an older kernel, which tells of no socket where it is.
    pub fn own() -> io::Result<Self> {
        Self::of(&std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?)
    }

    fn of(socket: &impl AsFd) -> io::Result<Self> {
        option_of::<u64>(socket, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE).map(Self)
    }
}

/// What there is to know of a caller's socket before it is bound.
///
/// # Errors
/// ENOTSOCK: no socket at all.
pub fn inspect(socket: &impl AsFd, own: NamespaceCookie) -> io::Result<CallerSocket> {
    let at_socket = |name| number_of(socket, libc::SOL_SOCKET, name);
    let family = match at_socket(libc::SO_DOMAIN)? {
        libc::AF_INET => Some(AddressFamily::Ipv4),
        libc::AF_INET6 => Some(AddressFamily::Ipv6),
        _ => None,
    };
    let kind = match (at_socket(libc::SO_TYPE)?, at_socket(libc::SO_PROTOCOL)?) {
        (libc::SOCK_STREAM, libc::IPPROTO_TCP) => Some(SocketKind::Tcp),
        (libc::SOCK_STREAM, libc::IPPROTO_MPTCP) => Some(SocketKind::Mptcp),
        (libc::SOCK_DGRAM, libc::IPPROTO_UDP) => Some(SocketKind::Udp),
        _ => None,
    };
    let view = SockRef::from(socket);
    let local = view.local_addr().ok().and_then(|local| local.as_socket());
    Ok(CallerSocket {
        family,
        kind,
        local: local.filter(|local| local.port() != 0 || !local.ip().is_unspecified()),
        connected: view.peer_addr().is_ok(),
        listening: at_socket(libc::SO_ACCEPTCONN)? != 0,
        device: at_socket(libc::SO_BINDTOIFINDEX)?.cast_unsigned(),
        mark: at_socket(libc::SO_MARK)?.cast_unsigned(),
        // Of other sorts of sockets not all tell; they are refused for what they are.
        in_own_namespace: NamespaceCookie::of(socket).map_or(family.is_none(), |cookie| cookie == own),
    })
}

/// Puts `socket` into `scope` and binds it to `source`. When that fails it is as it was.
///
/// # Errors
/// EADDRNOTAVAIL: `source` is no address of this host. EADDRINUSE: its port is taken. EINVAL: the socket is bound
/// or connected, by somebody who was faster. ENODEV: the interface is gone. EPERM: marking needs CAP_NET_ADMIN.
pub fn bind_into(
    socket: &impl AsFd,
    scope: Scope,
    source: SocketAddr,
    late_port: bool,
) -> io::Result<SocketAddr> {
    let mark = number_of(socket, libc::SOL_SOCKET, libc::SO_MARK)?;
    let bound = scope.apply(socket).and_then(|()| bind(socket, source, late_port));
    if bound.is_err() {
        // Whatever the reason: nothing of ours stays behind, as far as the kernel lets go of it.
        let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, 0);
        let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_MARK, mark);
    }
    bound
}

fn bind(socket: &impl AsFd, source: SocketAddr, late_port: bool) -> io::Result<SocketAddr> {
    let view = SockRef::from(socket);
    let option = |value| set_option(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, value);
    // What the caller set stays set. Kernels that cannot do it for MPTCP choose a port now.
    let was_late = number_of(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT).is_ok_and(|it| it != 0);
    if late_port != was_late {
        let _ = option(late_port.into());
    }
    let bound = view.bind(&SockAddr::from(source));
    if late_port != was_late {
        let _ = option(was_late.into());
    }
    bound?;
    let local = view.local_addr()?.as_socket().ok_or(Errno::EAFNOSUPPORT)?;
    if local.ip() != source.ip() {
        // It was connected and let go of between two of our calls.
        return Err(Errno::EINVAL.into());
    }
    Ok(local)
}
