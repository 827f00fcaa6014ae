//! What systemd says of the service while an answer is waited for. A bus that starts services through systemd does not
//! hear that one could not be started: without this, a caller would wait until its own patience ends.

use std::time::Duration;

use mif::names::BUS_NAME;
use serde::Serialize;
use zbus::{Connection, DynamicType, Message, OwnedObjectPath, OwnedVariant};

/// The unit of the packages.
pub const UNIT: &str = "mifd.service";

/// Between two looks. The first one comes late enough for a service that starts as it should.
const INTERVAL: Duration = Duration::from_millis(500);

const BUS: &str = "org.freedesktop.DBus";
const SYSTEMD: &str = "org.freedesktop.systemd1";

/// Resolves when the unit has failed and nobody owns the service's name; never where the service is there, or systemd
/// does not know it.
pub async fn failed(connection: &Connection) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        match (is_served(connection).await, state(connection).await) {
            (Some(false), Some(state)) if state == "failed" => return,
            (Some(false), Some(_)) => {}
            _ => return std::future::pending().await,
        }
    }
}

async fn is_served(connection: &Connection) -> Option<bool> {
    let reply = call(connection, (BUS, "/org/freedesktop/DBus", BUS, "NameHasOwner"), &BUS_NAME).await?;
    reply.body().deserialize().ok()
}

/// `ActiveState` of the unit.
async fn state(connection: &Connection) -> Option<String> {
    let manager = (SYSTEMD, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "GetUnit");
    let unit: OwnedObjectPath = call(connection, manager, &UNIT).await?.body().deserialize().ok()?;
    let get = (SYSTEMD, unit.as_str(), "org.freedesktop.DBus.Properties", "Get");
    let reply = call(connection, get, &("org.freedesktop.systemd1.Unit", "ActiveState")).await?;
    String::try_from(reply.body().deserialize::<OwnedVariant>().ok()?).ok()
}

/// A call of (destination, path, interface, method); `None` when it fails for whatever reason.
async fn call<B>(connection: &Connection, of: (&str, &str, &str, &str), body: &B) -> Option<Message>
where
    B: Serialize + DynamicType,
{
    let (destination, path, interface, method) = of;
    connection.call_method(Some(destination), path, Some(interface), method, body).await.ok()
}
