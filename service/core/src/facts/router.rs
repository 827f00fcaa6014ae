//! What one router has advertised and what of it still holds. A missing option withdraws nothing: lifetimes do.

use super::Overflow;
use crate::BootTime;
use crate::configuration::{
    AddressFamily, Configuration, EncryptedDns, Preference, Prefix, PrefixData, PvdFlags, RouteData, RouteKey,
};
use crate::limits;
use crate::pvd::PvdKey;
use crate::ra::{self, PvdOption, RouterAdvertisement, Timed};
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
    routes: BTreeMap<Prefix, RouteData>,
    dns_servers: Vec<(Ipv6Addr, BootTime)>,
    search_domains: Vec<(String, BootTime)>,
    pref64: Vec<(Prefix, BootTime)>,
    encrypted_dns: Vec<(EncryptedDns, BootTime)>,
    captive_portal: Option<String>,
}

impl RouterFacts {
    /// Takes in an advertisement received at `now`.
    pub fn update(&mut self, now: BootTime, advertisement: &RouterAdvertisement) -> Option<Overflow> {
        // What has run out and was not dropped yet is not refreshed: it begins anew, at the end of its list.
        self.expire(now);
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
        let complete = self.update_prefixes(now, advertisement)
            & self.update_routes(now, advertisement)
            & update_list(now, &mut self.dns_servers, &advertisement.dns_servers, limits::SERVERS_PER_PVD)
            & update_list(
                now,
                &mut self.search_domains,
                &advertisement.search_domains,
                limits::DOMAINS_PER_PVD,
            )
            & update_list(now, &mut self.pref64, &advertisement.pref64, ra::MAX_PREF64)
            & update_list(now, &mut self.encrypted_dns, &advertisement.encrypted_dns, ra::MAX_ENCRYPTED_DNS);
        (!complete).then_some(Overflow::RouterOptions)
    }

    /// Speaks for an explicit provisioning domain from now on, as `predecessor` did until now: what is the
    /// provisioning domain's own is kept by who spoke last, so that it is one thing whichever router tells of it
    /// (RFC 4861 6.3.4: the most recent word counts). Each router keeps its own routes and flags.
    pub fn succeed(&mut self, predecessor: &mut Self) {
        self.share_untimed(predecessor);
        self.prefixes.append(&mut predecessor.prefixes);
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
        advertisement.prefixes.retain(|option| !self.prefixes.contains_key(&option.prefix));
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

    /// Drops what has run out.
    pub fn expire(&mut self, now: BootTime) {
        self.default_until = self.default_until.filter(|until| !until.passed(now));
        self.prefixes.retain(|_, data| !data.valid_until.passed(now));
        self.routes.retain(|_, data| !data.valid_until.passed(now));
        self.dns_servers.retain(|(_, until)| !until.passed(now));
        self.search_domains.retain(|(_, until)| !until.passed(now));
        self.pref64.retain(|(_, until)| !until.passed(now));
        self.encrypted_dns.retain(|(_, until)| !until.passed(now));
    }

    /// Whether anything that it advertised still holds.
    pub fn alive(&self, now: BootTime) -> bool {
        self.deadlines().any(|deadline| !deadline.passed(now))
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

    /// Whether an advertised prefix covers `address`.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.prefixes.keys().any(|prefix| prefix.covers(address))
    }

    /// Whether hosts make addresses of `length` themselves in an advertised prefix that covers `address`.
    pub fn autoconfigures(&self, address: IpAddr, length: u8) -> bool {
        self.prefixes
            .iter()
            .any(|(prefix, data)| data.autonomous && prefix.length == length && prefix.covers(address))
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

    fn update_prefixes(&mut self, now: BootTime, advertisement: &RouterAdvertisement) -> bool {
        let mut complete = true;
        for option in &advertisement.prefixes {
            if option.valid_lifetime == 0 {
                self.prefixes.remove(&option.prefix);
                continue;
            }
            if self.prefixes.len() >= limits::PREFIXES_PER_ROUTER
                && !self.prefixes.contains_key(&option.prefix)
            {
                complete = false;
                continue;
            }
            let data = PrefixData {
                on_link: option.on_link,
                autonomous: option.autonomous,
                preferred_until: now.after_lifetime(option.preferred_lifetime),
                valid_until: now.after_lifetime(option.valid_lifetime),
            };
            self.prefixes.insert(option.prefix, data);
        }
        complete
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
