//! The window comes with what it is to show, rather than empty and then once more.

use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

use super::Application;
use crate::client::Link;
use crate::window::Window;

/// How long it waits for that; then it comes without.
const PATIENCE: Duration = Duration::from_millis(250);

/// Something to be done with the window.
pub struct Wish(Box<dyn FnOnce(&Window)>);

impl std::fmt::Debug for Wish {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Wish")
    }
}

impl Application {
    pub(super) fn with_window(&self, act: impl FnOnce(&Window)) {
        let window = self.imp().window.borrow().clone();
        if let Some(window) = window {
            act(&window);
        }
    }

    pub(super) fn show_window(&self) {
        let imp = self.imp();
        if imp.window.borrow().is_none()
            && let Some(client) = imp.client.get()
        {
            let window = Window::new(self.upcast_ref(), client.clone(), imp.network.clone());
            if imp.informed.get() {
                window.show_link(imp.link.borrow().as_ref().unwrap_or(&Link::Connecting));
                window.reset();
            } else {
                self.withhold();
            }
            window.announce(imp.unseen.take().into());
            let application = self.downgrade();
            window.connect_destroy(move |_| {
                if let Some(application) = application.upgrade() {
                    application.imp().window.take();
                    application.imp().withheld.set(false);
                }
            });
            imp.window.replace(Some(window));
        }
        if !imp.withheld.get() {
            self.with_window(gtk::prelude::GtkWindowExt::present);
        }
    }

    /// The window comes with what it is to show, rather than empty and then once more; but it comes.
    fn withhold(&self) {
        self.imp().withheld.set(true);
        let application = self.downgrade();
        glib::timeout_add_local_once(PATIENCE, move || {
            let Some(application) = application.upgrade() else { return };
            let imp = application.imp();
            if imp.withheld.get() && *imp.link.borrow() != Some(Link::Live) {
                application.with_window(|window| window.show_link(&Link::Connecting));
            }
            application.release();
        });
    }

    /// It is known what to show.
    pub(super) fn inform(&self) {
        self.imp().informed.set(true);
        self.release();
    }

    fn release(&self) {
        if self.imp().withheld.replace(false) {
            self.with_window(gtk::prelude::GtkWindowExt::present);
            for Wish(act) in self.imp().wishes.take() {
                self.with_window(act);
            }
        }
    }

    /// Does something with the window, now or when it is shown.
    pub(super) fn when_shown(&self, act: impl FnOnce(&Window) + 'static) {
        if self.imp().withheld.get() {
            self.imp().wishes.borrow_mut().push(Wish(Box::new(act)));
        } else {
            self.with_window(act);
        }
    }
}
