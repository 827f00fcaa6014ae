//! Values of D-Bus as the model has them.

use std::collections::HashMap;

use mif::json::to_json;
use zbus::OwnedVariant;

use crate::model::Values;

/// What GetAllConfigurationData returns.
pub fn values(told: &HashMap<String, OwnedVariant>) -> Values {
    told.iter().map(|(identifier, value)| (identifier.clone(), to_json(value))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};
    use zbus::Variant;

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
