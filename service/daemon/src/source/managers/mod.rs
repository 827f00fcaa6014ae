//! What network managers tell over the system bus: NetworkManager its leases and what is set on links,
//! systemd-networkd what is set and what DHCPv6 gave, systemd-resolved what VPNs and scripts told it of links.
//!
//! All of it is read as any user may, over a connection of its own: the one that serves the API never waits for
//! somebody else's service. Nothing is started by being asked, and nothing is polled. Of what the managers signal
//! only *where* something is new counts; a moment later it is read anew from there. Files that two of them replace
//! whenever something changes, which they do not signal, serve as bells in the same way: what they say is not used.
//!
//! A manager that leaves the bus may have been killed: its leases hold while the kernel has their addresses
//! ([`LeaseClient::leaves_records`](mif_core::event::LeaseClient::leaves_records)), and what it said is set holds
//! until it is back and says otherwise, or the link goes.

mod dirt;
mod network_manager;
mod networkd;
mod resolved;
mod system_bus;

use super::directory::{Changed, Directory};
use super::{Feed, Observation, SourceError};
use crate::clock;
use mif_core::event::Event;
use network_manager::NetworkManager;
use networkd::Networkd;
use nix::sys::inotify::AddWatchFlags;
use resolved::Resolved;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;
use system_bus::{BusLost, SystemBus, Unheard};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long the first inventory may take.
const INVENTORY_TIMEOUT: Duration = Duration::from_millis(500);
/// How long news are gathered before they are read: managers change several properties one after the other.
const SETTLING: Duration = Duration::from_millis(20);
/// Before a bus that was lost or is not there is tried again: at first, and at most.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_secs(300);

/// Directories in which something changes whenever a manager's state does.
#[derive(Clone, Debug)]
pub(super) struct Bells {
    /// systemd-networkd's files of links, called by their numbers.
    pub(super) networkd: PathBuf,
    /// systemd-resolved's files of links.
    pub(super) resolved: PathBuf,
}

/// Tells `feed` what managers have, as it changes, for ever. `inventory` is told when what they have now has been
/// told, or half a second is over.
pub(super) async fn run(
    feed: Feed,
    bells: Bells,
    inventory: oneshot::Sender<()>,
) -> Result<Infallible, SourceError> {
    let news = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_DELETE;
    let (read, first_read) = oneshot::channel();
    let source = Managers {
        feed,
        networkd_bell: Directory::watch(bells.networkd, news)?,
        resolved_bell: Directory::watch(bells.resolved, news)?,
        network_manager: NetworkManager::default(),
        networkd: Networkd::default(),
        resolved: Resolved::default(),
        first_read: Some(read),
    };
    let announce = async {
        // Late is as good as in time: nobody waits for longer.
        let _ = timeout(INVENTORY_TIMEOUT, first_read).await;
        let _ = inventory.send(());
        std::future::pending().await
    };
    tokio::select! {
        ended = source.follow() => ended,
        never = announce => never,
    }
}

struct Managers {
    feed: Feed,
    networkd_bell: Directory,
    resolved_bell: Directory,
    network_manager: NetworkManager,
    networkd: Networkd,
    resolved: Resolved,
    first_read: Option<oneshot::Sender<()>>,
}

/// Why reading ended.
#[derive(Debug)]
enum End {
    Bus(BusLost),
    Source(SourceError),
}

impl From<BusLost> for End {
    fn from(lost: BusLost) -> Self {
        Self::Bus(lost)
    }
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl Managers {
    async fn follow(mut self) -> Result<Infallible, SourceError> {
        let mut pause = RECONNECT_PAUSE;
        loop {
            match self.follow_bus(&mut pause).await {
                Err(End::Source(error)) => return Err(error),
                Err(End::Bus(lost)) => {
                    let cause = std::error::Error::source(&lost).map(ToString::to_string);
                    tracing::info!(cause, "network managers are not heard: {lost}");
                }
            }
            self.finish_first_read();
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RECONNECT_PAUSE);
        }
    }

    async fn follow_bus(&mut self, pause: &mut Duration) -> Result<Infallible, End> {
        let mut bus = SystemBus::connect().await?;
        *pause = RECONNECT_PAUSE;
        self.read(&mut bus).await?;
        self.finish_first_read();
        let mut settled: Option<Instant> = None;
        loop {
            if bus.has_news() {
                settled.get_or_insert_with(|| Instant::now() + SETTLING);
            }
            tokio::select! {
                heard = bus.hear() => heard?,
                changed = self.networkd_bell.changed() => match changed? {
                    Changed::Everything => bus.news().networkd_everything(),
                    Changed::Entries(names) => bus.news().networkd_links(names),
                },
                changed = self.resolved_bell.changed() => {
                    changed?;
                    bus.news().resolved();
                }
                () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {
                    settled = None;
                    self.read(&mut bus).await?;
                }
            }
        }
    }

    /// Reads what is new and tells it. What is given by the network is told before what is set, which has it in it.
    async fn read(&mut self, bus: &mut SystemBus) -> Result<(), End> {
        let mut events = Vec::new();
        let read = self.network_manager.read(bus, &mut events).await;
        self.tell(read, &mut events).await?;
        let read = self.networkd.read(bus, &mut events).await;
        self.tell(read, &mut events).await?;
        let read = self.resolved.read(bus, &mut events).await;
        self.tell(read, &mut events).await
    }

    /// Tells what was read, also when not all could be.
    async fn tell(&self, read: Result<(), Unheard>, events: &mut Vec<Event>) -> Result<(), End> {
        for event in events.drain(..) {
            let observation = Observation { at: clock::now(), event };
            self.feed.send(observation).await.map_err(|_| SourceError::FeedClosed)?;
        }
        match read {
            Ok(()) | Err(Unheard::Manager) => Ok(()),
            Err(Unheard::Bus(lost)) => Err(lost.into()),
        }
    }

    fn finish_first_read(&mut self) {
        if let Some(read) = self.first_read.take() {
            // Nobody may wait for it any more.
            let _ = read.send(());
        }
    }
}
