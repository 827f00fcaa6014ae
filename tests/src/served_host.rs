//! A host that mifd serves, and a client of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use mif::proxy::ManagerProxy;
use mif::wire::Family;
use mif::{Error, ErrorKind, Message, Messages, State, Subscriber};
use nix::sys::signal::Signal;
use zbus::{Connection, OwnedObjectPath};

use crate::daemons::{Bus, Mifd, MifdSettings};
use crate::topology::TwoIsps;
use crate::universe::Universe;
use crate::wait::{completes, eventually, within};

/// How long anything may take that is to be done at once.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Bus and mifd on the host of a universe, and a connection to the bus.
#[derive(Debug)]
pub struct ServedHost {
    /// The bus.
    pub bus: Bus,
    /// The service.
    pub mifd: Mifd,
    /// A client.
    pub connection: Connection,
}

impl ServedHost {
    /// Starts bus and mifd.
    pub async fn start(universe: &Universe) -> Self {
        Self::start_with(universe, |settings| settings).await
    }

    /// The same with other settings of mifd.
    pub async fn start_with(
        universe: &Universe,
        settings: impl FnOnce(MifdSettings) -> MifdSettings,
    ) -> Self {
        Self::on(Bus::start(universe).await, universe, settings).await
    }

    /// The same on a bus that runs already.
    pub async fn on(
        bus: Bus,
        universe: &Universe,
        settings: impl FnOnce(MifdSettings) -> MifdSettings,
    ) -> Self {
        let mifd = settings(MifdSettings::new(universe, &bus)).start().await;
        let connection = bus.connect().await;
        // The service keeps a descriptor for each client whose process it has looked at: it is to be among
        // the descriptors from the start.
        let (subscriber, _) =
            completes("a subscriber", Subscriber::create(&connection, "first")).await.expect("one");
        subscriber.close().await.expect("close a subscriber");
        Self { bus, mifd, connection }
    }

    /// Two ISPs and a host that knows the provisioning domains of both, of both families.
    pub async fn between_two_isps(universe: &Universe) -> (TwoIsps, Self) {
        let isps = TwoIsps::start(universe).await;
        let host = Self::start(universe).await;
        for family in [Family::Ipv4, Family::Ipv6] {
            host.pvds([isps.first.link(), isps.second.link()], family, true).await;
        }
        (isps, host)
    }

    /// Ends mifd and then the bus.
    pub async fn end(self) {
        self.mifd.terminate().await;
        self.bus.end().await;
    }

    /// What there is now.
    ///
    /// # Panics
    /// When the service does not tell.
    pub async fn state(&self) -> State {
        completes("the state", State::read(&self.connection)).await.expect("the service tells its state")
    }

    /// What it says that it can do (`Manager.Features`).
    ///
    /// # Panics
    /// When the service does not tell.
    pub async fn features(&self) -> Vec<String> {
        let manager = ManagerProxy::new(&self.connection).await.expect("a proxy");
        completes("the features", manager.features()).await.expect("the service tells its features")
    }

    /// Waits until each link of `links` has a PvD for `family` with addresses and, if so wished, DNS
    /// servers, and hands their paths back.
    pub async fn pvds<const N: usize>(
        &self,
        links: [&str; N],
        family: Family,
        with_dns: bool,
    ) -> [OwnedObjectPath; N] {
        let what = format!("a PvD for {family} on each of {}", links.join(", "));
        eventually(&what, async || {
            let state = self.state().await;
            let found = links.map(|link| {
                let usable = |pvd: &&mif::ProvisioningDomain| {
                    pvd.family == family
                        && !pvd.addresses.is_empty()
                        && !(with_dns && pvd.dns_servers.is_empty())
                        && state.interface_of(pvd).is_some_and(|interface| interface.name == link)
                };
                state.pvds().find(usable).map(|pvd| pvd.path.clone())
            });
            if found.iter().all(Option::is_some) {
                Ok(found.map(Option::unwrap_or_default))
            } else {
                Err(format!("{state:#?}"))
            }
        })
        .await
    }

    /// The addresses of a PvD.
    pub async fn addresses(&self, pvd: &OwnedObjectPath) -> Vec<IpAddr> {
        let state = self.state().await;
        let found = state.pvds().find(|known| known.path == *pvd);
        found.map(|pvd| pvd.addresses.iter().map(|entry| entry.address).collect()).unwrap_or_default()
    }

    /// How many file descriptors mifd has open, Unix sockets left out: those come and go with dhcpcd's.
    ///
    /// # Panics
    /// When it does not run.
    pub fn descriptors(&self) -> usize {
        self.open_files().len()
    }

    /// How many tasks mifd has: it says so in its log when it reads its configuration again. To be asked where it logs
    /// at `debug`.
    ///
    /// # Panics
    /// When it does not say.
    pub async fn tasks(&self) -> u64 {
        const WORDS: &str = "tasks of this process now tasks=";
        let said = || -> Vec<u64> {
            let log = self.mifd.process().log();
            log.lines().filter_map(|line| line.split_once(WORDS)?.1.trim().parse().ok()).collect()
        };
        let before = said().len();
        self.mifd.process().signal(Signal::SIGHUP);
        eventually("mifd to say how many tasks it has", async || {
            said().get(before).copied().ok_or("it has not said it yet")
        })
        .await
    }

    fn open_files(&self) -> Vec<String> {
        let process = format!("/proc/{}", self.mifd.process().pid());
        let unix = fs::read_to_string(format!("{process}/net/unix")).expect("the Unix sockets");
        let unix: BTreeSet<String> = unix
            .lines()
            .filter_map(|line| line.split_whitespace().nth(6))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("the descriptors of mifd");
        // One that is closed while we look has no target any more.
        let targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.map(|target| target.to_string_lossy().into_owned()).filter(|it| !unix.contains(it)).collect()
    }

    /// Waits until mifd has exactly `count` file descriptors open. Not as long as mifd waits for any server:
    /// what is to be closed at once must not count when it is closed for that reason.
    pub async fn wait_for_descriptors(&self, count: usize) {
        self.wait_for_open_files(&format!("{count}"), |open| open == count).await;
    }

    /// The same, where work that began before they were counted may have ended since.
    pub async fn wait_for_no_more_descriptors_than(&self, count: usize) {
        self.wait_for_open_files(&format!("no more than {count}"), |open| open <= count).await;
    }

    async fn wait_for_open_files(&self, wanted: &str, accept: impl Fn(usize) -> bool) {
        let what = format!("mifd to have {wanted} descriptors besides Unix sockets");
        within(AT_ONCE, &what, async || {
            let open = self.open_files();
            if accept(open.len()) { Ok(()) } else { Err(format!("{}: {}", open.len(), open.join(" "))) }
        })
        .await;
    }
}

/// The kind of the error in a result that must be one, and its message.
///
/// # Panics
/// When it is no error, or not one that the service sent.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (ErrorKind, String) {
    match result {
        Err(Error::Reply { kind, message, .. }) => (kind, message),
        other => panic!("not an error of the service: {other:?}"),
    }
}

/// The next message of a subscriber.
///
/// # Panics
/// At the deadline, or when there are no more.
pub async fn next(messages: &mut Messages) -> Message {
    let message = completes("a message to the subscriber", messages.next()).await;
    message.expect("the stream goes on").expect("a message of the contract")
}
