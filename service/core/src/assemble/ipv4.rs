//! IPv4 on a link: the lease, which joins an explicit provisioning domain that asks for it, and the implicit one
//! (contract rules 2 and 4).

use super::{Assembly, Draft, explicit};
use crate::configuration::{Configuration, Element, Prefix, PrefixData};
use crate::event::{Address, Lease, LeaseClient, Route};
use crate::facts::LinkFacts;
use crate::pvd::{Family, PvdKey};
use std::net::IpAddr;

/// rtm_protocol 16: a route made by a DHCP client.
const PROTOCOL_DHCP: u8 = 16;

pub(super) fn assemble(facts: &LinkFacts, by_hand: Element, assembly: &mut Assembly) {
    let told = facts.lease().filter(|(_, lease)| lease.address.is_ipv4());
    // What a server only informs of is about the interface, not about the address.
    let lease = told.as_ref().filter(|(client, _)| client.leases_addresses()).map(|(_, lease)| &**lease);
    let owner = lease.and_then(|_| explicit::lease_owner(facts));
    let mut joined = owner.and_then(|key| assembly.pvds.get_mut(&key));
    let mut implicit = Draft::new(Family::Ipv4);
    if let Some((client, lease)) = &told {
        let draft = joined.as_deref_mut().unwrap_or(&mut implicit);
        draft.elements.insert(Element::Dhcpv4, configuration_of(*client, lease).into());
    }
    for fact in facts.addresses() {
        let address = &fact.address;
        let Some(element) = element_of(address, lease, by_hand) else { continue };
        if lease.is_some_and(|lease| lease.address == address.key.address) {
            joined.as_deref_mut().unwrap_or(&mut implicit).add_address(address, element);
        } else {
            implicit.add_address(address, element);
            implicit.add_network(element, address);
        }
    }
    let has_lease = lease.is_some() && joined.is_none();
    if let Some(explicit) = joined {
        explicit.family = Family::Dual;
    }
    if !has_lease && !implicit.has_usable_address() {
        return;
    }
    let of_joined = lease.filter(|_| !has_lease).map(network_of);
    for route in facts.routes().filter(|route| route.destination.address.is_ipv4()) {
        // The route to the network of a lease that is elsewhere is there too.
        let shared = || implicit.elements.values().any(|of| of.prefixes.contains_key(&route.destination));
        if route.gateway.is_none() && Some(route.destination) == of_joined && !shared() {
            continue;
        }
        if let Some(element) = owner_of(route, &implicit, by_hand, lease.is_some()) {
            implicit.add_route(element, route);
        }
    }
    assembly.pvds.insert(PvdKey::ImplicitIpv4, implicit);
}

fn element_of(address: &Address, lease: Option<&Lease>, by_hand: Element) -> Option<Element> {
    let IpAddr::V4(v4) = address.key.address else { return None };
    if v4.is_loopback() {
        return None;
    }
    let leased = lease.is_some_and(|lease| lease.address == address.key.address);
    Some(if leased {
        Element::Dhcpv4
    } else if v4.is_link_local() {
        Element::LinkLocal
    } else if address.permanent {
        by_hand
    } else {
        // A lifetime on an IPv4 address: a DHCP client that nobody told us of.
        Element::Dhcpv4
    })
}

/// Which element a route of the main table belongs to. What a lease says of routes is told by the lease.
fn owner_of(route: &Route, draft: &Draft, by_hand: Element, leased: bool) -> Option<Element> {
    let present = |element: Element| draft.elements.contains_key(&element).then_some(element);
    if route.protocol == PROTOCOL_DHCP {
        return (!leased).then_some(Element::Dhcpv4);
    }
    let without_hand = || present(Element::Dhcpv4).or(present(Element::LinkLocal)).filter(|_| !leased);
    present(by_hand).or_else(without_hand)
}

fn network_of(lease: &Lease) -> Prefix {
    Prefix::covering(lease.address, lease.prefix_length)
}

fn configuration_of(client: LeaseClient, lease: &Lease) -> Configuration {
    let mut configuration = lease.configuration.clone();
    configuration.told_by = Some(client.word().to_owned());
    if !client.leases_addresses() {
        configuration.lease_expires = None;
        return configuration;
    }
    configuration.lease_expires = Some(lease.expires);
    configuration.prefixes.entry(network_of(lease)).or_insert(PrefixData {
        on_link: true,
        autonomous: false,
        preferred_until: lease.expires,
        valid_until: lease.expires,
    });
    configuration
}
