//! How a race went, in words.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use mif_selection::race::{Attempt, Event, Family, Happening};

use crate::state::ProvisioningDomain;

/// How a race went: what was asked, answered, tried, and when. As text, one line for each event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// The Ids of the PvDs by the numbers that the events have.
    pub pvds: Vec<String>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Story {
    pub(super) fn new(pvds: &[ProvisioningDomain], events: Vec<Event>) -> Self {
        Self { pvds: pvds.iter().map(|pvd| pvd.id.clone()).collect(), events }
    }

    /// Where each attempt went: the number of the PvD and the address.
    #[must_use]
    pub fn attempts(&self) -> BTreeMap<Attempt, (usize, IpAddr)> {
        let begun = self.events.iter().filter_map(|event| match event.what {
            Happening::Begun { attempt, domain, address } => Some((attempt, (domain, address))),
            _ => None,
        });
        begun.collect()
    }

    /// An event in words, without its time.
    #[must_use]
    pub fn in_words(&self, what: &Happening) -> String {
        let attempts = self.attempts();
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
        for event in &self.events {
            let milliseconds = event.at.as_secs_f64() * 1000.0;
            writeln!(out, "{milliseconds:8.1} ms  {}", self.in_words(&event.what))?;
        }
        Ok(())
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
}
