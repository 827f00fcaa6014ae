//! The limits of the contract over real users: exact at the edge, both faces together, released by whatever ends what
//! was counted.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::time::Duration;

use mif::{ConnectRequest, ErrorKind, Message, Messages, Subscriber, TranslateOptions};
use mif_tests::cable::Cable;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::user::{MEMBER, ORDINARY_USER, connect_as};
use mif_tests::wait::{completes, eventually};
use serde::Serialize;
use zbus::{Connection, DynamicType, OwnedObjectPath, Variant};

const V4: &str = "implicit:eth1:ipv4";
const V6: &str = "implicit:eth1:ipv6:fe80::ff:fe00:1";

const NAME: &str = "www.example.test";

/// Longer than a test lasts.
const LONG: Duration = Duration::from_secs(119);

fn request() -> ConnectRequest {
    ConnectRequest { timeout: Some(LONG), ..ConnectRequest::new([192, 0, 2, 99].into(), 7) }
}

fn options() -> TranslateOptions {
    TranslateOptions { timeout: Some(LONG), ..TranslateOptions::default() }
}

/// A network in which nobody ever answers: neither the host at 192.0.2.99 nor the name server.
async fn silent(universe: &Universe) -> (Cable, ServedHost) {
    let router = universe.node("router");
    let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
    let cable = Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await;
    cable.near().add_address("192.0.2.9/24");
    let host = ServedHost::start(universe).await;
    let advertisement = RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3000, 2000);
    let advertisement = advertisement.dns_servers(1800, &["2001:db8:1::53"]);
    RawSender::on(cable.far()).send(advertisement.bytes());
    host.pvd_where(V6, |pvd| !pvd.addresses.is_empty() && !pvd.dns_servers.is_empty()).await;
    for (family, address) in [("", "192.0.2.99"), ("-6 ", "2001:db8:1::53")] {
        universe.host().ip(&format!(
            "{family}neighbour replace {address} lladdr 02:00:00:00:00:01 dev eth1 nud permanent"
        ));
    }
    (cable, host)
}

/// A client with its subscriber.
struct Client {
    connection: Connection,
    subscriber: Subscriber,
    messages: Messages,
}

impl Client {
    async fn of(host: &ServedHost, user: &str) -> Self {
        let connection = connect_as(&host.bus, user).await;
        let (subscriber, messages) = Subscriber::create(&connection, "first").await.unwrap();
        Self { connection, subscriber, messages }
    }

    async fn connect(&self, id: u32, pvd: &OwnedObjectPath) -> mif::Result<()> {
        completes("an answer", self.subscriber.connect_to_address(id, pvd, &request())).await
    }

    async fn translate(&self, id: u32, pvd: &OwnedObjectPath) -> mif::Result<()> {
        completes("an answer", self.subscriber.translate_name(id, pvd, NAME, &options())).await
    }

    /// Calls a method on the state face and does not wait.
    async fn post<B: Serialize + DynamicType>(&self, pvd: &OwnedObjectPath, member: &str, body: &B) {
        let call = zbus::Message::method_call(pvd, member)
            .destination("org.ietf.Mif1")
            .interface("org.ietf.Mif1.ProvisioningDomain")
            .build(body);
        self.connection.send(&call.unwrap()).await.unwrap();
    }

    /// What came that was not asked for, for the report of a failure.
    async fn said(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Ok(message) =
            tokio::time::timeout(Duration::from_millis(50), next(&mut self.messages)).await
        {
            said.push(format!("{message:?}"));
        }
        said
    }

    /// Takes up to 64 subscribers, as far as it gets.
    async fn fill(&self) -> (Vec<Subscriber>, (ErrorKind, String)) {
        let mut made = Vec::new();
        loop {
            match Subscriber::create(&self.connection, &format!("more{}", made.len())).await {
                Ok((subscriber, _)) => made.push(subscriber),
                refused => return (made, refusal(refused)),
            }
        }
    }
}

#[test]
fn a_user_s_clients_share_its_limits_and_others_have_their_own() {
    universe::run_as_root(async |universe| {
        let (_cable, host) = silent(&universe).await;
        // 8 a client, and 64 a user.
        let mut clients = Vec::new();
        for _ in 0..8 {
            let client = Client::of(&host, ORDINARY_USER).await;
            let (made, (kind, text)) = client.fill().await;
            assert_eq!((made.len(), kind), (7, ErrorKind::LimitsExceeded));
            assert!(text.contains("subscribers-per-client"), "{text}");
            clients.push((client, made));
        }
        let ninth = connect_as(&host.bus, ORDINARY_USER).await;
        let (kind, text) = refusal(Subscriber::create(&ninth, "first").await);
        assert!(
            kind == ErrorKind::LimitsExceeded && text.contains("subscribers-per-user"),
            "{kind:?} {text}"
        );
        // Others have their own, root as many as it likes.
        Client::of(&host, MEMBER).await;
        let mut of_root = Vec::new();
        for _ in 0..9 {
            let client = Client::of(&host, "root").await;
            assert_eq!(client.fill().await.0.len(), 7);
            of_root.push(client);
        }
        // Close frees one place, leaving frees all of them.
        clients[0].0.subscriber.close().await.unwrap();
        let (again, _) = Subscriber::create(&ninth, "first").await.unwrap();
        assert_eq!(refusal(Subscriber::create(&ninth, "second").await).0, ErrorKind::LimitsExceeded);
        let (leaver, made) = clients.pop().unwrap();
        drop((made, leaver.subscriber, leaver.messages));
        leaver.connection.close().await.unwrap();
        eventually("the places of a client that left", async || {
            let made = Subscriber::create(&ninth, "second").await;
            made.map(drop).map_err(|error| error.to_string())
        })
        .await;
        again.close().await.unwrap();
    });
}

#[test]
fn pending_work_is_counted_by_client_and_user_over_both_faces() {
    universe::run_as_root(async |universe| {
        let (_cable, host) = silent(&universe).await;
        let (v4, v6) = (host.pvd(V4).await.path, host.pvd(V6).await.path);
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = Client::of(&host, MEMBER).await;
            for id in 0..31 {
                client.connect(id, &v4).await.unwrap();
            }
            for id in 0..63 {
                client.translate(id, &v6).await.unwrap();
            }
            assert_eq!(client.said().await, Vec::<String>::new(), "nobody answers in this network");
            // One more of each on the other face makes it full: calls of a client are served in order.
            let long = HashMap::from([("timeout", Variant::from(119_000_u32))]);
            client.post(&v4, "ConnectToAddress", &("192.0.2.99", 7_u16, &long)).await;
            client.post(&v6, "TranslateName", &(NAME, &long)).await;
            let (kind, text) = refusal(client.translate(99, &v6).await);
            assert!(kind == ErrorKind::LimitsExceeded && text.contains("-per-client"), "{kind:?} {text}");
            let (kind, text) = refusal(client.connect(99, &v4).await);
            assert!(kind == ErrorKind::LimitsExceeded && text.contains("-per-client"), "{kind:?} {text}");
            clients.push(client);
        }
        // 4 x 32 connections and 4 x 64 translations: the user's limits, for its other clients.
        let fifth = Client::of(&host, MEMBER).await;
        let (kind, text) = refusal(fifth.connect(1, &v4).await);
        assert!(kind == ErrorKind::LimitsExceeded && text.contains("connections-per-user"), "{text}");
        let (kind, text) = refusal(fifth.translate(1, &v6).await);
        assert!(kind == ErrorKind::LimitsExceeded && text.contains("translations-per-user"), "{text}");
        let visitor = Client::of(&host, ORDINARY_USER).await;
        visitor.translate(1, &v6).await.unwrap();
        // What is over takes no place: more of them, one after the other, than anybody may have at once.
        let (mut visitor, options) = (visitor, options());
        for id in 2..300 {
            let literal = visitor.subscriber.translate_name(id, &v4, "192.0.2.7", &options);
            completes("an acceptance", literal).await.unwrap();
            while !matches!(next(&mut visitor.messages).await, Message::TranslationFinished { .. }) {}
        }
        // What is stopped makes room for one; what its provisioning domain ends, for all.
        clients[0].subscriber.cancel_connection(3).await.unwrap();
        clients[0].subscriber.stop_translating_name(3).await.unwrap();
        fifth.connect(1, &v4).await.unwrap();
        fifth.translate(1, &v6).await.unwrap();
        assert_eq!(refusal(fifth.connect(2, &v4).await).0, ErrorKind::LimitsExceeded);
        assert_eq!(refusal(fifth.translate(2, &v6).await).0, ErrorKind::LimitsExceeded);
        universe.host().ip("address flush dev eth1 scope global");
        let client = &mut clients[1];
        for _ in 0..31 {
            while !matches!(next(&mut client.messages).await, Message::NotConnected { .. }) {}
        }
        universe.host().ip("address add 192.0.2.9/24 dev eth1");
        let v4 = host.pvd(V4).await.path;
        for id in 0..32 {
            clients[1].connect(id, &v4).await.unwrap();
        }
        assert_eq!(refusal(clients[1].connect(32, &v4).await).0, ErrorKind::LimitsExceeded);
    });
}
