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
