//! The implicit IPv6 provisioning domains of a link: one a router, and one for what no router stands behind
//! (contract rules 1, 2, 3, 4 and 6).

use super::{Assembly, Draft};
use crate::BootTime;
use crate::configuration::Element;
use crate::event::Address;
use crate::facts::{AddressFact, LinkFacts, RouterFacts};
use crate::pvd::{Family, PvdKey};
use std::net::{IpAddr, Ipv6Addr};

/// rtm_protocol 9: a route that the kernel made from a Router Advertisement.
const PROTOCOL_RA: u8 = 9;

pub(super) fn assemble(facts: &LinkFacts, by_hand: Element, now: BootTime, assembly: &mut Assembly) {
    for (router, advertised) in facts.routers() {
        let mut draft = Draft::new(Family::Ipv6);
        draft.elements.insert(Element::Ra, advertised.configuration(*router));
        assembly.pvds.insert(PvdKey::ImplicitIpv6Router(*router), draft);
    }
    for fact in facts.addresses().filter(|fact| is_global(&fact.address)) {
        match owners(facts, fact, now) {
            Owners::Routers(routers) => {
                for router in routers {
                    let element =
                        facts.routers().get(&router).map(|of| element_of(&fact.address, of, by_hand));
                    let draft = assembly.pvds.get_mut(&PvdKey::ImplicitIpv6Router(router));
                    if let (Some(element), Some(draft)) = (element, draft) {
                        draft.add_address(&fact.address, element);
                    }
                }
            }
            Owners::NoRouter => {
                let element = if fact.address.permanent { by_hand } else { automatic(&fact.address) };
                let draft = assembly.pvds.entry(PvdKey::ImplicitIpv6);
                let draft = draft.or_insert_with(|| Draft::new(Family::Ipv6));
                draft.add_address(&fact.address, element);
                draft.add_network(element, &fact.address);
            }
            Owners::NotYet(until) => assembly.wake = assembly.wake.into_iter().chain([until]).min(),
        }
    }
    finish_without_router(facts, by_hand, assembly);
}

/// Who an address belongs to.
enum Owners {
    /// The provisioning domains of these routers.
    Routers(Vec<Ipv6Addr>),
    /// The one that no router stands behind.
    NoRouter,
    /// Nobody before this moment: an advertisement may still explain it (rule 6).
    NotYet(BootTime),
}

fn owners(facts: &LinkFacts, fact: &AddressFact, now: BootTime) -> Owners {
    let address = fact.address.key.address;
    let which = |wanted: &dyn Fn(&RouterFacts) -> bool| -> Vec<Ipv6Addr> {
        facts.routers().iter().filter(|(_, router)| wanted(router)).map(|(router, _)| *router).collect()
    };
    let covering = which(&|router| router.covers(address));
    if !covering.is_empty() {
        return Owners::Routers(covering);
    }
    if fact.address.permanent && !fact.address.from_router_advertisement {
        return Owners::NoRouter;
    }
    let until = facts.explains_until(fact);
    if !until.passed(now) {
        return Owners::NotYet(until);
    }
    let managed = which(&RouterFacts::managed);
    if managed.is_empty() { Owners::NoRouter } else { Owners::Routers(managed) }
}

/// The provisioning domain without a router exists by a usable address only; routes by hand belong to it.
fn finish_without_router(facts: &LinkFacts, by_hand: Element, assembly: &mut Assembly) {
    let Some(draft) = assembly.pvds.get_mut(&PvdKey::ImplicitIpv6) else { return };
    if !draft.has_usable_address() {
        assembly.pvds.remove(&PvdKey::ImplicitIpv6);
        return;
    }
    if !draft.elements.contains_key(&by_hand) {
        return;
    }
    for route in facts.routes() {
        let advertised = match route.gateway {
            Some(IpAddr::V6(gateway)) => facts.routers().contains_key(&gateway),
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

fn is_global(address: &Address) -> bool {
    match address.key.address {
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_loopback() && !v6.is_multicast(),
        IpAddr::V4(_) => false,
    }
}

fn element_of(address: &Address, router: &RouterFacts, by_hand: Element) -> Element {
    let autoconfigured = router.autoconfigures(address.key.address, address.key.prefix_length);
    if address.from_router_advertisement || (autoconfigured && !address.permanent) {
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
