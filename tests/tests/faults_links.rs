//! Links in quick succession: born and gone by the hundred, without carrier for a moment, each with the name of another.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use mif::{Message, State, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::node::Node;
use mif_tests::served_host::{ServedHost, next};
use mif_tests::tally;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use serde_json::Value;

const BY_HAND: &str = "implicit:eth1:ipv4";

async fn served(universe: &Universe) -> (ServedHost, Cable) {
    let far = universe.node("far").end("lan");
    let cable = Cable::between(universe.host().end("eth1"), far).await;
    cable.near().add_address("192.0.2.2/24");
    // However busy the machine is, no carrier is away for that long.
    let settings = "[interfaces]\ngrace-ms = 20000\n";
    (ServedHost::start_with(universe, |mifd| mifd.config(settings)).await, cable)
}

/// Runs many lines of `ip` in one process.
fn at_once(node: &Node, lines: &str) {
    std::fs::write("/tmp/batch", lines).unwrap();
    tally::faults(lines.lines().count());
    node.ip("-batch /tmp/batch");
}

/// The links by index, as `ip` shows them.
fn links(node: &Node) -> BTreeMap<u64, String> {
    let shown: Value = serde_json::from_str(&node.ip("-json link show")).unwrap();
    let name =
        |link: &Value| (link["ifindex"].as_u64().unwrap(), link["ifname"].as_str().unwrap().to_owned());
    shown.as_array().unwrap().iter().map(name).collect()
}

/// The same, as the service shows them.
fn told(state: &State) -> BTreeMap<u64, String> {
    state.interfaces.iter().map(|link| (u64::from(link.ifindex), link.name.clone())).collect()
}

async fn agrees(host: &ServedHost, node: &Node) -> State {
    eventually("the links that ip shows", async || {
        let (links, state) = (links(node), host.state().await);
        if told(&state) == links {
            Ok(state)
        } else {
            Err(format!("ip: {links:?}, told: {:?}", told(&state)))
        }
    })
    .await
}

#[test]
fn two_hundred_links_are_born_and_gone() {
    universe::run(async |universe| {
        let (host, _cable) = served(&universe).await;
        let node = universe.host();
        let before = host.state().await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "counts").await.unwrap();
        assert_eq!(subscriber.announce_interfaces().await.unwrap(), 2);
        for _ in 0..2 {
            next(&mut messages).await;
        }
        for round in 0..2 {
            let mut births = String::new();
            for number in 0..200 {
                writeln!(births, "link add short{number} group 7 type bridge").unwrap();
            }
            at_once(node, &births);
            // The second time it hears of the births and of the end at once.
            if round == 0 {
                assert_eq!(agrees(&host, node).await.interfaces.len(), 202);
            }
            node.ip("link delete group 7");
            let after = agrees(&host, node).await;
            assert_eq!(after.interfaces.len(), 2);
            let paths =
                |state: &State| state.interfaces.iter().map(|link| link.path.clone()).collect::<Vec<_>>();
            assert_eq!(paths(&before), paths(&after));
        }
        // Each birth that was told of has its end, in order, and the next is the next link.
        node.ip("link add last type bridge");
        let mut there = HashMap::new();
        loop {
            match next(&mut messages).await {
                Message::InterfaceAnnouncement { interface, display_name, .. } => {
                    assert_eq!(there.insert(interface, display_name.clone()), None);
                    if display_name == "last" {
                        break;
                    }
                }
                Message::NoInterfaceAnnouncement { interface } => {
                    assert!(there.remove(&interface).is_some(), "{interface} was never announced");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(there.len(), 1, "{there:?}");
    });
}

#[test]
fn a_carrier_that_flaps_two_hundred_times_ends_nothing() {
    universe::run(async |universe| {
        let (host, cable) = served(&universe).await;
        let before = host.pvd(BY_HAND).await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "watches").await.unwrap();
        assert_eq!(subscriber.announce_provisioning_domains(&before.interface).await.unwrap(), 1);
        next(&mut messages).await;
        assert_eq!(subscriber.announce_addresses(&before.path).await.unwrap(), 1);
        next(&mut messages).await;
        at_once(cable.far().node(), &"link set lan down\nlink set lan up\n".repeat(200));
        let state_of = |state: &State| {
            let link = state.interfaces.iter().find(|link| link.name == "eth1")?;
            (link.state.to_string() == "up").then(|| link.path.clone())
        };
        let path = host.until("the link to be up again", state_of).await;
        assert_eq!(path, before.interface);
        // What is told next is what comes next: neither an end nor a beginning was in between.
        cable.near().add_address("192.0.2.3/24");
        let message = next(&mut messages).await;
        let Message::AddressAnnouncement { pvd, address, .. } = &message else { panic!("{message:?}") };
        assert_eq!((pvd, address.to_string()), (&before.path, "192.0.2.3".to_owned()));
        assert_eq!(host.pvd(BY_HAND).await.path, before.path);
    });
}

#[test]
fn links_that_swap_their_names_stay_who_they_are() {
    universe::run(async |universe| {
        let (host, _cable) = served(&universe).await;
        let node = universe.host();
        for (name, address) in [("left", "198.51.100.1/24"), ("right", "203.0.113.1/24")] {
            node.ip(&format!("link add {name} type bridge"));
            node.ip(&format!("address add {address} dev {name}"));
        }
        let before = agrees(&host, node).await;
        let swap = "link set left name swap\nlink set right name left\nlink set swap name right\n";
        let mut rounds = 101;
        while rounds > 0 {
            // An odd number, some of them too fast to be seen.
            let some = rounds.min(7);
            at_once(node, &swap.repeat(some));
            rounds -= some;
            agrees(&host, node).await;
        }
        let after = agrees(&host, node).await;
        let name_of = |state: &State, ifindex: u32| {
            let link = state.interfaces.iter().find(|link| link.ifindex == ifindex).unwrap();
            (link.path.clone(), link.name.clone())
        };
        for link in before.interfaces.iter().filter(|link| ["left", "right"].contains(&&*link.name)) {
            let other = if link.name == "left" { "right" } else { "left" };
            assert_eq!(name_of(&after, link.ifindex), (link.path.clone(), other.to_owned()));
        }
    });
}
