//! Values of dictionaries `a{sv}`, of the types that the contract has.

use super::marshal::{Marshal, Writer};
use std::collections::BTreeMap;
use zbus::ObjectPath;

/// A dictionary `a{sv}`.
pub type Fields = BTreeMap<&'static str, Value>;

/// The types, each with its signature.
macro_rules! values {
    ($($name:ident($type:ty) $signature:literal,)*) => {
        /// One value of a dictionary.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Value {
            $(#[doc = concat!("`", $signature, "`")] $name($type),)*
        }

        impl Marshal for Value {
            const ALIGNMENT: usize = 1;

            fn signature(out: &mut String) {
                out.push('v');
            }

            fn marshal(&self, out: &mut Writer) {
                match self {
                    $(Self::$name(value) => {
                        out.signature($signature);
                        value.marshal(out);
                    })*
                }
            }
        }

        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$name(value)
            }
        })*

        #[cfg(test)]
        const SIGNATURES: &[(&str, fn(&mut String))] = &[$(($signature, <$type as Marshal>::signature),)*];
    };
}

values! {
    Bool(bool) "b",
    Byte(u8) "y",
    Uint16(u16) "q",
    Int32(i32) "i",
    Uint32(u32) "u",
    Uint64(u64) "t",
    Word(&'static str) "s",
    Text(String) "s",
    Path(ObjectPath<'static>) "o",
    Words(Vec<&'static str>) "as",
    Texts(Vec<String>) "as",
    Paths(Vec<ObjectPath<'static>>) "ao",
    Dictionaries(Vec<Fields>) "aa{sv}",
    Lifetimes(BTreeMap<String, (u64, u64)>) "a{s(tt)}",
    Numbers(BTreeMap<&'static str, u32>) "a{su}",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use zbus::wire::serialized::{Context, Data};
    use zbus::{OwnedVariant, Variant};

    #[test]
    fn each_type_has_its_signature() {
        for (written, append) in SIGNATURES {
            let mut signature = String::new();
            append(&mut signature);
            assert_eq!(*written, signature);
        }
    }

    #[test]
    fn what_is_written_is_read_as_a_variant() {
        let fields = |value| Fields::from([("word", Value::Word("static")), ("value", value)]);
        for (value, expected) in [
            (Value::from(true), Variant::from(true)),
            (Value::from(7_u64), Variant::from(7_u64)),
            (Value::from("host.example".to_owned()), Variant::from("host.example")),
            (Value::from(Vec::<String>::new()), Variant::from(Vec::<String>::new())),
            (Value::from(vec!["ipv4", "ipv6"]), Variant::from(vec!["ipv4", "ipv6"])),
            (
                Value::from(BTreeMap::from([("2001:db8::1".to_owned(), (1, 2))])),
                Variant::from(BTreeMap::from([("2001:db8::1".to_owned(), (1_u64, 2_u64))])),
            ),
            (
                Value::from(vec![Fields::from([("address", Value::from("::1"))]), Fields::new()]),
                Variant::from(vec![
                    BTreeMap::from([("address", Variant::from("::1"))]),
                    BTreeMap::<&str, Variant<'_>>::new(),
                ]),
            ),
        ] {
            let mut out = Writer::with_capacity(0);
            fields(value).marshal(&mut out);
            let bytes = Data::new(out.into_bytes(), Context::new(zbus::wire::NATIVE_ENDIAN, 0));
            let (read, length): (BTreeMap<&str, OwnedVariant>, _) = bytes.deserialize().unwrap();
            assert_eq!(length, bytes.len());
            assert_eq!(*read["value"], expected);
            assert_eq!(*read["word"], Variant::from("static"));
        }
    }
}
