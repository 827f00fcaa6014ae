//! Who tells of changes.

use mif_tests::daemons::{Bus, MifdSettings, NetworkManager, Networkd};
use mif_tests::process::Process;
use mif_tests::report::{Arguments, Report};
use mif_tests::universe::Universe;
use mif_tests::usage::{self, Usage};
use std::path::Path;
use std::time::{Duration, Instant};

/// Links that hear a router, and links that ask for a lease, by how their names begin.
pub const ROUTED: &str = "ra";
/// See [`ROUTED`].
pub const LEASED: &str = "dh";
const NETWORKD: &str = "/lib/systemd/systemd-networkd";
const NETWORK_MANAGER: &str = "/usr/sbin/NetworkManager";
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that tells of links and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The service of this project.
    Mifd,
    /// systemd-networkd, which hears routers and asks for leases itself.
    Networkd,
    /// NetworkManager, likewise.
    NetworkManager,
}

impl Contender {
    /// Those that are wanted and can be measured here.
    pub fn chosen(arguments: &Arguments, report: &mut Report) -> Vec<Self> {
        let peers = [
            (Self::Networkd, NETWORKD, "systemd"),
            (Self::NetworkManager, NETWORK_MANAGER, "network-manager"),
        ];
        let mut chosen = vec![Self::Mifd];
        for (contender, path, package) in peers {
            if Path::new(path).exists() {
                chosen.push(contender);
            } else {
                report.missing(contender.name(), package);
            }
        }
        chosen.retain(|contender| arguments.wants("who", contender.name()));
        chosen
    }

    /// How the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mifd => "mifd",
            Self::Networkd => "networkd",
            Self::NetworkManager => "NetworkManager",
        }
    }

    /// Whose broadcasts are listened to; mifd tells its subscribers alone.
    pub const fn broadcaster(self) -> Option<&'static str> {
        match self {
            Self::Mifd => None,
            Self::Networkd => Some("org.freedesktop.network1"),
            Self::NetworkManager => Some("org.freedesktop.NetworkManager"),
        }
    }

    /// Starts it and waits until it is settled.
    pub async fn start(self, universe: &Universe, bus: &Bus) -> Running {
        let host = universe.host();
        let process = match self {
            Self::Mifd => MifdSettings::new(universe, bus).log("warn").start().await.process().clone(),
            Self::Networkd => Networkd::on(host)
                .log("warning")
                .links(&format!("{ROUTED}*"), "[Network]\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n")
                .links(&format!("{LEASED}*"), "[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n")
                .spawn(),
            Self::NetworkManager => NetworkManager::on(host)
                .log("WARN")
                .links(&format!("{ROUTED}*"), "[ipv4]\nmethod=disabled\n[ipv6]\nmethod=auto\n")
                .links(&format!("{LEASED}*"), "[ipv4]\nmethod=auto\n[ipv6]\nmethod=link-local\n")
                .spawn(),
        };
        let running = Running { process };
        running.settle().await;
        running
    }
}

/// A service that runs.
pub struct Running {
    process: Process,
}

impl Running {
    /// Waits until it does next to nothing.
    pub async fn settle(&self) {
        usage::settled(&self.process, Instant::now() + PATIENCE).await;
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.process)
    }

    /// Ends it.
    pub async fn end(self) {
        self.process.terminate().await;
    }
}
