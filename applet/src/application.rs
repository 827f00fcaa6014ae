//! The application: one process, one window, one connection to the service.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use mif::BusChoice;
use zbus::OwnedObjectPath;

use crate::client::{Client, Event, Link};
use crate::model::network::{Network, Update};
use crate::model::notice::{Subject, Watch};
use crate::model::status_icon::Numbers;
use crate::model::timeline::{Entry, keep};
use crate::preferences::Preferences;
use crate::window::Window;

mod background;
mod presenting;

/// Its name on the session bus, and of its desktop entry.
pub const ID: &str = "org.ietf.Mif1.Applet";

mod imp {
    use super::{
        Cell, Client, ControlFlow, Entry, Link, Network, Numbers, OnceCell, Preferences, Rc, RefCell,
        VecDeque, Watch, Window, gio, glib,
    };
    use adw::subclass::prelude::*;

    #[derive(Debug, Default)]
    pub struct Application {
        pub client: OnceCell<Client>,
        pub network: Rc<RefCell<Network>>,
        pub link: RefCell<Option<Link>>,
        pub window: RefCell<Option<Window>>,
        /// The window is there, but not what it is to show.
        pub withheld: Cell<bool>,
        /// It is there, but not on the screen yet.
        pub drawing: Cell<bool>,
        /// What is to be done when it is shown.
        pub wishes: RefCell<Vec<super::presenting::Wish>>,
        /// It is known what to show.
        pub informed: Cell<bool>,
        pub bus: RefCell<Option<String>>,
        pub preferences: RefCell<Preferences>,
        pub watch: RefCell<Watch>,
        /// Of networks in the menu of the status icon.
        pub numbers: RefCell<Numbers>,
        /// Keeps the program running without a window.
        pub hold: RefCell<Option<gio::ApplicationHoldGuard>>,
        /// What was announced while there was no window.
        pub unseen: RefCell<VecDeque<Entry>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Application {
        const NAME: &'static str = "MifApplication";
        type Type = super::Application;
        type ParentType = adw::Application;
    }

    impl ObjectImpl for Application {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_options();
        }
    }
    impl ApplicationImpl for Application {
        fn handle_local_options(&self, options: &glib::VariantDict) -> ControlFlow<glib::ExitCode> {
            self.obj().take_options(options)
        }

        fn startup(&self) {
            // The bus is asked while the toolkit starts.
            self.obj().start_client();
            self.parent_startup();
            self.obj().set_actions();
            self.obj().apply(Preferences::load());
        }

        fn activate(&self) {
            self.parent_activate();
            self.obj().show_window();
        }
    }
    impl GtkApplicationImpl for Application {}
    impl AdwApplicationImpl for Application {}
}

glib::wrapper! {
    /// The application.
    pub struct Application(ObjectSubclass<imp::Application>)
        @extends adw::Application, gtk::Application, gio::Application,
        @implements gio::ActionGroup, gio::ActionMap;
}

impl Application {
    /// The application, not running yet.
    pub fn new() -> Self {
        glib::Object::builder()
            .property("application-id", ID)
            .property("resource-base-path", "/org/ietf/Mif1/Applet")
            .build()
    }

    fn set_options(&self) {
        self.add_main_option(
            "bus",
            b'b'.into(),
            glib::OptionFlags::NONE,
            glib::OptionArg::String,
            &gettext("The bus of the service instead of the system bus"),
            Some(&gettext("ADDRESS")),
        );
        self.add_main_option(
            "try",
            glib::Char::from(0),
            glib::OptionFlags::NONE,
            glib::OptionArg::None,
            &gettext("Show the page on which a name is tried"),
            None,
        );
        self.add_main_option(
            "version",
            glib::Char::from(0),
            glib::OptionFlags::NONE,
            glib::OptionArg::None,
            &gettext("Show the version"),
            None,
        );
    }

    fn take_options(&self, options: &glib::VariantDict) -> ControlFlow<glib::ExitCode> {
        if options.contains("version") {
            // Nobody left to tell when standard output is closed.
            let _ = std::io::Write::write_all(
                &mut std::io::stdout(),
                format!("mif-applet {}\n", env!("CARGO_PKG_VERSION")).as_bytes(),
            );
            return ControlFlow::Break(glib::ExitCode::SUCCESS);
        }
        self.imp().bus.replace(options.lookup::<String>("bus").ok().flatten());
        if options.contains("try") { self.begin_try() } else { ControlFlow::Continue(()) }
    }

    /// Of the instance that runs already, or of this one.
    fn begin_try(&self) -> ControlFlow<glib::ExitCode> {
        if let Err(error) = self.register(gio::Cancellable::NONE) {
            glib::g_critical!("mif-applet", "cannot start: {error}");
            return ControlFlow::Break(glib::ExitCode::FAILURE);
        }
        self.activate_action("try", None);
        if !self.is_remote() {
            return ControlFlow::Continue(());
        }
        let sent = self.dbus_connection().map(|bus| bus.flush_sync(gio::Cancellable::NONE));
        ControlFlow::Break(match sent {
            Some(Err(_)) | None => glib::ExitCode::FAILURE,
            Some(Ok(())) => glib::ExitCode::SUCCESS,
        })
    }

    fn start_client(&self) {
        let bus = self.imp().bus.borrow().clone().map_or(BusChoice::System, BusChoice::Address);
        let (client, events) = match Client::start(bus) {
            Ok(started) => started,
            Err(error) => {
                glib::g_critical!("mif-applet", "cannot start the thread that reads the bus: {error}");
                self.quit();
                return;
            }
        };
        // Startup happens once.
        let _ = self.imp().client.set(client);
        let application = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok(event) = events.recv().await {
                let Some(application) = application.upgrade() else { return };
                application.take(event);
            }
        });
    }

    fn set_actions(&self) {
        self.add_action_entries([
            gio::ActionEntry::builder("quit").activate(|application: &Self, _, _| application.quit()).build(),
            gio::ActionEntry::builder("try")
                .activate(|application: &Self, _, _| {
                    application.show_window();
                    application.when_shown(Window::begin_try);
                })
                .build(),
            gio::ActionEntry::builder("preferences")
                .activate(|application: &Self, _, _| application.show_preferences())
                .build(),
            gio::ActionEntry::builder("sign-in")
                .activate(|application: &Self, _, _| application.sign_in())
                .build(),
            gio::ActionEntry::builder("mute")
                .parameter_type(Some(glib::VariantTy::STRING))
                .activate(|application: &Self, _, word| {
                    let subject = word.and_then(glib::Variant::str).and_then(Subject::from_word);
                    subject.into_iter().for_each(|subject| application.mute(subject));
                })
                .build(),
            gio::ActionEntry::builder("about")
                .activate(|application: &Self, _, _| application.about())
                .build(),
            gio::ActionEntry::builder("show-pvd")
                .parameter_type(Some(glib::VariantTy::STRING))
                .activate(|application: &Self, _, path| {
                    let path = path.and_then(glib::Variant::str).map(str::to_owned);
                    application.show_window();
                    if let Some(path) = path.and_then(|path| OwnedObjectPath::try_from(path).ok()) {
                        application.when_shown(move |window| window.show_pvd(&path));
                    }
                })
                .build(),
        ]);
        for (action, keys) in [
            ("app.quit", "<Control>q"),
            ("app.preferences", "<Control>comma"),
            ("window.close", "<Control>w"),
            ("win.page::details", "<Alt>1"),
            ("win.page::try", "<Alt>2"),
            ("win.page::timeline", "<Alt>3"),
            ("win.begin-try", "<Control>t"),
            ("win.cancel-try", "Escape"),
            ("win.find", "<Control>f"),
            ("win.pause", "<Control>p"),
            ("win.export", "<Control>e"),
            ("win.sign-in", "<Control>l"),
            ("win.retry", "F5"),
            ("win.back", "<Alt>Left"),
        ] {
            self.set_accels_for_action(action, &[keys]);
        }
        // As GTK would have it.
        self.set_accels_for_action("win.show-keys", &["<Control>question", "<Control>F1"]);
    }

    /// Something came from the bus.
    fn take(&self, event: Event) {
        match event {
            Event::Link(link) => {
                // What may be over in a moment is not worth a page.
                if !self.imp().withheld.get() || link != Link::Connecting {
                    self.with_window(|window| window.show_link(&link));
                }
                let trouble = !matches!(link, Link::Connecting | Link::Live);
                self.imp().link.replace(Some(link));
                self.show_icon();
                if trouble {
                    self.inform();
                }
            }
            Event::Reset(state, first) => {
                {
                    let mut network = self.imp().network.borrow_mut();
                    network.reset(*state);
                    first.into_iter().for_each(|update| drop(network.apply(update)));
                }
                self.with_window(Window::reset);
                self.inform();
                self.notice();
            }
            Event::Changed(updates) => self.change(updates),
            Event::Announced(entries) => self.announce(entries),
            Event::Try(run, progress) => self.with_window(|window| window.progress(run, progress)),
            Event::StatusIcon(action) => self.pressed(action),
        }
    }

    fn change(&self, updates: Vec<Update>) {
        let mut paths = Vec::with_capacity(updates.len());
        // What concerns an interface or the defaults concerns PvDs that are not named.
        let mut all = false;
        {
            let mut network = self.imp().network.borrow_mut();
            for update in updates {
                match network.apply(update) {
                    Some(path) => paths.push(path),
                    None => all = true,
                }
            }
        }
        let changed = (!all).then_some(paths.as_slice());
        self.with_window(|window| window.update(changed));
        self.notice();
    }

    /// Announcements outlive the window.
    fn announce(&self, entries: Vec<Entry>) {
        let imp = self.imp();
        if imp.window.borrow().is_some() {
            self.with_window(|window| window.announce(entries));
        } else {
            keep(&mut imp.unseen.borrow_mut(), entries);
        }
    }

    fn about(&self) {
        let about = adw::AboutWindow::builder()
            .application_name(gettext("Provisioning Domains"))
            .application_icon(ID)
            .version(env!("CARGO_PKG_VERSION"))
            .developer_name(gettext("The mif authors"))
            .comments(gettext(
                "See every network that this machine is in, what each gave it, and which one works",
            ))
            .license_type(gtk::License::MitX11)
            .modal(true)
            .build();
        about.set_transient_for(self.active_window().as_ref());
        about.present();
    }
}
