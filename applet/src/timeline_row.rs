//! A line of the timeline.

use std::cell::Cell;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::accessible;
use crate::model::timeline::Entry;
use crate::model::words::{joined, plain};

mod imp {
    use super::{Cell, glib};
    use gtk::CompositeTemplate;
    use gtk::prelude::*;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate, glib::Properties)]
    #[properties(wrapper_type = super::TimelineRow)]
    #[template(resource = "/org/ietf/Mif1/Applet/timeline_row.ui")]
    pub struct TimelineRow {
        #[template_child]
        pub time: TemplateChild<gtk::Label>,
        #[template_child]
        pub time_below: TemplateChild<gtk::Label>,
        #[template_child]
        pub icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub headline: TemplateChild<gtk::Label>,
        #[template_child]
        pub place: TemplateChild<gtk::Label>,
        #[template_child]
        pub copy: TemplateChild<gtk::Button>,
        /// There is no room for a column of times: they are below.
        #[property(get, set)]
        pub narrow: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TimelineRow {
        const NAME: &'static str = "MifTimelineRow";
        type Type = super::TimelineRow;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for TimelineRow {}
    impl WidgetImpl for TimelineRow {}
    impl BoxImpl for TimelineRow {}
}

glib::wrapper! {
    /// Shows an [`Entry`].
    pub struct TimelineRow(ObjectSubclass<imp::TimelineRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl TimelineRow {
    /// An empty line.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows an announcement.
    pub fn show(&self, entry: &Entry) {
        let imp = self.imp();
        let (headline, place, time) = (entry.headline(), entry.place(), time_of_day(entry.time));
        imp.time.set_text(&time);
        imp.time_below.set_text(&time);
        imp.icon.set_icon_name(Some(entry.change.icon()));
        imp.headline.set_text(&headline);
        imp.place.set_text(&place);
        imp.place.set_visible(!place.is_empty());
        imp.copy.set_action_target_value(Some(&plain(&entry.to_json()).to_variant()));
        if let Some(parent) = self.parent() {
            accessible::set_label(&parent, &joined([time, headline, place]));
        }
    }
}

/// Local time with milliseconds.
fn time_of_day(micros: u64) -> String {
    let seconds = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
    let time = glib::DateTime::from_unix_local(seconds).and_then(|time| time.format("%T"));
    time.map(|time| format!("{time}.{:03}", micros / 1_000 % 1_000)).unwrap_or_default()
}
