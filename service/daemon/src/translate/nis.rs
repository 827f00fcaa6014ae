//! NIS: hosts of the domain that DHCP named, from the servers that it named, over UDP (`core::nis` has the protocol).

use super::delivery::Delivery;
use super::runtime::ConnectedUdp;
use crate::socket::{self, Scope};
use mif_core::configuration::AddressFamily;
use mif_core::nis::{self, Host, LONGEST_REPLY, Map, ReplyError};
use mif_core::plan::{
    Answer, AnswerSource, Families, NisPlan, NisServer, System, Systems, TranslationEnd, TranslationFailure,
    Transport,
};
use mif_core::pvd::Serial;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long to wait after each time of asking.
const WAITS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(1_000), Duration::from_millis(1_000)];
/// How long the port of a server is known before its port mapper is asked again.
const PORT_LIFETIME: Duration = Duration::from_secs(300);
/// How long a server that was silent or refused is asked last, and only once.
const DISTRUST: Duration = Duration::from_secs(30);
/// The servers that something is known of, at most: some of each provisioning domain.
const MOST_KNOWN: usize = 1_024;

/// What is known of servers between translations.
#[derive(Debug, Default)]
pub(super) struct NisServers {
    known: Mutex<BTreeMap<(Serial, SocketAddr), Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    state: State,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Where the server is, at its host.
    Port(u16),
    Distrusted,
}

/// Who asks what.
pub(super) struct Inquiry<'a> {
    pub(super) scope: Scope,
    pub(super) pvd: Serial,
    pub(super) plan: &'a NisPlan,
    pub(super) families: Families,
}

/// Why one server gave no answer.
#[derive(Debug, thiserror::Error)]
enum NisError {
    #[error("it did not answer")]
    Silent,
    #[error("no NIS server runs there")]
    NoServer,
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl NisServers {
    /// Asks the servers in order until one has an answer, and hands it out.
    pub(super) async fn ask<S: FnMut(Answer)>(
        &self,
        inquiry: &Inquiry<'_>,
        delivery: &mut Delivery<S>,
    ) -> Result<TranslationEnd, TranslationFailure> {
        let mut silent = false;
        for (server, distrusted) in self.in_order(inquiry) {
            let waits = if distrusted { &WAITS[..1] } else { &WAITS[..] };
            match self.ask_server(inquiry, server, waits).await {
                Ok(hosts) => return deliver(inquiry, server, hosts, delivery),
                Err(error) => {
                    tracing::debug!(server = %server.address.ip(), %error, "NIS server not used");
                    silent |= matches!(error, NisError::Silent);
                    self.learn(inquiry.pvd, server.address, State::Distrusted, DISTRUST);
                }
            }
        }
        let name = inquiry.plan.name.clone();
        Err(if silent {
            TranslationFailure::TimedOut(name)
        } else {
            TranslationFailure::ServerFailure(name, None)
        })
    }

    /// Drops what is known of the servers of `pvd`, which is gone.
    pub(super) fn forget(&self, pvd: Serial) {
        self.lock().retain(|(known, _), _| *known != pvd);
    }

    /// The servers to ask, those that lately did not answer last.
    fn in_order(&self, inquiry: &Inquiry<'_>) -> Vec<(NisServer, bool)> {
        let distrusted =
            |server: &NisServer| self.state(inquiry.pvd, server.address) == Some(State::Distrusted);
        let mut servers: Vec<(NisServer, bool)> =
            inquiry.plan.servers.iter().map(|server| (*server, distrusted(server))).collect();
        servers.sort_by_key(|(_, distrusted)| *distrusted);
        servers
    }

    async fn ask_server(
        &self,
        inquiry: &Inquiry<'_>,
        server: NisServer,
        waits: &[Duration],
    ) -> Result<Vec<Host>, NisError> {
        let port = match self.state(inquiry.pvd, server.address) {
            Some(State::Port(port)) => port,
            Some(State::Distrusted) | None => {
                let port = ask_port(inquiry.scope, server, waits).await?;
                self.learn(inquiry.pvd, server.address, State::Port(port), PORT_LIFETIME);
                port
            }
        };
        let mut at = server;
        at.address.set_port(port);
        let (nodes, hosts) =
            tokio::join!(ask_map(inquiry, at, Map::IpNodes, waits), ask_map(inquiry, at, Map::Hosts, waits));
        let mut found = hosts?;
        // Most servers have only the other map.
        found.extend(nodes.unwrap_or_default());
        Ok(found)
    }

    fn state(&self, pvd: Serial, server: SocketAddr) -> Option<State> {
        let known = self.lock().get(&(pvd, server)).copied();
        known.filter(|known| known.until > Instant::now()).map(|known| known.state)
    }

    fn learn(&self, pvd: Serial, server: SocketAddr, state: State, lifetime: Duration) {
        let now = Instant::now();
        let mut known = self.lock();
        known.retain(|_, known| known.until > now);
        if known.len() < MOST_KNOWN || known.contains_key(&(pvd, server)) {
            known.insert((pvd, server), Known { state, until: now + lifetime });
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Serial, SocketAddr), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deliver<S: FnMut(Answer)>(
    inquiry: &Inquiry<'_>,
    server: NisServer,
    hosts: Vec<Host>,
    delivery: &mut Delivery<S>,
) -> Result<TranslationEnd, TranslationFailure> {
    let exists = !hosts.is_empty();
    for host in hosts.into_iter().filter(|host| inquiry.families.includes(AddressFamily::of(host.address))) {
        if let Some(name) = host.canonical_name {
            delivery.name(name);
        }
        delivery.give(Answer {
            server: Some(server.address.ip()),
            transport: Some(Transport::Udp),
            ..Answer::local(host.address, AnswerSource::Nis)
        });
    }
    let name = || inquiry.plan.name.clone();
    if !delivery.is_empty() {
        Ok(delivery.end_without_dns())
    } else if exists {
        Err(TranslationFailure::NoAddress(name()))
    } else {
        Err(TranslationFailure::Unknown(name(), Systems::NONE.with(System::Nis)))
    }
}

async fn ask_port(scope: Scope, server: NisServer, waits: &[Duration]) -> Result<u16, NisError> {
    let xid = rand::random();
    let reply = call(scope, server, &nis::ask_port(xid), waits, |reply| nis::read_port(xid, reply)).await?;
    reply.ok_or(NisError::NoServer)
}

async fn ask_map(
    inquiry: &Inquiry<'_>,
    server: NisServer,
    map: Map,
    waits: &[Duration],
) -> Result<Vec<Host>, NisError> {
    let xid = rand::random();
    let packet = nis::ask_host(xid, &inquiry.plan.domain, map, &inquiry.plan.name);
    call(inquiry.scope, server, &packet, waits, |reply| nis::read_hosts(xid, reply)).await
}

/// Sends `packet` until a reply comes. What is not the reply is left out: the socket is connected, so that it came from
/// the server's address and port, or from somebody who forged those.
async fn call<T>(
    scope: Scope,
    server: NisServer,
    packet: &[u8],
    waits: &[Duration],
    read: impl Fn(&[u8]) -> Result<T, ReplyError>,
) -> Result<T, NisError> {
    let socket = ConnectedUdp::new(socket::datagram_to(scope, server.address, server.source)?)?;
    // One byte more, so that what is too long is not taken for what is whole.
    let mut buffer = [0; LONGEST_REPLY + 1];
    for wait in waits {
        socket.send(packet).await?;
        let until = Instant::now() + *wait;
        while let Ok(received) = timeout_at(until, socket.receive(&mut buffer)).await {
            let (length, _) = received?;
            match read(&buffer[..length]) {
                Err(ReplyError::NotOurs | ReplyError::Malformed) => {}
                read => return Ok(read?),
            }
        }
    }
    Err(NisError::Silent)
}
