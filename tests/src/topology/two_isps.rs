//! A host with two Internet service providers, which answer the same name differently.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cable::Cable;
use crate::daemons::{Dhcpcd, Dnsmasq};
use crate::echo::EchoServer;
use crate::node::Node;
use crate::process::Process;
use crate::universe::Universe;

/// The name that each ISP answers with addresses of its own.
pub const SHARED_NAME: &str = "www.example.test";

/// An address that both ISPs lead to, each to a server of its own (anycast).
pub const SHARED_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 100);

/// [`SHARED_V4`] for IPv6.
pub const SHARED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0x80);

/// The host, its two ISPs and its dhcpcd on both links.
#[derive(Debug)]
pub struct TwoIsps {
    /// The ISP behind link `eth1`.
    pub first: Isp,
    /// The ISP behind link `eth2`.
    pub second: Isp,
}

impl TwoIsps {
    /// Builds all of it and waits until the host has leases and addresses from both.
    ///
    /// # Panics
    /// When something of it does not come up.
    pub async fn start(universe: &Universe) -> Self {
        let isps = Self::without_clients(universe).await;
        for isp in [&isps.first, &isps.second] {
            isp.start_client().await;
        }
        for isp in [&isps.first, &isps.second] {
            isp.wait_for_addresses().await;
        }
        isps
    }

    /// The ISP behind the link that an Id names, and the other one.
    pub fn behind(&self, id: &str) -> (&Isp, &Isp) {
        let (first, second) = (&self.first, &self.second);
        if id.contains(first.link()) { (first, second) } else { (second, first) }
    }

    /// The same without dhcpcd: only the kernel looks at the Router Advertisements.
    pub async fn without_clients(universe: &Universe) -> Self {
        Self { first: Isp::start(universe, 1).await, second: Isp::start(universe, 2).await }
    }
}

/// One ISP: a node that is router, DHCP, DNS and echo server at once.
#[derive(Debug)]
pub struct Isp {
    number: u8,
    node: Node,
    cable: Cable,
    dnsmasq: Process,
    _echo: EchoServer,
}

impl Isp {
    /// ISP `number` behind link `eth<number>` of the host. Number 1 has the customers of
    /// 192.0.2.0/24 and 2001:db8:1:1::/64, number 2 those of 198.51.100.0/24 and 2001:db8:2:1::/64.
    async fn start(universe: &Universe, number: u8) -> Self {
        let node = universe.node(&format!("isp{number}"));
        let near = universe.host().end(&format!("eth{number}")).mac(&format!("02:00:00:00:0{number}:01"));
        let far = node.end("customer").mac(&format!("02:00:00:00:0{number}:02"));
        let cable = Cable::between(near, far).await;
        node.forward();
        for address in Self::router_addresses(number) {
            cable.far().add_address(&address);
        }
        for server in [
            Self::server_v4_of(number).into(),
            Self::server_v6_of(number).into(),
            IpAddr::from(SHARED_V4),
            SHARED_V6.into(),
        ] {
            node.ip(&format!("address add {server} dev lo"));
        }
        let echo = EchoServer::on(&node);
        let dnsmasq = Self::service(&node, number).start().await;
        Self { number, node, cable, dnsmasq, _echo: echo }
    }

    fn service(node: &Node, number: u8) -> Dnsmasq {
        let (v4, v6) = (Self::v4_prefix(number), format!("2001:db8:{number}:1::"));
        Dnsmasq::on(node, "customer")
            .dhcp4(&format!("{v4}10"), &format!("{v4}99"), "10m")
            .dhcp6(&format!("{v6}100"), &format!("{v6}1ff"), "10m")
            .advertise()
            .domain(&format!("isp{number}.test"))
            .answer(SHARED_NAME, &[Self::server_v4_of(number).into(), Self::server_v6_of(number).into()])
            .answer(&format!("only.isp{number}.test"), &[Self::server_v4_of(number).into()])
            .answer("shared.example.test", &[SHARED_V4.into(), SHARED_V6.into()])
    }

    /// Starts dhcpcd for the host's link to this ISP.
    pub async fn start_client(&self) -> Process {
        Dhcpcd::on(self.cable.near()).start().await
    }

    /// Waits until the host has an address by DHCPv4, one by DHCPv6 and one of its own making.
    pub async fn wait_for_addresses(&self) {
        let near = self.cable.near();
        near.wait_for_address(Self::v4_prefix(self.number)).await;
        near.wait_for_address(&format!("2001:db8:{}:1:0:ff:fe00:", self.number)).await;
        near.wait_for_address(&format!("2001:db8:{}:1::1", self.number)).await;
    }

    /// The ISP's only node; its name is `isp1` or `isp2`.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The cable to the host; the host's end is the near one.
    pub fn cable(&self) -> &Cable {
        &self.cable
    }

    /// The name of the host's link to this ISP.
    pub fn link(&self) -> &str {
        self.cable.near().name()
    }

    /// Its dnsmasq.
    pub fn dnsmasq(&self) -> &Process {
        &self.dnsmasq
    }

    /// The DNS servers it gives out: by DHCPv4, and by DHCPv6. By RA dnsmasq names its link-local address.
    pub fn dns_servers(&self) -> (Ipv4Addr, Ipv6Addr) {
        let v4 = format!("{}1", Self::v4_prefix(self.number)).parse().expect("an address");
        (v4, Ipv6Addr::new(0x2001, 0xdb8, self.number.into(), 1, 0, 0, 0, 1))
    }

    /// Whether its DNS server is at this address of its node.
    pub fn serves_dns_at(&self, address: IpAddr) -> bool {
        let (v4, v6) = self.dns_servers();
        address == v4 || address == v6 || self.cable.far().link_local() == address.to_string()
    }

    /// Its answer to [`SHARED_NAME`], of IPv4.
    pub fn server_v4(&self) -> Ipv4Addr {
        Self::server_v4_of(self.number)
    }

    /// Its answer to [`SHARED_NAME`], of IPv6.
    pub fn server_v6(&self) -> Ipv6Addr {
        Self::server_v6_of(self.number)
    }

    /// Whether an address is one that its customers have.
    pub fn gave(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4.to_string().starts_with(Self::v4_prefix(self.number)),
            IpAddr::V6(v6) => v6.segments()[..4] == [0x2001, 0xdb8, self.number.into(), 1],
        }
    }

    /// Drops every connection that its servers are asked for, without a word.
    pub fn drop_connections(&self) {
        self.node().run(
            "nft",
            ["table inet dead { chain input { type filter hook input priority 0; meta l4proto tcp drop; }; }"],
        );
    }

    /// Pulls the host's cable out of this ISP.
    pub async fn pull_cable(&self) {
        self.cable.pull().await;
    }

    /// Plugs it in again.
    pub async fn plug_cable(&self) {
        let addresses = Self::router_addresses(self.number);
        self.cable.plug(&[&addresses[1]]).await;
    }

    fn v4_prefix(number: u8) -> &'static str {
        if number == 1 { "192.0.2." } else { "198.51.100." }
    }

    fn router_addresses(number: u8) -> [String; 2] {
        [format!("{}1/24", Self::v4_prefix(number)), format!("2001:db8:{number}:1::1/64")]
    }

    fn server_v4_of(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(203, 0, 113, 11 * number)
    }

    fn server_v6_of(number: u8) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0x80, 0, 0, 0, 0x80)
    }
}
