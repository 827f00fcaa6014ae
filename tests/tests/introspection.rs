//! What people see who look at the service with busctl and gdbus, and that it is what the installed XML says.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use mif::introspection::{HIGH_LEVEL, INTERFACE, MANAGER, PROVISIONING_DOMAIN, SUBSCRIBER};
use mif::names::feature;
use mif::{ProvisioningDomain, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::process::{Output, output};
use mif_tests::served_host::ServedHost;
use mif_tests::served_state::{ROOT, managed_objects};
use mif_tests::tool;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use zbus::Connection;

const SERVICE: &str = "org.ietf.Mif1";

/// What every object has besides its own interface.
const STANDARD: [&str; 3] =
    ["org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Properties"];

/// A host with one link that has one PvD.
async fn served_host(universe: &Universe) -> (ServedHost, ProvisioningDomain, Cable) {
    let router = universe.node("router");
    let cable = Cable::between(universe.host().end("eth1"), router.end("lan")).await;
    cable.near().add_address("192.0.2.9/24");
    let served = ServedHost::start(universe).await;
    let pvd = served.pvd("implicit:eth1:ipv4").await;
    (served, pvd, cable)
}

async fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = tool::command(program);
    let Output { code, stdout, stderr } = output({
        command.args(arguments);
        command
    })
    .await;
    assert!(code == 0 && stderr.is_empty(), "{program} {arguments:?} ended with {code}: {stderr}\n{stdout}");
    stdout
}

/// All paths that `busctl tree` must show.
async fn expected_tree() -> BTreeSet<String> {
    let objects = managed_objects().await;
    let parents = ["/", "/org", "/org/ietf", ROOT, "/org/ietf/Mif1/interface", "/org/ietf/Mif1/pvd"];
    parents.map(str::to_owned).into_iter().chain(objects.as_object().unwrap().keys().cloned()).collect()
}

#[test]
fn the_tree_has_every_object_and_no_subscriber() {
    universe::run(async |universe| {
        let (served, ..) = served_host(&universe).await;
        for word in served.features().await {
            assert!(feature::ALL.contains(&&*word), "{word} is documented");
        }
        let _subscriber = Subscriber::create(&served.connection, "hidden").await.unwrap();
        let listing = run("busctl", &["--no-pager", "--list", "tree", SERVICE]).await;
        let shown: BTreeSet<String> = listing.lines().map(str::to_owned).collect();
        assert_eq!(shown, expected_tree().await);
        let drawing = run("busctl", &["--no-pager", "tree", SERVICE]).await;
        assert!(drawing.contains("─/org/ietf/Mif1/interface/"), "{drawing}");
        let top = introspect(&served.connection, "/org/ietf").await.unwrap();
        assert!(!top.contains("Subscriber"), "{top}");
    });
}

/// Members of the interface that an XML file describes, as `busctl introspect` has them:
/// name, type, signature in, result (methods) or flags (properties).
fn members_for_busctl(xml: &str) -> BTreeSet<[String; 4]> {
    let (mut members, mut open) = (BTreeSet::new(), None::<(String, String, String, String)>);
    for tag in tags(xml) {
        match (tag.name, &mut open) {
            ("property", _) if !tag.closes => {
                open = Some((
                    tag.get("name"),
                    "property".to_owned(),
                    tag.get("type"),
                    "emits-change".to_owned(),
                ));
            }
            ("method" | "signal", _) if !tag.closes => {
                open = Some((tag.get("name"), tag.name.to_owned(), String::new(), String::new()));
            }
            ("arg", Some((.., output))) if tag.get("direction") == "out" => output.push_str(&tag.get("type")),
            ("arg", Some((_, _, input, _))) => input.push_str(&tag.get("type")),
            ("annotation", Some((.., flags))) => {
                *flags = match &*tag.get("value") {
                    "true" => "emits-change",
                    "const" => "const",
                    _ => "-",
                }
                .to_owned();
            }
            _ => {}
        }
        if (tag.closes || tag.is_empty) && ["method", "signal", "property"].contains(&tag.name) {
            let (name, kind, input, output) = open.take().unwrap();
            let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
            members.insert([format!(".{name}"), kind, or_dash(input), or_dash(output)]);
        }
    }
    members
}

/// The members of `interface` in a table of `busctl introspect`, and the values of its properties.
fn members_shown(table: &str, interface: &str) -> (BTreeSet<[String; 4]>, BTreeMap<String, String>) {
    let (mut members, mut values) = (BTreeSet::new(), BTreeMap::new());
    let mut inside = false;
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, kind, signature, .., last] = words[..] else { panic!("not a line of the table: {line}") };
        if !name.starts_with('.') {
            inside = name == interface;
            continue;
        }
        if !inside {
            continue;
        }
        let result = match kind {
            "method" => words[3],
            "signal" => "-",
            // A property that does not say when it changes has no flag.
            _ if ["const", "emits-change"].contains(&last) => last,
            _ => "-",
        };
        members.insert([name, kind, signature, result].map(str::to_owned));
        if kind == "property" {
            values.insert(name.to_owned(), words[3..].join(" "));
        }
    }
    (members, values)
}

#[test]
fn busctl_shows_the_members_of_every_kind_of_object_and_their_values() {
    universe::run(async |universe| {
        let (_served, pvd, cable) = served_host(&universe).await;
        let show = async |path: &str, xml: &str| {
            let table = run("busctl", &["--no-pager", "introspect", SERVICE, path]).await;
            let interface = interface_name(xml);
            let (members, values) = members_shown(&table, &interface);
            assert_eq!(members, members_for_busctl(xml), "{path}");
            let interfaces = table.lines().skip(1).filter(|line| !line.starts_with('.')).count();
            assert_eq!(interfaces, STANDARD.len() + 1 + 2 * usize::from(path == ROOT), "{table}");
            values
        };
        assert!(show(ROOT, HIGH_LEVEL).await.is_empty());
        let values = show(ROOT, MANAGER).await;
        assert!(["true emits-change", "false emits-change"].contains(&&*values[".Startup"]), "{values:?}");
        assert_eq!(values[".InterfaceVersion"], "1 const");
        let values = show(pvd.interface.as_str(), INTERFACE).await;
        assert_eq!(values[".Name"], "\"eth1\" emits-change");
        assert_eq!(values[".Ifindex"], format!("{} const", cable.near().ifindex()));
        assert_eq!(values[".ProvisioningDomains"], format!("1 \"{}\" emits-change", pvd.path));
        let values = show(pvd.path.as_str(), PROVISIONING_DOMAIN).await;
        assert_eq!(values[".Id"], "\"implicit:eth1:ipv4\" const");
        assert!(values[".Addresses"].contains("\"address\" s \"192.0.2.9\""), "{values:?}");
        let for_ever = format!("1 \"192.0.2.9\" {0} {0}", u64::MAX);
        assert!(values[".AddressLifetimes"].starts_with(&for_ever), "{values:?}");
        // Parents that hold no object can be looked at, too.
        for path in ["/", "/org", "/org/ietf", "/org/ietf/Mif1/interface", "/org/ietf/Mif1/pvd"] {
            run("busctl", &["--no-pager", "introspect", SERVICE, path]).await;
        }
    });
}

#[test]
fn gdbus_walks_the_whole_tree() {
    universe::run(async |universe| {
        let (_served, pvd, _cable) = served_host(&universe).await;
        let arguments = ["introspect", "--system", "--dest", SERVICE, "--object-path", "/", "--recurse"];
        let text = run("gdbus", &arguments).await;
        let nodes: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("node ")?.strip_suffix(" {"))
            .map(str::to_owned)
            .collect();
        assert_eq!(nodes, expected_tree().await);
        for line in [
            "readonly s Name = 'eth1';".to_owned(),
            "readonly s Id = 'implicit:eth1:ipv4';".to_owned(),
            format!("readonly ao ProvisioningDomains = ['{}'];", pvd.path),
            "CreateSubscriber(in  s token,".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    });
}

#[test]
fn gdbus_monitor_shows_changes_as_they_happen() {
    universe::run(async |universe| {
        let (_served, pvd, cable) = served_host(&universe).await;
        let mut command = tool::command("gdbus");
        command.args(["monitor", "--system", "--dest", SERVICE]);
        let monitor = universe.host().spawn("monitor", command);
        // It says that it monitors a moment before it does.
        let mut alias = 0;
        eventually("the monitor to show anything", async || {
            alias += 1;
            universe.host().ip(&format!("link set eth1 alias probe{alias}"));
            let log = monitor.log();
            if log.contains("PropertiesChanged") { Ok(()) } else { Err(log) }
        })
        .await;
        universe.host().ip("link set eth1 alias Desk");
        monitor.wait_for_log("'DisplayName': <'Desk'>").await;
        cable.near().add_address("192.0.2.10/24");
        monitor
            .wait_for_log("{'address': <'192.0.2.10'>, 'element': <'static'>, 'prefix-length': <byte 0x18>")
            .await;
        cable.remove();
        monitor
            .wait_for_log(&format!(
                "/org/ietf/Mif1: org.freedesktop.DBus.ObjectManager.InterfacesRemoved \
                 (objectpath '{}', ['org.ietf.Mif1.Interface'])",
                pvd.interface
            ))
            .await;
        let log = monitor.log();
        let removed = |path: &str| log.find(&format!("InterfacesRemoved (objectpath '{path}'")).unwrap();
        assert!(removed(pvd.path.as_str()) < removed(pvd.interface.as_str()), "{log}");
        // Each object is one signal, and none is of another service.
        assert_eq!(log.matches("InterfacesRemoved").count(), 2, "{log}");
        assert!(log.lines().skip(2).all(|line| line.starts_with("/org/ietf/Mif1")), "{log}");
    });
}

#[test]
fn live_introspection_is_the_installed_xml() {
    universe::run(async |universe| {
        let (served, pvd, _cable) = served_host(&universe).await;
        let (subscriber, _messages) = Subscriber::create(&served.connection, "mine").await.unwrap();
        let high_level = (ROOT, HIGH_LEVEL);
        let objects = [
            high_level,
            (ROOT, MANAGER),
            (pvd.interface.as_str(), INTERFACE),
            (pvd.path.as_str(), PROVISIONING_DOMAIN),
        ];
        for (path, installed) in objects.into_iter().chain([(subscriber.path().as_str(), SUBSCRIBER)]) {
            let live = introspect(&served.connection, path).await.unwrap();
            let name = interface_name(installed);
            let (mut described, wanted) = (interfaces(&live), interfaces(installed));
            assert_eq!(described.remove(&name).as_ref(), wanted.get(&name), "{path}");
            assert!(!wanted[&name].is_empty());
            let others: Vec<&str> = described.keys().map(String::as_str).collect();
            let beside =
                if installed == MANAGER { interface_name(HIGH_LEVEL) } else { interface_name(MANAGER) };
            let beside = beside.as_str();
            let object_manager = "org.freedesktop.DBus.ObjectManager";
            let mut standard: Vec<&str> = STANDARD.to_vec();
            if path == ROOT {
                standard.extend([object_manager, beside]);
            }
            standard.sort_unstable();
            assert_eq!(others, standard, "{path}");
        }
    });
}

#[test]
fn a_node_names_its_direct_children_and_nothing_below_them() {
    universe::run(async |universe| {
        let (served, pvd, _cable) = served_host(&universe).await;
        let children = async |path: &str| -> BTreeSet<String> {
            let xml = introspect(&served.connection, path).await.unwrap();
            let nodes =
                tags(&xml).filter(|tag| tag.name == "node" && !tag.closes && !tag.get("name").is_empty());
            nodes.map(|tag| tag.get("name")).collect()
        };
        let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        assert_eq!(children(ROOT).await, ["interface", "pvd"].map(str::to_owned).into());
        assert_eq!(children("/org/ietf/Mif1/pvd").await, [last(pvd.path.as_str())].into());
        assert_eq!(children("/org/ietf/Mif1/interface").await.len(), 2);
        assert!(children(pvd.path.as_str()).await.is_empty());
        for unknown in ["/org/ietf/Mif1/pvd/1", "/org/ietf/Mif1/nothing", "/com", "/org/ietf/Mif1Subscriber"]
        {
            let refused = introspect(&served.connection, unknown).await.unwrap_err();
            assert_eq!(refused.kind(), Some(mif::ErrorKind::UnknownObject), "{unknown}");
        }
    });
}

async fn introspect(connection: &Connection, path: &str) -> mif::Result<String> {
    let call = connection.call_method(
        Some(SERVICE),
        path,
        Some("org.freedesktop.DBus.Introspectable"),
        "Introspect",
        &(),
    );
    let reply = completes("introspection data", call).await?;
    Ok(reply.body().deserialize().unwrap())
}

/// A tag of an XML text without character data.
struct Tag<'a> {
    name: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
    closes: bool,
    is_empty: bool,
}

impl Tag<'_> {
    fn get(&self, attribute: &str) -> String {
        self.attributes.get(attribute).copied().unwrap_or_default().to_owned()
    }
}

/// The tags of an introspection file, its comments and document type left out.
fn tags(xml: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find('<')?;
            rest = &rest[start + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = comment.split_once("-->").unwrap().1;
                continue;
            }
            let (tag, after) = rest.split_once('>').unwrap();
            rest = after;
            if !tag.starts_with('!') {
                return Some(parse_tag(tag));
            }
        }
    })
}

fn parse_tag(tag: &str) -> Tag<'_> {
    let (tag, closes) = tag.strip_prefix('/').map_or((tag, false), |tag| (tag, true));
    let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let mut attributes = BTreeMap::new();
    while let Some((key, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap();
        attributes.insert(key.trim(), value);
        rest = after;
    }
    Tag { name, attributes, closes, is_empty }
}

fn interface_name(xml: &str) -> String {
    tags(xml).find(|tag| tag.name == "interface").unwrap().get("name")
}

/// Each interface of an introspection text with its members in one canonical form, whatever their order.
fn interfaces(xml: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    let (mut interface, mut member) = (String::new(), String::new());
    for tag in tags(xml).filter(|tag| tag.name != "node" && !(tag.name == "interface" && tag.closes)) {
        if tag.name == "interface" {
            interface = tag.get("name");
            found.entry(interface.clone()).or_default();
            continue;
        }
        if !tag.closes {
            member.push_str(&format!("{} {:?} ", tag.name, tag.attributes));
        }
        let ends = tag.closes || (tag.is_empty && member.matches(" {").count() == 1);
        if ends && ["method", "signal", "property"].contains(&tag.name) {
            found.get_mut(&interface).unwrap().insert(std::mem::take(&mut member));
        }
    }
    found
}
