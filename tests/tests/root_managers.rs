//! NetworkManager as an ordinary service user hears it, over a bus with its own policy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::net::IpAddr;

use mif::wire::Element;
use mif_tests::daemons::{Dhclient, NetworkManager};
use mif_tests::peers;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{DhcpProvider, Tun};
use mif_tests::universe;
use mif_tests::user::{SERVICE_USER, uid_of};
use serde_json::json;

#[test]
fn the_service_user_hears_what_network_manager_tells() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let sections = "[ipv4]\nmethod=auto\ndns=192.0.2.9;\n[ipv6]\nmethod=disabled\n";
        NetworkManager::on(universe.host()).link(provider.cable.near(), sections).start().await;
        let servers: [IpAddr; 2] = ["192.0.2.53".parse().unwrap(), "192.0.2.9".parse().unwrap()];
        let pvd = host.pvd_where("implicit:eth1:ipv4", |pvd| pvd.dns_servers == servers).await;
        assert_eq!(pvd.elements, [Element::Dhcpv4, Element::Static]);
        let told = host.configuration(&pvd, "dhcpv4").await;
        assert_eq!(told["told-by"]["data"], json!("NetworkManager"), "{told:#}");
    });
}

/// A dhclient of root's, whose files everybody may read.
#[test]
fn the_service_user_reads_what_dhclient_has_written_down() {
    universe::run_as_root(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let status = fs::read_to_string(format!("/proc/{}/status", host.mifd.process().pid())).unwrap();
        let uid = uid_of(SERVICE_USER).to_string();
        assert!(status.lines().any(|line| line.starts_with("Uid:") && line.ends_with(&uid)), "{status}");
        Dhclient::on(provider.cable.near()).start().await;
        let pvd = host.pvd_where("implicit:eth1:ipv4", |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        let told = host.configuration(&pvd, "dhcpv4").await;
        assert_eq!(told["told-by"]["data"], json!("dhclient"), "{told:#}");
    });
}

#[test]
fn a_tun_device_that_network_manager_looks_after_is_a_vpn_with_its_servers() {
    universe::run_as_root(async |universe| {
        peers::mount();
        let host = ServedHost::start(&universe).await;
        let _vpn = Tun::on(universe.host(), "tun0");
        let sections = "[tun]\nmode=1\n[ipv4]\nmethod=manual\naddress1=10.8.0.2/24\nroute1=10.0.0.0/8,10.8.0.1\n\
                        dns=10.8.0.53;\ndns-search=vpn.test;\n[ipv6]\nmethod=disabled\n";
        NetworkManager::on(universe.host()).other_link("tun", "tun0", sections).start().await;
        // It leaves alone what others have made, until it is told otherwise.
        universe.host().run("nmcli", ["connection", "up", "tun0"]);
        let server: IpAddr = "10.8.0.53".parse().unwrap();
        let pvd = host.pvd_where("implicit:tun0:ipv4", |pvd| pvd.dns_servers == [server]).await;
        assert_eq!((&pvd.elements, &pvd.search_domains), (&vec![Element::Vpn], &vec!["vpn.test".to_owned()]));
        let told = host.configuration(&pvd, "vpn").await;
        assert_eq!(told["told-by"]["data"], json!("NetworkManager"), "{told:#}");
        let routes = told["routes"]["data"].as_array().unwrap();
        assert!(routes.iter().any(|route| route["destination"]["data"] == "10.0.0.0/8"), "{told:#}");
        universe.host().run("nmcli", ["connection", "down", "tun0"]);
        host.only_pvds(&[]).await;
    });
}
