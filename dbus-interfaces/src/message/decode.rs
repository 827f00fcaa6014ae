//! A signal of the service as a message.

use std::collections::HashMap;

use zbus::OwnedVariant;
use zbus::wire::DynamicDeserialize;

use super::Message;
use crate::error::{Error, Result};
use crate::request::Answer;
use crate::wire::{AnswerDetails, Deadline, parse_address};

impl Message {
    /// Decodes a signal of `org.ietf.Mif1.Subscriber`.
    pub(crate) fn decode(signal: &zbus::Message) -> Result<Self> {
        let header = signal.header();
        let member = header.member().map(|member| member.as_str()).unwrap_or_default();
        match member {
            "InterfaceAnnouncement"
            | "NoInterfaceAnnouncement"
            | "ProvisioningDomainAnnouncement"
            | "NoProvisioningDomainAnnouncement" => Self::decode_object(member, signal),
            "ConfigurationElementAnnouncement"
            | "NoConfigurationElementAnnouncement"
            | "AddressAnnouncement"
            | "NoAddressAnnouncement" => Self::decode_configuration(member, signal),
            "NameTranslation" | "TranslationFinished" | "Connected" | "NotConnected" | "Closed" => {
                Self::decode_progress(member, signal)
            }
            other => Ok(Self::Other { member: other.to_owned() }),
        }
    }

    /// Interfaces and PvDs.
    fn decode_object(member: &str, signal: &zbus::Message) -> Result<Self> {
        Ok(match member {
            "InterfaceAnnouncement" => {
                let (interface, display_name, details) = arguments(member, signal)?;
                Self::InterfaceAnnouncement { interface, display_name, details }
            }
            "NoInterfaceAnnouncement" => {
                Self::NoInterfaceAnnouncement { interface: arguments(member, signal)? }
            }
            "ProvisioningDomainAnnouncement" => {
                let (interface, pvd, details) = arguments(member, signal)?;
                Self::ProvisioningDomainAnnouncement { interface, pvd, details }
            }
            _ => {
                let (interface, pvd) = arguments(member, signal)?;
                Self::NoProvisioningDomainAnnouncement { interface, pvd }
            }
        })
    }

    /// Configuration elements and addresses.
    fn decode_configuration(member: &str, signal: &zbus::Message) -> Result<Self> {
        Ok(match member {
            "ConfigurationElementAnnouncement" => {
                let (pvd, element, _) = arguments::<(_, _, Details)>(member, signal)?;
                Self::ConfigurationElementAnnouncement { pvd, element }
            }
            "NoConfigurationElementAnnouncement" => {
                let (pvd, element) = arguments(member, signal)?;
                Self::NoConfigurationElementAnnouncement { pvd, element }
            }
            "AddressAnnouncement" => {
                let (pvd, address, prefix_length, preferred, valid, _) =
                    arguments::<(_, String, _, _, _, Details)>(member, signal)?;
                Self::AddressAnnouncement {
                    pvd,
                    address: parse_address(&address, member)?,
                    prefix_length,
                    preferred_until: Deadline::from_micros(preferred),
                    valid_until: Deadline::from_micros(valid),
                }
            }
            _ => {
                let (pvd, address) = arguments::<(_, String)>(member, signal)?;
                Self::NoAddressAnnouncement { pvd, address: parse_address(&address, member)? }
            }
        })
    }

    /// What follows a request, and the end.
    fn decode_progress(member: &str, signal: &zbus::Message) -> Result<Self> {
        Ok(match member {
            "NameTranslation" => {
                let (translation_id, address, details) =
                    arguments::<(_, String, AnswerDetails)>(member, signal)?;
                Self::NameTranslation { translation_id, answer: Answer::decode(&address, details)? }
            }
            "TranslationFinished" => {
                let (translation_id, error_name, details) = arguments::<(_, String, _)>(member, signal)?;
                let outcome =
                    if error_name.is_empty() { Ok(()) } else { Err(Error::from_name(&error_name, "")) };
                Self::TranslationFinished { translation_id, outcome, details }
            }
            "Connected" => {
                let (connection_id, details) = arguments(member, signal)?;
                Self::Connected { connection_id, details }
            }
            "NotConnected" => {
                let (connection_id, name, text, details) =
                    arguments::<(_, String, String, _)>(member, signal)?;
                Self::NotConnected { connection_id, error: Error::from_name(&name, &text), details }
            }
            _ => {
                let (reason, _) = arguments::<(_, Details)>(member, signal)?;
                Self::Closed { reason }
            }
        })
    }
}

/// A dictionary of which no key is read.
type Details = HashMap<String, OwnedVariant>;

fn arguments<T>(member: &str, signal: &zbus::Message) -> Result<T>
where
    T: for<'d> DynamicDeserialize<'d>,
{
    signal.body().deserialize().map_err(|error| Error::unexpected(format!("arguments of {member}"), error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::error::ErrorKind;
    use serde::Serialize;
    use zbus::{DynamicType, ObjectPath, Variant};

    fn decode<B: Serialize + DynamicType>(member: &str, body: &B) -> Result<Message> {
        let signal = zbus::Message::signal("/a", "org.ietf.Mif1.Subscriber", member).build(body).unwrap();
        Message::decode(&signal)
    }

    fn pvd() -> ObjectPath<'static> {
        ObjectPath::try_from("/org/ietf/Mif1/pvd/7").unwrap()
    }

    fn none() -> HashMap<&'static str, Variant<'static>> {
        HashMap::new()
    }

    #[test]
    fn an_address_announcement_carries_deadlines() {
        let message =
            decode("AddressAnnouncement", &(pvd(), "2001:db8::1", 64_u8, 5_000_000_u64, u64::MAX, none()))
                .unwrap();
        let Message::AddressAnnouncement { address, prefix_length, preferred_until, valid_until, .. } =
            message
        else {
            panic!("{message:?}")
        };
        assert_eq!((address.to_string().as_str(), prefix_length), ("2001:db8::1", 64));
        assert_eq!(preferred_until, Deadline::from_micros(5_000_000));
        assert_eq!(valid_until, Deadline::Never);
    }

    #[test]
    fn a_failure_is_an_error_of_the_same_name() {
        let message = decode(
            "NotConnected",
            &(9_u32, "org.ietf.Mif1.Error.ConnectionRefused", "192.0.2.1 port 1 refused", none()),
        )
        .unwrap();
        let Message::NotConnected { connection_id: 9, error, .. } = message else { panic!("{message:?}") };
        assert_eq!(error.kind(), Some(ErrorKind::ConnectionRefused));
        assert_eq!(error.to_string(), "192.0.2.1 port 1 refused");

        let message = decode("TranslationFinished", &(9_u32, "", none())).unwrap();
        assert!(matches!(message, Message::TranslationFinished { outcome: Ok(()), .. }), "{message:?}");
    }

    #[test]
    fn every_signal_of_the_contract_is_known() {
        let xml = crate::introspection::SUBSCRIBER;
        let members: Vec<&str> =
            xml.split("<signal name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(members.len(), 13);
        for member in members {
            // A body that fits none of them: a known member complains, an unknown one does not look.
            let decoded = decode(member, &(true,));
            assert!(decoded.is_err(), "{member}: {decoded:?}");
        }
        assert!(matches!(decode("AddedLater", &(true,)), Ok(Message::Other { .. })));
    }

    #[test]
    fn wrong_arguments_name_the_member() {
        let error = decode("NoAddressAnnouncement", &(pvd(), "fe80::1%eth0")).unwrap_err();
        assert!(error.to_string().contains("NoAddressAnnouncement"), "{error}");
    }
}
