//! The messages between a subscriber and the service, typed.

use std::net::IpAddr;
use std::sync::Arc;

use zbus::{OwnedObjectPath, OwnedVariant};

use crate::error::{Error, Result};
use crate::request::{Answer, ConnectRequest, TranslateOptions};
use crate::wire::{
    ClosedReason, ConnectionDetails, Deadline, Element, FailureDetails, InterfaceDetails, PvdDetails,
    TranslationDetails,
};

mod decode;
mod encode;

/// A message of the draft (section 3.5), in either direction, and what this binding adds to them ([+]).
///
/// Those from the subscriber are posted ([`crate::blocking::Subscriber::post`]; the async
/// [`crate::Subscriber`] has a method for each). Those to the subscriber come out of
/// [`crate::blocking::Subscriber::get`] and the stream [`crate::Messages`].
///
/// Listings and changes look the same. Where a listing ends is told by [`Message::ListingComplete`] or, in
/// the async library, by the return of the call (ordering rule O2).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Message {
    /// Draft 3.5.1, to the service: list the interfaces and tell of changes.
    AnnounceInterfaces,
    /// Draft 3.5.2, to the service.
    StopAnnouncingInterfaces,
    /// Draft 3.5.3.
    InterfaceAnnouncement {
        /// Which.
        interface: OwnedObjectPath,
        /// Its name for people.
        display_name: String,
        /// Index, name, kind.
        details: InterfaceDetails,
    },
    /// Draft 3.5.4.
    NoInterfaceAnnouncement {
        /// Which.
        interface: OwnedObjectPath,
    },
    /// Draft 3.5.5, to the service: list the PvDs of an interface and tell of changes.
    AnnounceProvisioningDomains {
        /// The interface.
        interface: OwnedObjectPath,
    },
    /// Draft 3.5.6, to the service.
    StopAnnouncingProvisioningDomains {
        /// The interface.
        interface: OwnedObjectPath,
    },
    /// Draft 3.5.7.
    ProvisioningDomainAnnouncement {
        /// The interface it is on.
        interface: OwnedObjectPath,
        /// Which.
        pvd: OwnedObjectPath,
        /// Id, origin, family.
        details: PvdDetails,
    },
    /// Draft 3.5.8.
    NoProvisioningDomainAnnouncement {
        /// The interface it was on.
        interface: OwnedObjectPath,
        /// Which.
        pvd: OwnedObjectPath,
    },
    /// Draft 3.5.9, to the service: list the configuration elements of a PvD and tell of changes.
    AnnounceConfigurationElements {
        /// The PvD.
        pvd: OwnedObjectPath,
    },
    /// [+] to the service.
    StopAnnouncingConfigurationElements {
        /// The PvD.
        pvd: OwnedObjectPath,
    },
    /// Draft 3.5.10: complete, or a value in it has changed.
    ConfigurationElementAnnouncement {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Which.
        element: Element,
    },
    /// Draft 3.5.11.
    NoConfigurationElementAnnouncement {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Which.
        element: Element,
    },
    /// Draft 3.5.12, to the service: list the addresses of a PvD and tell of changes.
    AnnounceAddresses {
        /// The PvD.
        pvd: OwnedObjectPath,
    },
    /// [+] to the service.
    StopAnnouncingAddresses {
        /// The PvD.
        pvd: OwnedObjectPath,
    },
    /// Draft 3.5.13. The deadlines may move later unannounced.
    AddressAnnouncement {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Which.
        address: IpAddr,
        /// Bits.
        prefix_length: u8,
        /// Until when new connections should use it.
        preferred_until: Deadline,
        /// Until when it is there.
        valid_until: Deadline,
    },
    /// Draft 3.5.14.
    NoAddressAnnouncement {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Which.
        address: IpAddr,
    },
    /// Draft 3.5.15, to the service.
    GetConfigurationData {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Where the value comes from; [`Element::any`] for what the service itself uses.
        element: Element,
        /// Which value: [`crate::names::identifier`].
        identifier: String,
    },
    /// Draft 3.5.15: the value that was asked for.
    ConfigurationData {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Where the value comes from; [`Element::any`] for what the service itself uses.
        element: Element,
        /// Which value: [`crate::names::identifier`].
        identifier: String,
        /// It.
        value: ConfigurationValue,
    },
    /// Draft 3.5.15: there is no such value.
    NoConfigurationData {
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Where the value comes from; [`Element::any`] for what the service itself uses.
        element: Element,
        /// Which value: [`crate::names::identifier`].
        identifier: String,
    },
    /// Draft 3.5.16, to the service: NameTranslation messages follow, then one TranslationFinished.
    TranslateName {
        /// The program's own, unique among the outstanding translations of this subscriber.
        translation_id: u32,
        /// The PvD.
        pvd: OwnedObjectPath,
        /// A host name.
        name: String,
        /// How.
        options: TranslateOptions,
    },
    /// Draft 3.5.17, to the service: nothing more is wanted.
    StopTranslatingName {
        /// The program's id.
        translation_id: u32,
    },
    /// Draft 3.5.18: one address of a name, as it comes.
    NameTranslation {
        /// The program's id.
        translation_id: u32,
        /// The address and where it came from.
        answer: Answer,
    },
    /// [+] Nothing more comes for this id.
    TranslationFinished {
        /// The program's id.
        translation_id: u32,
        /// The error, if it failed.
        outcome: Result<()>,
        /// Canonical name, truncation, DNS response code.
        details: TranslationDetails,
    },
    /// Draft 3.5.19, to the service: Connected or NotConnected follows. A request that names a source is
    /// posted as 3.5.20.
    ConnectToAddress {
        /// The program's own, unique among the outstanding connections of this subscriber.
        connection_id: u32,
        /// The PvD.
        pvd: OwnedObjectPath,
        /// Where to, from where, how.
        request: ConnectRequest,
    },
    /// Draft 3.5.20, to the service: Connected or NotConnected follows.
    ConnectToAddressFromAddress {
        /// The program's own, unique among the outstanding connections of this subscriber.
        connection_id: u32,
        /// The PvD.
        pvd: OwnedObjectPath,
        /// A source address of the PvD; it counts, not that of the request.
        source: IpAddr,
        /// Where to, how.
        request: ConnectRequest,
    },
    /// [+] to the service: nothing more is wanted.
    CancelConnection {
        /// The program's id.
        connection_id: u32,
    },
    /// Draft 3.5.21: take the socket within 30 s.
    Connected {
        /// The program's id.
        connection_id: u32,
        /// Local end and handshake time.
        details: ConnectionDetails,
    },
    /// Draft 3.5.22; it may also follow a Connected that was not taken.
    NotConnected {
        /// The program's id.
        connection_id: u32,
        /// Why.
        error: Error,
        /// The errno.
        details: FailureDetails,
    },
    /// [+] The listing that was asked for is complete; changes follow as they occur. Not in the async stream.
    ListingComplete {
        /// What was posted.
        request: Box<Message>,
        /// How many messages the listing had.
        count: u32,
    },
    /// [+] Nothing more follows of what was stopped. Not in the async stream.
    Stopped {
        /// What was posted.
        request: Box<Message>,
    },
    /// [+] The service refuses what was posted. Not in the async stream.
    Refused {
        /// What was posted.
        request: Box<Message>,
        /// Why.
        error: Error,
    },
    /// [+] Said by this library after a Closed: the service is there (again), the subscriber is new, all
    /// identifiers from before are void. Post anew what is wanted. Not in the async stream.
    Reopened,
    /// [+] The subscriber is no more. Nothing follows in the async stream; otherwise Reopened does.
    Closed {
        /// Why.
        reason: ClosedReason,
    },
    /// A message that this version of the library does not know, or cannot read.
    Other {
        /// Its member name.
        member: String,
    },
}

/// A value of GetConfigurationData, with the type that the contract gives its identifier.
#[derive(Debug, Clone)]
pub struct ConfigurationValue(Arc<OwnedVariant>);

impl ConfigurationValue {
    pub(crate) fn new(value: OwnedVariant) -> Self {
        Self(Arc::new(value))
    }

    /// The value as `T`: `String`, `u16`, `u32`, `u64`, `bool`, `Vec<String>`, or
    /// `Vec<HashMap<String, OwnedVariant>>` for lists of dictionaries.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when it has another type.
    pub fn get<T>(&self) -> Result<T>
    where
        T: TryFrom<OwnedVariant>,
        T::Error: std::fmt::Display,
    {
        let wrong = |detail: &dyn std::fmt::Display| Error::unexpected("configuration value", detail);
        let value = self.0.try_clone().map_err(|error| wrong(&error))?;
        T::try_from(value).map_err(|error| wrong(&error))
    }
}
