//! Routing per provisioning domain, carried out: rules and tables in the kernel, as [`mif_core::routing`] chooses them.
//!
//! A [`Router`] is asked for the mark of a provisioning domain before a socket is made for it. The first question
//! puts its table and its rule into the kernel, and they are kept right from then on; all others cost no more than a
//! look at a map. What is in the kernel outlives the service: sockets do too.

mod error;
mod keeper;
mod kernel;
mod message;
mod removal;
mod reverse_path;
mod watch;
mod written;

pub use error::{HoldError, RoutingError};
pub use keeper::Keeper;
pub use removal::remove_all;

use mif_core::pvd::Serial;
use mif_core::routing::{Layout, Mark, Routing};
use mif_core::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch as latest};

/// How many provisioning domains may wait to be put into use.
const REQUESTS: usize = 64;

/// What is known of provisioning domains in use.
type InUse = BTreeMap<Serial, Use>;

/// A provisioning domain in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The mark of its sockets, which is also the number of its table.
    pub mark: Mark,
    /// The reverse path filter of its interface is strict, so that its IPv4 addresses have rules of their own.
    pub strict_reverse_path: bool,
    /// IPv4 routers of its interface that do not answer.
    pub silent_routers: Vec<IpAddr>,
}

/// Gives out marks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// `None`: packets are led by the kernel's one table.
    keeper: Option<Arc<Line>>,
}

/// The line to the [`Keeper`].
#[derive(Debug)]
struct Line {
    layout: Layout,
    requests: mpsc::Sender<Request>,
    in_use: latest::Receiver<Arc<InUse>>,
}

/// Somebody needs a provisioning domain in use.
#[derive(Debug)]
struct Request {
    pvd: Serial,
    reply: oneshot::Sender<Result<Mark, HoldError>>,
}

impl Router {
    /// One that gives out no marks.
    pub fn off() -> Self {
        Self::default()
    }

    /// One that gives them out, and what keeps the kernel right: to be run as long as marks are given out. It takes
    /// over what an earlier run left. `snapshots` must hold a state before anybody plans with it.
    ///
    /// # Errors
    /// This kernel has no policy routing, this process may not use it, or nothing can be written down that is to
    /// outlive it.
    pub async fn start(
        layout: Layout,
        snapshots: latest::Receiver<Snapshot>,
    ) -> Result<(Self, Keeper), RoutingError> {
        let (requests, requests_out) = mpsc::channel(REQUESTS);
        let (in_use_in, in_use) = latest::channel(Arc::default());
        let keeper =
            Keeper::start(layout, keeper::Ends { snapshots, requests: requests_out, in_use: in_use_in })
                .await?;
        Ok((Self { keeper: Some(Arc::new(Line { layout, requests, in_use })) }, keeper))
    }

    /// How packets are led.
    pub const fn routing(&self) -> Routing {
        match self.keeper {
            Some(_) => Routing::PerPvd,
            None => Routing::Shared,
        }
    }

    /// The bits that marks of this service take; zero without any.
    pub fn mask(&self) -> u32 {
        self.keeper.as_ref().map_or(0, |line| line.layout.space.mask())
    }

    /// The mark for sockets of `pvd`, once the kernel leads packets with it as that provisioning domain says; `None`
    /// when there is no routing per provisioning domain. It stays in use as long as it exists.
    ///
    /// # Errors
    /// There is no way to lead its packets: sockets must not be made.
    pub async fn hold(&self, pvd: Serial) -> Result<Option<Mark>, HoldError> {
        let Some(line) = &self.keeper else { return Ok(None) };
        if let Some(known) = line.in_use.borrow().get(&pvd) {
            return Ok(Some(known.mark));
        }
        let (reply, held) = oneshot::channel();
        line.requests.send(Request { pvd, reply }).await.map_err(|_| HoldError::Stopped)?;
        held.await.map_err(|_| HoldError::Stopped)?.map(Some)
    }

    /// How `pvd` is in use, if it is.
    pub fn in_use(&self, pvd: Serial) -> Option<Use> {
        self.keeper.as_ref().and_then(|line| line.in_use.borrow().get(&pvd).cloned())
    }
}
