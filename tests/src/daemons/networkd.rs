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
    log: String,
}

impl Networkd {
    /// One for links of `node`: those that [`link`](Self::link) tells of.
    pub fn on(node: &Node) -> Self {
        Self { node: node.clone(), settings: SETTINGS.to_owned(), log: "debug".to_owned() }
    }

    /// Another `networkd.conf` than the one that leaves alone what others made.
    #[must_use]
    pub fn settings(mut self, text: &str) -> Self {
        text.clone_into(&mut self.settings);
        self
    }

    /// Another log level than `debug`, in the words of systemd.
    #[must_use]
    pub fn log(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log);
        self
    }

    /// Looks after all links whose names match a pattern, such as `eth*`, also when they come later.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn links(self, pattern: &str, sections: &str) -> Self {
        write_configuration(pattern, sections);
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
        let process = self.spawn();
        process.wait_for_log("Enumeration completed").await;
        process
    }

    /// Starts it without waiting for anything.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn spawn(self) -> Process {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing; {}", tool::advice("networkctl"));
        for folder in ["", "links", "leases", "lldp"] {
            fs::create_dir_all(Path::new(STATE).join(folder)).expect("make the folders of networkd's state");
        }
        fs::create_dir_all("/etc/systemd").expect("make /etc/systemd");
        fs::write("/etc/systemd/networkd.conf", &self.settings).expect("write networkd.conf");
        let mut command = Command::new(PROGRAM);
        // Its state belongs to a user of its own, who in a user namespace is root as well.
        command.env("SYSTEMD_LOG_LEVEL", &self.log).env("SYSTEMD_LOG_TARGET", "console");
        self.node.spawn("networkd", command)
    }
}

/// Writes the configuration of a link; a running networkd reads it when it is told to.
///
/// # Panics
/// When it cannot be written.
pub fn configure(end: &LinkEnd, sections: &str) {
    write_configuration(end.name(), sections);
}

fn write_configuration(pattern: &str, sections: &str) {
    fs::create_dir_all(CONFIGURATION).expect("make networkd's folder of configuration");
    let path = Path::new(CONFIGURATION).join(format!("{}.network", pattern.replace('*', "all")));
    let text = format!("[Match]\nName={pattern}\n\n{sections}");
    fs::write(&path, text).expect("write the configuration of a link");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("let everybody read it");
}
