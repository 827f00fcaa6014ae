//! Names for screen readers that are known only while the program runs.

use std::ffi::{c_int, c_void};

use gtk::glib;
use gtk::glib::translate::{ToGlibPtr, ToGlibPtrMut};
use gtk::prelude::*;

use crate::model::words;

unsafe extern "C" {
    // Of GTK 4.0; gtk4-rs declares it from 4.10 on.
    fn gtk_accessible_update_property_value(
        accessible: *mut c_void,
        count: c_int,
        properties: *mut c_int,
        values: *mut glib::gobject_ffi::GValue,
    );
}

/// GTK_ACCESSIBLE_PROPERTY_LABEL
const LABEL: c_int = 4;

/// Gives a widget a name.
pub fn set_label(widget: &impl IsA<gtk::Widget>, label: &str) {
    let widget: *mut gtk::ffi::GtkWidget = widget.as_ref().to_glib_none().0;
    let mut property = LABEL;
    let mut value = words::plain(label).to_value();
    // SAFETY: every widget is a GtkAccessible; one property and one value of the type that it wants (a string) are
    // alive during the call, which copies the value.
    unsafe {
        gtk_accessible_update_property_value(widget.cast(), 1, &raw mut property, value.to_glib_none_mut().0);
    }
}
