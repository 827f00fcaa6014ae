//! What changes without a message to a subscriber.

use std::num::NonZero;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath};

use crate::error::Result;
use crate::names::{BUS_NAME, INTERFACE_INTERFACE, MANAGER_INTERFACE, ROOT_PATH};

/// How many signals wait for a program that does not read; then zbus reads no more from the connection.
const QUEUE: Option<NonZero<usize>> = NonZero::new(4_096);

/// A change of a property that no announcement tells of. The value is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyChange {
    /// The state, name or list of PvDs of an interface.
    Interface(OwnedObjectPath),
    /// `DefaultProvisioningDomains` or `Startup` of the Manager.
    Manager,
}

/// The changes of properties of the Manager and of interfaces, as they occur: two match rules, however many
/// interfaces there are. The stream has to be polled, or replies on the same connection stop coming.
///
/// # Errors
/// [`crate::Error::Disconnected`] when the bus is lost.
pub async fn property_changes(connection: &Connection) -> Result<impl Stream<Item = PropertyChange> + use<>> {
    let interfaces = signals(connection, INTERFACE_INTERFACE).await?;
    let manager = signals(connection, MANAGER_INTERFACE).await?;
    Ok(stream::select(interfaces, manager))
}

async fn signals(
    connection: &Connection,
    interface: &'static str,
) -> Result<BoxStream<'static, PropertyChange>> {
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(BUS_NAME)
        .interface("org.freedesktop.DBus.Properties")
        .member("PropertiesChanged")
        .path_namespace(ROOT_PATH)
        .add_arg(interface)
        .build()?;
    let signals = MessageStream::for_match_rule(rule, connection, QUEUE).await?;
    Ok(signals.filter_map(async |signal| read(&signal.ok()?)).boxed())
}

fn read(signal: &zbus::Message) -> Option<PropertyChange> {
    let header = signal.header();
    let path = header.path()?;
    if path.as_str() == ROOT_PATH {
        return Some(PropertyChange::Manager);
    }
    Some(PropertyChange::Interface(path.to_owned().into()))
}
