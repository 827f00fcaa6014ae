//! What is true, and whether the service says so.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use mif::State;
use serde_json::Value;

use super::SLACK_KILOBYTES;
use super::world::World;
use crate::node::Node;
use crate::served_host::ServedHost;
use crate::wait::eventually;

/// What a run did and saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What tells it from others.
    pub seed: u64,
    /// How long it has lasted.
    pub seconds: u64,
    /// Events in networks and signals to the service.
    pub faults: u64,
    /// Calls of clients.
    pub calls: u64,
    /// Quiet points at which everything was as it should be.
    pub quiet_points: u32,
    /// What the service had when it was warm.
    pub first: String,
    /// What it had last.
    pub last: String,
}

impl Report {
    /// Of a run that begins.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, seconds, faults, calls, quiet_points, first, last } = self;
        write!(
            out,
            "seed {seed}: {seconds} s, {faults} faults, {calls} calls, {quiet_points} quiet points; \
             warm: {first}; now: {last}"
        )
    }
}

/// Waits until the service shows what the kernel and the routers say: the interfaces by index and name, the addresses
/// of each, and the truth of each router; nothing else.
pub async fn agrees(world: &World, served: &ServedHost) {
    eventually("the service to show what ip and the routers say", async || {
        let state = served.state().await;
        let truth = Truth::of_kernel(&world.host);
        let shown = Truth::of_service(&state);
        if truth != shown {
            return Err(format!("ip: {truth:#?}\nservice: {shown:#?}"));
        }
        for network in &world.networks {
            let id = network.pvd_id();
            let told = state.pvds().find(|pvd| pvd.id == id);
            if told.is_none_or(|pvd| pvd.dns_servers != [network.server()]) {
                // Routers say everything again and again; this one said it before the link was ready, perhaps.
                world.tell_truth_of(network);
                return Err(format!("{id}: {told:#?}"));
            }
        }
        match state.pvds().find(|pvd| pvd.id.starts_with("storm")) {
            Some(left) => Err(format!("over, but there: {left:#?}")),
            None => Ok(()),
        }
    })
    .await;
}

/// Interfaces, and their addresses.
#[derive(Debug, PartialEq, Eq)]
struct Truth {
    interfaces: BTreeSet<(u64, String)>,
    addresses: BTreeSet<(u64, IpAddr)>,
}

impl Truth {
    /// Usable addresses, those of the link itself left out.
    fn of_kernel(host: &Node) -> Self {
        let links: Value = serde_json::from_str(&host.ip("-json address show")).expect("JSON of ip");
        let mut truth = Self { interfaces: BTreeSet::new(), addresses: BTreeSet::new() };
        for link in links.as_array().into_iter().flatten() {
            let index = link["ifindex"].as_u64().expect("an index");
            let name = link["ifname"].as_str().expect("a name").to_owned();
            truth.interfaces.insert((index, name));
            for address in link["addr_info"].as_array().into_iter().flatten() {
                if address["scope"] == "global"
                    && address["tentative"] != true
                    && address["dadfailed"] != true
                {
                    let local = address["local"].as_str().and_then(|local| local.parse().ok());
                    truth.addresses.insert((index, local.expect("an address")));
                }
            }
        }
        truth
    }

    fn of_service(state: &State) -> Self {
        let mut shown = Self { interfaces: BTreeSet::new(), addresses: BTreeSet::new() };
        for interface in &state.interfaces {
            let index = u64::from(interface.ifindex);
            shown.interfaces.insert((index, interface.name.clone()));
            let addresses = interface.pvds.iter().flat_map(|pvd| &pvd.addresses).map(|entry| entry.address);
            shown
                .addresses
                .extend(addresses.filter(|it| !is_link_local(*it)).map(|address| (index, address)));
        }
        shown
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// What the service holds.
#[derive(Clone, Debug)]
pub struct Resources {
    kilobytes: u64,
    threads: u64,
    descriptors: usize,
}

impl Resources {
    /// Once clients that left are forgotten: no more descriptors than when it was warm.
    pub async fn settled(served: &ServedHost, warm: Option<&Self>) -> Self {
        eventually("the descriptors of clients that left to be closed", async || {
            let now = Self::of(served);
            match warm {
                Some(warm) if now.descriptors > warm.descriptors => Err(now.to_string()),
                _ => Ok(now),
            }
        })
        .await
    }

    fn of(served: &ServedHost) -> Self {
        let number = |key| served.mifd.process().status_number(key);
        Self { kilobytes: number("VmRSS:"), threads: number("Threads:"), descriptors: served.descriptors() }
    }

    /// # Panics
    /// When there is more memory in use than when it was warm, beyond what an allocator keeps.
    pub fn no_bigger_than(&self, warm: &Self) {
        assert!(self.kilobytes <= warm.kilobytes + SLACK_KILOBYTES, "grown: {self}, when it was warm {warm}");
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kilobytes, threads, descriptors } = self;
        write!(out, "{kilobytes} kB, {threads} threads, {descriptors} descriptors")
    }
}
