//! What holds for the engine whatever happens, in a small world where everything soon meets everything else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod driver;
mod flood;
mod ground;
mod heard;
mod step;
mod world;

use common::at;
use common::host::SETTINGS;
use driver::{Driver, Shape};
use mif_core::configuration::Element;
use mif_core::engine::Engine;
use mif_core::event::{Address, Event};
use mif_core::facts::LinkFacts;
use mif_core::pvd::{Family, Origin, Pvd, PvdKey};
use mif_core::recording::{Line, Recorded};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use step::{Step, steps};
use world::World;

fn config() -> Config {
    let path = "tests/engine_properties/regressions.txt";
    Config { failure_persistence: Some(Box::new(FileFailurePersistence::Direct(path))), ..Config::default() }
}

/// Whether two have no prefix, no server and no more specific route of advertisements in common.
fn share_nothing(one: &Pvd, other: &Pvd) -> bool {
    let (Some(one), Some(other)) = (one.elements.get(&Element::Ra), other.elements.get(&Element::Ra)) else {
        return true;
    };
    one.prefixes.keys().all(|prefix| !other.prefixes.contains_key(prefix))
        && one.dns_servers.iter().all(|server| !other.dns_servers.contains(server))
        && one.routes.keys().all(|key| key.destination.length == 0 || !other.routes.contains_key(key))
}

proptest! {
    #![proptest_config(config())]

    /// Any sequence at all, events that no kernel would send included: every change is legal where it stands and
    /// all of them give the snapshot (the listener insists), and the engine always sleeps until something is due.
    #[test]
    fn the_changes_give_the_snapshot(steps in steps()) {
        let mut driver = Driver::started();
        for step in &steps {
            driver.take(step);
        }
        driver.settle();
    }

    #[test]
    fn the_same_events_give_the_same_outputs(steps in steps()) {
        let mut drivers = [Driver::new(), Driver::new()];
        for step in &steps {
            let told = drivers.each_mut().map(|driver| driver.take(step));
            prop_assert_eq!(&told[0], &told[1]);
        }
        let [first, second] = drivers.each_mut().map(Driver::settle);
        prop_assert_eq!(first.snapshot, second.snapshot);
        prop_assert_eq!(first.commands, second.commands);
        prop_assert_eq!(first.notices, second.notices);
    }

    #[test]
    fn what_is_recorded_reads_back(steps in steps()) {
        for step in steps {
            let Step::Event(event) = step else { continue };
            let line = Line { at: step::BEGINNING, what: Recorded::Event(Box::new(event)) };
            let text = serde_json::to_string(&line).unwrap();
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        }
    }

    #[test]
    fn nothing_new_gives_nothing(steps in steps()) {
        let mut driver = Driver::started();
        for step in &steps {
            driver.take(step);
        }
        driver.settle();
        let again = driver.settle();
        prop_assert_eq!(again.changes, []);
        prop_assert_eq!(again.commands, []);
    }

    /// A dump that says what is known changes nothing, in whatever order it says it.
    #[test]
    fn a_dump_of_what_is_known_is_no_news(steps in steps(), order in any::<u64>()) {
        let (mut world, mut driver) = (World::new(), Driver::started());
        world.live(&steps, &mut driver);
        driver.settle();
        world.resync(&[], &[], order, &mut driver);
        prop_assert_eq!(driver.settle().changes, []);
    }

    /// Order inside a dump does not matter, whatever was lost before it and comes while it runs.
    #[test]
    fn the_order_of_a_dump_does_not_matter(
        steps in steps(),
        lost in step::kernel_events(),
        meanwhile in steps(),
        orders in any::<[u64; 2]>(),
    ) {
        let told = orders.map(|order| {
            let (mut world, mut driver) = (World::new(), Driver::started());
            world.live(&steps, &mut driver);
            driver.settle();
            world.resync(&lost, &meanwhile, order, &mut driver);
            driver.settle().changes
        });
        prop_assert_eq!(&told[0], &told[1]);
    }

    /// An engine that lived through everything agrees with one that is told only what holds in the end.
    #[test]
    fn history_leaves_no_traces(
        before in steps(),
        lost in step::kernel_events(),
        meanwhile in steps(),
        after in steps(),
        order in any::<u64>(),
    ) {
        let (mut world, mut driver) = (World::new(), Driver::started());
        world.live(&before, &mut driver);
        world.resync(&lost, &meanwhile, order, &mut driver);
        world.live(&after, &mut driver);
        world.pass_to(driver.now());

        let mut fresh = Driver::beginning_at(driver.now());
        world.tell_everything(&mut fresh);
        // Addresses wait for an explanation for so long, and links without carrier are believed for less.
        let [lived, told] = [&mut driver, &mut fresh].map(|driver| {
            driver.take(&Step::Pass(5));
            Shape::of(&driver.settle().snapshot, driver.now())
        });
        prop_assert_eq!(lived, told);
    }

    /// Rule 3: what an explicit provisioning domain holds, no other of its link holds. Rule 2: one at most has IPv4
    /// from the lease, and the lease is in one place.
    #[test]
    fn explicit_ones_share_nothing(steps in steps()) {
        let mut driver = Driver::started();
        for step in &steps {
            driver.take(step);
        }
        let snapshot = driver.settle().snapshot;
        for interface in snapshot.interfaces() {
            let pvds: Vec<&Pvd> = snapshot.pvds_of(interface).map(|pvd| &**pvd).collect();
            for explicit in pvds.iter().filter(|pvd| pvd.key.origin() == Origin::Explicit) {
                prop_assert_eq!(explicit.family == Family::Dual, explicit.elements.contains_key(&Element::Dhcpv4));
                for other in pvds.iter().filter(|other| other.serial != explicit.serial) {
                    prop_assert!(share_nothing(explicit, other), "{:?} and {:?}", explicit, other);
                }
            }
            // A lease of DHCPv6 beside it is another matter.
            let by_lease = |pvd: &&&Pvd| {
                pvd.elements.get(&Element::Dhcpv4).is_some_and(|given| given.lease_expires.is_some())
            };
            prop_assert!(pvds.iter().filter(by_lease).count() <= 1);
        }
    }

    /// Nothing that has a lifetime outlives it, whether or not the kernel ever told of its link.
    #[test]
    fn nothing_outlives_its_lifetime(steps in step::mortal_steps()) {
        let mut driver = Driver::new();
        for step in &steps {
            driver.take(step);
        }
        driver.take(&Step::Event(Event::ResyncEnd));
        driver.take(&Step::Pass(step::LONGEST_LIFETIME));
        // The kernel does the same with addresses, and what they were made from need not be known any more.
        let made = |address: &&Address| !address.permanent || address.from_router_advertisement;
        let facts = driver.engine().facts();
        let links = facts.ifindexes().filter_map(|ifindex| facts.link(ifindex));
        let addresses = links.flat_map(LinkFacts::addresses).map(|fact| &fact.address);
        let ended: Vec<_> = addresses.filter(made).map(|address| address.key).collect();
        ended.into_iter().for_each(|key| driver.see(Event::AddressGone { key }));
        let batch = driver.settle();
        for ifindex in driver.engine().facts().ifindexes() {
            let facts = driver.engine().facts().link(ifindex).unwrap();
            prop_assert!(facts.routers().is_empty());
            prop_assert_eq!(facts.lease(), None);
            prop_assert!(facts.dhcpv6().is_none_or(|(_, given)| given.expires.is_none()));
        }
        for pvd in batch.snapshot.pvds() {
            prop_assert!(!matches!(pvd.key, PvdKey::ImplicitIpv6Router(_) | PvdKey::Explicit(_)));
            prop_assert_eq!(pvd.used.lease_expires, None);
        }
    }
}

#[test]
fn an_engine_that_saw_nothing_waits_for_ever() {
    let mut engine = Engine::new(SETTINGS);
    assert_eq!(engine.next_timeout(), None);
    engine.handle_event(at(1), Event::ResyncEnd);
    assert!(engine.commit(at(1)).snapshot.is_empty());
    assert_eq!(engine.next_timeout(), None);
}
