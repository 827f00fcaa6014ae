//! A host that mifd serves, and a client of it.

use std::fs;
use std::net::IpAddr;

use futures_util::StreamExt;
use mif::wire::Family;
use mif::{Error, ErrorKind, Message, Messages, State};
use zbus::{Connection, OwnedObjectPath};

use crate::daemons::{Bus, Mifd, MifdSettings};
use crate::universe::Universe;
use crate::wait::{completes, eventually};

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
        let bus = Bus::start(universe).await;
        let mifd = settings(MifdSettings::new(universe, &bus)).start().await;
        let connection = bus.connect().await;
        Self { bus, mifd, connection }
    }

    /// What there is now.
    ///
    /// # Panics
    /// When the service does not tell.
    pub async fn state(&self) -> State {
        completes("the state", State::read(&self.connection)).await.expect("the service tells its state")
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

    /// How many file descriptors mifd has open.
    ///
    /// # Panics
    /// When it does not run.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.mifd.process().pid());
        fs::read_dir(folder).expect("the descriptors of mifd").count()
    }

    /// Waits until mifd has exactly `count` file descriptors open.
    pub async fn wait_for_descriptors(&self, count: usize) {
        eventually(&format!("mifd to have {count} descriptors"), async || match self.descriptors() {
            now if now == count => Ok(()),
            now => Err(now),
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
