//! The connections of encrypted DNS of one provisioning domain: opened when first needed, shared by all questions,
//! kept a short while after the last one, gone with the provisioning domain.

use super::conversation::{Conversation, Driver};
use super::places::SHARED;
use super::provenance::Provenance;
use super::runtime::ScopedRuntime;
use super::servers::{PATIENCE, lock};
use super::trust::Trust;
use futures_util::future::{BoxFuture, Shared};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::{DnsRequest, DnsResponse};
use mif_core::plan::{DnsProtocol, DnsServer, Transport};
use rustls::client::Resumption;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a connection without questions is kept (RFC 7766 6.2.3: "of the order of a few seconds").
const IDLE: Duration = Duration::from_secs(10);
/// How long a connection that is kept may say nothing to a question before another one is tried.
const DOUBT: Duration = Duration::from_secs(2);
/// Sessions that can be resumed. They are never shared between provisioning domains: a server that is in two of them
/// would know the host again.
const SESSIONS: usize = 32;

/// The connections of one provisioning domain, by server.
pub(super) struct Conversations {
    runtime: ScopedRuntime,
    trust: Arc<Trust>,
    resumption: Resumption,
    talks: Mutex<BTreeMap<DnsServer, Talk>>,
}

/// The way to the task that owns a connection. The task ends with it.
#[derive(Clone)]
struct Talk {
    questions: mpsc::Sender<Question>,
    /// How many answers came.
    heard: Arc<AtomicU64>,
    task: Arc<Driver>,
}

struct Question {
    request: DnsRequest,
    answer: oneshot::Sender<Answered>,
}

type Answered = Result<DnsResponse, Lost>;

/// No answer.
struct Lost {
    error: NetError,
    /// The connection had been open for a while, and may have been closed from the other end for its age.
    stale: bool,
}

impl Conversations {
    pub(super) fn new(runtime: ScopedRuntime, trust: Arc<Trust>) -> Self {
        let resumption = Resumption::in_memory_sessions(SESSIONS);
        Self { runtime, trust, resumption, talks: Mutex::default() }
    }

    /// Asks `server`, and says in the answer how.
    ///
    /// # Errors
    /// No connection, or no answer over it.
    pub(super) async fn ask(&self, server: &DnsServer, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let answered = match self.ask_twice(server, &request).await {
            Err(Lost { stale: true, .. }) => self.talk_with(server).ask(request).await,
            answered => answered,
        };
        let mut response = answered.map_err(|lost| lost.error)?;
        let transport = match server.protocol {
            DnsProtocol::Https { .. } => Transport::Doh,
            DnsProtocol::Quic { .. } => Transport::Doq,
            DnsProtocol::Tls { .. } | DnsProtocol::UnverifiedTls | DnsProtocol::Plain => Transport::Dot,
        };
        let encrypted = server.protocol.is_verified();
        Provenance { server: server.address.ip(), transport, encrypted }.note_on(&mut response);
        Ok(response)
    }

    /// Asks over the connection at hand. When that gives reason to doubt that the server still knows of it, over a
    /// new one besides: a server that restarts does not always say so.
    async fn ask_twice(&self, server: &DnsServer, request: &DnsRequest) -> Answered {
        let talk = self.talk_with(server);
        let first = talk.ask(request.clone());
        tokio::pin!(first);
        tokio::select! {
            answered = &mut first => return answered,
            () = talk.doubt() => self.give_up(server, &talk),
        }
        let second = self.talk_with(server);
        tokio::select! {
            Ok(response) = first => Ok(response),
            answered = second.ask(request.clone()) => answered,
        }
    }

    /// Nobody shall ask over this connection any more; who has asked waits on.
    fn give_up(&self, server: &DnsServer, talk: &Talk) {
        let mut talks = lock(&self.talks);
        if talks.get(server).is_some_and(|current| Arc::ptr_eq(&current.task, &talk.task)) {
            talks.remove(server);
        }
    }

    /// The connection with `server`, begun now unless there is one.
    fn talk_with(&self, server: &DnsServer) -> Talk {
        let mut talks = lock(&self.talks);
        // Those that ended; servers and sources change.
        talks.retain(|_, talk| !talk.questions.is_closed());
        if let Some(talk) = talks.get(server) {
            return talk.clone();
        }
        let (questions, incoming) = mpsc::channel(SHARED);
        let opening = self.open(server.clone()).boxed().shared();
        let heard = Arc::new(AtomicU64::new(0));
        let task = Arc::new(Driver::start(converse(opening, incoming, Arc::clone(&heard))));
        let talk = Talk { questions, heard, task };
        talks.insert(server.clone(), talk.clone());
        talk
    }

    fn open(
        &self,
        server: DnsServer,
    ) -> impl Future<Output = Result<Conversation, NetError>> + Send + 'static {
        let (runtime, trust) = (self.runtime.clone(), Arc::clone(&self.trust));
        let resumption = self.resumption.clone();
        async move {
            let mut config = match server.protocol {
                DnsProtocol::UnverifiedTls => Trust::taking_anybody()?,
                _ => trust.verifying().await?,
            };
            config.resumption = resumption;
            let opening = Conversation::open(runtime, server, config);
            tokio::time::timeout(PATIENCE, opening).await.map_err(|_| NetError::Timeout)?
        }
    }
}

impl Talk {
    async fn ask(&self, request: DnsRequest) -> Answered {
        let stale = || Lost { error: NetError::NoConnections, stale: true };
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question { request, answer }).await.map_err(|_| stale())?;
        answered.await.map_err(|_| stale())?
    }

    /// Waits until nothing was heard for [`DOUBT`] on a connection over which something had been heard before.
    async fn doubt(&self) {
        let mut heard = self.heard.load(Ordering::Relaxed);
        if heard == 0 {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(DOUBT).await;
            let now = self.heard.load(Ordering::Relaxed);
            if now == heard {
                return;
            }
            heard = now;
        }
    }
}

type Opening = Shared<BoxFuture<'static, Result<Conversation, NetError>>>;

/// What became of a question, for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// Nobody waits for the answer any more.
    Abandoned,
    Failed,
}

/// Owns a connection: puts questions until none came for [`IDLE`], or until it breaks. A connection on which nothing
/// but abandoned questions is left is closed at once, for its server may still answer them.
async fn converse(opening: Opening, mut questions: mpsc::Receiver<Question>, heard: Arc<AtomicU64>) {
    let mut under_way: FuturesUnordered<BoxFuture<'static, Outcome>> = FuturesUnordered::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            question = questions.recv(), if open => match question {
                Some(question) => under_way.push(put(opening.clone(), question).boxed()),
                None => open = false,
            },
            Some(outcome) = under_way.next(), if !under_way.is_empty() => match outcome {
                Outcome::Answered => drop(heard.fetch_add(1, Ordering::Relaxed)),
                Outcome::Abandoned if under_way.is_empty() => return,
                Outcome::Abandoned => {}
                Outcome::Failed => questions.close(),
            },
            () = tokio::time::sleep(IDLE), if under_way.is_empty() => return,
        }
    }
}

/// Puts one question, once the connection is open.
async fn put(opening: Opening, question: Question) -> Outcome {
    let Question { request, mut answer } = question;
    let stale = matches!(opening.peek(), Some(Ok(_)));
    let asking = async {
        let conversation = opening.await?;
        tokio::time::timeout(PATIENCE, conversation.ask(request)).await.map_err(|_| NetError::Timeout)?
    };
    let answered = tokio::select! {
        answered = asking => answered,
        () = answer.closed() => return Outcome::Abandoned,
    };
    let outcome = if answered.is_ok() { Outcome::Answered } else { Outcome::Failed };
    let lost = |error: NetError| {
        let stale = stale && !matches!(error, NetError::Timeout);
        Lost { error, stale }
    };
    match answer.send(answered.map_err(lost)) {
        Ok(()) => outcome,
        Err(_) => Outcome::Abandoned,
    }
}
