//! The window of the preferences.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

use crate::model::notice::Subject;
use crate::preferences::Preferences;

mod imp {
    use super::glib;
    use adw::subclass::prelude::*;
    use gtk::CompositeTemplate;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/preferences_window.ui")]
    pub struct PreferencesWindow {
        #[template_child]
        pub gained: TemplateChild<gtk::Switch>,
        #[template_child]
        pub lost: TemplateChild<gtk::Switch>,
        #[template_child]
        pub captive: TemplateChild<gtk::Switch>,
        #[template_child]
        pub status_icon: TemplateChild<gtk::Switch>,
        #[template_child]
        pub background: TemplateChild<gtk::Switch>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PreferencesWindow {
        const NAME: &'static str = "MifPreferencesWindow";
        type Type = super::PreferencesWindow;
        type ParentType = adw::PreferencesWindow;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PreferencesWindow {}
    impl WidgetImpl for PreferencesWindow {}
    impl WindowImpl for PreferencesWindow {}
    impl AdwWindowImpl for PreferencesWindow {}
    impl PreferencesWindowImpl for PreferencesWindow {}
}

glib::wrapper! {
    /// The window.
    pub struct PreferencesWindow(ObjectSubclass<imp::PreferencesWindow>)
        @extends adw::PreferencesWindow, adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl PreferencesWindow {
    /// Shows preferences, and tells of each change.
    pub fn new(preferences: &Preferences, changed: impl Fn(Preferences) + Clone + 'static) -> Self {
        let window: Self = glib::Object::new();
        let switches = window.switches();
        for (subject, switch) in Subject::ALL.iter().zip(&switches) {
            switch.set_active(preferences.notices.contains(subject));
        }
        switches[3].set_active(preferences.status_icon);
        switches[4].set_active(preferences.background);
        for switch in switches {
            let (window, changed) = (window.downgrade(), changed.clone());
            switch.connect_active_notify(move |_| {
                if let Some(window) = window.upgrade() {
                    changed(window.preferences());
                }
            });
        }
        window
    }

    /// Those of the subjects, in their order, then the others.
    fn switches(&self) -> [gtk::Switch; 5] {
        let imp = self.imp();
        [&imp.gained, &imp.lost, &imp.captive, &imp.status_icon, &imp.background].map(|switch| switch.get())
    }

    fn preferences(&self) -> Preferences {
        let switches = self.switches();
        let notices = Subject::ALL.into_iter().zip(&switches).filter(|(_, switch)| switch.is_active());
        Preferences {
            notices: notices.map(|(subject, _)| subject).collect(),
            status_icon: switches[3].is_active(),
            background: switches[4].is_active(),
        }
    }
}
