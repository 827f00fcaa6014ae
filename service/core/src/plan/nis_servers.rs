//! Which NIS servers of a provisioning domain are asked for a host.

use super::dns_servers::reach;
use super::name::{HostName, Place};
use super::neighbours::not_for;
use super::{Refusal, System, Unreachable};
use crate::nis;
use crate::pvd::Pvd;
use std::net::{IpAddr, SocketAddr};

/// How to ask NIS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NisPlan {
    /// The name to ask for, no final dot.
    pub name: String,
    /// The NIS domain.
    pub domain: String,
    /// The servers, in the order to ask them, at the port of their port mapper (RFC 1833); never empty.
    pub servers: Vec<NisServer>,
}

/// A NIS server and how to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NisServer {
    /// Where it is; a link-local address carries the interface as its scope.
    pub address: SocketAddr,
    /// The source to ask from. `None` for a link-local server: the kernel takes the link's own link-local address,
    /// which belongs to no provisioning domain.
    pub source: Option<IpAddr>,
}

/// Any name that is not under a special-use domain.
pub(super) fn ask_nis(pvd: &Pvd, name: &HostName) -> Result<NisPlan, Refusal> {
    const PORT_MAPPER: u16 = 111;
    if !matches!(name.place(), Place::Label | Place::Global) {
        return Err(not_for(name, System::Nis));
    }
    let servers = pvd.used.nis_servers.iter().filter_map(|address| {
        reach(pvd, *address, PORT_MAPPER).map(|(address, source)| NisServer { address, source })
    });
    let servers: Vec<NisServer> = servers.collect();
    let domain = pvd.used.nis_domain.as_ref().filter(|domain| nis::is_domain(domain));
    let Some(domain) = domain.filter(|_| !servers.is_empty()) else {
        return Err(Refusal::NoNisServers(pvd.id.clone()));
    };
    if !pvd.link_up {
        return Err(Refusal::NetworkUnreachable(Unreachable::InterfaceDown(pvd.id.clone())));
    }
    Ok(NisPlan { name: name.ascii.clone(), domain: domain.clone(), servers })
}
