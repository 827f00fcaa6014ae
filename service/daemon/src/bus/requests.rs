//! Translations and connections: decoded, checked, planned, handed to a task, and what becomes of them.

use super::authority::{Credentials, Permission, Purpose};
use super::call::{Call, Client};
use super::error::{BusError, Name, shown};
use super::message_face::Begun;
use super::properties::UNCLAIMED_TIMEOUT_MS;
use super::state_face::{GivenOptions, options, parse_address};
use super::text::Text;
use super::wire::Descriptor;
use super::work::{Owner, Progress, SubscriberKey, What, Work};
use super::{Bus, convert};
use crate::request::connect::{Connection, connect};
use crate::request::way::Way;
use crate::translate::{Translator, on_behalf_of};
use futures_util::FutureExt;
use mif_core::BootTime;
use mif_core::announcement::ConnectionDetails;
use mif_core::plan::{
    self, ConnectRequest, Families, Protocol, Refusal, System, Systems, TranslatePlan, TranslateRequest,
    TranslationEnd,
};
use mif_core::pvd::Serial;
use mif_core::subscription::{Outcome, WorkNumber};
use mif_core::usage::Held;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How a request is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// By a method call, whose options may name the source.
    ForReply,
    /// By a subscriber, which names the source as an argument or not at all.
    ForSignals,
}

/// A request of a client that is known.
pub(super) struct Origin {
    pub(super) owner: Owner,
    pub(super) client: Client,
    pub(super) credentials: Arc<Credentials>,
}

/// TranslateName's arguments as a request.
pub(super) fn translate_request(
    name: Text,
    given: GivenOptions,
    available: Systems,
) -> Result<TranslateRequest, BusError> {
    let mut options = options(given, &["family", "timeout", "systems"])?;
    let families = match options.text("family")? {
        None => Families::Any,
        Some(word) => Families::from_word(&word)
            .ok_or_else(|| bad_word("family", &word, &Families::ALL.map(Families::word)))?,
    };
    let system = |word: &String| {
        System::from_word(word).ok_or_else(|| bad_word("systems", word, &System::ALL.map(System::word)))
    };
    let systems = options.texts("systems")?;
    let systems = systems.map(|words| words.iter().map(system).collect::<Result<Vec<_>, _>>()).transpose()?;
    let timeout_ms = options.number("timeout")?.unwrap_or(plan::TRANSLATE_TIMEOUT_MS);
    Ok(TranslateRequest { name: name.into(), families, timeout_ms, systems, available })
}

/// ConnectToAddress' arguments as a request.
pub(super) fn connect_request(
    address: Text,
    source: Option<Text>,
    port: u16,
    given: GivenOptions,
    waiting: Waiting,
) -> Result<ConnectRequest, BusError> {
    let known: &[&str] = match waiting {
        Waiting::ForReply => &["source", "timeout", "protocol"],
        Waiting::ForSignals => &["timeout", "protocol"],
    };
    let mut options = options(given, known)?;
    let source = source.map(String::from).or(options.text("source")?);
    let protocol = match options.text("protocol")? {
        None => Protocol::Tcp,
        Some(word) => Protocol::from_word(&word)
            .ok_or_else(|| bad_word("protocol", &word, &Protocol::ALL.map(Protocol::word)))?,
    };
    Ok(ConnectRequest {
        address: parse_address("address", &address)?,
        port,
        source: source.map(|source| parse_address("source", &source)).transpose()?,
        timeout_ms: options.number("timeout")?.unwrap_or(plan::CONNECT_TIMEOUT_MS),
        protocol,
    })
}

impl Bus {
    /// TranslateName on the state face: the reply comes when the whole answer is there.
    pub(super) fn translate_for_call(&mut self, call: Call, pvd: Serial, request: &TranslateRequest) {
        let Some((call, credentials)) = self.introduced(call) else { return };
        let plan = match plan::translate(&self.snapshot, pvd, request, self.translator.encryption()) {
            Ok(plan) => plan,
            Err(refusal) => return self.answer(&call, Err(refusal.into())),
        };
        let origin = Origin { client: call.client(), owner: Owner::Call(call.clone()), credentials };
        if let Err(error) = self.may_translate(&origin).and_then(|()| self.start_translation(origin, plan)) {
            self.answer(&call, Err(error));
        }
    }

    /// ConnectToAddress on the state face: the reply comes when connected.
    pub(super) fn connect_for_call(&mut self, call: Call, pvd: Serial, request: &ConnectRequest) {
        // Nobody would get the socket: nothing is attempted.
        if !call.wants_reply() {
            return;
        }
        let Some((call, credentials)) = self.introduced(call) else { return };
        let way = match self.way(pvd, request) {
            Ok(way) => way,
            Err(refusal) => return self.answer(&call, Err(refusal.into())),
        };
        let origin = Origin { client: call.client(), owner: Owner::Call(call.clone()), credentials };
        let permission = self.may_connect(&origin, &call, pvd, request);
        let begun = permission.and_then(|permission| self.start_connection(origin, pvd, way, permission));
        if let Err(error) = begun {
            self.answer(&call, Err(error));
        }
    }

    /// How a connection inside `pvd` is begun.
    pub(super) fn way(&self, pvd: Serial, request: &ConnectRequest) -> Result<Way, Refusal> {
        Way::find(&self.snapshot, pvd, request.clone(), &self.translator)
    }

    /// Whether packets may be sent for a client at all: only for one in the service's own network namespace.
    pub(super) fn may_translate(&self, origin: &Origin) -> Result<(), BusError> {
        if origin.credentials.is_in(self.namespace) {
            return Ok(());
        }
        Err(BusError::new(
            Name::ForeignNamespace,
            "you live in another network namespace than the service, and see other networks; ask a service \
             that runs in yours",
        ))
    }

    /// Whether a client may have connections made, as far as that can be told now.
    pub(super) fn may_connect(
        &self,
        origin: &Origin,
        call: &Call,
        pvd: Serial,
        request: &ConnectRequest,
    ) -> Result<Permission, BusError> {
        self.may_translate(origin)?;
        let (address, port) = (Some(request.address), Some(request.port));
        let pvd = Some(self.id_of(pvd));
        let purpose = Purpose { pvd, address, port, source: request.source, ..Purpose::default() };
        self.permission(origin, call, purpose)
    }

    /// Whether a client may have a socket connected or bound, as far as that can be told now. To be obtained
    /// by the task that does it, before it does anything.
    pub(super) fn permission(
        &self,
        origin: &Origin,
        call: &Call,
        purpose: Purpose,
    ) -> Result<Permission, BusError> {
        self.peers.authority().permission(call, &origin.credentials, purpose)
    }

    /// The Id of a provisioning domain, as people know it.
    pub(super) fn id_of(&self, pvd: Serial) -> String {
        self.snapshot.pvd(pvd).map(|pvd| pvd.id.clone()).unwrap_or_default()
    }

    /// Begins a translation, which reports its progress to the bus task.
    pub(super) fn start_translation(
        &mut self,
        origin: Origin,
        plan: TranslatePlan,
    ) -> Result<Begun, BusError> {
        let pvd = plan.pvd;
        let translator = Arc::clone(&self.translator);
        self.start(origin, pvd, Held::Translation, move |number, progress| async move {
            run_translation(number, plan, &translator, &progress).await;
        })
        .map(Begun::Running)
    }

    /// Begins a connection, which reports its progress to the bus task.
    pub(super) fn start_connection(
        &mut self,
        origin: Origin,
        pvd: Serial,
        way: Way,
        permission: Permission,
    ) -> Result<Begun, BusError> {
        let uid = origin.credentials.uid;
        // What it has seen is what the way was found by.
        let mut snapshots = self.snapshots.subscribe();
        let (router, translator) = (self.router.clone(), Arc::clone(&self.translator));
        self.start(origin, pvd, Held::Connection, move |number, progress| async move {
            let connecting = async {
                // The timeout begins after this.
                permission.obtain().await?;
                let mark = router.hold(pvd).await?;
                let plan = way.plan(&translator, &mut snapshots).await?;
                Ok(connect(&plan, mark, uid, snapshots).await?)
            };
            let what = What::Connected(connecting.await);
            // The bus task is gone only when the service stops.
            let _ = progress.send(Progress { number, what }).await;
        })
        .map(Begun::Running)
    }

    /// Begins work as a task of its own, which reports its progress to the bus task.
    pub(super) fn start<Task: Future<Output = ()> + Send + 'static>(
        &mut self,
        origin: Origin,
        pvd: impl Into<Option<Serial>>,
        held: Held,
        task: impl FnOnce(WorkNumber, mpsc::Sender<Progress>) -> Task,
    ) -> Result<WorkNumber, BusError> {
        let Origin { owner, client, credentials } = origin;
        self.usage.acquire(held, &client, credentials.uid)?;
        let number = self.works.number();
        let mut task = Box::pin(on_behalf_of(Arc::clone(&client), task(number, self.progress.clone())));
        // Much is over as soon as it begins: an answer that is known, a handshake with a host that is near. A task for
        // it would cost more than the work.
        let abort = match (&mut task).now_or_never() {
            Some(()) => None,
            None => Some(tokio::spawn(task).abort_handle()),
        };
        let uid = credentials.uid;
        let pvd = pvd.into();
        let work = Work { owner, pvd, client, uid, held, answers: Vec::new(), socket: None, abort };
        self.works.insert(number, work);
        Ok(number)
    }

    /// Ends work, whoever waits for it: its task, its sockets, its place in the counts.
    pub(super) fn end_work(&mut self, number: WorkNumber) -> Option<Work> {
        let work = self.works.end(number)?;
        self.usage.release(work.held, &work.client, work.uid);
        Some(work)
    }

    /// O4: calls that wait for work on a provisioning domain that is gone.
    pub(super) fn fail_calls_on(&mut self, pvd: Serial) {
        for number in self.works.calls_on(pvd) {
            if let Some(Work { owner: Owner::Call(call), .. }) = self.end_work(number) {
                let gone = BusError::new(Name::PvdGone, format!("provisioning domain {pvd} is gone"));
                self.answer(&call, Err(gone));
            }
        }
    }

    pub(super) fn handle_progress(&mut self, now: BootTime, progress: Progress) {
        let Progress { number, what } = progress;
        // Work that was stopped meanwhile: nothing of it is wanted, and a socket in here closes.
        let Some(work) = self.works.get_mut(number) else { return };
        match &work.owner {
            Owner::Call(_) => self.progress_of_call(number, what),
            Owner::Subscriber(key) => {
                let key = *key;
                self.progress_of_subscriber(now, key, number, what);
            }
        }
    }

    fn progress_of_call(&mut self, number: WorkNumber, what: What) {
        if let What::Answer(answer) = what {
            if let Some(work) = self.works.get_mut(number) {
                work.answers.push(answer);
            }
            return;
        }
        let Some(Work { owner: Owner::Call(call), pvd, answers, .. }) = self.end_work(number) else { return };
        let answered = match what {
            What::Answer(_) => return,
            What::Translated(Ok(end)) => {
                // The whole answer is for a program that takes the first that works.
                let answers = match pvd.and_then(|pvd| self.snapshot.pvd(pvd)) {
                    Some(pvd) => plan::best_first(pvd, answers),
                    None => answers,
                };
                let addresses: Vec<String> =
                    answers.iter().map(|answer| answer.address.to_string()).collect();
                call.reply(&(addresses, convert::translation(&answers, &end)))
            }
            What::Connected(Ok(connection)) => {
                let details = convert::connection(&details_of(&connection));
                let reply = call.reply_with(&(Descriptor(0), details), vec![connection.socket]);
                if let Ok(Some(reply)) = &reply {
                    self.remember_socket_reply(reply, &call);
                }
                reply
            }
            What::Raced(Ok(raced)) => {
                let details = convert::raced(&raced, &details_of(&raced.connection));
                let reply = call.reply_with(&(Descriptor(0), details), vec![raced.connection.socket]);
                if let Ok(Some(reply)) = &reply {
                    self.remember_socket_reply(reply, &call);
                }
                reply
            }
            What::Bound(Ok(bound)) => call.reply(&(convert::binding(&bound),)),
            What::Translated(Err(error))
            | What::Connected(Err(error))
            | What::Raced(Err(error))
            | What::Bound(Err(error)) => Err(error),
        };
        self.answer(&call, answered);
    }

    fn progress_of_subscriber(&mut self, now: BootTime, key: SubscriberKey, number: WorkNumber, what: What) {
        let outcome = match what {
            // Not on this face.
            What::Bound(_) | What::Raced(_) => return,
            What::Answer(answer) => Outcome::Answer(answer),
            What::Translated(end) => Outcome::Translated(end),
            What::Connected(Err(error)) => Outcome::NotConnected(error.after_acceptance()),
            What::Connected(Ok(connection)) => {
                let details = details_of(&connection);
                if let Some(work) = self.works.get_mut(number) {
                    work.socket = Some(connection.socket);
                }
                Outcome::Connected(details)
            }
        };
        self.tell_outcome(now, key, number, outcome);
    }

    /// Tells a subscriber what became of its work.
    pub(super) fn tell_outcome(
        &mut self,
        now: BootTime,
        key: SubscriberKey,
        number: WorkNumber,
        outcome: Outcome<BusError>,
    ) {
        let Some(entry) = self.subscribers.get_mut(&key) else { return };
        let unclaimed = now.after(Duration::from_millis(u64::from(UNCLAIMED_TIMEOUT_MS)));
        let output = entry.machine.handle_outcome(number, outcome, unclaimed);
        for announcement in output.announcements {
            self.outbox.announce(key, announcement);
        }
        for ended in output.ended {
            self.end_work(ended.number);
        }
    }
}

/// Passes answers on as they come, then the end.
async fn run_translation(
    number: WorkNumber,
    plan: TranslatePlan,
    translator: &Translator,
    progress: &mpsc::Sender<Progress>,
) {
    // No more than ADDRESSES_PER_TRANSLATION ever wait in here.
    let (answers, mut found) = mpsc::unbounded_channel();
    let translate = async move {
        translator
            .translate(&plan, move |answer| {
                // Nobody listens any more only when the service stops.
                let _ = answers.send(answer);
            })
            .await
    };
    let pass_on = async {
        while let Some(answer) = found.recv().await {
            let step = Progress { number, what: What::Answer(answer) };
            if progress.send(step).await.is_err() {
                return;
            }
        }
    };
    let (end, ()) = tokio::join!(translate, pass_on);
    let end: Result<TranslationEnd, BusError> = end.map_err(BusError::from);
    // The bus task is gone only when the service stops.
    let _ = progress.send(Progress { number, what: What::Translated(end) }).await;
}

fn details_of(connection: &Connection) -> ConnectionDetails {
    ConnectionDetails {
        local_address: connection.local.ip(),
        local_port: connection.local.port(),
        remote_address: connection.remote.ip(),
        handshake_us: u32::try_from(connection.handshake.as_micros()).unwrap_or(u32::MAX),
    }
}

pub(super) fn bad_word(option: &str, given: &str, known: &[&str]) -> BusError {
    let given = shown(given);
    BusError::invalid(format!("option \"{option}\": \"{given}\" is none of {}", known.join(", ")))
}
