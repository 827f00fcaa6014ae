//! The announcements as they came: filtered, paused, exported.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use gettextrs::gettext;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib};

use crate::entry_item::EntryItem;
use crate::model::timeline::{Entry, Filter, KEPT, Kind, export, keep};
use crate::model::words::{counted, fill};
use crate::timeline_row::TimelineRow;

mod imp {
    use super::{Cell, Entry, Filter, Rc, RefCell, VecDeque, gio, glib};
    use gtk::CompositeTemplate;
    use gtk::prelude::*;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate, glib::Properties)]
    #[properties(wrapper_type = super::TimelinePage)]
    #[template(resource = "/org/ietf/Mif1/Applet/timeline_page.ui")]
    pub struct TimelinePage {
        #[template_child]
        pub search: TemplateChild<gtk::SearchEntry>,
        #[template_child]
        pub kind: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub pause: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub scrolled: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub selection: TemplateChild<gtk::SingleSelection>,
        #[template_child]
        pub shown: TemplateChild<gtk::FilterListModel>,
        #[template_child]
        pub store: TemplateChild<gio::ListStore>,
        #[template_child]
        pub count: TemplateChild<gtk::Label>,
        /// All that is kept, the oldest first.
        pub kept: RefCell<VecDeque<Entry>>,
        /// The store lags behind `kept`: nobody looks, or it is paused.
        pub stale: Cell<bool>,
        pub filter: Rc<RefCell<Filter>>,
        /// There is little room in a line.
        #[property(get, set)]
        pub narrow: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TimelinePage {
        const NAME: &'static str = "MifTimelinePage";
        type Type = super::TimelinePage;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            crate::entry_item::EntryItem::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for TimelinePage {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }
    }
    impl WidgetImpl for TimelinePage {
        fn map(&self) {
            self.obj().catch_up();
            self.parent_map();
        }
    }
    impl BoxImpl for TimelinePage {}
}

glib::wrapper! {
    /// The page.
    pub struct TimelinePage(ObjectSubclass<imp::TimelinePage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl TimelinePage {
    fn set_up(&self) {
        self.set_up_rows();
        let imp = self.imp();
        let mut kinds = vec![gettext("Everything")];
        kinds.extend(Kind::ALL.map(Kind::words));
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        imp.kind.set_model(Some(&gtk::StringList::new(&kinds)));
        let filter = imp.filter.clone();
        let wanted = gtk::CustomFilter::new(move |item| {
            let entry = item.downcast_ref::<EntryItem>().and_then(EntryItem::entry);
            entry.is_some_and(|entry| filter.borrow().admits(entry))
        });
        imp.shown.set_filter(Some(&wanted));
        let page = self.downgrade();
        imp.search.connect_search_changed(move |_| with(&page, |page| page.change_filter()));
        let page = self.downgrade();
        imp.kind.connect_selected_notify(move |_| with(&page, |page| page.change_filter()));
        let page = self.downgrade();
        imp.pause.connect_toggled(move |_| with(&page, |page| page.paused()));
        let page = self.downgrade();
        imp.shown.connect_items_changed(move |_, _, _, _| with(&page, |page| page.show_count()));
        self.show_count();
    }

    fn set_up_rows(&self) {
        let factory = gtk::SignalListItemFactory::new();
        let page = self.downgrade();
        factory.connect_setup(move |_, item| {
            if let (Some(item), Some(page)) = (item.downcast_ref::<gtk::ListItem>(), page.upgrade()) {
                let row = TimelineRow::new();
                page.bind_property("narrow", &row, "narrow").sync_create().build();
                item.set_child(Some(&row));
            }
        });
        factory.connect_bind(|_, item| {
            let Some(item) = item.downcast_ref::<gtk::ListItem>() else { return };
            let row = item.child().and_downcast::<TimelineRow>();
            let object = item.item().and_downcast::<EntryItem>();
            if let (Some(row), Some(entry)) = (row, object.as_ref().and_then(EntryItem::entry)) {
                row.show(entry);
            }
        });
        self.imp().list.set_factory(Some(&factory));
    }

    /// Adds announcements.
    pub fn add(&self, new: Vec<Entry>) {
        let imp = self.imp();
        let behind = imp.stale.get() || imp.pause.is_active() || !self.is_mapped();
        if behind {
            imp.stale.set(true);
            keep(&mut imp.kept.borrow_mut(), new);
            return;
        }
        let items: Vec<EntryItem> = new.iter().rev().cloned().map(EntryItem::new).collect();
        keep(&mut imp.kept.borrow_mut(), new);
        let at_top = imp.scrolled.vadjustment().value() < 1.0;
        imp.store.splice(0, 0, &items);
        let over = imp.store.n_items().saturating_sub(u32::try_from(KEPT).unwrap_or(u32::MAX));
        imp.store.splice(imp.store.n_items() - over, over, &[] as &[EntryItem]);
        if at_top {
            self.scroll_to_top();
        }
    }

    /// The list keeps what it shows in place when something comes above; who is at the top wants to see that.
    fn scroll_to_top(&self) {
        let page = self.downgrade();
        glib::idle_add_local_once(move || {
            with(&page, |page| page.imp().scrolled.vadjustment().set_value(0.0))
        });
    }

    /// Shows what came while nobody looked.
    fn catch_up(&self) {
        let imp = self.imp();
        if !imp.stale.get() || imp.pause.is_active() {
            return;
        }
        imp.stale.set(false);
        let items: Vec<EntryItem> = imp.kept.borrow().iter().rev().cloned().map(EntryItem::new).collect();
        imp.store.splice(0, imp.store.n_items(), &items);
    }

    fn paused(&self) {
        if !self.imp().pause.is_active() && self.is_mapped() {
            self.catch_up();
        }
    }

    fn change_filter(&self) {
        let imp = self.imp();
        let kind = (imp.kind.selected() as usize).checked_sub(1).and_then(|index| Kind::ALL.get(index));
        imp.filter.replace(Filter { kind: kind.copied(), text: imp.search.text().to_string() });
        if let Some(filter) = imp.shown.filter() {
            filter.changed(gtk::FilterChange::Different);
        }
        self.show_count();
    }

    fn show_count(&self) {
        let imp = self.imp();
        let (shown, all) = (imp.shown.n_items(), imp.store.n_items());
        imp.stack.set_visible_child_name(if shown > 0 { "list" } else { "nothing" });
        let all = counted("{count} announcement", "{count} announcements", all as usize);
        imp.count.set_text(&if shown == imp.store.n_items() {
            all
        } else {
            fill(&gettext("{shown} of {all}"), &[("shown", &shown.to_string()), ("all", &all)])
        });
    }

    /// Puts the keyboard into the search.
    pub fn search(&self) {
        self.imp().search.grab_focus();
    }

    /// Pauses, or goes on.
    pub fn toggle_pause(&self) {
        let pause = &self.imp().pause;
        pause.set_active(!pause.is_active());
    }

    /// What the filter admits, the oldest first, as JSON lines.
    pub fn to_json(&self) -> String {
        let imp = self.imp();
        let filter = imp.filter.borrow();
        export(imp.kept.borrow().iter().filter(|entry| filter.admits(entry)))
    }

    /// The announcement that is selected, as JSON.
    pub fn selected(&self) -> Option<String> {
        let item = self.imp().selection.selected_item().and_downcast::<EntryItem>()?;
        item.entry().map(Entry::to_json)
    }
}

fn with(page: &glib::WeakRef<TimelinePage>, act: impl FnOnce(&TimelinePage)) {
    if let Some(page) = page.upgrade() {
        act(&page);
    }
}
