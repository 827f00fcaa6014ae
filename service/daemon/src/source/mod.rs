//! Sources: each reads one part of the world, decodes it with the core's parsers, stamps the time and hands
//! [`Observation`]s to the engine. No source decides what a provisioning domain is.

mod dhclient;
mod dhcpcd;
mod directory;
mod error;
mod log_limit;
mod managers;
mod networkd;
mod own_dhcp;
mod pvd_info;
mod readiness;
mod router_advertisement;
pub(crate) mod rtnetlink;

pub use error::SourceError;
pub use own_dhcp::Inquirer;
pub use pvd_info::Fetcher;
pub use router_advertisement::Solicitor;

use crate::clock;
use mif_core::BootTime;
use mif_core::event::Event;
use mif_core::time::Clocks;
use router_advertisement::Listener;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Where dhcpcd has its control sockets.
const DHCPCD_DIRECTORY: &str = "/run/dhcpcd";
/// Where systemd-networkd writes down leases.
const NETWORKD_LEASES: &str = "/run/systemd/netif/leases";
/// Where systemd-networkd and systemd-resolved replace a file whenever something of a link has changed.
const NETWORKD_LINKS: &str = "/run/systemd/netif/links";
const RESOLVED_LINKS: &str = "/run/systemd/resolve/netif";
/// Where ISC dhclient writes down leases: by itself, on Debian and on others, and as a helper of NetworkManager (which
/// lets only root read them on most machines).
const DHCLIENT_DIRECTORIES: [&str; 3] = ["/var/lib/dhcp", "/var/lib/dhclient", "/var/lib/NetworkManager"];

/// An event and the moment at which it was seen.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When it was seen.
    pub at: BootTime,
    /// What was seen.
    pub event: Event,
}

/// The bounded way into the engine. A source that finds it full waits, and so does its kernel queue: an overrun
/// there ends in a new dump, never in lost state.
pub type Feed = mpsc::Sender<Observation>;

/// What [`start`] gives.
#[derive(Debug)]
pub struct Started {
    /// Asks for Router Advertisements.
    pub solicitor: Solicitor,
    /// Asks DHCP servers.
    pub inquirer: Inquirer,
    /// Whether Router Advertisements can be heard: a kernel may be without IPv6.
    pub hears_routers: bool,
    /// Tells of the first inventory.
    pub inventory: Inventory,
    /// The running sources.
    pub sources: Sources,
}

/// The first inventory: the kernel's state and the leases at hand.
#[derive(Debug)]
pub struct Inventory {
    /// One for each source that has an inventory to give and has not given it yet.
    awaited: Vec<oneshot::Receiver<()>>,
}

/// The running sources. They stop when this is dropped.
#[derive(Debug)]
pub struct Sources {
    tasks: JoinSet<Result<Infallible, SourceError>>,
}

/// Starts all sources. What `feed` gets first is a complete dump of the kernel's state, then the leases at hand,
/// then everything that happens. Needs CAP_NET_RAW, and wants CAP_NET_ADMIN (for long kernel queues). To be called
/// in a tokio runtime with I/O and time.
///
/// # Errors
///
/// No raw socket can be had. What fails later ends in [`Sources::failed`].
pub fn start(feed: Feed) -> Result<Started, SourceError> {
    // Opened first: what is advertised while the dump runs waits in its queue.
    let (listener, solicitor) = Listener::open()?;
    let hears_routers = listener.can_hear();
    let (dhcpcd_told, dhcpcd_done) = oneshot::channel();
    let (networkd_told, networkd_done) = oneshot::channel();
    let (dhclient_told, dhclient_done) = oneshot::channel();
    let (managers_told, managers_done) = oneshot::channel();
    let (dump_told, dump) = oneshot::channel();
    let inquirer = Inquirer::new(feed.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(rtnetlink::run(feed.clone(), dump_told));
    tasks.spawn(async move {
        // The others tell of links, and so begin when these have been told.
        if dump.await.is_err() {
            // The dump has failed, and says so itself.
            std::future::pending::<()>().await;
        }
        // Each is a task, so that what wakes one is looked at by that one alone.
        let mut others = JoinSet::new();
        others.spawn(dhcpcd::run(feed.clone(), PathBuf::from(DHCPCD_DIRECTORY), dhcpcd_told));
        let state = networkd::State { leases: NETWORKD_LEASES.into(), links: NETWORKD_LINKS.into() };
        others.spawn(networkd::run(feed.clone(), state, networkd_told));
        others.spawn(dhclient::run(feed.clone(), DHCLIENT_DIRECTORIES.map(PathBuf::from), dhclient_told));
        let bells = managers::Bells { networkd: NETWORKD_LINKS.into(), resolved: RESOLVED_LINKS.into() };
        others.spawn(managers::run(feed.clone(), bells, managers_told));
        others.spawn(listener.run(feed));
        Err(Sources { tasks: others }.failed().await)
    });
    Ok(Started {
        solicitor,
        inquirer,
        hears_routers,
        inventory: Inventory { awaited: vec![dhcpcd_done, networkd_done, dhclient_done, managers_done] },
        sources: Sources { tasks },
    })
}

/// This moment on both clocks.
fn clocks() -> Clocks {
    // Before 1970 there are no leases, and everything that is written down lies ahead.
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Clocks { boot: clock::now(), unix }
}

impl Inventory {
    /// Waits until the feed has got it; for ever when a source fails before ([`Sources::failed`]). Cancel safe, and
    /// done at once when it was done before.
    pub async fn complete(&mut self) {
        while let Some(done) = self.awaited.last_mut() {
            if done.await.is_err() {
                std::future::pending::<()>().await;
            }
            self.awaited.pop();
        }
    }
}

impl Sources {
    /// Waits until a source fails for good; the daemon cannot go on without any of them. Cancel safe.
    pub async fn failed(&mut self) -> SourceError {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(never))) => match never {},
            Some(Err(error)) => SourceError::Task(error),
            None => SourceError::FeedClosed,
        }
    }
}
