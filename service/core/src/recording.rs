//! Recordings of what sources saw, a line of JSON each, to be replayed: a problem from the field becomes a test.

use crate::BootTime;
use crate::event::Event;
use serde::{Deserialize, Serialize};

/// One line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was seen.
    pub at: BootTime,
    /// What was seen.
    #[serde(flatten)]
    pub what: Recorded,
}

/// What a line tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recorded {
    /// An event that went into the core.
    Event(Box<Event>),
    /// So many events that went into the core from this moment on and are not in the recording.
    Lost(u64),
}
