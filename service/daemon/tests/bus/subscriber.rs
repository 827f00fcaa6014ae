//! The draft's messages on the wire: listings, announcements, translations that need no network, the end.

use crate::rig::{ETH0, ETH1, MANAGER, ROOT, Rig, SUBSCRIBER};
use crate::rig::{address, address_gone, call, gone, lease, one_link, options, path, up, with_service};
use std::collections::BTreeMap;
use zbus::OwnedVariant;

const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";

fn words(heard: &[crate::heard::Heard]) -> Vec<String> {
    heard.iter().map(crate::heard::Heard::words).collect()
}

/// Calls a method of the subscriber; everything that comes up to and including the reply.
async fn ask<B>(rig: &mut Rig, subscriber: &str, member: &str, body: &B) -> Vec<String>
where
    B: serde::Serialize + zbus::wire::DynamicType,
{
    let serial = rig.post(subscriber, SUBSCRIBER, member, body).await;
    words(&rig.until(|heard| heard.is_reply_to(serial)).await)
}

#[test]
fn listings_end_with_their_count() {
    with_service([one_link(), vec![address(ETH0, 7)]].concat(), |mut rig| async move {
        let subscriber = rig.subscribe("lists").await;
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        let listing = [
            "InterfaceAnnouncement interface/1000 lo",
            "InterfaceAnnouncement interface/1001 eth0",
            "Reply 2",
        ];
        assert_eq!(ask(&mut rig, &subscriber, "AnnounceInterfaces", &()).await, listing);
        assert_eq!(ask(&mut rig, &subscriber, "AnnounceInterfaces", &()).await, listing, "again");
        let listed = ask(&mut rig, &subscriber, "AnnounceProvisioningDomains", &path(&interface)).await;
        assert_eq!(listed, ["ProvisioningDomainAnnouncement interface/1001 pvd/1000", "Reply 1"]);
        let listed = ask(&mut rig, &subscriber, "AnnounceConfigurationElements", &path(&pvd)).await;
        assert_eq!(
            listed,
            [
                "ConfigurationElementAnnouncement pvd/1000 dhcpv4",
                "ConfigurationElementAnnouncement pvd/1000 static",
                "Reply 2"
            ]
        );
        let listed = ask(&mut rig, &subscriber, "AnnounceAddresses", &path(&pvd)).await;
        assert_eq!(
            listed,
            [
                "AddressAnnouncement pvd/1000 192.0.2.1/24",
                "AddressAnnouncement pvd/1000 192.0.2.7/24",
                "Reply 2"
            ]
        );
        assert_eq!(rig.settled().await.len(), 0, "nothing else");
    });
}

#[test]
fn announcements_carry_what_the_contract_says() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("details").await;
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        rig.tell(&subscriber, "AnnounceInterfaces", &()).await;
        rig.tell(&subscriber, "AnnounceProvisioningDomains", &path(&interface)).await;
        rig.tell(&subscriber, "AnnounceAddresses", &path(&pvd)).await;
        let heard = rig.settled().await;
        assert_eq!(heard.len(), 4, "no replies: {:?}", words(&heard));
        for signal in &heard {
            assert_eq!(signal.path, subscriber);
            assert_eq!(signal.message().header().interface().unwrap().as_str(), SUBSCRIBER);
        }
        type Fields = BTreeMap<String, OwnedVariant>;
        let body = heard[1].message().body();
        let (_, _, mut fields): (zbus::OwnedObjectPath, String, Fields) = body.deserialize().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["ifindex", "kind", "name"]);
        assert_eq!(u32::try_from(fields.remove("ifindex").unwrap()).unwrap(), ETH0);
        assert_eq!(String::try_from(fields.remove("kind").unwrap()).unwrap(), "ethernet");
        let body = heard[2].message().body();
        let (_, _, mut fields): (zbus::OwnedObjectPath, zbus::OwnedObjectPath, Fields) =
            body.deserialize().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["family", "id", "origin"]);
        assert_eq!(String::try_from(fields.remove("id").unwrap()).unwrap(), "implicit:eth0:ipv4");
        let body = heard[3].message().body();
        let (_, address, length, preferred, valid, fields): (
            zbus::OwnedObjectPath,
            String,
            u8,
            u64,
            u64,
            Fields,
        ) = body.deserialize().unwrap();
        assert_eq!((address.as_str(), length, preferred, valid), ("192.0.2.1", 24, u64::MAX, u64::MAX));
        assert_eq!(String::try_from(fields["element"].try_clone().unwrap()).unwrap(), "dhcpv4");
    });
}

#[test]
fn nothing_of_a_kind_comes_after_it_was_stopped() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("stops").await;
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        ask(&mut rig, &subscriber, "AnnounceInterfaces", &()).await;
        ask(&mut rig, &subscriber, "AnnounceProvisioningDomains", &path(&interface)).await;
        ask(&mut rig, &subscriber, "AnnounceConfigurationElements", &path(&pvd)).await;
        ask(&mut rig, &subscriber, "AnnounceAddresses", &path(&pvd)).await;
        ask(&mut rig, &subscriber, "StopAnnouncingAddresses", &path(&pvd)).await;
        rig.happen([address(ETH0, 8), lease(ETH0, "192.0.2.55"), up(ETH1)]).await;
        let heard = words(&rig.until(|heard| heard.words().starts_with("InterfaceAnnouncement")).await);
        let unicast: Vec<&String> = heard.iter().filter(|words| words.contains("Announcement")).collect();
        assert_eq!(
            unicast,
            [
                "ConfigurationElementAnnouncement pvd/1000 dhcpv4",
                "ConfigurationElementAnnouncement pvd/1000 static",
                "InterfaceAnnouncement interface/1002 eth1"
            ]
        );
        ask(&mut rig, &subscriber, "StopAnnouncingConfigurationElements", &path(&pvd)).await;
        ask(&mut rig, &subscriber, "StopAnnouncingInterfaces", &()).await;
        rig.happen([address_gone(ETH0, 8), gone(ETH1)]).await;
        ask(&mut rig, &subscriber, "StopAnnouncingProvisioningDomains", &path(&interface)).await;
        rig.happen([gone(ETH0)]).await;
        let heard = words(&rig.until(|heard| heard.words() == "InterfacesRemoved interface/1001").await);
        assert!(heard.iter().all(|words| !words.contains("Announcement")), "{heard:?}");
        for (member, body) in
            [("StopAnnouncingProvisioningDomains", path(&interface)), ("StopAnnouncingAddresses", path(&pvd))]
        {
            assert_eq!(ask(&mut rig, &subscriber, member, &body).await, ["Reply"], "a no-op");
        }
    });
}

#[test]
fn subscriptions_end_with_their_object() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("ends").await;
        let (interface, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        rig.happen([gone(ETH0)]).await;
        rig.until(|heard| heard.words() == "InterfacesRemoved interface/1001").await;
        for (member, object, right) in [
            ("AnnounceProvisioningDomains", &interface, "NoSuchInterface"),
            ("AnnounceConfigurationElements", &pvd, "PvdGone"),
            ("AnnounceAddresses", &pvd, "PvdGone"),
        ] {
            let (name, message) = rig.call(&subscriber, SUBSCRIBER, member, &path(object)).await.unwrap_err();
            assert_eq!(name, format!("org.ietf.Mif1.Error.{right}"));
            assert!(message.contains("100"), "{message}");
        }
        let body = (path(&pvd), "any", "mtu");
        let (name, _) = rig.call(&subscriber, SUBSCRIBER, "GetConfigurationData", &body).await.unwrap_err();
        assert_eq!(name, "org.ietf.Mif1.Error.PvdGone");
        let body = (1_u32, path(&pvd), "192.0.2.9", options::<u32>(&[]));
        let (name, _) = rig.call(&subscriber, SUBSCRIBER, "TranslateName", &body).await.unwrap_err();
        assert_eq!(name, "org.ietf.Mif1.Error.PvdGone");
    });
}

#[test]
fn a_literal_is_translated_without_a_network() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("literal").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let reply =
            rig.call(&pvd, crate::rig::PVD, "TranslateName", &("192.0.2.9", options::<u32>(&[]))).await;
        let reply = reply.unwrap();
        let (addresses, details): (Vec<String>, BTreeMap<String, OwnedVariant>) =
            reply.body().deserialize().unwrap();
        assert_eq!(addresses, ["192.0.2.9"]);
        assert!(details.contains_key("answers") && details.contains_key("truncated"), "{details:?}");
        // The same id again, as soon as the translation is over.
        for _ in 0..2 {
            let body = (7_u32, path(&pvd), "192.0.2.9", options::<u32>(&[]));
            rig.post(&subscriber, SUBSCRIBER, "TranslateName", &body).await;
            let heard = words(&rig.until(|heard| heard.what == "TranslationFinished").await);
            assert_eq!(heard, ["Reply", "NameTranslation 7 192.0.2.9", "TranslationFinished 7 "]);
        }
    });
}

#[test]
fn failures_found_after_acceptance_come_as_signals() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("late").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let body = (1_u32, path(&pvd), "www.invalid", options::<u32>(&[]));
        rig.post(&subscriber, SUBSCRIBER, "TranslateName", &body).await;
        let heard = words(&rig.until(|heard| heard.what == "TranslationFinished").await);
        assert_eq!(heard, ["Reply", "TranslationFinished 1 org.ietf.Mif1.Error.NameNotFound"]);
        let body = (1_u32, path(&pvd), "2001:db8::1", 80_u16, options::<u32>(&[]));
        rig.post(&subscriber, SUBSCRIBER, "ConnectToAddress", &body).await;
        let heard = words(&rig.until(|heard| heard.what == "NotConnected").await);
        assert!(heard[1].starts_with("NotConnected 1 org.ietf.Mif1.Error.NetworkUnreachable "), "{heard:?}");
        let body = (2_u32, path(&pvd), "192.0.2.99", "198.51.100.1", 80_u16, options::<u32>(&[]));
        rig.post(&subscriber, SUBSCRIBER, "ConnectToAddressFromAddress", &body).await;
        let heard = words(&rig.until(|heard| heard.what == "NotConnected").await);
        assert!(heard[1].starts_with("NotConnected 2 org.ietf.Mif1.Error.SourceNotValid "), "{heard:?}");
        assert!(heard[1].contains("192.0.2.99"), "{heard:?}");
    });
}

#[test]
fn closed_comes_before_the_reply_and_nothing_after_it() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("closes").await;
        ask(&mut rig, &subscriber, "AnnounceInterfaces", &()).await;
        assert_eq!(ask(&mut rig, &subscriber, "Close", &()).await, ["Closed requested", "Reply"]);
        for member in ["AnnounceInterfaces", "Close", "Introspect"] {
            let (name, message) = rig.call(&subscriber, "", member, &()).await.unwrap_err();
            assert_eq!(name, UNKNOWN_OBJECT);
            assert!(message.contains(&subscriber), "{message}");
        }
        rig.happen([up(ETH1)]).await;
        let heard = rig.until(|heard| heard.words() == "InterfacesAdded interface/1002").await;
        assert_eq!(words(&heard), ["InterfacesAdded interface/1002"]);
        assert_eq!(rig.subscribe("closes").await, subscriber, "the token is free again");
        rig.tell(&subscriber, "Close", &()).await;
        assert_eq!(words(&rig.settled().await), ["Closed requested"]);
    });
}

#[test]
fn a_new_subscriber_of_the_same_path_is_heard_behind_the_former_one() {
    const LINKS: u32 = 3_000;
    let links = (ETH0..ETH0 + LINKS).map(up).collect();
    with_service(links, |mut rig| async move {
        let subscriber = rig.subscribe("heir").await;
        let own = |member| call(&subscriber, SUBSCRIBER, member).build(&()).unwrap();
        let create = ("heir", options::<u32>(&[]));
        let create = call(ROOT, MANAGER, "CreateSubscriber").build(&create).unwrap();
        let calls = [own("AnnounceInterfaces"), own("Close"), create, own("AnnounceInterfaces")];
        rig.send_all(&calls).await;
        let serials = calls.map(|call| call.primary_header().serial_num());
        let heard = rig.until(|heard| heard.is_reply_to(serials[3])).await;
        let places = serials.map(|serial| heard.iter().position(|heard| heard.is_reply_to(serial)).unwrap());
        let items = LINKS as usize + 1;
        assert_eq!(places, [items, items + 2, items + 3, 2 * items + 4]);
        assert_eq!(heard[items + 1].words(), "Closed requested");
    });
}

#[test]
fn the_end_of_the_service_is_told() {
    with_service(one_link(), |mut rig| async move {
        let (one, other) = (rig.subscribe("one").await, rig.subscribe("other").await);
        rig.stop().await.expect("it stops in good order");
        let heard = [rig.next().await, rig.next().await];
        assert_eq!(words(&heard), ["Closed shutdown", "Closed shutdown"]);
        assert_eq!([&heard[0].path, &heard[1].path], [&one, &other]);
    });
}
