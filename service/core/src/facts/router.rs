//! What one router has advertised and what of it still holds. A missing option withdraws nothing: lifetimes do.

use super::Overflow;
use crate::BootTime;
use crate::configuration::{
    AddressFamily, Configuration, Preference, Prefix, PrefixData, RouteData, RouteKey,
};
use crate::limits;
use crate::ra::{RouterAdvertisement, Timed};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// What one router advertises, with deadlines.
#[derive(Clone, Debug, Default)]
pub struct RouterFacts {
    default_until: Option<BootTime>,
    preference: Preference,
    managed: bool,
    other: bool,
    mtu: Option<u32>,
    prefixes: BTreeMap<Prefix, PrefixData>,
    routes: BTreeMap<Prefix, RouteData>,
    dns_servers: Vec<(Ipv6Addr, BootTime)>,
    search_domains: Vec<(String, BootTime)>,
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
        let complete = self.update_prefixes(now, advertisement)
            & self.update_routes(now, advertisement)
            & update_list(now, &mut self.dns_servers, &advertisement.dns_servers, limits::SERVERS_PER_PVD)
            & update_list(
                now,
                &mut self.search_domains,
                &advertisement.search_domains,
                limits::DOMAINS_PER_PVD,
            );
        (!complete).then_some(Overflow::RouterOptions)
    }

    /// Drops what has run out.
    pub fn expire(&mut self, now: BootTime) {
        self.default_until = self.default_until.filter(|until| !until.passed(now));
        self.prefixes.retain(|_, data| !data.valid_until.passed(now));
        self.routes.retain(|_, data| !data.valid_until.passed(now));
        self.dns_servers.retain(|(_, until)| !until.passed(now));
        self.search_domains.retain(|(_, until)| !until.passed(now));
    }

    /// Whether anything that it advertised still holds.
    pub fn alive(&self, now: BootTime) -> bool {
        self.deadlines().any(|deadline| !deadline.passed(now))
    }

    /// When the next thing runs out.
    pub fn next_deadline(&self) -> Option<BootTime> {
        self.deadlines().min()
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
            ..Configuration::default()
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = BootTime> {
        self.default_until
            .into_iter()
            .chain(self.prefixes.values().map(|data| data.valid_until))
            .chain(self.routes.values().map(|data| data.valid_until))
            .chain(self.dns_servers.iter().map(|(_, until)| *until))
            .chain(self.search_domains.iter().map(|(_, until)| *until))
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
