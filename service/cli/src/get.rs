//! `mifctl get`: what a provisioning domain was configured with.

use serde_json::{Map, Value};
use zbus::{Connection, Variant};

use crate::args::GetArguments;
use crate::failure::Failure;
use crate::output::Output;
use crate::{selection, status};

/// Shows one value, or all of them.
pub async fn run(
    connection: &Connection,
    request: &GetArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let state = status::read_state(connection).await?;
    let pvd = selection::select_only(&state, &request.pvd)?;
    let proxy = mif::proxy::ProvisioningDomainProxy::builder(connection)
        .path(pvd.path.clone())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .map_err(mif::Error::from)?;
    match &request.identifier {
        Some(identifier) => {
            let value = proxy.get_configuration_data(&request.element, identifier).await;
            let value = json(&Variant::from(value.map_err(mif::Error::from)?));
            show(&value, "", output)
        }
        None => {
            let values =
                proxy.get_all_configuration_data(&request.element).await.map_err(mif::Error::from)?;
            let values =
                values.into_iter().map(|(identifier, value)| (identifier, json(&Variant::from(value))));
            let values: Map<String, Value> = values.collect();
            if output.is_json() {
                return output.json(&values);
            }
            values.iter().try_for_each(|(identifier, value)| show(value, &format!("{identifier}\t"), output))
        }
    }
}

/// A list is shown item by item.
fn show(value: &Value, before: &str, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(value);
    }
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    items.iter().try_for_each(|item| match item {
        Value::String(text) => output.text(&format!("{before}{text}\n")),
        other => output.text(&format!("{before}{other}\n")),
    })
}

/// A value of the bus as JSON.
fn json(value: &Variant<'_>) -> Value {
    match value {
        Variant::Bool(value) => (*value).into(),
        Variant::U8(value) => (*value).into(),
        Variant::U16(value) => (*value).into(),
        Variant::U32(value) => (*value).into(),
        Variant::U64(value) => (*value).into(),
        Variant::Str(value) => value.as_str().into(),
        Variant::ObjectPath(value) => value.as_str().into(),
        Variant::Variant(inner) => json(inner),
        Variant::Array(items) => items.iter().map(json).collect(),
        Variant::Dict(entries) => {
            let entries = entries.iter().map(|(key, value)| (text(key), json(value)));
            Value::Object(entries.collect())
        }
        // The contract has no other types in configuration values.
        other => other.to_string().into(),
    }
}

fn text(key: &Variant<'_>) -> String {
    match key {
        Variant::Str(key) => key.as_str().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn values_of_the_bus_become_json() {
        let route =
            HashMap::from([("destination", Variant::from("::/0")), ("valid-until", Variant::from(7_u64))]);
        let value = Variant::from(vec![route]);
        assert_eq!(json(&value).to_string(), r#"[{"destination":"::/0","valid-until":7}]"#);
        assert_eq!(json(&Variant::from(vec!["192.0.2.53"])).to_string(), r#"["192.0.2.53"]"#);
        assert_eq!(json(&Variant::from(true)), Value::Bool(true));
    }
}
