//! The contract's dictionaries as structs, its enumerations as enums, and readers of configuration values.
//!
//! In a dictionary that comes from the service a key without a value is left out (`None`), and keys that
//! this version does not know are ignored.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use zbus::{DeserializeDict, OwnedObjectPath, OwnedVariant, SerializeDict, Type};

use crate::error::{Error, Result};
use crate::names::FOR_EVER;

mod explanation;
mod words;

pub use explanation::{CandidateDetails, ExplainOptions, ExplanationDetails, RouteDetails};
pub use words::{
    AddressState, ClosedReason, Element, Family, InterfaceKind, InterfaceState, Origin, TranslationSystem,
};

/// One entry of the property `Addresses`.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct AddressEntry {
    /// Address as text, without a zone.
    pub address: String,
    /// Bits.
    pub prefix_length: u8,
    /// State.
    pub state: AddressState,
    /// Where it came from.
    pub element: Option<Element>,
    /// A temporary address (RFC 8981).
    pub temporary: Option<bool>,
}

/// Details of an InterfaceAnnouncement.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct InterfaceDetails {
    /// The kernel's index.
    pub ifindex: Option<u32>,
    /// The kernel's name.
    pub name: Option<String>,
    /// Kind.
    pub kind: Option<InterfaceKind>,
}

/// Details of a ProvisioningDomainAnnouncement.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct PvdDetails {
    /// PvD ID, or implicit id.
    pub id: Option<String>,
    /// Origin.
    pub origin: Option<Origin>,
    /// Family.
    pub family: Option<Family>,
}

/// Details of a NameTranslation, and one entry of `answers` (which has `address` too).
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct AnswerDetails {
    /// Address as text; in the signal it is an argument of its own.
    pub address: Option<String>,
    /// What found it.
    pub source: Option<TranslationSystem>,
    /// Seconds.
    pub ttl: Option<u32>,
    /// The server that answered.
    pub server: Option<String>,
    /// udp, tcp, dot, doh, doq.
    pub transport: Option<String>,
    /// The question and the answer went encrypted.
    pub encrypted: Option<bool>,
    /// Made from an IPv4 address with the PvD's NAT64 prefix.
    pub synthesized: Option<bool>,
}

/// Details of the reply of TranslateName, and of TranslationFinished (which has no `answers`).
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct TranslationDetails {
    /// Where the aliases end.
    pub canonical_name: Option<String>,
    /// There were more addresses than the limit.
    pub truncated: Option<bool>,
    /// DNS response code.
    pub rcode: Option<u16>,
    /// One for each address.
    pub answers: Option<Vec<AnswerDetails>>,
}

/// Details of the reply of ConnectToAddress, and of Connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct ConnectionDetails {
    /// The source address.
    pub local_address: Option<String>,
    /// The source port.
    pub local_port: Option<u16>,
    /// Microseconds from the first packet to the connection.
    pub handshake_us: Option<u32>,
}

/// Details of NotConnected.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct FailureDetails {
    /// The errno of the connect that failed.
    pub errno: Option<i32>,
}

/// Details of the reply of BindSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct BindingDetails {
    /// The source address.
    pub source: Option<String>,
    /// The interface.
    pub device: Option<String>,
    /// The port, once it is chosen.
    pub local_port: Option<u16>,
}

/// Options of TranslateName; `None` is the service's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct TranslateNameOptions {
    /// any, ipv4 or ipv6.
    pub family: Option<String>,
    /// Milliseconds, 1 to 120000.
    pub timeout: Option<u32>,
    /// These and no other; the order in which they are asked is the service's.
    pub systems: Option<Vec<TranslationSystem>>,
}

/// Options of ConnectToAddress; `None` is the service's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct ConnectToAddressOptions {
    /// A source address of the PvD; not on the message face.
    pub source: Option<String>,
    /// Milliseconds, 1 to 120000.
    pub timeout: Option<u32>,
    /// tcp or mptcp.
    pub protocol: Option<String>,
}

/// Options of ConnectToName; `None` is the service's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct ConnectToNameOptions {
    /// Selectors: only PvDs that one of these names.
    pub require: Option<Vec<String>>,
    /// Selectors: these first.
    pub prefer: Option<Vec<String>>,
    /// Selectors: these when the others have had their chance.
    pub avoid: Option<Vec<String>>,
    /// last, never or equal.
    pub captive: Option<String>,
    /// last, never or equal.
    pub no_internet: Option<String>,
    /// any, ipv4 or ipv6.
    pub family: Option<String>,
    /// Milliseconds, 1 to 120000.
    pub timeout: Option<u32>,
    /// tcp or mptcp.
    pub protocol: Option<String>,
}

/// Details of the reply of ConnectToName.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct NameConnectionDetails {
    /// The PvD that won.
    pub pvd: Option<OwnedObjectPath>,
    /// Its Id.
    pub pvd_id: Option<String>,
    /// The address of the name that is connected to.
    pub address: Option<String>,
    /// The other end: behind a NAT64 not the address itself.
    pub remote_address: Option<String>,
    /// The source address.
    pub local_address: Option<String>,
    /// The source port.
    pub local_port: Option<u16>,
    /// Microseconds from the first packet to the connection.
    pub handshake_us: Option<u32>,
    /// How the race went, a line for each event.
    pub story: Option<Vec<String>>,
}

/// Options of BindSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub struct BindSocketOptions {
    /// A source address of the PvD.
    pub source: Option<String>,
    /// Chooses the source by RFC 6724 inside the PvD.
    pub destination: Option<String>,
    /// 0: chosen at connect.
    pub local_port: Option<u16>,
}

/// Options of CreateSubscriber: none is defined yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct SubscriberOptions {}

/// A point in time: CLOCK_BOOTTIME, counted from the start of the machine, suspended time included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// This long after the start of the machine.
    At(Duration),
    /// Never.
    Never,
}

impl Deadline {
    /// From microseconds as they travel on the bus.
    #[must_use]
    pub fn from_micros(micros: u64) -> Self {
        if micros >= FOR_EVER { Self::Never } else { Self::At(Duration::from_micros(micros)) }
    }

    /// Time left at `now` (CLOCK_BOOTTIME): zero when it has passed, `None` for ever.
    #[must_use]
    pub fn remaining(self, now: Duration) -> Option<Duration> {
        match self {
            Self::At(at) => Some(at.saturating_sub(now)),
            Self::Never => None,
        }
    }
}

/// What GetAllConfigurationData returns: configuration values by identifier ([`crate::names::identifier`]).
#[derive(Debug, Default, PartialEq)]
pub struct ConfigurationData(HashMap<String, OwnedVariant>);

impl From<HashMap<String, OwnedVariant>> for ConfigurationData {
    fn from(values: HashMap<String, OwnedVariant>) -> Self {
        Self(values)
    }
}

impl ConfigurationData {
    /// The identifiers that have a value, sorted.
    #[must_use]
    pub fn identifiers(&self) -> Vec<&str> {
        let mut identifiers: Vec<&str> = self.0.keys().map(String::as_str).collect();
        identifiers.sort_unstable();
        identifiers
    }

    /// The value of an identifier of type `T`: `String`, `u16`, `u32`, `u64`, `bool`, `Vec<String>`, or
    /// `Vec<HashMap<String, OwnedVariant>>` for lists of dictionaries. `None` when it has no value.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when the value has another type.
    pub fn get<T>(&self, identifier: &str) -> Result<Option<T>>
    where
        T: TryFrom<OwnedVariant>,
        T::Error: std::fmt::Display,
    {
        let Some(value) = self.0.get(identifier) else { return Ok(None) };
        let wrong =
            |detail: &dyn std::fmt::Display| Error::unexpected(format!("value of {identifier}"), detail);
        let value = value.try_clone().map_err(|error| wrong(&error))?;
        T::try_from(value).map(Some).map_err(|error| wrong(&error))
    }
}

/// An address as the service writes it.
pub(crate) fn parse_address(text: &str, what: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| Error::unexpected(what, format_args!("{text:?} is not an address")))
}

/// Milliseconds as they travel on the bus.
pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use zbus::Variant;
    use zbus::wire::{LE, serialized::Context, to_bytes};

    #[test]
    fn a_dictionary_is_read_by_its_keys_and_unknown_keys_are_ignored() {
        let sent: HashMap<&str, Variant<'_>> = HashMap::from([
            ("address", Variant::from("192.0.2.1")),
            ("prefix-length", Variant::from(24_u8)),
            ("state", Variant::from("preferred")),
            ("colour", Variant::from("green")),
        ]);
        let bytes = to_bytes(Context::new(LE, 0), &sent).unwrap();
        let (read, _): (AddressEntry, _) = bytes.deserialize().unwrap();
        assert_eq!(
            read,
            AddressEntry {
                address: "192.0.2.1".into(),
                prefix_length: 24,
                state: AddressState::Preferred,
                element: None,
                temporary: None,
            }
        );
    }

    #[test]
    fn options_that_are_not_given_do_not_travel() {
        let options = TranslateNameOptions { timeout: Some(500), ..Default::default() };
        let bytes = to_bytes(Context::new(LE, 0), &options).unwrap();
        let (read, _): (HashMap<String, OwnedVariant>, _) = bytes.deserialize().unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["timeout"]);
        assert_eq!(u32::try_from(&read["timeout"]).unwrap(), 500);
    }

    #[test]
    fn half_of_the_range_and_above_is_for_ever() {
        assert_eq!(Deadline::from_micros(u64::MAX), Deadline::Never);
        assert_eq!(Deadline::from_micros(1 << 63), Deadline::Never);
        let deadline = Deadline::from_micros((1 << 63) - 1);
        assert!(matches!(deadline, Deadline::At(_)));
        let soon = Deadline::from_micros(90_000_000);
        assert_eq!(soon.remaining(Duration::from_secs(60)), Some(Duration::from_secs(30)));
        assert_eq!(soon.remaining(Duration::from_secs(100)), Some(Duration::ZERO));
        assert_eq!(Deadline::Never.remaining(Duration::MAX), None);
    }

    #[test]
    fn configuration_values_have_the_type_that_is_asked_for() {
        let values = HashMap::from([
            ("mtu".to_owned(), OwnedVariant::from(1280_u32)),
            ("dns-servers".to_owned(), Variant::from(vec!["192.0.2.53"]).try_into_owned().unwrap()),
            (
                "routes".to_owned(),
                Variant::from(vec![HashMap::from([("destination", Variant::from("::/0"))])])
                    .try_into_owned()
                    .unwrap(),
            ),
        ]);
        let data = ConfigurationData::from(values);
        assert_eq!(data.identifiers(), ["dns-servers", "mtu", "routes"]);
        assert_eq!(data.get::<u32>("mtu").unwrap(), Some(1280));
        assert_eq!(data.get::<Vec<String>>("dns-servers").unwrap(), Some(vec!["192.0.2.53".to_owned()]));
        let routes = data.get::<Vec<HashMap<String, OwnedVariant>>>("routes").unwrap().unwrap();
        assert_eq!(<&str>::try_from(&routes[0]["destination"]).unwrap(), "::/0");
        assert_eq!(data.get::<u32>("ntp-servers").unwrap(), None);
        let error = data.get::<String>("mtu").unwrap_err();
        assert!(error.to_string().contains("value of mtu"), "{error}");
    }
}
