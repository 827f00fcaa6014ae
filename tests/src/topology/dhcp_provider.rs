//! A host with one provider that gives out DHCPv4 leases, for the clients that are told apart by who asks.

use std::fs;
use std::net::IpAddr;

use mif::ProvisioningDomain;
use mif::wire::Element;

use crate::cable::Cable;
use crate::daemons::Dnsmasq;
use crate::node::Node;
use crate::process::Process;
use crate::universe::Universe;

/// A provider behind `eth1` of the host; its router is 192.0.2.1.
#[derive(Debug)]
pub struct DhcpProvider {
    /// Its machine.
    pub node: Node,
    /// From `eth1` of the host to `lan` of the provider.
    pub cable: Cable,
}

impl DhcpProvider {
    /// The provider and its cable, without a server yet.
    pub async fn new(universe: &Universe) -> Self {
        let node = universe.node("isp");
        let cable = Cable::between(universe.host().end("eth1"), node.end("lan")).await;
        cable.far().add_address("192.0.2.1/24");
        Self { node, cable }
    }

    /// Its DHCP server, which gives out this DNS server, a lease of ten minutes and options of every sort.
    pub async fn serve(&self, dns: &str) -> Process {
        let server = Dnsmasq::on(&self.node, "lan").dhcp4("192.0.2.50", "192.0.2.60", "10m");
        let server = [
            &format!("--dhcp-option=option:dns-server,{dns}"),
            "--dhcp-option=option:mtu,1400",
            "--dhcp-option=option:ntp-server,192.0.2.123",
            "--dhcp-option=option:nis-domain,nis.test",
            "--dhcp-option=option:nis-server,192.0.2.77",
            "--dhcp-option-force=114,https://portal.test/api",
            "--dhcp-option=option:classless-static-route,10.0.0.0/8,192.0.2.9,0.0.0.0/0,192.0.2.1",
            "--port=0",
        ]
        .iter()
        .fold(server.domain("isp.test"), |server, argument| server.argument(argument));
        server.start().await
    }

    /// Gives out IPv6 as well: addresses of 2001:db8:1::/64 by DHCPv6 and for hosts to make, this DNS server, and
    /// options of every sort. Its Router Advertisements ask for DHCPv6 (M and O), and name the DNS server as well.
    pub async fn serve_ipv6(&self, dns: &str) -> Process {
        let server = Dnsmasq::on(&self.node, "lan").dhcp6("2001:db8:1::100", "2001:db8:1::1ff", "10m");
        self.serve_options(server, dns).await
    }

    /// The same without addresses by DHCPv6: its Router Advertisements ask for the options only (O, not M).
    pub async fn serve_stateless_ipv6(&self, dns: &str) -> Process {
        let server = Dnsmasq::on(&self.node, "lan").argument("--dhcp-range=2001:db8:1::,ra-stateless,64,10m");
        self.serve_options(server, dns).await
    }

    async fn serve_options(&self, server: Dnsmasq, dns: &str) -> Process {
        self.cable.far().add_address("2001:db8:1::1/64");
        let server = server.advertise();
        let resolver = "00:01:00:0a:03:64:6e:73:04:74:65:73:74:00:00:10:20:01:0d:b8:00:01:00:00:00:00:00:00:00:00:\
                        00:53:00:01:00:04:03:64:6f:74";
        let options = [
            format!("--dhcp-option=option6:dns-server,[{dns}]"),
            "--dhcp-option=option6:domain-search,six.test".to_owned(),
            "--dhcp-option=option6:sntp-server,[2001:db8:1::123]".to_owned(),
            "--dhcp-option=option6:27,[2001:db8:1::77]".to_owned(),
            "--dhcp-option=option6:information-refresh-time,1h".to_owned(),
            "--dhcp-option-force=option6:103,https://portal.test/6".to_owned(),
            format!("--dhcp-option-force=option6:144,{resolver}"),
            "--ra-param=lan,4,60".to_owned(),
            "--port=0".to_owned(),
        ];
        options.iter().fold(server, |server, argument| server.argument(argument)).start().await
    }

    /// Whether a PvD has this DNS server and one address from the lease.
    pub fn leased(pvd: &ProvisioningDomain, dns: &str) -> bool {
        let by_lease =
            pvd.addresses.iter().filter(|address| address.element == Some(Element::Dhcpv4)).count();
        dns.parse::<IpAddr>().is_ok_and(|dns| pvd.dns_servers == [dns]) && by_lease == 1
    }
}

/// CLOCK_BOOTTIME in whole seconds.
///
/// # Panics
/// When /proc is not there.
pub fn seconds_since_boot() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").expect("/proc/uptime");
    uptime.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("seconds")
}
