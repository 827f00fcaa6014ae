//! A row of the list.

use std::cell::RefCell;
use std::time::Duration;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::accessible;
use crate::countdown::Countdown;
use crate::model::condition::Condition;
use crate::model::network::RowView;
use crate::model::{time, words};
use crate::row_item::RowItem;

mod imp {
    use super::{Countdown, RefCell, RowItem, glib};
    use gtk::CompositeTemplate;
    use gtk::prelude::*;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/sidebar_row.ui")]
    pub struct SidebarRow {
        #[template_child]
        pub icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub title: TemplateChild<gtk::Label>,
        #[template_child]
        pub subtitle: TemplateChild<gtk::Label>,
        #[template_child]
        pub left: TemplateChild<Countdown>,
        pub bound: RefCell<Option<(RowItem, glib::SignalHandlerId)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SidebarRow {
        const NAME: &'static str = "MifSidebarRow";
        type Type = super::SidebarRow;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            Countdown::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for SidebarRow {}
    impl WidgetImpl for SidebarRow {}
    impl BoxImpl for SidebarRow {}
}

glib::wrapper! {
    /// Shows a [`RowItem`].
    pub struct SidebarRow(ObjectSubclass<imp::SidebarRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl SidebarRow {
    /// An empty row.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows this item from now on. `now` is CLOCK_BOOTTIME.
    pub fn bind(&self, item: &RowItem, now: Duration) {
        let row = self.downgrade();
        let handler = item.connect_local("changed", false, move |_| {
            if let Some(row) = row.upgrade() {
                row.show(crate::clock::since_boot());
            }
            None
        });
        self.imp().bound.replace(Some((item.clone(), handler)));
        self.show(now);
    }

    /// Shows nothing any more.
    pub fn unbind(&self) {
        if let Some((item, handler)) = self.imp().bound.take() {
            item.disconnect(handler);
        }
    }

    /// Counts down.
    pub fn tick(&self, now: Duration) {
        let view = self.imp().bound.borrow().as_ref().and_then(|(item, _)| item.view());
        if let Some(view) = view {
            self.show_time_left(&view, now);
        }
    }

    /// How long its time left stays as it is.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let bound = self.imp().bound.borrow();
        time::stays(bound.as_ref()?.0.until()?, now)
    }

    fn show(&self, now: Duration) {
        let imp = self.imp();
        let Some(view) = imp.bound.borrow().as_ref().and_then(|(item, _)| item.view()) else { return };
        imp.title.set_text(&view.title);
        imp.subtitle.set_text(&view.subtitle);
        imp.icon.set_icon_name(Some(view.icon));
        for style in Condition::STYLES {
            imp.icon.remove_css_class(style);
        }
        match view.condition {
            Some(condition) => {
                imp.icon.add_css_class(condition.style());
                imp.title.remove_css_class("heading");
                self.set_margin_start(18);
            }
            None => {
                imp.title.add_css_class("heading");
                self.set_margin_start(0);
            }
        }
        if let Some(parent) = self.parent() {
            accessible::set_label(&parent, &words::joined([&view.title, &view.subtitle]));
        }
        self.set_tooltip_text(Some(&words::plain(&view.title)));
        self.show_time_left(&view, now);
    }

    fn show_time_left(&self, view: &RowView, now: Duration) {
        let countdown = &self.imp().left;
        countdown.set_visible(view.until.is_some());
        if let Some(until) = view.until {
            countdown.show(&time::left(until, now));
        }
    }
}
