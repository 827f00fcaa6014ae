//! The methods of the Manager and of provisioning domains.

use super::call::{Call, Options};
use super::convert::{self, IDENTIFIERS};
use super::dispatch::{Answered, unknown_method};
use super::error::{BusError, Name, shown};
use super::path;
use super::properties;
use super::requests::{self, Waiting};
use super::text::Text;
use super::wire::{Fields, Value};
use super::{Bus, binding};
use mif_core::configuration::{Configuration, Element};
use mif_core::pvd::{Pvd, Serial};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use zbus::{ObjectPath, OwnedVariant};

/// In the place of an element: what the service itself uses.
const ANY: &str = "any";

/// `a{sv}` as it comes in.
pub(super) type GivenOptions = HashMap<String, OwnedVariant>;

impl Bus {
    pub(super) fn is_manager_method(member: &str) -> bool {
        matches!(
            member,
            "CreateSubscriber"
                | "GetInterfaceByIndex"
                | "GetInterfaceByName"
                | "GetProvisioningDomainsById"
                | "GetProvisioningDomainsByAddress"
        )
    }

    pub(super) fn is_pvd_method(member: &str) -> bool {
        matches!(
            member,
            "GetConfigurationData"
                | "GetAllConfigurationData"
                | "TranslateName"
                | "ConnectToAddress"
                | "BindSocket"
                | "Explain"
        )
    }

    pub(super) fn call_manager(&mut self, call: Call, member: &str) {
        if member == "CreateSubscriber" {
            self.create_subscriber(call);
            return;
        }
        let answered = self.ask_manager(&call, member);
        self.answer(&call, answered);
    }

    pub(super) fn call_pvd(&mut self, call: Call, serial: Serial, member: &str) {
        let answered = match member {
            "TranslateName" => {
                let request = call.arguments("sa{sv}").and_then(|(name, options): (Text, GivenOptions)| {
                    requests::translate_request(name, options, self.translator.systems())
                });
                match request {
                    Ok(request) => return self.translate_for_call(call, serial, &request),
                    Err(error) => Err(error),
                }
            }
            "ConnectToAddress" => {
                let request = call.arguments("sqa{sv}").and_then(|(address, port, options)| {
                    requests::connect_request(address, None, port, options, Waiting::ForReply)
                });
                match request {
                    Ok(request) => return self.connect_for_call(call, serial, &request),
                    Err(error) => Err(error),
                }
            }
            "BindSocket" => match binding::Arguments::of(&call) {
                Ok(arguments) => return self.bind_for_call(call, serial, arguments),
                Err(error) => Err(error),
            },
            "Explain" => self.explain(&call, serial),
            "GetConfigurationData" => self.get_configuration_data(&call, serial),
            "GetAllConfigurationData" => self.get_all_configuration_data(&call, serial),
            _ => Err(unknown_method(properties::PVD, member)),
        };
        self.answer(&call, answered);
    }

    fn ask_manager(&self, call: &Call, member: &str) -> Answered {
        match member {
            "GetInterfaceByIndex" => {
                let (ifindex,): (u32,) = call.arguments("u")?;
                let found = self.snapshot.interface_by_index(ifindex);
                let found = found.ok_or_else(|| no_interface(&format!("with index {ifindex}")))?;
                call.reply(&(path::interface(found.serial),))
            }
            "GetInterfaceByName" => {
                let (name,): (Text,) = call.arguments("s")?;
                let found = self.snapshot.interface_by_name(&name);
                let found = found.ok_or_else(|| no_interface(&format!("named \"{}\"", shown(&name))))?;
                call.reply(&(path::interface(found.serial),))
            }
            "GetProvisioningDomainsById" => {
                let (id,): (Text,) = call.arguments("s")?;
                call.reply(&(paths(self.snapshot.pvds_by_id(&id)),))
            }
            "GetProvisioningDomainsByAddress" => {
                let (address,): (Text,) = call.arguments("s")?;
                let address = parse_address("address", &address)?;
                call.reply(&(paths(self.snapshot.pvds_by_address(address)),))
            }
            _ => Err(unknown_method(properties::MANAGER, member)),
        }
    }

    fn get_configuration_data(&self, call: &Call, serial: Serial) -> Answered {
        let (element, identifier): (Text, Text) = call.arguments("ss")?;
        let pvd = self.existing_pvd(serial)?;
        call.reply(&(self.configuration_value(pvd, &element, &identifier)?,))
    }

    fn get_all_configuration_data(&self, call: &Call, serial: Serial) -> Answered {
        let (element,): (Text,) = call.arguments("s")?;
        let pvd = self.existing_pvd(serial)?;
        call.reply(&(self.configuration_fields(pvd, &element)?.unwrap_or_default(),))
    }

    /// The value of `identifier` in what `element` gave `pvd` (the draft, 3.5.15).
    pub(super) fn configuration_value(
        &self,
        pvd: &Pvd,
        element: &str,
        identifier: &str,
    ) -> Result<Value, BusError> {
        if !IDENTIFIERS.contains(&identifier) {
            let identifier = shown(identifier);
            let known = IDENTIFIERS.join(", ");
            return Err(BusError::invalid(format!("unknown identifier \"{identifier}\"; known are {known}")));
        }
        let given = self.configuration_fields(pvd, element)?;
        given.and_then(|mut fields| fields.remove(identifier)).ok_or_else(|| {
            let text = format!("{} has no {identifier} from {element}", pvd.id);
            BusError::new(Name::NoConfigurationData, text)
        })
    }

    /// All that `element` gave; `None` when that element is not there. To what is used belongs how it is used.
    fn configuration_fields(&self, pvd: &Pvd, element: &str) -> Result<Option<Fields>, BusError> {
        let mut fields = configuration_of(pvd, element)?.map(convert::configuration);
        let strict = self.router.in_use(pvd.serial).is_some_and(|known| known.strict_reverse_path);
        if let Some(fields) = fields.as_mut().filter(|_| strict && element == ANY) {
            fields.insert(convert::STRICT_REVERSE_PATH, Value::from(true));
        }
        Ok(fields)
    }

    fn existing_pvd(&self, serial: Serial) -> Result<&Arc<Pvd>, BusError> {
        self.snapshot.pvd(serial).ok_or_else(|| super::dispatch::unknown_object(path::pvd(serial).as_str()))
    }
}

/// What `element` gave; `None` when that element is not there.
fn configuration_of<'a>(pvd: &'a Pvd, element: &str) -> Result<Option<&'a Configuration>, BusError> {
    if element == ANY {
        return Ok(Some(&pvd.used));
    }
    let known = Element::from_word(element).ok_or_else(|| {
        let words: Vec<&str> = Element::ALL.iter().map(|element| element.word()).collect();
        let element = shown(element);
        BusError::invalid(format!("unknown element \"{element}\"; known are any, {}", words.join(", ")))
    })?;
    Ok(pvd.elements.get(&known).map(|gave| &**gave))
}

/// An address argument: text without a zone.
pub(super) fn parse_address(what: &str, text: &str) -> Result<IpAddr, BusError> {
    text.parse().map_err(|_| {
        let zone = if text.contains('%') {
            " without a zone (the provisioning domain fixes the interface)"
        } else {
            ""
        };
        let text = shown(text);
        BusError::invalid(format!("{what} \"{text}\" is not an IPv4 or IPv6 address{zone}"))
    })
}

/// The options of a request, checked against what its method knows.
pub(super) fn options(given: GivenOptions, known: &[&str]) -> Result<Options, BusError> {
    Options::new(given, known)
}

fn paths<'a>(pvds: impl Iterator<Item = &'a Arc<Pvd>>) -> Vec<ObjectPath<'static>> {
    pvds.map(|pvd| path::pvd(pvd.serial)).collect()
}

fn no_interface(which: &str) -> BusError {
    BusError::new(Name::NoSuchInterface, format!("there is no interface {which} in this network namespace"))
}
