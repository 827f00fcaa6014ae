//! From the facts of one link to its provisioning domains. Pure: the same facts at the same moment give the same.
//!
//! The rules are those of the D-Bus contract, "What is a PvD": a Router Advertisement with a PvD option feeds the
//! explicit provisioning domain of that ID, one without feeds the implicit one of (interface, router link-local
//! address). DHCPv4 joins the one explicit provisioning domain that sets L; otherwise it feeds the interface's
//! implicit IPv4 one, together with what is configured by hand. What DHCPv6 gave joins each one whose Router
//! Advertisement asked for it.

mod explicit;
mod fetched;
mod ipv4;
mod ipv6;
mod settings;

use crate::BootTime;
use crate::configuration::{Configuration, Element, Preference, Prefix, PrefixData, RouteData, RouteKey};
use crate::event::{Address, LinkKind, LinkState, Route};
use crate::facts::{Carrier, LinkFacts};
use crate::limits;
use crate::pvd::{AddressState, Family, PvdAddress, PvdKey};
use crate::shared::Shared;
use std::collections::BTreeMap;

/// A provisioning domain as the facts make it, without identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The families that it provides.
    pub family: Family,
    /// Its addresses, ascending.
    pub addresses: Vec<PvdAddress>,
    /// What each element gave.
    pub elements: BTreeMap<Element, Shared<Configuration>>,
}

/// What the facts of a link make at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembly {
    /// Its provisioning domains.
    pub pvds: BTreeMap<PvdKey, Draft>,
    /// When time alone may change them, besides the expiry of facts: an address has waited long enough.
    pub wake: Option<BootTime>,
    /// Whether an element gave more servers, domains or routers than it may.
    pub cut: bool,
}

/// The provisioning domains that `facts` make at `now`. Facts that have run out must be gone already.
pub fn assemble(facts: &LinkFacts, now: BootTime) -> Assembly {
    let mut assembly = Assembly::default();
    let believed = match facts.carrier() {
        Carrier::Down => false,
        Carrier::LostAt(_) | Carrier::UpSince(_) => true,
    };
    let Some(link) = facts.link().filter(|link| believed && link.kind != LinkKind::Loopback) else {
        return assembly;
    };
    // By hand on a tunnel means: by the VPN (rule 4).
    let by_hand = if link.kind == LinkKind::Tunnel { Element::Vpn } else { Element::Static };
    explicit::assemble(facts, &mut assembly);
    ipv4::assemble(facts, by_hand, &mut assembly);
    ipv6::assemble(facts, by_hand, now, &mut assembly);
    settings::join(facts, by_hand, &mut assembly);
    fetched::assemble(facts, &mut assembly);
    for draft in assembly.pvds.values_mut() {
        assembly.cut |= draft.cut_to_limits();
    }
    assembly
}

/// Whether packets can leave by a link in this state.
pub fn carries(state: LinkState) -> bool {
    state == LinkState::Up
}

impl Draft {
    const fn new(family: Family) -> Self {
        Self { family, addresses: Vec::new(), elements: BTreeMap::new() }
    }

    fn add_address(&mut self, address: &Address, element: Element) {
        self.elements.entry(element).or_default();
        self.addresses.push(PvdAddress {
            address: address.key.address,
            prefix_length: address.key.prefix_length,
            state: state_of(address),
            element,
            temporary: address.temporary,
            preferred_until: address.preferred_until,
            valid_until: address.valid_until,
        });
    }

    /// Adds a route of the main table to what `element` gave.
    fn add_route(&mut self, element: Element, route: &Route) {
        let configuration = self.elements.entry(element).or_default();
        if route.destination.length == 0
            && let Some(gateway) = route.gateway
            && !configuration.routers.contains(&gateway)
        {
            configuration.routers.push(gateway);
        }
        let key = RouteKey { destination: route.destination, gateway: route.gateway };
        let data = RouteData { preference: Preference::Medium, valid_until: BootTime::FOREVER };
        configuration.routes.insert(key, data);
    }

    /// Adds the network of an address that nobody advertised to what `element` gave.
    fn add_network(&mut self, element: Element, address: &Address) {
        let host_length = if address.key.address.is_ipv4() { 32 } else { 128 };
        if address.peer.is_none() && address.key.prefix_length >= host_length {
            return;
        }
        let on_link = address.peer.unwrap_or(address.key.address);
        let prefix = Prefix::covering(on_link, address.key.prefix_length);
        let data = PrefixData {
            on_link: true,
            autonomous: false,
            preferred_until: address.preferred_until,
            valid_until: address.valid_until,
        };
        self.elements.entry(element).or_default().prefixes.insert(prefix, data);
    }

    fn has_usable_address(&self) -> bool {
        self.addresses.iter().any(PvdAddress::usable)
    }

    /// Applies the caps, usable addresses first, and brings the addresses into ascending order. Whether an element gave
    /// more servers, domains or routers than it may.
    fn cut_to_limits(&mut self) -> bool {
        // One address with several prefix lengths is told once, as what it is good for.
        self.addresses.sort_by_key(|address| (address.address, !address.usable(), address.prefix_length));
        self.addresses.dedup_by_key(|address| address.address);
        if self.addresses.len() > limits::ADDRESSES_PER_PVD {
            self.addresses.sort_by_key(|address| (!address.usable(), address.address));
            self.addresses.truncate(limits::ADDRESSES_PER_PVD);
            self.addresses.sort_by_key(|address| address.address);
        }
        self.elements.values_mut().fold(false, |cut, gave| cut_configuration(gave) | cut)
    }
}

/// Leases come with lists of any length; what comes from elsewhere is cut already.
fn cut_configuration(configuration: &mut Configuration) -> bool {
    let cut = configuration.cut_lists();
    // Default routes come first in this order, so that they stay.
    while configuration.routes.len() > limits::ROUTES_PER_INTERFACE {
        configuration.routes.pop_last();
    }
    while configuration.prefixes.len() > limits::ROUTES_PER_INTERFACE {
        configuration.prefixes.pop_last();
    }
    cut
}

fn state_of(address: &Address) -> AddressState {
    if address.tentative {
        AddressState::Tentative
    } else if address.deprecated {
        AddressState::Deprecated
    } else {
        AddressState::Preferred
    }
}
