//! What DHCPv6 servers gave real clients, and the PvDs that it belongs to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::ProvisioningDomain;
use mif::wire::Element;
use mif_tests::daemons::{Dhclient, Dhcpcd};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::{DhcpProvider, seconds_since_boot};
use mif_tests::universe;
use serde_json::{Value, json};

/// The Id of the PvD of the provider's router.
fn pvd_of(provider: &DhcpProvider) -> String {
    format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local())
}

fn leased(pvd: &ProvisioningDomain, dns: &str) -> bool {
    let by_lease = pvd.addresses.iter().filter(|address| address.element == Some(Element::Dhcpv6)).count();
    let servers: Vec<String> = pvd.dns_servers.iter().map(ToString::to_string).collect();
    servers == [dns] && by_lease == 1
}

#[track_caller]
fn holds(told: &Value, expected: &[(&str, Value)]) {
    for (identifier, value) in expected {
        assert_eq!(told[identifier]["data"], *value, "{identifier}: {told:#}");
    }
}

fn minutes_left(told: &Value) -> u64 {
    (told["lease-expires"]["data"].as_u64().unwrap() / 1_000_000 - seconds_since_boot()).div_ceil(60)
}

#[test]
fn a_lease_of_dhcpcd_joins_the_pvd_of_the_router_that_asked_for_it() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve_ipv6("2001:db8:1::53").await;
        let host = ServedHost::start(&universe).await;
        let dhcpcd = Dhcpcd::on(provider.cable.near()).line("option dhcp6_sntp_servers,dhcp6_nis_servers");
        let dhcpcd = dhcpcd.start().await;
        let id = pvd_of(&provider);
        let pvd = host.pvd_where(&id, |pvd| leased(pvd, "2001:db8:1::53")).await;
        assert_eq!(pvd.elements, [Element::Ra, Element::Dhcpv6]);
        let told = host.told(&pvd, "dhcpv6").await;
        holds(
            &told,
            &[
                ("dns-servers", json!(["2001:db8:1::53"])),
                ("search-domains", json!(["six.test"])),
                ("ntp-servers", json!(["2001:db8:1::123"])),
                ("nis-servers", json!(["2001:db8:1::77"])),
                ("told-by", json!("dhcpcd")),
            ],
        );
        assert_eq!(minutes_left(&told), 10, "{told:#}");
        dhcpcd.terminate().await;
        host.until("nothing of DHCPv6 to be left", |state| {
            let left = state.pvds().any(|pvd| pvd.elements.contains(&Element::Dhcpv6));
            (!left).then_some(())
        })
        .await;
    });
}

#[test]
fn a_lease_of_dhclient_is_told_with_all_its_options_and_goes_when_it_is_given_back() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve_ipv6("2001:db8:1::53").await;
        let host = ServedHost::start(&universe).await;
        let dhclient = || Dhclient::on(provider.cable.near()).ipv6();
        dhclient().start().await;
        let id = pvd_of(&provider);
        let pvd = host.pvd_where(&id, |pvd| leased(pvd, "2001:db8:1::53")).await;
        let told = host.told(&pvd, "dhcpv6").await;
        holds(
            &told,
            &[
                ("search-domains", json!(["six.test"])),
                ("ntp-servers", json!(["2001:db8:1::123"])),
                ("nis-servers", json!(["2001:db8:1::77"])),
                ("captive-portal", json!("https://portal.test/6")),
                ("told-by", json!("dhclient")),
            ],
        );
        let resolver = &told["encrypted-dns"]["data"][0];
        assert_eq!(
            (&resolver["name"]["data"], &resolver["alpn"]["data"]),
            (&json!("dns.test"), &json!(["dot"]))
        );
        assert_eq!(minutes_left(&told), 10, "{told:#}");

        dhclient().release().await;
        host.pvd_where(&id, |pvd| !pvd.elements.contains(&Element::Dhcpv6)).await;
    });
}
