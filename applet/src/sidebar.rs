//! The list of interfaces and provisioning domains.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use gtk::glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gio, glib};
use zbus::OwnedObjectPath;

use crate::clock;
use crate::model::network::Network;
use crate::model::rows::{RowKey, Splice, splices};
use crate::row_item::RowItem;
use crate::sidebar_row::SidebarRow;

/// Rows of the first frame: more than fit.
const FIRST: usize = 48;

mod imp {
    use super::{Cell, HashMap, OnceLock, RefCell, RowItem, RowKey, SidebarRow, Signal, gio, glib};
    use gtk::CompositeTemplate;
    use gtk::prelude::*;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/sidebar.ui")]
    pub struct Sidebar {
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub selection: TemplateChild<gtk::SingleSelection>,
        #[template_child]
        pub store: TemplateChild<gio::ListStore>,
        /// What the store has, in order.
        pub keys: RefCell<Vec<RowKey>>,
        pub items: RefCell<HashMap<RowKey, RowItem>>,
        /// Rows that show something now: only those count down.
        pub bound: RefCell<Vec<SidebarRow>>,
        /// It has all rows, not only the first ones.
        pub complete: Cell<bool>,
        /// It will be told that rows were bound.
        pub told: Cell<bool>,
        /// The list is being changed: what is selected meanwhile is nobody's choice.
        pub changing: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Sidebar {
        const NAME: &'static str = "MifSidebar";
        type Type = super::Sidebar;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            RowItem::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Sidebar {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                ["selected", "activated", "bound"].map(|name| Signal::builder(name).build()).into()
            })
        }

        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }
    }
    impl WidgetImpl for Sidebar {}
    impl BoxImpl for Sidebar {}
}

glib::wrapper! {
    /// The list. Emits `selected` when something else is, `activated` when a person wants to see it, and `bound` when
    /// rows came to show something.
    pub struct Sidebar(ObjectSubclass<imp::Sidebar>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl Sidebar {
    fn set_up(&self) {
        let factory = gtk::SignalListItemFactory::new();
        factory.connect_setup(|_, item| {
            if let Some(item) = item.downcast_ref::<gtk::ListItem>() {
                item.set_child(Some(&SidebarRow::new()));
            }
        });
        let sidebar = self.downgrade();
        factory.connect_bind(move |_, item| {
            if let (Some(sidebar), Some(item)) = (sidebar.upgrade(), item.downcast_ref()) {
                sidebar.bind(item);
            }
        });
        let sidebar = self.downgrade();
        factory.connect_unbind(move |_, item| {
            if let (Some(sidebar), Some(item)) = (sidebar.upgrade(), item.downcast_ref()) {
                sidebar.unbind(item);
            }
        });
        let imp = self.imp();
        imp.list.set_factory(Some(&factory));
        let sidebar = self.downgrade();
        imp.selection.connect_selected_item_notify(move |_| {
            if let Some(sidebar) = sidebar.upgrade().filter(|sidebar| !sidebar.imp().changing.get()) {
                sidebar.emit_by_name::<()>("selected", &[]);
            }
        });
        let sidebar = self.downgrade();
        imp.list.connect_activate(move |_, position| {
            if let Some(sidebar) = sidebar.upgrade() {
                sidebar.activated(position);
            }
        });
    }

    fn bind(&self, item: &gtk::ListItem) {
        let (Some(row), Some(object)) = (child(item), item.item().and_downcast::<RowItem>()) else { return };
        row.bind(&object, clock::since_boot());
        let imp = self.imp();
        imp.bound.borrow_mut().push(row);
        // Those that come together are told together.
        if !imp.told.replace(true) {
            let sidebar = self.downgrade();
            glib::idle_add_local_once(move || {
                if let Some(sidebar) = sidebar.upgrade() {
                    sidebar.imp().told.set(false);
                    sidebar.emit_by_name::<()>("bound", &[]);
                }
            });
        }
    }

    fn unbind(&self, item: &gtk::ListItem) {
        if let Some(row) = child(item) {
            row.unbind();
            self.imp().bound.borrow_mut().retain(|bound| *bound != row);
        }
    }

    fn activated(&self, position: u32) {
        self.imp().selection.set_selected(position);
        self.emit_by_name::<()>("activated", &[]);
    }

    /// What is selected.
    pub fn selected(&self) -> Option<RowKey> {
        let item = self.imp().selection.selected_item().and_downcast::<RowItem>()?;
        item.key().cloned()
    }

    /// The PvD that is selected.
    pub fn selected_pvd(&self) -> Option<OwnedObjectPath> {
        match self.selected()? {
            RowKey::Pvd(path) => Some(path),
            RowKey::Interface(_) => None,
        }
    }

    /// Selects something. Returns whether it is there.
    pub fn select(&self, wanted: &RowKey) -> bool {
        let position = self.imp().keys.borrow().iter().position(|key| key == wanted);
        let Some(position) = position.and_then(|position| u32::try_from(position).ok()) else { return false };
        self.imp().selection.set_selected(position);
        true
    }

    /// Puts the keyboard on the row that had it last, or else on the one that is selected.
    pub fn take_focus(&self) {
        self.imp().list.grab_focus();
    }

    /// Shows the rows of `network`: what is there already stays as it is. Of the rest only what is among `changed`
    /// is looked at; `None` for all.
    pub fn update(&self, network: &Network, changed: Option<&[OwnedObjectPath]>) {
        let imp = self.imp();
        let before = self.selected();
        let mut new = network.rows();
        if !imp.complete.get() {
            new.truncate(FIRST);
        }
        imp.changing.set(true);
        let steps = splices(&imp.keys.borrow(), &new);
        for step in &steps {
            self.splice(network, &new, step);
        }
        imp.keys.replace(new);
        self.refresh(network, changed);
        if before.as_ref().is_none_or(|key| !self.select(key)) {
            self.select_nearest(steps.first().map_or(0, |step| step.position));
        }
        imp.changing.set(false);
        if self.selected() != before {
            self.emit_by_name::<()>("selected", &[]);
        }
    }

    /// Lists from now on what has no place in a window of usual size, too: a GtkListView makes 200 rows, of which none
    /// beyond those is seen in the first frame.
    pub fn list_all(&self, network: &Network) {
        if !self.imp().complete.replace(true) {
            self.update(network, Some(&[]));
        }
    }

    fn splice(&self, network: &Network, new: &[RowKey], step: &Splice) {
        let imp = self.imp();
        let mut items = imp.items.borrow_mut();
        let (position, removed) = (index(step.position), index(step.removed));
        for position in position..position + removed {
            let gone = imp.store.item(position).and_downcast::<RowItem>();
            if let Some(key) = gone.as_ref().and_then(RowItem::key) {
                items.remove(key);
            }
        }
        let added: Vec<RowItem> = new[step.from..step.from + step.added]
            .iter()
            .map(|key| {
                let item = RowItem::new(key.clone(), network.view(key));
                items.insert(key.clone(), item.clone());
                item
            })
            .collect();
        drop(items);
        imp.store.splice(position, removed, &added);
    }

    fn refresh(&self, network: &Network, changed: Option<&[OwnedObjectPath]>) {
        let items = self.imp().items.borrow();
        match changed {
            Some(paths) => {
                for path in paths {
                    let key = RowKey::Pvd(path.clone());
                    if let Some(item) = items.get(&key) {
                        item.set_view(network.view(&key));
                    }
                }
            }
            None => items.iter().for_each(|(key, item)| item.set_view(network.view(key))),
        }
    }

    /// Selects the PvD at `position`, or else the next one before or after it.
    fn select_nearest(&self, position: usize) {
        let imp = self.imp();
        let keys = imp.keys.borrow();
        let is_pvd = |position: &usize| matches!(keys.get(*position), Some(RowKey::Pvd(_)));
        let nearest = (position..keys.len()).find(is_pvd).or_else(|| (0..position).rev().find(is_pvd));
        drop(keys);
        imp.selection.set_selected(nearest.map_or(gtk::INVALID_LIST_POSITION, index));
    }

    /// Counts down what is shown.
    pub fn tick(&self, now: Duration) {
        for row in self.imp().bound.borrow().iter() {
            row.tick(now);
        }
    }

    /// How long all times left stay as they are that can be seen; `None` when there are none.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let bound = self.imp().bound.borrow();
        bound.iter().filter(|_| self.is_mapped()).filter_map(|row| row.next_change(now)).min()
    }
}

fn child(item: &gtk::ListItem) -> Option<SidebarRow> {
    item.child().and_downcast()
}

/// GTK counts in 32 bits; the service has fewer objects than that.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
