//! avahi-daemon: answers multicast DNS for one host.

use std::path::Path;
use std::process::Command;

use crate::node::Node;
use crate::process::Process;

use super::write_file;

/// Where [`crate::peers::mount`] lays it.
const PROGRAM: &str = "/usr/sbin/avahi-daemon";

/// How an avahi-daemon is to answer on one link of a node. There can be one in a universe: its process id is in a file
/// of a fixed name.
#[derive(Clone, Debug)]
pub struct Avahi {
    node: Node,
    config: String,
}

impl Avahi {
    /// One that answers for `NAME.local` with the addresses of a link. [`crate::peers::mount`] is to have been called
    /// before.
    pub fn on(node: &Node, link: &str, name: &str) -> Self {
        let config = format!(
            "[server]\nhost-name={name}\nenable-dbus=no\nuse-ipv4=yes\nuse-ipv6=yes\nallow-interfaces={link}\n\
             [publish]\npublish-hinfo=no\npublish-workstation=no\n"
        );
        Self { node: node.clone(), config }
    }

    /// Starts it and waits until its name is its own.
    ///
    /// # Panics
    /// When it is not there, or ends instead.
    pub async fn start(self) -> Process {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: the test is to call peers::mount() first"
        );
        std::fs::create_dir_all("/run/avahi-daemon").expect("a folder");
        let config = write_file(&format!("avahi-{}.conf", self.node.name()), &self.config);
        let mut command = Command::new(PROGRAM);
        command
            .args(["--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title", "--file"])
            .arg(config);
        let process = self.node.spawn("avahi", command);
        process.wait_for_log("Server startup complete").await;
        process
    }
}
