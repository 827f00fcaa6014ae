//! DHCPv4 leases of a real ISC dhclient.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::OpenOptions;
use std::io::Write;

use mif_tests::daemons::Dhclient;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{DhcpProvider, seconds_since_boot};
use mif_tests::universe;
use serde_json::json;

const PVD: &str = "implicit:eth1:ipv4";
const LEASES: &str = "/var/lib/dhcp/dhclient.leases";

fn dhclient_of(provider: &DhcpProvider) -> Dhclient {
    Dhclient::on(provider.cable.near())
}

#[test]
fn a_lease_is_told_with_all_its_options_and_goes_when_it_is_given_back() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        dhclient_of(&provider).start().await;
        let pvd = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
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

        dhclient_of(&provider).release().await;
        host.only_pvds(&[]).await;
        assert!(std::fs::read_to_string(LEASES).unwrap().contains("192.0.2.53"), "the record stays behind");
    });
}

/// As on Fedora and Arch Linux.
#[test]
fn leases_are_found_where_other_systems_keep_them() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        std::fs::create_dir("/var/lib/dhclient").unwrap();
        dhclient_of(&provider).keeping("/var/lib/dhclient/dhclient.leases").start().await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
    });
}

#[test]
fn a_new_dhclient_writes_its_file_anew() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        let server = provider.serve("192.0.2.53").await;
        let first = dhclient_of(&provider).start().await;
        first.wait_for_log("bound to").await;
        let host = ServedHost::start(&universe).await;
        let state = host.state().await;
        let before = state.pvds().find(|pvd| pvd.id == PVD).expect("a PvD as soon as mifd has its name");
        assert!(DhcpProvider::leased(before, "192.0.2.53"), "{before:#?}");

        first.kill().await;
        server.terminate().await;
        provider.serve("192.0.2.54").await;
        dhclient_of(&provider).start().await;
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.54")).await;
    });
}

/// As when the time of day was set after the lease was granted, on a machine that has no clock of its own.
#[test]
fn a_lease_of_another_time_of_day_holds_as_long_as_the_kernel_says() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let mut host = ServedHost::start(&universe).await;
        let dhclient = dhclient_of(&provider).start().await;
        let before = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        dhclient.kill().await;
        host.mifd.terminate().await;
        let file = std::fs::read_to_string(LEASES).unwrap();
        let line = file.lines().find(|line| line.trim_start().starts_with("expire ")).unwrap();
        std::fs::write(LEASES, file.replace(line, "  expire 6 2000/01/01 00:10:00;")).unwrap();
        host.mifd.restart().await;
        let pvd = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
        let told = host.configuration(&pvd, "dhcpv4").await;
        let left = told["lease-expires"]["data"].as_u64().unwrap() / 1_000_000 - seconds_since_boot();
        assert!((500..=600).contains(&left), "{left} s are left of ten minutes");

        // An address that somebody else has set does not count down.
        host.mifd.terminate().await;
        let address = before.addresses[0].address;
        universe
            .host()
            .ip(&format!("address replace {address}/24 dev eth1 valid_lft forever preferred_lft forever"));
        host.mifd.restart().await;
        let pvd = host.pvd(PVD).await;
        assert!(pvd.dns_servers.is_empty(), "{pvd:#?}");
    });
}

#[test]
fn what_is_half_written_or_broken_does_not_count() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        let dhclient = dhclient_of(&provider).start().await;
        let before = host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.53")).await;
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
        host.pvd_where(PVD, |pvd| DhcpProvider::leased(pvd, "192.0.2.66")).await;
    });
}
