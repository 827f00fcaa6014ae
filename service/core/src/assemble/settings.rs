//! What people or a VPN set on a link, as its manager tells it, in the implicit provisioning domains of the link
//! (contract rule 4): no network has named these servers, so they are no part of one that a network named.

use super::{Assembly, Draft};
use crate::configuration::{AddressFamily, Configuration, Element};
use crate::facts::LinkFacts;
use crate::pvd::PvdKey;

/// Adds it as `by_hand`: `vpn` on a tunnel, else `static`. Alone it forms no provisioning domain.
pub(super) fn join(facts: &LinkFacts, by_hand: Element, assembly: &mut Assembly) {
    let Some((manager, settings)) = facts.settings() else { return };
    let without_router = assembly.pvds.contains_key(&PvdKey::ImplicitIpv6);
    for (key, draft) in &mut assembly.pvds {
        let family = match key {
            PvdKey::Explicit(_) => continue,
            PvdKey::ImplicitIpv4 => AddressFamily::Ipv4,
            PvdKey::ImplicitIpv6 => AddressFamily::Ipv6,
            // What is set by hand belongs beside the addresses by hand, if no router stands behind these.
            PvdKey::ImplicitIpv6Router(_) if without_router => continue,
            PvdKey::ImplicitIpv6Router(_) => AddressFamily::Ipv6,
        };
        let mut set = settings.of_family(family);
        if set == Configuration::default() {
            continue;
        }
        set.told_by = Some(manager.word().to_owned());
        add(draft, by_hand, &set);
    }
}

fn add(draft: &mut Draft, by_hand: Element, set: &Configuration) {
    draft.elements.entry(by_hand).or_default().join(set);
}
