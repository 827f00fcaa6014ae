//! Values of D-Bus as JSON, for programs that show or write what they are told.

use serde_json::{Map, Value};
use zbus::Variant;

/// A value of D-Bus as JSON writes it; dictionaries and variants without their types.
#[must_use]
pub fn to_json(value: &Variant<'_>) -> Value {
    match value {
        Variant::Bool(value) => (*value).into(),
        Variant::U8(value) => (*value).into(),
        Variant::U16(value) => (*value).into(),
        Variant::U32(value) => (*value).into(),
        Variant::U64(value) => (*value).into(),
        Variant::I16(value) => (*value).into(),
        Variant::I32(value) => (*value).into(),
        Variant::I64(value) => (*value).into(),
        Variant::F64(value) => (*value).into(),
        Variant::Str(text) => text.as_str().into(),
        Variant::ObjectPath(path) => path.as_str().into(),
        Variant::Signature(signature) => signature.to_string().into(),
        Variant::Variant(inner) => to_json(inner),
        Variant::Array(items) => items.iter().map(to_json).collect::<Vec<_>>().into(),
        Variant::Dict(entries) => {
            let entry = |(key, value): (&Variant<'_>, &Variant<'_>)| {
                let key = to_json(key);
                (key.as_str().map_or_else(|| key.to_string(), str::to_owned), to_json(value))
            };
            entries.iter().map(entry).collect::<Map<_, _>>().into()
        }
        Variant::Structure(fields) => fields.fields().iter().map(to_json).collect::<Vec<_>>().into(),
        // A descriptor means nothing outside of the message that it came with.
        Variant::Fd(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashMap;

    #[test]
    fn values_of_every_type_of_the_contract_become_json() {
        let route =
            HashMap::from([("destination", Variant::from("::/0")), ("valid-until", Variant::from(u64::MAX))]);
        for (value, expected) in [
            (Variant::from("a"), json!("a")),
            (Variant::from(true), json!(true)),
            (Variant::from(7_u16), json!(7)),
            (Variant::from(1280_u32), json!(1280)),
            (Variant::from(u64::MAX), json!(u64::MAX)),
            (Variant::from(vec!["a", "b"]), json!(["a", "b"])),
            (Variant::from(vec![route]), json!([{"destination": "::/0", "valid-until": u64::MAX}])),
        ] {
            assert_eq!(to_json(&value), expected);
        }
    }
}
