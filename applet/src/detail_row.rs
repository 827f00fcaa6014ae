//! A fact about a provisioning domain: copied by button, key or menu, and counted down.

use std::cell::RefCell;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};

use crate::countdown::Countdown;
use crate::model::details::Row;
use crate::model::time;
use crate::model::words::{fill, plain};
use gettextrs::gettext;

mod imp {
    use super::{Countdown, RefCell, Row, gdk, glib};
    use adw::subclass::prelude::*;
    use gtk::CompositeTemplate;
    use gtk::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/detail_row.ui")]
    pub struct DetailRow {
        #[template_child]
        pub left: TemplateChild<Countdown>,
        #[template_child]
        pub preferred: TemplateChild<Countdown>,
        #[template_child]
        pub link: TemplateChild<gtk::Button>,
        #[template_child]
        pub copy: TemplateChild<gtk::Button>,
        #[template_child]
        pub menu: TemplateChild<gtk::gio::MenuModel>,
        pub row: RefCell<Row>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DetailRow {
        const NAME: &'static str = "MifDetailRow";
        type Type = super::DetailRow;
        type ParentType = adw::ActionRow;

        fn class_init(class: &mut Self::Class) {
            Countdown::ensure_type();
            class.bind_template();
            class.install_action("row.copy", None, |row, _, _| row.copy(false));
            class.install_action("row.copy-all", None, |row, _, _| row.copy(true));
            class.install_action("row.menu", None, |row, _, _| row.popup(None));
            class.add_binding_action(gdk::Key::c, gdk::ModifierType::CONTROL_MASK, "row.copy");
            class.add_binding_action(gdk::Key::F10, gdk::ModifierType::SHIFT_MASK, "row.menu");
            class.add_binding_action(gdk::Key::Menu, gdk::ModifierType::empty(), "row.menu");
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DetailRow {
        fn constructed(&self) {
            self.parent_constructed();
            let click = gtk::GestureClick::builder().button(gdk::BUTTON_SECONDARY).build();
            let row = self.obj().downgrade();
            click.connect_pressed(move |_, _, x, y| {
                if let Some(row) = row.upgrade() {
                    row.popup(Some((x, y)));
                }
            });
            self.obj().add_controller(click);
        }
    }
    impl WidgetImpl for DetailRow {}
    impl ListBoxRowImpl for DetailRow {}
    impl PreferencesRowImpl for DetailRow {}
    impl ActionRowImpl for DetailRow {}
}

glib::wrapper! {
    /// Shows a [`Row`].
    pub struct DetailRow(ObjectSubclass<imp::DetailRow>)
        @extends adw::ActionRow, adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl DetailRow {
    /// Shows a fact. `now` is CLOCK_BOOTTIME.
    pub fn new(row: &Row, now: Duration) -> Self {
        let widget: Self = glib::Object::new();
        widget.fill_in(row);
        widget.tick(now);
        widget
    }

    /// Shows what the fact is by now.
    pub fn update(&self, row: &Row, now: Duration) {
        if *self.imp().row.borrow() != *row {
            self.fill_in(row);
        }
        self.tick(now);
    }

    fn fill_in(&self, row: &Row) {
        let imp = self.imp();
        PreferencesRowExt::set_title(self, &glib::markup_escape_text(&row.title));
        ActionRowExt::set_subtitle(self, &glib::markup_escape_text(&row.subtitle));
        imp.copy.set_visible(!row.value.is_empty());
        imp.copy.set_tooltip_text(Some(&fill(&gettext("Copy {value}"), &[("value", &row.value)])));
        imp.left.set_visible(row.until.is_some());
        imp.preferred.set_visible(row.preferred.is_some());
        imp.link.set_visible(row.link.is_some());
        if let Some(link) = &row.link {
            imp.link.set_label(&link.label);
            imp.link.set_action_target_value(Some(&link.url.to_variant()));
            imp.link.set_tooltip_text(Some(&link.url));
            if link.urgent {
                imp.link.add_css_class("suggested-action");
            } else {
                imp.link.remove_css_class("suggested-action");
            }
        }
        imp.row.replace(row.clone());
    }

    /// Counts down.
    pub fn tick(&self, now: Duration) {
        let imp = self.imp();
        let row = imp.row.borrow();
        if let Some(until) = row.until {
            imp.left.show(&time::left(until, now));
        }
        if let Some(until) = row.preferred {
            let left = time::left(until, now);
            imp.preferred.set_text(&fill(&gettext("preferred {time}"), &[("time", &left.text)]));
        }
    }

    /// How long its times left stay as they are.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let row = self.imp().row.borrow();
        [row.until, row.preferred].into_iter().flatten().filter_map(|until| time::stays(until, now)).min()
    }

    fn copy(&self, all: bool) {
        let row = self.imp().row.borrow();
        let text = if all { plain(&format!("{}: {}", row.title, row.subtitle)) } else { row.value.clone() };
        drop(row);
        if text.is_empty() {
            return;
        }
        // The window copies, and says so.
        if let Err(error) = WidgetExt::activate_action(self, "win.copy", Some(&text.to_variant())) {
            glib::g_warning!("mif-applet", "cannot copy: {error}");
        }
    }

    fn popup(&self, at: Option<(f64, f64)>) {
        let menu = gtk::PopoverMenu::from_model(Some(&*self.imp().menu));
        menu.set_parent(self);
        menu.set_has_arrow(false);
        menu.set_halign(gtk::Align::Start);
        if let Some((x, y)) = at {
            // Fractions of a pixel do not matter.
            #[allow(clippy::cast_possible_truncation)]
            menu.set_pointing_to(Some(&gdk::Rectangle::new(x as i32, y as i32, 1, 1)));
        }
        // The action runs first, then the menu goes.
        menu.connect_closed(|menu| {
            let menu = menu.clone();
            glib::idle_add_local_once(move || menu.unparent());
        });
        menu.popup();
    }
}
