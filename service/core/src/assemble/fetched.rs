//! What web servers of the network said about its provisioning domains (RFC 8801 4, RFC 8908).

use super::{Assembly, Draft};
use crate::configuration::{Configuration, Element};
use crate::facts::LinkFacts;
use crate::fetch::Fetches;
use crate::pvd::PvdKey;
use std::sync::Arc;

/// Adds what is known to the drafts that it is about.
pub(super) fn assemble(facts: &LinkFacts, assembly: &mut Assembly) {
    let fetches = facts.fetches();
    if fetches.is_empty() {
        return;
    }
    for (key, draft) in &mut assembly.pvds {
        add_information(fetches, key, draft);
        add_captivity(fetches, key, draft);
    }
}

/// Prefixes may have been advertised since: what does not cover them all is not used (RFC 8801 4.3).
fn add_information(fetches: &Fetches, key: &PvdKey, draft: &mut Draft) {
    let Some(information) = fetches.information(key) else { return };
    let mut advertised = draft.elements.get(&Element::Ra).into_iter().flat_map(|gave| gave.prefixes.keys());
    if advertised.all(|prefix| information.covers(prefix).is_ok()) {
        let configuration = Configuration {
            additional_information: Some(Arc::clone(information)),
            ..Configuration::default()
        };
        draft.elements.insert(Element::AdditionalInformation, configuration.into());
    }
}

/// The API's word belongs to the element that named the API.
fn add_captivity(fetches: &Fetches, key: &PvdKey, draft: &mut Draft) {
    let Some(named) = draft.elements.values_mut().find(|gave| gave.captive_portal.is_some()) else { return };
    let said = named.captive_portal.as_deref().and_then(|uri| fetches.captivity(key, uri));
    named.captivity = said.cloned();
}
