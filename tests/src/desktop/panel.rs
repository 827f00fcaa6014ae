//! The panel of a desktop: shows status icons (org.kde.StatusNotifierWatcher) and notifications.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use zbus::message::Header;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, interface};

use super::SESSION_BUS;
use crate::wait::{completes, eventually};

/// The panel.
#[derive(Debug)]
pub struct Panel {
    connection: Connection,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Unique names of those who have an icon.
    icons: Vec<String>,
    notifications: Vec<Notification>,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Headline.
    pub summary: String,
    /// The rest.
    pub body: String,
    /// Key and label of its buttons, one after the other.
    pub actions: Vec<String>,
    /// What it is called on the bus.
    pub id: u32,
}

struct Watcher(Arc<Mutex<Seen>>);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, _service: &str, #[zbus(header)] header: Header<'_>) {
        let sender = header.sender().expect("a sender").to_string();
        self.0.lock().expect("the panel").icons.push(sender);
    }
}

struct Notifications(Arc<Mutex<Seen>>);

#[interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[allow(clippy::too_many_arguments)]
    fn notify(
        &self,
        _application: &str,
        replaces: u32,
        _icon: &str,
        summary: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedVariant>,
        _timeout: i32,
    ) -> u32 {
        let mut seen = self.0.lock().expect("the panel");
        let id =
            if replaces > 0 { replaces } else { u32::try_from(seen.notifications.len()).unwrap_or(0) + 1 };
        seen.notifications.push(Notification { summary, body, actions, id });
        id
    }

    fn close_notification(&self, _id: u32) {}

    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body"].map(str::to_owned).into()
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ["panel", "mif", "1", "1.2"].map(str::to_owned).into()
    }
}

/// An entry of a menu: its number and its label.
pub type MenuEntry = (i32, String);

impl Panel {
    /// Starts it on the session bus of the desktop.
    ///
    /// # Panics
    /// When there is one already.
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let builder = zbus::connection::Builder::address(SESSION_BUS)
            .serve_at("/StatusNotifierWatcher", Watcher(seen.clone()))
            .serve_at("/org/freedesktop/Notifications", Notifications(seen.clone()))
            .name("org.kde.StatusNotifierWatcher")
            .name("org.freedesktop.Notifications");
        let connection = completes("the panel", builder.build()).await.expect("the panel");
        Self { connection, seen }
    }

    /// What was notified so far.
    ///
    /// # Panics
    /// When the panel is broken.
    pub fn notifications(&self) -> Vec<Notification> {
        self.seen.lock().expect("the panel").notifications.clone()
    }

    /// Waits for a notification with this headline.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn notified(&self, summary: &str) -> Notification {
        eventually(&format!("a notification {summary:?}"), async || {
            let all = self.notifications();
            all.iter().find(|it| it.summary == summary).cloned().ok_or_else(|| format!("{all:?}"))
        })
        .await
    }

    /// Presses a button of a notification.
    ///
    /// # Panics
    /// When the bus is gone.
    pub async fn press(&self, notification: &Notification, label: &str) {
        let key = notification.actions.chunks(2).find(|action| action[1] == label).map(|action| &action[0]);
        let key = key.unwrap_or_else(|| panic!("{label:?} in {notification:?}"));
        let path = "/org/freedesktop/Notifications";
        let interface = "org.freedesktop.Notifications";
        let body = (notification.id, key);
        let sent = self.connection.emit_signal(None::<&str>, path, interface, "ActionInvoked", &body);
        completes("a press", sent).await.expect("the bus");
    }

    /// Waits for the icon; who has it.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn icon(&self) -> String {
        eventually("a status icon", async || {
            let icons = self.seen.lock().expect("the panel").icons.clone();
            icons.last().cloned().ok_or("none")
        })
        .await
    }

    /// A property of the icon.
    ///
    /// # Panics
    /// When it has none of that name.
    pub async fn property(&self, name: &str) -> OwnedVariant {
        let icon = self.icon().await;
        let body = ("org.kde.StatusNotifierItem", name);
        let interface = Some("org.freedesktop.DBus.Properties");
        let reply = self.connection.call_method(Some(&*icon), "/StatusNotifierItem", interface, "Get", &body);
        let reply = completes("a property of the icon", reply).await.expect("a property");
        reply.body().deserialize::<OwnedVariant>().expect("a value")
    }

    /// The entries of its menu that have a label.
    ///
    /// # Panics
    /// When there is no menu.
    pub async fn menu(&self) -> Vec<MenuEntry> {
        let icon = self.icon().await;
        let menu = self.property("Menu").await;
        let path: OwnedObjectPath = menu.try_into().expect("a path");
        let interface = Some("com.canonical.dbusmenu");
        let body = (0, -1, Vec::<String>::new());
        let reply = self.connection.call_method(Some(&*icon), &path, interface, "GetLayout", &body);
        let reply = completes("the menu", reply).await.expect("a menu");
        type Layout = (i32, HashMap<String, OwnedVariant>, Vec<OwnedVariant>);
        let (_revision, (_, _, entries)): (u32, Layout) = reply.body().deserialize().expect("a menu");
        let entry = |entry: OwnedVariant| -> Option<MenuEntry> {
            let (id, mut properties, _): Layout = entry.try_into().expect("an entry");
            Some((id, properties.remove("label")?.try_into().expect("a label")))
        };
        entries.into_iter().filter_map(entry).collect()
    }

    /// Clicks on an entry of its menu.
    ///
    /// # Panics
    /// When there is none with that label.
    pub async fn click(&self, label: &str) {
        let menu = self.menu().await;
        let id = menu.iter().find(|(_, known)| known == label).map(|(id, _)| *id);
        self.click_number(id.unwrap_or_else(|| panic!("{label:?} in {menu:?}"))).await;
    }

    /// Clicks on an entry of its menu as it was when it was looked at: there may be another one by now.
    ///
    /// # Panics
    /// When the icon is gone.
    pub async fn click_number(&self, id: i32) {
        let icon = self.icon().await;
        let interface = Some("com.canonical.dbusmenu");
        let body = (id, "clicked", zbus::Variant::from(0), 0_u32);
        let reply = self.connection.call_method(Some(&*icon), "/MenuBar", interface, "Event", &body);
        completes("a click", reply).await.expect("the menu takes a click");
    }
}
