//! Translate Name: carries a [`TranslatePlan`] out, answer by answer.

mod conversation;
mod conversations;
mod delivery;
mod designation;
mod dns;
mod exchange;
mod hosts;
mod llmnr;
mod mdns;
mod nis;
mod places;
mod plain;
mod provenance;
mod question;
mod resolvers;
mod runtime;
mod scrub;
mod servers;
mod synthesis;
pub(crate) mod trust;

use crate::request::{self, until_link_gone};
use crate::routing::Router;
use crate::socket::Scope;
use delivery::Delivery;
use hosts::Hosts;
use mif_core::plan::{
    Answer, AnswerSource, DnsPlan, Encryption, LinkPlan, Lookup, NisPlan, Systems, TranslatePlan,
    Translation, TranslationEnd, TranslationFailure,
};
use mif_core::pvd::Serial;
use nis::{Inquiry, NisServers};
pub use places::on_behalf_of;
use resolvers::{Purpose, Resolvers};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use trust::Trust;

/// Translates names inside provisioning domains, and keeps what is worth keeping between translations: one cache of
/// DNS a provisioning domain, where its NIS servers are, and the host table.
#[derive(Debug)]
pub struct Translator {
    hosts: Hosts,
    resolvers: Resolvers,
    nis: NisServers,
    encryption: Encryption,
    router: Router,
    systems: Systems,
}

/// What an administrator decides about translations.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host table.
    pub hosts: PathBuf,
    /// Certificates that servers of encrypted DNS may have besides the machine's trusted ones (PEM).
    pub certificates: Option<PathBuf>,
    /// How much encryption of DNS is asked for.
    pub encryption: Encryption,
    /// The systems that may be asked.
    pub systems: Systems,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: PathBuf::from("/etc/hosts"),
            certificates: None,
            encryption: Encryption::default(),
            systems: Systems::ALL,
        }
    }
}

impl Translator {
    /// Who gives the marks of its sockets.
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// With sockets that carry the marks of `router`.
    #[must_use]
    pub fn with_router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// With another measure of how long the machine has slept since it was booted: what is cached does not outlive that.
    #[must_use]
    pub fn with_sleep(mut self, slept: fn() -> Duration) -> Self {
        self.resolvers = self.resolvers.with_sleep(slept);
        self
    }

    /// A translator for a machine with these settings.
    pub fn new(settings: Settings) -> Self {
        let Settings { hosts, certificates, encryption, systems } = settings;
        Self {
            hosts: Hosts::new(hosts),
            resolvers: Resolvers::new(Trust::new(certificates)),
            nis: NisServers::default(),
            encryption,
            systems,
            router: Router::off(),
        }
    }

    /// The systems that plans may ask.
    pub const fn systems(&self) -> Systems {
        self.systems
    }

    /// How much encryption of DNS plans are to ask for.
    pub const fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Carries `plan` out. Each address goes to `sink` the moment it is known (A and AAAA are asked for side by
    /// side), none twice, at most 64.
    ///
    /// Dropping the future cancels everything that it does; no socket stays behind.
    ///
    /// # Errors
    /// Nothing was given to `sink`, and why.
    pub async fn translate(
        &self,
        plan: &TranslatePlan,
        sink: impl FnMut(Answer) + Send,
    ) -> Result<TranslationEnd, TranslationFailure> {
        let mut delivery = Delivery::new(sink);
        match &plan.translation {
            Translation::Literal(address) => {
                delivery.give(Answer::local(*address, AnswerSource::Literal));
                Ok(TranslationEnd::default())
            }
            Translation::Lookup(lookup) => {
                if lookup.hosts && self.look_into_hosts(lookup, &mut delivery).await {
                    delivery.name(lookup.name.clone());
                    return Ok(delivery.end_without_dns());
                }
                self.ask_each(plan, lookup, delivery).await
            }
        }
    }

    /// Drops the cache of `pvd`, which is gone. To be called when none of its translations runs any more.
    pub fn forget(&self, pvd: Serial) {
        self.resolvers.forget(pvd);
        self.nis.forget(pvd);
    }

    async fn look_into_hosts<S: FnMut(Answer) + Send>(
        &self,
        lookup: &Lookup,
        delivery: &mut Delivery<S>,
    ) -> bool {
        let table = self.hosts.table().await;
        for &address in table.addresses(&lookup.name) {
            if lookup.families.includes(mif_core::configuration::AddressFamily::of(address)) {
                delivery.give(Answer::local(address, AnswerSource::Hosts));
            }
        }
        !delivery.is_empty()
    }

    /// What keeps the sockets for `plan` in its provisioning domain.
    async fn scope(&self, plan: &TranslatePlan, lookup: &Lookup) -> Result<Scope, TranslationFailure> {
        match self.router.hold(plan.pvd).await {
            Ok(mark) => Ok(Scope::new(plan.ifindex, mark.map(|mark| mark.0))),
            // The router has said why. Nothing is asked of the network by another way.
            Err(_) => Err(TranslationFailure::ServerFailure(lookup.name.clone(), None)),
        }
    }

    /// Asks one system after the other until one gives an address. One that has others behind it gets half of the time
    /// that is left, so that a dead one does not hold them up.
    async fn ask_each<S: FnMut(Answer) + Send>(
        &self,
        plan: &TranslatePlan,
        lookup: &Lookup,
        mut delivery: Delivery<S>,
    ) -> Result<TranslationEnd, TranslationFailure> {
        let mut told = lookup.dns.as_ref().err().map(|refusal| TranslationFailure::Refused(refusal.clone()));
        let mut steps = Step::all(lookup).into_iter().peekable();
        if steps.peek().is_none() {
            return Err(
                told.unwrap_or_else(|| TranslationFailure::Unknown(lookup.name.clone(), Systems::NONE))
            );
        }
        let scope = self.scope(plan, lookup).await?;
        let end = Instant::now() + Duration::from_millis(u64::from(plan.timeout_ms));
        while let Some(step) = steps.next() {
            let left = end.saturating_duration_since(Instant::now());
            let limit = if steps.peek().is_some() { left / 2 } else { left };
            let failure = match timeout(limit, self.ask((plan, scope), lookup, step, &mut delivery)).await {
                Ok(Ok(end)) => return Ok(end),
                Ok(Err(failure)) => failure,
                Err(_) if delivery.is_empty() => TranslationFailure::TimedOut(lookup.name.clone()),
                // One family came in time, and the other did not.
                Err(_) => return Ok(step.end(&delivery)),
            };
            told = Some(match told {
                Some(known) => known.or(failure),
                None => failure,
            });
        }
        let told = told.unwrap_or_else(|| TranslationFailure::Unknown(lookup.name.clone(), Systems::NONE));
        match told {
            TranslationFailure::ServerFailure(name, None) | TranslationFailure::NoEncryptedServer(name)
                if is_cut_off(scope, lookup) =>
            {
                until_link_gone().await;
                Err(TranslationFailure::ServerFailure(name, None))
            }
            told => Err(told),
        }
    }

    async fn ask<S: FnMut(Answer) + Send>(
        &self,
        (plan, scope): (&TranslatePlan, Scope),
        lookup: &Lookup,
        step: Step<'_>,
        delivery: &mut Delivery<S>,
    ) -> Result<TranslationEnd, TranslationFailure> {
        let families = lookup.families;
        match step {
            Step::Mdns(link) => mdns::ask(scope, link, families, delivery).await,
            Step::Dns(dns) => {
                let unavailable = |error| {
                    tracing::error!(pvd = %plan.pvd, %error, "no resolver could be made");
                    TranslationFailure::ServerFailure(lookup.name.clone(), None)
                };
                let resolver = |of| self.resolvers.of(plan, scope, of).map_err(unavailable);
                let found = match &dns.named {
                    None => None,
                    Some(named) => {
                        let found =
                            designation::find(&resolver((dns, Purpose::Designation))?, &named.names).await;
                        let servers = named.servers(found.ok(), &dns.servers);
                        if servers.is_empty() {
                            return Err(TranslationFailure::NoEncryptedServer(lookup.name.clone()));
                        }
                        Some(DnsPlan { servers, named: None, ..dns.clone() })
                    }
                };
                let dns = found.as_ref().unwrap_or(dns);
                let resolver = resolver((dns, Purpose::Translation))?;
                let (asked, candidates, nat64) = (&lookup.name, &dns.names, dns.nat64.as_ref());
                let names = dns::Names { asked, candidates, families, nat64 };
                match dns::ask(&resolver, &names, delivery).await {
                    Err(TranslationFailure::ServerFailure(name, None)) if is_encrypted_only(dns) => {
                        Err(TranslationFailure::NoEncryptedServer(name))
                    }
                    end => end,
                }
            }
            Step::Llmnr(link) => llmnr::ask(scope, link, families, delivery).await,
            Step::Nis(nis) => {
                let inquiry = Inquiry { scope, pvd: plan.pvd, plan: nis, families };
                self.nis.ask(&inquiry, delivery).await
            }
        }
    }
}

/// Whether only servers may be asked that prove their names.
fn is_encrypted_only(dns: &DnsPlan) -> bool {
    dns.servers.iter().all(|server| server.protocol.is_verified())
}

/// One system to ask.
#[derive(Clone, Copy)]
enum Step<'a> {
    Mdns(&'a LinkPlan),
    Dns(&'a DnsPlan),
    Llmnr(&'a LinkPlan),
    Nis(&'a NisPlan),
}

impl<'a> Step<'a> {
    fn all(lookup: &'a Lookup) -> Vec<Self> {
        let steps = [
            lookup.mdns.as_ref().map(Self::Mdns),
            lookup.dns.as_ref().ok().map(Self::Dns),
            lookup.llmnr.as_ref().map(Self::Llmnr),
            lookup.nis.as_ref().map(Self::Nis),
        ];
        steps.into_iter().flatten().collect()
    }

    fn end<S: FnMut(Answer)>(self, delivery: &Delivery<S>) -> TranslationEnd {
        match self {
            Self::Dns(_) => delivery.end(),
            Self::Mdns(_) | Self::Llmnr(_) | Self::Nis(_) => delivery.end_without_dns(),
        }
    }
}

/// Whether no packet can leave now: the interface, or what it needs to send, is going.
fn is_cut_off(scope: Scope, lookup: &Lookup) -> bool {
    let dns = lookup.dns.iter().flat_map(|dns| &dns.servers).map(|server| (server.address, server.source));
    let nis = lookup.nis.iter().flat_map(|nis| &nis.servers).map(|server| (server.address, server.source));
    // A link whose group cannot be asked is cut off by that alone.
    request::is_cut_off(scope, dns.chain(nis))
}

/// The neighbours of the link could not be asked.
fn link_failure(plan: &LinkPlan, error: &io::Error) -> TranslationFailure {
    tracing::debug!(%error, "a link could not be asked");
    TranslationFailure::ServerFailure(plan.name().to_owned(), None)
}
