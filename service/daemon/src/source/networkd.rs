//! DHCPv4 leases of systemd-networkd, from the files of its state, which everybody may read. It puts a file into
//! its place as a whole, and removes it with the lease.

use super::directory::Directory;
use super::{Feed, Observation, SourceError};
use crate::clock;
use mif_core::event::{Event, Ifindex, Lease, LeaseClient};
use mif_core::networkd::{self, MAX_FILE};
use nix::sys::inotify::AddWatchFlags;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::sync::oneshot;

/// Tells `feed` every lease that begins, changes or ends, for ever. `inventory` is told when all the leases at
/// hand now have been told.
pub(super) async fn run(
    feed: Feed,
    directory: PathBuf,
    inventory: oneshot::Sender<()>,
) -> Result<Infallible, SourceError> {
    let news = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE;
    let directory = Directory::watch(directory, news)?;
    let mut source = Networkd { feed, directory, leases: BTreeMap::new() };
    source.read().await?;
    // Nobody may wait for it any more.
    let _ = inventory.send(());
    loop {
        source.directory.changed().await?;
        source.read().await?;
    }
}

struct Networkd {
    feed: Feed,
    directory: Directory,
    /// What was told.
    leases: BTreeMap<Ifindex, Lease>,
}

impl Networkd {
    async fn read(&mut self) -> Result<(), SourceError> {
        let now = self.at_hand();
        let gone: Vec<Ifindex> =
            self.leases.keys().filter(|ifindex| !now.contains_key(ifindex)).copied().collect();
        for ifindex in gone {
            self.leases.remove(&ifindex);
            tracing::debug!(ifindex, "networkd: the lease is gone");
            self.tell(Event::LeaseGone { ifindex, client: LeaseClient::Networkd }).await?;
        }
        for (ifindex, lease) in now {
            if self.leases.get(&ifindex) == Some(&lease) {
                continue;
            }
            tracing::debug!(ifindex, address = %lease.address, "networkd: a lease");
            self.leases.insert(ifindex, lease.clone());
            let lease = Box::new(lease);
            self.tell(Event::Lease { ifindex, client: LeaseClient::Networkd, lease }).await?;
        }
        Ok(())
    }

    fn at_hand(&self) -> BTreeMap<Ifindex, Lease> {
        let names = self.directory.names(|name| networkd::ifindex(name.as_bytes()).is_some());
        let lease = |name: &std::ffi::OsString| {
            let file = self.directory.read_end(name, MAX_FILE)?;
            Some((networkd::ifindex(name.as_bytes())?, networkd::lease(&file)?))
        };
        names.iter().filter_map(lease).collect()
    }

    async fn tell(&self, event: Event) -> Result<(), SourceError> {
        let observation = Observation { at: clock::now(), event };
        self.feed.send(observation).await.map_err(|_| SourceError::FeedClosed)
    }
}

#[cfg(test)]
mod tests;
