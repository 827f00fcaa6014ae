//! What DHCP servers gave dhcpcd and what its configuration sets, through the control sockets that it opens to
//! everybody. Its lease files are not read.

mod conversation;

use super::directory::Directory;
use super::{Feed, Observation, SourceError, rtnetlink};
use crate::clock;
use conversation::{Conversation, ConversationId, Heard};
use mif_core::dhcpcd::{ByHand, Dhcpv6Grant, Grant, News, Report, Told};
use mif_core::event::{
    Address, Dhcpv6Lease, Event, Ifindex, Lease, LeaseClient, LinkSettings, SettingsManager,
};
use nix::net::if_::if_nametoindex;
use nix::sys::inotify::AddWatchFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How the unprivileged sockets are called: `unpriv.sock` of the one that manages all interfaces,
/// `IF.unpriv.sock` and `IF-4.unpriv.sock` of those for one.
const SOCKET_SUFFIX: &[u8] = b"unpriv.sock";
/// How long the first inventory may take.
const INVENTORY_TIMEOUT: Duration = Duration::from_millis(500);
/// Before a dhcpcd that has closed its connection, but is still there, is talked to again.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// Messages of all conversations that wait to be looked at; a conversation waits when there is no room.
const MAX_WAITING: usize = 64;

/// Tells `feed` every lease that begins, changes or ends, for ever. `inventory` is told when all the leases at
/// hand now have been told, or half a second is over.
pub(super) async fn run(
    feed: Feed,
    directory: PathBuf,
    inventory: oneshot::Sender<()>,
) -> Result<Infallible, SourceError> {
    let (heard, waiting) = mpsc::channel(MAX_WAITING);
    let mut source = Dhcpcd {
        feed,
        directory: Directory::watch(directory, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?,
        heard,
        next_id: 0,
        conversations: BTreeMap::new(),
        tasks: JoinSet::new(),
        leases: BTreeMap::new(),
        dhcpv6: BTreeMap::new(),
        settings: BTreeMap::new(),
        awaited: BTreeSet::new(),
        inventory: Some(inventory),
    };
    source.begin_conversations();
    source.awaited = source.conversations.keys().copied().collect();
    source.follow(waiting).await
}

struct Dhcpcd {
    feed: Feed,
    directory: Directory,
    heard: mpsc::Sender<(ConversationId, Heard)>,
    next_id: ConversationId,
    /// The socket of each conversation.
    conversations: BTreeMap<ConversationId, OsString>,
    tasks: JoinSet<()>,
    leases: BTreeMap<Ifindex, Held<Lease>>,
    dhcpv6: BTreeMap<Ifindex, Held<Dhcpv6Lease>>,
    settings: BTreeMap<Ifindex, Held<LinkSettings>>,
    /// Conversations whose inventory the start waits for.
    awaited: BTreeSet<ConversationId>,
    inventory: Option<oneshot::Sender<()>>,
}

/// A lease that was told, or what is set, and who told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held<L> {
    teller: ConversationId,
    interface: Vec<u8>,
    lease: L,
}

/// Which of what was told is meant: that of one dhcpcd, on one interface or on all.
#[derive(Clone, Copy, Debug)]
struct Scope<'a> {
    teller: ConversationId,
    interface: Option<&'a [u8]>,
}

impl Scope<'_> {
    fn includes<L>(&self, held: &Held<L>) -> bool {
        held.teller == self.teller && self.interface.is_none_or(|interface| held.interface == interface)
    }
}

impl Dhcpcd {
    async fn follow(
        mut self,
        mut waiting: mpsc::Receiver<(ConversationId, Heard)>,
    ) -> Result<Infallible, SourceError> {
        let give_up = Instant::now() + INVENTORY_TIMEOUT;
        let mut resume_at: Option<Instant> = None;
        loop {
            if self.awaited.is_empty() {
                self.finish_inventory();
            }
            tokio::select! {
                Some((id, heard)) = waiting.recv() => {
                    if matches!(heard, Heard::Ended) {
                        resume_at.get_or_insert(Instant::now() + RESUME_PAUSE);
                    }
                    self.take(id, heard).await?;
                }
                changed = self.directory.changed() => {
                    changed?;
                    self.begin_conversations();
                }
                () = sleep_until(resume_at.unwrap_or(give_up)), if resume_at.is_some() => {
                    resume_at = None;
                    self.begin_conversations();
                }
                () = sleep_until(give_up), if self.inventory.is_some() => self.awaited.clear(),
                Some(ended) = self.tasks.join_next() => ended.map_err(SourceError::Task)?,
            }
        }
    }

    /// One conversation for each socket that has none.
    fn begin_conversations(&mut self) {
        let engaged: BTreeSet<&OsString> = self.conversations.values().collect();
        let sockets = self.directory.names(is_socket_name);
        let new: Vec<OsString> = sockets.into_iter().filter(|name| !engaged.contains(name)).collect();
        for name in new {
            self.next_id += 1;
            let path = self.directory.entry(&name);
            let conversation = Conversation { id: self.next_id, path, heard: self.heard.clone() };
            self.tasks.spawn(conversation.run());
            self.conversations.insert(self.next_id, name);
        }
    }

    async fn take(&mut self, id: ConversationId, heard: Heard) -> Result<(), SourceError> {
        match heard {
            Heard::Report(report, told) => self.report(id, report, told).await,
            Heard::Inventory => {
                self.awaited.remove(&id);
                Ok(())
            }
            Heard::Ended => {
                self.awaited.remove(&id);
                self.conversations.remove(&id);
                let all = Scope { teller: id, interface: None };
                self.drop_ipv4(all).await?;
                self.drop_dhcpv6(all).await
            }
        }
    }

    async fn report(&mut self, id: ConversationId, report: Report, told: Told) -> Result<(), SourceError> {
        let here = Scope { teller: id, interface: Some(&report.interface) };
        match report.news {
            News::Nothing => Ok(()),
            News::NoLease => self.drop_ipv4(here).await,
            News::NoDhcpv6 => self.drop_dhcpv6(here).await,
            News::NothingLeft => {
                self.drop_ipv4(here).await?;
                self.drop_dhcpv6(here).await
            }
            News::Lease(grant) => {
                self.drop_settings(here).await?;
                self.lease(id, report.interface, &grant, told).await
            }
            News::ByHand(set) => {
                self.drop_leases(here).await?;
                self.by_hand(id, report.interface, *set).await
            }
            News::Dhcpv6(grant) => self.dhcpv6(id, report.interface, *grant).await,
        }
    }

    /// Tells what a DHCPv6 server gave. Whether its addresses are here is looked at where the kernel's are known.
    async fn dhcpv6(
        &mut self,
        teller: ConversationId,
        interface: Vec<u8>,
        grant: Dhcpv6Grant,
    ) -> Result<(), SourceError> {
        let Ok(ifindex) = if_nametoindex(OsStr::from_bytes(&interface)) else {
            return self.drop_dhcpv6(Scope { teller, interface: Some(&interface) }).await;
        };
        let lease = grant.lease(clock::now());
        tracing::debug!(ifindex, addresses = ?lease.addresses, "dhcpcd: a DHCPv6 server gave something");
        self.dhcpv6.insert(ifindex, Held { teller, interface, lease: lease.clone() });
        self.tell(Event::Dhcpv6 { ifindex, client: LeaseClient::Dhcpcd, lease: Box::new(lease) }).await
    }

    /// Tells a lease, if the kernel has its address: without it there is nothing to use, and it may belong to
    /// another network namespace whose dhcpcd shares this directory.
    async fn lease(
        &mut self,
        teller: ConversationId,
        interface: Vec<u8>,
        grant: &Grant,
        told: Told,
    ) -> Result<(), SourceError> {
        let Some((ifindex, address)) = in_kernel(&interface, grant.address()).await? else {
            tracing::debug!(address = %grant.address(), "dhcpcd tells of a lease whose address no link here has");
            return self.drop_leases(Scope { teller, interface: Some(&interface) }).await;
        };
        let former = self.leases.get(&ifindex).map(|held| &held.lease);
        let lease = grant.lease(told, address.valid_until, former);
        let known = former == Some(&lease);
        self.leases.insert(ifindex, Held { teller, interface, lease: lease.clone() });
        if known {
            return Ok(());
        }
        self.tell(Event::Lease { ifindex, client: LeaseClient::Dhcpcd, lease: Box::new(lease) }).await
    }

    /// Tells what is set by hand, if the kernel has its address, for the same reasons as of a lease.
    async fn by_hand(
        &mut self,
        teller: ConversationId,
        interface: Vec<u8>,
        set: ByHand,
    ) -> Result<(), SourceError> {
        let Some((ifindex, _)) = in_kernel(&interface, set.address).await? else {
            tracing::debug!(address = %set.address, "dhcpcd has set an address that no link here has");
            return self.drop_settings(Scope { teller, interface: Some(&interface) }).await;
        };
        let held = Held { teller, interface, lease: set.settings };
        if self.settings.get(&ifindex) == Some(&held) {
            return Ok(());
        }
        tracing::debug!(ifindex, servers = ?held.lease.dns_servers, "dhcpcd: settings");
        let settings = Box::new(held.lease.clone());
        self.settings.insert(ifindex, held);
        self.tell(Event::Settings { ifindex, manager: SettingsManager::Dhcpcd, settings }).await
    }

    /// A lease and what is set by hand exclude each other.
    async fn drop_ipv4(&mut self, gone: Scope<'_>) -> Result<(), SourceError> {
        self.drop_leases(gone).await?;
        self.drop_settings(gone).await
    }

    async fn drop_settings(&mut self, gone: Scope<'_>) -> Result<(), SourceError> {
        for ifindex in take_out(&mut self.settings, gone) {
            self.tell(Event::SettingsGone { ifindex, manager: SettingsManager::Dhcpcd }).await?;
        }
        Ok(())
    }

    async fn drop_leases(&mut self, gone: Scope<'_>) -> Result<(), SourceError> {
        for ifindex in take_out(&mut self.leases, gone) {
            self.tell(Event::LeaseGone { ifindex, client: LeaseClient::Dhcpcd }).await?;
        }
        Ok(())
    }

    async fn drop_dhcpv6(&mut self, gone: Scope<'_>) -> Result<(), SourceError> {
        for ifindex in take_out(&mut self.dhcpv6, gone) {
            self.tell(Event::Dhcpv6Gone { ifindex, client: LeaseClient::Dhcpcd }).await?;
        }
        Ok(())
    }

    async fn tell(&self, event: Event) -> Result<(), SourceError> {
        let observation = Observation { at: clock::now(), event };
        self.feed.send(observation).await.map_err(|_| SourceError::FeedClosed)
    }

    fn finish_inventory(&mut self) {
        if let Some(inventory) = self.inventory.take() {
            // Nobody may wait for it any more.
            let _ = inventory.send(());
        }
    }
}

/// The link of this name and its `address`, if the kernel has both.
async fn in_kernel(interface: &[u8], address: Ipv4Addr) -> Result<Option<(Ifindex, Address)>, SourceError> {
    let Ok(ifindex) = if_nametoindex(OsStr::from_bytes(interface)) else { return Ok(None) };
    let found = rtnetlink::ipv4_address(ifindex, address).await?;
    Ok(found.map(|address| (ifindex, address)))
}

/// Removes what is in `gone`; the links that it was on.
fn take_out<L>(held: &mut BTreeMap<Ifindex, Held<L>>, gone: Scope<'_>) -> Vec<Ifindex> {
    held.extract_if(.., |_, held| gone.includes(held)).map(|(ifindex, _)| ifindex).collect()
}

fn is_socket_name(name: &OsStr) -> bool {
    let start = name.as_bytes().strip_suffix(SOCKET_SUFFIX);
    start.is_some_and(|start| start.is_empty() || start.ends_with(b"."))
}

#[cfg(test)]
mod tests;
