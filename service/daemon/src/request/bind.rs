//! BindSocket: carries a [`BindPlan`] out on a caller's socket.

use crate::socket::Scope;
use crate::socket::caller::{self, NamespaceCookie};
use mif_core::plan::{self, BadSocket, BindFailure, BindPlan, BindRequest, Refusal, SocketRules};
use mif_core::pvd::Serial;
use mif_core::snapshot::Snapshot;
use nix::errno::Errno;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// The ports below this number are for the privileged, unless the administrator says otherwise.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// Everything that is known before the socket is looked at.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The state to plan with.
    pub snapshot: Snapshot,
    /// The provisioning domain.
    pub pvd: Serial,
    /// What the caller wants.
    pub request: BindRequest,
    /// The service's own network namespace.
    pub namespace: NamespaceCookie,
    /// The mark of the provisioning domain and the bits of it that count, if it has a table of its own.
    pub mark: Option<Mark>,
}

/// A mark for sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What the rules look for.
    pub value: u32,
    /// The bits that they look at.
    pub mask: u32,
}

/// A socket that was bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its address; the port is 0 while none is chosen.
    pub local: SocketAddr,
    /// The name of its interface, escaped.
    pub device: String,
}

/// Binds `socket`. Takes as long as the caller likes (see [`caller`]): not for a thread that others wait for.
///
/// # Errors
/// Why not; the socket is as it was then.
pub fn bind(binding: &Binding, socket: &impl AsFd) -> Result<Bound, BindFailure> {
    let found = caller::inspect(socket, binding.namespace).map_err(|error| match error.raw_os_error() {
        // EBADF: opened with O_PATH.
        Some(libc::ENOTSOCK | libc::EBADF) => refused(BadSocket::NotASocket),
        errno => BindFailure::Other(errno.unwrap_or(0)),
    })?;
    let rules = SocketRules {
        // No port is wanted mostly, and then there is nothing to compare.
        first_unprivileged_port: match binding.request.local_port {
            0 => FIRST_UNPRIVILEGED_PORT,
            _ => first_unprivileged_port(),
        },
        mark_mask: binding.mark.map_or(0, |mark| mark.mask),
    };
    let plan = plan::bind(&binding.snapshot, binding.pvd, &found, &binding.request, rules)
        .map_err(BindFailure::Refused)?;
    carry_out(&plan, binding.mark, socket)
}

/// Tries the sources in turn: one may just have ceased to be an address of this host, or have no port left. A port that
/// the caller names is not looked for elsewhere: who listens on it expects it where people will ask.
fn carry_out(plan: &BindPlan, mark: Option<Mark>, socket: &impl AsFd) -> Result<Bound, BindFailure> {
    let mark = mark.map(|mark| mark.value | plan.foreign_mark);
    let scope = Scope::new(plan.ifindex, mark);
    let mut first_failure = None;
    for &source in &plan.sources {
        match caller::bind_into(socket, scope, source, plan.late_port) {
            Ok(local) => return Ok(Bound { local, device: plan.device.clone() }),
            Err(error) => {
                let failure = meaning(source, &error);
                tracing::debug!(%source, %error, "a socket of a caller cannot be bound");
                if !matches!(failure, BindFailure::SourceNotValid(_) | BindFailure::NoPort(_)) {
                    return Err(failure);
                }
                first_failure.get_or_insert(failure);
            }
        }
    }
    Err(first_failure.unwrap_or(BindFailure::Other(0)))
}

/// What an errno of setsockopt or bind means (bind(2), ip(7), socket(7)).
fn meaning(source: SocketAddr, error: &io::Error) -> BindFailure {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::EADDRNOTAVAIL => BindFailure::SourceNotValid(source.ip()),
        Errno::EADDRINUSE if source.port() == 0 => BindFailure::NoPort(source.ip()),
        Errno::EADDRINUSE => BindFailure::PortTaken(source),
        // It was fresh when it was looked at.
        Errno::EINVAL | Errno::EISCONN => refused(BadSocket::InUse),
        Errno::ENODEV => BindFailure::InterfaceGone,
        errno => BindFailure::Other(errno as i32),
    }
}

const fn refused(bad: BadSocket) -> BindFailure {
    BindFailure::Refused(Refusal::SocketNotUsable(bad))
}

fn first_unprivileged_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(FIRST_UNPRIVILEGED_PORT)
}
