//! Connect to Address: carries a [`ConnectPlan`] out.

use super::{is_cut_off, until_link_gone};
use crate::socket::{self, Scope};
use mif_core::plan::{ConnectFailure, ConnectFailureReason, ConnectPlan};
use mif_core::routing::Mark;
use mif_core::snapshot::Snapshot;
use nix::errno::Errno;
use socket2::{SockRef, Socket};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A connection, ready for its new owner.
#[derive(Debug)]
pub struct Connection {
    /// The socket: connected, blocking, owned by the caller's uid.
    pub socket: OwnedFd,
    /// Where it is bound.
    pub local: SocketAddr,
    /// Where it leads to.
    pub remote: SocketAddr,
    /// From the first packet until it was connected.
    pub handshake: Duration,
}

/// Connects as `plan` says, its packets carrying `mark`, with a socket that belongs to `owner_uid` from before its
/// first packet on. When a source fails before anything was sent, or by `snapshots` ceases to be one of the
/// provisioning domain, the next one is tried. The plan's timeout covers all of it.
///
/// Dropping the future closes the socket.
///
/// # Errors
/// The kernel's, with what it means.
pub async fn connect(
    plan: &ConnectPlan,
    mark: Option<Mark>,
    owner_uid: u32,
    snapshots: watch::Receiver<Snapshot>,
) -> Result<Connection, ConnectFailure> {
    let scope = Scope::new(plan.ifindex, mark.map(|mark| mark.0));
    let timeout = Duration::from_millis(u64::from(plan.timeout_ms));
    let connected = tokio::time::timeout(timeout, try_sources(plan, scope, owner_uid, snapshots)).await;
    let timed_out = || failure(plan, ConnectFailureReason::TimedOut, Errno::ETIMEDOUT as i32);
    connected.unwrap_or_else(|_| Err(timed_out()))
}

async fn try_sources(
    plan: &ConnectPlan,
    scope: Scope,
    owner_uid: u32,
    mut snapshots: watch::Receiver<Snapshot>,
) -> Result<Connection, ConnectFailure> {
    let ways = || plan.sources.iter().map(|source| (plan.destination, Some(*source)));
    let lost_source = || failure(plan, ConnectFailureReason::SourceNotValid, Errno::EADDRNOTAVAIL as i32);
    let mut first_failure = None;
    for &source in &plan.sources {
        if !plan.has_source(&snapshots.borrow(), source) {
            // Of another provisioning domain by now, perhaps: nothing is to be sent from it.
            first_failure.get_or_insert_with(lost_source);
            continue;
        }
        let failure = match begin(plan, scope, source, owner_uid) {
            Ok(attempt) => tokio::select! {
                // A handshake that is over counts, whatever became of the source.
                biased;
                finished = attempt.finish(plan, source) => match finished {
                    Ok(connection) => return Ok(connection),
                    Err(error) => {
                        if is_cut_off(scope, ways()) {
                            until_link_gone().await;
                        }
                        return Err(explain(plan, &error));
                    }
                },
                // The kernel would go on for minutes with an address that nobody answers to any more.
                () = lost(plan, source, &mut snapshots) => lost_source(),
            },
            Err(failure) if is_cut_off(scope, ways()) => {
                until_link_gone().await;
                return Err(first_failure.unwrap_or(failure));
            }
            Err(failure) => failure,
        };
        tracing::debug!(%source, %failure, "source failed locally");
        first_failure.get_or_insert(failure);
    }
    // The best source is the one to speak of.
    Err(first_failure.unwrap_or_else(|| failure(plan, ConnectFailureReason::SourceNotValid, 0)))
}

/// Waits until `source` is an address of the plan's provisioning domain no more.
async fn lost(plan: &ConnectPlan, source: IpAddr, snapshots: &mut watch::Receiver<Snapshot>) {
    while plan.has_source(&snapshots.borrow_and_update(), source) {
        if snapshots.changed().await.is_err() {
            // The service stops, and this with it.
            return std::future::pending().await;
        }
    }
}

/// A handshake under way.
struct Attempt {
    socket: Socket,
    since: Instant,
    connected: bool,
}

/// Sends the first packet. Whatever fails here is this host's doing, so another source may fare better.
fn begin(
    plan: &ConnectPlan,
    scope: Scope,
    source: IpAddr,
    owner_uid: u32,
) -> Result<Attempt, ConnectFailure> {
    let socket = socket::stream(scope, plan.protocol, source).map_err(|error| explain(plan, &error))?;
    socket::give_to(&socket, owner_uid).map_err(|error| {
        // A socket that does not show its user must not leave the host, and firewalls have no part in this.
        tracing::error!(owner_uid, %error, "a socket could not be given to its user: is CAP_CHOWN missing?");
        failure(plan, ConnectFailureReason::Other, error.raw_os_error().unwrap_or(0))
    })?;
    let since = Instant::now();
    let connected = socket::begin_connect(&socket, plan.destination).map_err(|error| {
        match error.raw_os_error() {
            // The source was bound a moment ago: it is its ports that have run out.
            Some(errno) if errno == Errno::EADDRNOTAVAIL as i32 => {
                failure(plan, ConnectFailureReason::NoResources, errno)
            }
            _ => explain(plan, &error),
        }
    })?;
    Ok(Attempt { socket, since, connected })
}

impl Attempt {
    async fn finish(self, plan: &ConnectPlan, source: IpAddr) -> io::Result<Connection> {
        let socket = if self.connected { self.socket } else { wait(self.socket).await? };
        let handshake = self.since.elapsed();
        let local = socket.local_addr()?.as_socket().ok_or(Errno::EAFNOSUPPORT)?;
        if local.ip() != source {
            // Cannot happen; but a socket with a foreign source must never leave this function.
            tracing::error!(%local, %source, destination = %plan.destination, "the kernel changed the source");
            return Err(Errno::EADDRNOTAVAIL.into());
        }
        Ok(Connection { socket: socket::hand_out(socket)?, local, remote: plan.destination, handshake })
    }
}

/// Waits until the handshake has ended, well or badly.
async fn wait(socket: Socket) -> io::Result<Socket> {
    // With a peer on this machine it is over when connect(2) returns, and nothing needs to be watched.
    if socket::is_connected(&socket)? {
        return Ok(socket);
    }
    // tokio takes any stream socket for this, MPTCP too, and connecting ones.
    let stream = TcpStream::from_std(socket.into())?;
    loop {
        stream.ready(Interest::WRITABLE).await?;
        let over = || match has_connected(&stream) {
            Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        match stream.try_io(Interest::WRITABLE, over) {
            Ok(()) => return Ok(stream.into_std()?.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a handshake ended well; an error if it ended badly.
fn has_connected(socket: &impl AsFd) -> io::Result<bool> {
    let socket = SockRef::from(socket);
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::ENOTCONN as i32) => Ok(false),
        Err(error) => Err(error),
    }
}

fn explain(plan: &ConnectPlan, error: &io::Error) -> ConnectFailure {
    let errno = error.raw_os_error().unwrap_or(0);
    failure(plan, meaning(Errno::from_raw(errno)), errno)
}

fn failure(plan: &ConnectPlan, reason: ConnectFailureReason, errno: i32) -> ConnectFailure {
    ConnectFailure { reason, errno, destination: plan.destination }
}

/// What an errno of socket, bind or connect means to people (connect(2), bind(2), icmp(7)).
fn meaning(errno: Errno) -> ConnectFailureReason {
    match errno {
        Errno::ECONNREFUSED | Errno::ECONNRESET => ConnectFailureReason::ConnectionRefused,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => ConnectFailureReason::HostUnreachable,
        // ENODEV: the interface went after the plan was made.
        Errno::ENETUNREACH | Errno::ENETDOWN | Errno::ENODEV | Errno::ENONET => {
            ConnectFailureReason::NetworkUnreachable
        }
        Errno::ETIMEDOUT => ConnectFailureReason::TimedOut,
        Errno::EADDRNOTAVAIL => ConnectFailureReason::SourceNotValid,
        Errno::EACCES | Errno::EPERM => ConnectFailureReason::Forbidden,
        Errno::EADDRINUSE
        | Errno::EAGAIN
        | Errno::EMFILE
        | Errno::ENFILE
        | Errno::ENOBUFS
        | Errno::ENOMEM => ConnectFailureReason::NoResources,
        Errno::EPROTONOSUPPORT | Errno::ENOPROTOOPT | Errno::EAFNOSUPPORT | Errno::ESOCKTNOSUPPORT => {
            ConnectFailureReason::NotSupported
        }
        _ => ConnectFailureReason::Other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use mif_core::plan::Protocol;
    use mif_core::pvd::Serial;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    /// Plans never lead to loopback; carrying one out there needs no network.
    fn plan(destination: SocketAddr, sources: &[[u8; 4]]) -> ConnectPlan {
        ConnectPlan {
            pvd: Serial(1),
            ifindex: nix::net::if_::if_nametoindex("lo").unwrap(),
            sources: sources.iter().map(|octets| IpAddr::from(*octets)).collect(),
            destination,
            timeout_ms: 20_000,
            protocol: Protocol::Tcp,
        }
    }

    async fn connect(plan: &ConnectPlan, owner_uid: u32) -> Result<Connection, ConnectFailure> {
        super::connect(plan, None, owner_uid, watch::channel(Snapshot::default()).1).await
    }

    fn own_uid() -> u32 {
        nix::unistd::getuid().as_raw()
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_connection_blocks_and_has_the_source_of_the_plan() {
        let (listener, address) = listener();
        let connection = connect(&plan(address, &[[127, 0, 0, 7]]), own_uid()).await.unwrap();
        let (mut peer, seen) = listener.accept().unwrap();
        assert_eq!(seen, connection.local);
        assert_eq!(seen.ip(), IpAddr::from([127, 0, 0, 7]));
        let mut socket = std::net::TcpStream::from(connection.socket);
        let reader = std::thread::spawn(move || {
            let mut word = [0; 5];
            socket.read_exact(&mut word).unwrap();
            word
        });
        peer.write_all(b"hello").unwrap();
        assert_eq!(&reader.join().unwrap(), b"hello");
    }

    #[tokio::test]
    async fn the_next_source_is_tried_when_one_fails_here() {
        let (_listener, address) = listener();
        let plan = plan(address, &[[192, 0, 2, 1], [127, 0, 0, 8]]);
        let connection = connect(&plan, own_uid()).await.unwrap();
        assert_eq!(connection.local.ip(), IpAddr::from([127, 0, 0, 8]));
    }

    #[tokio::test]
    async fn failures_are_named() {
        let (listener, address) = listener();
        let failure = connect(&plan(address, &[[192, 0, 2, 1]]), own_uid()).await.unwrap_err();
        assert_eq!(failure.reason, ConnectFailureReason::SourceNotValid);
        assert_eq!(failure.errno, libc::EADDRNOTAVAIL);
        drop(listener);
        let failure = connect(&plan(address, &[[127, 0, 0, 1]]), own_uid()).await.unwrap_err();
        assert_eq!(failure.reason, ConnectFailureReason::ConnectionRefused);
        assert_eq!(failure.errno, libc::ECONNREFUSED);
        assert_eq!(failure.to_string(), format!("{address} refused the connection: nothing listens there"));
        let gone = ConnectPlan { ifindex: 0x7fff_fff0, ..plan(address, &[[127, 0, 0, 1]]) };
        let failure = connect(&gone, own_uid()).await.unwrap_err();
        assert_eq!(failure.reason, ConnectFailureReason::NetworkUnreachable);
    }

    #[test]
    fn every_errno_has_a_meaning() {
        for (errno, reason) in [
            (Errno::EHOSTUNREACH, ConnectFailureReason::HostUnreachable),
            (Errno::ENETUNREACH, ConnectFailureReason::NetworkUnreachable),
            (Errno::ETIMEDOUT, ConnectFailureReason::TimedOut),
            (Errno::EPERM, ConnectFailureReason::Forbidden),
            (Errno::EMFILE, ConnectFailureReason::NoResources),
            (Errno::EPROTONOSUPPORT, ConnectFailureReason::NotSupported),
            (Errno::EINVAL, ConnectFailureReason::Other),
        ] {
            assert_eq!(meaning(errno), reason, "{errno}");
        }
    }
}
