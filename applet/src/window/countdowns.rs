//! Times that are left, counted down while somebody can see them.
//!
//! The window wakes up when a text that is shown changes, and then changes all that do within the same second: every
//! second where a minute or less is counted, once an hour where days are left.

use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};

use crate::client::Command;
use crate::clock;

/// What is on display is read again at most this often: deadlines move later unannounced.
const REFRESH: Duration = Duration::from_secs(15);

const SECOND: Duration = Duration::from_secs(1);

/// When the window wakes up.
#[derive(Debug)]
pub struct Alarm {
    /// CLOCK_BOOTTIME.
    due: Duration,
    source: glib::SourceId,
}

impl super::Window {
    /// Wakes up for what comes into sight.
    pub(super) fn set_up_countdowns(&self) {
        let imp = self.imp();
        for page in [imp.sidebar.upcast_ref::<gtk::Widget>(), imp.details.upcast_ref()] {
            let window = self.downgrade();
            page.connect_map(move |_| {
                if let Some(window) = window.upgrade() {
                    window.tick();
                }
            });
        }
        let window = self.downgrade();
        imp.sidebar.connect_local("bound", false, move |_| {
            if let Some(window) = window.upgrade() {
                window.set_clock();
            }
            None
        });
    }

    /// Whether a person can see it.
    fn is_seen(&self) -> bool {
        let minimized = self
            .surface()
            .and_downcast::<gdk::Toplevel>()
            .is_some_and(|toplevel| toplevel.state().contains(gdk::ToplevelState::MINIMIZED));
        self.is_mapped() && !minimized
    }

    pub(super) fn watch_minimized(&self) {
        if let Some(toplevel) = self.surface().and_downcast::<gdk::Toplevel>() {
            let window = self.downgrade();
            toplevel.connect_state_notify(move |_| {
                if let Some(window) = window.upgrade() {
                    window.tick();
                }
            });
        }
    }

    /// Sets the alarm for the next text that changes, if somebody can see it. One that comes earlier stays: it does no
    /// harm, and changes that come all the time do not put it off.
    pub(super) fn set_clock(&self) {
        let now = clock::since_boot();
        let next = if self.is_seen() { self.next_change(now) } else { None };
        let mut alarm = self.imp().clock.borrow_mut();
        let Some(next) = next else {
            if let Some(alarm) = alarm.take() {
                alarm.source.remove();
            }
            return;
        };
        // GLib has timers of whole seconds of all programs end together.
        let seconds = u32::try_from(next.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        let due = now + SECOND * seconds;
        match alarm.take() {
            Some(set) if set.due <= due => {
                alarm.replace(set);
                return;
            }
            Some(set) => set.source.remove(),
            None => {}
        }
        let window = self.downgrade();
        let source = glib::timeout_add_seconds_local_once(seconds, move || {
            if let Some(window) = window.upgrade() {
                window.imp().clock.take();
                window.tick();
            }
        });
        alarm.replace(Alarm { due, source });
    }

    /// How long all texts stay as they are.
    fn next_change(&self, now: Duration) -> Option<Duration> {
        let imp = self.imp();
        // Of what has ended, a later deadline may not be known yet.
        let ended = self.network().borrow().expiring(now).map(|_| SECOND);
        [imp.sidebar.next_change(now), imp.details.next_change(now), ended].into_iter().flatten().min()
    }

    /// Counts down, if somebody can see it.
    pub(super) fn tick(&self) {
        if !self.is_seen() {
            return self.set_clock();
        }
        let imp = self.imp();
        let now = clock::since_boot();
        imp.sidebar.tick(now);
        imp.details.tick(now);
        // First it is drawn: what the screen has to say about that comes before the window sleeps again.
        let window = self.downgrade();
        glib::idle_add_local_full(glib::Priority::LOW, move || {
            if let Some(window) = window.upgrade() {
                window.refresh();
                window.set_clock();
            }
            glib::ControlFlow::Break
        });
    }

    /// Has the PvD on display read again, or one whose time is up. At most one question a second.
    fn refresh(&self) {
        let imp = self.imp();
        let now = clock::since_boot();
        let old = now.saturating_sub(imp.refreshed.get()) >= REFRESH;
        let shown = old.then(|| imp.details.shown()).flatten();
        if shown.is_some() {
            imp.refreshed.set(now);
        }
        let network = self.network();
        let network = network.borrow();
        let refresh = shown.or_else(|| network.expiring(now).cloned());
        drop(network);
        if let Some(path) = refresh {
            self.send(Command::Refresh(path));
        }
    }
}
