//! Who is measured, and how each is started and asked.

use mif_tests::daemons::{Bus, program};
use mif_tests::report::{Arguments, Report};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zbus::{Connection, Message, OwnedObjectPath, OwnedVariant};

const NETWORKD: &str = "/lib/systemd/systemd-networkd";
const NETWORK_MANAGER: &str = "/usr/sbin/NetworkManager";
/// What one has that looks after every link and leaves the addresses that are there.
const MANAGE_ALL: &str = "[Match]\nName=a* b*\n[Link]\nRequiredForOnline=no\n[Network]\nIPv6AcceptRA=yes\n\
                          LinkLocalAddressing=ipv6\nKeepConfiguration=yes\nConfigureWithoutCarrier=yes\n";
const MANAGER_SETTINGS: &str = "[main]\nplugins=keyfile\nrc-manager=unmanaged\nno-auto-default=*\n\
                                systemd-resolved=false\n[connectivity]\nenabled=false\n";

/// A service that keeps track of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The service of this project.
    Mifd,
    /// systemd-networkd, without configuration: it manages no link, only tells of them.
    Networkd,
    /// systemd-networkd that looks after all of them.
    Managing,
    /// NetworkManager, with connections it did not make.
    NetworkManager,
}

/// Where a method is: bus name, path, interface, method.
type Method = [&'static str; 4];

impl Contender {
    /// All.
    pub const ALL: [Self; 4] = [Self::Mifd, Self::Networkd, Self::Managing, Self::NetworkManager];

    /// Those that are wanted and can be measured here.
    pub fn chosen(arguments: &Arguments, report: &mut Report) -> Vec<Self> {
        let there = |path: &str| Path::new(path).exists();
        let mut chosen = Vec::new();
        for contender in Self::ALL.into_iter().filter(|it| arguments.wants("who", it.word())) {
            match contender {
                Self::Networkd | Self::Managing if !there(NETWORKD) => report.missing("networkd", "systemd"),
                Self::NetworkManager if !there(NETWORK_MANAGER) => {
                    report.missing("NetworkManager", "network-manager");
                }
                _ => chosen.push(contender),
            }
        }
        chosen
    }

    /// How the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mifd => "mifd",
            Self::Networkd => "networkd",
            Self::Managing => "networkd, managing",
            Self::NetworkManager => "NetworkManager",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Managing => "managing",
            Self::Mifd | Self::Networkd | Self::NetworkManager => self.name(),
        }
    }

    /// How it is started.
    pub fn command(self, bus: &Bus) -> Command {
        let mut command = match self {
            Self::Mifd => {
                let mut command = Command::new(program("mifd"));
                command.args(["--log", "warn", "--bus", bus.address()]);
                command
            }
            Self::Networkd | Self::Managing => {
                for folder in ["links", "leases", "lldp"] {
                    fs::create_dir_all(Path::new("/run/systemd/netif").join(folder)).expect("its folders");
                }
                fs::create_dir_all("/etc/systemd/network").expect("its folder");
                let configuration = Path::new("/etc/systemd/network/all.network");
                if self == Self::Managing {
                    fs::write(configuration, MANAGE_ALL).expect("its configuration");
                } else {
                    let _ = fs::remove_file(configuration);
                }
                let mut command = Command::new(NETWORKD);
                command.env("SYSTEMD_LOG_LEVEL", "warning");
                command
            }
            Self::NetworkManager => {
                for folder in ["/var/lib/NetworkManager", "/run/NetworkManager", "/etc/NetworkManager"] {
                    fs::create_dir_all(folder).expect("its folders");
                }
                fs::write("/etc/NetworkManager/NetworkManager.conf", MANAGER_SETTINGS).expect("its settings");
                let mut command = Command::new(NETWORK_MANAGER);
                command.args(["--debug", "--log-level=WARN"]);
                command
            }
        };
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        command
    }

    /// The bus name it takes.
    pub const fn bus_name(self) -> &'static str {
        self.everything()[0]
    }

    /// How long it may take for thousands of links. The time that NetworkManager takes grows with the square of them.
    pub const fn patience(self) -> Duration {
        match self {
            Self::Mifd | Self::Networkd => Duration::from_secs(90),
            Self::Managing | Self::NetworkManager => Duration::from_secs(900),
        }
    }

    /// The object below which all others are.
    pub const fn root(self) -> &'static str {
        match self {
            Self::Mifd => "/org/ietf/Mif1",
            Self::Networkd | Self::Managing => "/org/freedesktop/network1",
            Self::NetworkManager => "/org/freedesktop/NetworkManager",
        }
    }

    /// The one call that gives everything there is.
    pub const fn everything(self) -> Method {
        match self {
            Self::Mifd => {
                ["org.ietf.Mif1", "/org/ietf/Mif1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]
            }
            Self::Networkd | Self::Managing => [
                "org.freedesktop.network1",
                "/org/freedesktop/network1",
                "org.freedesktop.network1.Manager",
                "Describe",
            ],
            Self::NetworkManager => [
                "org.freedesktop.NetworkManager",
                "/org/freedesktop",
                "org.freedesktop.DBus.ObjectManager",
                "GetManagedObjects",
            ],
        }
    }

    /// Whether every one of `links` links is on the bus.
    pub async fn is_complete(self, connection: &Connection, links: usize) -> bool {
        let name = self.bus_name();
        match self {
            // It takes its name when all it found is there; asked for all the same.
            Self::Mifd => {
                let last = format!("b{}", links.div_ceil(2) - 1);
                let at = ["org.ietf.Mif1", "/org/ietf/Mif1", "org.ietf.Mif1.Manager", "GetInterfaceByName"];
                call(connection, at, &last).await.is_ok()
            }
            Self::Networkd | Self::Managing => {
                let manager = "org.freedesktop.network1.Manager";
                let at = [name, "/org/freedesktop/network1", manager, "ListLinks"];
                let Ok(reply) = call(connection, at, &()).await else { return false };
                let listed = reply.body().deserialize::<Vec<(i32, String, OwnedObjectPath)>>();
                listed.is_ok_and(|listed| listed.len() >= links)
            }
            Self::NetworkManager => {
                let at = [name, "/org/freedesktop/NetworkManager", name, "GetAllDevices"];
                let Ok(reply) = call(connection, at, &()).await else { return false };
                reply.body().deserialize::<Vec<OwnedObjectPath>>().is_ok_and(|listed| listed.len() >= links)
            }
        }
    }

    /// Whether it is done with starting, as far as it tells: mifd asks silent routers three times, 4 s apart.
    pub async fn is_started(self, connection: &Connection) -> bool {
        if self != Self::Mifd {
            return true;
        }
        let at = ["org.ietf.Mif1", "/org/ietf/Mif1", "org.freedesktop.DBus.Properties", "Get"];
        let Ok(reply) = call(connection, at, &("org.ietf.Mif1.Manager", "Startup")).await else {
            return false;
        };
        let startup = reply.body().deserialize::<OwnedVariant>();
        startup.is_ok_and(|startup| bool::try_from(startup).is_ok_and(|startup| !startup))
    }
}

/// Calls a method.
///
/// # Errors
/// What it answers.
pub async fn call<B>(connection: &Connection, at: [&str; 4], body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    let [name, path, interface, method] = at;
    connection.call_method(Some(name), path, Some(interface), method, body).await
}
