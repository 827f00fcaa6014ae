//! Interfaces on the bus are the links of the kernel, whatever is done to them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use mif::wire::InterfaceKind;
use mif_tests::cable::Cable;
use mif_tests::node::Node;
use mif_tests::served_host::ServedHost;
use mif_tests::served_state::{ROOT, busctl_call, managed_objects, try_busctl_call};
use mif_tests::signals::{Signals, describe};
use mif_tests::universe;
use mif_tests::wait::eventually;
use serde_json::Value;

const MANAGER: &str = "org.ietf.Mif1.Manager";
const INTERFACE: &str = "org.ietf.Mif1.Interface";
const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";

/// Links by index.
type Inventory = BTreeMap<u64, Link>;

/// A link in the words of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    name: String,
    display_name: String,
    kind: String,
    state: String,
    /// Of all its PvDs: address, prefix length, state.
    addresses: BTreeSet<(String, u64, String)>,
}

/// What `ip` says there should be.
fn told_by_ip(host: &Node) -> Inventory {
    let links: Value = serde_json::from_str(&host.ip("-json -details address show")).unwrap();
    links.as_array().unwrap().iter().map(|link| (link["ifindex"].as_u64().unwrap(), wanted(link))).collect()
}

fn wanted(link: &Value) -> Link {
    let has = |flag: &str| link["flags"].as_array().unwrap().iter().any(|have| have == flag);
    let name = link["ifname"].as_str().unwrap();
    let kind = match (link["link_type"].as_str(), link["linkinfo"]["info_kind"].as_str()) {
        (Some("loopback"), _) => "loopback",
        (_, Some("veth")) => "ethernet",
        (_, Some("bridge")) => "bridge",
        (_, Some("vxlan")) => "tunnel",
        (_, Some("ifb")) => "other",
        other => panic!("a link of another kind: {other:?}"),
    };
    let state = match has("UP") && has("LOWER_UP") {
        true if link["operstate"] == "DORMANT" => "dormant",
        true => "up",
        false => "down",
    };
    Link {
        name: name.to_owned(),
        display_name: link["ifalias"].as_str().unwrap_or(name).to_owned(),
        kind: kind.to_owned(),
        state: state.to_owned(),
        // Without carrier there are no PvDs (the grace is 0 here), and loopback never has any.
        addresses: if state == "up" && kind != "loopback" { addresses_of(link) } else { BTreeSet::new() },
    }
}

/// The addresses that belong to PvDs: of a family that has no usable one there is no PvD.
fn addresses_of(link: &Value) -> BTreeSet<(String, u64, String)> {
    let mut found = BTreeSet::new();
    for family in ["inet", "inet6"] {
        let of_family = link["addr_info"].as_array().unwrap().iter().filter(|info| info["family"] == family);
        let of_family = of_family.filter(|info| !info["local"].as_str().unwrap().starts_with("fe80:"));
        let addresses: Vec<(String, u64, String)> = of_family
            .map(|info| {
                let state = match () {
                    () if info["tentative"] == true => "tentative",
                    () if info["deprecated"] == true => "deprecated",
                    () => "preferred",
                };
                (
                    info["local"].as_str().unwrap().to_owned(),
                    info["prefixlen"].as_u64().unwrap(),
                    state.to_owned(),
                )
            })
            .collect();
        if addresses.iter().any(|(_, _, state)| state != "tentative") {
            found.extend(addresses);
        }
    }
    found
}

/// What GetManagedObjects shows, and the path of each interface by index.
async fn told_by_bus() -> (Inventory, BTreeMap<u64, String>) {
    let objects = managed_objects().await;
    let objects = objects.as_object().unwrap();
    let (mut inventory, mut paths) = (Inventory::new(), BTreeMap::new());
    let mut listed_pvds = BTreeSet::new();
    for (path, object) in objects {
        let Some(interface) = object.get(INTERFACE) else { continue };
        let text = |property: &str| interface[property]["data"].as_str().unwrap().to_owned();
        let mut addresses = BTreeSet::new();
        for pvd in interface["ProvisioningDomains"]["data"].as_array().unwrap() {
            let pvd = pvd.as_str().unwrap();
            let properties = &objects[pvd][PVD];
            assert_eq!(properties["Interface"]["data"].as_str(), Some(path.as_str()), "{pvd}");
            assert!(listed_pvds.insert(pvd.to_owned()), "{pvd} is on two interfaces");
            addresses.extend(properties["Addresses"]["data"].as_array().unwrap().iter().map(|entry| {
                let text = |key: &str| entry[key]["data"].as_str().unwrap().to_owned();
                (text("address"), entry["prefix-length"]["data"].as_u64().unwrap(), text("state"))
            }));
        }
        let index = interface["Ifindex"]["data"].as_u64().unwrap();
        let link = Link {
            name: text("Name"),
            display_name: text("DisplayName"),
            kind: text("Kind"),
            state: text("State"),
            addresses,
        };
        assert!(inventory.insert(index, link).is_none(), "two objects for the index {index}");
        paths.insert(index, path.clone());
    }
    let pvds: BTreeSet<String> = objects
        .iter()
        .filter(|(_, object)| object.get(PVD).is_some())
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(listed_pvds, pvds, "each PvD is on an interface");
    (inventory, paths)
}

/// Waits until the bus shows what `ip` shows; the paths of the interfaces.
async fn agreed(host: &Node, after: &str) -> BTreeMap<u64, String> {
    eventually(&format!("the bus to show what ip shows after {after}"), async || {
        let before = told_by_ip(host);
        let (shown, paths) = told_by_bus().await;
        if shown == before { Ok(paths) } else { Err(format!("ip: {before:#?}\nbus: {shown:#?}")) }
    })
    .await
}

/// Small random numbers, the same in each run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { Some(&of[self.roll(of.len())]) }
    }
}

/// Changes of the kernel's links and addresses, as words for `ip`.
struct Changes {
    dice: Dice,
    serial: u32,
}

impl Changes {
    /// The next change that can be made to what there is.
    fn next(&mut self, now: &Inventory) -> Vec<String> {
        self.serial += 1;
        let n = self.serial;
        let links: Vec<&Link> = now.values().filter(|link| link.name != "lo").collect();
        let Some(link) = self.dice.pick(&links).copied() else { return self.new_link() };
        let name = &link.name;
        let one = |words: String| vec![words];
        match self.dice.roll(20) {
            0 | 1 => self.new_link(),
            2 => one(format!("link delete dev {name}")),
            3 => one(format!("link set dev {name} down")),
            4 | 5 => one(format!("link set dev {name} up")),
            6 => one(format!("link set dev {name} name renamed{n}")),
            // The kernel tells nobody of the alias of a link that is down, until that goes up.
            7 if link.state != "down" => one(format!("link set dev {name} alias Office-{n}")),
            // As wpa_supplicant does while it authenticates, and when it has.
            8 if link.state == "up" => one(format!("link set dev {name} mode dormant state dormant")),
            8 if link.state == "dormant" => one(format!("link set dev {name} mode default state up")),
            9 | 10 => one(format!("address add 10.{}.{n}.1/24 dev {name}", self.dice.roll(250))),
            11 => one(format!("address add 169.254.{n}.7/16 dev {name}")),
            12 => one(format!("address add 198.51.100.{n}/32 dev {name} valid_lft 900 preferred_lft 0")),
            13 | 14 => one(format!("address add 2001:db8:{n}::1/64 dev {name} nodad")),
            15 => one(format!("address add fd00:{n}::1/48 dev {name} nodad")),
            16 => one(format!("address add 2001:db8:{n}::2/128 dev {name} nodad preferred_lft 0")),
            17 => one(format!("address flush dev {name} scope global")),
            _ => match self.dice.pick(&link.addresses.iter().collect::<Vec<_>>()) {
                Some((address, length, _)) => one(format!("address delete {address}/{length} dev {name}")),
                None => self.new_link(),
            },
        }
    }

    /// A link that is up and has addresses.
    fn new_link(&mut self) -> Vec<String> {
        let n = self.serial;
        let name = format!("link{n}");
        let mut words = vec![match self.dice.roll(4) {
            0 => format!("link add {name} type bridge"),
            1 => format!("link add {name} type vxlan id {n} dstport 4789"),
            2 => format!("link add {name} type ifb"),
            _ => format!("link add {name} type veth peer name far{n} netns wires"),
        }];
        if words[0].contains("netns wires") {
            words.push(format!("-netns wires link set dev far{n} up"));
        }
        words.push(format!("link set dev {name} up"));
        words.push(format!("address add 192.0.2.{n}/24 dev {name}"));
        words
    }
}

#[test]
fn the_bus_shows_what_ip_shows_after_every_change() {
    universe::run(async |universe| {
        universe.node("wires");
        let host = universe.host();
        let _served =
            ServedHost::start_with(&universe, |settings| settings.config("[interfaces]\ngrace-ms = 0\n"))
                .await;
        let mut changes = Changes { dice: Dice(20_261_122), serial: 0 };
        let mut paths = agreed(host, "the start").await;
        let mut ever: BTreeSet<String> = paths.values().cloned().collect();
        let mut seen_states = BTreeSet::new();
        for _ in 0..90 {
            let before = told_by_ip(host);
            let words = changes.next(&before);
            words.iter().for_each(|words| drop(host.ip(words)));
            let now = agreed(host, &words.join("; ")).await;
            for (index, path) in &now {
                match paths.get(index) {
                    Some(known) => assert_eq!(known, path, "after {words:?}"),
                    None => assert!(ever.insert(path.clone()), "{path} is used again after {words:?}"),
                }
            }
            seen_states.extend(told_by_ip(host).into_values().flat_map(|link| {
                [link.kind, link.state]
                    .into_iter()
                    .chain(link.addresses.into_iter().map(|(_, _, state)| state))
            }));
            paths = now;
        }
        // The changes were worth the name.
        for word in [
            "loopback",
            "ethernet",
            "bridge",
            "tunnel",
            "other",
            "up",
            "down",
            "dormant",
            "preferred",
            "deprecated",
        ] {
            assert!(seen_states.contains(word), "{word} never came up: {seen_states:?}");
        }
    });
}

#[test]
fn a_burst_of_changes_ends_in_what_ip_shows() {
    universe::run(async |universe| {
        universe.node("wires");
        let host = universe.host();
        let _served =
            ServedHost::start_with(&universe, |settings| settings.config("[interfaces]\ngrace-ms = 0\n"))
                .await;
        let mut changes = Changes { dice: Dice(7), serial: 0 };
        for round in 0..6 {
            for _ in 0..12 {
                let words = changes.next(&told_by_ip(host));
                words.iter().for_each(|words| drop(host.ip(words)));
            }
            agreed(host, &format!("round {round}")).await;
        }
    });
}

/// Link names that the kernel takes, and how they are spelled on the bus.
const ODD_NAMES: [(&[u8], &str); 9] = [
    (b"-x", "-x"),
    (b"--help", "--help"),
    (b"a.b", "a.b"),
    (b"0", "0"),
    (b"\xff", "\\255"),
    (b"\xc3(\xfe", "\\195(\\254"),
    (b"tab\x01bel\x07", "tab\\001bel\\007"),
    (b"b\\255", "b\\092255"),
    ("b\u{fc}ro".as_bytes(), "b\u{fc}ro"),
];

#[test]
fn odd_link_names_are_spelled_and_harm_nobody() {
    universe::run(async |universe| {
        let host = universe.host();
        let served = ServedHost::start(&universe).await;
        let ip = |words: &[&[u8]]| {
            host.run("ip", words.iter().map(|word| OsString::from_vec(word.to_vec())));
        };
        for (number, (name, _)) in ODD_NAMES.iter().enumerate() {
            ip(&[b"link", b"add", b"name", name, b"type", b"bridge"]);
            // A link with carrier, renamed to the odd name: a renamed link keeps the Ids it was born with.
            let plain = format!("plain{number}");
            host.ip(&format!("link add {plain} type vxlan id {number} dstport 4789"));
            ip(&[b"link", b"set", b"dev", plain.as_bytes(), b"up"]);
            ip(&[b"link", b"delete", b"dev", name]);
            ip(&[b"link", b"set", b"dev", plain.as_bytes(), b"name", name]);
            ip(&[b"address", b"add", format!("192.0.2.{number}/24").as_bytes(), b"dev", name]);
        }
        for (number, (name, spelled)) in ODD_NAMES.iter().enumerate() {
            let address = format!("192.0.2.{number}");
            let link = served
                .until(&format!("the address of {spelled:?}"), |state| {
                    let mut links = state.interfaces.iter();
                    links
                        .find(|link| {
                            link.pvds.iter().any(|pvd| pvd.addresses[0].address.to_string() == address)
                        })
                        .cloned()
                })
                .await;
            assert_eq!((&*link.name, &*link.display_name), (*spelled, *spelled), "{name:?}");
            assert_eq!(link.pvds.len(), 1);
            let found = busctl_call(ROOT, MANAGER, "GetInterfaceByName", &["s", "--", spelled]).await;
            assert_eq!(found, link.path.as_str(), "{spelled}");
        }
        let unknown = try_busctl_call(ROOT, MANAGER, "GetInterfaceByName", &["s", "plain0"]).await;
        assert!(unknown.stderr.contains("plain0"), "{unknown:?}");
        // An Id is made from the name at birth.
        ip(&[b"link", b"add", b"name", b"n\xff", b"type", b"vxlan", b"id", b"99", b"dstport", b"4789"]);
        ip(&[b"link", b"set", b"dev", b"n\xff", b"up"]);
        ip(&[b"address", b"add", b"198.51.100.1/24", b"dev", b"n\xff"]);
        let pvd = served.pvd("implicit:n\\255:ipv4").await;
        let found = busctl_call(ROOT, MANAGER, "GetProvisioningDomainsById", &["s", &pvd.id]).await;
        assert_eq!(found, serde_json::json!([pvd.path.as_str()]));
        assert_eq!(served.mifd.process().exit_status(), None);
    });
}

#[test]
fn loopback_has_no_provisioning_domain() {
    universe::run(async |universe| {
        let host = universe.host();
        let served = ServedHost::start(&universe).await;
        host.ip("address add 198.51.100.1/24 dev lo");
        host.ip("address add 2001:db8::1/64 dev lo nodad");
        host.ip("route add default via 198.51.100.9 dev lo");
        // What comes after the changes of lo is there, and lo still has nothing.
        host.ip("link add sentinel type vxlan id 1 dstport 4789");
        host.ip("link set sentinel up");
        host.ip("address add 192.0.2.1/24 dev sentinel");
        served.only_pvds(&["implicit:sentinel:ipv4"]).await;
        let state = served.state().await;
        let lo = state.interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert_eq!((lo.ifindex, &lo.kind), (1, &InterfaceKind::Loopback));
        assert!(lo.pvds.is_empty(), "{lo:?}");
        assert!(state.default_pvds.is_empty(), "{state:?}");
    });
}

/// Signals of the object manager about interfaces, with the change that a new link is the last of.
async fn object_signals(served: &ServedHost) -> Signals {
    let signals = Signals::of(&served.connection);
    signals.add_match("type='signal',interface='org.freedesktop.DBus.ObjectManager'").await;
    signals
}

#[test]
fn an_index_used_again_is_another_interface() {
    universe::run(async |universe| {
        let host = universe.host();
        let served = ServedHost::start(&universe).await;
        host.ip("link add one index 50 type vxlan id 1 dstport 4789");
        host.ip("link set one up");
        host.ip("address add 192.0.2.1/24 dev one");
        let former = served.pvd("implicit:one:ipv4").await;
        let mut signals = object_signals(&served).await;

        // Gone and there again before anybody can look; the name is the same, too.
        let batch = "link delete one\nlink add one index 50 type vxlan id 2 dstport 4789\nlink set one up\n\
                     address add 192.0.2.1/24 dev one\n";
        std::fs::write("/tmp/batch", batch).unwrap();
        host.ip("-batch /tmp/batch");
        let new = served.pvd_where("implicit:one:ipv4", |pvd| pvd.path != former.path).await;
        assert_ne!(new.interface, former.interface);
        let by_index = busctl_call(ROOT, MANAGER, "GetInterfaceByIndex", &["u", "50"]).await;
        assert_eq!(by_index, new.interface.as_str());

        let order = [
            (&former.path, "InterfacesRemoved"),
            (&former.interface, "InterfacesRemoved"),
            (&new.interface, "InterfacesAdded"),
            (&new.path, "InterfacesAdded"),
        ];
        for (object, member) in order {
            let signal = signals.next(&format!("{member} of {object}")).await;
            let text = describe(&signal);
            assert!(text.contains(member) && text.contains(&format!("\"{object}\"")), "{text}");
        }
        assert!(signals.drain().is_empty());
    });
}

#[test]
fn a_link_that_moves_away_and_back_is_another_interface() {
    universe::run(async |universe| {
        let host = universe.host();
        let router = universe.node("router");
        let cable = Cable::between(host.end("eth1"), router.end("lan")).await;
        cable.near().add_address("192.0.2.1/24");
        let served = ServedHost::start(&universe).await;
        let former = served.pvd("implicit:eth1:ipv4").await;

        host.ip("link set eth1 netns router");
        served.only_pvds(&[]).await;
        let by_name = try_busctl_call(ROOT, MANAGER, "GetInterfaceByName", &["s", "eth1"]).await;
        assert!(by_name.stderr.contains("eth1"), "{by_name:?}");

        // An index may be taken when a link comes back; then the kernel gives it another.
        router.ip("link set eth1 netns host");
        host.ip("link set eth1 up");
        host.ip("address add 192.0.2.1/24 dev eth1");
        let new = served.pvd("implicit:eth1:ipv4").await;
        assert_ne!(new.path, former.path);
        assert_ne!(new.interface, former.interface);
    });
}
