//! What each provisioning domain is configured with, beyond what its properties say.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use mif::proxy::ProvisioningDomainProxy;
use mif::{ProvisioningDomain, State};
use serde_json::{Map, Value};
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use crate::failure::Failure;
use mif::json::to_json;

/// Questions under way at a time.
const AT_A_TIME: usize = 32;

/// The values that the service itself uses, by provisioning domain.
#[derive(Debug, Default)]
pub struct Configurations(HashMap<OwnedObjectPath, Configuration>);

/// The values of one provisioning domain, by identifier.
#[derive(Debug, Default)]
pub struct Configuration {
    values: Map<String, Value>,
}

impl Configurations {
    /// Asks for those of every provisioning domain in `state`. One that has gone since has none.
    ///
    /// # Errors
    /// The service or the bus has gone.
    pub async fn read(connection: &Connection, state: &State) -> Result<Self, Failure> {
        let ask = |pvd: OwnedObjectPath| async move {
            let proxy = ProvisioningDomainProxy::builder(connection).path(pvd.clone());
            let proxy = proxy.cache_properties(zbus::proxy::CacheProperties::No).build().await;
            let values = match proxy {
                Ok(proxy) => proxy.get_all_configuration_data(mif::names::ANY_ELEMENT).await,
                Err(error) => Err(error),
            };
            (pvd, values)
        };
        let paths: Vec<OwnedObjectPath> = state.pvds().map(|pvd| pvd.path.clone()).collect();
        let mut answers = stream::iter(paths).map(ask).buffer_unordered(AT_A_TIME);
        let mut all = HashMap::new();
        while let Some((pvd, values)) = answers.next().await {
            match values.map_err(mif::Error::from) {
                Ok(values) => drop(all.insert(pvd, Configuration::new(&values))),
                Err(error) if has_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self(all))
    }

    /// That of `pvd`.
    pub fn of(&self, pvd: &ProvisioningDomain) -> Option<&Configuration> {
        self.0.get(&pvd.path)
    }

    /// Adds one, for tests.
    #[cfg(test)]
    pub fn with(mut self, pvd: &ProvisioningDomain, values: Value) -> Self {
        let Value::Object(values) = values else { return self };
        self.0.insert(pvd.path.clone(), Configuration { values });
        self
    }
}

impl Configuration {
    fn new(values: &HashMap<String, OwnedVariant>) -> Self {
        Self { values: values.iter().map(|(name, value)| (name.clone(), to_json(value))).collect() }
    }

    /// All values, as JSON.
    pub const fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// A text.
    pub fn text(&self, identifier: &str) -> Option<&str> {
        self.values.get(identifier)?.as_str()
    }

    /// A number, or a time.
    pub fn number(&self, identifier: &str) -> Option<u64> {
        self.values.get(identifier)?.as_u64()
    }

    /// Yes or no.
    pub fn flag(&self, identifier: &str) -> Option<bool> {
        self.values.get(identifier)?.as_bool()
    }

    /// A list of texts; empty when there is none.
    pub fn texts(&self, identifier: &str) -> Vec<&str> {
        self.list(identifier).iter().filter_map(Value::as_str).collect()
    }

    /// A list of dictionaries; empty when there is none.
    pub fn list(&self, identifier: &str) -> &[Value] {
        self.values.get(identifier).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether a provisioning domain has gone since the state was read.
const fn has_gone(error: &mif::Error) -> bool {
    use mif::ErrorKind::{NoSuchPvd, PvdGone, UnknownObject};
    matches!(error, mif::Error::Reply { kind: NoSuchPvd | PvdGone | UnknownObject, .. })
}
