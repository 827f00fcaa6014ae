//! What the status icon and its menu say.

use gettextrs::gettext;
use zbus::OwnedObjectPath;

use super::condition::Condition;
use super::network::Network;
use super::words::{counted, joined, plain};

/// The most networks in the menu.
const LISTED: usize = 8;

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
pub enum Entry {
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

impl StatusIcon {
    /// For what is known; `live` when there is a service.
    pub fn new(network: &Network, live: bool) -> Self {
        let summary = if live { network.summary() } else { gettext("The service is not running") };
        let captive = live && network.worst() == Some(Condition::Captive);
        // A tooltip is not shown everywhere: the first entry says the same.
        let mut menu = vec![Entry::Text(summary.clone())];
        let networks = network.pvds();
        if live {
            menu.extend(networks.iter().take(LISTED).map(|pvd| {
                let title = plain(&network.title(&pvd.facts));
                let label = joined([title, network.condition(pvd).words()]);
                Entry::Action(label, Action::Show(pvd.facts.path.clone()))
            }));
            if networks.len() > LISTED {
                menu.push(Entry::Text(counted(
                    "and {count} more",
                    "and {count} more",
                    networks.len() - LISTED,
                )));
            }
        }
        menu.push(Entry::Separator);
        if captive {
            menu.push(Entry::Action(gettext("Sign In…"), Action::SignIn));
        }
        menu.extend([
            Entry::Action(gettext("Open Provisioning Domains"), Action::Open),
            Entry::Action(gettext("Preferences"), Action::Preferences),
            Entry::Action(gettext("Quit"), Action::Quit),
        ]);
        Self { summary, attention: captive, menu }
    }

    /// What the entry with that number does. The first is 1, as in com.canonical.dbusmenu 0 is the menu itself.
    pub fn action(&self, id: i32) -> Option<Action> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        match self.menu.get(index)? {
            Entry::Action(_, action) => Some(action.clone()),
            Entry::Text(_) | Entry::Separator => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::network::Update;
    use crate::model::samples::{path, pvd, state, values};
    use serde_json::json;

    #[test]
    fn the_menu_lists_the_networks_and_what_can_be_done() {
        let mut network = Network::default();
        network.reset(state(&["a.example", "b.example"]));
        let icon = StatusIcon::new(&network, true);
        assert_eq!(icon.menu[0], Entry::Text("2 networks".into()));
        assert_eq!(icon.action(1), None);
        assert_eq!(icon.action(2), Some(Action::Show(path("pvd", "a.example"))));
        assert_eq!(icon.action(icon.menu.len() as i32), Some(Action::Quit));
        assert_eq!((icon.action(0), icon.action(-1), icon.action(99)), (None, None, None));
        assert!(!icon.attention);

        network.apply(Update::Pvd(Box::new(pvd("a.example")), values(json!({"captive": true}))));
        let icon = StatusIcon::new(&network, true);
        assert!(icon.attention);
        assert!(icon.menu.contains(&Entry::Action("Sign In…".into(), Action::SignIn)));
    }

    #[test]
    fn many_networks_do_not_fill_the_screen() {
        let ids: Vec<String> = (0..20).map(|number| format!("{number}.example")).collect();
        let mut network = Network::default();
        network.reset(state(&ids.iter().map(String::as_str).collect::<Vec<_>>()));
        let icon = StatusIcon::new(&network, true);
        assert!(icon.menu.contains(&Entry::Text("and 12 more".into())));
        assert_eq!(icon.menu.len(), 1 + LISTED + 1 + 1 + 3);
    }

    #[test]
    fn without_a_service_it_says_so() {
        let icon = StatusIcon::new(&Network::default(), false);
        assert_eq!(icon.summary, "The service is not running");
    }
}
