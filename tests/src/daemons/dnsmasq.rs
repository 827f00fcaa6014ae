//! dnsmasq: DHCPv4, DHCPv6, Router Advertisements and DNS on one link.

use std::net::IpAddr;

use crate::filesystem::TESTBED;
use crate::node::Node;
use crate::process::Process;
use crate::tool;

/// How a dnsmasq is to serve one link of a node. Its own address on that link, of each family it
/// serves, must be there before it starts.
#[derive(Clone, Debug)]
pub struct Dnsmasq {
    node: Node,
    link: String,
    arguments: Vec<String>,
}

impl Dnsmasq {
    /// A DNS server for a link, without names yet. A name below `test` that it has no record for does
    /// not exist (NXDOMAIN); all other names it refuses, for it asks no other server.
    pub fn on(node: &Node, link: &str) -> Self {
        let files = format!("{TESTBED}/dnsmasq-{}-{link}", node.name());
        let mut arguments: Vec<String> = [
            "--no-daemon",
            "--conf-file=/dev/null",
            "--user=root",
            "--group=root",
            "--no-resolv",
            "--no-hosts",
            "--local=/test/",
            "--local-ttl=60",
            "--dhcp-authoritative",
            "--no-ping",
            "--log-queries",
            "--log-dhcp",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--interface={link}"));
        arguments.push(format!("--pid-file={files}.pid"));
        arguments.push(format!("--dhcp-leasefile={files}.leases"));
        Self { node: node.clone(), link: link.to_owned(), arguments }
    }

    /// Leases IPv4 addresses from `first` to `last`; the lease time is that of dnsmasq, such as `10m`
    /// (it makes anything shorter than two minutes two minutes).
    #[must_use]
    pub fn dhcp4(self, first: &str, last: &str, lease: &str) -> Self {
        self.argument(&format!("--dhcp-range={first},{last},{lease}"))
    }

    /// Leases IPv6 addresses from `first` to `last` and, with [`advertise`](Self::advertise), lets
    /// hosts form their own as well.
    #[must_use]
    pub fn dhcp6(self, first: &str, last: &str, lease: &str) -> Self {
        self.argument(&format!("--dhcp-range={first},{last},slaac,64,{lease}"))
    }

    /// Sends Router Advertisements (M, O and A set) with itself as DNS server.
    #[must_use]
    pub fn advertise(self) -> Self {
        self.argument("--enable-ra")
    }

    /// The domain of its clients, by DHCPv4, DHCPv6 and RA.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        self.argument(&format!("--domain={domain}"))
            .argument(&format!("--dhcp-option=option:domain-search,{domain}"))
            .argument(&format!("--dhcp-option=option6:domain-search,{domain}"))
    }

    /// Answers a name with at most one address per family.
    #[must_use]
    pub fn answer(self, name: &str, addresses: &[IpAddr]) -> Self {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        self.argument(&format!("--host-record={name},{}", addresses.join(",")))
    }

    /// Any other option, as on its command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    pub async fn start(self) -> Process {
        let mut command = tool::command("dnsmasq");
        command.args(&self.arguments);
        let process = self.node.spawn(&format!("dnsmasq-{}", self.link), command);
        process.wait_for_log("started, version").await;
        process
    }
}
