//! Trying a name: from what is typed to the history.

use adw::subclass::prelude::*;

use crate::client::Command;
use crate::model::attempt::{Attempt, HISTORY, Progress, Scope};

impl super::Window {
    /// Shows the page with the keyboard in it.
    pub fn begin_try(&self) {
        self.show_page("try");
        self.imp().try_page.begin();
    }

    /// Tries what is typed.
    pub(super) fn start_try(&self) {
        let imp = self.imp();
        let (target, scope) = match imp.try_page.typed() {
            Ok(typed) => typed,
            Err(mistake) => return imp.try_page.show_mistake(mistake),
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
        imp.try_page.start(&attempt);
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
        imp.try_page.update(&attempt, lane);
        imp.attempt.replace(Some(attempt));
    }

    fn finish(&self, attempt: Attempt) {
        let imp = self.imp();
        imp.try_page.update(&attempt, None);
        let mut history = imp.history.borrow_mut();
        history.insert(0, attempt);
        history.truncate(HISTORY);
        imp.try_page.show_history(&history);
    }
}
