//! `mifctl get`: what a provisioning domain was configured with.

use serde_json::{Map, Value};
use zbus::{Connection, Variant};

use crate::args::GetArguments;
use crate::failure::Failure;
use crate::output::Output;
use crate::{selection, status};
use mif::json::to_json;

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
            let value = to_json(&Variant::from(value.map_err(mif::Error::from)?));
            show(&value, "", output)
        }
        None => {
            let values =
                proxy.get_all_configuration_data(&request.element).await.map_err(mif::Error::from)?;
            let values =
                values.into_iter().map(|(identifier, value)| (identifier, to_json(&Variant::from(value))));
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
