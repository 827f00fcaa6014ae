//! The daemons of a universe: the real ones that machines and routers run, and ours.

mod avahi;
mod bus;
mod dhclient;
mod dhcpcd;
mod dnsmasq;
mod knot;
mod mifd;
mod network_manager;
mod networkd;
mod polkitd;
mod radvd;
mod resolved;
mod unbound;
mod ypserv;

pub use avahi::Avahi;
pub use bus::{Bus, BusProgram, REFERENCE_NAME};
pub use dhclient::Dhclient;
pub use dhcpcd::Dhcpcd;
pub use dnsmasq::Dnsmasq;
pub use knot::Knot;
pub use mifd::{Mifd, MifdSettings, program};
pub use network_manager::NetworkManager;
pub use networkd::Networkd;
pub use polkitd::{Agent, Polkitd, Prompt};
pub use radvd::Radvd;
pub use resolved::Resolved;
pub use unbound::Unbound;
pub use ypserv::Ypserv;

use std::fs;
use std::path::{Path, PathBuf};

use crate::filesystem::TESTBED;

/// Writes a file of the testbed, such as the configuration of a daemon, and says where it is.
pub(crate) fn write_file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(TESTBED).join(name);
    if let Err(error) = fs::write(&path, text) {
        panic!("cannot write {}: {error}", path.display());
    }
    path
}
