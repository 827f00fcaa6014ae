//! Router Advertisements as they come in, and Router Solicitations when the engine wants them (RFC 4861 6).

mod flood;
mod socket;

use super::log_limit::LogLimit;
use super::{Feed, Observation, SourceError};
use crate::clock;
use flood::FloodGate;
use mif_core::BootTime;
use mif_core::event::{Event, Ifindex};
use mif_core::ra::{self, Dropped, RaError, RouterAdvertisement};
use socket::{Packet, RawSocket};
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// Solicitations that wait to be sent. The engine asks again after four seconds for one that found no room.
const MAX_WAITING: usize = 4096;
/// So many go out at once, and then a pause: each has the kernel search the routes of all links. When a host with a
/// thousand links starts, whoever calls is served meanwhile (RFC 4861 6.3.7 allows to wait for up to a second).
const SOLICITATIONS_AT_ONCE: usize = 32;
const SOLICITATION_PAUSE: Duration = Duration::from_millis(10);
/// Before the socket is read anew after an error that should not be.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Asks for Router Advertisements.
#[derive(Clone, Debug)]
pub struct Solicitor {
    wanted: mpsc::Sender<Ifindex>,
}

impl Solicitor {
    /// Has a Router Solicitation sent on the link, if it can be (the link may be gone). Never waits.
    pub fn solicit(&self, ifindex: Ifindex) {
        if self.wanted.try_send(ifindex).is_err() {
            tracing::debug!(ifindex, "no room for another Router Solicitation");
        }
    }
}

/// The source before it runs: it has its socket, and hears already.
pub(super) struct Listener {
    /// `None`: this kernel has no IPv6, so that nothing can be heard.
    socket: Option<RawSocket>,
    wanted: mpsc::Receiver<Ifindex>,
    inspection: Inspection,
}

/// Which packets become events.
struct Inspection {
    gate: FloodGate,
    log: LogLimit<Line>,
}

/// The kinds of log lines that a packet can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Flood,
    HopLimit,
    Source,
    Malformed,
    Dropped,
}

impl Listener {
    /// Needs CAP_NET_RAW.
    pub(super) fn open() -> Result<(Self, Solicitor), SourceError> {
        let (sender, wanted) = mpsc::channel(MAX_WAITING);
        let socket = RawSocket::open()?;
        if socket.is_none() {
            tracing::warn!("this kernel has no IPv6: there is nothing but IPv4, and no Router Advertisement");
        }
        Ok((Self { socket, wanted, inspection: Inspection::new() }, Solicitor { wanted: sender }))
    }

    /// Whether advertisements can come at all.
    pub(super) const fn can_hear(&self) -> bool {
        self.socket.is_some()
    }

    /// Tells `feed` every good advertisement, for ever.
    pub(super) async fn run(mut self, feed: Feed) -> Result<Infallible, SourceError> {
        let Some(socket) = self.socket.take() else { return std::future::pending().await };
        let mut buffer = RawSocket::buffer();
        let mut pause = pin!(sleep(Duration::ZERO));
        let mut sent = 0;
        loop {
            let event = tokio::select! {
                packet = socket.receive(&mut buffer) => self.read(packet, &buffer).await,
                Some(ifindex) = self.wanted.recv(), if sent < SOLICITATIONS_AT_ONCE => {
                    solicit(&socket, ifindex);
                    sent += 1;
                    if sent == SOLICITATIONS_AT_ONCE {
                        pause.as_mut().reset(Instant::now() + SOLICITATION_PAUSE);
                    }
                    None
                }
                () = &mut pause, if sent == SOLICITATIONS_AT_ONCE => {
                    sent = 0;
                    None
                }
            };
            if let Some(event) = event {
                let observation = Observation { at: clock::now(), event };
                feed.send(observation).await.map_err(|_| SourceError::FeedClosed)?;
            }
        }
    }

    async fn read(&mut self, packet: io::Result<Option<Packet>>, buffer: &[u8]) -> Option<Event> {
        match packet {
            Ok(packet) => self.inspection.pass(&packet?, buffer, clock::now()),
            Err(error) => {
                tracing::warn!(%error, "Router Advertisements could not be read");
                sleep(ERROR_PAUSE).await;
                None
            }
        }
    }
}

fn solicit(socket: &RawSocket, ifindex: Ifindex) {
    if let Err(error) = socket.solicit(ifindex) {
        tracing::debug!(ifindex, %error, "no Router Solicitation could be sent");
    }
}

impl Inspection {
    const fn new() -> Self {
        Self { gate: FloodGate::new(), log: LogLimit::new() }
    }

    /// The event that comes of a packet, the message in `buffer`.
    fn pass(&mut self, packet: &Packet, buffer: &[u8], now: BootTime) -> Option<Event> {
        let ifindex = packet.ifindex;
        if !self.gate.pass(ifindex, now) {
            if let Some(held_back) = self.log.pass(ifindex, Line::Flood, now) {
                tracing::warn!(ifindex, held_back, "too many Router Advertisements; some are not looked at");
            }
            return None;
        }
        let parsed = ra::accept(&packet.frame)
            .and_then(|()| RouterAdvertisement::parse(buffer.get(..packet.length).unwrap_or_default()));
        match parsed {
            Ok((advertisement, dropped)) => {
                self.log_dropped(packet, dropped, now);
                Some(Event::RouterAdvertisement { ifindex, router: packet.frame.source, advertisement })
            }
            Err(error) => {
                if let Some(held_back) = self.log.pass(ifindex, line_of(&error), now) {
                    let router = packet.frame.source;
                    tracing::warn!(ifindex, %router, held_back, "a Router Advertisement is ignored: {error}");
                }
                None
            }
        }
    }

    fn log_dropped(&mut self, packet: &Packet, dropped: Dropped, now: BootTime) {
        if dropped.is_empty() {
            return;
        }
        if let Some(held_back) = self.log.pass(packet.ifindex, Line::Dropped, now) {
            tracing::warn!(
                ifindex = packet.ifindex,
                router = %packet.frame.source,
                malformed = dropped.malformed,
                over_limit = dropped.over_limit,
                held_back,
                "a Router Advertisement is taken without some of its options"
            );
        }
    }
}

const fn line_of(error: &RaError) -> Line {
    match error {
        RaError::HopLimit { .. } => Line::HopLimit,
        RaError::Source { .. } => Line::Source,
        RaError::TooShort { .. }
        | RaError::Type { .. }
        | RaError::Code { .. }
        | RaError::EmptyOption { .. }
        | RaError::CutOption { .. } => Line::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mif_core::ra::ReceivedFrame;
    use std::net::Ipv6Addr;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const MESSAGE: [u8; 16] = [134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0];

    fn packet(ifindex: Ifindex, hop_limit: u8, source: Ipv6Addr) -> Packet {
        Packet { ifindex, frame: ReceivedFrame { hop_limit, source }, length: MESSAGE.len() }
    }

    #[test]
    fn a_good_packet_is_told_with_its_router() {
        let event = Inspection::new().pass(&packet(3, 255, ROUTER), &MESSAGE, BootTime::ZERO);
        let advertisement = RouterAdvertisement { router_lifetime: 30, ..RouterAdvertisement::default() };
        assert_eq!(event, Some(Event::RouterAdvertisement { ifindex: 3, router: ROUTER, advertisement }));
    }

    #[test]
    fn bad_packets_are_not_told() {
        let mut inspection = Inspection::new();
        let global = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        assert_eq!(inspection.pass(&packet(3, 254, ROUTER), &MESSAGE, BootTime::ZERO), None);
        assert_eq!(inspection.pass(&packet(3, 255, global), &MESSAGE, BootTime::ZERO), None);
        let cut = Packet { length: 15, ..packet(3, 255, ROUTER) };
        assert_eq!(inspection.pass(&cut, &MESSAGE, BootTime::ZERO), None);
        let beyond = Packet { length: 17, ..packet(3, 255, ROUTER) };
        assert_eq!(inspection.pass(&beyond, &MESSAGE, BootTime::ZERO), None);
    }

    #[test]
    fn a_flood_is_cut_and_leaves_the_other_links_alone() {
        let mut inspection = Inspection::new();
        let flood = packet(3, 255, ROUTER);
        let told = (0..1000).filter(|_| inspection.pass(&flood, &MESSAGE, BootTime::ZERO).is_some()).count();
        assert_eq!(told, 200);
        assert!(inspection.pass(&packet(4, 255, ROUTER), &MESSAGE, BootTime::ZERO).is_some());
    }
}
