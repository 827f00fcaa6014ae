//! Values of D-Bus as the model has them.

use std::collections::HashMap;

use serde_json::{Map, Value};
use zbus::{OwnedVariant, Variant};

use crate::model::Values;

/// What GetAllConfigurationData returns.
pub fn values(told: &HashMap<String, OwnedVariant>) -> Values {
    told.iter().map(|(identifier, value)| (identifier.clone(), value_of(value))).collect()
}

fn value_of(value: &Variant<'_>) -> Value {
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
        Variant::Variant(inner) => value_of(inner),
        Variant::Array(items) => items.iter().map(value_of).collect::<Vec<_>>().into(),
        Variant::Dict(entries) => {
            let entry = |(key, value): (&Variant<'_>, &Variant<'_>)| {
                let key = value_of(key);
                (key.as_str().map_or_else(|| key.to_string(), str::to_owned), value_of(value))
            };
            entries.iter().map(entry).collect::<Map<_, _>>().into()
        }
        Variant::Structure(fields) => fields.fields().iter().map(value_of).collect::<Vec<_>>().into(),
        // No configuration value holds a file descriptor.
        Variant::Fd(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn configuration_becomes_plain_data() {
        let route =
            HashMap::from([("destination", Variant::from("::/0")), ("valid-until", Variant::from(u64::MAX))]);
        let told = HashMap::from([
            ("mtu".to_owned(), OwnedVariant::from(1280_u32)),
            ("captive".to_owned(), OwnedVariant::from(true)),
            ("routes".to_owned(), Variant::from(vec![route]).try_into_owned().unwrap()),
        ]);
        let expected = json!({
            "mtu": 1280, "captive": true, "routes": [{"destination": "::/0", "valid-until": u64::MAX}],
        });
        assert_eq!(Value::Object(values(&told)), expected);
    }
}
