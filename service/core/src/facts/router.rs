//! What one router has advertised and what of it still holds. A missing option withdraws nothing: lifetimes do.

use super::Overflow;
use super::ended::{Ended, OwnAddresses};
use crate::BootTime;
use crate::configuration::{
    AddressFamily, Configuration, EncryptedDns, Preference, Prefix, PrefixData, PvdFlags, RouteData, RouteKey,
};
use crate::event::Address;
use crate::limits;
use crate::pvd::PvdKey;
use crate::ra::{self, PrefixInformation, PvdOption, RouterAdvertisement, Timed};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Who advertises: a router, in its own name or in that of an explicit provisioning domain. Several routers may
/// speak for one, and one router for several (RFC 8801 3.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Advertiser {
    /// The PvD ID of the option that the advertisements carry; `None` when they carry none.
    pub pvd: Option<Arc<str>>,
    /// The router's link-local address.
    pub router: Ipv6Addr,
}

impl Advertiser {
    /// Who sent `advertisement` from `router`.
    pub fn of(router: Ipv6Addr, advertisement: &RouterAdvertisement) -> Self {
        Self { pvd: advertisement.pvd.as_ref().map(|option| Arc::from(option.id.as_str())), router }
    }

    /// Whether both are routers of one explicit provisioning domain.
    pub fn speaks_with(&self, other: &Self) -> bool {
        self.pvd.is_some() && self.pvd == other.pvd && self.router != other.router
    }

    /// The provisioning domain that it feeds.
    pub fn key(&self) -> PvdKey {
        self.pvd
            .as_ref()
            .map_or(PvdKey::ImplicitIpv6Router(self.router), |id| PvdKey::Explicit(Arc::clone(id)))
    }
}

/// What one advertiser advertises, with deadlines.
#[derive(Clone, Debug, Default)]
pub struct RouterFacts {
    option: Option<PvdOption>,
    default_until: Option<BootTime>,
    preference: Preference,
    managed: bool,
    other: bool,
    mtu: Option<u32>,
    prefixes: BTreeMap<Prefix, PrefixData>,
    /// Advertised no more: they only say whose an address is.
    ended: BTreeMap<Prefix, Ended>,
    routes: BTreeMap<Prefix, RouteData>,
    dns_servers: Vec<(Ipv6Addr, BootTime)>,
    search_domains: Vec<(String, BootTime)>,
    pref64: Vec<(Prefix, BootTime)>,
    encrypted_dns: Vec<(EncryptedDns, BootTime)>,
    captive_portal: Option<String>,
}

impl RouterFacts {
    /// Takes in an advertisement received at `now` by the host with these addresses.
    pub(super) fn update(
        &mut self,
        now: BootTime,
        advertisement: &RouterAdvertisement,
        own: OwnAddresses<'_>,
    ) -> Option<Overflow> {
        // What has run out and was not dropped yet is not refreshed: it begins anew, at the end of its list.
        self.expire(now, own);
        let lifetime = u32::from(advertisement.router_lifetime);
        self.default_until = (lifetime > 0).then(|| now.after_lifetime(lifetime));
        self.preference = advertisement.preference;
        self.managed = advertisement.managed;
        self.other = advertisement.other;
        self.mtu = advertisement.mtu.or(self.mtu);
        self.option.clone_from(&advertisement.pvd);
        if let Some(portal) = &advertisement.captive_portal {
            self.captive_portal = portal.clone().into_uri();
        }
        let complete = self.update_prefixes(now, advertisement, own)
            & self.update_routes(now, advertisement)
            & update_list(now, &mut self.dns_servers, &advertisement.dns_servers, limits::SERVERS_PER_PVD)
            & update_list(
                now,
                &mut self.search_domains,
                &advertisement.search_domains,
                limits::DOMAINS_PER_PVD,
            )
            & update_list(now, &mut self.pref64, &advertisement.pref64, ra::MAX_PREF64)
            & update_resolvers(now, &mut self.encrypted_dns, &advertisement.encrypted_dns);
        (!complete).then_some(Overflow::RouterOptions)
    }

    /// Speaks for an explicit provisioning domain from now on, as `predecessor` did until now: what is the
    /// provisioning domain's own is kept by who spoke last, so that it is one thing whichever router tells of it
    /// (RFC 4861 6.3.4: the most recent word counts). Each router keeps its own routes and flags.
    pub fn succeed(&mut self, predecessor: &mut Self) {
        if predecessor.advertises() {
            self.share_untimed(predecessor);
        }
        self.prefixes.append(&mut predecessor.prefixes);
        self.ended.append(&mut predecessor.ended);
        self.dns_servers.append(&mut predecessor.dns_servers);
        self.search_domains.append(&mut predecessor.search_domains);
        self.pref64.append(&mut predecessor.pref64);
        self.encrypted_dns.append(&mut predecessor.encrypted_dns);
    }

    /// Takes over what has no lifetime of its own, and so lives as long as the provisioning domain.
    pub fn share_untimed(&mut self, speaker: &Self) {
        self.option.clone_from(&speaker.option);
        self.mtu = speaker.mtu;
        self.captive_portal.clone_from(&speaker.captive_portal);
    }

    /// Gives up what `advertisement` carries, which belongs to the provisioning domain of its sender from now on:
    /// prefixes and servers, and routes when it is the same router's.
    pub fn cede(&mut self, advertisement: &RouterAdvertisement, same_router: bool) {
        for option in &advertisement.prefixes {
            self.prefixes.remove(&option.prefix);
            self.ended.remove(&option.prefix);
        }
        self.dns_servers
            .retain(|(held, _)| advertisement.dns_servers.iter().all(|option| option.value != *held));
        if same_router {
            for option in &advertisement.routes {
                self.routes.remove(&option.destination);
            }
        }
    }

    /// Takes out of `advertisement` what is held here and does not move to an implicit provisioning domain.
    pub fn keep_from(&self, advertisement: &mut RouterAdvertisement, same_router: bool) {
        let ended = |option: &PrefixInformation| self.ended.contains_key(&option.prefix);
        advertisement.prefixes.retain(|option| {
            !self.prefixes.contains_key(&option.prefix) && (option.valid_lifetime > 0 || !ended(option))
        });
        advertisement
            .dns_servers
            .retain(|option| self.dns_servers.iter().all(|(held, _)| *held != option.value));
        if same_router {
            advertisement.routes.retain(|option| !self.routes.contains_key(&option.destination));
        }
    }

    /// The PvD option of its latest advertisement.
    pub const fn option(&self) -> Option<&PvdOption> {
        self.option.as_ref()
    }

    /// Whether it wants the link's DHCPv4 lease (flag L).
    pub fn legacy(&self) -> bool {
        self.option.as_ref().is_some_and(|option| option.legacy)
    }

    /// Drops what has run out. Of prefixes that addresses of this host were made from is kept that they were.
    pub(super) fn expire(&mut self, now: BootTime, own: OwnAddresses<'_>) {
        self.default_until = self.default_until.filter(|until| !until.passed(now));
        let ended = &mut self.ended;
        self.prefixes.retain(|prefix, data| {
            let passed = data.valid_until.passed(now);
            if passed {
                let held_until = Some(data.valid_until);
                ended.insert(*prefix, Ended { autonomous: data.autonomous, held_until });
            }
            !passed
        });
        self.ended.retain(|prefix, ended| own.need(prefix, ended));
        self.routes.retain(|_, data| !data.valid_until.passed(now));
        self.dns_servers.retain(|(_, until)| !until.passed(now));
        self.search_domains.retain(|(_, until)| !until.passed(now));
        self.pref64.retain(|(_, until)| !until.passed(now));
        self.encrypted_dns.retain(|(_, until)| !until.passed(now));
    }

    /// Ends what has no lifetime of its own with the last thing that has one.
    pub(super) fn expire_untimed(&mut self) {
        if !self.advertises() {
            *self = Self { ended: std::mem::take(&mut self.ended), ..Self::default() };
        }
    }

    /// Whether anything holds that it advertised, apart from what has run out and was not dropped yet.
    pub fn advertises(&self) -> bool {
        self.deadlines().next().is_some()
    }

    /// Whether anything that it advertised still holds, or an address that was made from it is there.
    pub fn alive(&self, now: BootTime) -> bool {
        !self.ended.is_empty() || self.deadlines().any(|deadline| !deadline.passed(now))
    }

    /// The prefixes that it advertises no more and that addresses of this host were made from.
    pub(super) const fn ended(&self) -> &BTreeMap<Prefix, Ended> {
        &self.ended
    }

    pub(super) fn forget_ended(&mut self, prefix: &Prefix) {
        self.ended.remove(prefix);
    }

    /// Whether it has more to say of `prefix` than who has only `ended` of it.
    pub(super) fn outlasts(&self, prefix: &Prefix, ended: &Ended) -> bool {
        let later = |own: &Ended| own.held_until > ended.held_until;
        self.prefixes.contains_key(prefix) || self.ended.get(prefix).is_some_and(later)
    }

    /// When the next thing runs out.
    pub fn next_deadline(&self) -> Option<BootTime> {
        self.deadlines().min()
    }

    /// When the last thing runs out.
    pub fn last_deadline(&self) -> Option<BootTime> {
        self.deadlines().max()
    }

    /// Its RFC 4191 preference as a default router; `None` when it is none.
    pub fn default_preference(&self) -> Option<Preference> {
        self.default_until.map(|_| self.preference)
    }

    /// Whether addresses on this link are to be had by DHCPv6 (flag M).
    pub const fn managed(&self) -> bool {
        self.managed
    }

    /// Whether other configuration is to be had by DHCPv6 (flag O, or M which implies it).
    pub const fn other(&self) -> bool {
        self.other || self.managed
    }

    /// The prefixes that it advertises.
    pub fn prefixes(&self) -> impl Iterator<Item = &Prefix> {
        self.prefixes.keys()
    }

    /// Whether an advertised prefix covers `address`, or it was made from one that is advertised no more.
    pub fn owns(&self, address: &Address) -> bool {
        self.prefixes.keys().any(|prefix| prefix.covers(address.key.address))
            || self.ended.iter().any(|(prefix, ended)| ended.made(prefix, address))
    }

    /// Whether hosts make addresses of this length themselves in a prefix that covers `address`.
    pub fn autoconfigures(&self, address: &Address) -> bool {
        let key = address.key;
        let advertised = self.prefixes.iter().map(|(prefix, data)| (prefix, data.autonomous));
        let ended = self.ended.iter().map(|(prefix, ended)| (prefix, ended.autonomous));
        advertised.chain(ended).any(|(prefix, autonomous)| {
            autonomous && prefix.length == key.prefix_length && prefix.covers(key.address)
        })
    }

    /// What the element `ra` gave in the provisioning domain of the router at `router`.
    pub fn configuration(&self, router: Ipv6Addr) -> Configuration {
        let gateway = Some(IpAddr::V6(router));
        let mut routes: BTreeMap<RouteKey, RouteData> = self
            .routes
            .iter()
            .map(|(destination, data)| (RouteKey { destination: *destination, gateway }, *data))
            .collect();
        if let Some(valid_until) = self.default_until {
            let key = RouteKey { destination: Prefix::default_route(AddressFamily::Ipv6), gateway };
            routes.entry(key).or_insert(RouteData { preference: self.preference, valid_until });
        }
        Configuration {
            dns_servers: self.dns_servers.iter().map(|(server, _)| IpAddr::V6(*server)).collect(),
            search_domains: self.search_domains.iter().map(|(domain, _)| domain.clone()).collect(),
            routers: gateway.filter(|_| self.default_until.is_some()).into_iter().collect(),
            routes,
            prefixes: self.prefixes.clone(),
            mtu: self.mtu,
            captive_portal: self.captive_portal.clone(),
            pref64: self.pref64.iter().map(|(prefix, _)| *prefix).collect(),
            encrypted_dns: self.resolvers(),
            pvd_option: self.option.as_ref().map(|option| PvdFlags {
                sequence: option.sequence,
                http: option.http,
                legacy: option.legacy,
                ra: option.ra,
            }),
            ..Configuration::default()
        }
    }

    /// Its encrypted resolvers, best first (RFC 9463 3.1.9).
    fn resolvers(&self) -> Vec<EncryptedDns> {
        let mut resolvers: Vec<_> = self.encrypted_dns.iter().map(|(resolver, _)| resolver.clone()).collect();
        resolvers.sort_by_key(|resolver| resolver.priority);
        resolvers
    }

    fn deadlines(&self) -> impl Iterator<Item = BootTime> {
        self.default_until
            .into_iter()
            .chain(self.prefixes.values().map(|data| data.valid_until))
            .chain(self.routes.values().map(|data| data.valid_until))
            .chain(self.dns_servers.iter().map(|(_, until)| *until))
            .chain(self.search_domains.iter().map(|(_, until)| *until))
            .chain(self.pref64.iter().map(|(_, until)| *until))
            .chain(self.encrypted_dns.iter().map(|(_, until)| *until))
    }

    fn update_prefixes(
        &mut self,
        now: BootTime,
        advertisement: &RouterAdvertisement,
        own: OwnAddresses<'_>,
    ) -> bool {
        let mut complete = true;
        for option in &advertisement.prefixes {
            if option.valid_lifetime == 0 {
                self.end_prefix(now, option, own);
                continue;
            }
            if self.is_full_for(&option.prefix) {
                complete = false;
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
        complete
    }

    fn is_full_for(&self, prefix: &Prefix) -> bool {
        let known = || self.prefixes.contains_key(prefix) || self.ended.contains_key(prefix);
        self.prefixes.len() + self.ended.len() >= limits::PREFIXES_PER_ROUTER && !known()
    }

    fn end_prefix(&mut self, now: BootTime, option: &PrefixInformation, own: OwnAddresses<'_>) {
        let prefix = option.prefix;
        let ended = match self.prefixes.remove(&prefix) {
            Some(data) => Ended { autonomous: data.autonomous, held_until: Some(now) },
            None => Ended { autonomous: option.autonomous, held_until: None },
        };
        if !self.is_full_for(&prefix) && own.need(&prefix, &ended) {
            self.ended.entry(prefix).or_insert(ended);
        }
    }

    fn update_routes(&mut self, now: BootTime, advertisement: &RouterAdvertisement) -> bool {
        let mut complete = true;
        for option in &advertisement.routes {
            if option.lifetime == 0 {
                self.routes.remove(&option.destination);
                continue;
            }
            if self.routes.len() >= limits::ROUTES_PER_ROUTER
                && !self.routes.contains_key(&option.destination)
            {
                complete = false;
                continue;
            }
            let valid_until = now.after_lifetime(option.lifetime);
            self.routes.insert(option.destination, RouteData { preference: option.preference, valid_until });
        }
        complete
    }
}

/// Refreshes the resolvers. What is told anew of a name and priority replaces what was told of them before, and a
/// lifetime of zero says that the name must not be used any more, whatever else stands beside it (RFC 9463 6.1); but what
/// the same advertisement gives a lifetime holds.
fn update_resolvers(
    now: BootTime,
    list: &mut Vec<(EncryptedDns, BootTime)>,
    options: &[Timed<EncryptedDns>],
) -> bool {
    list.retain(|(held, _)| {
        let mut of_name = options.iter().filter(|option| option.value.name == held.name);
        let outdated =
            |option: &Timed<EncryptedDns>| option.lifetime == 0 || option.value.priority == held.priority;
        let renewed = |option: &Timed<EncryptedDns>| option.lifetime > 0 && option.value == *held;
        !of_name.clone().any(outdated) || of_name.any(renewed)
    });
    update_list(now, list, options, ra::MAX_ENCRYPTED_DNS)
}

/// Refreshes a list in place: an item keeps its position while it lives, so that advertisements that carry the
/// list in parts (RFC 8801 3.2 allows it) do not reorder it each time. Whether everything had room.
fn update_list<T: Clone + PartialEq>(
    now: BootTime,
    list: &mut Vec<(T, BootTime)>,
    options: &[Timed<T>],
    cap: usize,
) -> bool {
    let mut complete = true;
    for option in options {
        let position = list.iter().position(|(value, _)| *value == option.value);
        let until = now.after_lifetime(option.lifetime);
        match position {
            Some(position) if option.lifetime == 0 => {
                list.remove(position);
            }
            Some(position) => list[position].1 = until,
            None if option.lifetime == 0 => {}
            None if list.len() >= cap => complete = false,
            None => list.push((option.value.clone(), until)),
        }
    }
    complete
}
