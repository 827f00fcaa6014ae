//! `org.kde.StatusNotifierItem`.

use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, interface};

use super::{ITEM_PATH, MENU_PATH, Shared};
use crate::application;
use crate::model::status_icon::{Action, StatusIcon};

/// Pixels of an icon: width, height, ARGB32. Names are enough.
type Pixels = Vec<(i32, i32, Vec<u8>)>;

/// The item.
#[derive(Debug)]
pub struct Item(pub Shared);

#[interface(name = "org.kde.StatusNotifierItem")]
impl Item {
    async fn activate(&self, _x: i32, _y: i32) {
        self.0.press(Action::Open).await;
    }

    async fn secondary_activate(&self, _x: i32, _y: i32) {
        self.0.press(Action::Open).await;
    }

    async fn context_menu(&self, _x: i32, _y: i32) {
        // Whoever cannot show the menu gets the window.
        self.0.press(Action::Open).await;
    }

    fn scroll(&self, _delta: i32, _orientation: &str) {}

    #[zbus(property)]
    fn category(&self) -> &str {
        "SystemServices"
    }

    #[zbus(property)]
    fn id(&self) -> &str {
        "mif-applet"
    }

    #[zbus(property)]
    fn title(&self) -> String {
        self.0.icon().summary
    }

    #[zbus(property)]
    fn status(&self) -> &str {
        status(&self.0.icon())
    }

    #[zbus(property)]
    fn window_id(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn icon_name(&self) -> String {
        format!("{}-symbolic", application::ID)
    }

    #[zbus(property)]
    fn icon_pixmap(&self) -> Pixels {
        Vec::new()
    }

    #[zbus(property)]
    fn overlay_icon_name(&self) -> &str {
        ""
    }

    #[zbus(property)]
    fn overlay_icon_pixmap(&self) -> Pixels {
        Vec::new()
    }

    #[zbus(property)]
    fn attention_icon_name(&self) -> &str {
        "dialog-password-symbolic"
    }

    #[zbus(property)]
    fn attention_icon_pixmap(&self) -> Pixels {
        Vec::new()
    }

    #[zbus(property)]
    fn attention_movie_name(&self) -> &str {
        ""
    }

    /// Icon, its pixels, headline, text.
    #[zbus(property)]
    fn tool_tip(&self) -> (String, Pixels, String, String) {
        let headline = gettextrs::gettext("Provisioning Domains");
        (String::new(), Vec::new(), headline, self.0.icon().summary)
    }

    #[zbus(property)]
    fn icon_theme_path(&self) -> &str {
        ""
    }

    #[zbus(property)]
    fn item_is_menu(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn menu(&self) -> ObjectPath<'static> {
        ObjectPath::from_static_str_unchecked(MENU_PATH)
    }

    #[zbus(signal)]
    async fn new_title(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn new_icon(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn new_attention_icon(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn new_overlay_icon(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn new_tool_tip(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn new_status(emitter: &SignalEmitter<'_>, status: &str) -> zbus::Result<()>;
}

const fn status(icon: &StatusIcon) -> &'static str {
    if icon.attention { "NeedsAttention" } else { "Active" }
}

/// Tells what is new.
pub async fn changed(connection: &Connection, before: &StatusIcon, now: &StatusIcon) -> zbus::Result<()> {
    let emitter = SignalEmitter::new(connection, ITEM_PATH)?;
    if before.summary != now.summary {
        Item::new_title(&emitter).await?;
        Item::new_tool_tip(&emitter).await?;
    }
    if before.attention != now.attention {
        Item::new_status(&emitter, status(now)).await?;
    }
    Ok(())
}
