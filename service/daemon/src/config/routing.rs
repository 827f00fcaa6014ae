//! `[routing]`: how packets of provisioning domains are led.

use mif_core::routing::{Layout, MarkSpace, Rule, SourceRules};
use serde::Deserialize;

/// `[routing]`: routing per provisioning domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Routing {
    enabled: bool,
    mark_tag: u32,
    tag_mask: u32,
    number_mask: u32,
    rule_priority: u32,
    source_rules: SourceWord,
}

/// [`SourceRules`] as the file says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SourceWord {
    #[default]
    WhereNeeded,
    Always,
}

impl Default for Routing {
    fn default() -> Self {
        let space = MarkSpace::default();
        Self {
            enabled: true,
            mark_tag: space.tag(),
            tag_mask: space.tag_mask(),
            number_mask: space.mask() & !space.tag_mask(),
            rule_priority: Layout::default().priority(Rule::Pass),
            source_rules: SourceWord::default(),
        }
    }
}

impl Routing {
    /// How rules are laid out; `None`: there is to be no routing per provisioning domain.
    ///
    /// In a configuration that was [parsed](super::Config::parse) the numbers go together.
    pub fn layout(&self) -> Option<Layout> {
        self.checked().ok().flatten()
    }

    /// # Errors
    /// The numbers do not go together, and why.
    pub(super) fn checked(&self) -> Result<Option<Layout>, String> {
        let space = MarkSpace::new(self.mark_tag, self.tag_mask, self.number_mask);
        let space = space.map_err(|bad| bad.to_string())?;
        let layout = Layout::new(space, self.rule_priority).map_err(|bad| bad.to_string())?;
        let sources = match self.source_rules {
            SourceWord::WhereNeeded => SourceRules::WhereNeeded,
            SourceWord::Always => SourceRules::Always,
        };
        Ok(self.enabled.then_some(layout.with_sources(sources)))
    }
}
