//! What happened in a race, for people and logs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Attempt, Family};

/// How a race went: what was asked, answered, tried, and when. As text, one line for each event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// The Ids of the PvDs by the numbers that the events have.
    pub pvds: Vec<String>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Since the race began.
    pub at: Duration,
    /// What.
    pub what: Happening,
}

/// What happened. PvDs are told by their place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A PvD does not take part.
    LeftOut {
        /// Which.
        domain: usize,
        /// Why.
        why: Exclusion,
    },
    /// The name was asked in a PvD.
    Asked {
        /// Where.
        domain: usize,
        /// For which addresses.
        family: Family,
    },
    /// These came.
    Answered {
        /// Where.
        domain: usize,
        /// For which addresses.
        family: Family,
        /// In the order to try them.
        addresses: Vec<IpAddr>,
    },
    /// None came.
    NotAnswered {
        /// Where.
        domain: usize,
        /// For which addresses.
        family: Family,
        /// The error in words.
        why: String,
    },
    /// A connection was begun.
    Begun {
        /// Which attempt.
        attempt: Attempt,
        /// In which PvD.
        domain: usize,
        /// Where to.
        address: IpAddr,
    },
    /// It is there: this attempt has won.
    Connected {
        /// Which attempt.
        attempt: Attempt,
    },
    /// It failed.
    Failed {
        /// Which attempt.
        attempt: Attempt,
        /// The error in words.
        why: String,
    },
    /// It is not wanted any more.
    Abandoned {
        /// Which attempt.
        attempt: Attempt,
    },
    /// The time was up.
    TimedOut,
}

/// Why a PvD does not take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// The policy requires others.
    NotRequired,
    /// Its interface is down.
    Down,
    /// It has no source address of the wanted families.
    NoSource,
    /// A captive portal is in the way, and the policy does not use such PvDs.
    Captive,
    /// It leads to no Internet, and the policy does not use such PvDs.
    NoInternet,
    /// More than [`super::DOMAINS`] take part already.
    TooMany,
}

impl std::fmt::Display for Exclusion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NotRequired => "others are required",
            Self::Down => "its interface is down",
            Self::NoSource => "it has no source address of the wanted family",
            Self::Captive => "a captive portal is in the way",
            Self::NoInternet => "it leads to no Internet",
            Self::TooMany => "too many take part already",
        })
    }
}

impl Story {
    /// Where each attempt went: the number of the PvD and the address.
    #[must_use]
    pub fn attempts(&self) -> BTreeMap<Attempt, (usize, IpAddr)> {
        let begun = self.events.iter().filter_map(|event| match event.what {
            Happening::Begun { attempt, domain, address } => Some((attempt, (domain, address))),
            _ => None,
        });
        begun.collect()
    }

    /// One line for each event, at most `most`: of a longer story the beginning and the end, and between them a
    /// line that says how many are left out.
    #[must_use]
    pub fn lines(&self, most: usize) -> Vec<String> {
        let attempts = self.attempts();
        let count = self.events.len();
        let line = |event: &Event| self.line(event, &attempts);
        if count <= most {
            return self.events.iter().map(line).collect();
        }
        let told = most.saturating_sub(1);
        let (first, last) = (told - told / 2, told / 2);
        let left_out = format!("... {} more ...", count - first - last);
        let begin = self.events[..first].iter().map(line);
        begin.chain([left_out]).chain(self.events[count - last..].iter().map(line)).collect()
    }

    fn line(&self, event: &Event, attempts: &BTreeMap<Attempt, (usize, IpAddr)>) -> String {
        let milliseconds = event.at.as_secs_f64() * 1000.0;
        format!("{milliseconds:8.1} ms  {}", self.words_of(&event.what, attempts))
    }

    /// An event in words, without its time.
    #[must_use]
    pub fn in_words(&self, what: &Happening) -> String {
        self.words_of(what, &self.attempts())
    }

    fn words_of(&self, what: &Happening, attempts: &BTreeMap<Attempt, (usize, IpAddr)>) -> String {
        let pvd = |domain: &usize| self.pvds.get(*domain).map_or("?", String::as_str);
        let to = |attempt: &Attempt| {
            attempts
                .get(attempt)
                .map_or_else(String::new, |(domain, address)| format!("{address} in {}", pvd(domain)))
        };
        match what {
            Happening::LeftOut { domain, why } => format!("left out {}: {why}", pvd(domain)),
            Happening::Asked { domain, family } => format!("asked {} for {}", pvd(domain), word(*family)),
            Happening::Answered { domain, family, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                format!("{} has {}: {}", pvd(domain), word(*family), addresses.join(", "))
            }
            Happening::NotAnswered { domain, family, why } => {
                format!("{} has no {}: {why}", pvd(domain), word(*family))
            }
            Happening::Begun { domain, address, .. } => format!("trying {address} in {}", pvd(domain)),
            Happening::Connected { attempt } => format!("connected to {}", to(attempt)),
            Happening::Failed { attempt, why } => format!("no connection to {}: {why}", to(attempt)),
            Happening::Abandoned { attempt } => format!("gave up {}", to(attempt)),
            Happening::TimedOut => "the time is up".to_owned(),
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = self.attempts();
        self.events.iter().try_for_each(|event| writeln!(out, "{}", self.line(event, &attempts)))
    }
}

const fn word(family: Family) -> &'static str {
    match family {
        Family::V6 => "IPv6",
        Family::V4 => "IPv4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_story_reads_in_order_with_names() {
        let at = |ms, what| Event { at: Duration::from_millis(ms), what };
        let address: IpAddr = [192, 0, 2, 80].into();
        let story = Story {
            pvds: vec!["home.example".into()],
            events: vec![
                at(0, Happening::Asked { domain: 0, family: Family::V4 }),
                at(3, Happening::Begun { attempt: Attempt(0), domain: 0, address }),
                at(25, Happening::Connected { attempt: Attempt(0) }),
            ],
        };
        let expected = "     0.0 ms  asked home.example for IPv4
     3.0 ms  trying 192.0.2.80 in home.example
    25.0 ms  connected to 192.0.2.80 in home.example
";
        assert_eq!(story.to_string(), expected);
    }

    #[test]
    fn a_long_story_is_told_from_both_ends() {
        let event = |ms| Event { at: Duration::from_millis(ms), what: Happening::TimedOut };
        let story = Story { pvds: Vec::new(), events: (0..100).map(event).collect() };
        assert_eq!(story.lines(100).len(), 100);
        let lines = story.lines(6);
        assert_eq!(lines.len(), 6);
        assert!(lines[2].starts_with("     2.0 ms"), "{lines:?}");
        assert_eq!(lines[3], "... 95 more ...");
        assert!(lines[5].starts_with("    99.0 ms"), "{lines:?}");
        assert_eq!(story.lines(1), ["... 100 more ..."]);
    }
}
