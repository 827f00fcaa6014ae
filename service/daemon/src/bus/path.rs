//! Object paths: what they name, and how they are written.

use mif_core::broadcast::ObjectId;
use mif_core::pvd::Serial;
use zbus::ObjectPath;

/// The root object.
pub const ROOT: &str = "/org/ietf/Mif1";
const INTERFACES: &str = "/org/ietf/Mif1/interface";
const PVDS: &str = "/org/ietf/Mif1/pvd";
const SUBSCRIBERS: &str = "/org/ietf/Mif1Subscriber";
/// What the path of a subscriber that cannot be written becomes. No object has it.
const NOWHERE: ObjectPath<'static> = ObjectPath::from_static_str_unchecked("/");

/// What a path names, whether or not it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A node on the way to objects: its children's names lie below it.
    Node(Node),
    /// The root, an interface or a provisioning domain.
    Object(ObjectId),
    /// A subscriber: the sender part and the token.
    Subscriber(&'a str, &'a str),
    /// Nothing that could ever be.
    Nothing,
}

/// The nodes that hold no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// `/`
    Top,
    /// `/org`
    Org,
    /// `/org/ietf`
    Ietf,
    /// `/org/ietf/Mif1/interface`
    Interfaces,
    /// `/org/ietf/Mif1/pvd`
    Pvds,
}

/// What `path` names.
pub fn parse(path: &str) -> Target<'_> {
    match path {
        "/" => return Target::Node(Node::Top),
        "/org" => return Target::Node(Node::Org),
        "/org/ietf" => return Target::Node(Node::Ietf),
        ROOT => return Target::Object(ObjectId::Root),
        INTERFACES => return Target::Node(Node::Interfaces),
        PVDS => return Target::Node(Node::Pvds),
        _ => {}
    }
    if let Some(serial) = serial_below(path, INTERFACES) {
        return Target::Object(ObjectId::Interface(serial));
    }
    if let Some(serial) = serial_below(path, PVDS) {
        return Target::Object(ObjectId::Pvd(serial));
    }
    let subscriber = below(path, SUBSCRIBERS).and_then(|rest| rest.split_once('/'));
    subscriber.map_or(Target::Nothing, |(sender, token)| Target::Subscriber(sender, token))
}

/// The path of an object.
pub fn of(object: ObjectId) -> ObjectPath<'static> {
    match object {
        ObjectId::Root => ObjectPath::from_static_str_unchecked(ROOT),
        ObjectId::Interface(serial) => interface(serial),
        ObjectId::Pvd(serial) => pvd(serial),
    }
}

/// The path of an interface.
pub fn interface(serial: Serial) -> ObjectPath<'static> {
    ObjectPath::from_string_unchecked(format!("{INTERFACES}/{serial}"))
}

/// The path of a provisioning domain.
pub fn pvd(serial: Serial) -> ObjectPath<'static> {
    ObjectPath::from_string_unchecked(format!("{PVDS}/{serial}"))
}

/// The path of a subscriber of the client with this unique name.
pub fn subscriber(unique_name: &str, token: &str) -> ObjectPath<'static> {
    let path = format!("{SUBSCRIBERS}/{}/{token}", sender_part(unique_name));
    ObjectPath::try_from(path).unwrap_or(NOWHERE)
}

/// A unique name as it stands in paths: without the colon, dots as underscores. The peer at the other end of a
/// socket pair has no name, and is `peer`.
pub fn sender_part(unique_name: &str) -> String {
    if unique_name.is_empty() {
        return "peer".to_owned();
    }
    unique_name.trim_start_matches(':').replace('.', "_")
}

/// The interface that the argument `path` names, if it has the form of one.
pub fn parse_interface(path: &str) -> Option<Serial> {
    serial_below(path, INTERFACES)
}

/// The provisioning domain that the argument `path` names, if it has the form of one.
pub fn parse_pvd(path: &str) -> Option<Serial> {
    serial_below(path, PVDS)
}

fn below<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent)?.strip_prefix('/')
}

fn serial_below(path: &str, parent: &str) -> Option<Serial> {
    let digits = below(path, parent)?;
    let serial = digits.parse().ok()?;
    // One object, one spelling: no leading zeros, no sign.
    (digits == u64::to_string(&serial)).then_some(Serial(serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        for object in [ObjectId::Root, ObjectId::Interface(Serial(7)), ObjectId::Pvd(Serial(u64::MAX))] {
            assert_eq!(parse(of(object).as_str()), Target::Object(object));
        }
        let path = subscriber(":1.42", "main");
        assert_eq!(path.as_str(), "/org/ietf/Mif1Subscriber/1_42/main");
        assert_eq!(parse(path.as_str()), Target::Subscriber("1_42", "main"));
    }

    #[test]
    fn each_object_has_one_spelling() {
        for odd in
            ["/org/ietf/Mif1/pvd/07", "/org/ietf/Mif1/pvd/+7", "/org/ietf/Mif1/pvd/7/8", "/org/ietf/Mif2"]
        {
            assert_eq!(parse(odd), Target::Nothing, "{odd}");
        }
        assert_eq!(parse_pvd("/org/ietf/Mif1/interface/7"), None);
        assert_eq!(parse_pvd("/org/ietf/Mif1/pvd/99999999999999999999999"), None);
    }
}
