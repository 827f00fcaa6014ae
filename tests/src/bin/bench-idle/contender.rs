//! Who is watched.

use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, MifdSettings, NetworkManager, Networkd};
use mif_tests::process::Process;
use mif_tests::report::Report;
use mif_tests::universe::Universe;
use std::path::Path;

/// A service that looks after a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The service of this project.
    Mifd,
    /// systemd-networkd, hearing routers.
    Networkd,
    /// NetworkManager, hearing routers.
    NetworkManager,
}

impl Contender {
    /// Those that can be watched here.
    pub fn available(report: &mut Report) -> Vec<Self> {
        let peers = [
            (Self::Networkd, "/lib/systemd/systemd-networkd", "networkd", "systemd"),
            (Self::NetworkManager, "/usr/sbin/NetworkManager", "NetworkManager", "network-manager"),
        ];
        let mut there = vec![Self::Mifd];
        for (contender, path, name, package) in peers {
            if Path::new(path).exists() { there.push(contender) } else { report.missing(name, package) }
        }
        there
    }

    /// Starts it on a machine of its own.
    pub async fn start(self, universe: &Universe, bus: &Bus) -> (&'static str, Process, Cable) {
        match self {
            Self::Mifd => {
                let cable = cable(universe, "one", "eth1").await;
                let node = cable.near().node().clone();
                let mifd = MifdSettings::new(universe, bus).on(&node).log("warn").start().await;
                ("mifd", mifd.process().clone(), cable)
            }
            Self::Networkd => {
                let cable = cable(universe, "two", "eth2").await;
                let networkd =
                    Networkd::on(cable.near().node()).link(cable.near(), "[Network]\nIPv6AcceptRA=yes\n");
                ("networkd", networkd.start().await, cable)
            }
            Self::NetworkManager => {
                let cable = cable(universe, "three", "eth3").await;
                let sections = "[ipv4]\nmethod=disabled\n[ipv6]\nmethod=auto\nmay-fail=true\n";
                let manager = NetworkManager::on(cable.near().node()).link(cable.near(), sections);
                // It says that it has started once a router was heard, and there has been none yet.
                ("NetworkManager", manager.spawn(), cable)
            }
        }
    }
}

async fn cable(universe: &Universe, machine: &str, link: &str) -> Cable {
    let (node, router) = (universe.node(machine), universe.node(&format!("{machine}-router")));
    Cable::between(node.end(link), router.end("lan")).await
}
