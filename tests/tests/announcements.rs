//! The announcements of a subscriber: complete, in order, and for its owner alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Instant;

use mif::names::{MANAGER_INTERFACE, PVD_INTERFACE, ROOT_PATH, SUBSCRIBER_INTERFACE};
use mif::wire::{ClosedReason, Deadline, Element};
use mif::{ConnectRequest, ErrorKind, Message, Subscriber};
use mif_tests::cable::Cable;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, next};
use mif_tests::signals::{Signals, describe};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use mif_tests::wire_log::{WireLog, line};
use zbus::{ObjectPath, OwnedObjectPath, Variant};

type Options = HashMap<&'static str, Variant<'static>>;

/// A cable from `eth1` of the host to a router that is fe80::ff:fe00:1.
async fn cable_to_router(universe: &Universe) -> Cable {
    let router = universe.node("router");
    let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
    Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await
}

/// Somebody on the link who never answers.
fn silent_neighbour(universe: &Universe, address: &str) {
    universe.host().ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:77 dev eth1"));
}

/// The place of the only line that holds all of `words`.
#[track_caller]
fn place(lines: &[String], words: &[&str]) -> usize {
    let holds = |line: &String| words.iter().all(|word| line.contains(word));
    let places: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| holds(line)).map(|(place, _)| place).collect();
    assert_eq!(places.len(), 1, "one line with {words:?} is wanted among {lines:#?}");
    places[0]
}

/// The object paths among the arguments of the last line of these messages that has this member.
#[track_caller]
fn paths_in(messages: &[zbus::Message], member: &str) -> Vec<String> {
    let lines: Vec<String> = messages.iter().map(line).collect();
    let found = lines.iter().rev().find(|line| line.contains(&format!(" {member} ")));
    let found = found.unwrap_or_else(|| panic!("no {member} among {lines:#?}"));
    let (_, arguments) = found.split_once(member).unwrap();
    arguments.split('"').filter(|part| part.starts_with("/org/ietf/Mif1/")).map(str::to_owned).collect()
}

#[test]
fn listings_come_before_their_count_and_changes_after_it() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.9/24");
        cable.near().add_address("192.0.2.10/24");
        let served = ServedHost::start(&universe).await;
        let pvd = served.pvd_where("implicit:eth1:ipv4", |pvd| pvd.addresses.len() == 2).await;
        let (interface, pvd) = (pvd.interface, pvd.path);
        let mut wire = WireLog::of(&served.connection);

        // All posted at once; nothing is waited for.
        let calls = [
            wire.post_create("main").await,
            wire.post_to("main", "AnnounceInterfaces", &()).await,
            wire.post_to("main", "AnnounceProvisioningDomains", &(&interface,)).await,
            wire.post_to("main", "AnnounceConfigurationElements", &(&pvd,)).await,
            wire.post_to("main", "AnnounceAddresses", &(&pvd,)).await,
        ];
        let messages = wire.until_reply(calls[4]).await;
        let lines: Vec<String> = messages.iter().map(line).collect();
        let members: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        let expected = [
            "answered:",
            "InterfaceAnnouncement",
            "InterfaceAnnouncement",
            "answered:",
            "ProvisioningDomainAnnouncement",
            "answered:",
            "ConfigurationElementAnnouncement",
            "answered:",
            "AddressAnnouncement",
            "AddressAnnouncement",
            "answered:",
        ];
        assert_eq!(members, expected, "{lines:#?}");
        let replies: Vec<&zbus::Message> =
            messages.iter().filter(|message| message.header().reply_serial().is_some()).collect();
        let counts: Vec<u32> =
            replies[1..].iter().map(|reply| reply.body().deserialize::<(u32,)>().unwrap().0).collect();
        assert_eq!(counts, [2, 1, 1, 2]);
        for (reply, call) in replies.iter().zip(calls) {
            assert_eq!(reply.header().reply_serial(), Some(call));
        }
        assert!(lines.iter().any(|line| line.contains("\"name\": <\"eth1\">")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("\"id\": <\"implicit:eth1:ipv4\">")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("\"static\"")), "{lines:#?}");

        // Announcing again repeats the listing and changes nothing else: each change comes once.
        let again = wire.post_to("main", "AnnounceAddresses", &(&pvd,)).await;
        assert_eq!(wire.until_reply(again).await.len(), 3);
        cable.near().add_address("192.0.2.11/24");
        let added = line(&wire.next("the new address").await);
        assert!(added.contains(" AddressAnnouncement ") && added.contains("192.0.2.11"), "{added}");
        // Once stopped, nothing more of that kind: what comes next is of another.
        let stop = wire.post_to("main", "StopAnnouncingAddresses", &(&pvd,)).await;
        assert_eq!(wire.until_reply(stop).await.len(), 1);
        cable.near().add_address("192.0.2.12/24");
        universe.host().ip("link add sentinel type bridge");
        let sentinel = line(&wire.next("the sentinel").await);
        assert!(sentinel.contains(" InterfaceAnnouncement ") && sentinel.contains("sentinel"), "{sentinel}");
    });
}

/// An advertisement with a prefix and a DNS server that never answers.
fn advertisement() -> RouterAdvertisement {
    RouterAdvertisement::new(1800)
        .prefix("2001:db8:1::", 64, 3000, 2000)
        .dns_servers(600, &["2001:db8:1::53"])
}

/// A PvD with everything announced to the subscriber `main`, one translation and one connection under way.
/// Checks O3 on the way.
async fn busy_pvd(universe: &Universe, wire: &mut WireLog, cable: &Cable, interface: &str) -> String {
    let on = ObjectPath::try_from(interface).unwrap();
    let announce = wire.post_to("main", "AnnounceProvisioningDomains", &(on,)).await;
    wire.until_reply(announce).await;
    RawSender::on(cable.far()).send(advertisement().bytes());
    let appearance = wire
        .until("the announcement of the PvD", |message| {
            line(message).contains(" ProvisioningDomainAnnouncement ")
        })
        .await;
    let pvd = paths_in(&appearance, "ProvisioningDomainAnnouncement").pop().unwrap();
    let lines: Vec<String> = appearance.iter().map(line).collect();
    let added = place(&lines, &["InterfacesAdded", &pvd]);
    let listed = place(&lines, &[interface, "PropertiesChanged", "ProvisioningDomains", &pvd]);
    assert!(added < listed && listed < lines.len() - 1, "{lines:#?}");

    // Its path can be called at once.
    let path = ObjectPath::try_from(&*pvd).unwrap();
    let elements = wire.post_to("main", "AnnounceConfigurationElements", &(&path,)).await;
    wire.post_to("main", "AnnounceAddresses", &(&path,)).await;
    let lines: Vec<String> = wire.until_reply(elements).await.iter().map(line).collect();
    assert!(lines.last().unwrap().contains("answered"), "{lines:#?}");
    let announced =
        wire.until("the address", |message| line(message).contains(" AddressAnnouncement ")).await;
    let (_, address, ..) = announced
        .last()
        .unwrap()
        .body()
        .deserialize::<(OwnedObjectPath, String, u8, u64, u64, HashMap<String, zbus::OwnedVariant>)>()
        .unwrap();
    // What is announced can be read.
    let get = wire.post(&pvd, "org.freedesktop.DBus.Properties", "Get", &(PVD_INTERFACE, "Addresses")).await;
    let lines: Vec<String> = wire.until_reply(get).await.iter().map(line).collect();
    assert!(lines.last().unwrap().contains(&address), "{lines:#?}");

    silent_neighbour(universe, "2001:db8:1::53");
    silent_neighbour(universe, "2001:db8:1::77");
    let options = Options::new();
    let calls = [
        wire.post_to("main", "TranslateName", &(1_u32, &path, "www.example.org", &options)).await,
        wire.post_to("main", "ConnectToAddress", &(2_u32, &path, "2001:db8:1::77", 7_u16, &options)).await,
    ];
    for call in calls {
        let lines: Vec<String> = wire.until_reply(call).await.iter().map(line).collect();
        assert!(lines.last().unwrap().contains("answered"), "{lines:#?}");
    }
    pvd
}

#[test]
fn objects_and_announcements_come_and_go_in_one_order() {
    universe::run(async |universe| {
        let served =
            ServedHost::start_with(&universe, |settings| settings.config("[interfaces]\ngrace-ms = 0\n"))
                .await;
        let mut wire = WireLog::with_broadcasts(&served.connection).await;
        wire.post_create("main").await;
        let interfaces = wire.post_to("main", "AnnounceInterfaces", &()).await;
        wire.until_reply(interfaces).await;

        // O3 for an interface.
        let cable = cable_to_router(&universe).await;
        let appearance = wire
            .until("the announcement of eth1", |message| line(message).contains(" InterfaceAnnouncement "))
            .await;
        let interface = paths_in(&appearance, "InterfaceAnnouncement").pop().unwrap();
        let lines: Vec<String> = appearance.iter().map(line).collect();
        assert!(place(&lines, &["InterfacesAdded", &interface]) < lines.len() - 1, "{lines:#?}");

        // O4: the cable is pulled, so that all of the PvD is lost at once.
        let pvd = busy_pvd(&universe, &mut wire, &cable, &interface).await;
        cable.pull().await;
        let removed = |path: &str| {
            let path = format!("\"{path}\"");
            move |message: &zbus::Message| {
                let line = line(message);
                line.contains(" InterfacesRemoved ") && line.contains(&path)
            }
        };
        let loss = wire.until("the end of the PvD", removed(&pvd)).await;
        let lines: Vec<String> = loss.iter().map(line).collect();
        let gone = place(&lines, &["NoProvisioningDomainAnnouncement", &interface, &pvd]);
        let work = [
            place(&lines, &[" TranslationFinished (uint32 1,", "org.ietf.Mif1.Error.PvdGone"]),
            place(&lines, &[" NotConnected (uint32 2,", "org.ietf.Mif1.Error.PvdGone"]),
        ];
        let items = [
            place(&lines, &["NoAddressAnnouncement", &pvd, "2001:db8:1:"]),
            place(&lines, &["NoConfigurationElementAnnouncement", &pvd, "\"ra\""]),
        ];
        assert!(work.iter().max() < items.iter().min(), "{lines:#?}");
        assert!(items.iter().all(|item| *item < gone), "{lines:#?}");
        let unlisted = place(&lines, &[&interface, "PropertiesChanged", "\"ProvisioningDomains\": <@ao []>"]);
        assert!(gone < unlisted && unlisted < lines.len() - 1, "{lines:#?}");

        // O5: the link is deleted under a PvD. The kernel takes the address first, so that its end may come
        // on its own.
        cable.plug(&[]).await;
        let second = busy_pvd(&universe, &mut wire, &cable, &interface).await;
        assert_ne!(second, pvd);
        cable.remove();
        let loss = wire.until("the end of eth1", removed(&interface)).await;
        let lines: Vec<String> = loss.iter().map(line).collect();
        let gone = place(&lines, &["NoProvisioningDomainAnnouncement", &interface, &second]);
        for before in [
            place(&lines, &["TranslationFinished", "PvdGone"]),
            place(&lines, &["NotConnected", "PvdGone"]),
            place(&lines, &["NoAddressAnnouncement", &second]),
            place(&lines, &["NoConfigurationElementAnnouncement", &second]),
        ] {
            assert!(before < gone, "{lines:#?}");
        }
        let order = [
            gone,
            place(&lines, &[&interface, "PropertiesChanged", "\"ProvisioningDomains\": <@ao []>"]),
            place(&lines, &["InterfacesRemoved", &second]),
            place(&lines, &["NoInterfaceAnnouncement", &interface]),
            lines.len() - 1,
        ];
        assert!(order.is_sorted(), "{order:?} {lines:#?}");

        // Nothing is heard of either any more.
        universe.host().ip("link add sentinel type bridge");
        let rest =
            wire.until("the sentinel", |message| line(message).contains(" InterfaceAnnouncement ")).await;
        let lines: Vec<String> = rest.iter().map(line).collect();
        assert!(
            !lines.iter().any(|line| line.contains(&*second) || line.contains(&*interface)),
            "{lines:#?}"
        );
    });
}

#[test]
fn a_subscriber_hears_no_more_than_it_asked_for() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.9/24");
        let served = ServedHost::start(&universe).await;
        let pvd = served.pvd("implicit:eth1:ipv4").await;
        // One asked for PvDs only, one for nothing, one for addresses only.
        let (domains, mut of_domains) = Subscriber::create(&served.connection, "domains").await.unwrap();
        let (_nothing, mut of_nothing) = Subscriber::create(&served.connection, "nothing").await.unwrap();
        let (addresses, mut of_addresses) =
            Subscriber::create(&served.connection, "addresses").await.unwrap();
        domains.announce_provisioning_domains(&pvd.interface).await.unwrap();
        addresses.announce_addresses(&pvd.path).await.unwrap();
        assert!(matches!(next(&mut of_domains).await, Message::ProvisioningDomainAnnouncement { .. }));
        assert!(matches!(next(&mut of_addresses).await, Message::AddressAnnouncement { .. }));
        cable.remove();
        let message = next(&mut of_domains).await;
        assert!(
            matches!(&message, Message::NoProvisioningDomainAnnouncement { pvd: gone, .. } if *gone == pvd.path)
        );
        let message = next(&mut of_addresses).await;
        assert!(matches!(&message, Message::NoAddressAnnouncement { pvd: gone, .. } if *gone == pvd.path));
        served.only_pvds(&[]).await;
        // The last word to each is that of its Close: nothing came in between.
        let refused = domains.announce_provisioning_domains(&pvd.interface).await.unwrap_err();
        assert_eq!(refused.kind(), Some(ErrorKind::NoSuchInterface));
        let refused = addresses.announce_addresses(&pvd.path).await.unwrap_err();
        assert_eq!(refused.kind(), Some(ErrorKind::PvdGone));
        for subscriber in [&domains, &_nothing, &addresses] {
            subscriber.close().await.unwrap();
        }
        for messages in [&mut of_domains, &mut of_nothing, &mut of_addresses] {
            let message = next(messages).await;
            assert!(matches!(message, Message::Closed { reason: ClosedReason::Requested }), "{message:?}");
        }
    });
}

/// Replies come in the order of the calls; the numbers of those that failed with LimitsExceeded.
#[track_caller]
fn check_replies(messages: &[zbus::Message], calls: &[NonZeroU32]) -> usize {
    let lines = || messages.iter().map(line).collect::<Vec<_>>();
    let (mut limited, mut answered) = (0, Vec::new());
    for message in messages {
        let header = message.header();
        let Some(call) = header.reply_serial() else { continue };
        match header.error_name().map(ToString::to_string) {
            None => answered.push(call),
            Some(name) if name == "org.freedesktop.DBus.Error.LimitsExceeded" => limited += 1,
            Some(name) => panic!("call {call} failed with {name}: {:#?}", lines()),
        }
    }
    assert!(answered.is_sorted(), "an inversion: {answered:?}");
    assert_eq!(answered.len() + limited, calls.len(), "a call without reply");
    limited
}

/// Reads until each of `calls` has its reply.
async fn replies_to(wire: &mut WireLog, calls: &[NonZeroU32]) -> Vec<zbus::Message> {
    let mut left = calls.len();
    let what = format!("the replies to {left} calls");
    wire.until(&what, |message| {
        left -= usize::from(message.header().reply_serial().is_some());
        left == 0
    })
    .await
}

#[test]
fn thousands_of_calls_posted_behind_create_subscriber_keep_their_order() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.9/24");
        let served = ServedHost::start(&universe).await;
        let pvd = served.pvd("implicit:eth1:ipv4").await.path;

        // In groups that stay below the limit of unanswered requests: each call is answered, in order.
        for round in 0..50 {
            let connection = served.bus.connect().await;
            let mut wire = WireLog::of(&connection);
            let mut calls = vec![wire.post_create("main").await];
            for number in 0..20_u32 {
                let name = format!("192.0.2.{number}");
                calls
                    .push(wire.post_to("main", "TranslateName", &(number, &pvd, name, Options::new())).await);
                let data = (&pvd, "any", "prefixes");
                calls.push(wire.post_to("main", "GetConfigurationData", &data).await);
                calls.push(wire.post_to("main", "StopTranslatingName", &(number,)).await);
            }
            let messages = replies_to(&mut wire, &calls).await;
            assert_eq!(check_replies(&messages, &calls), 0, "round {round}");
        }

        // All at once: what is beyond the limits is refused, and the rest is in order.
        let mut wire = WireLog::of(&served.connection);
        let mut calls = vec![wire.post_create("main").await];
        for _ in 0..3_000 {
            calls.push(wire.post_to("main", "GetConfigurationData", &(&pvd, "any", "prefixes")).await);
        }
        let messages = replies_to(&mut wire, &calls).await;
        let limited = check_replies(&messages, &calls);
        assert!(limited < calls.len() - 64, "{limited} of {} calls were refused", calls.len());
        // A failed CreateSubscriber leaves nothing to call.
        wire.post_create("no-such-token").await;
        let behind =
            wire.post(&wire.subscriber("none"), SUBSCRIBER_INTERFACE, "AnnounceInterfaces", &()).await;
        let messages = wire.until_reply(behind).await;
        assert!(line(messages.last().unwrap()).contains("UnknownObject"), "{:?}", wire.past().last());
    });
}

#[test]
fn calls_that_want_no_reply_are_served_in_order_too() {
    universe::run(async |universe| {
        let served = ServedHost::start(&universe).await;
        let mut wire = WireLog::of(&served.connection);
        let path = wire.subscriber("main");
        wire.post_without_reply(ROOT_PATH, MANAGER_INTERFACE, "CreateSubscriber", &("main", Options::new()))
            .await;
        wire.post_without_reply(&path, SUBSCRIBER_INTERFACE, "AnnounceInterfaces", &()).await;
        let close = wire.post(&path, SUBSCRIBER_INTERFACE, "Close", &()).await;
        let lines: Vec<String> = wire.until_reply(close).await.iter().map(line).collect();
        let members: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(members, ["InterfaceAnnouncement", "Closed", "answered:"], "{lines:#?}");
    });
}

#[test]
fn a_subscriber_is_its_owners_alone() {
    universe::run(async |universe| {
        let served = ServedHost::start(&universe).await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "mine").await.unwrap();
        subscriber.announce_interfaces().await.unwrap();
        next(&mut messages).await;

        let other = served.bus.connect().await;
        let mut overheard = Signals::of(&other);
        overheard.add_match("type='signal'").await;
        overheard.add_match("type='signal',sender='org.ietf.Mif1'").await;
        overheard.add_match(&format!("type='signal',path='{}'", subscriber.path())).await;
        for (interface, member) in [
            (SUBSCRIBER_INTERFACE, "AnnounceInterfaces"),
            (SUBSCRIBER_INTERFACE, "Close"),
            ("org.freedesktop.DBus.Introspectable", "Introspect"),
        ] {
            let path = subscriber.path().to_owned();
            let refused = other.call_method(Some("org.ietf.Mif1"), path, Some(interface), member, &()).await;
            let kind = mif::Error::from(refused.unwrap_err()).kind();
            assert_eq!(kind, Some(ErrorKind::AccessDenied), "{member}");
        }
        // The owner hears of a new link; the other hears the broadcast and nothing else.
        universe.host().ip("link add sentinel type bridge");
        assert!(matches!(next(&mut messages).await, Message::InterfaceAnnouncement { .. }));
        universe.host().ip("link set sentinel up");
        universe.host().ip("link delete sentinel");
        assert!(matches!(next(&mut messages).await, Message::NoInterfaceAnnouncement { .. }));
        overheard
            .until("the removal of the sentinel", |message| {
                let text = describe(message);
                assert!(!text.contains("Subscriber") && !text.contains("Announcement"), "overheard: {text}");
                text.contains(" InterfacesRemoved ").then_some(())
            })
            .await;
        // Nor can it make itself heard as the service.
        let forged = (subscriber.path().to_owned(),);
        let own = served.connection.unique_name().unwrap().to_owned();
        other
            .emit_signal(
                Some(own),
                subscriber.path(),
                SUBSCRIBER_INTERFACE,
                "NoInterfaceAnnouncement",
                &forged,
            )
            .await
            .unwrap();
        subscriber.close().await.unwrap();
        let last = next(&mut messages).await;
        assert!(matches!(last, Message::Closed { reason: ClosedReason::Requested }), "{last:?}");
    });
}

/// The resident memory of mifd in KiB.
fn resident(served: &ServedHost) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.mifd.process().pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn nothing_is_left_of_clients_that_left() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.9/24");
        silent_neighbour(&universe, "192.0.2.77");
        let served = ServedHost::start(&universe).await;
        let pvd = served.pvd("implicit:eth1:ipv4").await;
        let request = ConnectRequest::new("192.0.2.77".parse().unwrap(), 7);
        let descriptors = served.descriptors();
        let mut memory = Vec::new();
        for _ in 0..3 {
            let mut clients = Vec::new();
            for _ in 0..200 {
                let connection = served.bus.connect().await;
                let (subscriber, messages) = Subscriber::create(&connection, "leaving").await.unwrap();
                subscriber.announce_interfaces().await.unwrap();
                subscriber.announce_provisioning_domains(&pvd.interface).await.unwrap();
                subscriber.announce_addresses(&pvd.path).await.unwrap();
                subscriber.connect_to_address(1, &pvd.path, &request).await.unwrap();
                clients.push((connection, subscriber, messages));
            }
            eventually("a socket for each connection", async || match served.descriptors() {
                now if now >= descriptors + 200 => Ok(()),
                now => Err(now),
            })
            .await;
            // Half of them close their connection, the others let go of it.
            for (connection, ..) in clients.drain(..100) {
                connection.close().await.unwrap();
            }
            drop(clients);
            served.wait_for_descriptors(descriptors).await;
            memory.push(resident(&served));
        }
        let growth = memory[2].saturating_sub(memory[0]);
        assert!(growth < 1_024, "memory after each round of 200 clients, in KiB: {memory:?}");
    });
}

#[test]
fn property_changes_are_coalesced_and_announcements_are_not() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        cable.near().add_address("192.0.2.1/24");
        let served = ServedHost::start(&universe).await;
        let pvd = served.pvd("implicit:eth1:ipv4").await;
        let mut wire = WireLog::with_broadcasts(&served.connection).await;
        wire.post_create("main").await;
        let announce = wire.post_to("main", "AnnounceAddresses", &(&pvd.path,)).await;
        wire.until_reply(announce).await;
        let begin = Instant::now();
        for number in 2..62 {
            cable.near().add_address(&format!("192.0.2.{number}/24"));
        }
        let last = |message: &zbus::Message| {
            let line = line(message);
            line.contains(" PropertiesChanged ") && line.contains("\"192.0.2.61\"")
        };
        let lines: Vec<String> = wire.until("the last address", last).await.iter().map(line).collect();
        let windows = begin.elapsed().as_millis() / 250;
        let count = |member: &str| lines.iter().filter(|line| line.contains(member)).count();
        assert_eq!(count(" AddressAnnouncement "), 60);
        let changes = count(" PropertiesChanged ") as u128;
        assert!((1..=windows + 2).contains(&changes), "{changes} in {windows} times 250 ms");
    });
}

#[test]
fn the_library_gives_typed_messages() {
    universe::run(async |universe| {
        let cable = cable_to_router(&universe).await;
        let served = ServedHost::start(&universe).await;
        let (subscriber, mut messages) = Subscriber::create(&served.connection, "typed").await.unwrap();
        assert_eq!(subscriber.announce_interfaces().await.unwrap(), 2);
        let mut interfaces = Vec::new();
        for _ in 0..2 {
            let Message::InterfaceAnnouncement { interface, details, .. } = next(&mut messages).await else {
                panic!("not an interface")
            };
            interfaces.push((interface, details));
        }
        let eth1 = interfaces.iter().find(|(_, details)| details.name.as_deref() == Some("eth1")).unwrap();
        assert_eq!(eth1.1.ifindex, Some(cable.near().ifindex()));
        assert_eq!(subscriber.announce_provisioning_domains(&eth1.0).await.unwrap(), 0);
        RawSender::on(cable.far()).send(advertisement().bytes());
        let Message::ProvisioningDomainAnnouncement { interface, pvd, details } = next(&mut messages).await
        else {
            panic!("not a PvD")
        };
        assert_eq!(interface, eth1.0);
        assert_eq!(details.id.as_deref(), Some("implicit:eth1:ipv6:fe80::ff:fe00:1"));
        assert_eq!(subscriber.announce_configuration_elements(&pvd).await.unwrap(), 1);
        let message = next(&mut messages).await;
        assert!(
            matches!(&message, Message::ConfigurationElementAnnouncement { element: Element::Ra, .. }),
            "{message:?}"
        );
        subscriber.announce_addresses(&pvd).await.unwrap();
        let Message::AddressAnnouncement { address, prefix_length, valid_until, .. } =
            next(&mut messages).await
        else {
            panic!("not an address")
        };
        assert_eq!(address, "2001:db8:1:0:0:ff:fe00:9".parse::<IpAddr>().unwrap());
        assert_eq!(prefix_length, 64);
        assert!(matches!(valid_until, Deadline::At(_)));
        let servers = subscriber.get_configuration_data(&pvd, "any", "dns-servers").await.unwrap();
        assert_eq!(Vec::<String>::try_from(servers).unwrap(), ["2001:db8:1::53"]);
    });
}
