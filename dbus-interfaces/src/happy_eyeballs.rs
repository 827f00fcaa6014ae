//! A connection to a name, over all provisioning domains (PvDs) or some of them: "happy eyeballs" (RFC 8305),
//! a high-level API on the MIF messages.
//!
//! The name is translated in every PvD at the same time, each with its own servers; then addresses are tried
//! in the order and at the pace of RFC 8305, until one is connected. A PvD that is dead or captive costs one
//! Connection Attempt Delay (250 ms), not a timeout. What to prefer, avoid or require is a [`Policy`].
//!
//! ```no_run
//! use mif::happy_eyeballs::{Options, Policy, connect};
//!
//! # async fn example() -> Result<(), mif::Error> {
//! let connection = mif::connect(&mif::BusChoice::System).await?;
//! // Not over the phone, unless nothing else works.
//! let policy = Policy { avoid: vec!["kind:wwan".parse()?], ..Policy::default() };
//! let options = Options { policy, ..Options::default() };
//! let raced = connect(&connection, "www.example.org", 443, &options).await?;
//! eprintln!("connected in {}\n{}", raced.pvd.id, raced.story);
//! let stream = std::net::TcpStream::from(raced.socket);
//! # drop(stream);
//! # Ok(())
//! # }
//! ```

mod attempt;
mod driver;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use zbus::Connection;

pub use mif_selection::race::{
    Attempt, Defeat, Event, Exclusion, Family, Happening, Policy, Reserve, Selector, SelectorError, Story,
    Timing,
};

use crate::error::{Error, Result};
use crate::state::ProvisioningDomain;

/// How to connect to a name; the default takes the first connection in any PvD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Which PvDs, and which first.
    pub policy: Policy,
    /// Delays and limit.
    pub timing: Timing,
    /// Only addresses of this family; `None` for both.
    pub family: Option<Family>,
    /// Whose sockets.
    pub sockets: Sockets,
    /// The user may be asked to authorise it (polkit). For programs with a person in front of them.
    pub interactive: bool,
}

/// Who makes the sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sockets {
    /// This program, and the service binds them (BindSocket): uid, cgroup and labels are the program's. Where
    /// the service cannot bind sockets, it makes them.
    #[default]
    Own,
    /// The service (ConnectToAddress): for programs that may not connect by themselves.
    Service,
}

/// A connection that won the race.
#[derive(Debug)]
pub struct Raced {
    /// Connected, in blocking mode, bound to the PvD.
    pub socket: OwnedFd,
    /// The other end.
    pub remote: SocketAddr,
    /// This end.
    pub local: Option<SocketAddr>,
    /// The PvD that it is in, as it was when the race began.
    pub pvd: ProvisioningDomain,
    /// How the race went.
    pub story: Story,
}

/// A race that nobody won.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The name that was to be connected to.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Why.
    pub defeat: Defeat<Error>,
    /// How the race went.
    pub story: Story,
}

/// Connects to `name` (or an address as text) and `port`.
///
/// # Errors
/// [`Error::Lost`] with the story, when no PvD takes part, none has an address, no attempt succeeds, or the
/// time is up. [`Error::Reply`] when the service is not there.
pub async fn connect(connection: &Connection, name: &str, port: u16, options: &Options) -> Result<Raced> {
    driver::run(connection, name, port, options).await
}

impl std::error::Error for Lost {}

impl std::fmt::Display for Lost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, port, .. } = self;
        match &self.defeat {
            Defeat::NoDomain => write!(out, "no provisioning domain can be used to reach {name}"),
            Defeat::NoAddress(error) => {
                write!(out, "no provisioning domain has an address for {name}: {error}")
            }
            Defeat::NotConnected(error) => write!(out, "cannot connect to {name} port {port}: {error}"),
            Defeat::TimedOut => write!(out, "cannot connect to {name} port {port}: the time is up"),
        }
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        Self::Lost(Arc::new(lost))
    }
}
