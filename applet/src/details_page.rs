//! Everything about one provisioning domain, or about an interface.

use std::cell::RefCell;
use std::time::Duration;

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use zbus::OwnedObjectPath;

use crate::clock;
use crate::model::details;
use crate::model::network::Network;
use crate::model::rows::{RowKey, splices};
use crate::section::Section;

mod imp {
    use super::{RefCell, RowKey, Section, glib};
    use gtk::CompositeTemplate;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/details_page.ui")]
    pub struct DetailsPage {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub nothing: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub scrolled: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub title: TemplateChild<gtk::Label>,
        #[template_child]
        pub content: TemplateChild<gtk::Box>,
        pub shown: RefCell<Option<RowKey>>,
        /// In order, by id.
        pub sections: RefCell<Vec<(&'static str, Section)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DetailsPage {
        const NAME: &'static str = "MifDetailsPage";
        type Type = super::DetailsPage;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DetailsPage {}
    impl WidgetImpl for DetailsPage {}
    impl BoxImpl for DetailsPage {}
}

glib::wrapper! {
    /// Shows the [`details::Section`]s of one PvD or interface.
    pub struct DetailsPage(ObjectSubclass<imp::DetailsPage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl DetailsPage {
    /// Shows this one as it is by now; the same one as before keeps focus and scroll position.
    pub fn show(&self, network: &Network, key: Option<&RowKey>) {
        let imp = self.imp();
        if imp.shown.borrow().as_ref() != key {
            self.clear();
            imp.shown.replace(key.cloned());
            imp.scrolled.vadjustment().set_value(0.0);
        }
        match key.and_then(|key| details::page(network, key)) {
            Some((title, sections)) => {
                imp.title.set_text(&title);
                self.update(&sections, clock::since_boot());
                imp.stack.set_visible_child_name("facts");
            }
            None => {
                self.say_why_nothing(network);
                imp.stack.set_visible_child_name("nothing");
            }
        }
    }

    /// The PvD that is shown.
    pub fn shown(&self) -> Option<OwnedObjectPath> {
        match self.imp().shown.borrow().as_ref()? {
            RowKey::Pvd(path) => Some(path.clone()),
            RowKey::Interface(_) => None,
        }
    }

    fn say_why_nothing(&self, network: &Network) {
        let (icon, title, description) = if network.len() > 0 {
            (
                "network-workgroup-symbolic",
                gettext("No Network Selected"),
                gettext("Select a network to see what it gave this machine"),
            )
        } else if network.startup() {
            (
                "content-loading-symbolic",
                gettext("Looking for Networks"),
                gettext("The service has just started and asks the routers on every link"),
            )
        } else {
            (
                "network-offline-symbolic",
                gettext("No Network"),
                gettext("Plug in a cable, join a Wi-Fi network or switch mobile data on"),
            )
        };
        let status = &self.imp().nothing;
        status.set_icon_name(Some(icon));
        status.set_title(&title);
        status.set_description(Some(&description));
    }

    fn clear(&self) {
        let imp = self.imp();
        for (_, section) in imp.sections.take() {
            imp.content.remove(&section);
        }
    }

    fn update(&self, new: &[details::Section], now: Duration) {
        let imp = self.imp();
        let mut shown = imp.sections.borrow_mut();
        let old: Vec<&str> = shown.iter().map(|(id, _)| *id).collect();
        let ids: Vec<&str> = new.iter().map(|section| section.id).collect();
        for step in splices(&old, &ids) {
            let added = &new[step.from..step.from + step.added];
            let added: Vec<(&'static str, Section)> =
                added.iter().map(|section| (section.id, Section::new(section, now))).collect();
            let mut before: Option<gtk::Widget> = match step.position.checked_sub(1) {
                Some(index) => Some(shown[index].1.clone().upcast()),
                None => Some(imp.title.clone().upcast()),
            };
            for (_, section) in &added {
                imp.content.insert_child_after(section, before.as_ref());
                before = Some(section.clone().upcast());
            }
            let gone = shown.splice(step.position..step.position + step.removed, added);
            gone.for_each(|(_, section)| imp.content.remove(&section));
        }
        for ((_, widget), section) in shown.iter().zip(new) {
            widget.update(section, now);
        }
    }

    /// Counts down.
    pub fn tick(&self, now: Duration) {
        for (_, section) in self.imp().sections.borrow().iter() {
            section.tick(now);
        }
    }

    /// How long all times left stay as they are that can be seen; `None` when there are none.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let sections = self.imp().sections.borrow();
        sections.iter().filter(|_| self.is_mapped()).filter_map(|(_, section)| section.next_change(now)).min()
    }
}
