//! What was heard of routers on one link of the model, kept by provisioning domain: what several routers say for one
//! is one thing, and each router has its own routes besides.

use mif_core::BootTime;
use mif_core::captive_portal::CaptivePortal;
use mif_core::configuration::{EncryptedDns, Preference, Prefix, PrefixData, RouteData};
use mif_core::event::{Address, AddressKey};
use mif_core::ra::{PrefixInformation, PvdOption, RouteInformation, RouterAdvertisement, Timed};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Who is fed: an explicit provisioning domain, by its ID, or the implicit one of a router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fed {
    Explicit(String),
    Implicit(Ipv6Addr),
}

/// The addresses that the observer believes this host to have.
pub type OwnAddresses = BTreeMap<AddressKey, Address>;

/// All that still holds.
#[derive(Default)]
pub struct Heard {
    domains: BTreeMap<Fed, Domain>,
}

#[derive(Default)]
struct Domain {
    option: Option<PvdOption>,
    mtu: Option<u32>,
    portal: Option<CaptivePortal>,
    prefixes: BTreeMap<Prefix, PrefixData>,
    /// Flag A, and until when it was advertised, of prefixes that are no more and that addresses were made from.
    ended: BTreeMap<Prefix, (bool, Option<BootTime>)>,
    servers: Vec<(Ipv6Addr, BootTime)>,
    search: Vec<(String, BootTime)>,
    pref64: Vec<(Prefix, BootTime)>,
    resolvers: Vec<(EncryptedDns, BootTime)>,
    routers: BTreeMap<Ipv6Addr, Router>,
    /// Who told of the above most recently, and so keeps standing for it.
    spokesman: Option<Ipv6Addr>,
}

#[derive(Default)]
struct Router {
    default_until: Option<BootTime>,
    preference: Preference,
    managed: bool,
    routes: BTreeMap<Prefix, RouteData>,
}

impl Heard {
    /// A router advertises.
    pub fn hear(&mut self, now: BootTime, router: Ipv6Addr, says: &RouterAdvertisement, own: &OwnAddresses) {
        self.expire(now, own);
        let mut says = says.clone();
        let fed = match &says.pvd {
            Some(option) => Fed::Explicit(option.id.clone()),
            None => Fed::Implicit(router),
        };
        // Rule 3: an explicit one takes what it carries from all others, an implicit one from no explicit one.
        for (other, domain) in self.domains.iter_mut().filter(|(other, _)| **other != fed) {
            match (&fed, other) {
                (Fed::Explicit(_), _) => domain.lose(router, &says),
                (Fed::Implicit(_), Fed::Explicit(_)) => domain.keep(router, &mut says),
                (Fed::Implicit(_), Fed::Implicit(_)) => {}
            }
        }
        self.domains.entry(fed).or_default().hear(now, router, &says);
        self.expire(now, own);
    }

    /// Lets what ends by `now` end. Addresses stay with whoever advertised their prefix last.
    pub fn expire(&mut self, now: BootTime, own: &OwnAddresses) {
        self.domains.values_mut().for_each(|domain| domain.end_prefixes(now, own));
        let live: Vec<Prefix> =
            self.domains.values().flat_map(|domain| domain.prefixes.keys().copied()).collect();
        let mut latest: BTreeMap<Prefix, Option<BootTime>> = BTreeMap::new();
        for (prefix, (_, held_until)) in self.domains.values().flat_map(|domain| &domain.ended) {
            let known = latest.entry(*prefix).or_default();
            *known = (*known).max(*held_until);
        }
        for domain in self.domains.values_mut() {
            domain.ended.retain(|prefix, (_, until)| !live.contains(prefix) && latest[prefix] == *until);
        }
        self.domains.values_mut().for_each(|domain| domain.expire(now));
        self.domains.retain(|_, domain| !domain.routers.is_empty());
    }

    /// Nothing of it is believed any more.
    pub fn forget(&mut self) {
        self.domains.clear();
    }

    /// Advertisements that say all of it again.
    pub fn as_advertisements(&self, now: BootTime) -> Vec<(Ipv6Addr, RouterAdvertisement)> {
        self.domains.values().flat_map(|domain| domain.as_advertisements(now)).collect()
    }
}

impl Domain {
    fn hear(&mut self, now: BootTime, router: Ipv6Addr, says: &RouterAdvertisement) {
        let own = self.routers.entry(router).or_default();
        let lifetime = u32::from(says.router_lifetime);
        own.default_until = (lifetime != 0).then(|| now.after_lifetime(lifetime));
        (own.preference, own.managed) = (says.preference, says.managed);
        for option in &says.routes {
            let valid_until = now.after_lifetime(option.lifetime);
            own.routes.insert(option.destination, RouteData { preference: option.preference, valid_until });
        }
        for option in &says.prefixes {
            if option.valid_lifetime == 0 {
                let ended = match self.prefixes.remove(&option.prefix) {
                    Some(data) => (data.autonomous, Some(now)),
                    None => (option.autonomous, None),
                };
                self.ended.entry(option.prefix).or_insert(ended);
                continue;
            }
            let data = PrefixData {
                on_link: option.on_link,
                autonomous: option.autonomous,
                preferred_until: now.after_lifetime(option.preferred_lifetime),
                valid_until: now.after_lifetime(option.valid_lifetime),
            };
            self.ended.remove(&option.prefix);
            self.prefixes.insert(option.prefix, data);
        }
        refresh(now, &mut self.servers, &says.dns_servers);
        refresh(now, &mut self.search, &says.search_domains);
        refresh(now, &mut self.pref64, &says.pref64);
        let holds = |one: &EncryptedDns| {
            says.encrypted_dns.iter().any(|option| option.lifetime != 0 && option.value == *one)
        };
        for option in &says.encrypted_dns {
            let (ends, new) = (option.lifetime == 0, &option.value);
            let touched = |old: &EncryptedDns| old.name == new.name && (ends || old.priority == new.priority);
            self.resolvers.retain(|(old, _)| !touched(old) || holds(old));
        }
        refresh(now, &mut self.resolvers, &says.encrypted_dns);
        self.mtu = says.mtu.or(self.mtu);
        self.portal = says.captive_portal.clone().or(self.portal.take());
        self.option = says.pvd.clone();
        self.spokesman = Some(router);
    }

    fn lose(&mut self, router: Ipv6Addr, says: &RouterAdvertisement) {
        self.prefixes.retain(|held, _| says.prefixes.iter().all(|option| option.prefix != *held));
        self.ended.retain(|held, _| says.prefixes.iter().all(|option| option.prefix != *held));
        self.servers.retain(|(held, _)| says.dns_servers.iter().all(|option| option.value != *held));
        if let Some(own) = self.routers.get_mut(&router) {
            own.routes.retain(|held, _| says.routes.iter().all(|option| option.destination != *held));
        }
    }

    fn keep(&self, router: Ipv6Addr, says: &mut RouterAdvertisement) {
        says.prefixes.retain(|option| !self.prefixes.contains_key(&option.prefix));
        says.prefixes.retain(|option| option.valid_lifetime != 0 || !self.ended.contains_key(&option.prefix));
        says.dns_servers.retain(|option| self.servers.iter().all(|(held, _)| *held != option.value));
        if let Some(own) = self.routers.get(&router) {
            says.routes.retain(|option| !own.routes.contains_key(&option.destination));
        }
    }

    fn end_prefixes(&mut self, now: BootTime, own: &OwnAddresses) {
        let over = self.prefixes.iter().filter(|(_, data)| data.valid_until.passed(now));
        self.ended.extend(over.map(|(prefix, data)| (*prefix, (data.autonomous, Some(data.valid_until)))));
        self.prefixes.retain(|_, data| !data.valid_until.passed(now));
        self.ended.retain(|prefix, (autonomous, _)| {
            own.values().any(|address| {
                Prefix::covering(address.key.address, address.key.prefix_length) == *prefix
                    && (address.from_router_advertisement || *autonomous && !address.permanent)
            })
        });
    }

    fn expire(&mut self, now: BootTime) {
        self.servers.retain(|(_, until)| !until.passed(now));
        self.search.retain(|(_, until)| !until.passed(now));
        self.pref64.retain(|(_, until)| !until.passed(now));
        self.resolvers.retain(|(_, until)| !until.passed(now));
        for own in self.routers.values_mut() {
            own.default_until = own.default_until.filter(|until| !until.passed(now));
            own.routes.retain(|_, data| !data.valid_until.passed(now));
        }
        let shares_nothing = self.prefixes.is_empty()
            && self.servers.is_empty()
            && self.search.is_empty()
            && self.pref64.is_empty()
            && self.resolvers.is_empty();
        if shares_nothing && !self.routers.values().any(Router::advertises) {
            // What has no lifetime ends with the last that has one.
            (self.mtu, self.portal) = (None, None);
        }
        let spokesman = self.spokesman.filter(|_| !shares_nothing || !self.ended.is_empty());
        self.routers.retain(|router, own| own.advertises() || spokesman == Some(*router));
    }

    /// One of each router, the spokesman's with everything in it.
    fn as_advertisements(&self, now: BootTime) -> Vec<(Ipv6Addr, RouterAdvertisement)> {
        let mut all = Vec::new();
        for (router, own) in &self.routers {
            let mut says = own.as_advertisement(now);
            (says.mtu, says.pvd, says.captive_portal) = (self.mtu, self.option.clone(), self.portal.clone());
            if self.spokesman == Some(*router) {
                self.fill_in(now, &mut says);
            }
            all.push((*router, says));
        }
        // Who tells of it last stands for it.
        all.sort_by_key(|(router, _)| self.spokesman == Some(*router));
        all
    }

    fn fill_in(&self, now: BootTime, says: &mut RouterAdvertisement) {
        let prefix = |(prefix, data): (&Prefix, &PrefixData)| PrefixInformation {
            prefix: *prefix,
            on_link: data.on_link,
            autonomous: data.autonomous,
            valid_lifetime: left(now, data.valid_until),
            preferred_lifetime: left(now, data.preferred_until),
        };
        let ended = |(prefix, (autonomous, _)): (&Prefix, &(bool, Option<BootTime>))| PrefixInformation {
            prefix: *prefix,
            on_link: true,
            autonomous: *autonomous,
            valid_lifetime: 0,
            preferred_lifetime: 0,
        };
        says.prefixes = self.prefixes.iter().map(prefix).chain(self.ended.iter().map(ended)).collect();
        says.dns_servers = timed(now, &self.servers);
        says.search_domains = timed(now, &self.search);
        says.pref64 = timed(now, &self.pref64);
        says.encrypted_dns = timed(now, &self.resolvers);
    }
}

impl Router {
    fn advertises(&self) -> bool {
        self.default_until.is_some() || !self.routes.is_empty()
    }

    fn as_advertisement(&self, now: BootTime) -> RouterAdvertisement {
        let route = |(destination, data): (&Prefix, &RouteData)| RouteInformation {
            destination: *destination,
            preference: data.preference,
            lifetime: left(now, data.valid_until),
        };
        let lifetime = self.default_until.map_or(0, |until| u16::try_from(left(now, until)).unwrap());
        RouterAdvertisement {
            router_lifetime: lifetime,
            preference: self.preference,
            managed: self.managed,
            routes: self.routes.iter().map(route).collect(),
            ..RouterAdvertisement::default()
        }
    }
}

/// Seconds until then.
fn left(now: BootTime, until: BootTime) -> u32 {
    now.until(until).map_or(u32::MAX, |left| u32::try_from(left.as_secs()).unwrap())
}

fn timed<T: Clone>(now: BootTime, list: &[(T, BootTime)]) -> Vec<Timed<T>> {
    list.iter().map(|(value, until)| Timed { value: value.clone(), lifetime: left(now, *until) }).collect()
}

/// What is known keeps its place, what is new comes last, and what is withdrawn goes.
fn refresh<T: Clone + PartialEq>(now: BootTime, list: &mut Vec<(T, BootTime)>, options: &[Timed<T>]) {
    for option in options {
        let until = now.after_lifetime(option.lifetime);
        match list.iter_mut().find(|(value, _)| *value == option.value) {
            Some((_, known)) if option.lifetime != 0 => *known = until,
            Some(_) => list.retain(|(value, _)| *value != option.value),
            None if option.lifetime == 0 => {}
            None => list.push((option.value.clone(), until)),
        }
    }
}
