//! dhcpcd: the host's client for DHCPv4, DHCPv6 and Router Advertisements.

use crate::cable::LinkEnd;
use crate::node::Node;
use crate::process::Process;
use crate::tool;

use super::write_file;

/// Options that every dhcpcd of the testbed has. ARP probes and random delays cost seconds; hooks
/// would write files; an address made from the MAC is the same in each run.
const SETTINGS: &str = "\
noarp
nodelay
noipv4ll
duid ll
slaac hwaddr
script /bin/true
option domain_name_servers, domain_name, domain_search, classless_static_routes, ntp_servers
option interface_mtu, host_name, rapid_commit
option dhcp6_name_servers, dhcp6_domain_search
require dhcp_server_identifier
";

/// How a dhcpcd is to look after links of one node.
///
/// It forks helpers that would give up their rights; in a user namespace it says `failed to drop
/// privileges` and goes on. Its control sockets are `/run/dhcpcd/IF.sock` and, for everybody,
/// `/run/dhcpcd/IF.unpriv.sock`; for several links `/run/dhcpcd/sock` and `/run/dhcpcd/unpriv.sock`.
#[derive(Clone, Debug)]
pub struct Dhcpcd {
    node: Node,
    links: Vec<String>,
    config: String,
    arguments: Vec<String>,
}

impl Dhcpcd {
    /// One dhcpcd for one link.
    pub fn on(end: &LinkEnd) -> Self {
        Self {
            node: end.node().clone(),
            links: vec![end.name().to_owned()],
            config: SETTINGS.to_owned(),
            arguments: Vec::new(),
        }
    }

    /// One dhcpcd for several links of one node (its "manager" mode), also when they come later.
    ///
    /// # Panics
    /// When `ends` is empty.
    pub fn on_all(ends: &[&LinkEnd]) -> Self {
        let links: Vec<String> = ends.iter().map(|end| end.name().to_owned()).collect();
        let config = format!("{SETTINGS}allowinterfaces {}\n", links.join(" "));
        Self { node: ends[0].node().clone(), links: Vec::new(), config, arguments: Vec::new() }
    }

    /// The same for all links whose names match a pattern, such as `eth*`.
    pub fn on_links(node: &Node, pattern: &str) -> Self {
        let config = format!("{SETTINGS}allowinterfaces {pattern}\n");
        Self { node: node.clone(), links: Vec::new(), config, arguments: Vec::new() }
    }

    /// DHCPv4 only: the kernel looks after IPv6.
    #[must_use]
    pub fn ipv4_only(mut self) -> Self {
        self.arguments.push("-4".to_owned());
        self
    }

    /// Any other line of dhcpcd.conf(5).
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Starts it; leases are to be waited for.
    pub async fn start(self) -> Process {
        let name = match self.links.first() {
            Some(link) => format!("dhcpcd-{link}"),
            None => "dhcpcd".to_owned(),
        };
        let config = write_file(&format!("{}-{name}.conf", self.node.name()), &self.config);
        let mut command = tool::command("dhcpcd");
        command.args(["--nobackground", "--debug", "--config"]).arg(config);
        command.args(&self.arguments).args(&self.links);
        let process = self.node.spawn(&name, command);
        process.wait_for_log("starting").await;
        process
    }
}
