//! Translate Name: carries a [`TranslatePlan`] out, answer by answer.

mod conversation;
mod conversations;
mod delivery;
mod dns;
mod hosts;
mod plain;
mod provenance;
mod resolvers;
mod runtime;
mod servers;
mod synthesis;
pub(crate) mod trust;

use crate::request::UNTIL_LINK_GONE;
use crate::routing::Router;
use crate::socket::{self, Scope};
use delivery::Delivery;
use hosts::Hosts;
use mif_core::plan::{
    Answer, AnswerSource, DnsPlan, Encryption, Lookup, TranslatePlan, Translation, TranslationEnd,
    TranslationFailure,
};
use mif_core::pvd::Serial;
use resolvers::Resolvers;
use std::path::PathBuf;
use std::time::Duration;
use trust::Trust;

/// Translates names inside provisioning domains, and keeps what is worth keeping between translations: one cache of
/// DNS a provisioning domain, and the host table.
#[derive(Debug)]
pub struct Translator {
    hosts: Hosts,
    resolvers: Resolvers,
    encryption: Encryption,
    router: Router,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self { hosts: PathBuf::from("/etc/hosts"), certificates: None, encryption: Encryption::default() }
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

    /// A translator for a machine with these settings.
    pub fn new(settings: Settings) -> Self {
        let Settings { hosts, certificates, encryption } = settings;
        let resolvers = Resolvers::new(Trust::new(certificates));
        Self { hosts: Hosts::new(hosts), resolvers, encryption, router: Router::off() }
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
                    let canonical_name = Some(lookup.name.clone());
                    return Ok(TranslationEnd {
                        canonical_name,
                        truncated: delivery.truncated(),
                        rcode: None,
                    });
                }
                match &lookup.dns {
                    Ok(dns) => self.ask_dns(plan, lookup, dns, delivery).await,
                    Err(refusal) => Err(TranslationFailure::Refused(refusal.clone())),
                }
            }
        }
    }

    /// Drops the cache of `pvd`, which is gone. To be called when none of its translations runs any more.
    pub fn forget(&self, pvd: Serial) {
        self.resolvers.forget(pvd);
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

    async fn ask_dns<S: FnMut(Answer) + Send>(
        &self,
        plan: &TranslatePlan,
        lookup: &Lookup,
        dns: &DnsPlan,
        mut delivery: Delivery<S>,
    ) -> Result<TranslationEnd, TranslationFailure> {
        let unavailable = |error| {
            tracing::error!(pvd = %plan.pvd, %error, "no resolver could be made");
            TranslationFailure::ServerFailure(lookup.name.clone(), None)
        };
        let scope = self.scope(plan, lookup).await?;
        let resolver = self.resolvers.of(plan, scope, dns).map_err(unavailable)?;
        let timeout = Duration::from_millis(u64::from(plan.timeout_ms));
        let names = dns::Names {
            asked: &lookup.name,
            candidates: &dns.names,
            families: lookup.families,
            nat64: dns.nat64.as_ref(),
        };
        match tokio::time::timeout(timeout, dns::ask(&resolver, &names, &mut delivery)).await {
            Ok(Err(failure @ TranslationFailure::ServerFailure(_, None))) if is_cut_off(scope, dns) => {
                tokio::time::sleep(UNTIL_LINK_GONE).await;
                Err(failure)
            }
            Ok(Err(TranslationFailure::ServerFailure(name, None))) if is_encrypted_only(dns) => {
                Err(TranslationFailure::NoEncryptedServer(name))
            }
            Ok(end) => end,
            Err(_) if delivery.is_empty() => Err(TranslationFailure::TimedOut(lookup.name.clone())),
            // One family came in time, and the other did not.
            Err(_) => Ok(delivery.end()),
        }
    }
}

/// Whether only servers may be asked that prove their names.
fn is_encrypted_only(dns: &DnsPlan) -> bool {
    dns.servers.iter().all(|server| server.protocol.is_verified())
}

/// Whether no packet can leave for any server now: the interface, or what it needs to send, is going.
fn is_cut_off(scope: Scope, dns: &DnsPlan) -> bool {
    dns.servers.iter().all(|server| socket::datagram_to(scope, server.address, server.source).is_err())
}
