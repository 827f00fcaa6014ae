//! NetworkManager with its own DHCP clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::cable::LinkEnd;
use crate::node::Node;
use crate::process::Process;

/// Where it is, laid there by [`crate::peers::mount`].
const PROGRAM: &str = "/usr/sbin/NetworkManager";
const CONFIGURATION: &str = "/etc/NetworkManager";

/// It leaves /etc/resolv.conf alone, makes up no profiles, and asks no server whether the Internet is there.
const SETTINGS: &str = "\
[main]
plugins=keyfile
dhcp=internal
rc-manager=unmanaged
no-auto-default=*
systemd-resolved=false
[connectivity]
enabled=false
";

/// How a NetworkManager is to look after links of one node. It runs as root of the universe.
#[derive(Clone, Debug)]
pub struct NetworkManager {
    node: Node,
    log: &'static str,
}

impl NetworkManager {
    /// One for links of `node`: those that [`link`](Self::link) tells of.
    pub fn on(node: &Node) -> Self {
        Self { node: node.clone(), log: "INFO" }
    }

    /// Another log level than `INFO`, in its own words.
    #[must_use]
    pub fn log(self, level: &'static str) -> Self {
        Self { log: level, ..self }
    }

    /// Looks after all Ethernet links whose names match a pattern, such as `eth*`, also when they come later.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn links(self, pattern: &str, sections: &str) -> Self {
        let several = format!("multi-connect=3\n[match]\ninterface-name={pattern}\n{sections}");
        write_profile(&pattern.replace('*', "all"), "ethernet", &several);
        self
    }

    /// Looks after a link as the sections `ipv4` and `ipv6` of a keyfile say (nm-settings-keyfile(5)). It takes over
    /// what is configured already, so the link is taken down before.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn link(self, end: &LinkEnd, sections: &str) -> Self {
        let name = end.name();
        self.node.ip(&format!("link set {name} down"));
        self.node.ip(&format!("address flush dev {name}"));
        profile(name, sections);
        self
    }

    /// Looks after a link of another sort, in the words of `connection.type`, that is or will be there.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn other_link(self, sort: &str, name: &str, sections: &str) -> Self {
        profile_of(sort, name, sections);
        self
    }

    /// Starts it and waits until it has brought up what it is to bring up.
    ///
    /// # Panics
    /// When it is not there, or ends instead.
    pub async fn start(&self) -> Process {
        let process = self.spawn();
        process.wait_for_log("startup complete").await;
        process
    }

    /// Starts it without waiting for anything.
    ///
    /// # Panics
    /// When it is not there.
    pub fn spawn(&self) -> Process {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: the test is to call peers::mount() first"
        );
        for folder in ["/var/lib/NetworkManager", "/run/NetworkManager"] {
            fs::create_dir_all(folder).expect("make the folders of NetworkManager");
        }
        fs::write(Path::new(CONFIGURATION).join("NetworkManager.conf"), SETTINGS)
            .expect("write its settings");
        let mut command = Command::new(PROGRAM);
        command.arg("--debug").arg(format!("--log-level={}", self.log));
        self.node.spawn("NetworkManager", command)
    }
}

/// Writes the profile of an Ethernet link; a running NetworkManager reads it when it is told to.
///
/// # Panics
/// When it cannot be written.
pub fn profile(link: &str, sections: &str) {
    profile_of("ethernet", link, sections);
}

fn profile_of(sort: &str, link: &str, sections: &str) {
    write_profile(link, sort, &format!("interface-name={link}\n{sections}"));
}

/// `rest` is what follows name and sort in the section of the connection, and the other sections.
fn write_profile(id: &str, sort: &str, rest: &str) {
    let folder = Path::new(CONFIGURATION).join("system-connections");
    fs::create_dir_all(&folder).expect("make the folder of profiles");
    let path = folder.join(format!("{id}.nmconnection"));
    let text = format!("[connection]\nid={id}\ntype={sort}\n{rest}");
    fs::write(&path, text).expect("write a profile");
    // It reads nothing that others could write or read.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("keep a profile to root");
}
