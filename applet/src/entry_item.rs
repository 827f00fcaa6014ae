//! An announcement as GTK wants it.

use std::cell::OnceCell;

use gtk::glib;
use gtk::subclass::prelude::*;

use crate::model::timeline::Entry;

mod imp {
    use super::{Entry, OnceCell, glib};
    use gtk::glib::subclass::prelude::*;

    #[derive(Debug, Default)]
    pub struct EntryItem {
        pub entry: OnceCell<Entry>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for EntryItem {
        const NAME: &'static str = "MifEntryItem";
        type Type = super::EntryItem;
    }

    impl ObjectImpl for EntryItem {}
}

glib::wrapper! {
    /// An announcement in the timeline.
    pub struct EntryItem(ObjectSubclass<imp::EntryItem>);
}

impl EntryItem {
    /// Holds an announcement.
    pub fn new(entry: Entry) -> Self {
        let item: Self = glib::Object::new();
        // It is new: nobody has set it before.
        let _ = item.imp().entry.set(entry);
        item
    }

    /// The announcement.
    pub fn entry(&self) -> Option<&Entry> {
        self.imp().entry.get()
    }
}
