//! Carries a race out over the bus.

use std::net::IpAddr;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use mif_selection::addresses::{Candidate, Mobility};
use mif_selection::race::{Action, Attempt, Defeat, Domain, Family, Origin, Outcome, Race, is_in_zone};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zbus::Connection;

use super::attempt::{Made, attempt};
use super::{Lost, Options, Raced, Story};
use crate::error::{Error, Result};
use crate::names::{ANY_ELEMENT, identifier};
use crate::request::{TranslateOptions, pvd_proxy, translate_name};
use crate::state::{Interface, ProvisioningDomain, State};
use crate::wire::{self, AddressState, ConfigurationData, InterfaceState};

/// Questions at the same time: below what the service allows one client (Limits: translations-per-client).
const QUESTIONS: usize = 32;

/// A question that was answered, or an attempt that has ended.
enum Done {
    Asked(usize, Family, Result<Vec<IpAddr>>),
    Tried(Attempt, Result<Made>),
}

/// What a race is run with.
struct Track<'a> {
    connection: &'a Connection,
    name: &'a str,
    port: u16,
    options: &'a Options,
    pvds: Vec<ProvisioningDomain>,
    questions: Semaphore,
}

pub(super) async fn run(connection: &Connection, name: &str, port: u16, options: &Options) -> Result<Raced> {
    let state = State::read(connection).await?;
    let pvds: Vec<ProvisioningDomain> = state.pvds().cloned().collect();
    let known = join_all(pvds.iter().map(|pvd| values(connection, pvd))).await;
    let domains = pvds.iter().zip(&known).map(|(pvd, known)| domain(&state, pvd, known, name)).collect();
    let families = match options.family {
        Some(family) => vec![family],
        None => vec![Family::V6, Family::V4],
    };
    let race = Race::new(domains, &options.policy, &families, options.timing);
    let questions = Semaphore::new(QUESTIONS);
    Track { connection, name, port, options, pvds, questions }.run(race).await
}

impl Track<'_> {
    async fn run(&self, mut race: Race<Error>) -> Result<Raced> {
        let begin = Instant::now();
        let mut under_way: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        // The one connection to keep; where each attempt went is in the story.
        let mut made = None;
        while race.outcome().is_none() {
            while let Some(action) = race.poll_action() {
                under_way.push(self.carry_out(action));
            }
            let timeout = race.next_timeout().unwrap_or(self.options.timing.limit);
            tokio::select! {
                Some(done) = under_way.next() => match done {
                    Done::Asked(domain, family, Ok(addresses)) => {
                        race.handle_answer(begin.elapsed(), domain, family, &addresses);
                    }
                    Done::Asked(domain, family, Err(error)) => {
                        race.handle_no_answer(begin.elapsed(), domain, family, error);
                    }
                    Done::Tried(attempt, Ok(connected)) => {
                        if race.handle_connected(begin.elapsed(), attempt) {
                            made = Some(connected);
                        }
                    }
                    Done::Tried(attempt, Err(error)) => race.handle_failed(begin.elapsed(), attempt, error),
                },
                () = tokio::time::sleep_until(begin + timeout) => race.handle_timeout(begin.elapsed()),
            }
        }
        // Attempts that lost are dropped, and with them their sockets.
        drop(under_way);
        self.conclude(race, made)
    }

    fn conclude(&self, race: Race<Error>, made: Option<Made>) -> Result<Raced> {
        let (outcome, events) = race.finish();
        let story = Story { pvds: self.pvds.iter().map(|pvd| pvd.id.clone()).collect(), events };
        let lost = |defeat, story| Lost { name: self.name.to_owned(), port: self.port, defeat, story };
        match (outcome, made) {
            (Some(Outcome::Won(_)), Some(Made { pvd, socket, remote, local })) => {
                Ok(Raced { socket, remote, local, pvd: self.pvds[pvd].clone(), story })
            }
            (Some(Outcome::Lost(defeat)), _) => Err(lost(defeat, story).into()),
            (_, _) => Err(lost(Defeat::TimedOut, story).into()),
        }
    }

    fn carry_out(&self, action: Action) -> BoxFuture<'_, Done> {
        match action {
            Action::Ask { domain, family } => {
                async move { Done::Asked(domain, family, self.ask(domain, family).await) }.boxed()
            }
            Action::Connect { attempt: number, domain, address } => {
                let pvd = &self.pvds[domain];
                let request = super::attempt::Request {
                    pvd: domain,
                    address,
                    port: self.port,
                    sockets: self.options.sockets,
                    interactive: self.options.interactive,
                    limit: self.options.timing.limit,
                };
                async move { Done::Tried(number, attempt(self.connection, &pvd.path, request).await) }.boxed()
            }
        }
    }

    async fn ask(&self, domain: usize, family: Family) -> Result<Vec<IpAddr>> {
        // It is never closed.
        let _place = self.questions.acquire().await.ok();
        let family = match family {
            Family::V6 => wire::Family::Ipv6,
            Family::V4 => wire::Family::Ipv4,
        };
        let timeout = Some(self.options.timing.limit);
        let options = TranslateOptions { family: Some(family), timeout, systems: Vec::new() };
        let told = translate_name(self.connection, &self.pvds[domain].path, self.name, &options).await?;
        Ok(told.answers.into_iter().map(|answer| answer.address).collect())
    }
}

/// What the service knows of a PvD's way to the Internet; nothing when it has just gone.
async fn values(connection: &Connection, pvd: &ProvisioningDomain) -> ConfigurationData {
    let values = async {
        let proxy = pvd_proxy(connection, &pvd.path).await?;
        Ok::<_, Error>(proxy.get_all_configuration_data(ANY_ELEMENT).await?)
    };
    values.await.map(ConfigurationData::from).unwrap_or_default()
}

/// A PvD as the race looks at it.
fn domain(state: &State, pvd: &ProvisioningDomain, known: &ConfigurationData, name: &str) -> Domain {
    let interface = state.interface_of(pvd);
    let text = |value: fn(&Interface) -> String| interface.map(value).unwrap_or_default();
    let said = |identifier| matches!(known.get::<bool>(identifier), Ok(Some(true)));
    let zones: Vec<String> = known.get(identifier::DNS_ZONES).ok().flatten().unwrap_or_default();
    Domain {
        id: pvd.id.clone(),
        interface: text(|interface| interface.name.clone()),
        kind: text(|interface| interface.kind.to_string()),
        origin: if pvd.origin == wire::Origin::Explicit { Origin::Explicit } else { Origin::Implicit },
        up: interface.is_none_or(|interface| interface.state != InterfaceState::Down),
        default: state.is_default(pvd),
        captive: said(identifier::CAPTIVE),
        no_internet: said(identifier::NO_INTERNET),
        in_zone: zones.iter().any(|zone| is_in_zone(name, zone)),
        sources: pvd.addresses.iter().filter_map(candidate).collect(),
    }
}

fn candidate(address: &crate::state::Address) -> Option<Candidate> {
    (address.state != AddressState::Tentative).then(|| Candidate {
        address: address.address,
        prefix_length: address.prefix_length,
        deprecated: address.state == AddressState::Deprecated,
        temporary: address.temporary,
        mobility: Mobility::default(),
    })
}
