//! mifd asks DHCP servers as the service user, with the capabilities of its unit and with one less.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use mif::wire::Element;
use mif_tests::daemons::{Mifd, MifdSettings, program};
use mif_tests::process::output;
use mif_tests::served_host::ServedHost;
use mif_tests::topology::DhcpProvider;
use mif_tests::universe;

#[test]
fn the_service_user_asks_only_if_it_may_use_the_ports_of_clients() {
    universe::run_as_root(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.cable.near().add_address("192.0.2.7/24");
        universe.host().ip("route add default via 192.0.2.1");
        let server = provider.serve("192.0.2.53").await;
        let server6 = provider.serve_stateless_ipv6("2001:db8:1::53").await;
        let without = |settings: MifdSettings| settings.without_capability("net_bind_service");
        let host = ServedHost::start_with(&universe, without).await;
        let id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        host.pvd(&id).await;
        assert!(!host.features().await.contains(&"own-dhcp".to_owned()));
        let status = async || {
            let mut command = Command::new(program("mifctl"));
            command.arg("status");
            output(command).await.stdout
        };
        let said = status().await;
        assert!(said.contains("CAP_NET_BIND_SERVICE is missing"), "{said}");
        host.mifd.terminate().await;
        let asked = || [server.log().contains("DHCPINFORM"), server6.log().contains("INFORMATION-REQUEST")];
        assert_eq!(asked(), [false, false]);

        let _mifd: Mifd = MifdSettings::new(&universe, &host.bus).start().await;
        host.pvd_where("implicit:eth1:ipv4", |pvd| pvd.elements.contains(&Element::Dhcpv4)).await;
        host.pvd_where(&id, |pvd| pvd.elements.contains(&Element::Dhcpv6)).await;
        assert_eq!(asked(), [true, true]);
        assert!(!status().await.contains("asks no DHCP servers"));
    });
}
