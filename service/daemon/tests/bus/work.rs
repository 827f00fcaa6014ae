//! Work that takes time: in a network that swallows every packet.

use crate::heard::Heard;
use crate::rig::{PVD, Rig, SUBSCRIBER};
use crate::rig::{address, address_gone, options, path, with_service};
use crate::support::{ifindex, ip, open_descriptors, universe};
use mif_core::event::{Event, LeaseClient, Link, LinkKind, LinkState};

const IN_USE: &str = "org.ietf.Mif1.Error.IdInUse";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";

/// A link that sends everything to nowhere, with a provisioning domain on it.
fn nowhere() -> Vec<Event> {
    ip("link add eth0 type veth peer name peer");
    ip("address add 192.0.2.1/24 dev eth0");
    ip("link set eth0 up");
    ip("link set peer up");
    // Hosts that seem to be there, and are not.
    for host in [53, 254] {
        ip(&format!("neighbour add 192.0.2.{host} lladdr 02:00:00:00:00:01 dev eth0 nud permanent"));
    }
    ip("route add default via 192.0.2.254");
    let ifindex = eth0();
    let link = Link {
        ifindex,
        name: "eth0".to_owned(),
        alias: None,
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        master: None,
    };
    vec![Event::Link(link), address(ifindex, 1), crate::rig::lease(ifindex, "192.0.2.53")]
}

fn eth0() -> u32 {
    ifindex("eth0")
}

/// Runs `test` there, with a subscriber and the path of the provisioning domain.
fn with_nowhere<F: Future<Output = ()>>(
    name: &str,
    inside: fn(),
    test: impl FnOnce(Rig, String, String) -> F,
) {
    if std::env::var_os("MIFD_TEST_INSIDE").is_none() {
        return universe(name, inside);
    }
    ip("link set lo up");
    with_service(nowhere(), |mut rig| async move {
        let subscriber = rig.subscribe("works").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        test(rig, subscriber, pvd).await;
    });
}

fn words(heard: &[Heard]) -> Vec<String> {
    heard.iter().map(Heard::words).collect()
}

async fn translate(rig: &mut Rig, subscriber: &str, id: u32, pvd: &str) -> Result<(), String> {
    let body = (id, path(pvd), "www.example", options::<u32>(&[]));
    rig.call(subscriber, SUBSCRIBER, "TranslateName", &body).await.map(drop).map_err(|(name, _)| name)
}

async fn connect(rig: &mut Rig, subscriber: &str, id: u32, pvd: &str) -> Result<(), String> {
    let body = (id, path(pvd), "198.51.100.1", 80_u16, options::<u32>(&[]));
    rig.call(subscriber, SUBSCRIBER, "ConnectToAddress", &body).await.map(drop).map_err(|(name, _)| name)
}

#[test]
fn loss_fails_work_first() {
    with_nowhere(
        "work::loss_fails_work_first",
        loss_fails_work_first,
        |mut rig, subscriber, pvd| async move {
            let body = ("www.example", options::<u32>(&[]));
            let translation = rig.post(&pvd, PVD, "TranslateName", &body).await;
            let body = ("198.51.100.1", 80_u16, options::<u32>(&[]));
            let connection = rig.post(&pvd, PVD, "ConnectToAddress", &body).await;
            translate(&mut rig, &subscriber, 7, &pvd).await.unwrap();
            connect(&mut rig, &subscriber, 7, &pvd).await.unwrap();
            rig.call(&subscriber, SUBSCRIBER, "AnnounceAddresses", &path(&pvd)).await.unwrap();
            rig.settled().await;
            rig.happen([
                Event::LeaseGone { ifindex: eth0(), client: LeaseClient::Dhcpcd },
                address_gone(eth0(), 1),
            ])
            .await;
            for call in [translation, connection] {
                assert_eq!(rig.reply_to(call).await.unwrap_err().0, "org.ietf.Mif1.Error.PvdGone");
            }
            let heard = rig.until(|heard| heard.words() == "InterfacesRemoved pvd/1000").await;
            let unicast: Vec<String> =
                heard.iter().filter(|heard| heard.path == subscriber).map(Heard::words).collect();
            assert_eq!(unicast.len(), 3);
            assert_eq!(unicast[0], "TranslationFinished 7 org.ietf.Mif1.Error.PvdGone");
            assert!(unicast[1].starts_with("NotConnected 7 org.ietf.Mif1.Error.PvdGone "), "{unicast:?}");
            assert_eq!(unicast[2], "NoAddressAnnouncement pvd/1000 192.0.2.1");
            assert_eq!(rig.settled().await.len(), 0);
        },
    );
}

#[test]
fn ids_are_in_use_until_the_work_is_over() {
    with_nowhere(
        "work::ids_are_in_use_until_the_work_is_over",
        ids_are_in_use_until_the_work_is_over,
        |mut rig, subscriber, pvd| async move {
            for id in [0, u32::MAX] {
                translate(&mut rig, &subscriber, id, &pvd).await.unwrap();
                assert_eq!(translate(&mut rig, &subscriber, id, &pvd).await.unwrap_err(), IN_USE);
                // The two kinds of ids are spaces of their own.
                connect(&mut rig, &subscriber, id, &pvd).await.unwrap();
                assert_eq!(connect(&mut rig, &subscriber, id, &pvd).await.unwrap_err(), IN_USE);
                let (name, message) =
                    rig.call(&subscriber, SUBSCRIBER, "TakeConnection", &id).await.unwrap_err();
                assert_eq!(name, "org.ietf.Mif1.Error.NoSuchId");
                assert!(message.contains(&id.to_string()), "{message}");
                for member in ["StopTranslatingName", "CancelConnection"] {
                    rig.call(&subscriber, SUBSCRIBER, member, &id).await.unwrap();
                    rig.call(&subscriber, SUBSCRIBER, member, &id).await.expect("a no-op");
                }
                translate(&mut rig, &subscriber, id, &pvd).await.unwrap();
                connect(&mut rig, &subscriber, id, &pvd).await.unwrap();
            }
            assert_eq!(words(&rig.settled().await), Vec::<String>::new(), "stopped in silence");
        },
    );
}

#[test]
fn limits_of_work_and_silence_at_the_end() {
    with_nowhere(
        "work::limits_of_work_and_silence_at_the_end",
        limits_of_work_and_silence_at_the_end,
        |mut rig, subscriber, pvd| async move {
            let before = open_descriptors();
            for round in 0..2 {
                let subscriber = if round == 0 { subscriber.clone() } else { rig.subscribe("again").await };
                for id in 0..64 {
                    translate(&mut rig, &subscriber, id, &pvd).await.unwrap();
                }
                assert_eq!(translate(&mut rig, &subscriber, 64, &pvd).await.unwrap_err(), LIMITS_EXCEEDED);
                for id in 0..32 {
                    connect(&mut rig, &subscriber, id, &pvd).await.unwrap();
                }
                assert_eq!(connect(&mut rig, &subscriber, 32, &pvd).await.unwrap_err(), LIMITS_EXCEEDED);
                // Over both faces, and over all subscribers of the client.
                let body = ("www.example", options::<u32>(&[]));
                assert_eq!(rig.call(&pvd, PVD, "TranslateName", &body).await.unwrap_err().0, LIMITS_EXCEEDED);
                let body = ("198.51.100.1", 80_u16, options::<u32>(&[]));
                assert_eq!(
                    rig.call(&pvd, PVD, "ConnectToAddress", &body).await.unwrap_err().0,
                    LIMITS_EXCEEDED
                );
                rig.settled().await;
                let serial = rig.post(&subscriber, SUBSCRIBER, "Close", &()).await;
                let heard = rig.until(|heard| heard.is_reply_to(serial)).await;
                assert_eq!(words(&heard), ["Closed requested", "Reply"], "pending work ends silently");
            }
            crate::support::wait_for("the end of every socket", || open_descriptors() <= before + 4);
        },
    );
}

#[test]
fn a_connection_whose_caller_wants_no_reply_is_not_attempted() {
    with_nowhere(
        "work::a_connection_whose_caller_wants_no_reply_is_not_attempted",
        a_connection_whose_caller_wants_no_reply_is_not_attempted,
        |mut rig, subscriber, pvd| async move {
            for _ in 0..40 {
                let body = ("198.51.100.1", 80_u16, options::<u32>(&[]));
                rig.tell(&pvd, "ConnectToAddress", &body).await;
            }
            // None of them takes one of the 32 places.
            for id in 0..32 {
                connect(&mut rig, &subscriber, id, &pvd).await.unwrap();
            }
            rig.tell(&subscriber, "TakeConnection", &1_u32).await;
            assert_eq!(words(&rig.settled().await), Vec::<String>::new());
        },
    );
}
