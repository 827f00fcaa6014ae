//! Asking DHCP servers for what nobody else on this machine tells: DHCPINFORM and Information-Request.
//!
//! A DHCP client may run all the same, one that tells nobody, or start at any moment. It must not notice: the questions
//! go out from raw sockets, which hear copies of the answers and take no port and no packet from anybody, and live for
//! the seconds of one question only. A raw socket would need no CAP_NET_BIND_SERVICE; the ports of clients are spoken
//! from only by a process that might have them in the usual way, so that who takes the capability away is obeyed.

mod socket;

use super::{Feed, Observation};
use crate::clock;
use mif_core::BootTime;
use mif_core::dhcp::{v4, v6};
use mif_core::event::{Event, Ifindex, Lease, LeaseClient};
use mif_core::facts::{Question, Subject};
use socket::{Link, Socket};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long to listen for an answer at most: servers of today answer within milliseconds, and a question that is
/// repeated in an hour keeps no socket open until then.
const LONGEST_LISTENING: Duration = Duration::from_secs(10);
/// Questions that may be under way at once; one more is asked the next time.
const MAX_UNDER_WAY: usize = 64;
/// The capabilities that this takes, by their numbers (capabilities(7)).
const CAP_NET_BIND_SERVICE: u32 = 10;
const CAP_NET_RAW: u32 = 13;

/// Asks DHCP servers.
#[derive(Clone, Debug)]
pub struct Inquirer {
    feed: Feed,
    room: Arc<Semaphore>,
}

impl Inquirer {
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, room: Arc::new(Semaphore::new(MAX_UNDER_WAY)) }
    }

    /// Whether this process may ask.
    pub fn may_ask() -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
        [CAP_NET_BIND_SERVICE, CAP_NET_RAW].iter().all(|capability| effective & (1 << capability) != 0)
    }

    /// Asks the servers of a link. What they answer goes the way of everything that is observed; the engine asks again
    /// when there is no answer. Never waits.
    pub fn ask(&self, ifindex: Ifindex, question: Question) {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::debug!(ifindex, ?question, "too many questions to DHCP servers are under way");
            return;
        };
        let feed = self.feed.clone();
        tokio::spawn(async move {
            let listen = question.listen.min(LONGEST_LISTENING);
            let answer = timeout(listen, exchange(ifindex, question)).await;
            drop(room);
            match answer {
                Ok(Ok(event)) => {
                    tracing::debug!(ifindex, ?question, "a DHCP server has answered");
                    // The receiver is gone only when all is.
                    let _ = feed.send(Observation { at: clock::now(), event }).await;
                }
                Ok(Err(error)) => tracing::debug!(ifindex, ?question, %error, "no DHCP server can be asked"),
                Err(_) => tracing::debug!(ifindex, ?question, "no DHCP server answers"),
            }
        });
    }
}

async fn exchange(ifindex: Ifindex, question: Question) -> io::Result<Event> {
    match question.subject {
        Subject::Dhcpv4 { address } => inform(ifindex, address, question).await,
        Subject::Dhcpv6 => request_information(ifindex, question).await,
    }
}

async fn inform(ifindex: Ifindex, address: Ipv4Addr, question: Question) -> io::Result<Event> {
    let link = Link::of(ifindex)?;
    let socket = Socket::ipv4(&link, address)?;
    let elapsed = u16::try_from(question.elapsed.as_secs()).unwrap_or(u16::MAX);
    let message = v4::inform(question.transaction, elapsed, address, link.hardware_address()?);
    socket.send(&message.map_err(io::Error::other)?)?;
    let configuration = socket.receive(|message| v4::informed(message, question.transaction)).await?;
    let expires = BootTime::FOREVER;
    let lease = Lease { address: IpAddr::V4(address), prefix_length: 32, expires, configuration };
    Ok(Event::Lease { ifindex, client: LeaseClient::Own, lease: Box::new(lease) })
}

async fn request_information(ifindex: Ifindex, question: Question) -> io::Result<Event> {
    let socket = Socket::ipv6(&Link::of(ifindex)?)?;
    let elapsed = u16::try_from(question.elapsed.as_millis() / 10).unwrap_or(u16::MAX);
    socket.send(&v6::information_request(question.transaction, elapsed).map_err(io::Error::other)?)?;
    let lease = socket.receive(|message| v6::informed(message, question.transaction)).await?;
    Ok(Event::Dhcpv6 { ifindex, client: LeaseClient::Own, lease: Box::new(lease) })
}
