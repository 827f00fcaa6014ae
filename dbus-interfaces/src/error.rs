//! What can go wrong, by the name of the D-Bus error.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use zbus::DBusError;

use mif_selection::race::{Defeat, SelectorError};

use crate::happy_eyeballs::Lost;
use crate::message::Message;
use crate::names::{ERROR_PREFIX, STANDARD_ERROR_PREFIX};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a client and the service.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection to the bus.
    #[error("cannot connect to {bus}: {source}")]
    BusUnreachable {
        /// The bus in words, with its address when one was given.
        bus: String,
        /// What failed.
        source: zbus::Error,
    },
    /// The bus closed the connection, or the connection broke.
    #[error("the connection to the bus is lost")]
    Disconnected,
    /// An error reply, or the error in a TranslationFinished or NotConnected message.
    #[error("{message}")]
    Reply {
        /// Which error it is.
        kind: ErrorKind,
        /// Its full D-Bus name.
        name: String,
        /// What the service says about it, for people.
        message: String,
    },
    /// The service sent something that the contract does not allow.
    #[error("unexpected {what} from the service: {detail}")]
    Unexpected {
        /// The member or property.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A connection of the program's own socket failed.
    #[error("cannot connect to {remote}: {source}")]
    Connect {
        /// The other end.
        remote: SocketAddr,
        /// What the kernel says.
        source: Arc<std::io::Error>,
    },
    /// No provisioning domain led to a connection.
    #[error(transparent)]
    Lost(Arc<Lost>),
    /// A text that names no provisioning domains.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A message to the subscriber cannot be posted to the service.
    #[error("this message comes from the service and cannot be posted to it: {0:?}")]
    NotPostable(Box<Message>),
    /// So many posted messages wait to be sent that no more are taken: read what the service says to them.
    #[error("{0} posted messages wait to be sent; no more are taken before the service has answered some")]
    TooManyPosted(usize),
    /// The blocking library could not start its thread or runtime.
    #[error("cannot start the thread that reads the bus: {0}")]
    Thread(Arc<std::io::Error>),
    /// Anything else that the D-Bus library reports.
    #[error(transparent)]
    Bus(zbus::Error),
}

impl Error {
    /// The error of this name, with the message that came with it (which may be empty).
    #[must_use]
    pub fn from_name(name: &str, message: &str) -> Self {
        let kind = ErrorKind::from_name(name);
        let message = if message.is_empty() { kind.in_words(name) } else { message.to_owned() };
        Self::Reply { kind, name: name.to_owned(), message }
    }

    /// Which named error this is, if it is a reply of the bus or the service.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Reply { kind, .. } => Some(*kind),
            Self::Connect { source, .. } => ErrorKind::of_connect(source),
            Self::Lost(lost) => match &lost.defeat {
                Defeat::NoAddress(error) | Defeat::NotConnected(error) => error.kind(),
                Defeat::TimedOut => Some(ErrorKind::TimedOut),
                Defeat::NoDomain => Some(ErrorKind::NetworkUnreachable),
            },
            _ => None,
        }
    }

    /// Its full D-Bus name, if it is a reply of the bus or the service.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Reply { name, .. } => Some(name),
            _ => None,
        }
    }

    pub(crate) fn unexpected(what: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Unexpected { what: what.into(), detail: detail.to_string() }
    }
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => {
                Self::from_name(name.as_str(), message.as_deref().unwrap_or_default())
            }
            zbus::Error::FDO(standard) => match *standard {
                zbus::fdo::Error::ZBus(inner) => Self::Bus(inner),
                named => Self::from_name(&named.name(), named.description().unwrap_or_default()),
            },
            zbus::Error::InputOutput(_) => Self::Disconnected,
            other => Self::Bus(other),
        }
    }
}

impl From<zbus::fdo::Error> for Error {
    fn from(error: zbus::fdo::Error) -> Self {
        Self::from(zbus::Error::from(error))
    }
}

impl ErrorKind {
    /// What an error of connect(2) is called in the contract.
    fn of_connect(error: &std::io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Some(Self::ConnectionRefused)
            }
            io::ErrorKind::HostUnreachable => Some(Self::HostUnreachable),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Some(Self::NetworkUnreachable),
            io::ErrorKind::TimedOut => Some(Self::TimedOut),
            io::ErrorKind::AddrNotAvailable => Some(Self::SourceNotValid),
            _ => None,
        }
    }
}

/// The kinds and the names they have on the bus, written once.
macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $prefix:ident $name:literal, $words:literal;)+) => {
        /// The errors of the contract, and those standard ones that the bus or the service answers with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)+
            /// A name that this version of the library does not know.
            Other,
        }

        impl ErrorKind {
            /// The kind of a full error name.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                let (own, standard) = (name.strip_prefix(ERROR_PREFIX), name.strip_prefix(STANDARD_ERROR_PREFIX));
                match (own, standard) {
                    $(error_kinds!(@pattern $prefix $name) => Self::$kind,)+
                    // What the bus says when it has tried to start the service.
                    (_, Some("TimedOut" | "Timeout")) => Self::NoReply,
                    (_, Some(rest)) if rest.starts_with("Spawn.") => Self::StartFailed,
                    _ if name.starts_with("org.freedesktop.systemd1.") => Self::StartFailed,
                    _ => Self::Other,
                }
            }

            /// What it means, for an error that came without a message.
            fn in_words(self, name: &str) -> String {
                match self {
                    $(Self::$kind => $words.to_owned(),)+
                    Self::Other => format!("the service answered with the error {name}"),
                }
            }
        }
    };
    (@pattern own $name:literal) => { (Some($name), _) };
    (@pattern standard $name:literal) => { (_, Some($name)) };
}

error_kinds! {
    /// Nobody owns the service's name, and the bus does not know how to start it.
    NotRunning = standard "ServiceUnknown", "the service is not running";
    /// Nobody owns the name that was addressed.
    NameHasNoOwner = standard "NameHasNoOwner", "nobody owns that name on the bus";
    /// The bus could not start the service.
    StartFailed = standard "Spawn.Failed", "the bus could not start the service";
    /// The service went away before it answered, or took too long.
    NoReply = standard "NoReply", "the service did not answer";
    /// An interface that never existed, or does no more.
    NoSuchInterface = own "NoSuchInterface", "there is no such interface";
    /// A PvD that never existed in this run of the service, or a path of another kind.
    NoSuchPvd = own "NoSuchPvd", "there is no such provisioning domain";
    /// The PvD went while work was under way in it.
    PvdGone = own "PvdGone", "the provisioning domain is gone";
    /// The PvD has no such value.
    NoConfigurationData = own "NoConfigurationData", "there is no such configuration data";
    /// The caller has a subscriber with this token.
    TokenInUse = own "TokenInUse", "the subscriber token is in use";
    /// The translation or connection id is outstanding.
    IdInUse = own "IdInUse", "the id is in use";
    /// The connection id is not Connected.
    NoSuchId = own "NoSuchId", "there is no connection of that id to take";
    /// The name does not exist in this PvD.
    NameNotFound = own "NameNotFound", "the name does not exist";
    /// The name exists and has no address of the wanted family.
    NoAddress = own "NoAddress", "the name has no address of the wanted family";
    /// The PvD has no DNS server.
    NoNameServers = own "NoNameServers", "the provisioning domain has no DNS server";
    /// The servers failed or refused.
    ServerFailure = own "ServerFailure", "the DNS server failed";
    /// No answer, or no connection, in time.
    TimedOut = own "TimedOut", "no answer in time";
    /// The other end refused the connection.
    ConnectionRefused = own "ConnectionRefused", "the connection was refused";
    /// The other end cannot be reached.
    HostUnreachable = own "HostUnreachable", "the host cannot be reached";
    /// No route, no address of that family, or the interface is down.
    NetworkUnreachable = own "NetworkUnreachable", "the network cannot be reached";
    /// The source is no address of that PvD, or of the other family.
    SourceNotValid = own "SourceNotValid", "the source is not an address of that provisioning domain";
    /// The connected socket was not taken in time.
    NotClaimed = own "NotClaimed", "the connection was not taken in time";
    /// Refused by polkit, told in a NotConnected message.
    NotAuthorized = own "NotAuthorized", "not authorised";
    /// The caller is in another network namespace than the service.
    ForeignNamespace = own "ForeignNamespace", "the caller is in another network namespace than the service";
    /// A socket that BindSocket cannot bind.
    SocketNotUsable = own "SocketNotUsable", "the socket cannot be bound";
    /// The port that a socket was to be bound to is taken.
    AddressInUse = standard "AddressInUse", "the port is taken";
    /// A wrong argument or option.
    InvalidArgs = standard "InvalidArgs", "an argument is not valid";
    /// The caller may not do this.
    AccessDenied = standard "AccessDenied", "access denied";
    /// The caller might do this after a prompt, which the call did not allow.
    InteractiveAuthorizationRequired =
        standard "InteractiveAuthorizationRequired", "interactive authorisation is required";
    /// A limit of the service or of the bus.
    LimitsExceeded = standard "LimitsExceeded", "a limit is exceeded";
    /// The service, or this instance of it, cannot do this.
    NotSupported = standard "NotSupported", "not supported";
    /// The object is gone.
    UnknownObject = standard "UnknownObject", "there is no such object";
    /// The object has no such method.
    UnknownMethod = standard "UnknownMethod", "there is no such method";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_full_names() {
        let cases = [
            ("org.ietf.Mif1.Error.NoSuchPvd", ErrorKind::NoSuchPvd),
            ("org.ietf.Mif1.Error.TimedOut", ErrorKind::TimedOut),
            ("org.freedesktop.DBus.Error.TimedOut", ErrorKind::NoReply),
            ("org.freedesktop.DBus.Error.ServiceUnknown", ErrorKind::NotRunning),
            ("org.freedesktop.DBus.Error.NameHasNoOwner", ErrorKind::NameHasNoOwner),
            ("org.freedesktop.DBus.Error.AccessDenied", ErrorKind::AccessDenied),
            ("org.freedesktop.DBus.Error.Spawn.ChildExited", ErrorKind::StartFailed),
            ("org.freedesktop.systemd1.NoSuchUnit", ErrorKind::StartFailed),
            ("org.ietf.Mif1.Error.AccessDenied", ErrorKind::Other),
            ("com.example.AccessDenied", ErrorKind::Other),
        ];
        for (name, kind) in cases {
            assert_eq!(ErrorKind::from_name(name), kind, "{name}");
        }
    }

    #[test]
    fn the_message_of_the_service_is_kept_and_an_empty_one_replaced() {
        let told = Error::from_name("org.ietf.Mif1.Error.NoSuchPvd", "no PvD at /x");
        assert_eq!(told.to_string(), "no PvD at /x");
        assert_eq!(told.kind(), Some(ErrorKind::NoSuchPvd));
        let silent = Error::from_name("org.ietf.Mif1.Error.NoSuchPvd", "");
        assert_eq!(silent.to_string(), "there is no such provisioning domain");
    }

    #[test]
    fn standard_errors_keep_their_names_through_the_library() {
        let error = Error::from(zbus::Error::from(zbus::fdo::Error::ServiceUnknown("nobody".into())));
        assert_eq!(error.kind(), Some(ErrorKind::NotRunning));
        assert_eq!(error.to_string(), "nobody");
    }
}
