//! radvd: Router Advertisements on one link.

use crate::filesystem::TESTBED;
use crate::node::Node;
use crate::process::Process;
use crate::tool;

use super::write_file;

/// How a radvd is to advertise on one link of a node. The node is made a router.
#[derive(Clone, Debug)]
pub struct Radvd {
    node: Node,
    link: String,
    lines: Vec<String>,
}

impl Radvd {
    /// A default router (lifetime 1800 s) that says so every 3 to 4 seconds and when asked.
    pub fn on(node: &Node, link: &str) -> Self {
        let lines = ["AdvSendAdvert on;", "MinRtrAdvInterval 3;", "MaxRtrAdvInterval 4;"];
        Self { node: node.clone(), link: link.to_owned(), lines: lines.map(str::to_owned).into() }
    }

    /// A prefix such as `2001:db8:1::/64`, on-link and for hosts to form addresses in.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        self.line(&format!("prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; }};"))
    }

    /// DNS servers.
    #[must_use]
    pub fn dns_servers(self, servers: &[&str]) -> Self {
        self.line(&format!("RDNSS {} {{ AdvRDNSSLifetime 600; }};", servers.join(" ")))
    }

    /// Search domains.
    #[must_use]
    pub fn search_domains(self, domains: &[&str]) -> Self {
        self.line(&format!("DNSSL {} {{ AdvDNSSLLifetime 600; }};", domains.join(" ")))
    }

    /// Any other line of the `interface` block in radvd.conf(5).
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Starts it and waits until it advertises.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start(self) -> Process {
        self.node.forward();
        let name = format!("radvd-{}-{}", self.node.name(), self.link);
        let text = format!("interface {} {{\n{}\n}};\n", self.link, self.lines.join("\n"));
        let config = write_file(&format!("{name}.conf"), &text);
        let mut command = tool::command("radvd");
        command.args(["--nodaemon", "--logmethod=stderr", "--debug=5", "--config"]).arg(config);
        command.arg(format!("--pidfile={TESTBED}/{name}.pid"));
        let process = self.node.spawn(&format!("radvd-{}", self.link), command);
        process.wait_for_log("sending RA to ff02::1").await;
        process
    }
}
