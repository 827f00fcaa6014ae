//! The window.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{gdk, gio, glib};
use zbus::OwnedObjectPath;

use crate::client::{Client, Command, Link};
use crate::clock;
use crate::model::details::sign_in_page;
use crate::model::network::{Identity, Network};
use crate::model::rows::RowKey;
use crate::model::timeline::{Entry, keep};

mod actions;
mod countdowns;
mod export;
mod pages;
mod trying;

mod imp {
    use super::countdowns::Alarm;
    use super::{
        Cell, Client, Duration, Entry, Identity, Network, OnceCell, Rc, RefCell, VecDeque, gio, glib,
    };
    use adw::subclass::prelude::*;
    use gtk::CompositeTemplate;
    use gtk::prelude::*;

    use crate::details_page::DetailsPage;
    use crate::model::attempt::Attempt;
    use crate::model::history::History;
    use crate::sidebar::Sidebar;
    use crate::timeline_page::TimelinePage;
    use crate::trouble_page::TroublePage;
    use crate::try_page::TryPage;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/window.ui")]
    pub struct Window {
        #[template_child]
        pub toasts: TemplateChild<adw::ToastOverlay>,
        #[template_child]
        pub leaflet: TemplateChild<adw::Leaflet>,
        #[template_child]
        pub list_title: TemplateChild<adw::WindowTitle>,
        #[template_child]
        pub list_menu: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub content_menu: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub primary_menu: TemplateChild<gio::MenuModel>,
        #[template_child]
        pub list_stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub sidebar: TemplateChild<Sidebar>,
        #[template_child]
        pub content_stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub trouble_place: TemplateChild<adw::Bin>,
        #[template_child]
        pub absent_place: TemplateChild<adw::Bin>,
        #[template_child]
        pub pages: TemplateChild<adw::ViewStack>,
        #[template_child]
        pub switcher: TemplateChild<adw::ViewSwitcherTitle>,
        #[template_child]
        pub bar: TemplateChild<adw::ViewSwitcherBar>,
        #[template_child]
        pub details: TemplateChild<DetailsPage>,
        #[template_child]
        pub try_place: TemplateChild<adw::Bin>,
        #[template_child]
        pub timeline_place: TemplateChild<adw::Bin>,
        /// Pages that are made when somebody first wants to see them.
        pub trouble: OnceCell<TroublePage>,
        pub try_page: OnceCell<TryPage>,
        pub timeline: OnceCell<TimelinePage>,
        /// What was announced while there was no timeline.
        pub unseen: RefCell<VecDeque<Entry>>,
        /// The service is there.
        pub live: Cell<bool>,
        /// The number of the last attempt, and it itself while it is under way.
        pub run: Cell<u64>,
        pub attempt: RefCell<Option<Attempt>>,
        pub history: RefCell<History>,
        pub client: RefCell<Option<Client>>,
        pub network: RefCell<Rc<RefCell<Network>>>,
        /// What was selected last, to be found again after a restart of the service.
        pub wanted: RefCell<Option<Identity>>,
        pub clock: RefCell<Option<Alarm>>,
        pub chooser: RefCell<Option<gtk::FileChooserNative>>,
        /// When the PvD on display was read again the last time (CLOCK_BOOTTIME).
        pub refreshed: Cell<Duration>,
        /// There is trouble that the window has not turned to yet.
        pub unfaced: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "MifWindow";
        type Type = super::Window;
        type ParentType = adw::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            Sidebar::ensure_type();
            DetailsPage::ensure_type();
            class.bind_template();
            super::actions::install(class);
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Window {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }
    }
    impl WidgetImpl for Window {
        fn map(&self) {
            self.parent_map();
            self.obj().watch_minimized();
            self.obj().tick();
        }

        fn unmap(&self) {
            self.parent_unmap();
            self.obj().set_clock();
        }
    }
    impl WindowImpl for Window {}
    impl ApplicationWindowImpl for Window {}
    impl AdwApplicationWindowImpl for Window {}
}

glib::wrapper! {
    /// The window.
    pub struct Window(ObjectSubclass<imp::Window>)
        @extends adw::ApplicationWindow, gtk::ApplicationWindow, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Buildable,
            gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl Window {
    /// A window of the application that shows `network` and asks `client`.
    pub fn new(application: &adw::Application, client: Client, network: Rc<RefCell<Network>>) -> Self {
        let window: Self = glib::Object::builder().property("application", application).build();
        window.imp().client.replace(Some(client));
        window.imp().network.replace(network);
        window
    }

    fn set_up(&self) {
        let imp = self.imp();
        let window = self.downgrade();
        imp.sidebar.connect_local("selected", false, move |_| {
            if let Some(window) = window.upgrade() {
                window.selected();
            }
            None
        });
        let window = self.downgrade();
        imp.sidebar.connect_local("activated", false, move |_| {
            if let Some(window) = window.upgrade() {
                window.show_page("details");
            }
            None
        });
        let window = self.downgrade();
        imp.pages.connect_visible_child_notify(move |_| {
            if let Some(window) = window.upgrade() {
                window.turn_page();
            }
        });
        self.set_up_countdowns();
        self.set_up_menus();
        self.set_up_bar();
        self.turn_page();
    }

    fn network(&self) -> Rc<RefCell<Network>> {
        self.imp().network.borrow().clone()
    }

    fn send(&self, command: Command) {
        if let Some(client) = self.imp().client.borrow().as_ref() {
            client.send(command);
        }
    }

    /// Something else is selected.
    fn selected(&self) {
        let imp = self.imp();
        let path = imp.sidebar.selected_pvd();
        let network = self.network();
        let network = network.borrow();
        if let Some(identity) = path.as_ref().and_then(|path| network.identity(path)) {
            imp.wanted.replace(Some(identity));
        }
        imp.details.show(&network, imp.sidebar.selected().as_ref());
        drop(network);
        // Which reads it.
        imp.refreshed.set(clock::since_boot());
        self.set_clock();
        self.send(Command::Show(path));
    }

    /// How the connection to the service is.
    pub fn show_link(&self, link: &Link) {
        let imp = self.imp();
        let live = *link == Link::Live;
        if !live {
            self.trouble().show(link);
        }
        imp.live.set(live);
        self.turn_page();
        imp.list_stack.set_visible_child_name(if live { "list" } else { "trouble" });
        imp.unfaced.set(!live && *link != Link::Connecting);
        self.face_trouble();
    }

    /// In a narrow window, what to do is on the other page. That is turned to when the pages have a size, at the latest
    /// when this is called after the first frame: before, GTK complains of how they are laid out.
    pub fn face_trouble(&self) {
        let imp = self.imp();
        if imp.leaflet.width() > 0 && imp.unfaced.take() {
            imp.leaflet.set_visible_child_name("content");
        }
    }

    /// Another page is shown. Without the service there is only the timeline, with what was announced before.
    fn turn_page(&self) {
        let imp = self.imp();
        let Some(page) = imp.pages.visible_child().map(|child| imp.pages.page(&child)) else { return };
        imp.switcher.set_title(&page.title().unwrap_or_default());
        let name = page.name().unwrap_or_default();
        match name.as_str() {
            "try" => drop(self.try_page()),
            "timeline" => drop(self.timeline()),
            _ => {}
        }
        let there = imp.live.get() || name == "timeline";
        imp.content_stack.set_visible_child_name(if there { "pages" } else { "trouble" });
    }

    /// Everything is new.
    pub fn reset(&self) {
        let imp = self.imp();
        let wanted = imp.wanted.borrow().clone();
        self.update(None);
        let network = self.network();
        let network = network.borrow();
        let again = wanted.and_then(|wanted| {
            let mut pvds = network.pvds().into_iter().map(|pvd| pvd.facts.path.clone());
            pvds.find(|path| network.identity(path).as_ref() == Some(&wanted))
        });
        drop(network);
        if let Some(path) = again {
            imp.sidebar.select(&RowKey::Pvd(path));
        }
    }

    /// Something has changed: these PvDs, or with `None` anything.
    pub fn update(&self, changed: Option<&[OwnedObjectPath]>) {
        let imp = self.imp();
        let network = self.network();
        let network = network.borrow();
        imp.sidebar.update(&network, changed);
        let shown = imp.sidebar.selected();
        let concerned = match (&shown, changed) {
            (Some(RowKey::Pvd(shown)), Some(changed)) => changed.contains(shown),
            _ => true,
        };
        if concerned {
            imp.details.show(&network, shown.as_ref());
        }
        let count = network.len();
        imp.list_title.set_subtitle(&if count == 0 { String::new() } else { network.summary() });
        drop(network);
        self.set_clock();
    }

    /// Adds announcements to the timeline.
    pub fn announce(&self, entries: Vec<Entry>) {
        let imp = self.imp();
        match imp.timeline.get() {
            Some(timeline) => timeline.add(entries),
            None => drop(keep(&mut imp.unseen.borrow_mut(), entries)),
        }
    }

    /// Shows a page.
    fn show_page(&self, name: &str) {
        self.imp().pages.set_visible_child_name(name);
        self.imp().leaflet.set_visible_child_name("content");
    }

    /// Lists what had to wait for the first frame.
    pub fn list_all(&self) {
        self.imp().sidebar.list_all(&self.network().borrow());
    }

    /// Selects a PvD and shows it.
    pub fn show_pvd(&self, path: &OwnedObjectPath) {
        let imp = self.imp();
        self.list_all();
        if imp.sidebar.select(&RowKey::Pvd(path.clone())) {
            self.show_page("details");
        }
    }

    /// A short message.
    pub fn toast(&self, text: &str) {
        self.imp().toasts.add_toast(adw::Toast::new(text));
    }

    /// Copies a text and says so.
    fn copy(&self, text: &str) {
        self.clipboard().set_text(text);
        self.toast(&gettext("Copied"));
    }

    /// The sign-in page of the PvD that is selected, or else of the first that wants a sign-in.
    fn sign_in(&self) {
        let network = self.network();
        let network = network.borrow();
        let selected = self.imp().sidebar.selected_pvd();
        let selected = selected.as_ref().and_then(|path| network.pvd(path));
        let mut all = selected.into_iter().chain(network.pvds());
        let page = all.find_map(|pvd| sign_in_page(&pvd.values)).map(str::to_owned);
        drop(network);
        match page {
            Some(page) => self.open(&page),
            None => self.toast(&gettext("No network wants you to sign in")),
        }
    }

    /// Opens a page in the browser.
    fn open(&self, url: &str) {
        let window = self.downgrade();
        gtk::show_uri_full(Some(self), url, gdk::CURRENT_TIME, gio::Cancellable::NONE, move |outcome| {
            if let (Err(error), Some(window)) = (outcome, window.upgrade()) {
                window.toast(&crate::model::words::fill(
                    &gettext("Cannot open the page: {error}"),
                    &[("error", error.message())],
                ));
            }
        });
    }
}
