//! The parts put together: sources feed the engine, the engine feeds the bus task.

use crate::batches;
use crate::bus::authority::{self, Authority};
use crate::bus::{BUS_NAME, Bus, Constants, LeftBus, Peers};
use crate::clock::{self, Alarm};
use crate::connection::OnTokio;
use crate::memory;
use crate::recorder::Recorder;
use crate::reload::{Configuration, Reloader};
use crate::routing::{Router, RoutingError};
use crate::socket::{self, caller::NamespaceCookie};
use crate::source::{self, Fetcher, Inquirer, Observation, Solicitor, SourceError};
use crate::supervisor::{Heart, Supervisor};
use crate::translate;
use mif_core::engine::{Batch, Command, Engine, Notice, Settings};
use mif_core::event::Ifindex;
use mif_core::facts::InquiryPolicy;
use mif_core::fetch::{FetchPolicy, FetchReport};
use mif_core::plan::{System, Systems};
use mif_core::routing::{Layout, Routing};
use mif_core::snapshot::Snapshot;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use zbus::Connection;
use zbus::connection::Builder;

/// How many observations may wait for the engine.
const FEED: usize = 4_096;
/// How long after the links are settled something of the start goes on: the last solicitations, questions to DHCP servers.
const AFTERMATH: Duration = Duration::from_secs(30);
/// How many observations make one batch at most.
const OBSERVATIONS_PER_BATCH: usize = 1_024;

/// What the daemon is started with.
pub struct Options {
    /// Which bus to serve.
    pub bus: BusChoice,
    /// What the administrator says.
    pub configuration: Configuration,
    /// How names are translated.
    pub translation: translate::Settings,
    /// How to lay rules out; `None`: no routing per provisioning domain.
    pub routing: Option<Layout>,
    /// Where to record what the sources see.
    pub record: Option<PathBuf>,
    /// What web servers of networks may be asked for.
    pub fetches: FetchPolicy,
    /// What DHCP servers may be asked for.
    pub inquiries: InquiryPolicy,
}

/// Which bus to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusChoice {
    /// The system bus (DBUS_SYSTEM_BUS_ADDRESS is honoured).
    System,
    /// Another bus with the rules of the system bus.
    Address(String),
    /// The session bus, for development: it lets in its own user only.
    Session,
}

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The bus could not be reached.
    #[error("cannot connect to {bus}")]
    Connect {
        /// Which.
        bus: String,
        /// Why.
        source: zbus::Error,
    },
    /// The bus refused something.
    #[error("the bus refused {what}")]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        source: zbus::Error,
    },
    /// Another service has the name.
    #[error("another service owns {BUS_NAME} on this bus already; stop it first")]
    NameTaken,
    /// The connection to the bus broke.
    #[error(transparent)]
    LeftBus(#[from] LeftBus),
    /// A source cannot go on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Routing cannot go on.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// Something of the operating system.
    #[error("{what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: Options) -> Result<(), DaemonError> {
    let supervisor = Supervisor::from_environment();
    let stop = stop_signal(supervisor)?;
    let (heart, pulses) = supervisor.heart();
    let (reloader, grace) = Reloader::new(options.configuration, supervisor)
        .map_err(|source| system("cannot listen for signals", source))?;
    let connection = connect(&options.bus).await?;
    let (feed, observations) = mpsc::channel(FEED);
    let source::Started { solicitor, inquirer, hears_routers, mut inventory, mut sources } =
        source::start(feed.clone())?;
    let inquiries = if Inquirer::may_ask() { options.inquiries } else { InquiryPolicy::NONE };
    let recorder = options.record.map(Recorder::start);
    let settings = Settings {
        grace: *grace.borrow(),
        first_serial: clock::now().as_micros(),
        fetches: options.fetches,
        inquiries,
        seed: seed(),
    };
    let (snapshots, snapshots_out) = latest::channel(Snapshot::default());
    let lean = give_back_memory(snapshots_out.clone());
    let (router, keeping) = start_routing(options.routing, snapshots_out).await;
    let fetcher = Fetcher::new(feed, options.translation.clone(), router.clone(), snapshots.subscribe());
    let engine = Engine::new(settings).with_routing(router.routing());
    let mut driver = Driver {
        engine,
        observations,
        solicitor,
        inquirer,
        fetcher,
        recorder,
        snapshots,
        grace,
        heart,
        alarm: Alarm::new().map_err(|source| system("cannot set a timer", source))?,
    };
    let first = tokio::select! {
        first = driver.take_inventory(inventory.complete()) => first,
        error = sources.failed() => return Err(error.into()),
    };
    let (batches, batches_out) = batches::channel();
    let peers = peers(&options.bus, &connection).await?;
    let mut constants = constants(&peers, &router, options.translation)?;
    constants.features.extend(hears_routers.then_some("router-advertisements"));
    constants.features.extend((inquiries != InquiryPolicy::NONE).then_some("own-dhcp"));
    let served = Bus::new(connection.clone(), peers, constants, batches_out);
    let (mut bus, mut inputs) = served.map_err(|source| system("cannot begin to serve", source))?;
    bus.set_router(router);
    bus.publish_inventory(first);
    inputs.pulses = pulses;
    take_name(&connection).await?;
    tracing::info!("serving {BUS_NAME}");
    supervisor.ready();
    // Each is a task, so that what wakes one is looked at by that one alone.
    let mut parts = JoinSet::new();
    parts.spawn(async { Ok(bus.run(inputs, stop).await?) });
    parts.spawn(async move { Err(sources.failed().await.into()) });
    parts.spawn(async { Err(keeping.await.into()) });
    parts.spawn(async {
        driver.run(batches).await;
        Err(LeftBus::Engine.into())
    });
    parts.spawn(async {
        reloader.run().await;
        Ok(())
    });
    parts.spawn(async { match lean.await {} });
    match parts.join_next().await {
        Some(Ok(ended)) => ended,
        // What is broken must not go on by halves.
        Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
        None => Ok(()),
    }
}

/// The engine and what moves it.
struct Driver {
    engine: Engine,
    observations: mpsc::Receiver<Observation>,
    solicitor: Solicitor,
    inquirer: Inquirer,
    fetcher: Fetcher,
    recorder: Option<Recorder>,
    /// The latest state, for those who need no more of it.
    snapshots: latest::Sender<Snapshot>,
    /// How long a link without carrier is believed; it may change.
    grace: latest::Receiver<Duration>,
    heart: Heart,
    alarm: Alarm,
}

impl Driver {
    /// Takes in what there is at start: the kernel's dump, and the leases at hand once `ready` resolves.
    async fn take_inventory(&mut self, ready: impl Future<Output = ()>) -> Batch {
        tokio::pin!(ready);
        let mut leases_told = false;
        while !leases_told || self.engine.is_resyncing() {
            tokio::select! {
                biased;
                Some(observation) = self.observations.recv() => self.observe(observation),
                () = &mut ready, if !leases_told => leases_told = true,
            }
        }
        let batch = self.commit();
        self.snapshots.send_replace(batch.snapshot.clone());
        batch
    }

    /// Turns observations and time into batches, until the sources or the bus task end.
    async fn run(mut self, batches: batches::Sender) {
        loop {
            tokio::select! {
                observation = self.observations.recv() => match observation {
                    Some(observation) => self.observe_all_at_hand(observation),
                    None => return,
                },
                () = self.alarm.at(self.engine.next_timeout()) => self.engine.handle_timeout(clock::now()),
                Ok(()) = self.grace.changed() => {
                    let grace = *self.grace.borrow_and_update();
                    self.engine.set_grace(grace);
                }
                () = self.heart.beat() => self.heart.pulse(),
            }
            if self.engine.is_resyncing() {
                continue;
            }
            // Before it is made: while the bus task has no room, more gets into it.
            let Some(room) = batches.reserve().await else { return };
            let batch = self.commit();
            if batch.is_news() {
                // Whoever tells of it is woken first; nobody by deadlines that moved.
                let (snapshot, wakes) = (batch.snapshot.clone(), !batch.is_quiet());
                room.send(batch);
                self.snapshots.send_if_modified(|latest| {
                    *latest = snapshot;
                    wakes
                });
            }
        }
    }

    fn observe_all_at_hand(&mut self, first: Observation) {
        self.observe(first);
        for _ in 1..OBSERVATIONS_PER_BATCH {
            let Ok(observation) = self.observations.try_recv() else { return };
            self.observe(observation);
        }
    }

    fn observe(&mut self, observation: Observation) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&observation);
        }
        let Observation { at, event } = observation;
        tracing::trace!(?event);
        self.engine.handle_event(at, event);
    }

    fn commit(&mut self) -> Batch {
        let batch = self.engine.commit(clock::now());
        for command in &batch.commands {
            match command {
                Command::Solicit { ifindex } => self.solicitor.solicit(*ifindex),
                Command::Inquire { ifindex, question } => self.inquirer.ask(*ifindex, *question),
                Command::Fetch(_) | Command::CancelFetch { .. } => {}
            }
        }
        self.fetcher.carry_out(&batch);
        for (ifindex, report) in &batch.reports {
            tell(*ifindex, report);
        }
        for Notice { ifindex, overflow } in &batch.notices {
            tracing::warn!(ifindex, ?overflow, "a limit is reached, the rest is left out");
        }
        batch
    }
}

/// Gives back what starting took: when it is over, and again when questions that follow it have been asked, too.
async fn give_back_memory(mut snapshots: latest::Receiver<Snapshot>) -> Infallible {
    if snapshots.wait_for(|snapshot| !snapshot.startup()).await.is_ok() {
        memory::give_back();
        tokio::time::sleep(AFTERMATH).await;
        memory::give_back();
    }
    std::future::pending().await
}

/// One line for what came of a request: the schedule of requests limits how many there are.
fn tell(ifindex: Ifindex, FetchReport { pvd, kind, result }: &FetchReport) {
    match result {
        Ok(()) => tracing::debug!(ifindex, ?pvd, "got {kind}"),
        Err(why) => {
            tracing::debug!(ifindex, ?pvd, %why, "no {kind}");
            tracing::warn!(ifindex, "no {kind}: {why}");
        }
    }
}

/// Another number in every run and on every host, for moments that must differ between hosts.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Resolves when the service is to stop.
fn stop_signal(supervisor: Supervisor) -> Result<impl Future<Output = ()>, DaemonError> {
    let no_signals = |source| system("cannot listen for signals", source);
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    // A task, for the bus task looks with every message whether it is over: at signals themselves that takes long.
    let signals = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        supervisor.stopping();
    });
    Ok(async move { drop(signals.await) })
}

async fn connect(bus: &BusChoice) -> Result<Connection, DaemonError> {
    let (builder, shown) = match bus {
        BusChoice::System => (Builder::system(), "the system bus".to_owned()),
        BusChoice::Session => (Builder::session(), "the session bus".to_owned()),
        BusChoice::Address(address) => (Builder::address(address.as_str()), format!("the bus at {address}")),
    };
    builder.runtime(OnTokio).build().await.map_err(|source| DaemonError::Connect { bus: shown, source })
}

/// Watches for clients that leave, then takes the name: from here on everything can be asked.
async fn take_name(connection: &Connection) -> Result<(), DaemonError> {
    const BUS: &str = "org.freedesktop.DBus";
    const PATH: &str = "/org/freedesktop/DBus";
    const CLIENTS_THAT_LEAVE: &str = "type='signal',sender='org.freedesktop.DBus',\
                                      interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''";
    /// Fail rather than wait for the owner to go.
    const DO_NOT_QUEUE: u32 = 4;
    const PRIMARY_OWNER: u32 = 1;
    connection
        .call_method(Some(BUS), PATH, Some(BUS), "AddMatch", &CLIENTS_THAT_LEAVE)
        .await
        .map_err(|source| DaemonError::Refused { what: "to tell of clients that leave", source })?;
    let reply = connection
        .call_method(Some(BUS), PATH, Some(BUS), "RequestName", &(BUS_NAME, DO_NOT_QUEUE))
        .await
        .map_err(|source| DaemonError::Refused { what: "to give the name org.ietf.Mif1", source })?;
    match reply.body().deserialize::<u32>() {
        Ok(PRIMARY_OWNER) => Ok(()),
        Ok(_) | Err(_) => Err(DaemonError::NameTaken),
    }
}

/// Who is served, and who decides whom to give sockets.
async fn peers(choice: &BusChoice, connection: &Connection) -> Result<Peers, DaemonError> {
    if *choice == BusChoice::Session {
        return Ok(Peers::OwnUser);
    }
    let authority = Authority::on(connection).await;
    let authority = authority
        .map_err(|source| DaemonError::Refused { what: "to tell whether polkit is there", source })?;
    if !authority.is_polkit() {
        tracing::info!("without polkit: only root and members of the group mif may connect");
    }
    Ok(Peers::Bus(authority))
}

/// Routing per provisioning domain where it is wanted and possible, and what keeps it. Without it the service does what
/// can be done without.
async fn start_routing(
    layout: Option<Layout>,
    snapshots: latest::Receiver<Snapshot>,
) -> (Router, impl Future<Output = RoutingError>) {
    let started = match layout {
        None => {
            tracing::info!("routing per provisioning domain is switched off");
            None
        }
        Some(layout) => Router::start(layout, snapshots)
            .await
            .inspect_err(|error| {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "no routing per provisioning domain: connections can be had only on interfaces with one \
                     provisioning domain a family"
                );
            })
            .ok(),
    };
    let (router, keeper) = started.map_or((Router::off(), None), |(router, keeper)| (router, Some(keeper)));
    let keeping = async move {
        match keeper {
            Some(keeper) => match keeper.run().await {
                Ok(never) => match never {},
                Err(error) => error,
            },
            None => std::future::pending().await,
        }
    };
    (router, keeping)
}

fn constants(
    peers: &Peers,
    router: &Router,
    translation: translate::Settings,
) -> Result<Constants, DaemonError> {
    let namespace =
        authority::namespace_id().map_err(|source| system("cannot see my own network namespace", source))?;
    let features = features(peers, router, translation.systems);
    Ok(Constants { features, namespace, translation })
}

/// What this instance can do, by the words of the contract.
fn features(peers: &Peers, router: &Router, systems: Systems) -> Vec<&'static str> {
    let mut features = vec!["connect", "explicit-pvd", "dot", "doh", "doq"];
    let found = [
        ("bind-socket", NamespaceCookie::own().is_ok()),
        ("pvd-routing", router.routing() == Routing::PerPvd),
        ("mptcp", socket::has_mptcp()),
        ("fchown", socket::can_give_away()),
        ("mdns", systems.contains(System::Mdns)),
        ("llmnr", systems.contains(System::Llmnr)),
        ("nis", systems.contains(System::Nis)),
        ("polkit", matches!(peers, Peers::Bus(authority) if authority.is_polkit())),
    ];
    features.extend(found.into_iter().filter(|(_, there)| *there).map(|(word, _)| word));
    features
}

const fn system(what: &'static str, source: io::Error) -> DaemonError {
    DaemonError::System { what, source }
}
