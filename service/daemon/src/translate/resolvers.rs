//! One resolver, and so one cache, for each provisioning domain that has been asked.

use super::servers::Servers;
use super::trust::Trust;
use crate::clock;
use crate::socket::Scope;
use hickory_resolver::Resolver;
use hickory_resolver::config::{
    NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use mif_core::plan::{DnsPlan, TranslatePlan};
use mif_core::pvd::Serial;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers that one cache holds.
const CACHE_SIZE: u64 = 1024;
/// The longest time that an address is kept, whatever its TTL.
const LONGEST_POSITIVE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest time that the absence of one is kept (RFC 2308 5: one to three hours).
const LONGEST_NEGATIVE: Duration = Duration::from_secs(60 * 60);

/// From here on it is sleep, and not the time between two looks at clocks.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// The resolvers, by provisioning domain.
pub(super) struct Resolvers {
    trust: Arc<Trust>,
    known: Mutex<Known>,
    /// How long the machine has slept since it was booted.
    slept: fn() -> Duration,
}

#[derive(Default)]
struct Known {
    by_pvd: BTreeMap<(Serial, Purpose), Entry>,
    /// How long the machine had slept when they were made.
    slept: Duration,
}

impl Known {
    /// hickory's cache counts on a clock that stands still while the machine sleeps, and connections do not outlive
    /// that: after it they begin with nothing.
    fn wake(&mut self, slept: Duration) {
        if slept.abs_diff(self.slept) >= SHORTEST_SLEEP {
            self.by_pvd.clear();
            self.slept = slept;
        }
    }
}

/// What a resolver is for: its questions and its servers are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// To find the resolvers that the network only names.
    Designation,
    /// The names that clients ask for.
    Translation,
}

struct Entry {
    servers: Servers,
    resolver: Resolver<Servers>,
}

impl Resolvers {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust: Arc::new(trust), known: Mutex::default(), slept: clock::slept }
    }

    /// With another measure of the machine's sleep.
    pub(super) fn with_sleep(self, slept: fn() -> Duration) -> Self {
        Self { slept, ..self }
    }

    /// The resolver for `plan`: the one of before, unless its servers have changed. Then what is cached may be wrong,
    /// and a new one begins with nothing.
    ///
    /// # Errors
    /// hickory did not like its configuration.
    pub(super) fn of(
        &self,
        plan: &TranslatePlan,
        scope: Scope,
        (dns, purpose): (&DnsPlan, Purpose),
    ) -> Result<Resolver<Servers>, NetError> {
        let mut known = self.lock();
        known.wake((self.slept)());
        let by_pvd = &mut known.by_pvd;
        let key = (plan.pvd, purpose);
        if let Some(entry) = by_pvd.get(&key).filter(|entry| entry.servers.are(&dns.servers)) {
            entry.servers.ask_from(&dns.servers);
            return Ok(entry.resolver.clone());
        }
        let servers = Servers::new(scope, &dns.servers, Arc::clone(&self.trust));
        let resolver = build(servers.clone(), dns)?;
        by_pvd.insert(key, Entry { servers, resolver: resolver.clone() });
        Ok(resolver)
    }

    /// Drops the resolver of `pvd` and all that it has cached.
    pub(super) fn forget(&self, pvd: Serial) {
        self.lock().by_pvd.retain(|(of, _), _| *of != pvd);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resolvers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.lock().by_pvd.keys()).finish()
    }
}

fn build(servers: Servers, dns: &DnsPlan) -> Result<Resolver<Servers>, NetError> {
    let name_servers = dns.servers.first().map(|server| NameServerConfig::udp(server.address.ip()));
    let config = ResolverConfig::from_name_servers(name_servers.into_iter().collect());
    let mut builder = Resolver::builder_with_config(config, servers);
    set(builder.options_mut());
    builder.build()
}

/// hickory's defaults are for a desktop with one resolv.conf. Retries, order and timeouts are those of [`Servers`],
/// the host table and search domains those of the plan.
fn set(options: &mut ResolverOpts) {
    options.use_hosts_file = ResolveHosts::Never;
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.os_port_selection = true;
    options.edns0 = true;
    options.case_randomization = false;
    // For the canonical name.
    options.preserve_intermediates = true;
    options.cache_size = CACHE_SIZE;
    options.positive_max_ttl = Some(LONGEST_POSITIVE);
    options.negative_max_ttl = Some(LONGEST_NEGATIVE);
}
