//! The implicit IPv6 provisioning domains of a link: one a router, and one for what no router stands behind
//! (contract rules 1, 2, 3, 4 and 6).

use super::{Assembly, Draft};
use crate::BootTime;
use crate::configuration::Element;
use crate::event::Address;
use crate::facts::{AddressFact, Advertiser, LinkFacts, RouterFacts};
use crate::pvd::{Family, PvdAddress, PvdKey};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// rtm_protocol 9: a route that the kernel made from a Router Advertisement.
const PROTOCOL_RA: u8 = 9;

pub(super) fn assemble(facts: &LinkFacts, by_hand: Element, now: BootTime, assembly: &mut Assembly) {
    for (advertiser, advertised) in facts.advertising().filter(|(advertiser, _)| advertiser.pvd.is_none()) {
        let mut draft = Draft::new(Family::Ipv6);
        draft.elements.insert(Element::Ra, advertised.configuration(advertiser.router).into());
        assembly.pvds.insert(advertiser.key(), draft);
    }
    let leased = facts.dhcpv6().map(|(_, lease)| lease.addresses.clone()).unwrap_or_default();
    let is_leased = |fact: &AddressFact| leased.iter().any(|leased| fact.address.key.address == *leased);
    for fact in facts.addresses().filter(|fact| is_global(&fact.address)) {
        let is_leased = is_leased(fact);
        match owners(facts, fact, is_leased, now) {
            Owners::Advertisers(owners) => {
                for (advertiser, advertised) in owners {
                    if let Some(draft) = assembly.pvds.get_mut(&advertiser.key()) {
                        let element = element_of(&fact.address, advertised, by_hand);
                        draft.add_address(&fact.address, if is_leased { Element::Dhcpv6 } else { element });
                    }
                }
            }
            Owners::NoRouter => {
                let by_hand_here = fact.address.permanent && !is_leased;
                let element = if by_hand_here { by_hand } else { automatic(&fact.address) };
                let draft = assembly.pvds.entry(PvdKey::ImplicitIpv6);
                let draft = draft.or_insert_with(|| Draft::new(Family::Ipv6));
                draft.add_address(&fact.address, element);
                draft.add_network(element, &fact.address);
            }
            Owners::NotYet(until) => assembly.wake = assembly.wake.into_iter().chain([until]).min(),
        }
    }
    join_dhcpv6(facts, assembly);
    finish_without_router(facts, by_hand, assembly);
}

/// Who an address belongs to.
enum Owners<'a> {
    /// The provisioning domains that these feed. Nobody's while these advertise nothing any more: what a router took back
    /// altogether is gone, and an address that the kernel keeps for a while longer makes no new one.
    Advertisers(Vec<(&'a Advertiser, &'a RouterFacts)>),
    /// The one that no router stands behind.
    NoRouter,
    /// Nobody before this moment: an advertisement may still explain it (rule 6).
    NotYet(BootTime),
}

fn owners<'a>(facts: &'a LinkFacts, fact: &AddressFact, is_leased: bool, now: BootTime) -> Owners<'a> {
    let covering: Vec<_> = facts.routers().iter().filter(|(_, router)| router.owns(&fact.address)).collect();
    if !covering.is_empty() {
        return Owners::Advertisers(covering);
    }
    if fact.address.permanent && !fact.address.from_router_advertisement && !is_leased {
        return Owners::NoRouter;
    }
    let until = facts.explains_until(fact);
    if !until.passed(now) {
        return Owners::NotYet(until);
    }
    // Rule 2: what DHCPv6 gave outside of every prefix may be any implicit one's that asked for it.
    let managed = facts.advertising().filter(|(from, router)| from.pvd.is_none() && router.managed());
    let managed: Vec<_> = managed.collect();
    if managed.is_empty() { Owners::NoRouter } else { Owners::Advertisers(managed) }
}

/// What DHCPv6 gave belongs to each provisioning domain whose advertisements asked for it (RFC 8801 3.4); when none
/// did, to where the leased addresses are.
fn join_dhcpv6(facts: &LinkFacts, assembly: &mut Assembly) {
    let Some((client, lease)) = facts.dhcpv6() else { return };
    let asked = facts.advertising().filter(|(_, advertised)| advertised.other());
    let asked: BTreeSet<PvdKey> = asked.map(|(advertiser, _)| advertiser.key()).collect();
    let leased = |address: &PvdAddress| lease.addresses.iter().any(|leased| address.address == *leased);
    let mut given = lease.configuration.clone();
    given.told_by = Some(client.word().to_owned());
    given.lease_expires = lease.expires;
    for (key, draft) in &mut assembly.pvds {
        let holds = draft.addresses.iter().any(leased);
        if if asked.is_empty() { holds } else { asked.contains(key) } {
            draft.elements.entry(Element::Dhcpv6).or_default().join(&given);
        }
    }
}

/// The provisioning domain without a router exists by a usable address only; routes by hand belong to it.
fn finish_without_router(facts: &LinkFacts, by_hand: Element, assembly: &mut Assembly) {
    let Some(draft) = assembly.pvds.get_mut(&PvdKey::ImplicitIpv6) else { return };
    if !draft.has_usable_address() && !has_lease(draft) {
        assembly.pvds.remove(&PvdKey::ImplicitIpv6);
        return;
    }
    if !draft.elements.contains_key(&by_hand) {
        return;
    }
    for route in facts.routes() {
        let advertised = match route.gateway {
            Some(IpAddr::V6(gateway)) => {
                facts.advertising().any(|(advertiser, _)| advertiser.router == gateway)
            }
            Some(IpAddr::V4(_)) | None => false,
        };
        // fe80::/64 is every link's own, and no configuration.
        let wanted = match route.destination.address {
            IpAddr::V6(destination) => !destination.is_unicast_link_local() && !destination.is_multicast(),
            IpAddr::V4(_) => false,
        };
        if wanted && route.protocol != PROTOCOL_RA && !advertised {
            draft.add_route(by_hand, route);
        }
    }
}

/// Whether a DHCPv6 client has told of what is in here; its address may still be tentative (rule 5).
fn has_lease(draft: &Draft) -> bool {
    draft.elements.get(&Element::Dhcpv6).is_some_and(|given| given.told_by.is_some())
}

fn is_global(address: &Address) -> bool {
    match address.key.address {
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_loopback() && !v6.is_multicast(),
        IpAddr::V4(_) => false,
    }
}

fn element_of(address: &Address, router: &RouterFacts, by_hand: Element) -> Element {
    if address.from_router_advertisement || (router.autoconfigures(address) && !address.permanent) {
        Element::Ra
    } else if address.permanent {
        by_hand
    } else {
        Element::Dhcpv6
    }
}

/// The element of an address with a lifetime that no advertisement explains.
fn automatic(address: &Address) -> Element {
    if address.from_router_advertisement { Element::Ra } else { Element::Dhcpv6 }
}
