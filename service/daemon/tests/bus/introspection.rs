//! Live introspection is the installed XML, node by node; and the tree is what it says.

use crate::rig::{
    ETH0, ETH1, HIGH_LEVEL, INTERFACE, MANAGER, OBJECT_MANAGER, PEER, PROPERTIES, PVD, ROOT, Rig, SUBSCRIBER,
};
use crate::rig::{address, one_link, up, with_service};
use crate::xml::{self, Node};
use std::collections::BTreeMap;
use zbus::OwnedVariant;

const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

/// The installed files.
fn installed(interface: &str) -> Vec<String> {
    let text = match interface {
        MANAGER => include_str!("../../../../dbus-interfaces/org.ietf.Mif1.Manager.xml"),
        HIGH_LEVEL => include_str!("../../../../dbus-interfaces/org.ietf.Mif1.HighLevel.xml"),
        INTERFACE => include_str!("../../../../dbus-interfaces/org.ietf.Mif1.Interface.xml"),
        PVD => include_str!("../../../../dbus-interfaces/org.ietf.Mif1.ProvisioningDomain.xml"),
        SUBSCRIBER => include_str!("../../../../dbus-interfaces/org.ietf.Mif1.Subscriber.xml"),
        other => panic!("{other}"),
    };
    let node = xml::parse(text);
    assert_eq!(node.interfaces.len(), 1);
    node.interfaces[interface].clone()
}

async fn introspect(rig: &mut Rig, path: &str) -> Node {
    let reply = rig.call(path, INTROSPECTABLE, "Introspect", &()).await.unwrap();
    let text: String = reply.body().deserialize().unwrap();
    assert!(
        text.starts_with("<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"")
    );
    xml::parse(&text)
}

fn names(node: &Node) -> Vec<&str> {
    node.interfaces.keys().map(String::as_str).collect()
}

#[test]
fn the_tree_is_complete_and_nothing_nests() {
    with_service([one_link(), vec![up(ETH1)]].concat(), |mut rig| async move {
        let (eth0, eth1) = (rig.interface(ETH0).await, rig.interface(ETH1).await);
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let serial = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let mut found = BTreeMap::new();
        let mut ahead = vec!["/".to_owned()];
        while let Some(path) = ahead.pop() {
            let node = introspect(&mut rig, &path).await;
            let parent = if path == "/" { "" } else { path.as_str() };
            ahead.extend(node.children.iter().map(|child| format!("{parent}/{child}")));
            found.insert(path, node);
        }
        let lo = format!("{ROOT}/interface/1000");
        let mut expected =
            ["/", "/org", "/org/ietf", ROOT, &lo, &eth0, &eth1, &pvd].map(ToOwned::to_owned).to_vec();
        expected.extend([format!("{ROOT}/interface"), format!("{ROOT}/pvd")]);
        expected.sort();
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected);
        let mut listed = found[&format!("{ROOT}/interface")].children.clone();
        listed.sort();
        assert_eq!(listed, ["1000".to_owned(), serial(&eth0), serial(&eth1)]);

        let object = |own| vec![INTROSPECTABLE, PEER, PROPERTIES, own];
        let of_root = [INTROSPECTABLE, OBJECT_MANAGER, PEER, PROPERTIES, HIGH_LEVEL, MANAGER];
        assert_eq!(names(&found[ROOT]), of_root);
        for interface in [&lo, &eth0, &eth1] {
            assert_eq!(names(&found[interface]), object(INTERFACE));
        }
        assert_eq!(names(&found[&pvd]), object(PVD));
        for node in ["/", "/org", "/org/ietf", &format!("{ROOT}/interface"), &format!("{ROOT}/pvd")] {
            assert_eq!(names(&found[node]), [INTROSPECTABLE, PEER], "{node}");
        }
    });
}

#[test]
fn members_are_those_of_the_installed_files() {
    with_service(one_link(), |mut rig| async move {
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        let subscriber = rig.subscribe("introspected").await;
        let objects = [
            (ROOT, MANAGER),
            (ROOT, HIGH_LEVEL),
            (&*interface, INTERFACE),
            (&*pvd, PVD),
            (&*subscriber, SUBSCRIBER),
        ];
        for (path, own) in objects {
            let node = introspect(&mut rig, path).await;
            assert_eq!(node.interfaces[own], installed(own), "{path}");
        }
        assert_eq!(introspect(&mut rig, &subscriber).await.children, Vec::<String>::new());
    });
}

#[test]
fn properties_are_those_of_the_installed_files() {
    with_service(one_link(), |mut rig| async move {
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        for (path, own) in [(ROOT, MANAGER), (ROOT, HIGH_LEVEL), (&*interface, INTERFACE), (&*pvd, PVD)] {
            let reply = rig.call(path, PROPERTIES, "GetAll", &own).await.unwrap();
            let shown: BTreeMap<String, OwnedVariant> = reply.body().deserialize().unwrap();
            let shown: Vec<String> =
                shown.iter().map(|(name, value)| format!("{name} {}", value.value_signature())).collect();
            let members = installed(own);
            let properties = members.iter().filter(|line| line.starts_with("property"));
            let mut described: Vec<String> = properties
                .map(|line| format!("{} {}", xml::attribute(line, "name"), xml::attribute(line, "type")))
                .collect();
            described.sort();
            assert_eq!(shown, described, "{path}");
            for property in described {
                let (name, signature) = property.split_once(' ').unwrap();
                let reply = rig.call(path, PROPERTIES, "Get", &(own, name)).await.unwrap();
                let value: OwnedVariant = reply.body().deserialize().unwrap();
                assert_eq!(value.value_signature().to_string(), signature, "{name}");
            }
        }
    });
}

#[test]
fn children_come_and_go_with_their_objects() {
    with_service(vec![], |mut rig| async move {
        assert_eq!(introspect(&mut rig, ROOT).await.children, ["interface"]);
        rig.happen([up(ETH0), address(ETH0, 1)]).await;
        rig.until(|heard| heard.words() == "PropertiesChanged interface/1001 ProvisioningDomains").await;
        assert_eq!(introspect(&mut rig, ROOT).await.children, ["interface", "pvd"]);
        assert_eq!(introspect(&mut rig, &format!("{ROOT}/pvd")).await.children, ["1000"]);
        rig.happen([crate::rig::gone(ETH0)]).await;
        rig.until(|heard| heard.words() == "InterfacesRemoved interface/1001").await;
        assert_eq!(introspect(&mut rig, ROOT).await.children, ["interface"]);
        assert_eq!(introspect(&mut rig, &format!("{ROOT}/pvd")).await.children, Vec::<String>::new());
    });
}

#[test]
fn subscribers_are_in_no_tree_and_only_their_owner_sees_them() {
    with_service(vec![], |mut rig| async move {
        rig.subscribe("hidden").await;
        assert_eq!(introspect(&mut rig, "/org/ietf").await.children, ["Mif1"]);
        assert_eq!(introspect(&mut rig, "/org").await.children, ["ietf"]);
        let unknown = "org.freedesktop.DBus.Error.UnknownObject";
        for path in [
            "/org/ietf/Mif1Subscriber",
            "/org/ietf/Mif1Subscriber/peer",
            "/org/ietf/Mif1Subscriber/peer/other",
        ] {
            let (name, _) = rig.call(path, INTROSPECTABLE, "Introspect", &()).await.unwrap_err();
            assert_eq!(name, unknown, "{path}");
        }
        let (name, _) = rig
            .call("/org/ietf/Mif1Subscriber/1_5/hidden", INTROSPECTABLE, "Introspect", &())
            .await
            .unwrap_err();
        assert_eq!(name, "org.freedesktop.DBus.Error.AccessDenied");
    });
}

#[test]
fn peer_answers_everywhere() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("peer").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        for path in ["/", "/org/ietf", ROOT, "/org/ietf/Mif1/pvd", &pvd, &subscriber] {
            rig.call(path, PEER, "Ping", &()).await.unwrap();
            rig.call(path, "", "Ping", &()).await.unwrap();
            match rig.call(path, PEER, "GetMachineId", &()).await {
                Ok(reply) => assert_eq!(reply.body().deserialize::<String>().unwrap().len(), 32),
                // A machine without one.
                Err((name, _)) => assert_eq!(name, "org.freedesktop.DBus.Error.Failed"),
            }
        }
    });
}
