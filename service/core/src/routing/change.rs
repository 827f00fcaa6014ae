//! From what a table holds to what it should hold.

use super::TableRoute;
use crate::configuration::{AddressFamily, Prefix};
use std::collections::BTreeMap;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteChange {
    /// Puts an IPv6 route in the place of the one with its destination and metric, if there is one.
    Put(TableRoute),
    /// Adds an IPv4 route behind those of its destination and metric.
    Append(TableRoute),
    /// Takes one away.
    Remove(TableRoute),
}

/// The steps from `installed` to `wanted`, both of `family`. What is there in both stays untouched, so that packets
/// of connections that live never find a gap; nothing goes before what takes its place is there, as far as the
/// kernel's order allows.
pub fn changes(family: AddressFamily, installed: &[TableRoute], wanted: &[TableRoute]) -> Vec<RouteChange> {
    match family {
        AddressFamily::Ipv6 => by_key(installed, wanted),
        AddressFamily::Ipv4 => in_order(installed, wanted),
    }
}

/// IPv6: one route for each destination and metric.
fn by_key(installed: &[TableRoute], wanted: &[TableRoute]) -> Vec<RouteChange> {
    let key = |route: &TableRoute| (route.destination, route.metric);
    let missing = wanted.iter().filter(|route| !installed.contains(route)).copied().map(RouteChange::Put);
    let replaced = |route: &&TableRoute| wanted.iter().any(|other| key(other) == key(route));
    let left = installed.iter().filter(|route| !wanted.contains(route) && !replaced(route));
    missing.chain(left.copied().map(RouteChange::Remove)).collect()
}

/// IPv4: the order of routes with one destination and metric is that of being added.
fn in_order(installed: &[TableRoute], wanted: &[TableRoute]) -> Vec<RouteChange> {
    let mut groups: BTreeMap<(Prefix, u32), Vec<TableRoute>> = BTreeMap::new();
    for route in installed {
        groups.entry((route.destination, route.metric)).or_default().push(*route);
    }
    let mut steps = Vec::new();
    let mut done: Vec<(Prefix, u32)> = Vec::new();
    let mut removals = Vec::new();
    for route in wanted {
        let key = (route.destination, route.metric);
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        let new: Vec<TableRoute> =
            wanted.iter().filter(|other| (other.destination, other.metric) == key).copied().collect();
        let old = groups.remove(&key).unwrap_or_default();
        reorder(&old, &new, &mut steps, &mut removals);
    }
    removals.extend(groups.into_values().flatten());
    steps.extend(removals.into_iter().map(RouteChange::Remove));
    steps
}

/// Those that stay keep their places as long as they are in order; from the first that is not, all are added anew.
fn reorder(
    old: &[TableRoute],
    new: &[TableRoute],
    steps: &mut Vec<RouteChange>,
    removals: &mut Vec<TableRoute>,
) {
    let stay: Vec<&TableRoute> = old.iter().filter(|route| new.contains(route)).collect();
    let in_place = stay.iter().zip(new).take_while(|(stays, wanted)| **stays == *wanted).count();
    for route in new.iter().skip(in_place) {
        if stay.contains(&route) {
            steps.push(RouteChange::Remove(*route));
        }
        steps.push(RouteChange::Append(*route));
    }
    removals.extend(old.iter().filter(|route| !new.contains(route)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn route(family: AddressFamily, third: u8, gateway: u8, source: u8, metric: u32) -> TableRoute {
        let address = |last: u8| match family {
            AddressFamily::Ipv4 => format!("192.0.2.{last}").parse().unwrap(),
            AddressFamily::Ipv6 => format!("2001:db8::{last:x}").parse().unwrap(),
        };
        let destination = match family {
            AddressFamily::Ipv4 => Prefix::covering(format!("10.0.{third}.0").parse().unwrap(), 24),
            AddressFamily::Ipv6 => Prefix::covering(format!("2001:db8:{third:x}::").parse().unwrap(), 48),
        };
        let gateway = (gateway > 0).then(|| address(gateway));
        let source = (source > 0).then(|| address(100 + source));
        TableRoute { destination, ifindex: 2, gateway, source, metric }
    }

    /// The kernel, as far as tables go.
    fn apply(table: &mut Vec<TableRoute>, step: RouteChange) {
        let key = |route: &TableRoute| (route.destination, route.metric);
        match step {
            RouteChange::Put(new) => {
                table.retain(|route| key(route) != key(&new));
                table.push(new);
            }
            RouteChange::Append(new) => {
                assert!(!table.contains(&new), "EEXIST: {new:?}");
                table.push(new);
            }
            RouteChange::Remove(old) => {
                let place = table.iter().position(|route| *route == old);
                table.remove(place.expect("ESRCH"));
            }
        }
    }

    fn grouped(table: &[TableRoute]) -> Vec<TableRoute> {
        let mut table = table.to_vec();
        table.sort_by_key(|route| (route.destination, route.metric));
        table
    }

    prop_compose! {
        fn ipv4()(parts in prop::collection::vec((0_u8..3, 0_u8..4, 0_u8..3, 1_u32..3), 0..8)) -> Vec<TableRoute> {
            let mut routes: Vec<TableRoute> = Vec::new();
            for (third, gateway, source, metric) in parts {
                let new = route(AddressFamily::Ipv4, third, gateway, source, metric);
                if !routes.contains(&new) {
                    routes.push(new);
                }
            }
            routes
        }
    }

    prop_compose! {
        fn ipv6()(parts in prop::collection::btree_map((0_u8..3, 1_u32..3), (0_u8..4, 0_u8..3), 0..8))
            -> Vec<TableRoute> {
            let make = |((third, metric), (gateway, source))| {
                route(AddressFamily::Ipv6, third, gateway, source, metric)
            };
            parts.into_iter().map(make).collect()
        }
    }

    proptest! {
        #[test]
        fn the_steps_lead_to_what_is_wanted(old in ipv4(), new in ipv4(), old6 in ipv6(), new6 in ipv6()) {
            for (family, old, new) in [(AddressFamily::Ipv4, old, new), (AddressFamily::Ipv6, old6, new6)] {
                let steps = changes(family, &old, &new);
                let mut table = old.clone();
                for step in &steps {
                    apply(&mut table, *step);
                }
                prop_assert_eq!(grouped(&table), grouped(&new));
                prop_assert_eq!(changes(family, &new, &new), []);
            }
        }

        /// Of an IPv6 table, what stays is never touched, and no destination is without a route in between.
        #[test]
        fn there_is_no_gap(old in ipv6(), new in ipv6()) {
            let mut table = old.clone();
            for step in changes(AddressFamily::Ipv6, &old, &new) {
                apply(&mut table, step);
                for route in old.iter().filter(|route| new.contains(route)) {
                    prop_assert!(table.contains(route));
                }
                for route in &new {
                    let leads = |routes: &[TableRoute]| routes.iter().any(|r| r.destination == route.destination);
                    prop_assert!(leads(&table) || !leads(&old));
                }
            }
        }
    }

    #[test]
    fn an_ipv4_router_that_gets_another_source_is_added_before_the_old_one_goes() {
        let (old, new) = (route(AddressFamily::Ipv4, 0, 1, 1, 1), route(AddressFamily::Ipv4, 0, 1, 2, 1));
        let steps = changes(AddressFamily::Ipv4, &[old], &[new]);
        assert_eq!(steps, [RouteChange::Append(new), RouteChange::Remove(old)]);
    }

    #[test]
    fn a_second_router_is_added_behind() {
        let (one, two) = (route(AddressFamily::Ipv4, 0, 1, 1, 1), route(AddressFamily::Ipv4, 0, 2, 1, 1));
        assert_eq!(changes(AddressFamily::Ipv4, &[one], &[one, two]), [RouteChange::Append(two)]);
        assert_eq!(
            changes(AddressFamily::Ipv4, &[one, two], &[two, one]),
            [
                RouteChange::Remove(two),
                RouteChange::Append(two),
                RouteChange::Remove(one),
                RouteChange::Append(one)
            ]
        );
    }
}
