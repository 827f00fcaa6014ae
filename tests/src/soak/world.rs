//! The networks that storms go over.

use std::net::IpAddr;

use crate::cable::Cable;
use crate::dns::{DnsServer, Reply};
use crate::echo::EchoServer;
use crate::node::Node;
use crate::router_advertisement::{RawSender, RouterAdvertisement};
use crate::universe::Universe;

/// How many links there are all the time.
pub const LINKS: usize = 5;
/// The name that each router's DNS server knows.
pub const NAME: &str = "www.soak.example";

/// A host, some routers, and a node that links are moved to.
#[derive(Debug)]
pub struct World {
    pub host: Node,
    pub elsewhere: Node,
    pub networks: Vec<Network>,
    /// Counts the router's truths, so that each is news.
    truths: u16,
}

/// A cable to a router, which has a DNS server and an echo server.
#[derive(Debug)]
pub struct Network {
    pub number: usize,
    pub cable: Cable,
    pub sender: RawSender,
    router: Node,
    _dns: DnsServer,
    _echo: EchoServer,
}

impl World {
    /// Makes all of it.
    pub async fn new(universe: &Universe) -> Self {
        let mut networks = Vec::new();
        for number in 1..=LINKS {
            networks.push(Network::new(universe, number).await);
        }
        Self { host: universe.host().clone(), elsewhere: universe.node("elsewhere"), networks, truths: 0 }
    }

    /// Ends what goes on, and has each router say what is true.
    pub async fn calm_down(&mut self) {
        self.truths += 1;
        for network in &self.networks {
            network.repair(&self.host, &self.elsewhere);
        }
        for network in &self.networks {
            let near = network.cable.near();
            near.wait_for_address("fe80:").await;
            self.tell_truth_of(network);
        }
    }

    /// Has a router say what is true since the last quiet point.
    pub fn tell_truth_of(&self, network: &Network) {
        network.say(&network.truth(self.truths));
    }
}

impl Network {
    async fn new(universe: &Universe, number: usize) -> Self {
        let router = universe.node(&format!("router{number}"));
        router.forward();
        let near = universe.host().end(&format!("eth{number}"));
        let cable = Cable::between(near, router.end("lan")).await;
        cable.far().add_address(&format!("10.7.{number}.1/24"));
        cable.far().add_address(&format!("2001:db8:7:{number}::53/64"));
        cable.near().add_address(&format!("10.7.{number}.2/24"));
        let server: IpAddr = format!("2001:db8:7:{number}::53").parse().expect("an address");
        let zone = [(NAME, Reply::addresses([IpAddr::from([10, 7, u8::try_from(number).unwrap_or(0), 1])]))];
        let dns = DnsServer::on(&router, server, zone);
        let echo = EchoServer::on(&router);
        let sender = RawSender::on(cable.far());
        Self { number, cable, sender, router, _dns: dns, _echo: echo }
    }

    /// The Id of the explicit PvD that a truth is about.
    pub fn pvd_id(&self) -> String {
        format!("network{}.soak.example", self.number)
    }

    /// The server that a truth tells of.
    pub fn server(&self) -> IpAddr {
        format!("2001:db8:7:{}::53", self.number).parse().expect("an address")
    }

    fn prefix(&self) -> String {
        format!("2001:db8:7:{}::", self.number)
    }

    /// What the router says when it is asked for the truth: a prefix, and an explicit PvD with its server.
    fn truth(&self, sequence: u16) -> RouterAdvertisement {
        let server = self.server().to_string();
        let inside =
            RouterAdvertisement::new(600).prefix(&self.prefix(), 64, 600, 300).dns_servers(600, &[&server]);
        RouterAdvertisement::new(600).pvd(0, sequence, &self.pvd_id(), &inside)
    }

    /// Sends, if the link is fit to be sent on.
    pub fn say(&self, message: &RouterAdvertisement) {
        // Where it cannot be sent, nobody is told; the truth is said when all is repaired.
        let _ = self.sender.try_send(message.bytes());
    }

    /// Whatever a storm left: the link is at home, has its name, is up at both ends and has its address.
    fn repair(&self, host: &Node, elsewhere: &Node) {
        let name = format!("eth{}", self.number);
        for odd in [format!("odd{}", self.number), name.clone()] {
            elsewhere.try_ip(&format!("link set {odd} netns host"));
            host.try_ip(&format!("link set {odd} down"));
            host.try_ip(&format!("link set {odd} name {name}"));
        }
        host.try_ip(&format!("link set {name} up"));
        host.try_ip(&format!("address replace 10.7.{}.2/24 dev {name}", self.number));
        self.router.try_ip("link set lan up");
        self.router.try_ip(&format!("address replace 2001:db8:7:{}::53/64 dev lan nodad", self.number));
    }
}
