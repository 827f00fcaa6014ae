//! `[names]`: how names are translated.

use super::OutOfRange;
use mif_core::plan::{System, Systems};
use serde::Deserialize;

/// `[names]`: how names are translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Names {
    systems: Asked,
}

impl Names {
    /// The systems that may be asked.
    pub const fn systems(&self) -> Systems {
        self.systems.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Asked(Systems);

impl Default for Asked {
    fn default() -> Self {
        Self(Systems::ALL)
    }
}

impl TryFrom<Vec<String>> for Asked {
    type Error = OutOfRange;

    fn try_from(words: Vec<String>) -> Result<Self, OutOfRange> {
        let add =
            |systems: Systems, word: &String| System::from_word(word).map(|system| systems.with(system));
        words.iter().try_fold(Systems::NONE, add).map(Self).ok_or(OutOfRange)
    }
}
