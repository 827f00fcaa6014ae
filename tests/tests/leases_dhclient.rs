//! DHCPv4 leases of a real ISC dhclient.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;

use mif::ProvisioningDomain;
use mif::wire::Element;
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhclient, Dnsmasq};
use mif_tests::node::Node;
use mif_tests::process::Process;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use serde_json::json;

const PVD: &str = "implicit:eth1:ipv4";
const LEASES: &str = "/var/lib/dhcp/dhclient.leases";

/// A provider behind `eth1` of the host.
struct Provider {
    node: Node,
    cable: Cable,
}

impl Provider {
    async fn new(universe: &Universe) -> Self {
        let node = universe.node("isp");
        let cable = Cable::between(universe.host().end("eth1"), node.end("lan")).await;
        cable.far().add_address("192.0.2.1/24");
        Self { node, cable }
    }

    /// Its DHCP server, which gives out this DNS server.
    async fn serve(&self, dns: &str) -> Process {
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

    fn dhclient(&self) -> Dhclient {
        Dhclient::on(self.cable.near())
    }
}

/// A PvD with this DNS server and an address from the lease.
fn leased(pvd: &ProvisioningDomain, dns: &str) -> bool {
    let by_lease = pvd.addresses.iter().filter(|address| address.element == Some(Element::Dhcpv4)).count();
    pvd.dns_servers == [dns.parse::<IpAddr>().unwrap()] && by_lease == 1
}

fn seconds_since_boot() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split('.').next().unwrap().parse().unwrap()
}

#[test]
fn a_lease_is_told_with_all_its_options_and_goes_when_it_is_given_back() {
    universe::run(async |universe| {
        let provider = Provider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        provider.dhclient().start().await;
        let pvd = host.pvd_where(PVD, |pvd| leased(pvd, "192.0.2.53")).await;
        let told = host.configuration(&pvd, "dhcpv4").await;
        for (identifier, value) in [
            ("search-domains", json!(["isp.test"])),
            ("domain-name", json!("isp.test")),
            ("routers", json!(["192.0.2.1"])),
            ("mtu", json!(1400)),
            ("ntp-servers", json!(["192.0.2.123"])),
            ("nis-domain", json!("nis.test")),
            ("nis-servers", json!(["192.0.2.77"])),
            ("captive-portal", json!("https://portal.test/api")),
            ("server-identifier", json!("192.0.2.1")),
        ] {
            assert_eq!(told[identifier]["data"], value, "{identifier}: {told:#}");
        }
        assert_eq!(told["routes"]["data"].as_array().unwrap().len(), 2, "{told:#}");
        let left = told["lease-expires"]["data"].as_u64().unwrap() / 1_000_000 - seconds_since_boot();
        assert!((500..=601).contains(&left), "{left} s are left of ten minutes");

        provider.dhclient().release().await;
        host.only_pvds(&[]).await;
        assert!(std::fs::read_to_string(LEASES).unwrap().contains("192.0.2.53"), "the record stays behind");
    });
}

#[test]
fn a_new_dhclient_writes_its_file_anew() {
    universe::run(async |universe| {
        let provider = Provider::new(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let first = provider.dhclient().start().await;
        first.wait_for_log("bound to").await;
        let host = ServedHost::start(&universe).await;
        let state = host.state().await;
        let before = state.pvds().find(|pvd| pvd.id == PVD).expect("a PvD as soon as mifd has its name");
        assert!(leased(before, "192.0.2.53"), "{before:#?}");

        first.kill().await;
        server.terminate().await;
        provider.serve("192.0.2.54").await;
        provider.dhclient().start().await;
        host.pvd_where(PVD, |pvd| leased(pvd, "192.0.2.54")).await;
    });
}

#[test]
fn what_is_half_written_or_broken_does_not_count() {
    universe::run(async |universe| {
        let provider = Provider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let dhclient = provider.dhclient().start().await;
        let before = host.pvd_where(PVD, |pvd| leased(pvd, "192.0.2.53")).await;
        // A crash in the middle of its next lease.
        dhclient.kill().await;
        let mut file = OpenOptions::new().append(true).open(LEASES).unwrap();
        let address = before.addresses[0].address;
        let half = format!(
            "lease {{\n  interface \"eth1\";\n  fixed-address {address};\n  option domain-name-servers 192.0.2.66;\n  \
             expire 0 2099/01/01 00:00:00;\n"
        );
        write!(file, "\0\u{fe}}}}}{{{{\"\n{half}").unwrap();
        // Something that comes after it, to be sure that it was seen.
        provider.cable.near().add_address("198.51.100.7/24");
        let still = host.pvd_where(PVD, |pvd| pvd.addresses.len() == 2).await;
        assert_eq!((&still.path, &still.dns_servers), (&before.path, &before.dns_servers));
        writeln!(file, "}}").unwrap();
        host.pvd_where(PVD, |pvd| leased(pvd, "192.0.2.66")).await;
    });
}
