//! The state as JSON. The schema is in `mifctl status --help`: fields may be added, none is removed.

use std::net::IpAddr;
use std::time::Duration;

use mif::{Address, Interface, ProvisioningDomain, State};
use serde::Serialize;
use serde_json::{Map, Value};

use super::configuration::{Configuration, Configurations};

use crate::format::seconds_left;

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Status<'a> {
    startup: bool,
    features: &'a [String],
    default_provisioning_domains: Vec<&'a str>,
    interfaces: Vec<InterfaceView<'a>>,
}

#[derive(Debug, Serialize)]
struct InterfaceView<'a> {
    path: &'a str,
    ifindex: u32,
    name: &'a str,
    display_name: &'a str,
    kind: &'a str,
    state: &'a str,
    provisioning_domains: Vec<PvdView<'a>>,
}

#[derive(Debug, Serialize)]
struct PvdView<'a> {
    path: &'a str,
    id: &'a str,
    origin: &'a str,
    family: &'a str,
    default: bool,
    elements: Vec<&'a str>,
    addresses: Vec<AddressView<'a>>,
    dns_servers: &'a [IpAddr],
    search_domains: &'a [String],
    routers: &'a [IpAddr],
    configuration_revision: u32,
    configuration: Option<&'a Map<String, Value>>,
}

#[derive(Debug, Serialize)]
struct AddressView<'a> {
    address: IpAddr,
    prefix_length: u8,
    state: &'a str,
    element: Option<&'a str>,
    temporary: bool,
    preferred_seconds: Option<u64>,
    valid_seconds: Option<u64>,
}

impl<'a> Status<'a> {
    /// The view of a state at `now` (CLOCK_BOOTTIME).
    pub fn new(state: &'a State, configurations: &'a Configurations, now: Duration) -> Self {
        Self {
            startup: state.startup,
            features: &state.features,
            default_provisioning_domains: state.default_pvds.iter().map(|path| path.as_str()).collect(),
            interfaces: state
                .interfaces
                .iter()
                .map(|it| InterfaceView::new(it, state, configurations, now))
                .collect(),
        }
    }
}

impl<'a> InterfaceView<'a> {
    fn new(
        interface: &'a Interface,
        state: &State,
        configurations: &'a Configurations,
        now: Duration,
    ) -> Self {
        let view = |pvd| PvdView::new(pvd, state, configurations, now);
        Self {
            path: interface.path.as_str(),
            ifindex: interface.ifindex,
            name: &interface.name,
            display_name: &interface.display_name,
            kind: interface.kind.as_str(),
            state: interface.state.as_str(),
            provisioning_domains: interface.pvds.iter().map(view).collect(),
        }
    }
}

impl<'a> PvdView<'a> {
    fn new(
        pvd: &'a ProvisioningDomain,
        state: &State,
        configurations: &'a Configurations,
        now: Duration,
    ) -> Self {
        Self {
            path: pvd.path.as_str(),
            id: &pvd.id,
            origin: pvd.origin.as_str(),
            family: pvd.family.as_str(),
            default: state.is_default(pvd),
            elements: pvd.elements.iter().map(|element| element.as_str()).collect(),
            addresses: pvd.addresses.iter().map(|address| AddressView::new(address, now)).collect(),
            dns_servers: &pvd.dns_servers,
            search_domains: &pvd.search_domains,
            routers: &pvd.routers,
            configuration_revision: pvd.configuration_revision,
            configuration: configurations.of(pvd).map(Configuration::values),
        }
    }
}

impl<'a> AddressView<'a> {
    fn new(address: &'a Address, now: Duration) -> Self {
        Self {
            address: address.address,
            prefix_length: address.prefix_length,
            state: address.state.as_str(),
            element: address.element.as_ref().map(|element| element.as_str()),
            temporary: address.temporary,
            preferred_seconds: seconds_left(address.preferred_until, now),
            valid_seconds: seconds_left(address.valid_until, now),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::status::samples;

    #[test]
    fn the_schema_is_that_of_the_help() {
        let state = samples::two_isps();
        let configurations = samples::configurations(&state);
        let value =
            serde_json::to_value(Status::new(&state, &configurations, Duration::from_secs(1_000))).unwrap();
        let pvd = &value["interfaces"][1]["provisioning_domains"][0];
        assert_eq!(pvd["id"], "implicit:eth0:ipv4");
        assert_eq!(pvd["default"], true);
        assert_eq!(pvd["addresses"][0]["address"], "192.0.2.10");
        assert_eq!(pvd["addresses"][0]["valid_seconds"], 86_399);
        assert_eq!(pvd["dns_servers"][0], "192.0.2.53");
        assert_eq!(pvd["configuration"]["mtu"], 1400);

        // Every field is described.
        let help = <crate::args::Arguments as clap::CommandFactory>::command()
            .find_subcommand_mut("status")
            .unwrap()
            .render_long_help()
            .to_string();
        let mut levels = vec![&value];
        while let Some(level) = levels.pop() {
            match level {
                serde_json::Value::Object(fields) => {
                    for (name, field) in fields {
                        assert!(help.contains(name.as_str()), "{name}");
                        // What is in it is the D-Bus interface's to describe.
                        if name != "configuration" {
                            levels.push(field);
                        }
                    }
                }
                serde_json::Value::Array(items) => levels.extend(items),
                _ => {}
            }
        }
    }
}
