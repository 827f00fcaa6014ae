//! What the table of a provisioning domain holds: the routes that its own network told, and no other.

use crate::address_selection::{is_link_local, rank_sources};
use crate::configuration::{AddressFamily, Preference, Prefix, RouteKey};
use crate::event::Ifindex;
use crate::limits;
use crate::pvd::{Pvd, PvdAddress};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// The metric of networks that are on the link.
const ON_LINK: u32 = 50;
/// The metric of the first route of high preference; routes of one destination must differ (IPv6).
const HIGH: u32 = 100;
/// The same for medium, and so on: room for more routers than a provisioning domain has.
const STEP: u32 = 100;
/// The metric of IPv4 routes by routers that do not answer, behind all others.
const SILENT: u32 = HIGH + 3 * STEP;
/// Where default routes lead, for choosing their source: any address of global scope does.
const ANYWHERE: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);

/// A route of such a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableRoute {
    /// Where it leads to.
    pub destination: Prefix,
    /// The interface that it leaves by.
    pub ifindex: Ifindex,
    /// The router; `None` means on-link.
    pub gateway: Option<IpAddr>,
    /// The source that a socket without one gets; `None` leaves it to the kernel.
    pub source: Option<IpAddr>,
    /// Of routes that lead to one destination the smallest counts.
    pub metric: u32,
}

/// The routes of a provisioning domain, in the order to install them: what is on the link first, because routers
/// must be there before routes that lead through them; then the best of each destination first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    routes: Vec<TableRoute>,
    cut: bool,
}

impl TableRoute {
    /// The family that it is of.
    pub const fn family(&self) -> AddressFamily {
        AddressFamily::of(self.destination.address)
    }
}

impl Table {
    /// What `pvd` says at this moment.
    pub fn of(pvd: &Pvd) -> Self {
        Self::of_answering(pvd, &[])
    }

    /// The same where the IPv4 routers in `silent` do not answer: they come behind those that do.
    pub fn of_answering(pvd: &Pvd, silent: &[IpAddr]) -> Self {
        let mut routes = Vec::new();
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            if pvd.family.includes(family) {
                on_link(pvd, family, &mut routes);
            }
        }
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            if pvd.family.includes(family) {
                through_routers(pvd, family, silent, &mut routes);
            }
        }
        let cut = routes.len() > limits::ROUTES_PER_TABLE;
        routes.truncate(limits::ROUTES_PER_TABLE);
        Self { routes, cut }
    }

    /// All routes.
    pub fn routes(&self) -> &[TableRoute] {
        &self.routes
    }

    /// Those of one family.
    pub fn of_family(&self, family: AddressFamily) -> Vec<TableRoute> {
        self.routes.iter().filter(|route| route.family() == family).copied().collect()
    }

    /// The route that a packet to `destination` takes, as the kernel finds it as long as every router answers:
    /// `None` when this provisioning domain does not lead there.
    pub fn route_to(&self, destination: IpAddr) -> Option<&TableRoute> {
        let candidates = self.routes.iter().filter(|route| route.destination.covers(destination));
        // Of several that are as good, the one that was installed first: `min_by_key` takes the first.
        candidates.min_by_key(|route| (u8::MAX - route.destination.length, route.metric))
    }

    /// Whether there were more routes than a table may have.
    pub const fn cut(&self) -> bool {
        self.cut
    }
}

fn on_link(pvd: &Pvd, family: AddressFamily, routes: &mut Vec<TableRoute>) {
    let told = pvd.used.prefixes.iter().filter(|(_, data)| data.on_link).map(|(prefix, _)| *prefix);
    let told =
        told.chain(pvd.used.routes.keys().filter(|key| key.gateway.is_none()).map(|key| key.destination));
    let mut destinations: BTreeSet<Prefix> =
        told.filter(|prefix| is_of(prefix, family) && !is_special(prefix)).collect();
    let link_local = Prefix { address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), length: 64 };
    if family == AddressFamily::Ipv6 {
        // Routers outside of what is on the link must be reached all the same.
        let routers = pvd.used.routes.keys().filter_map(|key| key.gateway);
        let outside = |router: &IpAddr| {
            router.is_ipv6()
                && !link_local.covers(*router)
                && !destinations.iter().any(|prefix| prefix.covers(*router))
        };
        let hosts: Vec<Prefix> =
            routers.filter(outside).map(|router| Prefix::covering(router, 128)).collect();
        destinations.extend(hosts);
        // Servers and routers that are known by link-local addresses. Its source is the link's own.
        let (gateway, source) = (None, None);
        routes.push(TableRoute {
            destination: link_local,
            ifindex: pvd.ifindex,
            gateway,
            source,
            metric: ON_LINK,
        });
    }
    routes.extend(destinations.into_iter().map(|destination| TableRoute {
        destination,
        ifindex: pvd.ifindex,
        gateway: None,
        source: source_for(pvd, destination),
        metric: ON_LINK,
    }));
}

fn through_routers(pvd: &Pvd, family: AddressFamily, silent: &[IpAddr], routes: &mut Vec<TableRoute>) {
    let mut by_destination: BTreeMap<Prefix, Vec<(Preference, IpAddr)>> = BTreeMap::new();
    for (RouteKey { destination, gateway }, data) in &pvd.used.routes {
        if let Some(gateway) = gateway.filter(|_| is_of(destination, family) && !is_special(destination)) {
            by_destination.entry(*destination).or_default().push((data.preference, gateway));
        }
    }
    for (destination, mut routers) in by_destination {
        // When none answers, none is worse than the others.
        let any_answers = routers.iter().any(|(_, router)| !silent.contains(router));
        let is_silent = |router: IpAddr| any_answers && router.is_ipv4() && silent.contains(&router);
        // Of routers that are equally preferred those count first that the network named first (RFC 2132 3.5).
        let place = |router: IpAddr| pvd.used.routers.iter().position(|known| *known == router);
        routers.sort_by_key(|(preference, router)| {
            let order = (std::cmp::Reverse(*preference), place(*router).unwrap_or(usize::MAX));
            (is_silent(*router), order, *router)
        });
        routers.truncate(limits::ROUTERS_PER_PVD);
        let source = source_for(pvd, destination);
        routes.extend((0..).zip(routers).map(|(place, (preference, router))| TableRoute {
            destination,
            ifindex: pvd.ifindex,
            gateway: Some(router),
            source,
            metric: if is_silent(router) { SILENT } else { metric(family, preference, place) },
        }));
    }
}

/// Of IPv6 routes that differ in their metric the kernel takes the first whose router answers; those of one metric it
/// would use in turn. Of IPv4 routes it takes the first whatever becomes of its router, at least for sockets that are
/// bound to an interface: see [`super::SilentRouters`].
const fn metric(family: AddressFamily, preference: Preference, place: u32) -> u32 {
    let class = match preference {
        Preference::High => HIGH,
        Preference::Medium => HIGH + STEP,
        Preference::Low => HIGH + 2 * STEP,
    };
    match family {
        AddressFamily::Ipv4 => class,
        AddressFamily::Ipv6 => class + place,
    }
}

fn is_of(prefix: &Prefix, family: AddressFamily) -> bool {
    AddressFamily::of(prefix.address) == family
}

/// Destinations that are nobody's to tell: the host's own, groups, and the links' own.
fn is_special(prefix: &Prefix) -> bool {
    let link_local = matches!(prefix.address, IpAddr::V6(v6) if is_link_local(v6));
    link_local || prefix.address.is_loopback() || prefix.address.is_multicast()
}

/// The source that suits `destination` best (RFC 6724 5), of the addresses of `pvd` only.
fn source_for(pvd: &Pvd, destination: Prefix) -> Option<IpAddr> {
    let representative = match destination.address {
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(ANYWHERE),
        address => address,
    };
    let candidates = pvd.addresses.iter().filter_map(PvdAddress::candidate);
    rank_sources(representative, candidates).first().map(|ranked| ranked.candidate.address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::super::tests_support::{pvd, router, routes};
    use super::*;
    use crate::pvd::Family;

    fn shown(table: &Table) -> Vec<String> {
        let show = |route: &TableRoute| {
            let gateway = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
            let source = route.source.map(|source| format!(" src {source}")).unwrap_or_default();
            format!("{}{gateway}{source} metric {}", route.destination, route.metric)
        };
        table.routes().iter().map(show).collect()
    }

    #[test]
    fn a_router_its_prefix_and_the_links_own_network() {
        let pvd =
            pvd(Family::Ipv6, &["2001:db8:1::7/64"], &["2001:db8:1::/64"], &[router("::/0", "fe80::1")]);
        let table = Table::of(&pvd);
        assert_eq!(
            shown(&table),
            [
                "fe80::/64 metric 50",
                "2001:db8:1::/64 src 2001:db8:1::7 metric 50",
                "::/0 via fe80::1 src 2001:db8:1::7 metric 200",
            ]
        );
        assert!(table.routes().iter().all(|route| route.ifindex == pvd.ifindex));
        let to = |text: &str| table.route_to(text.parse().unwrap()).map(|route| route.destination.length);
        assert_eq!(to("2001:db8:1::9"), Some(64));
        assert_eq!(to("2001:db8:2::9"), Some(0));
        assert_eq!(to("192.0.2.1"), None);
    }

    #[test]
    fn a_preferred_router_comes_first_and_each_metric_once() {
        let all = routes(&[
            ("::/0", "fe80::3", Preference::Medium),
            ("::/0", "fe80::1", Preference::Low),
            ("::/0", "fe80::2", Preference::High),
            ("::/0", "fe80::4", Preference::Medium),
            ("2001:db8:9::/48", "fe80::1", Preference::Low),
        ]);
        let mut pvd = pvd(Family::Ipv6, &["2001:db8:1::7/64"], &[], &all);
        pvd.used.routers = vec!["fe80::4".parse().unwrap(), "fe80::3".parse().unwrap()];
        let table = Table::of(&pvd);
        let defaults =
            shown(&table).into_iter().filter(|route| route.starts_with("::/0")).collect::<Vec<_>>();
        assert_eq!(
            defaults,
            [
                "::/0 via fe80::2 src 2001:db8:1::7 metric 100",
                "::/0 via fe80::4 src 2001:db8:1::7 metric 201",
                "::/0 via fe80::3 src 2001:db8:1::7 metric 202",
                "::/0 via fe80::1 src 2001:db8:1::7 metric 303",
            ]
        );
        let gateway =
            |text: &str| table.route_to(text.parse().unwrap()).unwrap().gateway.unwrap().to_string();
        assert_eq!(
            gateway("2001:db8:9::1"),
            "fe80::1",
            "the more specific route wins, whatever its preference"
        );
        assert_eq!(gateway("2001:db8:8::1"), "fe80::2");
    }

    #[test]
    fn routers_of_a_lease_are_one_behind_the_other() {
        let all = [router("0.0.0.0/0", "192.0.2.1"), router("0.0.0.0/0", "192.0.2.2")];
        let mut pvd = pvd(Family::Ipv4, &["192.0.2.7/24"], &["192.0.2.0/24"], &all);
        pvd.used.routers = vec!["192.0.2.2".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        assert_eq!(
            shown(&Table::of(&pvd)),
            [
                "192.0.2.0/24 src 192.0.2.7 metric 50",
                "0.0.0.0/0 via 192.0.2.2 src 192.0.2.7 metric 200",
                "0.0.0.0/0 via 192.0.2.1 src 192.0.2.7 metric 200",
            ]
        );
    }

    #[test]
    fn a_silent_router_of_ipv4_is_the_last_unless_all_are() {
        let all = routes(&[
            ("0.0.0.0/0", "192.0.2.1", Preference::High),
            ("0.0.0.0/0", "192.0.2.2", Preference::Low),
            ("10.0.0.0/8", "192.0.2.1", Preference::Medium),
            ("::/0", "fe80::1", Preference::High),
            ("::/0", "fe80::2", Preference::Low),
        ]);
        let both = ["192.0.2.7/24", "2001:db8:1::7/64"];
        let pvd = pvd(Family::Dual, &both, &["192.0.2.0/24"], &all);
        let routers = |silent: &[&str]| {
            let silent: Vec<IpAddr> = silent.iter().map(|text| text.parse().unwrap()).collect();
            let table = Table::of_answering(&pvd, &silent);
            ["203.0.113.1", "10.1.1.1", "2001:db8:9::1"]
                .map(|to| table.route_to(to.parse().unwrap()).unwrap().gateway.unwrap().to_string())
        };
        assert_eq!(routers(&[]), ["192.0.2.1", "192.0.2.1", "fe80::1"]);
        assert_eq!(routers(&["192.0.2.1", "fe80::1"]), ["192.0.2.2", "192.0.2.1", "fe80::1"]);
        assert_eq!(routers(&["192.0.2.1", "192.0.2.2"]), ["192.0.2.1", "192.0.2.1", "fe80::1"]);
    }

    #[test]
    fn a_router_outside_of_every_prefix_is_reached_first() {
        let pvd = pvd(Family::Ipv6, &["2001:db8:1::7/128"], &[], &[router("::/0", "2001:db8:2::1")]);
        let table = Table::of(&pvd);
        assert_eq!(table.routes()[1].destination, Prefix::covering("2001:db8:2::1".parse().unwrap(), 128));
        assert_eq!(table.routes()[2].gateway, Some("2001:db8:2::1".parse().unwrap()));
    }

    #[test]
    fn a_tunnel_leads_everywhere_by_itself() {
        let mut pvd = pvd(Family::Ipv4, &["10.8.0.2/32"], &[], &[]);
        let key = RouteKey { destination: Prefix::default_route(AddressFamily::Ipv4), gateway: None };
        pvd.used = (*pvd.used).clone().with_routes(&[key]).into();
        assert_eq!(shown(&Table::of(&pvd)), ["0.0.0.0/0 src 10.8.0.2 metric 50"]);
    }

    #[test]
    fn nobody_leads_us_to_our_own_links() {
        let all =
            [router("fe80::/64", "fe80::66"), router("ff00::/8", "fe80::66"), router("::1/128", "fe80::66")];
        let pvd = pvd(Family::Ipv6, &["2001:db8:1::7/64"], &["fe80::/10"], &all);
        assert_eq!(shown(&Table::of(&pvd)), ["fe80::/64 metric 50"]);
    }

    #[test]
    fn a_family_that_it_does_not_provide_has_no_routes() {
        let all = [router("0.0.0.0/0", "192.0.2.1"), router("::/0", "fe80::1")];
        let prefixes = ["192.0.2.0/24", "2001:db8:1::/64"];
        let both = ["192.0.2.7/24", "2001:db8:1::7/64"];
        let count = |family: Family| Table::of(&pvd(family, &both, &prefixes, &all)).routes().len();
        assert_eq!([count(Family::Ipv4), count(Family::Ipv6), count(Family::Dual)], [2, 3, 5]);
    }

    #[test]
    fn a_table_has_an_end() {
        let many: Vec<_> =
            (0..600).map(|number| router(&format!("2001:db8:{number:x}::/48"), "fe80::1")).collect();
        let table = Table::of(&pvd(Family::Ipv6, &["2001:db8:1::7/64"], &[], &many));
        assert_eq!(table.routes().len(), limits::ROUTES_PER_TABLE);
        assert!(table.cut());
    }
}
