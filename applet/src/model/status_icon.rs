//! What the status icon and its menu say.

use std::collections::HashMap;

use gettextrs::gettext;
use mif::ProvisioningDomain;
use zbus::OwnedObjectPath;

use super::condition::Condition;
use super::network::Network;
use super::words::{counted, joined, plain};

/// The most networks in the menu.
const LISTED: usize = 8;

/// What stands in the menu besides networks: the number of each.
mod number {
    pub const SUMMARY: i32 = 1;
    pub const MORE: i32 = 2;
    pub const LINE: i32 = 3;
    pub const SIGN_IN: i32 = 4;
    pub const OPEN: i32 = 5;
    pub const PREFERENCES: i32 = 6;
    pub const QUIT: i32 = 7;
    pub const FIRST_NETWORK: i32 = 100;
}

/// The icon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusIcon {
    /// One line for all of it.
    pub summary: String,
    /// Something wants a person.
    pub attention: bool,
    /// From top to bottom.
    pub menu: Vec<Entry>,
}

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, of which com.canonical.dbusmenu makes its id: never that of something else, so that a click on a menu
    /// that is an older one by then does what was clicked on, or nothing.
    pub number: i32,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Says something and does nothing.
    Text(String),
    /// A line.
    Separator,
    /// Does something.
    Action(String, Action),
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// See the window.
    Open,
    /// See a network.
    Show(OwnedObjectPath),
    /// Sign in.
    SignIn,
    /// Change the preferences.
    Preferences,
    /// End the program.
    Quit,
}

/// The numbers of networks in the menu. Who goes takes its number along: one that comes has another, though it may have
/// the path of one that went before the service was started again.
#[derive(Debug)]
pub struct Numbers {
    next: i32,
    /// By path and Id.
    known: HashMap<(OwnedObjectPath, String), i32>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { next: number::FIRST_NETWORK, known: HashMap::new() }
    }
}

impl Numbers {
    fn of(&mut self, pvd: &ProvisioningDomain) -> i32 {
        *self.known.entry((pvd.path.clone(), pvd.id.clone())).or_insert_with(|| {
            let number = self.next;
            // After two thousand million networks it begins anew.
            self.next = number.checked_add(1).unwrap_or(number::FIRST_NETWORK);
            number
        })
    }

    /// Forgets those who went.
    fn keep(&mut self, network: &Network) {
        self.known.retain(|(path, id), _| network.pvd(path).is_some_and(|pvd| pvd.facts.id == *id));
    }
}

impl StatusIcon {
    /// For what is known; `live` when there is a service.
    pub fn new(network: &Network, live: bool, numbers: &mut Numbers) -> Self {
        let summary = if live { network.summary() } else { gettext("The service is not running") };
        let captive = live && network.worst() == Some(Condition::Captive);
        // A tooltip is not shown everywhere: the first entry says the same.
        let mut menu = vec![Entry { number: number::SUMMARY, kind: Kind::Text(summary.clone()) }];
        numbers.keep(network);
        if live {
            menu.extend(networks(network, numbers));
        }
        menu.push(Entry { number: number::LINE, kind: Kind::Separator });
        let action = |number, label: String, action| Entry { number, kind: Kind::Action(label, action) };
        if captive {
            menu.push(action(number::SIGN_IN, gettext("Sign In…"), Action::SignIn));
        }
        menu.extend([
            action(number::OPEN, gettext("Open Provisioning Domains"), Action::Open),
            action(number::PREFERENCES, gettext("Preferences"), Action::Preferences),
            action(number::QUIT, gettext("Quit"), Action::Quit),
        ]);
        Self { summary, attention: captive, menu }
    }

    /// The entry with that number.
    pub fn entry(&self, number: i32) -> Option<&Entry> {
        self.menu.iter().find(|entry| entry.number == number)
    }

    /// What the entry with that number does.
    pub fn action(&self, number: i32) -> Option<Action> {
        match &self.entry(number)?.kind {
            Kind::Action(_, action) => Some(action.clone()),
            Kind::Text(_) | Kind::Separator => None,
        }
    }

    /// Whether the menu has the entries of `before`, in their order.
    pub fn has_entries_of(&self, before: &Self) -> bool {
        let numbers = |icon: &Self| -> Vec<i32> { icon.menu.iter().map(|entry| entry.number).collect() };
        numbers(self) == numbers(before)
    }

    /// The entries that were there `before` and say something else by now.
    pub fn changed_entries(&self, before: &Self) -> Vec<Entry> {
        let changed = |entry: &&Entry| before.entry(entry.number).is_some_and(|old| old != *entry);
        self.menu.iter().filter(changed).cloned().collect()
    }
}

/// The first networks, and how many more there are.
fn networks(network: &Network, numbers: &mut Numbers) -> Vec<Entry> {
    let pvds = network.pvds();
    let mut entries: Vec<Entry> = pvds
        .iter()
        .take(LISTED)
        .map(|pvd| {
            let title = plain(&network.title(&pvd.facts));
            let label = joined([title, network.condition(pvd).words()]);
            let kind = Kind::Action(label, Action::Show(pvd.facts.path.clone()));
            Entry { number: numbers.of(&pvd.facts), kind }
        })
        .collect();
    if pvds.len() > LISTED {
        let more = counted("and {count} more", "and {count} more", pvds.len() - LISTED);
        entries.push(Entry { number: number::MORE, kind: Kind::Text(more) });
    }
    entries
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::network::Update;
    use crate::model::samples::{path, pvd, state, values};
    use proptest::prelude::*;
    use serde_json::json;

    fn labels(icon: &StatusIcon) -> Vec<&str> {
        fn label(entry: &Entry) -> Option<&str> {
            match &entry.kind {
                Kind::Text(label) | Kind::Action(label, _) => Some(label),
                Kind::Separator => None,
            }
        }
        icon.menu.iter().filter_map(label).collect()
    }

    /// The number of what does this.
    fn number_of(icon: &StatusIcon, action: &Action) -> Option<i32> {
        icon.menu
            .iter()
            .map(|entry| entry.number)
            .find(|number| icon.action(*number).as_ref() == Some(action))
    }

    #[test]
    fn the_menu_lists_the_networks_and_what_can_be_done() {
        let (mut network, mut numbers) = (Network::default(), Numbers::default());
        network.reset(state(&["a.example", "b.example"]));
        let icon = StatusIcon::new(&network, true, &mut numbers);
        assert_eq!(icon.menu[0].kind, Kind::Text("2 networks".into()));
        assert_eq!(icon.action(icon.menu[0].number), None);
        assert_eq!(icon.action(icon.menu[1].number), Some(Action::Show(path("pvd", "a.example"))));
        assert_eq!(icon.action(icon.menu.last().unwrap().number), Some(Action::Quit));
        assert_eq!((icon.action(0), icon.action(-1), icon.action(99)), (None, None, None));
        assert!(!icon.attention);

        network.apply(Update::Pvd(Box::new(pvd("a.example")), values(json!({"captive": true}))));
        let icon = StatusIcon::new(&network, true, &mut numbers);
        assert!(icon.attention);
        assert!(labels(&icon).contains(&"Sign In…"));
    }

    #[test]
    fn many_networks_do_not_fill_the_screen() {
        let ids: Vec<String> = (0..20).map(|number| format!("{number}.example")).collect();
        let mut network = Network::default();
        network.reset(state(&ids.iter().map(String::as_str).collect::<Vec<_>>()));
        let icon = StatusIcon::new(&network, true, &mut Numbers::default());
        assert!(labels(&icon).contains(&"and 12 more"));
        assert_eq!(icon.menu.len(), 1 + LISTED + 1 + 1 + 3);
    }

    #[test]
    fn without_a_service_it_says_so() {
        let icon = StatusIcon::new(&Network::default(), false, &mut Numbers::default());
        assert_eq!(icon.summary, "The service is not running");
    }

    #[test]
    fn what_changes_is_told_apart_from_what_comes_and_goes() {
        let (mut network, mut numbers) = (Network::default(), Numbers::default());
        network.reset(state(&["a.example", "b.example"]));
        let before = StatusIcon::new(&network, true, &mut numbers);
        network.apply(Update::PvdGone(path("pvd", "a.example")));
        let now = StatusIcon::new(&network, true, &mut numbers);
        assert!(!now.has_entries_of(&before));
        assert_eq!(now.changed_entries(&before), [now.menu[0].clone()], "only the summary");
        assert!(now.has_entries_of(&now) && now.changed_entries(&now).is_empty());
    }

    #[test]
    fn who_comes_back_under_the_path_of_another_has_a_number_of_its_own() {
        let (mut network, mut numbers) = (Network::default(), Numbers::default());
        network.reset(state(&["a.example"]));
        let show = Action::Show(path("pvd", "a.example"));
        let before = number_of(&StatusIcon::new(&network, true, &mut numbers), &show).unwrap();
        let mut other = pvd("a.example");
        other.id = "b.example".to_owned();
        network.apply(Update::Pvd(Box::new(other), values(json!({}))));
        let after = StatusIcon::new(&network, true, &mut numbers);
        assert_ne!(number_of(&after, &show), Some(before));
        assert_eq!(after.action(before), None);
    }

    proptest! {
        /// Whatever comes and goes: a number means the same thing for ever, or nothing.
        #[test]
        fn a_number_is_never_that_of_something_else(steps in proptest::collection::vec(0_usize..12, 1..60)) {
            let (mut network, mut numbers) = (Network::default(), Numbers::default());
            network.reset(state(&[]));
            let mut meant: HashMap<i32, (Action, usize)> = HashMap::new();
            let mut lives = [0_usize; 12];
            for step in steps {
                let id = format!("{step}.example");
                let there = network.pvd(&path("pvd", &id)).is_some();
                if there {
                    network.apply(Update::PvdGone(path("pvd", &id)));
                    lives[step] += 1;
                } else {
                    network.apply(Update::Pvd(Box::new(pvd(&id)), values(json!({}))));
                }
                let icon = StatusIcon::new(&network, true, &mut numbers);
                for entry in &icon.menu {
                    let Some(action) = icon.action(entry.number) else { continue };
                    // A network that went and came is another one.
                    let life = match &action {
                        Action::Show(shown) => {
                            let number = (0..12).find(|it| *shown == path("pvd", &format!("{it}.example")));
                            lives[number.unwrap()]
                        }
                        _ => 0,
                    };
                    let before = meant.entry(entry.number).or_insert_with(|| (action.clone(), life));
                    prop_assert_eq!(&*before, &(action, life));
                }
            }
        }
    }
}
