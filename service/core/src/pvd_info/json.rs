//! JSON from servers that nobody knows: I-JSON (RFC 7493), small, shallow, no key twice.

use crate::fetch::MAX_DOCUMENT;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How deep objects and lists may be inside each other.
pub const MAX_DEPTH: usize = 16;

/// Why a text is no object that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadJson {
    /// More than 64 KiB.
    TooLarge,
    /// Objects and lists more than [`MAX_DEPTH`] deep inside each other.
    TooDeep,
    /// Not JSON, or a key comes twice; the parser's words.
    Malformed(String),
    /// Something else than an object.
    NotAnObject,
}

impl fmt::Display for BadJson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(out, "it has more than {MAX_DOCUMENT} bytes"),
            Self::TooDeep => write!(out, "it is more than {MAX_DEPTH} levels deep"),
            Self::Malformed(message) => write!(out, "it is not JSON: {message}"),
            Self::NotAnObject => out.write_str("it is not a JSON object"),
        }
    }
}

/// The object that `text` is.
///
/// # Errors
/// [`BadJson`].
pub fn parse_object(text: &str) -> Result<Map<String, Value>, BadJson> {
    if text.len() > MAX_DOCUMENT {
        return Err(BadJson::TooLarge);
    }
    if depth(text) > MAX_DEPTH {
        return Err(BadJson::TooDeep);
    }
    let malformed =
        |error: serde_json::Error| BadJson::Malformed(crate::text::escape(error.to_string().as_bytes()));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Unique.deserialize(&mut deserializer).map_err(malformed)?;
    deserializer.end().map_err(malformed)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(BadJson::NotAnObject),
    }
}

/// `object` in one line that is fit to be shown: keys ascending, control characters only as escapes. The same content
/// always gives the same text.
pub fn one_line(object: &Map<String, Value>) -> String {
    let compact = Value::from(object.clone()).to_string();
    let mut line = String::with_capacity(compact.len());
    for character in compact.chars() {
        // JSON itself escapes only those below U+0020.
        if character.is_control() {
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    line
}

/// How deep brackets go, whether they match or not.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads any value, and fails where a key comes twice (RFC 7493 2.3): which of two counts is a matter of taste, and
/// two programs of different taste would see two documents.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} comes twice")));
            }
            let value = entries.next_value_seed(Self)?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_becomes_one_line() {
        let text = "{ \"b\" : [1, 2.5, null, true],\r\n \"a\": \"x\\u0007\u{85}\\\"\u{7f}\" }";
        let line = one_line(&parse_object(text).unwrap());
        assert_eq!(line, r#"{"a":"x\u0007\u0085\"\u007f","b":[1,2.5,null,true]}"#);
        assert_eq!(one_line(&parse_object(&line).unwrap()), line);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "1", "\"a\"", "null"] {
            assert_eq!(parse_object(text), Err(BadJson::NotAnObject), "{text}");
        }
        for text in ["", "{", "{}x", "{\"a\":1,}", "{\"a\":NaN}", "{'a':1}", "\u{feff}{}", "{\"a\":1e999}"] {
            assert!(matches!(parse_object(text), Err(BadJson::Malformed(_))), "{text}");
        }
        let twice = parse_object("{\"x\":{\"a\":1,\"a\":1}}").unwrap_err().to_string();
        assert!(twice.contains("the key \"a\" comes twice"), "{twice}");
    }

    #[test]
    fn size_and_depth_have_limits() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(parse_object(&nested(MAX_DEPTH)), Err(BadJson::TooDeep));
        assert_eq!(parse_object(&nested(30_000)), Err(BadJson::TooDeep));
        assert!(parse_object("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\"}").is_ok(), "not in strings");
        let long = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert!(parse_object(&long(MAX_DOCUMENT)).is_ok());
        assert_eq!(parse_object(&long(MAX_DOCUMENT + 1)), Err(BadJson::TooLarge));
    }

    proptest! {
        #[test]
        fn anything_gives_a_line_or_an_error(text in "\\PC*|[\\[\\]{}\",:a0\\\\ \u{85}]*") {
            if let Ok(object) = parse_object(&text) {
                let line = one_line(&object);
                prop_assert!(!line.chars().any(char::is_control));
                prop_assert_eq!(parse_object(&line).unwrap(), object);
            }
        }
    }
}
