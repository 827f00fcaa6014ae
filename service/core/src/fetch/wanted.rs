//! What the provisioning domains of a link offer to be asked for.

use super::FetchKind::{AdditionalInformation, CaptivePortal};
use super::{FetchPolicy, HttpsUrl, Subject, Topic, UrlHost, Wanted};
use crate::address_selection::is_link_local;
use crate::assemble::Draft;
use crate::facts::LinkFacts;
use crate::pvd::PvdKey;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What may be asked for in `pvds`, which `facts` have made.
pub fn wanted(
    facts: &LinkFacts,
    pvds: &BTreeMap<PvdKey, Draft>,
    policy: FetchPolicy,
) -> BTreeMap<Topic, Wanted> {
    let mut all = BTreeMap::new();
    // Without carrier requests only fail.
    let link_up = facts.up_since().is_some();
    for (key, draft) in pvds {
        let has_address = link_up && has_source(draft);
        let names = has_address && draft.elements.values().any(|gave| !gave.dns_servers.is_empty());
        if policy.additional_information
            && let Some(wanted) = information(facts, key, names)
        {
            all.insert(Topic { pvd: key.clone(), kind: AdditionalInformation }, wanted);
        }
        if policy.captive_portal
            && let Some((wanted, by_name)) = portal(draft)
        {
            let ready = if by_name { names } else { has_address };
            all.insert(Topic { pvd: key.clone(), kind: CaptivePortal }, Wanted { ready, ..wanted });
        }
    }
    all
}

fn information(facts: &LinkFacts, key: &PvdKey, ready: bool) -> Option<Wanted> {
    let PvdKey::Explicit(id) = key else { return None };
    let option = facts.pvd_option(id)?;
    HttpsUrl::of_pvd(id)?;
    let subject = option.http.then_some(Subject::AdditionalInformation { sequence: option.sequence });
    Some(Wanted { subject, delay: option.delay, ready })
}

/// The request to the portal's API, and whether its server has a name to look up.
fn portal(draft: &Draft) -> Option<(Wanted, bool)> {
    let uri = draft.elements.values().find_map(|gave| gave.captive_portal.as_ref())?;
    let url = HttpsUrl::parse(uri).ok()?;
    let by_name = matches!(url.host(), UrlHost::Name(_));
    let subject = Some(Subject::CaptivePortal { uri: uri.clone() });
    Some((Wanted { subject, delay: 0, ready: false }, by_name))
}

/// Whether there is an address to ask from: not before duplicate address detection has ended.
fn has_source(draft: &Draft) -> bool {
    draft.addresses.iter().filter(|address| address.usable()).any(|address| match address.address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !is_link_local(v6),
    })
}
