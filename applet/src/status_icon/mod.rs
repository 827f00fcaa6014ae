//! The status icon: a StatusNotifierItem with its menu (com.canonical.dbusmenu), on the session bus.
//!
//! It runs in the bus thread. Where nobody shows such icons it waits until somebody does.

mod item;
mod menu;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use tokio::sync::watch;
use zbus::Connection;
use zbus::fdo::DBusProxy;

use crate::client::Event;
use crate::model::status_icon::{Action, StatusIcon};

use item::Item;
use menu::Menu;

/// Who collects the icons.
const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const ITEM_PATH: &str = "/StatusNotifierItem";
const MENU_PATH: &str = "/MenuBar";

/// What the objects on the bus show, and where presses go.
#[derive(Debug, Clone)]
struct Shared {
    icon: Arc<Mutex<StatusIcon>>,
    events: async_channel::Sender<Event>,
}

impl Shared {
    fn icon(&self) -> StatusIcon {
        self.icon.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, icon: StatusIcon) {
        *self.icon.lock().unwrap_or_else(PoisonError::into_inner) = icon;
    }

    /// A press is dropped when the window is gone.
    async fn press(&self, action: Action) {
        drop(self.events.send(Event::StatusIcon(action)).await);
    }
}

/// Shows the icon for as long as this runs. Without a session bus there is nobody to show it to.
pub async fn run(mut icons: watch::Receiver<Option<StatusIcon>>, events: async_channel::Sender<Event>) {
    loop {
        // Nothing is connected to while the icon is not wanted.
        if icons.wait_for(Option::is_some).await.is_err() {
            return;
        }
        // Icons are not worth an error to anybody: without a bus or a watcher the window has everything.
        if show(&mut icons, &events).await.is_err() && icons.changed().await.is_err() {
            return;
        }
    }
}

/// Shows it until it is not wanted any more.
async fn show(
    icons: &mut watch::Receiver<Option<StatusIcon>>,
    events: &async_channel::Sender<Event>,
) -> zbus::Result<()> {
    let icon = icons.borrow_and_update().clone().unwrap_or_default();
    let shared = Shared { icon: Arc::new(Mutex::new(icon)), events: events.clone() };
    let connection = zbus::connection::Builder::session()
        .serve_at(ITEM_PATH, Item(shared.clone()))
        .serve_at(MENU_PATH, Menu(shared.clone()))
        .build()
        .await?;
    let bus = DBusProxy::new(&connection).await?;
    let mut watchers = bus.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?;
    // There may be none yet.
    drop(register(&connection).await);
    loop {
        tokio::select! {
            Some(change) = watchers.next() => {
                if change.args().is_ok_and(|args| args.new_owner().is_some()) {
                    drop(register(&connection).await);
                }
            }
            changed = icons.changed() => {
                let icon = icons.borrow_and_update().clone();
                // The connection goes, and the icon with it.
                let (Ok(()), Some(icon)) = (changed, icon) else { return Ok(()) };
                tell(&connection, &shared, icon).await?;
            }
        }
    }
}

async fn register(connection: &Connection) -> zbus::Result<()> {
    let name = connection.unique_name().map(ToString::to_string).unwrap_or_default();
    connection
        .call_method(
            Some(WATCHER),
            "/StatusNotifierWatcher",
            Some(WATCHER),
            "RegisterStatusNotifierItem",
            &name,
        )
        .await?;
    Ok(())
}

/// Tells what is new.
async fn tell(connection: &Connection, shared: &Shared, icon: StatusIcon) -> zbus::Result<()> {
    let before = shared.icon();
    if before == icon {
        return Ok(());
    }
    shared.set(icon.clone());
    item::changed(connection, &before, &icon).await?;
    menu::changed(connection, &before, &icon).await
}
