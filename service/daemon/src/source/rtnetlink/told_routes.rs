//! The routes that the engine was told of.
//!
//! The kernel takes routes away without a word: all IPv4 routes of a link that is set down or loses its last address,
//! those whose preferred source goes, and the one that `ip route replace` replaces. Only knowing what was told makes it
//! possible to say afterwards what is gone.

use mif_core::configuration::{AddressFamily, Prefix};
use mif_core::event::{Ifindex, Route};
use mif_core::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Told routes by link: every default route, and as many others as the engine remembers (and one more, so that it
/// notices).
#[derive(Clone, Debug)]
pub(super) struct ToldRoutes {
    /// Those of a link ascending: a handful mostly, for which a tree has too much room.
    by_link: BTreeMap<Ifindex, Vec<Route>>,
    /// What IPv4 routes prefer as their source, or preferred once: such an address takes them with it.
    sources: BTreeSet<IpAddr>,
}

impl ToldRoutes {
    /// Nothing was told.
    pub(super) const NONE: Self = Self { by_link: BTreeMap::new(), sources: BTreeSet::new() };

    /// Whether `route` is to be told: it is new, and there is room for it.
    pub(super) fn insert(&mut self, route: &Route) -> bool {
        let told = self.by_link.entry(route.ifindex).or_default();
        let room = route.destination.length == 0 || told.len() <= limits::ROUTES_PER_INTERFACE;
        match told.binary_search(route) {
            Err(place) if room => told.insert(place, route.clone()),
            Ok(_) | Err(_) => return false,
        }
        true
    }

    /// A route was told that prefers `source`.
    pub(super) fn note_source(&mut self, source: IpAddr) {
        if source.is_ipv4() {
            self.sources.insert(source);
        }
    }

    /// Whether a told route may prefer `source`.
    pub(super) fn may_prefer(&self, source: IpAddr) -> bool {
        self.sources.contains(&source)
    }

    /// Believes `current`, a dump of the IPv4 routes, about what they prefer.
    pub(super) fn set_sources(&mut self, current: &Self) {
        self.sources.clone_from(&current.sources);
    }

    /// Whether `route` had been told.
    pub(super) fn remove(&mut self, route: &Route) -> bool {
        let Some(told) = self.by_link.get_mut(&route.ifindex) else { return false };
        let Ok(place) = told.binary_search(route) else { return false };
        told.remove(place);
        if told.is_empty() {
            self.by_link.remove(&route.ifindex);
        }
        true
    }

    /// Forgets the routes of a link that is gone.
    pub(super) fn remove_link(&mut self, ifindex: Ifindex) {
        self.by_link.remove(&ifindex);
    }

    /// Takes out the routes of `family` on the link.
    pub(super) fn take_from_link(&mut self, ifindex: Ifindex, family: AddressFamily) -> Vec<Route> {
        let Some(told) = self.by_link.get_mut(&ifindex) else { return Vec::new() };
        let taken = told.extract_if(.., |route| is_of(route, family)).collect();
        if told.is_empty() {
            self.by_link.remove(&ifindex);
        }
        taken
    }

    /// Whether there are routes of `family` on the link.
    pub(super) fn on_link(&self, ifindex: Ifindex, family: AddressFamily) -> bool {
        self.by_link.get(&ifindex).is_some_and(|told| told.iter().any(|route| is_of(route, family)))
    }

    /// Whether a route to `destination` is known that is not one of `routes`.
    pub(super) fn others_to(&self, destination: Prefix, routes: &[Route]) -> bool {
        let told = self.by_link.values().flatten();
        told.filter(|route| route.destination == destination).any(|route| !routes.contains(route))
    }

    /// The told routes of `family` that are not in `current`.
    pub(super) fn missing_from(&self, current: &Self, family: AddressFamily) -> Vec<Route> {
        let told = self.by_link.values().flatten().filter(|route| is_of(route, family));
        told.filter(|route| !current.contains(route)).cloned().collect()
    }

    /// All routes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.by_link.values().flatten()
    }

    fn contains(&self, route: &Route) -> bool {
        self.by_link.get(&route.ifindex).is_some_and(|told| told.binary_search(route).is_ok())
    }
}

fn is_of(route: &Route, family: AddressFamily) -> bool {
    AddressFamily::of(route.destination.address) == family
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn route(ifindex: Ifindex, destination: Prefix) -> Route {
        Route { ifindex, destination, gateway: None, metric: 0, protocol: 4 }
    }

    fn host(number: u32) -> Prefix {
        Prefix { address: IpAddr::V4(Ipv4Addr::from(number)), length: 32 }
    }

    fn default() -> Prefix {
        Prefix::default_route(AddressFamily::Ipv4)
    }

    #[test]
    fn a_route_is_told_once() {
        let mut told = ToldRoutes::NONE;
        assert!(told.insert(&route(1, default())));
        assert!(!told.insert(&route(1, default())));
        assert!(told.remove(&route(1, default())));
        assert!(!told.remove(&route(1, default())));
        assert!(told.by_link.is_empty());
    }

    #[test]
    fn a_full_link_still_takes_default_routes() {
        let mut told = ToldRoutes::NONE;
        let taken = (0..1000).filter(|number| told.insert(&route(1, host(*number)))).count();
        assert_eq!(taken, limits::ROUTES_PER_INTERFACE + 1);
        assert!(told.insert(&route(1, default())));
        assert!(told.insert(&route(2, host(1))));
    }

    #[test]
    fn what_vanished_without_a_word_is_found() {
        let mut told = ToldRoutes::NONE;
        let ipv6 = route(1, Prefix { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 });
        for route in [route(1, default()), route(2, host(1)), ipv6.clone()] {
            told.insert(&route);
        }
        let mut current = ToldRoutes::NONE;
        current.insert(&route(2, host(1)));
        assert_eq!(told.missing_from(&current, AddressFamily::Ipv4), [route(1, default())]);
        assert_eq!(told.missing_from(&current, AddressFamily::Ipv6), [ipv6]);
    }

    #[test]
    fn a_replaced_route_is_noticed() {
        let mut told = ToldRoutes::NONE;
        told.insert(&route(1, default()));
        assert!(told.others_to(default(), &[route(2, default())]));
        assert!(!told.others_to(default(), &[route(1, default())]));
        assert!(!told.others_to(host(1), &[]));
        assert!(told.on_link(1, AddressFamily::Ipv4) && !told.on_link(1, AddressFamily::Ipv6));
    }

    #[test]
    fn a_family_of_a_link_is_taken_out() {
        let mut told = ToldRoutes::NONE;
        let ipv6 = route(1, Prefix { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 });
        for route in [route(1, default()), route(2, host(1)), ipv6.clone()] {
            told.insert(&route);
        }
        assert_eq!(told.take_from_link(1, AddressFamily::Ipv4), [route(1, default())]);
        assert_eq!(told.take_from_link(1, AddressFamily::Ipv4), []);
        assert_eq!(told.iter().cloned().collect::<Vec<_>>(), [ipv6, route(2, host(1))]);
    }
}
