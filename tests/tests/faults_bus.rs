//! What a bus does to a service when it has no room left for it: it drops its own words, too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use mif::{ConnectRequest, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::echo::ECHO_PORT;
use mif_tests::served_host::ServedHost;
use mif_tests::tally;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};
use zbus::fdo::DBusProxy;
use zbus::message::Type as MessageType;
use zbus::{Connection, Fd, Message, MessageStream, OwnedObjectPath, Variant};

const PVD: &str = "org.ietf.Mif1.ProvisioningDomain";
/// On the link, and nobody answers there.
const SILENT: &str = "192.0.2.99";
/// Longer than any test.
const LONG: Duration = Duration::from_secs(120);

async fn served(universe: &Universe) -> ServedHost {
    let cable = Cable::between(universe.host().end("eth1"), universe.node("router").end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    universe
        .host()
        .ip(&format!("neighbour replace {SILENT} lladdr 02:00:00:00:00:01 dev eth1 nud permanent"));
    ServedHost::start_with(universe, |settings| settings.log("info")).await
}

/// A client with as many connections under way as it may have.
async fn busy(host: &ServedHost, pvd: &OwnedObjectPath) -> Connection {
    let client = host.bus.connect().await;
    let (subscriber, _messages) = Subscriber::create(&client, "busy").await.unwrap();
    let request =
        ConnectRequest { timeout: Some(LONG), ..ConnectRequest::new(SILENT.parse().unwrap(), ECHO_PORT) };
    for id in 0..32 {
        completes("an acceptance", subscriber.connect_to_address(id, pvd, &request)).await.unwrap();
    }
    client
}

/// Sends sockets that nobody reads; whether the bus has no room for more of them.
async fn fills_up(client: &Connection, pvd: &OwnedObjectPath) -> bool {
    // The bus lets a client wait for 128 replies.
    const MOST: usize = 100;
    let bus = DBusProxy::new(client).await.unwrap();
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    let mut answers = MessageStream::from(client);
    for _ in 0..MOST {
        let none: HashMap<&str, Variant<'_>> = HashMap::new();
        let call = Message::method_call(pvd, "BindSocket").destination("org.ietf.Mif1").interface(PVD);
        let call = call.build(&(Fd::from(&socket), none)).unwrap();
        completes("the bus to take a call", client.send(&call)).await.unwrap();
        tally::faults(1);
        // It answers in order.
        completes("an answer of the bus", bus.get_id()).await.unwrap();
        while let Some(answer) = answers.next().now_or_never() {
            let answer = answer.unwrap().unwrap();
            if answer.message_type() == MessageType::Error {
                let name = answer.header().error_name().unwrap().to_string();
                assert_eq!(name, "org.freedesktop.DBus.Error.LimitsExceeded");
                return true;
            }
        }
    }
    false
}

#[test]
fn who_leaves_while_the_bus_has_no_room_for_the_word_of_it_is_missed() {
    universe::run(async |universe| {
        let host = served(&universe).await;
        let pvd = host.pvd("implicit:eth1:ipv4").await.path;
        let bus = DBusProxy::new(&host.connection).await.unwrap();
        let before = host.descriptors();
        let leaver = busy(&host, &pvd).await;
        assert!(host.descriptors() > before + 30, "{} and {before}", host.descriptors());
        let name = leaver.unique_name().unwrap().to_string();

        host.mifd.process().signal(Signal::SIGSTOP);
        let mut fillers = vec![host.bus.connect().await];
        while !fills_up(&fillers[fillers.len() - 1], &pvd).await {
            assert!(fillers.len() < 20, "the bus has room for {} sockets", 100 * fillers.len());
            fillers.push(host.bus.connect().await);
        }
        leaver.close().await.unwrap();
        eventually("the client to be gone", async || {
            let there = bus.name_has_owner(name.as_str().try_into().unwrap()).await.unwrap();
            if there { Err("it is there") } else { Ok(()) }
        })
        .await;
        host.mifd.process().signal(Signal::SIGCONT);

        drop(fillers);
        host.mifd.process().wait_for_log("the bus had no room for the word of it").await;
        host.wait_for_no_more_descriptors_than(before).await;
        assert_eq!(host.mifd.process().exit_status(), None);
        host.pvd("implicit:eth1:ipv4").await;
    });
}
