//! A row of the list as GTK wants it: an object with a signal.

use std::cell::{OnceCell, RefCell};
use std::sync::OnceLock;

use gtk::glib;
use gtk::glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use mif::wire::Deadline;

use crate::model::network::RowView;
use crate::model::rows::RowKey;

mod imp {
    use super::{OnceCell, OnceLock, RefCell, RowKey, RowView, Signal, glib};
    use gtk::glib::subclass::prelude::*;

    #[derive(Debug, Default)]
    pub struct RowItem {
        pub key: OnceCell<RowKey>,
        pub view: RefCell<Option<RowView>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RowItem {
        const NAME: &'static str = "MifRowItem";
        type Type = super::RowItem;
    }

    impl ObjectImpl for RowItem {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("changed").build()])
        }
    }
}

glib::wrapper! {
    /// An interface or a PvD in the list.
    pub struct RowItem(ObjectSubclass<imp::RowItem>);
}

impl RowItem {
    /// A row about `key`.
    pub fn new(key: RowKey, view: Option<RowView>) -> Self {
        let item: Self = glib::Object::new();
        // It is new: nobody has set it before.
        let _ = item.imp().key.set(key);
        item.imp().view.replace(view);
        item
    }

    /// What it is about.
    pub fn key(&self) -> Option<&RowKey> {
        self.imp().key.get()
    }

    /// What it says.
    pub fn view(&self) -> Option<RowView> {
        self.imp().view.borrow().clone()
    }

    /// When the time ends that it counts down.
    pub fn until(&self) -> Option<Deadline> {
        self.imp().view.borrow().as_ref()?.until
    }

    /// Says something else. Whoever shows it is told if that makes a difference.
    pub fn set_view(&self, view: Option<RowView>) {
        if *self.imp().view.borrow() == view {
            return;
        }
        self.imp().view.replace(view);
        self.emit_by_name::<()>("changed", &[]);
    }
}
