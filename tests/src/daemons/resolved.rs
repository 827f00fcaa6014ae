//! systemd-resolved, which knows of each link what others tell it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::node::Node;
use crate::process::Process;

/// Where it is, laid there by [`crate::peers::mount`].
const PROGRAM: &str = "/usr/lib/systemd/systemd-resolved";

/// Its name, its object that is about all links, and the interface of that.
const OBJECT: [&str; 3] =
    ["org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager"];

/// A running resolved. It runs as root of the universe.
#[derive(Clone, Debug)]
pub struct Resolved {
    node: Node,
    process: Process,
}

impl Resolved {
    /// Starts it and waits until it is on the bus.
    ///
    /// # Panics
    /// When it is not there, or ends instead.
    pub async fn start(node: &Node) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: the test is to call peers::mount() first"
        );
        for folder in ["/run/systemd/resolve/netif", "/run/systemd/netif/links"] {
            fs::create_dir_all(folder).expect("make the folders of resolved's state");
        }
        let mut command = Command::new(PROGRAM);
        command.env("SYSTEMD_LOG_LEVEL", "info").env("SYSTEMD_LOG_TARGET", "console");
        let process = node.spawn("resolved", command);
        crate::wait::eventually("resolved on the bus", async || {
            let [name, path, manager] = OBJECT;
            let status = node.try_run("busctl", ["get-property", name, path, manager, "LLMNR"]);
            if status.code == 0 { Ok(()) } else { Err(format!("{status:?}\n{}", process.log())) }
        })
        .await;
        Self { node: node.clone(), process }
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Tells it the DNS servers of a link, IPv4 only, as a VPN does.
    pub fn set_dns(&self, ifindex: u32, servers: &[&str]) {
        let count = servers.len().to_string();
        let mut arguments = vec![ifindex.to_string(), count];
        for server in servers {
            arguments.extend(["2".to_owned(), "4".to_owned()]);
            arguments.extend(server.split('.').map(str::to_owned));
        }
        self.call("SetLinkDNS", "ia(iay)", &arguments);
    }

    /// Tells it the search domains of a link; `~NAME` is for routing only.
    pub fn set_domains(&self, ifindex: u32, domains: &[&str]) {
        let mut arguments = vec![ifindex.to_string(), domains.len().to_string()];
        for domain in domains {
            let name = domain.trim_start_matches('~');
            arguments.extend([name.to_owned(), (name != *domain).to_string()]);
        }
        self.call("SetLinkDomains", "ia(sb)", &arguments);
    }

    /// Makes it forget what it was told of a link.
    pub fn revert(&self, ifindex: u32) {
        self.call("RevertLink", "i", &[ifindex.to_string()]);
    }

    fn call(&self, method: &str, signature: &str, arguments: &[String]) {
        let object =
            ["org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager"];
        let call = ["call"].into_iter().chain(object).chain([method, signature]);
        self.node.run("busctl", call.chain(arguments.iter().map(String::as_str)));
    }
}
