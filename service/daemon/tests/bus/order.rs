//! Order on the wire: replies and signals of a subscriber (O1, O2), objects and announcements (O3 to O5), turns.

use crate::heard::Heard;
use crate::rig::{ETH0, MANAGER, ROOT, SUBSCRIBER};
use crate::rig::{
    address, address_gone, call, default_route, gone, lease, one_link, options, path, up, with_service,
};
use std::collections::BTreeMap;

const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";

fn words(heard: &[Heard]) -> Vec<String> {
    heard.iter().map(Heard::words).collect()
}

#[test]
fn thousands_of_calls_behind_create_subscriber_keep_their_order() {
    with_service(one_link(), |mut rig| async move {
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        let subscriber = "/org/ietf/Mif1Subscriber/peer/fast";
        let create = ("fast", options::<u32>(&[]));
        let mut calls = vec![rig.post(ROOT, MANAGER, "CreateSubscriber", &create).await];
        for round in 0_u32..1_000 {
            calls.push(rig.post(subscriber, SUBSCRIBER, "AnnounceInterfaces", &()).await);
            let body = (round, path(&pvd), "192.0.2.9", options::<u32>(&[]));
            calls.push(rig.post(subscriber, SUBSCRIBER, "TranslateName", &body).await);
            calls.push(rig.post(subscriber, SUBSCRIBER, "TakeConnection", &round).await);
            calls.push(rig.post(subscriber, SUBSCRIBER, "StopAnnouncingInterfaces", &()).await);
        }
        let last = *calls.last().unwrap();
        let heard = rig.until(|heard| heard.is_reply_to(last)).await;
        let replies: Vec<_> = heard.iter().filter_map(Heard::reply_serial).collect();
        assert!(replies == calls, "replies are not in the order of the calls");
        let errors: BTreeMap<&str, usize> = heard.iter().filter(|heard| heard.what.contains(".Error.")).fold(
            BTreeMap::new(),
            |mut counts, error| {
                *counts.entry(&*error.what).or_default() += 1;
                counts
            },
        );
        assert_eq!(errors, BTreeMap::from([("org.ietf.Mif1.Error.NoSuchId", 1_000)]));
        // O2 within all that: each listing complete, right before its own reply.
        let signals = heard.iter().filter(|heard| heard.what == "InterfaceAnnouncement").count();
        assert_eq!(signals, 2_000);
    });
}

#[test]
fn calls_behind_a_failed_create_subscriber_find_nothing() {
    with_service(one_link(), |mut rig| async move {
        let create = ("slow", options(&[("speed", 1_u32)]));
        let create = rig.post(ROOT, MANAGER, "CreateSubscriber", &create).await;
        let subscriber = "/org/ietf/Mif1Subscriber/peer/slow";
        let announce = rig.post(subscriber, SUBSCRIBER, "AnnounceInterfaces", &()).await;
        assert_eq!(rig.reply_to(create).await.unwrap_err().0, "org.freedesktop.DBus.Error.InvalidArgs");
        assert_eq!(rig.reply_to(announce).await.unwrap_err().0, "org.freedesktop.DBus.Error.UnknownObject");
    });
}

#[test]
fn a_long_listing_leaves_others_their_turn() {
    const LINKS: u32 = 5_000;
    let links = (ETH0..ETH0 + LINKS).map(up).collect();
    with_service(links, |mut rig| async move {
        let (long, short) = (rig.subscribe("long").await, rig.subscribe("short").await);
        let own = |path, member| call(path, SUBSCRIBER, member).build(&()).unwrap();
        let calls = [
            own(&long, "AnnounceInterfaces"),
            own(&long, "AnnounceInterfaces"),
            own(&short, "StopAnnouncingInterfaces"),
            call(ROOT, MANAGER, "GetInterfaceByIndex").build(&ETH0).unwrap(),
        ];
        rig.send_all(&calls).await;
        let [listing, again, other, state] = calls.map(|call| call.primary_header().serial_num());
        let heard = rig.until(|heard| heard.is_reply_to(again)).await;
        let place = |serial| heard.iter().position(|heard| heard.is_reply_to(serial)).unwrap();
        // Whatever is at hand is served between a few messages.
        let soon = LINKS as usize / 2;
        assert!(place(other) < soon && place(state) < soon, "{} {}", place(other), place(state));
        assert_eq!(place(listing) + 1, place(again), "O1: in the order of the calls");
        assert_eq!(heard[place(again)].what, LIMITS_EXCEEDED, "repeated during its own listing");
        assert_eq!(heard[place(listing)].words(), format!("Reply {}", LINKS + 1));
        let mut listed: Vec<&String> =
            heard.iter().filter(|heard| heard.path == long).map(|heard| &heard.arguments[0]).collect();
        assert_eq!(listed.len(), LINKS as usize + 1);
        listed.sort();
        listed.dedup();
        assert_eq!(listed.len(), LINKS as usize + 1, "none twice");
    });
}

#[test]
fn appearance_object_list_announcement() {
    with_service(vec![up(ETH0)], |mut rig| async move {
        let subscriber = rig.subscribe("appears").await;
        let eth0 = rig.interface(ETH0).await;
        rig.call(&subscriber, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
        rig.call(&subscriber, SUBSCRIBER, "AnnounceProvisioningDomains", &path(&eth0)).await.unwrap();
        rig.settled().await;
        rig.happen([up(ETH0 + 1), address(ETH0, 1), default_route(ETH0)]).await;
        let all = rig.until(|heard| heard.words() == "PropertiesChanged root DefaultProvisioningDomains");
        let heard = words(&all.await);
        assert_eq!(
            heard,
            [
                "InterfacesAdded pvd/1000",
                "PropertiesChanged interface/1001 ProvisioningDomains",
                "ProvisioningDomainAnnouncement interface/1001 pvd/1000",
                "InterfacesAdded interface/1002",
                "InterfaceAnnouncement interface/1002 eth1",
                "PropertiesChanged root DefaultProvisioningDomains",
            ]
        );
        // A path in any message can be called at once.
        rig.call("/org/ietf/Mif1/pvd/1000", "", "GetAllConfigurationData", &"any").await.unwrap();
    });
}

#[test]
fn who_asked_for_values_hears_of_them_first() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("first").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        rig.call(&subscriber, SUBSCRIBER, "AnnounceAddresses", &path(&pvd)).await.unwrap();
        rig.settled().await;
        rig.happen([address(ETH0, 2)]).await;
        let heard = words(&rig.until(|heard| heard.what == "PropertiesChanged").await);
        assert_eq!(
            heard,
            [
                "AddressAnnouncement pvd/1000 192.0.2.2/24",
                "PropertiesChanged pvd/1000 Addresses ConfigurationElements ConfigurationRevision",
            ],
            "O7: what is unicast runs ahead"
        );
    });
}

#[test]
fn loss_of_a_provisioning_domain_from_the_inside_out() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("loses").await;
        let (eth0, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        rig.call(&subscriber, SUBSCRIBER, "AnnounceProvisioningDomains", &path(&eth0)).await.unwrap();
        rig.call(&subscriber, SUBSCRIBER, "AnnounceConfigurationElements", &path(&pvd)).await.unwrap();
        rig.call(&subscriber, SUBSCRIBER, "AnnounceAddresses", &path(&pvd)).await.unwrap();
        rig.settled().await;
        let gone =
            mif_core::event::Event::LeaseGone { ifindex: ETH0, client: mif_core::event::LeaseClient::Dhcpcd };
        rig.happen([gone, address_gone(ETH0, 1)]).await;
        let heard = words(&rig.until(|heard| heard.words() == "InterfacesRemoved pvd/1000").await);
        assert_eq!(
            heard.iter().filter(|words| !words.starts_with("PropertiesChanged root")).collect::<Vec<_>>(),
            [
                "NoAddressAnnouncement pvd/1000 192.0.2.1",
                "NoConfigurationElementAnnouncement pvd/1000 dhcpv4",
                "NoProvisioningDomainAnnouncement interface/1001 pvd/1000",
                "PropertiesChanged interface/1001 ProvisioningDomains",
                "InterfacesRemoved pvd/1000",
            ]
        );
    });
}

#[test]
fn loss_of_an_interface_ends_with_its_object() {
    with_service(one_link(), |mut rig| async move {
        let (quiet, keen) = (rig.subscribe("quiet").await, rig.subscribe("keen").await);
        let (eth0, pvd) = (rig.interface(ETH0).await, rig.pvd("implicit:eth0:ipv4").await);
        rig.call(&keen, SUBSCRIBER, "AnnounceInterfaces", &()).await.unwrap();
        rig.call(&keen, SUBSCRIBER, "AnnounceAddresses", &path(&pvd)).await.unwrap();
        // Never asked for interfaces.
        rig.call(&quiet, SUBSCRIBER, "AnnounceProvisioningDomains", &path(&eth0)).await.unwrap();
        rig.settled().await;
        rig.happen([gone(ETH0)]).await;
        let heard = rig.until(|heard| heard.words() == "InterfacesRemoved interface/1001").await;
        let of = |path: &str| -> Vec<String> {
            // What this subscriber sees: the broadcasts and its own signals.
            let own = |heard: &&Heard| {
                heard.path == path || heard.path.starts_with("/org/ietf/Mif1/") || heard.path == ROOT
            };
            heard.iter().filter(own).map(Heard::words).filter(|words| !words.contains(" root ")).collect()
        };
        let list = "PropertiesChanged interface/1001 ProvisioningDomains";
        assert_eq!(
            of(&keen),
            [
                "NoAddressAnnouncement pvd/1000 192.0.2.1",
                list,
                "InterfacesRemoved pvd/1000",
                "NoInterfaceAnnouncement interface/1001",
                "InterfacesRemoved interface/1001",
            ]
        );
        assert_eq!(
            of(&quiet),
            [
                "NoProvisioningDomainAnnouncement interface/1001 pvd/1000",
                list,
                "InterfacesRemoved pvd/1000",
                "InterfacesRemoved interface/1001",
            ]
        );
    });
}

#[test]
fn get_never_lags_behind_an_announcement() {
    with_service(one_link(), |mut rig| async move {
        let subscriber = rig.subscribe("reads").await;
        let pvd = rig.pvd("implicit:eth0:ipv4").await;
        rig.call(&subscriber, SUBSCRIBER, "AnnounceConfigurationElements", &path(&pvd)).await.unwrap();
        rig.settled().await;
        for server in 60..90 {
            let server = format!("192.0.2.{server}");
            rig.happen([lease(ETH0, &server)]).await;
            rig.until(|heard| heard.what == "ConfigurationElementAnnouncement").await;
            let body = ("any", "dns-servers");
            let reply = rig.call(&pvd, "", "GetConfigurationData", &body).await.unwrap();
            let value: zbus::OwnedVariant = reply.body().deserialize().unwrap();
            assert_eq!(Vec::<String>::try_from(value).unwrap(), [server]);
        }
    });
}
