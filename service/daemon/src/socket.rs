//! The one place with socket options: sockets that stay in their provisioning domain.

pub mod caller;
mod group;

pub use group::{Datagram, GroupSocket};

use mif_core::event::Ifindex;
use mif_core::plan::Protocol;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::fchown;
use std::sync::LazyLock;

/// How many descriptors are kept for what callers send: more than calls may bring that wait to be served, or to be read.
/// A quarter of all, where there are few, but more than one message brings.
const RESERVED: u64 = 2_048;
const RESERVED_AT_LEAST: u64 = 24;

/// How many descriptors one message may bring: more the system bus does not let through.
pub const BROUGHT_AT_ONCE: usize = 16;

/// What keeps a socket inside a provisioning domain, whatever its addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The interface that packets leave by, and come in by.
    pub ifindex: Ifindex,
    /// The mark that the rules of the provisioning domain go by, if it has rules. Without one the interface's own
    /// routes are taken.
    pub mark: Option<u32>,
}

impl Scope {
    /// The scope of the interface `ifindex` and of the rules for `mark`.
    pub const fn new(ifindex: Ifindex, mark: Option<u32>) -> Self {
        Self { ifindex, mark }
    }

    /// Puts `socket` into this scope. To be done before any address is bound.
    ///
    /// # Errors
    /// ENODEV for interface 0, which would mean "any". The kernel does not look whether others exist: with one that
    /// is gone, connecting fails with the same. EPERM: a mark needs CAP_NET_ADMIN (or CAP_NET_RAW, since Linux 5.17).
    fn apply(self, socket: &impl AsFd) -> io::Result<()> {
        if self.ifindex == 0 {
            return Err(Errno::ENODEV.into());
        }
        // By index: a name may have gone to another interface since the plan was made.
        set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, self.ifindex.cast_signed())?;
        // Before any address: binding an IPv6 address looks for a route already.
        self.mark
            .map_or(Ok(()), |mark| set_option(socket, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed()))
    }
}

/// A stream socket in `scope`, bound to `source`, close-on-exec and not blocking. The port is chosen when it connects:
/// chosen now, ports would run out as soon as one source had used each of them once.
///
/// # Errors
/// What the kernel says; EADDRNOTAVAIL: `source` is no address of this host.
pub fn stream(scope: Scope, protocol: Protocol, source: IpAddr) -> io::Result<Socket> {
    let kind = match protocol {
        Protocol::Tcp => socket2::Protocol::TCP,
        Protocol::Mptcp => socket2::Protocol::MPTCP,
    };
    let socket = new(scope, SocketAddr::new(source, 0), Type::STREAM, kind)?;
    let late_port = set_option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    // Older kernels cannot do it for MPTCP, which works without, with fewer ports.
    if protocol == Protocol::Tcp {
        late_port?;
    }
    bind(&socket, scope, source)?;
    Ok(socket)
}

/// A stream socket for `server`; `None` as source lets the kernel take the interface's own address for it.
///
/// # Errors
/// As [`stream`].
pub fn stream_to(scope: Scope, server: SocketAddr, source: Option<IpAddr>) -> io::Result<Socket> {
    match source {
        Some(source) => stream(scope, Protocol::Tcp, source),
        None => new(scope, server, Type::STREAM, socket2::Protocol::TCP),
    }
}

/// Has the connection end at once when its descriptor is closed, by a reset. A connection that ends politely leaves the
/// last acknowledgement to what the kernel keeps of it (FIN_WAIT2 and TIME_WAIT of IPv6), and that goes by the main
/// table's default route, whatever interface the socket was bound to.
///
/// # Errors
/// What the kernel says.
pub fn end_by_reset(stream: &impl AsFd) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))
}

/// A stream socket for a neighbour: nothing that it sends leaves the link (RFC 4795 2.5).
///
/// # Errors
/// As [`stream`].
pub fn stream_to_neighbour(scope: Scope, server: SocketAddr, source: Option<IpAddr>) -> io::Result<Socket> {
    let socket = stream_to(scope, server, source)?;
    match server {
        SocketAddr::V4(_) => socket.set_ttl_v4(1)?,
        SocketAddr::V6(_) => socket.set_unicast_hops_v6(1)?,
    }
    Ok(socket)
}

/// A datagram socket in `scope`, bound to `source` and connected to `server`, not blocking. Being connected it takes
/// packets from nowhere else, and hears at once when nothing listens there.
///
/// # Errors
/// As [`stream`]; ENETUNREACH, EHOSTUNREACH: no way leads there.
pub fn datagram_to(scope: Scope, server: SocketAddr, source: Option<IpAddr>) -> io::Result<UdpSocket> {
    let socket = new(scope, server, Type::DGRAM, socket2::Protocol::UDP)?;
    if let Some(source) = source {
        bind(&socket, scope, source)?;
    }
    socket.connect(&SockAddr::from(server))?;
    Ok(socket.into())
}

/// Begins to connect a socket that does not block: `true` when it is connected already.
///
/// # Errors
/// What the kernel says at once.
pub fn begin_connect(socket: &Socket, destination: SocketAddr) -> io::Result<bool> {
    match socket.connect(&SockAddr::from(destination)) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a socket that began to connect is connected at this moment. One that has failed is not.
///
/// # Errors
/// What the kernel says.
pub fn is_connected(socket: &impl AsFd) -> io::Result<bool> {
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO)?;
    Ok(polled[0].revents() == Some(PollFlags::POLLOUT))
}

/// Makes `uid` the owner of the socket: `ip rule uidrange`, ss and /proc/net/tcp go by it. To be done before it
/// connects, so that no packet leaves under another name. Needs CAP_CHOWN for a uid that is not our own.
///
/// # Errors
/// EPERM without that capability; EINVAL for a uid that this user namespace does not have.
pub fn give_to(socket: &impl AsFd, uid: u32) -> io::Result<()> {
    // What this process makes is its own already.
    if uid == geteuid().as_raw() {
        return Ok(());
    }
    fchown(socket, Some(uid), None)
}

/// Whether the kernel makes MPTCP sockets here: it may lack them, or the administrator may not want any.
pub fn has_mptcp() -> bool {
    Socket::new(Domain::IPV4, Type::STREAM.cloexec(), Some(socket2::Protocol::MPTCP)).is_ok()
}

/// Whether sockets can be given to other users ([`give_to`]).
pub fn can_give_away() -> bool {
    const CAP_CHOWN: u64 = 1;
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|bits| bits & CAP_CHOWN != 0)
}

/// The socket as it is handed out: blocking, as people expect one to be.
///
/// # Errors
/// What the kernel says.
pub fn hand_out(socket: Socket) -> io::Result<OwnedFd> {
    // By ioctl(2), where `Socket` would ask for the flags first.
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream.into())
}

fn new(scope: Scope, family: SocketAddr, kind: Type, protocol: socket2::Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(family), kind.nonblocking().cloexec(), Some(protocol))?;
    if is_reserved(socket.as_raw_fd()) {
        return Err(Errno::EMFILE.into());
    }
    scope.apply(&socket)?;
    Ok(socket)
}

/// Whether a descriptor of this number is of those that sockets made here must leave to others. The kernel gives the
/// lowest number that is free. Who sends a descriptor to a process that can take none ends its connection to the bus.
fn is_reserved(number: RawFd) -> bool {
    let first = ALLOWED.map(|allowed| allowed.saturating_sub(reserved(allowed)));
    first.is_some_and(|first| u64::try_from(number).is_ok_and(|number| number >= first))
}

/// Asked for once: each connection comes by here, and the limit is set before the service starts.
static ALLOWED: LazyLock<Option<u64>> =
    LazyLock::new(|| getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(allowed, _)| allowed));

fn reserved(allowed: u64) -> u64 {
    (allowed / 4).clamp(RESERVED_AT_LEAST, RESERVED)
}

/// Whether what callers send may need more descriptors than are kept for it.
pub fn descriptors_are_few() -> bool {
    ALLOWED.is_some_and(|allowed| reserved(allowed) < RESERVED)
}

/// How many descriptors callers may have here at once, besides those of the message that is read.
pub fn descriptors_for_callers() -> usize {
    let reserved = ALLOWED.map_or(RESERVED, reserved);
    usize::try_from(reserved).map_or(usize::MAX, |reserved| reserved - BROUGHT_AT_ONCE)
}

fn bind(socket: &Socket, scope: Scope, source: IpAddr) -> io::Result<()> {
    let mut address = SocketAddr::new(source, 0);
    if let SocketAddr::V6(v6) = &mut address
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(scope.ifindex);
    }
    socket.bind(&SockAddr::from(address))
}

fn set_option(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    const LENGTH: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the kernel reads LENGTH bytes of
    // `value`, which outlives the call.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), LENGTH) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

/// A socket option that is a number.
fn number_of(socket: &impl AsFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    option_of(socket, level, name)
}

/// Types that are good with any bits.
trait Number: Copy + Default {}
impl Number for libc::c_int {}
impl Number for u64 {}

fn option_of<T: Number>(socket: &impl AsFd, level: libc::c_int, name: libc::c_int) -> io::Result<T> {
    let mut value = T::default();
    let mut length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default();
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; the kernel writes at most `length` bytes,
    // the size of `value`, for which any bits are good.
    let result = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) };
    Errno::result(result).map_err(io::Error::from)?;
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn loopback() -> Scope {
        Scope::new(nix::net::if_::if_nametoindex("lo").unwrap(), None)
    }

    fn option(socket: &Socket, level: libc::c_int, name: libc::c_int) -> libc::c_int {
        number_of(socket, level, name).unwrap()
    }

    #[test]
    fn a_stream_is_bound_to_its_interface_and_source_but_to_no_port() {
        let socket = stream(loopback(), Protocol::Tcp, LOOPBACK).unwrap();
        let ifindex = option(&socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX);
        assert_eq!(ifindex, loopback().ifindex.cast_signed());
        let local = socket.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(local, SocketAddr::new(LOOPBACK, 0));
        let status = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL).unwrap());
        assert!(status.contains(OFlag::O_NONBLOCK));
        let flags = FdFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        let fd = hand_out(socket).unwrap();
        let status = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).unwrap());
        assert!(!status.contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn sockets_carry_the_mark_of_their_scope() {
        const MARK: u32 = 0xcd00_0007;
        let marked = Scope { mark: Some(MARK), ..loopback() };
        let mark_of = |socket: &Socket| option(socket, libc::SOL_SOCKET, libc::SO_MARK).cast_unsigned();
        assert_eq!(mark_of(&stream(loopback(), Protocol::Tcp, LOOPBACK).unwrap()), 0);
        let server = SocketAddr::new(LOOPBACK, 9);
        let sockets = || -> io::Result<[Socket; 3]> {
            Ok([
                stream(marked, Protocol::Tcp, LOOPBACK)?,
                stream_to(marked, server, None)?,
                datagram_to(marked, server, Some(LOOPBACK))?.into(),
            ])
        };
        match sockets() {
            Ok(sockets) => assert_eq!(sockets.each_ref().map(mark_of), [MARK; 3]),
            // A socket without the mark that it should have must not be made.
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EPERM));
                assert!(!nix::unistd::geteuid().is_root(), "root may mark sockets");
            }
        }
    }

    #[test]
    fn an_interface_that_is_gone_is_no_scope() {
        let socket = stream(Scope::new(0x7fff_fff0, None), Protocol::Tcp, LOOPBACK).unwrap();
        let error = begin_connect(&socket, SocketAddr::new(LOOPBACK, 9)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        let error = stream(Scope::new(0, None), Protocol::Tcp, LOOPBACK).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn a_source_of_nobody_is_refused() {
        let error = stream(loopback(), Protocol::Tcp, "192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
    }

    #[test]
    fn a_datagram_socket_hears_of_a_closed_port() {
        let closed = std::net::UdpSocket::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap();
        let socket = datagram_to(loopback(), closed, Some(LOOPBACK)).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        socket.send(b"anybody there?").unwrap();
        let error = socket.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_socket_can_be_given_away_by_those_who_may() {
        const SOMEBODY: u32 = 4242;
        let socket = stream(loopback(), Protocol::Tcp, LOOPBACK).unwrap();
        let own = nix::unistd::geteuid();
        give_to(&socket, own.as_raw()).unwrap();
        let owner = || nix::sys::stat::fstat(&socket).unwrap().st_uid;
        assert_eq!(owner(), own.as_raw());
        match give_to(&socket, SOMEBODY) {
            Ok(()) => assert_eq!(owner(), SOMEBODY),
            Err(error) => {
                // Not root; or root of a user namespace without that uid.
                let expected = if own.is_root() { libc::EINVAL } else { libc::EPERM };
                assert_eq!(error.raw_os_error(), Some(expected));
                assert_eq!(owner(), own.as_raw());
            }
        }
    }
}
