//! ConnectToName: over two links, of which one leads to a neighbour that listens and the other to nowhere.

use crate::connections::{PORT, greet, syn_sent, talk};
use crate::rig::{HIGH_LEVEL, PEER, PROPERTIES, ROOT, Rig};
use crate::rig::{address, address_gone, call, options, with_service};
use crate::support::{ifindex, ip, neighbour, open_descriptors, universe, wait_for};
use mif_core::event::{Event, Link, LinkKind, LinkState};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use zbus::{OwnedVariant, Variant};

const INVALID: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";

/// The PvD where somebody listens, by its interface.
const ALIVE: &str = "interface:eth0";
/// The one that swallows everything.
const DEAD: &str = "interface:eth1";
/// An address that nobody has, on neither link.
const NOBODY: &str = "192.0.2.77";

/// Options as a call has them.
type Given<'a> = BTreeMap<&'a str, Variant<'a>>;

/// A neighbour that greets on eth0, nothing on eth1; a provisioning domain on each.
fn with_two_links<F: Future<Output = ()>>(test: impl FnOnce(Rig) -> F) {
    neighbour("eth0", &["192.0.2.1/24"], &["192.0.2.2/24"], || {
        let listener = TcpListener::bind(("192.0.2.2", PORT)).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || drop(greet(&stream)));
            }
        });
    });
    ip("link add eth1 type veth peer name sink");
    ip("address add 192.0.2.9/24 dev eth1");
    for link in ["eth1", "sink"] {
        ip(&format!("link set {link} up"));
    }
    for (link, host) in [("eth1", "192.0.2.2"), ("eth1", NOBODY), ("eth0", NOBODY)] {
        ip(&format!("neighbour add {host} lladdr 02:00:00:00:00:77 dev {link} nud permanent"));
    }
    let link = |name: &str| {
        Event::Link(Link {
            ifindex: ifindex(name),
            name: name.to_owned(),
            alias: None,
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            master: None,
        })
    };
    let events = vec![link("eth0"), address(ifindex("eth0"), 1), link("eth1"), address(ifindex("eth1"), 9)];
    with_service(events, test);
}

fn selecting<'a>(option: &'a str, selector: &str) -> Given<'a> {
    options(&[(option, vec![selector.to_owned()])])
}

async fn connect(
    rig: &mut Rig,
    name: &str,
    options: Given<'_>,
) -> Result<(TcpStream, BTreeMap<String, OwnedVariant>), (String, String)> {
    let reply = rig.call(ROOT, HIGH_LEVEL, "ConnectToName", &(name, PORT, options)).await?;
    let (socket, details): (zbus::OwnedFd, _) = reply.body().deserialize().unwrap();
    Ok((TcpStream::from(OwnedFd::from(socket)), details))
}

fn text(details: &BTreeMap<String, OwnedVariant>, key: &str) -> String {
    let Variant::Str(text) = &*details[key] else { panic!("{details:?}") };
    text.as_str().to_owned()
}

#[test]
fn a_dead_network_is_left_for_one_that_answers() {
    universe("high_level::a_dead_network_is_left_for_one_that_answers", || {
        with_two_links(|mut rig| async move {
            let alive = rig.pvd("implicit:eth0:ipv4").await;
            let before = open_descriptors();
            let (mut socket, details) =
                connect(&mut rig, "192.0.2.2", selecting("prefer", DEAD)).await.unwrap();
            let keys: Vec<&str> = details.keys().map(String::as_str).collect();
            let expected = [
                "address",
                "handshake-us",
                "local-address",
                "local-port",
                "pvd",
                "pvd-id",
                "remote-address",
                "story",
            ];
            assert_eq!(keys, expected);
            for key in ["address", "remote-address"] {
                assert_eq!(text(&details, key), "192.0.2.2");
            }
            assert_eq!(text(&details, "local-address"), "192.0.2.1");
            assert_eq!(text(&details, "pvd-id"), "implicit:eth0:ipv4");
            assert_eq!(*details["pvd"], Variant::from(crate::rig::path(&alive)));
            let story = Vec::<String>::try_from(details["story"].clone()).unwrap();
            let place = |what: &str| {
                story
                    .iter()
                    .position(|line| line.ends_with(what))
                    .unwrap_or_else(|| panic!("{what}: {story:#?}"))
            };
            assert!(
                place("trying 192.0.2.2 in implicit:eth1:ipv4")
                    < place("trying 192.0.2.2 in implicit:eth0:ipv4")
            );
            assert!(
                place("connected to 192.0.2.2 in implicit:eth0:ipv4")
                    < place("gave up 192.0.2.2 in implicit:eth1:ipv4")
            );
            assert_eq!(talk(&mut socket, "echo"), ("hello 192.0.2.1".to_owned(), "echo".to_owned()));
            // The attempt that lost has left nothing, and the socket is the caller's alone.
            assert_eq!(syn_sent(), Vec::<String>::new());
            drop(socket);
            wait_for("every socket to be closed", || open_descriptors() <= before);
        });
    });
}

#[test]
fn a_network_that_goes_ends_its_part_and_no_other() {
    universe("high_level::a_network_that_goes_ends_its_part_and_no_other", || {
        with_two_links(|mut rig| async move {
            let before = open_descriptors();
            let all = rig.post(ROOT, HIGH_LEVEL, "ConnectToName", &(NOBODY, PORT, options::<u32>(&[]))).await;
            let one = (NOBODY, PORT, selecting("require", DEAD));
            let one = rig.post(ROOT, HIGH_LEVEL, "ConnectToName", &one).await;
            wait_for("three attempts", || {
                let mut sources = syn_sent();
                sources.sort();
                sources == ["192.0.2.1", "192.0.2.9", "192.0.2.9"]
            });
            rig.happen([address_gone(ifindex("eth1"), 9)]).await;
            assert_eq!(rig.reply_to(one).await.unwrap_err().0, "org.ietf.Mif1.Error.PvdGone");
            wait_for("the end of two attempts", || syn_sent() == ["192.0.2.1"]);
            // The other race is still on, until its last network goes too.
            rig.call(ROOT, PEER, "Ping", &()).await.unwrap();
            assert_eq!(syn_sent(), ["192.0.2.1"]);
            rig.happen([address_gone(ifindex("eth0"), 1)]).await;
            let (name, message) = rig.reply_to(all).await.unwrap_err();
            assert_eq!(name, "org.ietf.Mif1.Error.PvdGone", "{message}");
            wait_for("every socket to be closed", || open_descriptors() <= before);
        });
    });
}

#[test]
fn races_count_as_connections() {
    universe("high_level::races_count_as_connections", || {
        with_two_links(|mut rig| async move {
            // Without a reply the socket could go nowhere: nothing is attempted.
            for _ in 0..40 {
                rig.tell(ROOT, "ConnectToName", &(NOBODY, PORT, options::<u32>(&[]))).await;
            }
            rig.call(ROOT, PEER, "Ping", &()).await.unwrap();
            assert_eq!(syn_sent(), Vec::<String>::new());
            let mut races = Vec::new();
            for _ in 0..32 {
                let body = (NOBODY, PORT, options(&[("timeout", 400_u32)]));
                races.push(rig.post(ROOT, "", "ConnectToName", &body).await);
            }
            let (name, message) = connect(&mut rig, NOBODY, Given::new()).await.unwrap_err();
            assert_eq!(name, LIMITS_EXCEEDED);
            assert!(message.contains("connections-per-client"), "{message}");
            for race in races {
                let (name, message) = rig.reply_to(race).await.unwrap_err();
                assert_eq!(name, "org.ietf.Mif1.Error.TimedOut", "{message}");
            }
            connect(&mut rig, "192.0.2.2", selecting("require", ALIVE)).await.unwrap();
        });
    });
}

#[test]
fn lost_races_and_wrong_arguments_say_why() {
    universe("high_level::lost_races_and_wrong_arguments_say_why", || {
        with_two_links(|mut rig| async move {
            let many: Vec<String> = vec!["home.example".to_owned(); 65];
            let unreachable = "org.ietf.Mif1.Error.NetworkUnreachable";
            let cases: [(&str, Given, &str, &str); 13] = [
                ("", Given::new(), INVALID, "empty"),
                ("a b", Given::new(), INVALID, "a b"),
                ("127.0.0.1", Given::new(), INVALID, "127.0.0.1"),
                ("192.0.2.2", options(&[("fast", true)]), INVALID, "known here: require, prefer"),
                ("192.0.2.2", options(&[("require", "eth0")]), INVALID, "\"require\" is of type \"as\""),
                ("192.0.2.2", selecting("avoid", "origin:home"), INVALID, "neither explicit nor implicit"),
                ("192.0.2.2", selecting("prefer", "kind:"), INVALID, "\"prefer\""),
                ("192.0.2.2", options(&[("prefer", many)]), INVALID, "65"),
                ("192.0.2.2", options(&[("captive", "maybe")]), INVALID, "none of last, never, equal"),
                ("192.0.2.2", options(&[("family", "ipv5")]), INVALID, "none of any, ipv4, ipv6"),
                ("192.0.2.2", options(&[("timeout", 0_u32)]), INVALID, "1 to 120000"),
                (
                    "192.0.2.2",
                    selecting("require", "home.example"),
                    unreachable,
                    "others are required (2 left out)",
                ),
                ("www.example.org", Given::new(), "org.ietf.Mif1.Error.NoNameServers", "has an address for"),
            ];
            for (name, given, error, told) in cases {
                let shown = format!("{name} {given:?}");
                let (kind, message) = connect(&mut rig, name, given).await.unwrap_err();
                assert_eq!(kind, error, "{shown}: {message}");
                assert!(message.contains(told), "{shown}: {message}");
            }
            let refused = ("192.0.2.2", PORT + 1, selecting("require", ALIVE));
            let (kind, message) = rig.call(ROOT, "", "ConnectToName", &refused).await.unwrap_err();
            assert_eq!(kind, "org.ietf.Mif1.Error.ConnectionRefused");
            assert!(message.contains("192.0.2.2:8"), "{message}");
            let nowhere = ("192.0.2.2", 0_u16, Given::new());
            assert_eq!(rig.call(ROOT, HIGH_LEVEL, "ConnectToName", &nowhere).await.unwrap_err().0, INVALID);
            let (kind, _) = rig.call(ROOT, HIGH_LEVEL, "ConnectToDream", &()).await.unwrap_err();
            assert_eq!(kind, "org.freedesktop.DBus.Error.UnknownMethod");
            // It has no properties, which is no error.
            let reply = rig.call(ROOT, PROPERTIES, "GetAll", &HIGH_LEVEL).await.unwrap();
            let none: BTreeMap<String, OwnedVariant> = reply.body().deserialize().unwrap();
            assert!(none.is_empty());
            let only_root = rig.pvd("implicit:eth0:ipv4").await;
            let elsewhere = call(&only_root, HIGH_LEVEL, "ConnectToName");
            let serial = rig.send(&elsewhere.build(&("192.0.2.2", PORT, Given::new())).unwrap()).await;
            let (kind, _) = rig.reply_to(serial).await.unwrap_err();
            assert_eq!(kind, "org.freedesktop.DBus.Error.UnknownInterface");
        });
    });
}
