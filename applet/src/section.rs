//! A group of facts under a heading.

use std::cell::RefCell;
use std::time::Duration;

use gtk::glib;
use gtk::subclass::prelude::*;

use crate::accessible;
use crate::detail_row::DetailRow;
use crate::model::details;
use crate::model::rows::splices;

mod imp {
    use super::{DetailRow, RefCell, glib};
    use gtk::CompositeTemplate;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/section.ui")]
    pub struct Section {
        #[template_child]
        pub heading: TemplateChild<gtk::Label>,
        #[template_child]
        pub list: TemplateChild<gtk::ListBox>,
        /// In order, by key.
        pub rows: RefCell<Vec<(String, DetailRow)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Section {
        const NAME: &'static str = "MifSection";
        type Type = super::Section;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Section {}
    impl WidgetImpl for Section {}
    impl BoxImpl for Section {}
}

glib::wrapper! {
    /// Shows a [`details::Section`].
    pub struct Section(ObjectSubclass<imp::Section>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl Section {
    /// Shows a section. `now` is CLOCK_BOOTTIME.
    pub fn new(section: &details::Section, now: Duration) -> Self {
        let widget: Self = glib::Object::new();
        widget.imp().heading.set_text(&section.title);
        accessible::set_label(&*widget.imp().list, &section.title);
        widget.update(section, now);
        widget
    }

    /// Shows what it has by now; rows that stay keep focus.
    pub fn update(&self, section: &details::Section, now: Duration) {
        let imp = self.imp();
        let mut rows = imp.rows.borrow_mut();
        let old: Vec<String> = rows.iter().map(|(key, _)| key.clone()).collect();
        let new: Vec<String> = section.rows.iter().map(|row| row.key.clone()).collect();
        for step in splices(&old, &new) {
            let added = &section.rows[step.from..step.from + step.added];
            let added: Vec<(String, DetailRow)> =
                added.iter().map(|row| (row.key.clone(), DetailRow::new(row, now))).collect();
            for (index, (_, row)) in added.iter().enumerate() {
                let place = i32::try_from(step.position + step.removed + index).unwrap_or(-1);
                imp.list.insert(row, place);
            }
            let gone = rows.splice(step.position..step.position + step.removed, added);
            gone.for_each(|(_, row)| imp.list.remove(&row));
        }
        for ((_, row), fact) in rows.iter().zip(&section.rows) {
            row.update(fact, now);
        }
    }

    /// Counts down.
    pub fn tick(&self, now: Duration) {
        for (_, row) in self.imp().rows.borrow().iter() {
            row.tick(now);
        }
    }

    /// How long all times left stay as they are.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        self.imp().rows.borrow().iter().filter_map(|(_, row)| row.next_change(now)).min()
    }
}
