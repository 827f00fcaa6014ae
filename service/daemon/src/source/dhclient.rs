//! DHCPv4 and DHCPv6 leases of ISC dhclient, from its lease files.
//!
//! dhclient holds its file open, appends to it, and now and then truncates it and writes it anew. It writes down a
//! lease before the link has the address, and nothing when it gives it back. So nothing ends here: a lease that is
//! written down holds while the kernel has its address, and until its time is over
//! ([`LeaseClient::leaves_records`]); by the time of day only if the kernel does not know better.

use super::directory::Directory;
use super::{Feed, Observation, SourceError, clocks, rtnetlink};
use mif_core::dhclient::{self, Clocks, Dhcpv6Record, MAX_FILE, Record};
use mif_core::event::{Event, Ifindex, Lease, LeaseClient};
use nix::net::if_::if_nametoindex;
use nix::sys::inotify::AddWatchFlags;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::sync::oneshot;

/// How lease files are called: `dhclient.leases`, `dhclient.IF.leases`, `dhclient-IF.leases`, the same with
/// `dhclient6` and, of NetworkManager, `dhclient-UUID-IF.lease`.
const PREFIX: &[u8] = b"dhclient";
const SUFFIXES: [&[u8]; 2] = [b".leases", b".lease"];

/// Tells `feed` every lease that is written down in `directories`, for ever. `inventory` is told when all the leases
/// at hand now have been told.
pub(super) async fn run(
    feed: Feed,
    directories: [PathBuf; 3],
    inventory: oneshot::Sender<()>,
) -> Result<Infallible, SourceError> {
    let news = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MODIFY;
    let [first, second, third] = directories.map(|path| Directory::watch(path, news));
    let (mut first, mut second, mut third) = (first?, second?, third?);
    let mut source = Dhclient { feed, told: BTreeMap::new(), told_dhcpv6: BTreeMap::new() };
    source.read([&first, &second, &third]).await?;
    // Nobody may wait for it any more.
    let _ = inventory.send(());
    loop {
        // The same file may tell of several links.
        let _ = tokio::select! {
            changed = first.changed() => changed?,
            changed = second.changed() => changed?,
            changed = third.changed() => changed?,
        };
        source.read([&first, &second, &third]).await?;
    }
}

struct Dhclient {
    feed: Feed,
    /// What was told, by the name of the interface.
    told: BTreeMap<Vec<u8>, (Ifindex, Record)>,
    told_dhcpv6: BTreeMap<Vec<u8>, (Ifindex, Dhcpv6Record)>,
}

/// The latest of what is written down, by the name of the interface.
#[derive(Debug, Default)]
struct Latest {
    dhcpv4: BTreeMap<Vec<u8>, Record>,
    dhcpv6: BTreeMap<Vec<u8>, Dhcpv6Record>,
}

impl Dhclient {
    async fn read(&mut self, directories: [&Directory; 3]) -> Result<(), SourceError> {
        let Latest { dhcpv4, dhcpv6 } = at_hand(directories);
        for (interface, ifindex, record) in news(&mut self.told, dhcpv4) {
            tracing::debug!(ifindex, address = %record.address(), "dhclient has written down a lease");
            let clocks = clocks();
            let client = LeaseClient::Dhclient;
            let lease = match record.lease(clocks) {
                Some(lease) => Some(lease),
                None => overdue(ifindex, &record, clocks).await?,
            };
            // One that has run out takes the place of one that may not have.
            let event = lease.map_or(Event::LeaseGone { ifindex, client }, |lease| Event::Lease {
                ifindex,
                client,
                lease: Box::new(lease),
            });
            self.tell(clocks, event).await?;
            self.told.insert(interface, (ifindex, record));
        }
        for (interface, ifindex, record) in news(&mut self.told_dhcpv6, dhcpv6) {
            tracing::debug!(ifindex, "dhclient has written down a DHCPv6 lease");
            let clocks = clocks();
            let client = LeaseClient::Dhclient;
            let event = record.lease(clocks).map_or(Event::Dhcpv6Gone { ifindex, client }, |lease| {
                Event::Dhcpv6 { ifindex, client, lease: Box::new(lease) }
            });
            self.tell(clocks, event).await?;
            self.told_dhcpv6.insert(interface, (ifindex, record));
        }
        Ok(())
    }

    async fn tell(&self, clocks: Clocks, event: Event) -> Result<(), SourceError> {
        let observation = Observation { at: clocks.boot, event };
        self.feed.send(observation).await.map_err(|_| SourceError::FeedClosed)
    }
}

/// What has run out by the time of day, and still holds by the kernel's count.
async fn overdue(ifindex: Ifindex, record: &Record, now: Clocks) -> Result<Option<Lease>, SourceError> {
    let address = rtnetlink::ipv4_address(ifindex, record.address()).await?;
    Ok(address.and_then(|address| record.overdue_lease(now.boot, address.valid_until)))
}

/// What of `latest` was not told: the same again is no news, even if the time of day was set since. What was told
/// of an interface that is another one now is forgotten.
fn news<R: PartialEq>(
    told: &mut BTreeMap<Vec<u8>, (Ifindex, R)>,
    latest: BTreeMap<Vec<u8>, R>,
) -> Vec<(Vec<u8>, Ifindex, R)> {
    told.retain(|interface, (ifindex, _)| ifindex_of(interface) == Some(*ifindex));
    let with_index = |(interface, record): (Vec<u8>, R)| {
        let ifindex = ifindex_of(&interface)?;
        let known = told.get(&interface).is_some_and(|(_, known)| *known == record);
        (!known).then_some((interface, ifindex, record))
    };
    latest.into_iter().filter_map(with_index).collect()
}

/// The latest lease of each interface. Several dhclients may have been at work on one, each with its own file.
fn at_hand(directories: [&Directory; 3]) -> Latest {
    let mut latest = Latest::default();
    for directory in directories {
        for name in directory.names(is_lease_file) {
            let Some(file) = directory.read_end(&name, MAX_FILE) else { continue };
            for (interface, record) in dhclient::records(&file) {
                if latest.dhcpv4.get(&interface).is_none_or(|known| record.is_newer_than(known)) {
                    latest.dhcpv4.insert(interface, record);
                }
            }
            for (interface, record) in dhclient::dhcpv6_records(&file) {
                if latest.dhcpv6.get(&interface).is_none_or(|known| record.is_newer_than(known)) {
                    latest.dhcpv6.insert(interface, record);
                }
            }
        }
    }
    latest
}

fn is_lease_file(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(PREFIX) && SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn ifindex_of(interface: &[u8]) -> Option<Ifindex> {
    if_nametoindex(OsStr::from_bytes(interface)).ok()
}

#[cfg(test)]
mod tests;
