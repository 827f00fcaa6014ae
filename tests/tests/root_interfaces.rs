//! Interfaces that only root can make everywhere: the TUN device of a VPN client.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use mif::wire::{Element, InterfaceKind, InterfaceState};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::Tun;
use mif_tests::universe;

#[test]
fn a_tun_device_is_a_tunnel_and_its_addresses_are_of_the_vpn() {
    universe::run_as_root(async |universe| {
        let host = universe.host();
        let served = ServedHost::start(&universe).await;
        let vpn = Tun::on(host, "tun0");
        host.ip("link set tun0 up");
        host.ip("address add 10.8.0.2 peer 10.8.0.1 dev tun0");
        host.ip("address add fd00:8::2/64 dev tun0");
        for (id, address) in [("implicit:tun0:ipv4", "10.8.0.2"), ("implicit:tun0:ipv6", "fd00:8::2")] {
            let pvd = served.pvd(id).await;
            assert_eq!(pvd.elements, [Element::Vpn]);
            assert_eq!(pvd.addresses[0].address.to_string(), address);
        }
        let state = served.state().await;
        let link = state.interfaces.iter().find(|interface| interface.name == "tun0").unwrap();
        assert_eq!((&link.kind, &link.state), (&InterfaceKind::Tunnel, &InterfaceState::Up));
        // The VPN client ends, and the device with it.
        drop(vpn);
        served.only_pvds(&[]).await;
        served
            .until("the end of tun0", |state| {
                state.interfaces.iter().all(|interface| interface.name != "tun0").then_some(())
            })
            .await;
    });
}
