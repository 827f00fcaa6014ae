//! A name tried in several provisioning domains, or raced over all of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gettextrs::gettext;
use serde::{Deserialize, Serialize};
use zbus::OwnedObjectPath;

use super::time::took;
use super::words::{counted, fill, isolated, joined, plain};

/// The most networks that one attempt is made in.
pub const LANES: usize = 64;

/// Where to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In each network, side by side.
    #[default]
    Each,
    /// In the network that is selected.
    Selected,
    /// The first connection wins (RFC 8305).
    Race,
}

impl Scope {
    /// In the order of the choice.
    pub const ALL: [Self; 3] = [Self::Each, Self::Selected, Self::Race];

    /// What the choice is called.
    pub fn words(self) -> String {
        match self {
            Self::Each => gettext("In each network"),
            Self::Selected => gettext("In the selected network"),
            Self::Race => gettext("Race over all networks"),
        }
    }
}

/// What to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A host name, or an address as text.
    pub name: String,
    /// To connect to; without one the name is translated only.
    pub port: Option<u16>,
}

/// What a person typed that cannot be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// No name.
    NoName,
    /// No name has blanks.
    Blank,
    /// Not a number from 1 to 65535.
    Port,
    /// A race is about connections.
    RaceWithoutPort,
}

impl Mistake {
    /// What to do instead.
    pub fn words(self) -> String {
        match self {
            Self::NoName => gettext("Type the name of a host, such as www.example.org"),
            Self::Blank => gettext("A name has no blanks"),
            Self::Port => gettext("A port is a number from 1 to 65535"),
            Self::RaceWithoutPort => gettext("A race needs a port to connect to"),
        }
    }
}

impl Target {
    /// From what was typed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(name: &str, port: &str, scope: Scope) -> Result<Self, Mistake> {
        let name = plain(name).trim().to_owned();
        if name.is_empty() {
            return Err(Mistake::NoName);
        }
        if name.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(Mistake::Blank);
        }
        let port = match port.trim() {
            "" if scope == Scope::Race => return Err(Mistake::RaceWithoutPort),
            "" => None,
            text => Some(text.parse().ok().filter(|port| *port > 0).ok_or(Mistake::Port)?),
        };
        Ok(Self { name, port })
    }

    /// As a line of the history.
    pub fn words(&self) -> String {
        match self.port {
            Some(port) => fill(
                &gettext("{name}, port {port}"),
                &[("name", &isolated(&self.name)), ("port", &port.to_string())],
            ),
            None => isolated(&self.name),
        }
    }
}

/// An attempt, under way or done.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// What is tried.
    pub target: Target,
    /// Where.
    pub scope: Scope,
    /// One for each network.
    pub lanes: Vec<Lane>,
    /// How many networks there are beyond those.
    pub left_out: usize,
    /// How a race went, line by line.
    pub story: Vec<String>,
    /// Nothing more comes.
    pub done: bool,
    /// Given up by the person.
    pub cancelled: bool,
}

/// An attempt in one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The PvD.
    pub pvd: OwnedObjectPath,
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub stage: Stage,
    /// The answers, as they came.
    pub answers: Vec<IpAddr>,
    /// Who answered and how.
    pub answered_by: String,
    /// From the question to the end of the answer.
    pub answered_in: Option<Duration>,
    /// The connection.
    pub connected: Option<Connected>,
}

/// Where an attempt in one network stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Not begun.
    Waiting,
    /// The name is asked.
    Translating,
    /// This address is connected to.
    Connecting(IpAddr),
    /// It worked.
    Done,
    /// It failed, in words.
    Failed(String),
    /// Given up.
    Cancelled,
}

/// A connection that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The other end.
    pub remote: SocketAddr,
    /// This end.
    pub local: Option<SocketAddr>,
    /// From the first packet to the connection.
    pub handshake: Option<Duration>,
}

/// What happens to an attempt.
#[derive(Debug, Clone)]
pub enum Progress {
    /// In a lane.
    Lane(usize, Step),
    /// A race was won in this PvD.
    Won(OwnedObjectPath, Connected, Vec<String>),
    /// A race was lost, with its story.
    Lost(String, Vec<String>),
    /// Nothing more comes.
    Finished,
}

/// What happens in a lane.
#[derive(Debug, Clone)]
pub enum Step {
    /// The question was put.
    Asked,
    /// An address came.
    Answer(IpAddr, String),
    /// The answer is complete.
    Answered(Duration),
    /// A connection is begun.
    Connecting(IpAddr),
    /// It is there.
    Connected(Connected),
    /// The lane ended, with an error in words or without.
    Ended(Option<String>),
}

impl Attempt {
    /// A new one in these networks (object and name).
    pub fn new(target: Target, scope: Scope, networks: Vec<(OwnedObjectPath, String)>) -> Self {
        let left_out = networks.len().saturating_sub(LANES);
        let lanes = networks.into_iter().take(LANES).map(|(pvd, title)| Lane::new(pvd, title)).collect();
        Self { target, scope, lanes, left_out, story: Vec::new(), done: false, cancelled: false }
    }

    /// Takes in what happened. Returns the lane that it is about.
    pub fn apply(&mut self, progress: Progress) -> Option<usize> {
        match progress {
            Progress::Lane(index, step) => {
                self.lanes.get_mut(index)?.apply(step);
                return Some(index);
            }
            Progress::Won(pvd, connected, story) => {
                self.story = story;
                for lane in &mut self.lanes {
                    lane.stage = Stage::Cancelled;
                }
                let winner = self.lanes.iter().position(|lane| lane.pvd == pvd)?;
                self.lanes[winner].connected = Some(connected);
                self.lanes[winner].stage = Stage::Done;
                return Some(winner);
            }
            Progress::Lost(why, story) => {
                self.story = story;
                for lane in &mut self.lanes {
                    lane.stage = Stage::Failed(why.clone());
                }
            }
            Progress::Finished => self.done = true,
        }
        None
    }

    /// Gives it up.
    pub fn cancel(&mut self) {
        (self.cancelled, self.done) = (true, true);
        for lane in &mut self.lanes {
            if !lane.is_over() {
                lane.stage = Stage::Cancelled;
            }
        }
    }

    /// The lane that was fastest, from the question to the connection or, without a port, to the answer.
    pub fn winner(&self) -> Option<usize> {
        let times = self.lanes.iter().enumerate().filter_map(|(index, lane)| Some((lane.total()?, index)));
        times.min().map(|(_, index)| index)
    }

    /// How it went, in a line.
    pub fn outcome(&self) -> String {
        let good = self.lanes.iter().filter(|lane| lane.stage == Stage::Done).count();
        let over = self.lanes.iter().filter(|lane| lane.is_over()).count();
        if self.cancelled {
            return gettext("Cancelled");
        }
        if !self.done {
            let all = self.lanes.len();
            return fill(
                &gettext("{done} of {all} networks done"),
                &[("done", &over.to_string()), ("all", &all.to_string())],
            );
        }
        let first = self.winner().map(|index| self.lanes[index].title.as_str());
        match (self.scope, first) {
            (_, None) => gettext("It worked in no network"),
            (Scope::Race, Some(first)) => fill(&gettext("{network} won"), &[("network", first)]),
            (_, Some(first)) => {
                let worked = counted("{count} network works", "{count} networks work", good);
                joined([worked, fill(&gettext("{network} is fastest"), &[("network", first)])])
            }
        }
    }

    /// As text, for a bug report.
    pub fn to_text(&self) -> String {
        let head = format!("{}: {}\n", self.target.words(), self.outcome());
        let lanes = self.lanes.iter().map(|lane| format!("{}: {}\n", lane.title, lane.lines().join("; ")));
        let story = self.story.iter().map(|line| format!("{line}\n"));
        plain(&std::iter::once(head).chain(lanes).chain(story).collect::<String>())
    }

    /// The same by mifctl.
    pub fn command(&self) -> String {
        match self.target.port {
            Some(port) => format!("mifctl connect {} {port}", self.target.name),
            None => format!("mifctl translate {}", self.target.name),
        }
    }
}

impl Lane {
    fn new(pvd: OwnedObjectPath, title: String) -> Self {
        Self {
            pvd,
            title,
            stage: Stage::Waiting,
            answers: Vec::new(),
            answered_by: String::new(),
            answered_in: None,
            connected: None,
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Asked => self.stage = Stage::Translating,
            Step::Answer(address, by) => {
                if !self.answers.contains(&address) {
                    self.answers.push(address);
                }
                if self.answered_by.is_empty() {
                    self.answered_by = by;
                }
            }
            Step::Answered(time) => self.answered_in = Some(time),
            Step::Connecting(address) => self.stage = Stage::Connecting(address),
            Step::Connected(connected) => self.connected = Some(connected),
            Step::Ended(None) => self.stage = Stage::Done,
            Step::Ended(Some(why)) => self.stage = Stage::Failed(why),
        }
    }

    /// Nothing more comes.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Failed(_) | Stage::Cancelled)
    }

    /// Where it stands, in words.
    pub fn status(&self) -> String {
        match &self.stage {
            Stage::Waiting => gettext("Waiting"),
            Stage::Translating => gettext("Asking for the name…"),
            Stage::Connecting(address) => {
                fill(&gettext("Connecting to {address}…"), &[("address", &isolated(&address.to_string()))])
            }
            Stage::Done if self.connected.is_some() => gettext("Connected"),
            Stage::Done => gettext("Answered"),
            Stage::Failed(why) => why.clone(),
            Stage::Cancelled => gettext("Given up"),
        }
    }

    /// What is known, as pairs of a name and a value, in reading order.
    pub fn facts(&self) -> Vec<(String, String)> {
        let addresses: Vec<String> = self.answers.iter().map(ToString::to_string).collect();
        let mut facts = vec![
            (gettext("Addresses"), addresses.join("\n")),
            (gettext("Answered by"), self.answered_by.clone()),
            (gettext("Answered in"), self.answered_in.map(took).unwrap_or_default()),
        ];
        if let Some(connected) = &self.connected {
            facts.push((gettext("Connected to"), connected.remote.to_string()));
            let local = connected.local.map(|local| local.ip().to_string());
            facts.push((gettext("From"), local.unwrap_or_default()));
            facts.push((gettext("Connected in"), connected.handshake.map(took).unwrap_or_default()));
        }
        facts.retain(|(_, value)| !value.is_empty());
        facts
    }

    fn lines(&self) -> Vec<String> {
        let facts = self.facts();
        let facts = facts.into_iter().map(|(name, value)| format!("{name} {}", value.replace('\n', ", ")));
        std::iter::once(self.status()).chain(facts).collect()
    }

    fn total(&self) -> Option<Duration> {
        if self.stage != Stage::Done {
            return None;
        }
        let connected = self.connected.as_ref().and_then(|connected| connected.handshake);
        Some(self.answered_in.unwrap_or_default() + connected.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::samples::path;

    fn attempt(scope: Scope) -> Attempt {
        let target = Target { name: "www.example.org".into(), port: Some(443) };
        let networks = ["a", "b"].map(|name| (path("pvd", name), format!("{name}.example")));
        Attempt::new(target, scope, networks.into())
    }

    fn connected(micros: u64) -> Connected {
        Connected {
            remote: "192.0.2.80:443".parse().unwrap(),
            local: "192.0.2.10:5000".parse().ok(),
            handshake: Some(Duration::from_micros(micros)),
        }
    }

    fn lane(attempt: &mut Attempt, index: usize, steps: &[Step]) {
        for step in steps {
            attempt.apply(Progress::Lane(index, step.clone()));
        }
    }

    fn success(micros: u64) -> [Step; 6] {
        let address = "192.0.2.80".parse().unwrap();
        [
            Step::Asked,
            Step::Answer(address, "DNS".into()),
            Step::Answered(Duration::from_millis(3)),
            Step::Connecting(address),
            Step::Connected(connected(micros)),
            Step::Ended(None),
        ]
    }

    #[test]
    fn what_is_typed_is_checked() {
        let parse = |name, port| Target::parse(name, port, Scope::Each);
        assert_eq!(parse(" a.example ", "443").unwrap().port, Some(443));
        assert_eq!(parse("\u{2066}a.example\u{2069}", "").unwrap().name, "a.example");
        assert_eq!(parse("  ", "443"), Err(Mistake::NoName));
        assert_eq!(parse("a b", ""), Err(Mistake::Blank));
        for port in ["0", "65536", "http", "-1"] {
            assert_eq!(parse("a", port), Err(Mistake::Port), "{port}");
        }
        assert_eq!(Target::parse("a", "", Scope::Race), Err(Mistake::RaceWithoutPort));
    }

    #[test]
    fn the_fastest_that_worked_wins() {
        let mut attempt = attempt(Scope::Each);
        lane(&mut attempt, 0, &success(22_000));
        assert_eq!(attempt.outcome(), "1 of 2 networks done");
        lane(&mut attempt, 1, &success(19_000));
        attempt.apply(Progress::Finished);
        assert_eq!(attempt.winner(), Some(1));
        assert_eq!(attempt.outcome(), "2 networks work · b.example is fastest");
        let facts = attempt.lanes[1].facts();
        assert!(facts.contains(&("Connected in".into(), "19 ms".into())), "{facts:?}");
    }

    #[test]
    fn errors_are_in_words_and_nobody_wins_by_failing() {
        let mut attempt = attempt(Scope::Each);
        for index in 0..2 {
            lane(&mut attempt, index, &[Step::Asked, Step::Ended(Some("Connection refused".into()))]);
        }
        attempt.apply(Progress::Finished);
        assert_eq!(attempt.lanes[0].status(), "Connection refused");
        assert_eq!((attempt.winner(), attempt.outcome().as_str()), (None, "It worked in no network"));
    }

    #[test]
    fn cancelling_leaves_what_is_done() {
        let mut attempt = attempt(Scope::Each);
        lane(&mut attempt, 0, &success(1));
        lane(&mut attempt, 1, &[Step::Asked]);
        attempt.cancel();
        let stages: Vec<&Stage> = attempt.lanes.iter().map(|lane| &lane.stage).collect();
        assert_eq!(stages, [&Stage::Done, &Stage::Cancelled]);
        assert_eq!(attempt.outcome(), "Cancelled");
    }

    #[test]
    fn a_race_has_one_winner_and_a_story() {
        let mut attempt = attempt(Scope::Race);
        let story = vec!["0 ms asked".to_owned()];
        attempt.apply(Progress::Won(path("pvd", "b"), connected(9_000), story));
        attempt.apply(Progress::Finished);
        assert_eq!(attempt.outcome(), "b.example won");
        assert!(attempt.to_text().contains("0 ms asked"));
        assert_eq!(attempt.command(), "mifctl connect www.example.org 443");
    }

    #[test]
    fn no_more_networks_than_the_service_takes_at_once() {
        let networks = (0..70).map(|index| (path("pvd", &index.to_string()), String::new())).collect();
        let attempt = Attempt::new(Target { name: "a".into(), port: None }, Scope::Each, networks);
        assert_eq!((attempt.lanes.len(), attempt.left_out), (64, 6));
    }
}
