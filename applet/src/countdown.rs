//! Time left, as text that changes every second.
//!
//! When the text of a GtkLabel changes, the whole window is measured and laid out anew, and under X11 the desktop is
//! asked for its size: each of these questions wakes the program once more. This one is drawn again in the place that
//! it has; only a text of more letters than all before has it measured.

use std::cell::{Cell, OnceCell, RefCell};

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{glib, graphene, pango};

use crate::accessible;
use crate::model::time::Left;

mod imp {
    use super::{Cell, OnceCell, RefCell, glib, graphene, pango};
    use gtk::prelude::*;
    use gtk::subclass::prelude::*;

    #[derive(Debug, Default)]
    pub struct Countdown {
        pub layout: OnceCell<pango::Layout>,
        pub text: RefCell<String>,
        /// The text with the widest numbers that may stand in it.
        pub shape: RefCell<String>,
        /// Of the widest shape so far.
        pub width: Cell<i32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Countdown {
        const NAME: &'static str = "MifCountdown";
        type Type = super::Countdown;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("label");
            class.set_accessible_role(gtk::AccessibleRole::Label);
        }
    }

    impl ObjectImpl for Countdown {}
    impl WidgetImpl for Countdown {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            if orientation == gtk::Orientation::Vertical {
                let (_, height) = self.obj().layout().pixel_size();
                return (height, height, -1, -1);
            }
            // The letters may be others than when it was measured last.
            let width = self.width.get().max(self.obj().widest());
            self.width.set(width);
            (width, width, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let widget = self.obj();
            let layout = widget.layout();
            let (width, height) = layout.pixel_size();
            // At the end of the line.
            let free = if widget.direction() == gtk::TextDirection::Rtl { 0 } else { widget.width() - width };
            // Pixels are few enough for any number.
            #[allow(clippy::cast_precision_loss)]
            let place = graphene::Point::new(free as f32, ((widget.height() - height) / 2) as f32);
            snapshot.translate(&place);
            snapshot.append_layout(layout, &widget.style_context().color());
        }
    }
}

glib::wrapper! {
    /// Shows a time that is left.
    pub struct Countdown(ObjectSubclass<imp::Countdown>)
        @extends gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget;
}

impl Countdown {
    /// Shows this time, in colour when it ends soon.
    pub fn show(&self, left: &Left) {
        self.set_text(&left.text);
        if left.soon == self.has_css_class("warning") {
            return;
        }
        if left.soon {
            self.add_css_class("warning");
        } else {
            self.remove_css_class("warning");
        }
    }

    /// Shows this text.
    pub fn set_text(&self, text: &str) {
        let imp = self.imp();
        if *imp.text.borrow() == text {
            return;
        }
        imp.text.replace(text.to_owned());
        self.layout().set_text(text);
        accessible::set_label(self, text);
        let shape = shape(text);
        if *imp.shape.borrow() != shape {
            imp.shape.replace(shape);
            // What was never measured will be.
            if imp.width.get() == 0 || self.widest() > imp.width.get() {
                self.queue_resize();
            }
        }
        self.queue_draw();
    }

    /// The width of the text when its numbers are widest.
    fn widest(&self) -> i32 {
        let (imp, layout) = (self.imp(), self.layout());
        layout.set_text(&imp.shape.borrow());
        let (width, _) = layout.pixel_size();
        layout.set_text(&imp.text.borrow());
        width
    }

    fn layout(&self) -> &pango::Layout {
        self.imp().layout.get_or_init(|| {
            let layout = self.create_pango_layout(None);
            let attributes = pango::AttrList::new();
            // Digits of one width: the text does not wobble.
            attributes.insert(pango::AttrFontFeatures::new("tnum=1"));
            layout.set_attributes(Some(&attributes));
            layout
        })
    }
}

/// A text with two digits for each number of one, and each digit a nought: digits are of one width.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len() + 2);
    let mut run = 0;
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            run += 1;
            shape.push('0');
            continue;
        }
        if run == 1 {
            shape.push('0');
        }
        run = 0;
        if letter != '\0' {
            shape.push(letter);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_grows_a_digit_keeps_its_shape() {
        assert_eq!(shape("59 min 59 s"), "00 min 00 s");
        assert_eq!(shape("1 min 9 s"), shape("59 min 10 s"));
        assert_eq!(shape("soon, 5 s"), "soon, 00 s");
        assert_eq!(shape("941 d 3 h"), "000 d 00 h");
        assert_eq!(shape("forever"), "forever");
        assert_eq!(shape("7"), "00");
    }
}
