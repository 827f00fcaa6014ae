//! Sources: each reads one part of the world, decodes it with the core's parsers, stamps the time and hands
//! [`Observation`]s to the engine. No source decides what a provisioning domain is.

mod error;
mod log_limit;
mod rtnetlink;

pub use error::SourceError;

use mif_core::BootTime;
use mif_core::event::Event;
use tokio::sync::mpsc;

/// An event and the moment at which it was seen.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When it was seen.
    pub at: BootTime,
    /// What was seen.
    pub event: Event,
}

/// The bounded way into the engine. A source that finds it full waits, and so does its kernel queue: an overrun
/// there ends in a new dump, never in lost state.
pub type Feed = mpsc::Sender<Observation>;
