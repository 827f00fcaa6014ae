//! Which bus, and the connection to it.

use futures_util::StreamExt;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use crate::error::{Error, Result};
use crate::names::BUS_NAME;

/// The bus on which the service is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BusChoice {
    /// The system bus; DBUS_SYSTEM_BUS_ADDRESS is honoured.
    #[default]
    System,
    /// The user's session bus, for a service started with `mifd --session`.
    Session,
    /// The bus at this D-Bus address, such as `unix:path=/run/example/bus`.
    Address(String),
}

impl std::fmt::Display for BusChoice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => write!(formatter, "the system bus"),
            Self::Session => write!(formatter, "the session bus"),
            Self::Address(address) => write!(formatter, "the bus at {address}"),
        }
    }
}

/// Opens a connection to the bus. It tells nothing about whether the service is there.
///
/// Has to be called inside a tokio runtime, which then drives the connection.
///
/// # Errors
/// [`Error::BusUnreachable`], which names the bus.
pub async fn connect(bus: &BusChoice) -> Result<Connection> {
    let builder = match bus {
        BusChoice::System => Builder::system(),
        BusChoice::Session => Builder::session(),
        BusChoice::Address(address) => Builder::address(address.as_str()),
    };
    builder.build().await.map_err(|source| Error::BusUnreachable { bus: bus.to_string(), source })
}

/// Waits until the service owns its name, without asking the bus to start it. For programs that go on after
/// the service was restarted.
///
/// # Errors
/// [`Error::Disconnected`] when the bus is lost.
pub async fn service_present(connection: &Connection) -> Result<()> {
    service_is(connection, true).await
}

/// Waits until nobody owns the name of the service: after [`crate::wire::ClosedReason::Shutdown`] it does for a
/// moment still, and a call would have the bus start it again.
///
/// # Errors
/// [`Error::Disconnected`] when the bus is lost.
pub async fn service_absent(connection: &Connection) -> Result<()> {
    service_is(connection, false).await
}

async fn service_is(connection: &Connection, wanted: bool) -> Result<()> {
    let bus = DBusProxy::new(connection).await?;
    // Listen first, then look: no change comes unseen in between.
    let mut changes = bus.receive_name_owner_changed_with_args(&[(0, BUS_NAME)]).await?;
    if bus.name_has_owner(BusName::try_from(BUS_NAME)?).await? == wanted {
        return Ok(());
    }
    while let Some(change) = changes.next().await {
        if change.args()?.new_owner().is_some() == wanted {
            return Ok(());
        }
    }
    Err(Error::Disconnected)
}
