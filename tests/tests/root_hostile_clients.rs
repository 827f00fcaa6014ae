//! Hostile clients on dbus-broker, of another user than the service: it counts by user what messages cost, and hangs
//! up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;

use mif_tests::cable::Cable;
use mif_tests::daemons::{Bus, Mifd};
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::peers;
use mif_tests::raw_client::RawClient;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use mif_tests::user::{MEMBER, as_user};
use zbus::Variant;

const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";

fn none<'a>() -> HashMap<&'a str, Variant<'a>> {
    HashMap::new()
}

/// A host with a server beside it, served on dbus-broker.
async fn served(universe: &Universe) -> (EchoServer, ServedHost) {
    peers::mount();
    let server = universe.node("server");
    let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    cable.far().add_address("192.0.2.1/24");
    let echo = EchoServer::on(&server);
    let bus = Bus::start_broker(universe).await;
    let mifd = Mifd::start(universe, &bus).await;
    let connection = bus.connect().await;
    (echo, ServedHost { bus, mifd, connection })
}

#[test]
fn dbus_broker_hangs_up_on_a_client_that_cannot_take_descriptors() {
    universe::run_as_root(async |universe| {
        let (_echo, host) = served(&universe).await;
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let before = host.descriptors();
        let mut client = as_user(MEMBER, RawClient::without_descriptors()).await;
        let arguments = ("192.0.2.1", ECHO_PORT, none());
        client.post(pvd.as_str(), PVD, "ConnectToAddress", &arguments).await;
        while client.read().await.is_ok() {}
        drop(client);
        host.wait_for_descriptors(before).await;
    });
}
