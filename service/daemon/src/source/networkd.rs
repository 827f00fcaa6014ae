//! DHCPv4 leases of systemd-networkd, from the files of its state, which everybody may read. It puts a file into
//! its place as a whole, and removes it with the lease; but also when it starts anew, and asks for the lease once more.
//! So a lease ends when the link is settled without it, and until then holds while the kernel has its address.

use super::directory::{Changed, Directory};
use super::{Feed, Observation, SourceError};
use crate::clock;
use mif_core::event::{Event, Ifindex, Lease, LeaseClient};
use mif_core::networkd::{self, MAX_FILE};
use nix::sys::inotify::AddWatchFlags;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::sync::oneshot;

/// Where networkd tells how things stand.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Its files of leases, called by the numbers of their links.
    pub(super) leases: PathBuf,
    /// Its files of links, called in the same way.
    pub(super) links: PathBuf,
}

/// Tells `feed` every lease that begins, changes or ends, for ever. `inventory` is told when all the leases at
/// hand now have been told.
pub(super) async fn run(
    feed: Feed,
    state: State,
    inventory: oneshot::Sender<()>,
) -> Result<Infallible, SourceError> {
    let news = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE;
    let directory = Directory::watch(state.leases, news)?;
    let links = Directory::watch(state.links, news)?;
    let mut source = Networkd { feed, directory, links, leases: BTreeMap::new() };
    source.read().await?;
    // Nobody may wait for it any more.
    let _ = inventory.send(());
    loop {
        tokio::select! {
            changed = source.directory.changed() => {
                changed?;
                source.read().await?;
            }
            changed = source.links.changed() => source.settle(&changed?).await?,
        }
    }
}

struct Networkd {
    feed: Feed,
    directory: Directory,
    links: Directory,
    /// What was told.
    leases: BTreeMap<Ifindex, Lease>,
}

impl Networkd {
    async fn read(&mut self) -> Result<(), SourceError> {
        let now = self.at_hand();
        // What the file of a link says is older than what happened to its lease just now: that file follows.
        let over = |ifindex: &Ifindex| !now.contains_key(ifindex) && self.is_settled(*ifindex).is_none();
        let gone: Vec<Ifindex> = self.leases.keys().copied().filter(over).collect();
        self.end(gone).await?;
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

    /// Ends the leases of links that are settled without one, or gone, among those that `changed`.
    async fn settle(&mut self, changed: &Changed) -> Result<(), SourceError> {
        let over = |ifindex: &Ifindex| {
            let is_meant = match changed {
                Changed::Everything => true,
                Changed::Entries(names) => names.contains(&name_of(*ifindex)),
            };
            is_meant && self.lease_of(*ifindex).is_none() && self.is_settled(*ifindex) != Some(false)
        };
        let gone: Vec<Ifindex> = self.leases.keys().copied().filter(over).collect();
        self.end(gone).await
    }

    async fn end(&mut self, gone: Vec<Ifindex>) -> Result<(), SourceError> {
        for ifindex in gone {
            self.leases.remove(&ifindex);
            tracing::debug!(ifindex, "networkd: the lease is gone");
            self.tell(Event::LeaseGone { ifindex, client: LeaseClient::Networkd }).await?;
        }
        Ok(())
    }

    fn lease_of(&self, ifindex: Ifindex) -> Option<Lease> {
        networkd::lease(&self.directory.read_end(&name_of(ifindex), MAX_FILE)?)
    }

    /// Whether networkd is done with a link; `None` when it says nothing of it.
    fn is_settled(&self, ifindex: Ifindex) -> Option<bool> {
        self.links.read_end(&name_of(ifindex), MAX_FILE).map(|file| networkd::is_settled(&file))
    }

    fn at_hand(&self) -> BTreeMap<Ifindex, Lease> {
        let names = self.directory.names(|name| networkd::ifindex(name.as_bytes()).is_some());
        let lease = |name: OsString| {
            let ifindex = networkd::ifindex(name.as_bytes())?;
            Some((ifindex, self.lease_of(ifindex)?))
        };
        names.into_iter().filter_map(lease).collect()
    }

    async fn tell(&self, event: Event) -> Result<(), SourceError> {
        let observation = Observation { at: clock::now(), event };
        self.feed.send(observation).await.map_err(|_| SourceError::FeedClosed)
    }
}

fn name_of(ifindex: Ifindex) -> OsString {
    ifindex.to_string().into()
}

#[cfg(test)]
mod tests;
