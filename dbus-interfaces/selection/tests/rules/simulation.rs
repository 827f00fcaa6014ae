//! A host and its networks, with a clock that jumps.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use mif_selection::addresses::{Candidate, Mobility};
use mif_selection::race::{
    Action, Attempt, Defeat, Domain, Event, Family, Origin, Outcome, Policy, Race, Timing,
};

/// What a network does with a question or a packet.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It answers after so many milliseconds.
    After(u64),
    /// It refuses after so many milliseconds.
    Refused(u64),
    /// Nothing ever comes back.
    Silence,
}

/// Something that comes in.
#[derive(Debug, Clone)]
enum Coming {
    Answer(usize, Family, Vec<IpAddr>),
    NoAnswer(usize, Family),
    Connected(Attempt),
    Failed(Attempt),
}

/// Networks, as the race is to find them.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    pub domains: Vec<Domain>,
    pub policy: Policy,
    pub timing: Timing,
    answers: BTreeMap<(usize, Family), (Fate, Vec<IpAddr>)>,
    fates: BTreeMap<IpAddr, Fate>,
}

/// What came of it.
#[derive(Debug)]
pub struct Run {
    /// The attempts: when (ms), the interface, where to.
    pub attempts: Vec<(u64, String, String)>,
    pub outcome: Outcome<String>,
    /// When it ended (ms).
    pub ended: u64,
    pub story: Vec<Event>,
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A PvD on `interface` with these source addresses.
pub fn domain(interface: &str, sources: &[&str]) -> Domain {
    let candidate = |text: &&str| Candidate {
        address: ip(text),
        prefix_length: if text.contains(':') { 64 } else { 24 },
        deprecated: false,
        temporary: false,
        mobility: Mobility::default(),
    };
    Domain {
        id: format!("{interface}.example"),
        interface: interface.to_owned(),
        kind: "ethernet".to_owned(),
        origin: Origin::Explicit,
        up: true,
        default: false,
        captive: false,
        no_internet: false,
        in_zone: false,
        sources: sources.iter().map(candidate).collect(),
    }
}

/// A PvD of both families on `interface`, number `n`.
pub fn dual(interface: &str, n: u8) -> Domain {
    domain(interface, &[&format!("192.0.{n}.9"), &format!("2001:db8:{n}::9")])
}

impl Simulation {
    /// Networks that answer nothing yet.
    pub fn new(domains: Vec<Domain>) -> Self {
        Self { domains, ..Self::default() }
    }

    /// The PvD at this place answers with these addresses, IPv4 and IPv6 apart, each after `ms`.
    pub fn answers(mut self, domain: usize, ms: u64, addresses: &[&str]) -> Self {
        for family in [Family::V6, Family::V4] {
            let of_family: Vec<IpAddr> =
                addresses.iter().map(|text| ip(text)).filter(|it| Family::of(*it) == family).collect();
            let fate = if of_family.is_empty() { Fate::Refused(ms) } else { Fate::After(ms) };
            self.answers.insert((domain, family), (fate, of_family));
        }
        self
    }

    /// What becomes of the question for one family.
    pub fn asked(mut self, domain: usize, family: Family, fate: Fate) -> Self {
        self.answers.entry((domain, family)).or_insert((Fate::Silence, Vec::new())).0 = fate;
        self
    }

    /// What becomes of a connection to `address`; it is there after 20 ms unless told.
    pub fn connecting(mut self, address: &str, fate: Fate) -> Self {
        self.fates.insert(ip(address), fate);
        self
    }

    pub fn run(self) -> Run {
        self.run_for(&[Family::V6, Family::V4])
    }

    /// Runs the race to its end, for addresses of these families.
    pub fn run_for(self, families: &[Family]) -> Run {
        let mut race: Race<String> = Race::new(self.domains.clone(), &self.policy, families, self.timing);
        let (mut now, mut attempts) = (Duration::ZERO, Vec::new());
        let mut coming: Vec<(Duration, Coming)> = Vec::new();
        for _ in 0..100_000 {
            while let Some(action) = race.poll_action() {
                if let Action::Connect { domain, address, .. } = action {
                    let interface = self.domains[domain].interface.clone();
                    attempts.push((millis(now), interface, address.to_string()));
                }
                coming.extend(self.consequence(now, action));
            }
            if let Some(outcome) = race.outcome().cloned() {
                let story = race.finish().1;
                return Run { attempts, outcome, ended: millis(now), story };
            }
            let next = (0..coming.len()).min_by_key(|index| coming[*index].0);
            let timeout = race.next_timeout().expect("a race that goes on has a deadline");
            match next {
                Some(next) if coming[next].0 <= timeout => {
                    let (at, what) = coming.remove(next);
                    now = at;
                    happen(&mut race, now, what);
                }
                _ => {
                    assert!(timeout >= now || race.next_timeout().is_some());
                    now = now.max(timeout);
                    race.handle_timeout(now);
                    let next = race.next_timeout();
                    assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
                }
            }
        }
        panic!("the race never ends");
    }

    fn consequence(&self, now: Duration, action: Action) -> Option<(Duration, Coming)> {
        let (fate, good, bad) = match action {
            Action::Ask { domain, family } => {
                let (fate, addresses) =
                    self.answers.get(&(domain, family)).cloned().unwrap_or((Fate::Silence, Vec::new()));
                (fate, Coming::Answer(domain, family, addresses), Coming::NoAnswer(domain, family))
            }
            Action::Connect { attempt, address, .. } => {
                let fate = self.fates.get(&address).cloned().unwrap_or(Fate::After(20));
                (fate, Coming::Connected(attempt), Coming::Failed(attempt))
            }
        };
        match fate {
            Fate::After(ms) => Some((now + Duration::from_millis(ms), good)),
            Fate::Refused(ms) => Some((now + Duration::from_millis(ms), bad)),
            Fate::Silence => None,
        }
    }
}

fn happen(race: &mut Race<String>, now: Duration, what: Coming) {
    match what {
        Coming::Answer(domain, family, addresses) => race.handle_answer(now, domain, family, &addresses),
        Coming::NoAnswer(domain, family) => {
            race.handle_no_answer(now, domain, family, format!("nothing from {domain}"));
        }
        Coming::Connected(attempt) => assert!(race.handle_connected(now, attempt)),
        Coming::Failed(attempt) => race.handle_failed(now, attempt, format!("attempt {} failed", attempt.0)),
    }
}

impl Run {
    /// The attempts in words: `0 eth0 2001:db8::80`.
    pub fn lines(&self) -> Vec<String> {
        self.attempts.iter().map(|(at, interface, to)| format!("{at} {interface} {to}")).collect()
    }

    /// Interface and address of the winner.
    pub fn winner(&self) -> (&str, &str) {
        let Outcome::Won(attempt) = self.outcome else { panic!("{self:#?}") };
        let (_, interface, address) = &self.attempts[attempt.0 as usize];
        (interface, address)
    }

    pub fn defeat(&self) -> &Defeat<String> {
        let Outcome::Lost(defeat) = &self.outcome else { panic!("{self:#?}") };
        defeat
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}
