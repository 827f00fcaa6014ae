//! Names that belong to a link, asked over the bus of real responders: avahi and systemd-resolved.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use mif::wire::{Family, TranslationSystem};
use mif::{ErrorKind, Subscriber, TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Avahi, Resolved};
use mif_tests::node::Node;
use mif_tests::peers;
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::completes;
use zbus::OwnedObjectPath;

/// A neighbour behind `eth<number>` of the host, which has 10.<number>.0.2 there and the neighbour 10.<number>.0.1.
async fn neighbour(universe: &Universe, number: u8) -> (Node, Cable) {
    let node = universe.node(&format!("neighbour{number}"));
    let near = universe.host().end(&format!("eth{number}"));
    let cable = Cable::between(near, node.end("lan")).await;
    cable.far().add_address(&format!("10.{number}.0.1/24"));
    cable.near().add_address(&format!("10.{number}.0.2/24"));
    (node, cable)
}

async fn translate(
    host: &ServedHost,
    pvd: &OwnedObjectPath,
    name: &str,
    systems: &[TranslationSystem],
) -> mif::Result<Translation> {
    let options = TranslateOptions { systems: systems.to_vec(), ..TranslateOptions::default() };
    completes(
        &format!("the translation of {name}"),
        mif::translate_name(&host.connection, pvd, name, &options),
    )
    .await
}

fn addresses(translation: &Translation) -> BTreeSet<String> {
    translation.answers.iter().map(|answer| answer.address.to_string()).collect()
}

fn all_from(translation: &Translation, source: TranslationSystem, cable: &Cable, v4: &str) {
    let link_local = cable.far().link_local();
    for answer in &translation.answers {
        assert_eq!(answer.source, Some(source.clone()), "{answer:?}");
        let server = answer.server.as_deref().unwrap();
        assert!(server == v4 || server == link_local, "{server} is neither {v4} nor {link_local}");
        assert_eq!(answer.transport.as_deref(), Some("udp"));
        assert!(answer.ttl.is_some() && !answer.encrypted && !answer.synthesized, "{answer:?}");
    }
}

/// The name under which the owner of a link-local IPv6 address is asked for (RFC 3596 2.5).
fn reverse_name(address: &str) -> String {
    let bits = u128::from(address.parse::<Ipv6Addr>().unwrap());
    let nibbles: Vec<String> = (0..32).map(|n| format!("{:x}", bits >> (4 * n) & 15)).collect();
    format!("{}.ip6.arpa", nibbles.join("."))
}

#[test]
fn avahi_answers_multicast_dns() {
    universe::run(async |universe| {
        peers::mount();
        let (node, cable) = neighbour(&universe, 1).await;
        let (_other, other_cable) = neighbour(&universe, 2).await;
        Avahi::on(&node, "lan", "printer").start().await;
        let host = ServedHost::start(&universe).await;
        assert!(host.features().await.contains(&"mdns".to_owned()));
        let [own, other] = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        // By the name alone it is a matter of multicast DNS.
        for name in ["printer.local", "Printer.LOCAL."] {
            let answer = translate(&host, &own, name, &[]).await.unwrap();
            let v6 = cable.far().link_local();
            let expected = BTreeSet::from(["10.1.0.1".to_owned(), v6]);
            assert!(addresses(&answer).contains("10.1.0.1"), "{answer:?}");
            assert!(addresses(&answer).is_subset(&expected), "{answer:?}");
            all_from(&answer, TranslationSystem::Mdns, &cable, "10.1.0.1");
            assert!(answer.canonical_name.unwrap().eq_ignore_ascii_case("printer.local"));
        }
        // Who has the link-local address?
        let reverse = reverse_name(&cable.far().link_local());
        let owner = translate(&host, &own, &reverse, &[]).await.unwrap();
        assert_eq!(addresses(&owner), BTreeSet::from([cable.far().link_local()]));
        assert_eq!(owner.canonical_name.as_deref(), Some("printer.local"));
        // The other link has no such neighbour, though this host is on both.
        let (kind, text) = refusal(translate(&host, &other, "printer.local", &[]).await);
        assert_eq!(kind, ErrorKind::NameNotFound, "{text}");
        assert!(text.contains("printer.local") && text.contains("mdns"), "{text}");
        assert!(other_cable.near().addresses().contains(&"10.2.0.2".to_owned()));
    });
}

#[test]
fn resolved_answers_llmnr() {
    universe::run(async |universe| {
        peers::mount();
        let (node, cable) = neighbour(&universe, 1).await;
        neighbour(&universe, 2).await;
        let host = ServedHost::start(&universe).await;
        std::fs::create_dir_all("/etc/systemd").unwrap();
        let settings = "[Resolve]\nLLMNR=yes\nMulticastDNS=no\nDNSStubListener=no\n";
        std::fs::write("/etc/systemd/resolved.conf", settings).unwrap();
        Resolved::start(&node).await;
        let [own, other] = host.pvds(["eth1", "eth2"], Family::Ipv4, false).await;
        // resolved begins to answer once it knows that the name is its own.
        let answer = mif_tests::wait::eventually("an answer by LLMNR", async || {
            translate(&host, &own, "host", &[TranslationSystem::Llmnr])
                .await
                .map_err(|error| error.to_string())
        })
        .await;
        assert!(addresses(&answer).contains("10.1.0.1"), "{answer:?}");
        all_from(&answer, TranslationSystem::Llmnr, &cable, "10.1.0.1");
        // A single label: nobody else knows it.
        let by_name = translate(&host, &own, "host", &[]).await.unwrap();
        assert_eq!(addresses(&by_name), addresses(&answer));
        let (kind, text) = refusal(translate(&host, &other, "host", &[TranslationSystem::Llmnr]).await);
        assert_eq!(kind, ErrorKind::NameNotFound, "{text}");
    });
}

#[test]
fn systems_can_be_switched_off() {
    universe::run(async |universe| {
        neighbour(&universe, 1).await;
        let config = "[names]\nsystems = [\"dns\", \"hosts\", \"nis\"]\n";
        let host = ServedHost::start_with(&universe, |settings| settings.config(config)).await;
        let features = host.features().await;
        assert!(!features.contains(&"mdns".to_owned()) && !features.contains(&"llmnr".to_owned()));
        assert!(features.contains(&"nis".to_owned()), "{features:?}");
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let (kind, text) = refusal(translate(&host, &pvd, "printer", &[TranslationSystem::Llmnr]).await);
        assert_eq!(kind, ErrorKind::NotSupported);
        assert!(text.contains("dns, hosts, nis"), "{text}");
        assert_eq!(refusal(translate(&host, &pvd, "printer.local", &[]).await).0, ErrorKind::NameNotFound);
    });
}

/// Names that are none, and those that look as if: on both faces, without a packet.
#[test]
fn names_are_told_from_what_is_none() {
    universe::run(async |universe| {
        let (_node, _cable) = neighbour(&universe, 1).await;
        let host = ServedHost::start(&universe).await;
        let [pvd] = host.pvds(["eth1"], Family::Ipv4, false).await;
        let hosts = [TranslationSystem::Hosts];
        let (label, long) =
            ("a".repeat(64), ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join("."));
        let longer = format!("{long}d");
        assert_eq!((long.len(), longer.len()), (254, 255));
        let (subscriber, _messages) = Subscriber::create(&host.connection, "names").await.unwrap();
        for (name, word) in [
            ("", "is empty"),
            (".", "is the root"),
            ("a..b", "between two dots"),
            (".a", "between two dots"),
            (label.as_str(), "64 characters"),
            (&long, "254 characters"),
            (&longer, "255 characters"),
            ("fe80::1%e0", "names a zone"),
            ("a b", "has \" \" in it"),
            ("\u{1f600}\u{fffd}.example", "UTS 46"),
            (&"a.".repeat(513), "at most 1024 are looked at"),
        ] {
            let wanted = if name.len() > 1024 { ErrorKind::LimitsExceeded } else { ErrorKind::InvalidArgs };
            let (kind, text) = refusal(translate(&host, &pvd, name, &hosts).await);
            assert_eq!(kind, wanted, "{name:?}: {text}");
            assert!(text.contains(word), "{name:?}: {text}");
            let posted = subscriber.translate_name(1, &pvd, name, &TranslateOptions::default()).await;
            assert_eq!(refusal(posted).0, wanted, "{name:?}");
        }
        // Names: nobody has them.
        let longest = &long[..253];
        for name in ["0x7f.1", "256.0.0.1", "1.2.3", "\u{1f600}", "\u{1f600}.example", &label[..63], longest]
        {
            let (kind, text) = refusal(translate(&host, &pvd, name, &hosts).await);
            assert_eq!(kind, ErrorKind::NameNotFound, "{name:?}: {text}");
        }
        // Addresses: known without asking.
        for literal in ["::1", "192.0.2.1", "fe80::1", "::ffff:192.0.2.1"] {
            let answer = translate(&host, &pvd, literal, &[]).await.unwrap();
            assert_eq!(answer.answers[0].address, literal.parse::<IpAddr>().unwrap());
            assert_eq!(answer.answers[0].source, Some(TranslationSystem::Literal));
        }
        // An emoji is a name like others, asked of the link as UTF-8; nobody has it.
        let hasty =
            TranslateOptions { timeout: Some(Duration::from_millis(200)), ..TranslateOptions::default() };
        let asked = mif::translate_name(&host.connection, &pvd, "\u{1f600}.local", &hasty);
        assert_eq!(refusal(completes("an answer", asked).await).0, ErrorKind::TimedOut);
    });
}
