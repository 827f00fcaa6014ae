//! Pages that are made when somebody first wants to see them: what is not seen keeps no first frame waiting.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::glib;

use crate::timeline_page::TimelinePage;
use crate::trouble_page::TroublePage;
use crate::try_page::TryPage;

impl super::Window {
    /// Both buttons open the same menu, of which one is seen at a time.
    pub(super) fn set_up_menus(&self) {
        let imp = self.imp();
        for button in [&imp.list_menu, &imp.content_menu] {
            let menu = imp.primary_menu.get();
            button.set_create_popup_func(move |button| {
                if button.menu_model().is_none() {
                    button.set_menu_model(Some(&menu));
                }
            });
        }
    }

    /// The switcher below the pages gets its buttons when the window is narrow for the first time.
    pub(super) fn set_up_bar(&self) {
        let window = self.downgrade();
        self.imp().switcher.connect_title_visible_notify(move |switcher| {
            let Some(window) = window.upgrade().filter(|_| switcher.is_title_visible()) else { return };
            let imp = window.imp();
            if imp.bar.stack().is_none() {
                imp.bar.set_stack(Some(&*imp.pages));
            }
        });
    }

    /// What the keys do. GTK by itself would make this window with each other one.
    pub(super) fn show_keys(&self) {
        let keys = self.help_overlay().or_else(|| {
            let builder = gtk::Builder::from_resource("/org/ietf/Mif1/Applet/help_overlay.ui");
            self.set_help_overlay(builder.object::<gtk::ShortcutsWindow>("help_overlay").as_ref());
            self.help_overlay()
        });
        if let Some(keys) = keys {
            keys.present();
        }
    }

    /// What is wrong, in place of everything else; and that there is no list.
    pub(super) fn trouble(&self) -> &TroublePage {
        let imp = self.imp();
        imp.trouble.get_or_init(|| {
            let page: TroublePage = glib::Object::new();
            imp.trouble_place.set_child(Some(&page));
            let absent = adw::StatusPage::builder()
                .icon_name("network-offline-symbolic")
                .title(gettext("No Service"))
                .css_classes(["compact"])
                .build();
            imp.absent_place.set_child(Some(&absent));
            page
        })
    }

    /// Where a name is tried.
    pub(super) fn try_page(&self) -> &TryPage {
        let imp = self.imp();
        imp.try_page.get_or_init(|| {
            let page: TryPage = glib::Object::new();
            self.recall(&page);
            imp.try_place.set_child(Some(&page));
            page
        })
    }

    /// The announcements.
    pub(super) fn timeline(&self) -> &TimelinePage {
        let imp = self.imp();
        imp.timeline.get_or_init(|| {
            let page: TimelinePage = glib::Object::new();
            imp.leaflet.bind_property("folded", &page, "narrow").sync_create().build();
            page.add(imp.unseen.take().into());
            imp.timeline_place.set_child(Some(&page));
            page
        })
    }
}
