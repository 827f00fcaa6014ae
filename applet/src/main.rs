//! See the provisioning domains of this machine, live: `mif-applet`.
//!
//! What is shown is decided in [`model`], which knows no widgets; [`client`] is the only way to the bus; the rest are
//! widgets, each with its `.ui` file.

mod accessible;
mod application;
mod client;
mod clock;
mod countdown;
mod detail_row;
mod details_page;
mod entry_item;
mod files;
mod model;
mod preferences;
mod preferences_window;
mod row_item;
mod section;
mod sidebar;
mod sidebar_row;
mod status_icon;
mod timeline_page;
mod timeline_row;
mod trouble_page;
mod try_card;
mod try_page;
mod window;

use gettextrs::LocaleCategory;
use gtk::prelude::*;
use gtk::{gio, glib};

use application::Application;

/// The name of the translations.
const DOMAIN: &str = "mif-applet";

/// Where translations are, unless the environment names another folder.
const TRANSLATIONS: &str = "/usr/share/locale";

fn main() -> glib::ExitCode {
    speak();
    if let Err(error) = gio::resources_register_include!("mif-applet.gresource") {
        glib::g_critical!("mif-applet", "cannot read the resources of the program: {error}");
        return glib::ExitCode::FAILURE;
    }
    glib::set_application_name(&gettextrs::gettext("Provisioning Domains"));
    Application::new().run()
}

/// Speaks the language of the person, if there is a translation. Without one it goes on in English.
fn speak() {
    gettextrs::setlocale(LocaleCategory::LcAll, "");
    let folder = std::env::var_os("MIF_APPLET_TRANSLATIONS").unwrap_or_else(|| TRANSLATIONS.into());
    let bound = gettextrs::bindtextdomain(DOMAIN, std::path::PathBuf::from(folder))
        .and_then(|_| gettextrs::bind_textdomain_codeset(DOMAIN, "UTF-8").map(drop))
        .and_then(|()| gettextrs::textdomain(DOMAIN).map(drop));
    if let Err(error) = bound {
        glib::g_warning!("mif-applet", "cannot look for translations: {error}");
    }
}
