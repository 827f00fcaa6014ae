//! The kernel's links, addresses and main-table routes, by routing netlink.
//!
//! A monitor socket hears of changes; dumps go over sockets of their own. When the monitor's queue has overrun, it
//! is thrown away with all that is in it (messages from before the gap, replayed after a dump, would bring back
//! what is gone) and everything is dumped again. While a dump runs the monitor is not read: its queue is the
//! bounded buffer of what changes meanwhile, and is played after the dump.

mod address;
mod driver;
mod filter;
mod link;
mod message;
mod route;
mod socket;
mod told_addresses;
mod told_routes;
mod view;

pub(crate) use filter::{Filter, ROUTE_PROTOCOL, ROUTE_TABLE};
pub(crate) use message::{Message, attributes, messages, read_u32};
pub(crate) use socket::{Monitor, Received};

use super::{Feed, Observation, SourceError};
use crate::clock;
use mif_core::configuration::AddressFamily;
use mif_core::event::{Address, Event, Ifindex};
use socket::{Dump, GROUPS, Request};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use told_routes::ToldRoutes;
use view::View;

/// A dump that the kernel calls inconsistent is asked for again, this many times at most: what it may have missed
/// changed while it ran, and the monitor has most of that.
const DUMP_ATTEMPTS: usize = 4;
/// Datagrams that are played after a dump before it counts as complete: more than the monitor's queue can hold,
/// so that a storm of changes cannot keep the dump from ending.
const MAX_REPLAY: usize = 1 << 16;
/// How long after a silent change the routes are asked for: the kernel tells of an address before it flushes.
const SETTLING: Duration = Duration::from_millis(50);
/// Asking for the routes again takes at most one part in this many of the time, however large the table.
const REFRESH_SHARE: u32 = 10;
/// Before the kernel is asked anew after an error that should not be.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Tells `feed` everything, then every change, for ever. `inventory` is told of the end of the first dump.
pub(super) async fn run(feed: Feed, inventory: oneshot::Sender<()>) -> Result<Infallible, SourceError> {
    let mut source = Rtnetlink {
        feed,
        view: View::new(PathBuf::from("/sys/class/net")),
        events: Vec::new(),
        buffer: Vec::new(),
        refresh_not_before: Instant::now(),
    };
    let mut inventory = Some(inventory);
    loop {
        let monitor = source.resync().await?;
        if let Some(inventory) = inventory.take() {
            // Nobody may wait for it any more.
            let _ = inventory.send(());
        }
        source.follow(&monitor).await?;
    }
}

/// What the kernel says of `address` on a link, if it is there.
pub(super) async fn ipv4_address(
    ifindex: Ifindex,
    address: Ipv4Addr,
) -> Result<Option<Address>, SourceError> {
    let request = Request::Ipv4AddressesOf(ifindex);
    let failed = |source| SourceError::Dump { what: request.what(), source };
    let mut dump = Dump::begin(request).map_err(failed)?;
    let mut found = None;
    while let Some(messages) = dump.next().await.map_err(failed)? {
        let now = clock::now();
        let addresses = messages.filter(|message| message.kind == libc::RTM_NEWADDR);
        let addresses = addresses.filter_map(|message| address::decode(message.payload, now));
        let wanted = |key: &Address| key.key.ifindex == ifindex && key.key.address == IpAddr::V4(address);
        found = addresses.into_iter().find(wanted).or(found);
    }
    Ok(found)
}

struct Rtnetlink {
    feed: Feed,
    view: View,
    events: Vec<Event>,
    buffer: Vec<u8>,
    refresh_not_before: Instant,
}

impl Rtnetlink {
    /// Tells everything there is, and gives the monitor that hears of every change since.
    async fn resync(&mut self) -> Result<Monitor, SourceError> {
        loop {
            let monitor = Monitor::open(&GROUPS, Filter::MainTable).map_err(SourceError::OpenNetlink)?;
            self.view.forget_all();
            self.tell(Event::ResyncBegin).await?;
            for request in [
                Request::Links,
                Request::Addresses,
                Request::Routes(AddressFamily::Ipv4),
                Request::Routes(AddressFamily::Ipv6),
            ] {
                self.dump(request).await?;
            }
            if self.replay(&monitor).await? {
                self.tell(Event::ResyncEnd).await?;
                return Ok(monitor);
            }
            tracing::info!("the kernel's changes came faster than its state could be read; reading it again");
        }
    }

    async fn dump(&mut self, request: Request) -> Result<(), SourceError> {
        let failed = |source| SourceError::Dump { what: request.what(), source };
        for _ in 0..DUMP_ATTEMPTS {
            let mut dump = Dump::begin(request).map_err(failed)?;
            while let Some(messages) = dump.next().await.map_err(failed)? {
                let now = clock::now();
                messages.for_each(|message| self.view.take(&message, now, &mut self.events));
                self.flush().await?;
            }
            if !dump.interrupted() {
                break;
            }
        }
        Ok(())
    }

    /// Tells what changed while a dump ran; `false` when some of it is lost.
    async fn replay(&mut self, monitor: &Monitor) -> Result<bool, SourceError> {
        for _ in 0..MAX_REPLAY {
            match monitor.try_receive(&mut self.buffer) {
                Ok(Some(Received::Datagram)) => self.take_datagram().await?,
                Ok(None) => return Ok(true),
                Ok(Some(Received::Overrun)) => return Ok(false),
                Err(error) => {
                    self.survive(&error).await;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Tells every change, until some are lost.
    async fn follow(&mut self, monitor: &Monitor) -> Result<(), SourceError> {
        let mut refresh_at = None;
        loop {
            if self.view.is_stale() && refresh_at.is_none() {
                refresh_at = Some(self.refresh_not_before.max(Instant::now() + SETTLING));
            }
            tokio::select! {
                biased;
                () = at(refresh_at) => {
                    refresh_at = None;
                    self.refresh_routes().await?;
                }
                received = monitor.receive(&mut self.buffer) => match received {
                    Ok(Received::Datagram) => self.take_datagram().await?,
                    Ok(Received::Overrun) => {
                        tracing::info!("more changed than the kernel could queue; reading its state again");
                        return Ok(());
                    }
                    Err(error) => {
                        self.survive(&error).await;
                        return Ok(());
                    }
                },
            }
        }
    }

    async fn refresh_routes(&mut self) -> Result<(), SourceError> {
        let begun = Instant::now();
        while let Some(family) = self.view.take_stale() {
            let request = Request::Routes(family);
            let failed = |source| SourceError::Dump { what: request.what(), source };
            let mut current = ToldRoutes::NONE;
            let mut dump = Dump::begin(request).map_err(failed)?;
            while let Some(messages) = dump.next().await.map_err(failed)? {
                for message in messages.filter(|message| message.kind == libc::RTM_NEWROUTE) {
                    View::note(&mut current, message.payload);
                }
            }
            self.view.reconcile(family, &current, &mut self.events);
            self.flush().await?;
        }
        self.refresh_not_before = Instant::now() + begun.elapsed() * REFRESH_SHARE;
        Ok(())
    }

    async fn take_datagram(&mut self) -> Result<(), SourceError> {
        let now = clock::now();
        for message in messages(&self.buffer) {
            self.view.take(&message, now, &mut self.events);
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), SourceError> {
        let at = clock::now();
        for event in self.events.drain(..) {
            self.feed.send(Observation { at, event }).await.map_err(|_| SourceError::FeedClosed)?;
        }
        Ok(())
    }

    async fn tell(&mut self, event: Event) -> Result<(), SourceError> {
        self.events.push(event);
        self.flush().await
    }

    async fn survive(&self, error: &std::io::Error) {
        tracing::warn!(%error, "the kernel's changes could not be read; reading its state again");
        tokio::time::sleep(ERROR_PAUSE).await;
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use mif_core::event::{Link, LinkKind};
    use tokio::sync::mpsc;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_first_dump_names_what_is_there() {
        let (feed, mut observations) = mpsc::channel(64);
        let (inventory, mut done) = oneshot::channel();
        let source = tokio::spawn(run(feed, inventory));
        let mut events = Vec::new();
        let dumped = async {
            while events.last() != Some(&Event::ResyncEnd) {
                events.push(observations.recv().await.expect("an observation").event);
            }
        };
        tokio::time::timeout(DEADLINE, dumped).await.expect("the end of the dump");
        assert_eq!(events.first(), Some(&Event::ResyncBegin));
        let loopback = |event: &Event| matches!(event, Event::Link(Link { kind: LinkKind::Loopback, .. }));
        assert_eq!(events.iter().filter(|event| loopback(event)).count(), 1);
        let done = tokio::time::timeout(DEADLINE, &mut done).await;
        assert_eq!(done, Ok(Ok(())));
        source.abort();
    }

    #[tokio::test]
    async fn an_address_is_found_by_link_and_value() {
        let loopback = nix::net::if_::if_nametoindex("lo").expect("a loopback link");
        let found = ipv4_address(loopback, Ipv4Addr::LOCALHOST).await.expect("a dump").expect("127.0.0.1");
        assert_eq!(found.key.ifindex, loopback);
        assert_eq!(found.valid_until, mif_core::BootTime::FOREVER);
        let elsewhere = ipv4_address(loopback, Ipv4Addr::new(192, 0, 2, 1)).await.expect("a dump");
        assert_eq!(elsewhere, None);
        let no_link = ipv4_address(u32::MAX >> 1, Ipv4Addr::LOCALHOST).await;
        assert!(no_link.is_ok_and(|found| found.is_none()), "a link that went in between is no error");
    }
}
