//! One link with two routers, each with a prefix of its own and an ingress filter.

use std::net::IpAddr;

use crate::cable::{Cable, LinkEnd};
use crate::daemons::Radvd;
use crate::echo::EchoServer;
use crate::node::Node;
use crate::process::Process;
use crate::universe::Universe;

/// The server behind both routers.
pub const SERVER_BEHIND_BOTH: &str = "2001:db8:ffff::80";

/// A host whose only link leads to a switch with two routers on it. Router 1 advertises
/// 2001:db8:1::/64, router 2 2001:db8:2::/64; each forwards packets of its own prefix only and drops
/// the other's (BCP 38), with counters. An echo server is behind both.
#[derive(Debug)]
pub struct OneLinkTwoRouters {
    /// The cable from the host (`eth1`) to the switch.
    pub cable: Cable,
    /// The routers, in the order of their prefixes.
    pub routers: [RouterOnLink; 2],
    echo: EchoServer,
}

/// One of the two.
#[derive(Debug)]
pub struct RouterOnLink {
    node: Node,
    lan: Cable,
    up: Cable,
    radvd: Process,
}

impl OneLinkTwoRouters {
    /// Builds all of it and waits until the host has an address from each.
    ///
    /// # Panics
    /// When something of it does not come up.
    pub async fn start(universe: &Universe) -> Self {
        let (switch, server) = (universe.node("switch"), universe.node("server"));
        switch.ip("link add bridge type bridge mcast_snooping 0");
        switch.ip("link set bridge up");
        server.ip(&format!("address add {SERVER_BEHIND_BOTH} dev lo"));
        server.forward();
        let echo = EchoServer::on(&server);
        let host = universe.host().end("eth1").mac("02:00:00:00:00:01");
        let cable = Cable::between(host, switch.end("host")).await;
        switch.ip("link set host master bridge");
        let routers = [
            RouterOnLink::start(universe, 1, &switch, &server).await,
            RouterOnLink::start(universe, 2, &switch, &server).await,
        ];
        for number in 1..=2 {
            cable.near().wait_for_address(&format!("2001:db8:{number}:")).await;
        }
        Self { cable, routers, echo }
    }

    /// The server behind both.
    pub fn server(&self) -> &Node {
        self.echo.node()
    }
}

impl RouterOnLink {
    async fn start(universe: &Universe, number: u8, switch: &Node, server: &Node) -> Self {
        let node = universe.node(&format!("router{number}"));
        node.forward();
        let lan = node.end("lan").mac(&format!("02:00:00:00:00:1{number}"));
        let lan = Cable::between(lan, switch.end(&format!("port{number}"))).await;
        switch.ip(&format!("link set port{number} master bridge"));
        let up = Cable::between(node.end("uplink"), server.end(&format!("router{number}"))).await;
        lan.near().add_address(&format!("2001:db8:{number}::1/64"));
        let back = up.near().link_local();
        server.ip(&format!("route add 2001:db8:{number}::/64 via {back} dev router{number}"));
        Self::filter(&node, number);
        let radvd = Radvd::on(&node, "lan").prefix(&format!("2001:db8:{number}::/64")).start().await;
        let router = Self { node, lan, up, radvd };
        router.lead_to(SERVER_BEHIND_BOTH.parse().expect("an address"));
        router
    }

    /// Leads packets for `address` to the server.
    pub fn lead_to(&self, address: IpAddr) {
        self.node.ip(&format!("route add {address} via {} dev uplink", self.up.far().link_local()));
    }

    /// Ingress filtering (BCP 38): what comes from the link with a foreign source is counted and dropped.
    fn filter(node: &Node, number: u8) {
        let rules = format!(
            "table ip6 bcp38 {{\n chain forward {{\n type filter hook forward priority 0\n \
             iifname lan ip6 saddr != 2001:db8:{number}::/64 counter drop\n \
             iifname lan counter accept\n }}\n }}"
        );
        node.run("nft", [rules]);
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its end of the cable to the link.
    pub fn lan(&self) -> &LinkEnd {
        self.lan.near()
    }

    /// Ends its advertisements without a last word, as when the power goes.
    pub async fn stop(&self) {
        self.radvd.kill().await;
    }

    /// Its link-local address on the link, as advertised.
    pub fn link_local(&self) -> String {
        self.lan.near().link_local()
    }

    /// How many packets from the link it dropped for their source, and how many it forwarded.
    pub fn dropped_and_forwarded(&self) -> (u64, u64) {
        let [dropped, forwarded] = self.node.counters("ip6", "bcp38");
        (dropped, forwarded)
    }
}
