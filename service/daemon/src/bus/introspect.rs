//! Introspection: each node gives its own interfaces and the names of its direct children, never nested.
//!
//! The text of our interfaces is that of the installed XML files without its comments, so that the two can
//! never differ.

use super::path::Node;
use mif_core::broadcast::ObjectId;
use mif_core::snapshot::Snapshot;
use std::sync::LazyLock;

const HEAD: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
                    \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>\n";

static MANAGER: LazyLock<String> =
    LazyLock::new(|| interface_of(include_str!("../../../../dbus-interfaces/org.ietf.Mif1.Manager.xml")));
static HIGH_LEVEL: LazyLock<String> =
    LazyLock::new(|| interface_of(include_str!("../../../../dbus-interfaces/org.ietf.Mif1.HighLevel.xml")));
static INTERFACE: LazyLock<String> =
    LazyLock::new(|| interface_of(include_str!("../../../../dbus-interfaces/org.ietf.Mif1.Interface.xml")));
static PVD: LazyLock<String> = LazyLock::new(|| {
    interface_of(include_str!("../../../../dbus-interfaces/org.ietf.Mif1.ProvisioningDomain.xml"))
});
static SUBSCRIBER: LazyLock<String> =
    LazyLock::new(|| interface_of(include_str!("../../../../dbus-interfaces/org.ietf.Mif1.Subscriber.xml")));
static STANDARD: LazyLock<String> = LazyLock::new(|| interface_of(include_str!("standard.xml")));
static OBJECT_MANAGER: LazyLock<String> = LazyLock::new(|| interface_of(include_str!("object_manager.xml")));
static NODE_ONLY: LazyLock<String> = LazyLock::new(|| interface_of(include_str!("node.xml")));

/// The introspection data of a node that holds no object.
pub fn node(node: Node, snapshot: &Snapshot) -> String {
    match node {
        Node::Top => document(&[&NODE_ONLY], ["org"].into_iter()),
        Node::Org => document(&[&NODE_ONLY], ["ietf"].into_iter()),
        Node::Ietf => document(&[&NODE_ONLY], ["Mif1"].into_iter()),
        Node::Interfaces => {
            document(&[&NODE_ONLY], snapshot.interfaces().map(|interface| interface.serial.to_string()))
        }
        Node::Pvds => document(&[&NODE_ONLY], snapshot.pvds().map(|pvd| pvd.serial.to_string())),
    }
}

/// The introspection data of an object.
pub fn object(object: ObjectId, snapshot: &Snapshot) -> String {
    match object {
        ObjectId::Root => {
            let interfaces = snapshot.interfaces().next().map(|_| "interface");
            let pvds = snapshot.pvds().next().map(|_| "pvd");
            document(&[&MANAGER, &HIGH_LEVEL, &OBJECT_MANAGER, &STANDARD], interfaces.into_iter().chain(pvds))
        }
        ObjectId::Interface(_) => document(&[&INTERFACE, &STANDARD], std::iter::empty::<&str>()),
        ObjectId::Pvd(_) => document(&[&PVD, &STANDARD], std::iter::empty::<&str>()),
    }
}

/// The introspection data of a subscriber, for its owner.
pub fn subscriber() -> String {
    document(&[&SUBSCRIBER, &STANDARD], std::iter::empty::<&str>())
}

fn document(interfaces: &[&LazyLock<String>], children: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut text = HEAD.to_owned();
    for interface in interfaces {
        text.push_str(interface);
    }
    for child in children {
        text.push_str("  <node name=\"");
        text.push_str(child.as_ref());
        text.push_str("\"/>\n");
    }
    text.push_str("</node>\n");
    text
}

/// The `<interface>` elements of an introspection file, without comments and empty lines.
fn interface_of(xml: &str) -> String {
    let mut text = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let inside = text.split_once("<node>").map_or("", |(_, inside)| inside);
    let inside = inside.split_once("</node>").map_or("", |(inside, _)| inside);
    let lines = inside.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_gone_and_members_stay() {
        for (interface, member) in [
            (&*MANAGER, "CreateSubscriber"),
            (&*HIGH_LEVEL, "ConnectToName"),
            (&*INTERFACE, "DisplayName"),
            (&*PVD, "TranslateName"),
            (&*SUBSCRIBER, "NoAddressAnnouncement"),
            (&*STANDARD, "GetMachineId"),
            (&*OBJECT_MANAGER, "GetManagedObjects"),
        ] {
            assert!(interface.contains(member), "{member}");
            assert!(!interface.contains("<!--") && !interface.contains("-->"), "{interface}");
            assert!(interface.trim_start().starts_with("<interface name=\"org."), "{interface}");
            assert!(interface.trim_end().ends_with("</interface>"), "{interface}");
        }
    }
}
