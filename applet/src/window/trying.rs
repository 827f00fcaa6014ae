//! Trying a name: from what is typed to the history.

use std::path::PathBuf;

use adw::subclass::prelude::*;
use gettextrs::gettext;

use crate::client::Command;
use crate::model::attempt::{Attempt, Progress, Scope};
use crate::model::history::History;
use crate::model::words::fill;
use crate::try_page::TryPage;
use crate::{clock, files};

impl super::Window {
    /// Shows the page with the keyboard in it.
    pub fn begin_try(&self) {
        self.show_page("try");
        self.try_page().begin();
    }

    /// Tries what is typed.
    pub(super) fn start_try(&self) {
        let imp = self.imp();
        let (target, scope) = match self.try_page().typed() {
            Ok(typed) => typed,
            Err(mistake) => return self.try_page().show_mistake(mistake),
        };
        self.cancel_try();
        let network = self.network();
        let network = network.borrow();
        let selected = imp.sidebar.selected_pvd();
        let wanted = network
            .pvds()
            .into_iter()
            .filter(|pvd| scope != Scope::Selected || selected.as_ref() == Some(&pvd.facts.path));
        let networks = wanted.map(|pvd| (pvd.facts.path.clone(), network.title(&pvd.facts))).collect();
        drop(network);
        let attempt = Attempt::new(target.clone(), scope, networks);
        let pvds = attempt.lanes.iter().map(|lane| lane.pvd.clone()).collect();
        let run = imp.run.get() + 1;
        imp.run.set(run);
        self.try_page().start(&attempt);
        imp.attempt.replace(Some(attempt));
        self.send(Command::Try { run, target, scope, pvds });
    }

    /// Gives up what is under way.
    pub(super) fn cancel_try(&self) {
        let Some(mut attempt) = self.imp().attempt.take() else { return };
        self.send(Command::CancelTry);
        attempt.cancel();
        self.finish(attempt);
    }

    /// Takes in what happened to the attempt of that number.
    pub fn progress(&self, run: u64, progress: Progress) {
        let imp = self.imp();
        if run != imp.run.get() {
            return;
        }
        let Some(mut attempt) = imp.attempt.take() else { return };
        let lane = attempt.apply(progress);
        if attempt.done {
            return self.finish(attempt);
        }
        self.try_page().update(&attempt, lane);
        imp.attempt.replace(Some(attempt));
    }

    fn finish(&self, attempt: Attempt) {
        let imp = self.imp();
        self.try_page().update(&attempt, None);
        imp.history.borrow_mut().add(&attempt, clock::since_1970());
        self.keep_history();
    }

    /// What was tried before the program was started.
    pub(super) fn recall(&self, page: &TryPage) {
        // There may be no such file.
        let text = std::fs::read_to_string(history_file()).unwrap_or_default();
        let history = History::from_json(&text);
        page.show_history(history.past());
        self.imp().history.replace(history);
    }

    /// Forgets what was tried.
    pub(super) fn forget_tries(&self) {
        self.imp().history.take();
        self.keep_history();
    }

    fn keep_history(&self) {
        let history = self.imp().history.borrow();
        self.try_page().show_history(history.past());
        if let Err(error) = files::write(&history_file(), &history.to_json()) {
            let error = error.to_string();
            self.toast(&fill(&gettext("Cannot keep the last attempts: {error}"), &[("error", &error)]));
        }
    }
}

fn history_file() -> PathBuf {
    files::state().join("mif-applet/attempts.jsonl")
}
