//! Who is watched.

use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, MifdSettings, NetworkManager, Networkd};
use mif_tests::process::Process;
use mif_tests::report::{Arguments, Report};
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
    /// Those that are wanted and can be watched here, those beside each other that have nothing to do with each other.
    pub fn chosen(arguments: &Arguments, report: &mut Report) -> Vec<Vec<Self>> {
        let peers = [
            (Self::Networkd, "/lib/systemd/systemd-networkd", "networkd", "systemd"),
            (Self::NetworkManager, "/usr/sbin/NetworkManager", "NetworkManager", "network-manager"),
        ];
        let mut there = Vec::new();
        for (contender, path, name, package) in peers {
            match Path::new(path).exists() {
                true if arguments.wants("who", name) => there.push(contender),
                true => {}
                false => report.missing(name, package),
            }
        }
        let ours = if arguments.wants("who", "mifd") { vec![Self::Mifd] } else { Vec::new() };
        [ours, there].into_iter().filter(|together| !together.is_empty()).collect()
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
                let networkd = Networkd::on(cable.near().node()).log("warning");
                let networkd = networkd.link(cable.near(), "[Network]\nIPv6AcceptRA=yes\n");
                ("networkd", networkd.spawn(), cable)
            }
            Self::NetworkManager => {
                let cable = cable(universe, "three", "eth3").await;
                let sections = "[ipv4]\nmethod=disabled\n[ipv6]\nmethod=auto\nmay-fail=true\n";
                let manager = NetworkManager::on(cable.near().node()).link(cable.near(), sections);
                ("NetworkManager", manager.log("WARN").spawn(), cable)
            }
        }
    }
}

async fn cable(universe: &Universe, machine: &str, link: &str) -> Cable {
    let (node, router) = (universe.node(machine), universe.node(&format!("{machine}-router")));
    Cable::between(node.end(link), router.end("lan")).await
}
