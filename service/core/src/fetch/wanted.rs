//! What the provisioning domains of a link offer to be asked for.

use super::FetchKind::{AdditionalInformation, CaptivePortal};
use super::{FetchPolicy, HttpsUrl, Subject, Topic, UrlHost, Wanted};
use crate::address_selection::is_link_local;
use crate::assemble::Draft;
use crate::facts::LinkFacts;
use crate::plan::can_be_asked;
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
        let names = has_address && has_resolver(draft);
        let information = policy.additional_information.then(|| information(facts, key)).flatten();
        let portal = policy.captive_portal.then(|| portal(facts, key, draft)).flatten();
        for (topic, wanted) in information.into_iter().chain(portal) {
            let ready = if wanted.by_name { names } else { has_address };
            all.insert(topic, Wanted { ready, ..wanted });
        }
    }
    all
}

fn information(facts: &LinkFacts, key: &PvdKey) -> Option<(Topic, Wanted)> {
    let PvdKey::Explicit(id) = key else { return None };
    let option = facts.pvd_option(id)?;
    let topic = Topic { pvd: key.clone(), kind: AdditionalInformation };
    let subject = option.http.then_some(Subject::AdditionalInformation { sequence: option.sequence });
    let by_name = is_by_name(facts, &topic, subject.as_ref(), || HttpsUrl::of_pvd(id))?;
    Some((topic, Wanted { subject, delay: option.delay, by_name, ready: false }))
}

/// The request to the portal's API.
fn portal(facts: &LinkFacts, key: &PvdKey, draft: &Draft) -> Option<(Topic, Wanted)> {
    let uri = draft.elements.values().find_map(|gave| gave.captive_portal.as_ref())?;
    let topic = Topic { pvd: key.clone(), kind: CaptivePortal };
    let subject = Some(Subject::CaptivePortal { uri: uri.clone() });
    let by_name = is_by_name(facts, &topic, subject.as_ref(), || HttpsUrl::parse(uri).ok())?;
    Some((topic, Wanted { subject, delay: 0, by_name, ready: false }))
}

/// Whether the server has a name to look up; `None` when it cannot be asked at all. What was asked for before is not read
/// again: this is called for every advertisement of a router.
fn is_by_name(
    facts: &LinkFacts,
    topic: &Topic,
    subject: Option<&Subject>,
    url: impl FnOnce() -> Option<HttpsUrl>,
) -> Option<bool> {
    let known = facts.fetches().is_by_name(topic, subject);
    known.or_else(|| Some(matches!(url()?.host(), UrlHost::Name(_))))
}

/// Whether there is a server to look names up with, in the clear or not (RFC 9463).
fn has_resolver(draft: &Draft) -> bool {
    let gave = || draft.elements.values();
    gave().any(|gave| !gave.dns_servers.is_empty())
        || gave().any(|gave| gave.encrypted_dns.iter().any(can_be_asked))
}

/// Whether there is an address to ask from: not before duplicate address detection has ended.
fn has_source(draft: &Draft) -> bool {
    draft.addresses.iter().filter(|address| address.usable()).any(|address| match address.address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !is_link_local(v6),
    })
}
