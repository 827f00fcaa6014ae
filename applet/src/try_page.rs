//! Try a name in every network, side by side, or race over all of them.

use std::cell::RefCell;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::glib;

use crate::model::attempt::{Attempt, Mistake, Scope, Target};
use crate::model::history::Past;
use crate::model::words::{counted, joined};
use crate::try_card::TryCard;

mod imp {
    use super::{RefCell, Scope, Target, TryCard, glib};
    use adw::subclass::prelude::*;
    use gtk::CompositeTemplate;

    #[derive(Debug, Default, CompositeTemplate)]
    #[template(resource = "/org/ietf/Mif1/Applet/try_page.ui")]
    pub struct TryPage {
        #[template_child]
        pub name: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub port: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub scope: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub spinner: TemplateChild<gtk::Spinner>,
        #[template_child]
        pub outcome: TemplateChild<gtk::Label>,
        #[template_child]
        pub start: TemplateChild<gtk::Button>,
        #[template_child]
        pub cancel: TemplateChild<gtk::Button>,
        #[template_child]
        pub results: TemplateChild<gtk::Box>,
        #[template_child]
        pub cards: TemplateChild<gtk::FlowBox>,
        #[template_child]
        pub left_out: TemplateChild<gtk::Label>,
        #[template_child]
        pub story: TemplateChild<gtk::Expander>,
        #[template_child]
        pub story_text: TemplateChild<gtk::Label>,
        #[template_child]
        pub past: TemplateChild<gtk::Box>,
        #[template_child]
        pub history: TemplateChild<gtk::ListBox>,
        pub lanes: RefCell<Vec<TryCard>>,
        /// What the lines of the history are about.
        pub past_tries: RefCell<Vec<(Target, Scope)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TryPage {
        const NAME: &'static str = "MifTryPage";
        type Type = super::TryPage;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for TryPage {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }
    }
    impl WidgetImpl for TryPage {}
    impl BoxImpl for TryPage {}
}

glib::wrapper! {
    /// The page. What it starts and gives up are the actions `win.try` and `win.cancel-try`.
    pub struct TryPage(ObjectSubclass<imp::TryPage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl TryPage {
    fn set_up(&self) {
        let imp = self.imp();
        let scopes: Vec<String> = Scope::ALL.map(Scope::words).into();
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        imp.scope.set_model(Some(&gtk::StringList::new(&scopes)));
        for entry in [&imp.name, &imp.port] {
            entry.connect_entry_activated(|entry| start(entry.upcast_ref()));
            entry.connect_changed(|entry| entry.remove_css_class("error"));
        }
        let page = self.downgrade();
        imp.history.connect_row_activated(move |_, row| {
            if let Some(page) = page.upgrade() {
                page.repeat(row);
            }
        });
        self.show_busy(false);
        imp.results.set_visible(false);
        imp.past.set_visible(false);
    }

    /// Puts the keyboard into the first field.
    pub fn begin(&self) {
        self.imp().name.grab_focus();
    }

    /// What is typed and chosen.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn typed(&self) -> Result<(Target, Scope), Mistake> {
        let imp = self.imp();
        let scope = Scope::ALL.get(imp.scope.selected() as usize).copied().unwrap_or_default();
        Ok((Target::parse(&imp.name.text(), &imp.port.text(), scope)?, scope))
    }

    /// Says what is wrong with what was typed, at the field.
    pub fn show_mistake(&self, mistake: Mistake) {
        let imp = self.imp();
        let entry = match mistake {
            Mistake::NoName | Mistake::Blank => &imp.name,
            Mistake::Port | Mistake::RaceWithoutPort => &imp.port,
        };
        entry.add_css_class("error");
        entry.grab_focus();
        imp.outcome.set_text(&mistake.words());
    }

    /// Shows an attempt from its beginning.
    pub fn start(&self, attempt: &Attempt) {
        let imp = self.imp();
        for card in imp.lanes.take() {
            imp.cards.remove(&card);
        }
        let cards: Vec<TryCard> = attempt.lanes.iter().map(TryCard::new).collect();
        cards.iter().for_each(|card| imp.cards.append(card));
        imp.lanes.replace(cards);
        imp.results.set_visible(true);
        imp.left_out.set_visible(attempt.left_out > 0);
        imp.left_out.set_text(&counted(
            "{count} more network is not tried",
            "{count} more networks are not tried",
            attempt.left_out,
        ));
        imp.story.set_visible(false);
        self.show_busy(true);
        self.show_outcome(attempt);
    }

    /// Shows an attempt as it is by now; of the lanes only this one has changed, or with `None` all.
    pub fn update(&self, attempt: &Attempt, lane: Option<usize>) {
        let winner = attempt.done.then(|| attempt.winner()).flatten();
        if attempt.scope == Scope::Race {
            self.put_first(winner);
        }
        for (index, (card, known)) in self.imp().lanes.borrow().iter().zip(&attempt.lanes).enumerate() {
            if lane.is_none_or(|lane| lane == index) {
                card.show(known, winner == Some(index) && attempt.lanes.len() > 1);
            }
        }
        self.show_outcome(attempt);
        if attempt.done {
            self.show_busy(false);
        }
    }

    /// Who won a race is above those who lost.
    fn put_first(&self, lane: Option<usize>) {
        let imp = self.imp();
        let lanes = imp.lanes.borrow();
        let Some(card) = lane.and_then(|lane| lanes.get(lane)).filter(|card| card.index() > 0) else {
            return;
        };
        imp.cards.remove(card);
        imp.cards.insert(card, 0);
    }

    fn show_outcome(&self, attempt: &Attempt) {
        let imp = self.imp();
        imp.outcome.set_text(&attempt.outcome());
        imp.story.set_visible(!attempt.story.is_empty());
        imp.story_text.set_text(&attempt.story.join("\n"));
    }

    fn show_busy(&self, busy: bool) {
        let imp = self.imp();
        imp.spinner.set_visible(busy);
        imp.spinner.set_spinning(busy);
        imp.cancel.set_visible(busy);
        imp.start.set_sensitive(!busy);
    }

    /// Shows the last attempts, the latest first.
    pub fn show_history(&self, history: &[Past]) {
        let imp = self.imp();
        while let Some(row) = imp.history.row_at_index(0) {
            imp.history.remove(&row);
        }
        for past in history {
            let how = joined([past.scope.words(), past.outcome.clone(), moment(past.time)]);
            let row = adw::ActionRow::builder()
                .title(glib::markup_escape_text(&past.target.words()))
                .subtitle(glib::markup_escape_text(&how))
                .activatable(true)
                .build();
            let copy = gtk::Button::builder()
                .icon_name("edit-copy-symbolic")
                .valign(gtk::Align::Center)
                .tooltip_text(gettext("Copy as Text"))
                .action_name("win.copy")
                .action_target(&past.report.to_variant())
                .css_classes(["flat", "circular"])
                .build();
            crate::accessible::set_label(&copy, &gettext("Copy as Text"));
            row.add_suffix(&copy);
            imp.history.append(&row);
        }
        imp.past.set_visible(!history.is_empty());
        let tries = history.iter().map(|past| (past.target.clone(), past.scope));
        imp.past_tries.replace(tries.collect());
    }

    /// Tries again what a row of the history is about.
    fn repeat(&self, row: &gtk::ListBoxRow) {
        let imp = self.imp();
        let index = usize::try_from(row.index()).unwrap_or(usize::MAX);
        let Some((target, scope)) = imp.past_tries.borrow().get(index).cloned() else { return };
        let scope = Scope::ALL.iter().position(|known| *known == scope).unwrap_or_default();
        imp.scope.set_selected(u32::try_from(scope).unwrap_or_default());
        imp.name.set_text(&target.name);
        imp.port.set_text(&target.port.map(|port| port.to_string()).unwrap_or_default());
        start(self.upcast_ref());
    }
}

/// Local date and time of a moment (seconds since 1970), as the person is used to.
fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| glib::DateTime::from_unix_local(seconds).ok());
    time.and_then(|time| time.format("%x, %R").ok()).map(Into::into).unwrap_or_default()
}

fn start(from: &gtk::Widget) {
    if let Err(error) = from.activate_action("win.try", None) {
        glib::g_warning!("mif-applet", "cannot try: {error}");
    }
}
