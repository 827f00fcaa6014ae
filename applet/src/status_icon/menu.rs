//! `com.canonical.dbusmenu`: the menu of the status icon.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedVariant, Variant, fdo, interface};

use super::{MENU_PATH, Shared};
use crate::model::status_icon::{Entry, Kind, StatusIcon};

/// What an entry is like, by name.
type Properties = HashMap<String, OwnedVariant>;

/// An entry with those below it.
type Layout = (i32, Properties, Vec<OwnedVariant>);

/// One more for each change of the menu.
static REVISION: AtomicU32 = AtomicU32::new(1);

/// The menu.
#[derive(Debug)]
pub struct Menu(pub Shared);

#[interface(name = "com.canonical.dbusmenu")]
impl Menu {
    fn get_layout(&self, parent: i32, depth: i32, _names: Vec<String>) -> fdo::Result<(u32, Layout)> {
        let icon = self.0.icon();
        let below = if parent == 0 && depth != 0 { layouts(&icon.menu)? } else { Vec::new() };
        let properties = match parent {
            0 => one("children-display", "submenu")?,
            id => properties(icon.entry(id).ok_or_else(|| unknown(id))?)?,
        };
        Ok((REVISION.load(Ordering::Relaxed), (parent, properties, below)))
    }

    fn get_group_properties(
        &self,
        ids: Vec<i32>,
        _names: Vec<String>,
    ) -> fdo::Result<Vec<(i32, Properties)>> {
        let entries = self.0.icon().menu;
        let asked_for = entries.iter().filter(|entry| ids.is_empty() || ids.contains(&entry.number));
        asked_for.map(|entry| Ok((entry.number, properties(entry)?))).collect()
    }

    fn get_property(&self, id: i32, name: &str) -> fdo::Result<OwnedVariant> {
        let icon = self.0.icon();
        let mut properties = properties(icon.entry(id).ok_or_else(|| unknown(id))?)?;
        properties.remove(name).ok_or_else(|| fdo::Error::InvalidArgs(format!("entry {id} has no {name:?}")))
    }

    async fn event(&self, id: i32, event: &str, _data: Variant<'_>, _time: u32) {
        if event != "clicked" {
            return;
        }
        if let Some(action) = self.0.icon().action(id) {
            self.0.press(action).await;
        }
    }

    async fn event_group(&self, events: Vec<(i32, String, OwnedVariant, u32)>) -> Vec<i32> {
        let icon = self.0.icon();
        let mut unknown = Vec::new();
        for (id, event, data, time) in events {
            if id == 0 || icon.entry(id).is_some() {
                self.event(id, &event, data.into(), time).await;
            } else {
                unknown.push(id);
            }
        }
        unknown
    }

    fn about_to_show(&self, _id: i32) -> bool {
        false
    }

    fn about_to_show_group(&self, _ids: Vec<i32>) -> (Vec<i32>, Vec<i32>) {
        (Vec::new(), Vec::new())
    }

    #[zbus(property)]
    fn version(&self) -> u32 {
        3
    }

    #[zbus(property)]
    fn text_direction(&self) -> &str {
        // The host mirrors menus by its own language.
        "none"
    }

    #[zbus(property)]
    fn status(&self) -> &str {
        "normal"
    }

    #[zbus(property)]
    fn icon_theme_path(&self) -> Vec<String> {
        Vec::new()
    }

    #[zbus(signal)]
    async fn layout_updated(emitter: &SignalEmitter<'_>, revision: u32, parent: i32) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn items_properties_updated(
        emitter: &SignalEmitter<'_>,
        updated: Vec<(i32, Properties)>,
        removed: Vec<(i32, Vec<String>)>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn item_activation_requested(emitter: &SignalEmitter<'_>, id: i32, time: u32) -> zbus::Result<()>;
}

/// Tells what of the menu is new.
pub async fn changed(connection: &Connection, before: &StatusIcon, now: &StatusIcon) -> zbus::Result<()> {
    let emitter = SignalEmitter::new(connection, MENU_PATH)?;
    if !now.has_entries_of(before) {
        let revision = REVISION.fetch_add(1, Ordering::Relaxed) + 1;
        Menu::layout_updated(&emitter, revision, 0).await?;
    }
    // Of entries that they know already, hosts need not look at the properties in the layout.
    let changed = now.changed_entries(before);
    if !changed.is_empty() {
        let updated = changed.iter().map(|entry| Ok((entry.number, properties(entry)?)));
        let updated = updated.collect::<fdo::Result<Vec<_>>>()?;
        Menu::items_properties_updated(&emitter, updated, Vec::new()).await?;
    }
    Ok(())
}

fn layouts(entries: &[Entry]) -> fdo::Result<Vec<OwnedVariant>> {
    let layout = |entry: &Entry| -> fdo::Result<OwnedVariant> {
        let layout: Layout = (entry.number, properties(entry)?, Vec::new());
        owned(Variant::from(layout))
    };
    entries.iter().map(layout).collect()
}

fn properties(entry: &Entry) -> fdo::Result<Properties> {
    match &entry.kind {
        Kind::Separator => one("type", "separator"),
        // An underscore marks the key of an entry; this one is meant.
        Kind::Action(label, _) => one("label", &label.replace('_', "__")),
        Kind::Text(label) => {
            let mut properties = one("label", &label.replace('_', "__"))?;
            properties.insert("enabled".to_owned(), OwnedVariant::from(false));
            Ok(properties)
        }
    }
}

fn one(name: &str, value: &str) -> fdo::Result<Properties> {
    Ok(HashMap::from([(name.to_owned(), owned(Variant::from(value))?)]))
}

fn owned(value: Variant<'_>) -> fdo::Result<OwnedVariant> {
    value.try_into_owned().map_err(|error| fdo::Error::Failed(error.to_string()))
}

fn unknown(id: i32) -> fdo::Error {
    fdo::Error::InvalidArgs(format!("there is no entry {id} in the menu"))
}
