//! The DNS servers of one provisioning domain, as the one name server that hickory sees.
//!
//! hickory's own pool does not say which server answered, orders servers by luck until it has statistics, and with
//! its order fixed never gets past a first server that is silent. So the choice of server is made here: in the order
//! of the provisioning domain, the next one a short time after one that is silent and at once after one that fails.

use super::provenance::Provenance;
use super::runtime::ScopedRuntime;
use crate::socket::Scope;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Ready, ready};
use futures_util::stream::{BoxStream, FuturesUnordered, once};
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsMultiplexer, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, ResponseCode};
use hickory_resolver::{ConnectionProvider, PoolContext};
use mif_core::plan::{DnsServer, Transport};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long a silent server keeps the next one waiting.
const HEAD_START: Duration = Duration::from_millis(300);
/// How long a server that was silent or unreachable is asked last.
const DISTRUST: Duration = Duration::from_secs(30);
/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a question is sent again over UDP, and how often it is sent at most.
const RETRANSMIT_MS: u64 = 1_000;
const TRANSMISSIONS: u8 = 3;
/// Questions on the wire at a time; the others wait. Each takes at most [`TRANSMISSIONS`] sockets a server.
const QUESTIONS: usize = 64;

/// The servers of one provisioning domain. Clones share everything.
#[derive(Clone)]
pub(super) struct Servers {
    runtime: ScopedRuntime,
    shared: Arc<Shared>,
}

struct Shared {
    servers: Mutex<Arc<[DnsServer]>>,
    /// Servers that were silent or unreachable, and until when that counts.
    distrusted: Mutex<BTreeMap<SocketAddr, Instant>>,
    questions: Semaphore,
}

impl Servers {
    pub(super) fn new(scope: Scope, servers: &[DnsServer]) -> Self {
        let shared = Shared {
            servers: Mutex::new(servers.into()),
            distrusted: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
        };
        Self { runtime: ScopedRuntime::new(scope), shared: Arc::new(shared) }
    }

    /// Whether `servers` are the same ones, wherever they are asked from.
    pub(super) fn are(&self, servers: &[DnsServer]) -> bool {
        let own = self.shared.servers();
        own.len() == servers.len() && own.iter().zip(servers).all(|(a, b)| a.address == b.address)
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
        let _permit = self.shared.questions.acquire().await.map_err(|_| NetError::NoConnections)?;
        let mut waiting = self.shared.in_order().into_iter();
        let mut asked: FuturesUnordered<BoxFuture<'_, Attempt>> = FuturesUnordered::new();
        let mut silent: Vec<(SocketAddr, Instant)> = Vec::new();
        let mut outcome = Err(NetError::NoConnections);
        loop {
            if let Some(server) = waiting.next() {
                silent.push((server.address, Instant::now()));
                asked.push(Box::pin(self.ask_one(server, request.clone())));
            }
            let attempt = tokio::select! {
                attempt = asked.next() => attempt,
                () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => continue,
            };
            let Some(Attempt { server, result }) = attempt else { return outcome };
            silent.retain(|(address, _)| *address != server);
            self.shared.judge(server, &result);
            if is_final(&result) {
                self.shared.distrust_silent(&silent);
                return result;
            }
            outcome = more_telling(outcome, result);
        }
    }

    async fn ask_one(&self, server: DnsServer, request: DnsRequest) -> Attempt {
        let result = match self.ask_by_udp(server, request.clone()).await {
            Ok(response) if response.truncation => self.ask_by_tcp(server, request).await,
            result => result.map(|response| noted(response, server, Transport::Udp)),
        };
        Attempt { server: server.address, result }
    }

    async fn ask_by_udp(&self, server: DnsServer, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let mut stream = UdpClientStream::builder(server.address, self.runtime.clone())
            .with_timeout(Some(PATIENCE))
            .with_os_port_selection(true)
            .with_bind_addr(Some(local(server)))
            .with_max_retries(TRANSMISSIONS)
            .with_retry_interval_floor(RETRANSMIT_MS)
            .build();
        stream.send_message(request).first_answer().await
    }

    /// One connection a question: the driver of the connection runs inside this future, and ends with it.
    async fn ask_by_tcp(&self, server: DnsServer, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let question = request.queries.clone();
        let (connecting, sender) =
            TcpClientStream::new(server.address, Some(local(server)), Some(PATIENCE), self.runtime.clone());
        let multiplexer = DnsMultiplexer::new(connecting.await?, sender).with_timeout(PATIENCE);
        let (exchange, driver) = DnsExchange::<ScopedRuntime>::from_stream(multiplexer);
        let mut answer = exchange.send(request).first_answer();
        let response = tokio::select! {
            biased;
            response = &mut answer => response,
            () = driver => answer.await,
        }?;
        if response.queries != question {
            return Err(NetError::from("the answer is to another question"));
        }
        if response.truncation {
            return Err(NetError::Truncated);
        }
        Ok(noted(response, server, Transport::Tcp))
    }
}

/// What one server made of a question.
struct Attempt {
    server: SocketAddr,
    result: Result<DnsResponse, NetError>,
}

impl Shared {
    fn servers(&self) -> Arc<[DnsServer]> {
        Arc::clone(&lock(&self.servers))
    }

    /// The servers to ask, those that lately did not answer last.
    fn in_order(&self) -> Vec<DnsServer> {
        let now = Instant::now();
        let mut distrusted = lock(&self.distrusted);
        distrusted.retain(|_, until| *until > now);
        let mut servers = self.servers().to_vec();
        servers.sort_by_key(|server| distrusted.contains_key(&server.address));
        servers
    }

    fn judge(&self, server: SocketAddr, result: &Result<DnsResponse, NetError>) {
        let mut distrusted = lock(&self.distrusted);
        match result {
            Ok(_) => distrusted.remove(&server),
            Err(_) => distrusted.insert(server, Instant::now() + DISTRUST),
        };
    }

    /// Another server answered while these had their time and said nothing.
    fn distrust_silent(&self, asked: &[(SocketAddr, Instant)]) {
        let now = Instant::now();
        let late = asked.iter().filter(|(_, since)| now.duration_since(*since) >= HEAD_START);
        lock(&self.distrusted).extend(late.map(|(server, _)| (*server, now + DISTRUST)));
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

fn noted(mut response: DnsResponse, server: DnsServer, transport: Transport) -> DnsResponse {
    Provenance { server: server.address.ip(), transport }.note_on(&mut response);
    response
}

/// Where a socket for `server` is bound; "any" where the kernel is to choose.
fn local(server: DnsServer) -> SocketAddr {
    let any: IpAddr = match server.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(server.source.unwrap_or(any), 0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
