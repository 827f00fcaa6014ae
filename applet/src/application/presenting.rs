//! The window comes with what it is to show, rather than empty and then once more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};

use super::Application;
use crate::client::{Command, Link};
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
                    let imp = application.imp();
                    imp.window.take();
                    imp.withheld.set(false);
                    imp.drawing.set(false);
                }
            });
            imp.window.replace(Some(window));
        }
        if !imp.withheld.get() {
            self.present();
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
        let imp = self.imp();
        imp.informed.set(true);
        self.release();
        if !imp.drawing.get() {
            self.drawn();
        }
    }

    fn present(&self) {
        self.with_window(|window| {
            let first = !window.is_mapped();
            window.present();
            if let Some(clock) = window.frame_clock().filter(|_| first) {
                self.wait_for_frame(&clock);
            }
        });
    }

    /// What else is to be done keeps the first frame waiting no longer.
    fn wait_for_frame(&self, clock: &gdk::FrameClock) {
        self.imp().drawing.set(true);
        let application = self.downgrade();
        let handler = Rc::new(Cell::new(None));
        let own = handler.clone();
        handler.set(Some(clock.connect_after_paint(move |clock| {
            own.take().into_iter().for_each(|handler| clock.disconnect(handler));
            if let Some(application) = application.upgrade() {
                application.imp().drawing.set(false);
                application.drawn();
            }
        })));
    }

    /// What is known is on the screen, or there is no window.
    fn drawn(&self) {
        self.with_window(Window::list_all);
        self.with_window(Window::face_trouble);
        if let Some(client) = self.imp().client.get() {
            client.send(Command::Drawn);
        }
        self.show_icon();
    }

    fn release(&self) {
        if self.imp().withheld.replace(false) {
            self.present();
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
