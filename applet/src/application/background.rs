//! What goes on without a window: notifications, the status icon, and the preferences about them.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};

use super::Application;
use crate::client::Link;
use crate::model::details::sign_in_page;
use crate::model::notice::{Notice, Subject};
use crate::model::status_icon::{Action, StatusIcon};
use crate::preferences::Preferences;
use crate::preferences_window::PreferencesWindow;

impl Application {
    /// Something has changed: notifies of what is worth it, and shows it in the status icon.
    pub(super) fn notice(&self) {
        let imp = self.imp();
        let notices = imp.watch.borrow_mut().look(&imp.network.borrow());
        let wanted = imp.preferences.borrow().notices.clone();
        for notice in notices.iter().filter(|notice| wanted.contains(&notice.subject)) {
            self.notify(notice);
        }
        self.show_icon();
    }

    fn notify(&self, notice: &Notice) {
        let notification = gio::Notification::new(&notice.title);
        notification.set_body(Some(&notice.body));
        notification.set_icon(&gio::ThemedIcon::new(match notice.subject {
            Subject::Gained => "network-transmit-receive-symbolic",
            Subject::Lost => "network-offline-symbolic",
            Subject::Captive => "dialog-password-symbolic",
        }));
        if let Some(path) = &notice.pvd {
            let target = path.as_str().to_variant();
            notification.set_default_action_and_target_value("app.show-pvd", Some(&target));
        }
        if notice.subject == Subject::Captive {
            notification.set_priority(gio::NotificationPriority::High);
            notification.add_button(&gettext("Sign In…"), "app.sign-in");
        }
        let word = notice.subject.word().to_variant();
        notification.add_button_with_target_value(&gettext("Don’t Show Again"), "app.mute", Some(&word));
        let about = notice.pvd.as_ref().map_or(notice.body.as_str(), |path| path.as_str());
        self.send_notification(Some(&format!("{} {about}", notice.subject.word())), &notification);
    }

    /// No more notifications of this kind.
    pub(super) fn mute(&self, subject: Subject) {
        let mut preferences = self.imp().preferences.borrow().clone();
        preferences.notices.remove(&subject);
        self.change_preferences(preferences);
    }

    /// Opens the sign-in page of the first network that has one.
    pub(super) fn sign_in(&self) {
        let network = self.imp().network.borrow();
        let page = network.pvds().into_iter().find_map(|pvd| sign_in_page(&pvd.values)).map(str::to_owned);
        drop(network);
        if let Some(page) = page {
            gio::AppInfo::launch_default_for_uri_async(
                &page,
                gio::AppLaunchContext::NONE,
                gio::Cancellable::NONE,
                |outcome| {
                    if let Err(error) = outcome {
                        glib::g_warning!("mif-applet", "cannot open the sign-in page: {error}");
                    }
                },
            );
        }
    }

    /// Shows what is there by now in the status icon, if one is wanted.
    pub(super) fn show_icon(&self) {
        let imp = self.imp();
        let Some(client) = imp.client.get() else { return };
        // The window comes first.
        if !imp.informed.get() || imp.drawing.get() {
            return;
        }
        let live = imp.link.borrow().as_ref() == Some(&Link::Live);
        let wanted = imp.preferences.borrow().status_icon;
        let mut numbers = imp.numbers.borrow_mut();
        client.show_icon(wanted.then(|| StatusIcon::new(&imp.network.borrow(), live, &mut numbers)));
    }

    /// Something in the menu of the status icon was pressed.
    pub(super) fn pressed(&self, action: Action) {
        match action {
            Action::Open => self.activate(),
            Action::Show(path) => self.activate_action("show-pvd", Some(&path.as_str().to_variant())),
            Action::SignIn => self.sign_in(),
            Action::Preferences => self.show_preferences(),
            Action::Quit => self.quit(),
        }
    }

    /// Shows the preferences.
    pub(super) fn show_preferences(&self) {
        self.activate();
        let application = self.downgrade();
        let window = PreferencesWindow::new(&self.imp().preferences.borrow(), move |preferences| {
            if let Some(application) = application.upgrade() {
                application.change_preferences(preferences);
            }
        });
        window.set_transient_for(self.active_window().as_ref());
        window.present();
    }

    fn change_preferences(&self, preferences: Preferences) {
        if let Err(error) = preferences.save() {
            let text = crate::model::words::fill(
                &gettext("Cannot keep the preferences: {error}"),
                &[("error", &error.to_string())],
            );
            self.with_window(|window| window.toast(&text));
        }
        self.apply(preferences);
    }

    /// Does as preferred from now on.
    pub(super) fn apply(&self, preferences: Preferences) {
        let imp = self.imp();
        imp.hold.replace(preferences.background.then(|| self.hold()));
        imp.preferences.replace(preferences);
        self.show_icon();
    }
}
