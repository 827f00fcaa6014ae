//! systemd-networkd: the host's network manager, with its DHCPv4 client.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::cable::LinkEnd;
use crate::node::Node;
use crate::process::Process;
use crate::tool;

/// Where it is installed; it is in no folder of programs that people call.
const PROGRAM: &str = "/lib/systemd/systemd-networkd";

/// Where it looks for configuration.
const CONFIGURATION: &str = "/etc/systemd/network";

/// Where it tells how things stand. It expects these folders, which systemd makes at boot.
const STATE: &str = "/run/systemd/netif";

/// Unless a test says otherwise it touches nothing that it was not told of.
const SETTINGS: &str = "\
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
SpeedMeter=no
";

/// How a networkd is to look after links of one node. It runs as root of the universe.
#[derive(Clone, Debug)]
pub struct Networkd {
    node: Node,
    settings: String,
}

impl Networkd {
    /// One for links of `node`: those that [`link`](Self::link) tells of.
    pub fn on(node: &Node) -> Self {
        Self { node: node.clone(), settings: SETTINGS.to_owned() }
    }

    /// Another `networkd.conf` than the one that leaves alone what others made.
    #[must_use]
    pub fn settings(mut self, text: &str) -> Self {
        text.clone_into(&mut self.settings);
        self
    }

    /// Looks after a link as the sections of a `.network` file say, `[Match]` left out.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn link(self, end: &LinkEnd, sections: &str) -> Self {
        configure(end, sections);
        self
    }

    /// Starts it and waits until it looks after links.
    ///
    /// # Panics
    /// When it is not installed, or ends instead.
    pub async fn start(self) -> Process {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing; {}", tool::advice("networkctl"));
        for folder in ["", "links", "leases", "lldp"] {
            fs::create_dir_all(Path::new(STATE).join(folder)).expect("make the folders of networkd's state");
        }
        fs::create_dir_all("/etc/systemd").expect("make /etc/systemd");
        fs::write("/etc/systemd/networkd.conf", &self.settings).expect("write networkd.conf");
        let mut command = Command::new(PROGRAM);
        // Its state belongs to a user of its own, who in a user namespace is root as well.
        command.env("SYSTEMD_LOG_LEVEL", "debug").env("SYSTEMD_LOG_TARGET", "console");
        let process = self.node.spawn("networkd", command);
        process.wait_for_log("Enumeration completed").await;
        process
    }
}

/// Writes the configuration of a link; a running networkd reads it when it is told to.
///
/// # Panics
/// When it cannot be written.
pub fn configure(end: &LinkEnd, sections: &str) {
    fs::create_dir_all(CONFIGURATION).expect("make networkd's folder of configuration");
    let path = Path::new(CONFIGURATION).join(format!("{}.network", end.name()));
    let text = format!("[Match]\nName={}\n\n{sections}", end.name());
    fs::write(&path, text).expect("write the configuration of a link");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("let everybody read it");
}
