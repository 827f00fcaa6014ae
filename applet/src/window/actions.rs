//! What keys, menus and buttons of the window do.

use adw::subclass::prelude::*;
use gtk::glib;

use super::imp;
use crate::client::Command;

/// Installs the actions `win.*`.
pub fn install(class: &mut <imp::Window as ObjectSubclass>::Class) {
    class.install_action("win.copy", Some(glib::VariantTy::STRING), |window, _, text| {
        if let Some(text) = text.and_then(glib::Variant::str) {
            window.copy(text);
        }
    });
    class.install_action("win.copy-mifctl", None, |window, _, _| {
        if let Some(command) = window.mifctl_command() {
            window.copy(&command);
        }
    });
    class.install_action("win.copy-dbus", None, |window, _, _| {
        if let Some(call) = window.dbus_call() {
            window.copy(&call);
        }
    });
    class.install_action("win.open", Some(glib::VariantTy::STRING), |window, _, url| {
        if let Some(url) = url.and_then(glib::Variant::str) {
            window.open(url);
        }
    });
    class.install_action("win.sign-in", None, |window, _, _| window.sign_in());
    class.install_action("win.retry", None, |window, _, _| window.send(Command::Retry));
    class.install_action("win.back", None, |window, _, _| {
        window.imp().leaflet.set_visible_child_name("list");
        window.imp().sidebar.take_focus();
    });
    class.install_action("win.show-keys", None, |window, _, _| window.show_keys());
    class.install_action("win.page", Some(glib::VariantTy::STRING), |window, _, name| {
        if let Some(name) = name.and_then(glib::Variant::str) {
            window.show_page(name);
        }
    });
    install_tries(class);
    install_timeline(class);
}

fn install_tries(class: &mut <imp::Window as ObjectSubclass>::Class) {
    class.install_action("win.begin-try", None, |window, _, _| window.begin_try());
    class.install_action("win.try", None, |window, _, _| window.start_try());
    class.install_action("win.cancel-try", None, |window, _, _| window.cancel_try());
    class.install_action("win.forget-tries", None, |window, _, _| window.forget_tries());
}

fn install_timeline(class: &mut <imp::Window as ObjectSubclass>::Class) {
    class.install_action("win.find", None, |window, _, _| {
        window.show_page("timeline");
        window.timeline().search();
    });
    class.install_action("win.pause", None, |window, _, _| {
        window.show_page("timeline");
        window.timeline().toggle_pause();
    });
    class.install_action("win.export", None, |window, _, _| window.export());
}

impl super::Window {
    /// The command that shows the PvD that is selected.
    fn mifctl_command(&self) -> Option<String> {
        let path = self.imp().sidebar.selected_pvd()?;
        let network = self.network();
        let network = network.borrow();
        Some(format!("mifctl status {}", quoted(&network.pvd(&path)?.facts.id)))
    }

    /// The call that asks for all values of the PvD that is selected.
    fn dbus_call(&self) -> Option<String> {
        let path = self.imp().sidebar.selected_pvd()?;
        let (name, interface) = (mif::names::BUS_NAME, mif::names::PVD_INTERFACE);
        Some(format!("busctl call {name} {path} {interface} GetAllConfigurationData s any"))
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:%".contains(letter);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
