//! What the window shows, without a widget: plain data, words and choices, tested as such.
//!
//! Time is an argument everywhere (CLOCK_BOOTTIME for deadlines, time since 1970 for the timeline).

pub mod attempt;
pub mod condition;
pub mod details;
pub mod history;
pub mod network;
pub mod notice;
pub mod rows;
pub mod status_icon;
pub mod time;
pub mod timeline;
pub mod words;

#[cfg(test)]
pub mod samples;

use std::collections::BTreeMap;

use mif::wire::Element;
use serde_json::{Map, Value};

/// Configuration values by identifier, as GetAllConfigurationData tells them.
pub type Values = Map<String, Value>;

/// The same, by the configuration element that they come from.
pub type ValuesByElement = BTreeMap<Element, Values>;
