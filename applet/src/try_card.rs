//! How a try goes in one network.

use std::cell::RefCell;

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::accessible;
use crate::model::attempt::{Lane, Stage};
use crate::model::words::{isolated, joined};

mod imp {
    use super::{RefCell, glib};
    use gtk::CompositeTemplate;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/try_card.ui")]
    pub struct TryCard {
        #[template_child]
        pub icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub spinner: TemplateChild<gtk::Spinner>,
        #[template_child]
        pub title: TemplateChild<gtk::Label>,
        #[template_child]
        pub first: TemplateChild<gtk::Label>,
        #[template_child]
        pub status: TemplateChild<gtk::Label>,
        #[template_child]
        pub facts: TemplateChild<gtk::Grid>,
        /// Name and value of each line.
        pub lines: RefCell<Vec<(gtk::Label, gtk::Label)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TryCard {
        const NAME: &'static str = "MifTryCard";
        type Type = super::TryCard;
        type ParentType = gtk::FlowBoxChild;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for TryCard {}
    impl WidgetImpl for TryCard {}
    impl FlowBoxChildImpl for TryCard {}
}

glib::wrapper! {
    /// Shows a [`Lane`].
    pub struct TryCard(ObjectSubclass<imp::TryCard>)
        @extends gtk::FlowBoxChild, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget;
}

impl TryCard {
    /// Shows a lane.
    pub fn new(lane: &Lane) -> Self {
        let card: Self = glib::Object::new();
        card.show(lane, false);
        card
    }

    /// Shows a lane as it is by now; `first` when none was faster.
    pub fn show(&self, lane: &Lane, first: bool) {
        let imp = self.imp();
        imp.title.set_text(&lane.title);
        imp.title.set_tooltip_text(Some(&lane.title));
        let status = lane.status();
        imp.status.set_text(&status);
        imp.first.set_visible(first);
        let busy = !lane.is_over();
        imp.spinner.set_visible(busy);
        imp.spinner.set_spinning(busy && lane.stage != Stage::Waiting);
        imp.icon.set_visible(!busy);
        let (icon, style) = match lane.stage {
            Stage::Done => ("emblem-ok-symbolic", "success"),
            Stage::Failed(_) => ("dialog-error-symbolic", "error"),
            _ => ("process-stop-symbolic", "dim-label"),
        };
        imp.icon.set_icon_name(Some(icon));
        for known in ["success", "error", "dim-label"] {
            if known == style { imp.icon.add_css_class(known) } else { imp.icon.remove_css_class(known) }
        }
        self.show_facts(lane);
        let fastest = if first { gettext("fastest") } else { String::new() };
        accessible::set_label(self, &joined([lane.title.clone(), status, fastest]));
    }

    fn show_facts(&self, lane: &Lane) {
        let grid = &self.imp().facts;
        let facts = lane.facts();
        let mut lines = self.imp().lines.borrow_mut();
        while lines.len() > facts.len() {
            if let Some((name, value)) = lines.pop() {
                grid.remove(&name);
                grid.remove(&value);
            }
        }
        while lines.len() < facts.len() {
            let row = i32::try_from(lines.len()).unwrap_or(i32::MAX);
            let (name, value) = line();
            grid.attach(&name, 0, row, 1, 1);
            grid.attach(&value, 1, row, 1, 1);
            lines.push((name, value));
        }
        for ((name, value), (said, text)) in lines.iter().zip(facts) {
            name.set_text(&said);
            let text: Vec<String> = text.lines().map(isolated).collect();
            value.set_text(&text.join("\n"));
        }
    }
}

fn line() -> (gtk::Label, gtk::Label) {
    let name = gtk::Label::builder().xalign(0.0).yalign(0.0).css_classes(["caption", "dim-label"]).build();
    let value = gtk::Label::builder()
        .xalign(0.0)
        .hexpand(true)
        .selectable(true)
        .can_focus(false)
        .wrap(true)
        .wrap_mode(gtk::pango::WrapMode::WordChar)
        .css_classes(["caption", "numeric"])
        .build();
    (name, value)
}
