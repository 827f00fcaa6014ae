//! Announcements as a file, for a bug report.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};

use crate::model::words::fill;

impl super::Window {
    /// Asks where to, and writes.
    pub(super) fn export(&self) {
        let chooser = gtk::FileChooserNative::builder()
            .title(gettext("Export Announcements"))
            .transient_for(self)
            .action(gtk::FileChooserAction::Save)
            .accept_label(gettext("_Export"))
            .modal(true)
            .build();
        chooser.set_current_name("mif-announcements.jsonl");
        let window = self.downgrade();
        chooser.connect_response(move |chooser, response| {
            let file = chooser.file().filter(|_| response == gtk::ResponseType::Accept);
            if let (Some(file), Some(window)) = (file, window.upgrade()) {
                window.write(&file);
            }
            chooser.destroy();
        });
        // Nothing else holds it while it is open.
        self.imp().chooser.replace(Some(chooser.clone()));
        chooser.show();
    }

    fn write(&self, file: &gio::File) {
        let text = self.timeline().to_json();
        let lines = text.lines().count();
        let window = self.downgrade();
        let flags = gio::FileCreateFlags::REPLACE_DESTINATION;
        file.replace_contents_async(text, None, false, flags, gio::Cancellable::NONE, move |outcome| {
            let Some(window) = window.upgrade() else { return };
            window.toast(&match outcome {
                Ok(_) => crate::model::words::counted(
                    "{count} announcement exported",
                    "{count} announcements exported",
                    lines,
                ),
                Err((_, error)) => cannot(&error),
            });
        });
    }
}

fn cannot(error: &glib::Error) -> String {
    fill(&gettext("Cannot export: {error}"), &[("error", error.message())])
}
