//! What a person is notified of.

use std::collections::BTreeMap;

use gettextrs::gettext;
use zbus::OwnedObjectPath;

use super::condition::Condition;
use super::network::{Identity, Network};
use super::words::{counted, fill, plain};

/// More than this at once become one notification.
const SEPARATE: usize = 3;

/// What a notification is about; each can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A network came.
    Gained,
    /// A network went.
    Lost,
    /// A network wants a person to sign in.
    Captive,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gained, Self::Lost, Self::Captive];

    /// Its name in the preferences and in actions.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Captive => "captive",
        }
    }

    /// The subject of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.word() == word)
    }
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub subject: Subject,
    /// Headline.
    pub title: String,
    /// The rest.
    pub body: String,
    /// The PvD, when it is about one that is there.
    pub pvd: Option<OwnedObjectPath>,
}

/// Sees what has changed between one state and the next.
#[derive(Debug, Default)]
pub struct Watch {
    known: Option<BTreeMap<Key, Seen>>,
}

type Key = (String, String);

#[derive(Debug, Clone)]
struct Seen {
    title: String,
    path: OwnedObjectPath,
    captive: bool,
}

impl Watch {
    /// What there is to say about the new state. Of the first state, and while links settle after the service
    /// has started, nothing.
    pub fn look(&mut self, network: &Network) -> Vec<Notice> {
        let seen = seen(network);
        if network.startup() {
            // What is there already is no news later; what is not found again yet is not lost.
            self.known.get_or_insert_default().extend(seen);
            return Vec::new();
        }
        let Some(known) = self.known.replace(seen.clone()) else { return Vec::new() };
        let came: Vec<&Seen> =
            seen.iter().filter(|(key, _)| !known.contains_key(*key)).map(|(_, it)| it).collect();
        let went: Vec<&Seen> =
            known.iter().filter(|(key, _)| !seen.contains_key(*key)).map(|(_, it)| it).collect();
        let captive = seen
            .iter()
            .filter(|(key, it)| it.captive && !known.get(*key).is_some_and(|before| before.captive));
        let captive: Vec<&Seen> = captive.map(|(_, it)| it).collect();
        [(Subject::Gained, came), (Subject::Lost, went), (Subject::Captive, captive)]
            .into_iter()
            .flat_map(|(subject, networks)| notices(subject, &networks))
            .collect()
    }
}

fn seen(network: &Network) -> BTreeMap<Key, Seen> {
    let entry = |pvd: &super::network::Pvd| {
        let path = pvd.facts.path.clone();
        let Identity { interface, id } = network.identity(&path)?;
        let title = plain(&network.title(&pvd.facts));
        let captive = network.condition(pvd) == Condition::Captive;
        Some(((interface, id), Seen { title, path, captive }))
    };
    network.pvds().into_iter().filter_map(entry).collect()
}

fn notices(subject: Subject, networks: &[&Seen]) -> Vec<Notice> {
    if networks.len() > SEPARATE {
        let names: Vec<&str> = networks.iter().take(SEPARATE).map(|it| it.title.as_str()).collect();
        let body = fill(&gettext("{names} and more"), &[("names", &names.join(", "))]);
        let title = match subject {
            Subject::Gained => counted("{count} network came", "{count} networks came", networks.len()),
            Subject::Lost => counted("{count} network went", "{count} networks went", networks.len()),
            Subject::Captive => {
                counted("{count} network needs a sign-in", "{count} networks need a sign-in", networks.len())
            }
        };
        return vec![Notice { subject, title, body, pvd: None }];
    }
    networks.iter().map(|it| single(subject, it)).collect()
}

fn single(subject: Subject, network: &Seen) -> Notice {
    let (title, body) = match subject {
        Subject::Gained => (gettext("Network came"), network.title.clone()),
        Subject::Lost => (gettext("Network went"), network.title.clone()),
        Subject::Captive => (
            gettext("Sign-in needed"),
            fill(&gettext("{network} wants you to sign in"), &[("network", &network.title)]),
        ),
    };
    let pvd = (subject != Subject::Lost).then(|| network.path.clone());
    Notice { subject, title, body, pvd }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::network::Update;
    use crate::model::samples::{path, pvd, state, values};
    use serde_json::json;

    fn network(ids: &[&str]) -> Network {
        let mut network = Network::default();
        network.reset(state(ids));
        network
    }

    fn told(notices: &[Notice]) -> Vec<(&str, &str)> {
        notices.iter().map(|it| (it.subject.word(), it.body.as_str())).collect()
    }

    #[test]
    fn what_comes_and_goes_is_told_once_and_the_first_state_is_not() {
        let mut watch = Watch::default();
        assert!(watch.look(&network(&["a.example"])).is_empty());
        assert_eq!(told(&watch.look(&network(&["a.example", "b.example"]))), [("gained", "b.example")]);
        assert!(watch.look(&network(&["a.example", "b.example"])).is_empty());
        let gone = watch.look(&network(&["b.example"]));
        assert_eq!(told(&gone), [("lost", "a.example")]);
        assert_eq!(gone[0].pvd, None);
    }

    #[test]
    fn a_network_that_turns_captive_is_told_with_its_object() {
        let mut watch = Watch::default();
        let mut network = network(&["a.example"]);
        watch.look(&network);
        network.apply(Update::Pvd(Box::new(pvd("a.example")), values(json!({"captive": true}))));
        let notices = watch.look(&network);
        assert_eq!(told(&notices), [("captive", "a.example wants you to sign in")]);
        assert_eq!(notices[0].pvd, Some(path("pvd", "a.example")));
        assert!(watch.look(&network).is_empty());
    }

    #[test]
    fn a_restart_of_the_service_is_no_news() {
        let mut watch = Watch::default();
        watch.look(&network(&["a.example", "b.example"]));
        let mut starting = Network::default();
        starting.reset(mif::State { startup: true, ..state(&["a.example"]) });
        assert!(watch.look(&starting).is_empty());
        assert_eq!(told(&watch.look(&network(&["a.example"]))), [("lost", "b.example")]);
    }

    #[test]
    fn many_at_once_are_one_notification() {
        let mut watch = Watch::default();
        watch.look(&network(&[]));
        let notices = watch.look(&network(&["a.example", "b.example", "c.example", "d.example"]));
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].title, "4 networks came");
        assert_eq!(notices[0].body, "a.example, b.example, c.example and more");
    }
}
