//! Errors as the bus carries them. The one place where the core's refusals and failures get their names.

use crate::routing::HoldError;
use mif_core::plan::{BindFailure, ConnectFailure, ConnectFailureReason, Refusal, TranslationFailure};
use mif_core::subscription::SubscriberRefusal;
use mif_core::usage::Exceeded;

/// A named error with a message for people: what was wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusError {
    /// Which.
    pub name: Name,
    /// For people.
    pub message: String,
    /// What the kernel said, where it did.
    pub errno: Option<i32>,
    /// What DNS said, where it did.
    pub rcode: Option<u16>,
}

/// The error names of the D-Bus contract.
#[expect(clippy::enum_variant_names, reason = "NameNotFound is the contract's word")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    NoSuchInterface,
    NoSuchPvd,
    PvdGone,
    NoConfigurationData,
    TokenInUse,
    IdInUse,
    NoSuchId,
    NameNotFound,
    NoAddress,
    NoNameServers,
    ServerFailure,
    TimedOut,
    ConnectionRefused,
    HostUnreachable,
    NetworkUnreachable,
    SourceNotValid,
    NotClaimed,
    NotAuthorized,
    ForeignNamespace,
    SocketNotUsable,
    AddressInUse,
    InvalidArgs,
    AccessDenied,
    InteractiveAuthorizationRequired,
    LimitsExceeded,
    NotSupported,
    Failed,
    UnknownObject,
    UnknownInterface,
    UnknownMethod,
    UnknownProperty,
    PropertyReadOnly,
}

impl Name {
    /// The full name, as an error reply carries it.
    pub const fn full(self) -> &'static str {
        match self {
            Self::NoSuchInterface => "org.ietf.Mif1.Error.NoSuchInterface",
            Self::NoSuchPvd => "org.ietf.Mif1.Error.NoSuchPvd",
            Self::PvdGone => "org.ietf.Mif1.Error.PvdGone",
            Self::NoConfigurationData => "org.ietf.Mif1.Error.NoConfigurationData",
            Self::TokenInUse => "org.ietf.Mif1.Error.TokenInUse",
            Self::IdInUse => "org.ietf.Mif1.Error.IdInUse",
            Self::NoSuchId => "org.ietf.Mif1.Error.NoSuchId",
            Self::NameNotFound => "org.ietf.Mif1.Error.NameNotFound",
            Self::NoAddress => "org.ietf.Mif1.Error.NoAddress",
            Self::NoNameServers => "org.ietf.Mif1.Error.NoNameServers",
            Self::ServerFailure => "org.ietf.Mif1.Error.ServerFailure",
            Self::TimedOut => "org.ietf.Mif1.Error.TimedOut",
            Self::ConnectionRefused => "org.ietf.Mif1.Error.ConnectionRefused",
            Self::HostUnreachable => "org.ietf.Mif1.Error.HostUnreachable",
            Self::NetworkUnreachable => "org.ietf.Mif1.Error.NetworkUnreachable",
            Self::SourceNotValid => "org.ietf.Mif1.Error.SourceNotValid",
            Self::NotClaimed => "org.ietf.Mif1.Error.NotClaimed",
            Self::NotAuthorized => "org.ietf.Mif1.Error.NotAuthorized",
            Self::ForeignNamespace => "org.ietf.Mif1.Error.ForeignNamespace",
            Self::SocketNotUsable => "org.ietf.Mif1.Error.SocketNotUsable",
            Self::AddressInUse => "org.freedesktop.DBus.Error.AddressInUse",
            Self::InvalidArgs => "org.freedesktop.DBus.Error.InvalidArgs",
            Self::AccessDenied => "org.freedesktop.DBus.Error.AccessDenied",
            Self::InteractiveAuthorizationRequired => {
                "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            }
            Self::LimitsExceeded => "org.freedesktop.DBus.Error.LimitsExceeded",
            Self::NotSupported => "org.freedesktop.DBus.Error.NotSupported",
            Self::Failed => "org.freedesktop.DBus.Error.Failed",
            Self::UnknownObject => "org.freedesktop.DBus.Error.UnknownObject",
            Self::UnknownInterface => "org.freedesktop.DBus.Error.UnknownInterface",
            Self::UnknownMethod => "org.freedesktop.DBus.Error.UnknownMethod",
            Self::UnknownProperty => "org.freedesktop.DBus.Error.UnknownProperty",
            Self::PropertyReadOnly => "org.freedesktop.DBus.Error.PropertyReadOnly",
        }
    }
}

impl BusError {
    /// An error of this name, with a message for people.
    pub fn new(name: Name, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), errno: None, rcode: None }
    }

    /// A wrong argument.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Name::InvalidArgs, message)
    }

    /// As the end of a connection that was accepted before anybody was asked: method replies say AccessDenied, or
    /// that a prompt would do, where NotConnected says NotAuthorized.
    pub fn after_acceptance(self) -> Self {
        match self.name {
            Name::AccessDenied | Name::InteractiveAuthorizationRequired => {
                Self { name: Name::NotAuthorized, ..self }
            }
            _ => self,
        }
    }
}

impl std::fmt::Display for BusError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl From<Refusal> for BusError {
    fn from(refusal: Refusal) -> Self {
        let name = match refusal {
            Refusal::PvdGone(_) => Name::PvdGone,
            Refusal::InvalidArgs(_) => Name::InvalidArgs,
            Refusal::LimitsExceeded(_) => Name::LimitsExceeded,
            Refusal::NetworkUnreachable(_) => Name::NetworkUnreachable,
            Refusal::SourceNotValid(_) => Name::SourceNotValid,
            Refusal::SocketNotUsable(_) => Name::SocketNotUsable,
            Refusal::ForeignNamespace => Name::ForeignNamespace,
            Refusal::NotSupported(_) => Name::NotSupported,
            Refusal::NameNotFound(_) => Name::NameNotFound,
            Refusal::NoAddress(_) => Name::NoAddress,
            Refusal::NoNameServers(_) | Refusal::NoNisServers(_) => Name::NoNameServers,
        };
        Self::new(name, refusal.to_string())
    }
}

impl From<HoldError> for BusError {
    fn from(error: HoldError) -> Self {
        let name = match error {
            HoldError::Gone(_) => Name::PvdGone,
            HoldError::Exhausted(_) => Name::LimitsExceeded,
            HoldError::Routing(_) | HoldError::Stopped => Name::Failed,
        };
        Self::new(name, format!("its packets cannot be led: {error}"))
    }
}

impl From<TranslationFailure> for BusError {
    fn from(failure: TranslationFailure) -> Self {
        let rcode = failure.rcode();
        let message = failure.to_string();
        let name = match failure {
            TranslationFailure::Refused(refusal) => return refusal.into(),
            TranslationFailure::NameNotFound(_) | TranslationFailure::Unknown(..) => Name::NameNotFound,
            TranslationFailure::NoAddress(_) => Name::NoAddress,
            TranslationFailure::ServerFailure(..) | TranslationFailure::NoEncryptedServer(_) => {
                Name::ServerFailure
            }
            TranslationFailure::TimedOut(_) => Name::TimedOut,
        };
        Self { rcode, ..Self::new(name, message) }
    }
}

impl From<ConnectFailure> for BusError {
    fn from(failure: ConnectFailure) -> Self {
        let name = match failure.reason {
            ConnectFailureReason::ConnectionRefused => Name::ConnectionRefused,
            // AccessDenied is about who may call; a firewall is a host that cannot be reached.
            ConnectFailureReason::HostUnreachable | ConnectFailureReason::Forbidden => Name::HostUnreachable,
            ConnectFailureReason::NetworkUnreachable => Name::NetworkUnreachable,
            ConnectFailureReason::TimedOut => Name::TimedOut,
            ConnectFailureReason::SourceNotValid => Name::SourceNotValid,
            ConnectFailureReason::NoResources => Name::LimitsExceeded,
            ConnectFailureReason::NotSupported => Name::NotSupported,
            ConnectFailureReason::Other => Name::Failed,
        };
        let errno = (failure.errno != 0).then_some(failure.errno);
        Self { errno, ..Self::new(name, failure.to_string()) }
    }
}

impl From<BindFailure> for BusError {
    fn from(failure: BindFailure) -> Self {
        let message = failure.to_string();
        let name = match failure {
            BindFailure::Refused(refusal) => return refusal.into(),
            BindFailure::SourceNotValid(_) => Name::SourceNotValid,
            BindFailure::PortTaken(_) => Name::AddressInUse,
            BindFailure::NoPort(_) => Name::LimitsExceeded,
            BindFailure::InterfaceGone => Name::NetworkUnreachable,
            BindFailure::Other(_) => Name::Failed,
        };
        Self::new(name, message)
    }
}

impl From<SubscriberRefusal> for BusError {
    fn from(refusal: SubscriberRefusal) -> Self {
        let name = match refusal {
            SubscriberRefusal::NoSuchInterface(_) => Name::NoSuchInterface,
            SubscriberRefusal::NoSuchPvd(_) => Name::NoSuchPvd,
            SubscriberRefusal::PvdGone(_) => Name::PvdGone,
            SubscriberRefusal::IdInUse(..) => Name::IdInUse,
            SubscriberRefusal::NoSuchId(_) => Name::NoSuchId,
        };
        Self::new(name, refusal.to_string())
    }
}

impl From<Exceeded> for BusError {
    fn from(exceeded: Exceeded) -> Self {
        Self::new(Name::LimitsExceeded, exceeded.to_string())
    }
}

/// Text from a caller as messages show it: escaped, and no more of it than a person reads.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let (start, rest) = text.char_indices().nth(LONGEST).map_or((text, ""), |(at, _)| (&text[..at], "..."));
    format!("{}{rest}", mif_core::text::escape(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shown("eth1\n"), "eth1\\010");
        assert_eq!(shown(&"\u{e4}".repeat(80)), "\u{e4}".repeat(80));
        assert_eq!(shown(&"\u{e4}".repeat(81)), format!("{}...", "\u{e4}".repeat(80)));
    }
}
