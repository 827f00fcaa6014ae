//! The DNS servers of one provisioning domain, as the one name server that hickory sees.
//!
//! hickory's own pool does not say which server answered, orders servers by luck until it has statistics, and with
//! its order fixed never gets past a first server that is silent. So the choice of server is made here: in the order
//! of the provisioning domain, the next one a short time after one that is silent and at once after one that fails.

use super::conversations::Conversations;
use super::places::Places;
use super::plain;
use super::runtime::ScopedRuntime;
use super::scrub::scrub;
use super::trust::Trust;
use crate::socket::Scope;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Ready, ready};
use futures_util::stream::{BoxStream, FuturesUnordered, once};
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::xfer::DnsHandle;
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, ResponseCode};
use hickory_resolver::{ConnectionProvider, PoolContext};
use mif_core::plan::{DnsProtocol, DnsServer};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server that was silent or unreachable is asked last.
const DISTRUST: Duration = Duration::from_secs(30);
/// How long one server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The servers of one provisioning domain. Clones share everything.
#[derive(Clone)]
pub(super) struct Servers {
    runtime: ScopedRuntime,
    shared: Arc<Shared>,
}

struct Shared {
    servers: Mutex<Arc<[DnsServer]>>,
    /// Servers that were silent or unreachable.
    distrusted: Mutex<BTreeMap<Key, Distrust>>,
    places: Places,
    conversations: Conversations,
}

impl Servers {
    pub(super) fn new(scope: Scope, servers: &[DnsServer], trust: Arc<Trust>) -> Self {
        let runtime = ScopedRuntime::new(scope);
        let shared = Shared {
            servers: Mutex::new(servers.into()),
            distrusted: Mutex::default(),
            places: Places::default(),
            conversations: Conversations::new(runtime.clone(), trust),
        };
        Self { runtime, shared: Arc::new(shared) }
    }

    /// Whether `servers` are the same ones, wherever they are asked from.
    pub(super) fn are(&self, servers: &[DnsServer]) -> bool {
        let own = self.shared.servers();
        own.len() == servers.len()
            && own.iter().zip(servers).all(|(a, b)| a.address == b.address && a.protocol == b.protocol)
    }

    /// From now on the servers are asked from the sources that are in `servers`: addresses come and go, and the cache
    /// need not go with them.
    pub(super) fn ask_from(&self, servers: &[DnsServer]) {
        let mut own = lock(&self.shared.servers);
        if **own != *servers {
            *own = servers.into();
        }
    }

    async fn ask(self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let _place = self.shared.places.take().await;
        let mut waiting = self.shared.in_order().into_iter();
        let mut asked: FuturesUnordered<BoxFuture<'_, Attempt>> = FuturesUnordered::new();
        let mut silent: Vec<(DnsServer, Instant)> = Vec::new();
        let mut outcome = Err(NetError::NoConnections);
        let mut head_start = Duration::ZERO;
        loop {
            if let Some(server) = waiting.next() {
                head_start = head_start_of(&server.protocol);
                silent.push((server.clone(), Instant::now()));
                asked.push(Box::pin(self.ask_one(server, request.clone())));
            }
            let attempt = tokio::select! {
                attempt = asked.next() => attempt,
                () = tokio::time::sleep(head_start), if waiting.len() > 0 => continue,
            };
            let Some(Attempt { server, result }) = attempt else { return outcome };
            silent.retain(|(other, _)| *other != server);
            self.shared.judge(&server, &result);
            if is_final(&result) {
                self.shared.distrust_silent(silent);
                return result;
            }
            outcome = more_telling(outcome, result);
        }
    }

    async fn ask_one(&self, server: DnsServer, request: DnsRequest) -> Attempt {
        let mut result = match server.protocol {
            DnsProtocol::Plain => plain::ask(&self.runtime, &server, request).await,
            _ => self.shared.conversations.ask(&server, request).await,
        };
        if let Ok(response) = &mut result {
            scrub(response);
        }
        Attempt { server, result }
    }
}

/// What one server made of a question.
struct Attempt {
    server: DnsServer,
    result: Result<DnsResponse, NetError>,
}

impl Shared {
    fn servers(&self) -> Arc<[DnsServer]> {
        Arc::clone(&lock(&self.servers))
    }

    /// The servers to ask, those that lately did not answer last.
    fn in_order(&self) -> Vec<DnsServer> {
        let mut servers = self.servers().to_vec();
        let mut distrusted = lock(&self.distrusted);
        if !distrusted.is_empty() {
            let now = Instant::now();
            distrusted.retain(|_, distrust| distrust.until > now);
            servers.sort_by_cached_key(|server| distrusted.contains_key(&key(server)));
        }
        servers
    }

    fn judge(&self, server: &DnsServer, result: &Result<DnsResponse, NetError>) {
        let mut distrusted = lock(&self.distrusted);
        let Err(error) = result else {
            if !distrusted.is_empty() {
                distrusted.remove(&key(server));
            }
            return;
        };
        let why = error.to_string();
        let known = distrusted.insert(key(server), Distrust::now(why.clone()));
        drop(distrusted);
        if server.protocol.is_verified() && known.is_none_or(|known| known.why != why) {
            tracing::warn!(server = %server.address, protocol = ?server.protocol, error = why,
                "a resolver that the network announces cannot be used");
        }
    }

    /// Another server answered while these had their time and said nothing.
    fn distrust_silent(&self, asked: Vec<(DnsServer, Instant)>) {
        let now = Instant::now();
        let head_start = |server: &DnsServer| head_start_of(&server.protocol);
        let late =
            asked.into_iter().filter(|(server, since)| now.duration_since(*since) >= head_start(server));
        lock(&self.distrusted)
            .extend(late.map(|(server, _)| (key(&server), Distrust::now("it said nothing".to_owned()))));
    }
}

/// Why a server is asked last, and until when.
struct Distrust {
    until: Instant,
    why: String,
}

impl Distrust {
    fn now(why: String) -> Self {
        Self { until: Instant::now() + DISTRUST, why }
    }
}

/// A server, wherever it is asked from.
type Key = (SocketAddr, DnsProtocol);

fn key(server: &DnsServer) -> Key {
    (server.address, server.protocol.clone())
}

/// How long a silent server keeps the next one waiting. A connection takes three round trips to open.
const fn head_start_of(protocol: &DnsProtocol) -> Duration {
    match protocol {
        DnsProtocol::Plain => Duration::from_millis(300),
        DnsProtocol::Tls { .. }
        | DnsProtocol::UnverifiedTls
        | DnsProtocol::Https { .. }
        | DnsProtocol::Quic { .. } => Duration::from_secs(1),
    }
}

impl DnsHandle for Servers {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = ScopedRuntime;

    fn send(&self, request: DnsRequest) -> Self::Response {
        once(self.clone().ask(request)).boxed()
    }
}

/// hickory asks for "the connection" to its one name server, and gets all of them.
impl ConnectionProvider for Servers {
    type Conn = Self;
    type FutureConn = Ready<Result<Self, NetError>>;
    type RuntimeProvider = ScopedRuntime;

    fn new_connection(
        &self,
        _: IpAddr,
        _: &ConnectionConfig,
        _: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        Ok(ready(Ok(self.clone())))
    }

    fn runtime_provider(&self) -> &ScopedRuntime {
        &self.runtime
    }
}

/// A name exists or not: that ends the matter. Everything else another server may know better.
fn is_final(result: &Result<DnsResponse, NetError>) -> bool {
    result.as_ref().is_ok_and(|response| {
        matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
    })
}

/// Of two results that are not final: what a server said is more than that one could not be asked, and that is more
/// than silence.
fn more_telling(
    known: Result<DnsResponse, NetError>,
    new: Result<DnsResponse, NetError>,
) -> Result<DnsResponse, NetError> {
    let weight = |result: &Result<DnsResponse, NetError>| match result {
        Ok(_) => 3,
        Err(NetError::NoConnections) => 0,
        Err(NetError::Timeout) => 1,
        Err(_) => 2,
    };
    if weight(&new) > weight(&known) { new } else { known }
}

/// Where a socket for `server` is bound; "any" where the kernel is to choose.
pub(super) fn local(server: &DnsServer) -> SocketAddr {
    let any: IpAddr = match server.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(server.source.unwrap_or(any), 0)
}

/// What `mutex` guards, whatever became of others who held it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
