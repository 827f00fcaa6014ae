//! Connecting to a name over several provisioning domains (RFC 8305): which of them may take part, and what is asked
//! of each. The race itself is [`crate::race`]; each of its steps in one of them is a plan of its own
//! ([`super::translate()`], [`super::connect()`]), so that nothing of one is ever used in another.

use super::name::Host;
use super::{ConnectRequest, Families, Invalid, Protocol, Refusal, Systems, TranslateRequest, check_timeout};
use crate::configuration::Configuration;
use crate::event::LinkState;
use crate::pvd::{Origin, Pvd, PvdAddress, Serial};
use crate::race::{self, Domain, Family, Policy, Timing};
use crate::snapshot::Snapshot;
use std::net::IpAddr;
use std::time::Duration;

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaceRequest {
    /// A host name or a literal address, as the caller wrote it.
    pub name: String,
    /// Which port there.
    pub port: u16,
    /// Which addresses.
    pub families: Families,
    /// Which provisioning domains, and which first.
    pub policy: Policy,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
    /// Which protocol.
    pub protocol: Protocol,
}

impl RaceRequest {
    /// Checks what is wrong by itself, whatever the networks; the name as DNS writes it (lower case, no final dot), or
    /// the address.
    ///
    /// # Errors
    /// [`Refusal::InvalidArgs`], [`Refusal::LimitsExceeded`].
    pub fn check(&self) -> Result<String, Refusal> {
        let host = Host::read(&self.name)?;
        if self.port == 0 {
            return Err(Refusal::InvalidArgs(Invalid::Port));
        }
        check_timeout(self.timeout_ms)?;
        Ok(match host {
            Host::Literal(address) => address.to_string(),
            Host::Name(name) => name.ascii.to_ascii_lowercase(),
        })
    }

    /// The families as a race has them.
    pub const fn race_families(&self) -> &'static [Family] {
        match self.families {
            Families::Any => &[Family::V6, Family::V4],
            Families::Ipv4 => &[Family::V4],
            Families::Ipv6 => &[Family::V6],
        }
    }

    /// The delays of RFC 8305 within the request's own limit.
    pub fn timing(&self) -> Timing {
        Timing::default().with_limit(Duration::from_millis(u64::from(self.timeout_ms)))
    }

    /// What is asked of one provisioning domain, of the systems that this service can ask.
    pub fn question(&self, family: Family, available: Systems) -> TranslateRequest {
        let families = match family {
            Family::V6 => Families::Ipv6,
            Family::V4 => Families::Ipv4,
        };
        let (name, timeout_ms) = (self.name.clone(), self.timeout_ms);
        TranslateRequest { name, families, timeout_ms, systems: None, available }
    }

    /// What is tried in one provisioning domain. The race ends it earlier than its own timeout.
    pub const fn attempt(&self, address: IpAddr) -> ConnectRequest {
        ConnectRequest {
            address,
            port: self.port,
            source: None,
            timeout_ms: self.timeout_ms,
            protocol: self.protocol,
        }
    }
}

/// The provisioning domains as a race looks at them, in order of appearance. Which of them take part is the policy's
/// choice. `name` is the one to connect to, as [`RaceRequest::check`] gives it.
pub fn contenders(snapshot: &Snapshot, name: &str) -> Vec<(Serial, Domain)> {
    snapshot.pvds().map(|pvd| (pvd.serial, contender(snapshot, pvd, name))).collect()
}

fn contender(snapshot: &Snapshot, pvd: &Pvd, name: &str) -> Domain {
    let interface = snapshot.interface(pvd.interface);
    let Configuration { captivity, additional_information, .. } = &*pvd.used;
    let information = additional_information.as_ref();
    let zones = information.map(|information| &information.dns_zones[..]).unwrap_or_default();
    Domain {
        id: pvd.id.clone(),
        interface: interface.map(|interface| interface.name.clone()).unwrap_or_default(),
        kind: interface.map(|interface| interface.kind.word().to_owned()).unwrap_or_default(),
        origin: match pvd.key.origin() {
            Origin::Explicit => race::Origin::Explicit,
            Origin::Implicit => race::Origin::Implicit,
        },
        up: pvd.link_up && interface.is_none_or(|interface| interface.state != LinkState::Down),
        default: snapshot.defaults().iter().any(|default| default == pvd.serial),
        captive: captivity.as_ref().is_some_and(|captivity| captivity.captive),
        no_internet: information.and_then(|information| information.no_internet) == Some(true),
        in_zone: zones.iter().any(|zone| race::is_in_zone(name, zone)),
        sources: pvd.addresses.iter().filter_map(PvdAddress::candidate).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(name: &str) -> RaceRequest {
        RaceRequest {
            name: name.to_owned(),
            port: 443,
            families: Families::Any,
            policy: Policy::default(),
            timeout_ms: 20_000,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn administrators_see_a_name_in_one_spelling() {
        for (given, seen) in [
            ("WWW.Example.org.", "www.example.org"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("2001:DB8::0:1", "2001:db8::1"),
        ] {
            assert_eq!(request(given).check().unwrap(), seen);
        }
    }

    #[test]
    fn what_is_wrong_by_itself_is_refused() {
        for wrong in [
            request(""),
            request("a b"),
            request("fe80::1%eth0"),
            RaceRequest { port: 0, ..request("www.example.org") },
            RaceRequest { timeout_ms: 0, ..request("www.example.org") },
            RaceRequest { timeout_ms: 120_001, ..request("www.example.org") },
        ] {
            assert!(matches!(wrong.check(), Err(Refusal::InvalidArgs(_))), "{wrong:?}");
        }
    }

    #[test]
    fn each_step_asks_for_what_the_request_allows() {
        let only_v6 = RaceRequest { families: Families::Ipv6, timeout_ms: 700, ..request("www.example.org") };
        assert_eq!(only_v6.race_families(), [Family::V6]);
        assert_eq!(only_v6.timing().limit, Duration::from_millis(700));
        assert_eq!(only_v6.question(Family::V6, Systems::ALL).families, Families::Ipv6);
        let attempt = only_v6.attempt([192, 0, 2, 1].into());
        assert_eq!((attempt.port, attempt.source, attempt.timeout_ms), (443, None, 700));
    }
}
