//! What happened in a race, for people and logs.

use std::net::IpAddr;
use std::time::Duration;

use super::{Attempt, Family};

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
