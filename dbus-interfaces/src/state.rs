//! Everything the service knows now, read in one go.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Serialize;
use zbus::{Connection, DeserializeDict, DynamicType, Message, OwnedObjectPath, Type};

use crate::error::{Error, Result};
use crate::names::{BUS_NAME, INTERFACE_INTERFACE, MANAGER_INTERFACE, PVD_INTERFACE, ROOT_PATH};
use crate::wire::{
    AddressEntry, AddressState, Deadline, Element, Family, InterfaceKind, InterfaceState, Origin,
    parse_address,
};

/// The interfaces and provisioning domains of the machine at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// By kernel index, each with its PvDs.
    pub interfaces: Vec<Interface>,
    /// What a program that knows nothing of PvDs uses; at most one per family.
    pub default_pvds: Vec<OwnedObjectPath>,
    /// Links that were up when the service started are not settled yet: PvDs may be missing.
    pub startup: bool,
    /// What the service can do here and now, by the words of `Manager.Features`.
    pub features: Vec<String>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// Its object; the draft's interface identifier.
    pub path: OwnedObjectPath,
    /// The kernel's index.
    pub ifindex: u32,
    /// The kernel's name, odd bytes written `\DDD`.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// Kind.
    pub kind: InterfaceKind,
    /// State.
    pub state: InterfaceState,
    /// The PvDs on it, by Id.
    pub pvds: Vec<ProvisioningDomain>,
}

/// A provisioning domain.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvisioningDomain {
    /// Its object; the draft's provisioning domain identifier.
    pub path: OwnedObjectPath,
    /// The interface it is on.
    pub interface: OwnedObjectPath,
    /// PvD ID, or implicit id.
    pub id: String,
    /// Origin.
    pub origin: Origin,
    /// Address families.
    pub family: Family,
    /// What it is configured by.
    pub elements: Vec<Element>,
    /// Source addresses.
    pub addresses: Vec<Address>,
    /// DNS servers, in the order in which they are asked.
    pub dns_servers: Vec<IpAddr>,
    /// Search domains, in order.
    pub search_domains: Vec<String>,
    /// Default routers.
    pub routers: Vec<IpAddr>,
    /// One more for each change of a configuration value other than a time.
    pub configuration_revision: u32,
}

/// A source address of a PvD.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Bits.
    pub prefix_length: u8,
    /// State.
    pub state: AddressState,
    /// Where it came from.
    pub element: Option<Element>,
    /// A temporary address (RFC 8981).
    pub temporary: bool,
    /// Until when new connections should use it.
    pub preferred_until: Deadline,
    /// Until when it is there.
    pub valid_until: Deadline,
}

impl State {
    /// Reads the state: one GetManagedObjects and the Manager's properties, asked at the same time.
    ///
    /// # Errors
    /// [`Error::Reply`] of kind [`crate::ErrorKind::NotRunning`] when the service is not there;
    /// [`Error::Unexpected`] when an answer is not of the contract.
    pub async fn read(connection: &Connection) -> Result<Self> {
        let (objects, manager) = futures_util::future::try_join(
            call(connection, ROOT_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &()),
            properties(connection, ROOT_PATH, MANAGER_INTERFACE),
        )
        .await?;
        Self::decode(&objects, &manager)
    }

    /// From the replies of GetManagedObjects and of GetAll for the Manager's properties.
    fn decode(objects: &Message, manager: &Message) -> Result<Self> {
        let objects: HashMap<OwnedObjectPath, ManagedObject> = objects
            .body()
            .deserialize()
            .map_err(|error| Error::unexpected("reply of GetManagedObjects", error))?;
        let manager: ManagerProperties = manager
            .body()
            .deserialize()
            .map_err(|error| Error::unexpected("properties of the Manager", error))?;

        let (mut interfaces, mut pvds) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for (path, object) in objects {
            if let Some(properties) = object.interface {
                interfaces.push(properties.into_interface(path.clone()));
            }
            if let Some(properties) = object.pvd {
                let pvd = properties.into_pvd(path)?;
                pvds.entry(pvd.interface.clone()).or_default().push(pvd);
            }
        }
        for interface in &mut interfaces {
            interface.pvds = pvds.remove(&interface.path).unwrap_or_default();
            interface.pvds.sort_by(|left, right| left.id.cmp(&right.id));
        }
        if let Some(interface) = pvds.into_keys().next() {
            return Err(Error::unexpected("Interface of a PvD", format_args!("{interface} is not there")));
        }
        interfaces.sort_by_key(|interface| interface.ifindex);
        Ok(Self {
            interfaces,
            default_pvds: manager.default_provisioning_domains,
            startup: manager.startup,
            features: manager.features.unwrap_or_default(),
        })
    }

    /// All PvDs, in the order of the interfaces.
    pub fn pvds(&self) -> impl Iterator<Item = &ProvisioningDomain> {
        self.interfaces.iter().flat_map(|interface| &interface.pvds)
    }

    /// The interface that a PvD is on.
    #[must_use]
    pub fn interface_of(&self, pvd: &ProvisioningDomain) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.path == pvd.interface)
    }

    /// Whether a program that knows nothing of PvDs uses this one.
    #[must_use]
    pub fn is_default(&self, pvd: &ProvisioningDomain) -> bool {
        self.default_pvds.contains(&pvd.path)
    }
}

impl Interface {
    /// Reads the properties of one interface, without its PvDs.
    ///
    /// # Errors
    /// [`Error::Reply`] of kind [`crate::ErrorKind::UnknownObject`] when it is gone.
    pub async fn read(connection: &Connection, path: &OwnedObjectPath) -> Result<Self> {
        let properties = properties(connection, path.as_str(), INTERFACE_INTERFACE).await?;
        let properties: InterfaceProperties = properties
            .body()
            .deserialize()
            .map_err(|error| Error::unexpected(format!("properties of {path}"), error))?;
        Ok(properties.into_interface(path.clone()))
    }
}

impl ProvisioningDomain {
    /// Reads the properties of one PvD.
    ///
    /// # Errors
    /// [`Error::Reply`] of kind [`crate::ErrorKind::UnknownObject`] when it is gone.
    pub async fn read(connection: &Connection, path: &OwnedObjectPath) -> Result<Self> {
        let properties = properties(connection, path.as_str(), PVD_INTERFACE).await?;
        let properties: PvdProperties = properties
            .body()
            .deserialize()
            .map_err(|error| Error::unexpected(format!("properties of {path}"), error))?;
        properties.into_pvd(path.clone())
    }
}

/// What GetManagedObjects says of one object; other interfaces of it are ignored.
#[derive(Debug, DeserializeDict, Type)]
#[zbus(signature = "a{sa{sv}}")]
struct ManagedObject {
    #[zbus(rename = "org.ietf.Mif1.Interface")]
    interface: Option<InterfaceProperties>,
    #[zbus(rename = "org.ietf.Mif1.ProvisioningDomain")]
    pvd: Option<PvdProperties>,
}

#[derive(Debug, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
struct ManagerProperties {
    default_provisioning_domains: Vec<OwnedObjectPath>,
    startup: bool,
    features: Option<Vec<String>>,
}

#[derive(Debug, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
struct InterfaceProperties {
    ifindex: u32,
    name: String,
    display_name: String,
    kind: InterfaceKind,
    state: InterfaceState,
}

impl InterfaceProperties {
    fn into_interface(self, path: OwnedObjectPath) -> Interface {
        Interface {
            path,
            ifindex: self.ifindex,
            name: self.name,
            display_name: self.display_name,
            kind: self.kind,
            state: self.state,
            pvds: Vec::new(),
        }
    }
}

#[derive(Debug, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
struct PvdProperties {
    interface: OwnedObjectPath,
    id: String,
    origin: Origin,
    family: Family,
    configuration_elements: Vec<Element>,
    addresses: Vec<AddressEntry>,
    dns_servers: Vec<String>,
    search_domains: Vec<String>,
    routers: Vec<String>,
    configuration_revision: u32,
    address_lifetimes: HashMap<String, (u64, u64)>,
}

impl PvdProperties {
    fn into_pvd(self, path: OwnedObjectPath) -> Result<ProvisioningDomain> {
        let lifetimes = self.address_lifetimes;
        Ok(ProvisioningDomain {
            interface: self.interface,
            id: self.id,
            origin: self.origin,
            family: self.family,
            elements: self.configuration_elements,
            addresses: self
                .addresses
                .into_iter()
                .map(|entry| address(entry, &lifetimes, &path))
                .collect::<Result<_>>()?,
            dns_servers: addresses(&self.dns_servers, "DnsServers", &path)?,
            search_domains: self.search_domains,
            routers: addresses(&self.routers, "Routers", &path)?,
            configuration_revision: self.configuration_revision,
            path,
        })
    }
}

/// An entry of `Addresses` with its lifetimes; one that `AddressLifetimes` does not name has no end known.
fn address(
    entry: AddressEntry,
    lifetimes: &HashMap<String, (u64, u64)>,
    pvd: &OwnedObjectPath,
) -> Result<Address> {
    let (preferred_until, valid_until) =
        lifetimes.get(&entry.address).copied().unwrap_or((u64::MAX, u64::MAX));
    Ok(Address {
        address: parse_address(&entry.address, &format!("Addresses of {pvd}"))?,
        prefix_length: entry.prefix_length,
        state: entry.state,
        element: entry.element,
        temporary: entry.temporary.unwrap_or(false),
        preferred_until: Deadline::from_micros(preferred_until),
        valid_until: Deadline::from_micros(valid_until),
    })
}

fn addresses(texts: &[String], property: &str, pvd: &OwnedObjectPath) -> Result<Vec<IpAddr>> {
    texts.iter().map(|text| parse_address(text, &format!("{property} of {pvd}"))).collect()
}

async fn properties(connection: &Connection, path: &str, interface: &str) -> Result<Message> {
    call(connection, path, "org.freedesktop.DBus.Properties", "GetAll", &interface).await
}

async fn call<B>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message>
where
    B: Serialize + DynamicType,
{
    Ok(connection.call_method(Some(BUS_NAME), path, Some(interface), method, body).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::time::Duration;
    use zbus::Variant;

    type Properties<'a> = HashMap<&'a str, Variant<'a>>;

    fn path(text: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(text).unwrap()
    }

    fn reply<B: Serialize + DynamicType>(body: &B) -> Message {
        let call = Message::method_call("/", "M").build(&()).unwrap();
        Message::method_return(&call.header()).build(body).unwrap()
    }

    fn manager() -> Message {
        let defaults = vec![path("/org/ietf/Mif1/pvd/7")];
        reply(&Properties::from([
            ("DefaultProvisioningDomains", Variant::from(defaults)),
            ("Startup", Variant::from(true)),
            ("InterfaceVersion", Variant::from(1_u32)),
            ("Features", Variant::from(vec!["connect", "polkit"])),
        ]))
    }

    fn interface() -> Properties<'static> {
        Properties::from([
            ("Ifindex", Variant::from(2_u32)),
            ("Name", Variant::from("eth0")),
            ("DisplayName", Variant::from("Office")),
            ("Kind", Variant::from("ethernet")),
            ("State", Variant::from("up")),
            ("ProvisioningDomains", Variant::from(vec![path("/org/ietf/Mif1/pvd/7")])),
        ])
    }

    fn pvd(address: &'static str) -> Properties<'static> {
        let entry: Properties<'static> = Properties::from([
            ("address", Variant::from(address)),
            ("prefix-length", Variant::from(24_u8)),
            ("state", Variant::from("preferred")),
            ("element", Variant::from("dhcpv4")),
            ("temporary", Variant::from(false)),
        ]);
        let lifetimes = HashMap::from([(address, (60_000_000_u64, u64::MAX))]);
        Properties::from([
            ("Interface", Variant::from(path("/org/ietf/Mif1/interface/3"))),
            ("Id", Variant::from("implicit:eth0:ipv4")),
            ("Origin", Variant::from("implicit")),
            ("Family", Variant::from("ipv4")),
            ("ConfigurationElements", Variant::from(vec!["dhcpv4"])),
            ("Addresses", Variant::from(vec![entry])),
            ("DnsServers", Variant::from(vec!["192.0.2.53"])),
            ("SearchDomains", Variant::from(vec!["example.org"])),
            ("Routers", Variant::from(vec!["192.0.2.1"])),
            ("ConfigurationRevision", Variant::from(4_u32)),
            ("AddressLifetimes", Variant::from(lifetimes)),
            ("AddedInALaterVersion", Variant::from("ignored")),
        ])
    }

    fn objects(pvd: Properties<'static>) -> Message {
        reply(&HashMap::from([
            (
                path("/org/ietf/Mif1/interface/3"),
                HashMap::from([
                    ("org.ietf.Mif1.Interface", interface()),
                    ("org.freedesktop.DBus.Peer", Properties::new()),
                ]),
            ),
            (path("/org/ietf/Mif1/pvd/7"), HashMap::from([("org.ietf.Mif1.ProvisioningDomain", pvd)])),
        ]))
    }

    #[test]
    fn the_state_is_read_from_the_two_replies() {
        let state = State::decode(&objects(pvd("192.0.2.10")), &manager()).unwrap();
        assert!(state.startup);
        assert_eq!(state.features, ["connect", "polkit"]);
        assert_eq!(state.interfaces.len(), 1);
        let interface = &state.interfaces[0];
        assert_eq!(interface.display_name, "Office");
        assert_eq!(interface.kind, InterfaceKind::Ethernet);
        let pvds = &interface.pvds;
        assert_eq!(pvds.len(), 1);
        assert!(state.is_default(&pvds[0]));
        assert_eq!(state.interface_of(&pvds[0]), Some(interface));
        assert_eq!(pvds[0].elements, [Element::Dhcpv4]);
        assert_eq!(pvds[0].dns_servers, ["192.0.2.53".parse::<IpAddr>().unwrap()]);
        let address = &pvds[0].addresses[0];
        assert_eq!((address.prefix_length, &address.state), (24, &AddressState::Preferred));
        assert_eq!(address.preferred_until, Deadline::At(Duration::from_secs(60)));
        assert_eq!(address.valid_until, Deadline::Never);
    }

    #[test]
    fn a_missing_property_is_named() {
        let mut properties = pvd("192.0.2.10");
        properties.remove("Routers");
        let error = State::decode(&objects(properties), &manager()).unwrap_err();
        assert!(error.to_string().contains("Routers"), "{error}");
    }

    #[test]
    fn an_address_that_is_none_is_named_with_its_pvd() {
        let error = State::decode(&objects(pvd("192.0.2.300")), &manager()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("192.0.2.300") && text.contains("/org/ietf/Mif1/pvd/7"), "{text}");
    }
}
