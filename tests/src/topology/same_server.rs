//! Networks that all have a server of one address, which tells which of them was taken.

use std::net::{IpAddr, TcpStream};

use mif::{ConnectRequest, connect_to_address};
use zbus::OwnedObjectPath;

use crate::cable::Cable;
use crate::echo::{ECHO_PORT, EchoServer, Greeting};
use crate::node::Node;
use crate::served_host::ServedHost;
use crate::universe::Universe;
use crate::wait::{DEADLINE, completes};

/// The server that every network has one of.
pub const EVERYWHERE: &str = "203.0.113.80";

/// The same for IPv6.
pub const EVERYWHERE_V6: &str = "2001:db8:ffff::80";

/// A network behind a link of the host, with a server at [`EVERYWHERE`].
#[derive(Debug)]
pub struct Provider {
    /// Its router, which is the server as well.
    pub node: Node,
    /// From the host to `lan` of the router.
    pub cable: Cable,
    _echo: EchoServer,
}

impl Provider {
    /// The network `name` behind `link` of the host, its router having the address `own`, such as `192.0.2.1/24`. What
    /// comes from other sources than its network's is dropped (BCP 38), and both is counted.
    ///
    /// # Panics
    /// When something of it does not come up.
    pub async fn start(universe: &Universe, name: &str, link: &str, own: &str) -> Self {
        let node = universe.node(name);
        let cable = Cable::between(universe.host().end(link), node.end("lan")).await;
        cable.far().add_address(own);
        node.ip(&format!("address add {EVERYWHERE} dev lo"));
        let (address, length) = own.split_once('/').expect("an address with a length");
        let prefix = format!("{address}/{length}");
        let rules = format!(
            "table ip bcp38 {{\n chain prerouting {{\n type filter hook prerouting priority 0\n \
             iifname lan ip saddr != {{ {prefix}, 0.0.0.0 }} counter drop\n \
             iifname lan tcp dport {ECHO_PORT} tcp flags & (syn|ack) == syn counter\n }}\n }}"
        );
        node.run("nft", [rules]);
        let echo = EchoServer::on(&node);
        Self { node, cable, _echo: echo }
    }

    /// How many packets were dropped for their source, and how many connections were begun.
    ///
    /// # Panics
    /// When nftables do not tell.
    pub fn dropped_and_begun(&self) -> (u64, u64) {
        let [dropped, begun] = self.node.counters("ip", "bcp38");
        (dropped, begun)
    }
}

/// `isp1` (192.0.2.0/24) behind `eth1` and `isp2` (198.51.100.0/24) behind `eth2`; the host has addresses by hand, and
/// its main table leads everything to the first.
///
/// # Panics
/// As [`Provider::start`].
pub async fn two_providers(universe: &Universe) -> [Provider; 2] {
    let first = Provider::start(universe, "isp1", "eth1", "192.0.2.1/24").await;
    let second = Provider::start(universe, "isp2", "eth2", "198.51.100.1/24").await;
    // As everybody sets them; without a broadcast address networkd 252 sets them again and again.
    first.cable.near().add_address("192.0.2.2/24 broadcast +");
    second.cable.near().add_address("198.51.100.2/24 broadcast +");
    universe.host().ip("route add default via 192.0.2.1 dev eth1 metric 100");
    universe.host().ip("route add default via 198.51.100.1 dev eth2 metric 200");
    [first, second]
}

/// `eth1` of the host on a switch with routers, each with a server at [`EVERYWHERE`] and [`EVERYWHERE_V6`]: their
/// cables, the near end of each being `lan` of the router.
///
/// # Panics
/// When something of it does not come up.
pub async fn switch(universe: &Universe, routers: &[&str]) -> Vec<Cable> {
    let switch = universe.node("switch");
    switch.ip("link add bridge type bridge mcast_snooping 0");
    switch.ip("link set bridge up");
    let host = universe.host().end("eth1").mac("02:00:00:00:00:01");
    let _cable = Cable::between(host, switch.end("host")).await;
    switch.ip("link set host master bridge");
    let mut cables = Vec::new();
    for name in routers {
        let node = universe.node(name);
        let cable = Cable::between(node.end("lan"), switch.end(name)).await;
        switch.ip(&format!("link set {name} master bridge"));
        node.forward();
        node.ip(&format!("address add {EVERYWHERE} dev lo"));
        node.ip(&format!("address add {EVERYWHERE_V6} dev lo"));
        // Detached from any test: it lives as long as the universe.
        std::mem::forget(EchoServer::on(&node));
        cables.push(cable);
    }
    cables
}

/// The name of the node that answers at `to` in `pvd`.
///
/// # Panics
/// When no connection comes about.
pub async fn answers(host: &ServedHost, pvd: &OwnedObjectPath, to: &str) -> String {
    try_answers(host, pvd, to).await.expect("a greeting over a connection")
}

/// The same, where it may be that nobody answers, or not to the end.
///
/// # Errors
/// What became of it.
///
/// # Panics
/// When it takes longer than anything may.
pub async fn try_answers(host: &ServedHost, pvd: &OwnedObjectPath, to: &str) -> Result<String, String> {
    let request = ConnectRequest::new(to.parse::<IpAddr>().expect("an address"), ECHO_PORT);
    let connected = completes("a connection", connect_to_address(&host.connection, pvd, &request)).await;
    let stream = TcpStream::from(connected.map_err(|error| error.to_string())?.socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("a limit of time");
    let greeting = tokio::task::spawn_blocking(move || Greeting::read(&stream)).await;
    greeting.expect("no panic").map(|it| it.server).map_err(|error| error.to_string())
}
