//! What the client hears, in a form that is short to compare.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use zbus::message::Type;
use zbus::{Message, OwnedObjectPath, OwnedVariant};

/// A message from the service.
#[derive(Clone, Debug)]
pub struct Heard {
    /// `Reply`, an error name, the member of a signal, or that of a call of the bus itself.
    pub what: String,
    /// Where a signal comes from.
    pub path: String,
    /// Object paths and texts that it carries, outside of dictionaries, in order.
    pub arguments: Vec<String>,
    reply_serial: Option<NonZeroU32>,
    message: Message,
}

impl Heard {
    pub fn of(message: &Message) -> Self {
        let header = message.header();
        let what = match message.message_type() {
            Type::MethodReturn => "Reply".to_owned(),
            Type::Error => header.error_name().unwrap().to_string(),
            Type::Signal => header.member().unwrap().to_string(),
            Type::MethodCall => {
                let to = header.destination().map(ToString::to_string);
                assert_eq!(to.as_deref(), Some("org.freedesktop.DBus"), "the service calls {message:?}");
                header.member().unwrap().to_string()
            }
        };
        Self {
            what,
            path: header.path().map_or_else(String::new, ToString::to_string),
            arguments: arguments(message),
            reply_serial: header.reply_serial(),
            message: message.clone(),
        }
    }

    pub fn is_reply_to(&self, serial: NonZeroU32) -> bool {
        self.reply_serial == Some(serial)
    }

    pub const fn reply_serial(&self) -> Option<NonZeroU32> {
        self.reply_serial
    }

    /// The message itself.
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// `Member argument argument`
    pub fn words(&self) -> String {
        let mut words = vec![self.what.as_str()];
        words.extend(self.arguments.iter().map(String::as_str));
        words.join(" ")
    }

    /// The interface and the changed properties of a PropertiesChanged.
    pub fn changed(&self) -> (String, BTreeMap<String, OwnedVariant>) {
        assert_eq!(self.what, "PropertiesChanged");
        let body = self.message.body();
        let (interface, changed, invalidated): (String, BTreeMap<String, OwnedVariant>, Vec<String>) =
            body.deserialize().unwrap();
        assert!(invalidated.is_empty(), "values are told, not only that they changed");
        (interface, changed)
    }
}

/// The last words only, for short expectations: `/org/ietf/Mif1/pvd/7` becomes `pvd/7`.
fn arguments(message: &Message) -> Vec<String> {
    let body = message.body();
    let signature = body.signature().to_string_no_parens();
    let short = |path: OwnedObjectPath| {
        let text = path.to_string();
        text.strip_prefix("/org/ietf/Mif1/").map_or(text.clone(), ToOwned::to_owned)
    };
    type Fields = BTreeMap<String, OwnedVariant>;
    match signature.as_str() {
        "" => Vec::new(),
        "u" => vec![body.deserialize::<u32>().unwrap().to_string()],
        "s" => vec![body.deserialize::<String>().unwrap()],
        "o" => vec![short(body.deserialize().unwrap())],
        "osa{sv}" => {
            let (object, text, _): (OwnedObjectPath, String, Fields) = body.deserialize().unwrap();
            vec![short(object), text]
        }
        "os" => {
            let (object, text): (OwnedObjectPath, String) = body.deserialize().unwrap();
            vec![short(object), text]
        }
        "ooa{sv}" => {
            let (one, other, _): (OwnedObjectPath, OwnedObjectPath, Fields) = body.deserialize().unwrap();
            vec![short(one), short(other)]
        }
        "oo" => {
            let (one, other): (OwnedObjectPath, OwnedObjectPath) = body.deserialize().unwrap();
            vec![short(one), short(other)]
        }
        "osytta{sv}" => {
            let (object, address, length, _, _, _): (OwnedObjectPath, String, u8, u64, u64, Fields) =
                body.deserialize().unwrap();
            vec![short(object), format!("{address}/{length}")]
        }
        "usa{sv}" => {
            let (id, text, _): (u32, String, Fields) = body.deserialize().unwrap();
            vec![id.to_string(), text]
        }
        "ussa{sv}" => {
            let (id, name, text, _): (u32, String, String, Fields) = body.deserialize().unwrap();
            vec![id.to_string(), name, text]
        }
        "ua{sv}" => {
            let (id, _): (u32, Fields) = body.deserialize().unwrap();
            vec![id.to_string()]
        }
        "sa{sv}" => {
            let (text, _): (String, Fields) = body.deserialize().unwrap();
            vec![text]
        }
        "sa{sv}as" => {
            let (interface, changed, _): (String, Fields, Vec<String>) = body.deserialize().unwrap();
            let path = message.header().path().unwrap().to_string();
            let short = path.strip_prefix("/org/ietf/Mif1/").unwrap_or("root").to_owned();
            assert!(interface.starts_with("org.ietf.Mif1."), "{interface}");
            [short].into_iter().chain(changed.into_keys()).collect()
        }
        "oa{sa{sv}}" => {
            let (object, interfaces): (OwnedObjectPath, BTreeMap<String, Fields>) =
                body.deserialize().unwrap();
            assert_eq!(interfaces.len(), 1, "one interface an object");
            vec![short(object)]
        }
        "oas" => {
            let (object, interfaces): (OwnedObjectPath, Vec<String>) = body.deserialize().unwrap();
            assert_eq!(interfaces.len(), 1, "one interface an object");
            vec![short(object)]
        }
        other => vec![other.to_owned()],
    }
}
