//! A name tried in provisioning domains, by the draft's messages; or raced over all of them.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use mif::happy_eyeballs::{self, Options};
use mif::{BusChoice, ConnectRequest, Message, Messages, Subscriber, TranslateOptions};
use tokio::time::Instant;
use zbus::{Connection, OwnedObjectPath};

use super::Event;
use crate::model::attempt::{Connected, Progress, Scope, Step, Target};
use crate::model::words;

/// Networks tried at the same time. Each is a subscriber of its own, of which one client may have eight.
const AT_ONCE: usize = 6;

/// How long one connection may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Addresses that are tried in one network, one after the other.
const ADDRESSES: usize = 4;

/// What to try.
#[derive(Debug)]
pub struct Request {
    /// A name and a port.
    pub target: Target,
    /// How.
    pub scope: Scope,
    /// Where.
    pub pvds: Vec<OwnedObjectPath>,
}

/// Where progress goes.
#[derive(Clone)]
struct Report<'a> {
    events: &'a async_channel::Sender<Event>,
    run: u64,
}

impl Report<'_> {
    /// A window that is gone needs no report.
    async fn tell(&self, progress: Progress) {
        drop(self.events.send(Event::Try(self.run, progress)).await);
    }

    async fn step(&self, lane: usize, step: Step) {
        self.tell(Progress::Lane(lane, step)).await;
    }
}

/// Tries. Dropping this closes the connection to the bus, and with it the service gives up what is pending.
pub async fn run(bus: &BusChoice, request: Request, events: &async_channel::Sender<Event>, run: u64) {
    let report = Report { events, run };
    let connection = match mif::connect(bus).await {
        Ok(connection) => connection,
        Err(error) => return report.tell(Progress::Lost(words::error(&error), Vec::new())).await,
    };
    if request.scope == Scope::Race {
        return race(&connection, &request.target, &report).await;
    }
    let mut lanes: Vec<BoxFuture<'_, ()>> = Vec::with_capacity(request.pvds.len());
    for (lane, pvd) in request.pvds.iter().enumerate() {
        lanes.push(run_lane(&connection, lane, pvd, &request.target, &report).boxed());
    }
    stream::iter(lanes).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn run_lane(
    connection: &Connection,
    lane: usize,
    pvd: &OwnedObjectPath,
    target: &Target,
    report: &Report<'_>,
) {
    let ended = try_in(connection, lane, pvd, target, report).await;
    let why = ended.err().map(|error| words::error(&error));
    report.step(lane, Step::Ended(why)).await;
}

async fn race(connection: &Connection, target: &Target, report: &Report<'_>) {
    let options = Options { interactive: true, ..Options::default() };
    let port = target.port.unwrap_or_default();
    match happy_eyeballs::connect(connection, &target.name, port, &options).await {
        Ok(raced) => {
            let story = raced.story.to_string().lines().map(str::to_owned).collect();
            let connected = Connected { remote: raced.remote, local: raced.local, handshake: None };
            report.tell(Progress::Won(raced.pvd.path, connected, story)).await;
        }
        Err(error) => {
            let story = match &error {
                mif::Error::Lost(lost) => lost.story.to_string().lines().map(str::to_owned).collect(),
                _ => Vec::new(),
            };
            report.tell(Progress::Lost(words::error(&error), story)).await;
        }
    }
}

/// Translates and connects in one PvD.
async fn try_in(
    connection: &Connection,
    lane: usize,
    pvd: &OwnedObjectPath,
    target: &Target,
    report: &Report<'_>,
) -> mif::Result<()> {
    let (subscriber, mut messages) = Subscriber::create(connection, &format!("try{lane}")).await?;
    let outcome = async {
        let addresses = translate((&subscriber, &mut messages), lane, pvd, target, report).await?;
        let Some(port) = target.port else { return Ok(()) };
        let mut last = Ok(());
        for address in addresses.into_iter().take(ADDRESSES) {
            report.step(lane, Step::Connecting(address)).await;
            match connect((&subscriber, &mut messages), pvd, address, port).await {
                Ok(connected) => {
                    report.step(lane, Step::Connected(connected)).await;
                    return Ok(());
                }
                Err(error) => last = Err(error),
            }
        }
        last
    }
    .await;
    // It may be gone with its PvD's service; then there is nothing to close.
    drop(subscriber.close().await);
    outcome
}

type Line<'a> = (&'a Subscriber, &'a mut Messages);

async fn translate(
    (subscriber, messages): Line<'_>,
    lane: usize,
    pvd: &OwnedObjectPath,
    target: &Target,
    report: &Report<'_>,
) -> mif::Result<Vec<IpAddr>> {
    report.step(lane, Step::Asked).await;
    let begin = Instant::now();
    subscriber.translate_name(0, pvd, &target.name, &TranslateOptions::default()).await?;
    let mut addresses = Vec::new();
    loop {
        match next(messages).await? {
            Message::NameTranslation { answer, .. } => {
                report.step(lane, Step::Answer(answer.address, answered_by(&answer))).await;
                addresses.push(answer.address);
            }
            Message::TranslationFinished { outcome, .. } => {
                outcome?;
                report.step(lane, Step::Answered(begin.elapsed())).await;
                return Ok(addresses);
            }
            _ => {}
        }
    }
}

async fn connect(
    (subscriber, messages): Line<'_>,
    pvd: &OwnedObjectPath,
    address: IpAddr,
    port: u16,
) -> mif::Result<Connected> {
    let request =
        ConnectRequest { interactive: true, timeout: Some(LIMIT), ..ConnectRequest::new(address, port) };
    // A refusal by polkit at once is an error of the call.
    subscriber.connect_to_address(0, pvd, &request).await?;
    loop {
        match next(messages).await? {
            Message::Connected { details, .. } => {
                let socket = subscriber.take_connection(0).await?;
                let told = details.local_address.as_deref().zip(details.local_port);
                let local =
                    told.and_then(|(address, port)| Some(SocketAddr::new(address.parse().ok()?, port)));
                return Ok(Connected {
                    remote: other_end(socket).unwrap_or_else(|| SocketAddr::new(address, port)),
                    local,
                    handshake: details.handshake_us.map(|micros| Duration::from_micros(micros.into())),
                });
            }
            Message::NotConnected { error, .. } => return Err(error),
            _ => {}
        }
    }
}

/// Behind a NAT64 the other end is not the address that was connected to. The socket is closed.
fn other_end(socket: OwnedFd) -> Option<SocketAddr> {
    std::net::TcpStream::from(socket).peer_addr().ok()
}

async fn next(messages: &mut Messages) -> mif::Result<Message> {
    match messages.next().await {
        Some(Ok(Message::Closed { .. })) | None => Err(mif::Error::Disconnected),
        Some(message) => message,
    }
}

/// "DNS over TLS, 192.0.2.1".
fn answered_by(answer: &mif::Answer) -> String {
    let system = answer.source.as_ref().map(words::system).unwrap_or_default();
    let transport = match answer.transport.as_deref() {
        Some("dot") => "DoT",
        Some("doh") => "DoH",
        Some("doq") => "DoQ",
        _ => "",
    };
    words::joined([system.as_str(), transport, answer.server.as_deref().unwrap_or_default()])
}
