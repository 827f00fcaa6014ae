//! The explicit provisioning domains of a link (RFC 8801; contract rules 1 to 3).

use super::{Assembly, Draft};
use crate::configuration::{Configuration, Element};
use crate::facts::LinkFacts;
use crate::pvd::{Family, PvdKey};
use std::cmp::Reverse;
use std::sync::Arc;

/// Makes a draft for each PvD ID that advertisements carry; what several routers say for one is joined, that of the
/// preferred default router first.
pub(super) fn assemble(facts: &LinkFacts, assembly: &mut Assembly) {
    let mut speakers: Vec<_> = facts.advertising().filter(|(speaker, _)| speaker.pvd.is_some()).collect();
    speakers.sort_by_key(|(_, advertised)| Reverse(advertised.default_preference()));
    for (advertiser, advertised) in speakers {
        let draft = assembly.pvds.entry(advertiser.key()).or_insert_with(|| Draft::new(Family::Ipv6));
        let joined: &mut Configuration = draft.elements.entry(Element::Ra).or_default();
        joined.join(&advertised.configuration(advertiser.router));
    }
}

/// Where the DHCPv4 lease belongs: the one explicit provisioning domain of the link that sets L, if there is
/// exactly one (RFC 8801 3.3).
pub(super) fn lease_owner(facts: &LinkFacts) -> Option<PvdKey> {
    let mut owner: Option<&Arc<str>> = None;
    for (advertiser, advertised) in facts.advertising() {
        let Some(id) = advertiser.pvd.as_ref().filter(|_| advertised.legacy()) else { continue };
        if owner.is_some_and(|known| known != id) {
            return None;
        }
        owner = Some(id);
    }
    owner.map(|id| PvdKey::Explicit(Arc::clone(id)))
}
