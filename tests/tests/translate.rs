//! Translate Name (draft 3.5.16 to 3.5.18), over the bus, against real and scripted DNS servers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use mif::proxy::ProvisioningDomainProxy;
use mif::wire::{Family, TranslateNameOptions, TranslationSystem};
use mif::{ErrorKind, Message, Messages, Subscriber, TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq};
use mif_tests::dns::{DnsServer, Reply};
use mif_tests::node::Node;
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::topology::{SHARED_NAME, TwoIsps};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use zbus::{Connection, OwnedObjectPath};

/// A network behind link `eth<number>` of the host: 10.<number>.0.0/24 by DHCPv4 and a scripted DNS server.
struct Network {
    node: Node,
    cable: Cable,
    dns: DnsServer,
}

impl Network {
    /// `server` is given out as the DNS server; by default it is the router.
    async fn start(
        universe: &Universe,
        number: u8,
        server: Option<Ipv4Addr>,
        zone: Vec<(&str, Reply)>,
    ) -> Self {
        let node = universe.node(&format!("network{number}"));
        let near = universe.host().end(&format!("eth{number}"));
        let cable = Cable::between(near, node.end("customer")).await;
        cable.far().add_address(&format!("10.{number}.0.1/24"));
        node.forward();
        let router = Ipv4Addr::new(10, number, 0, 1);
        let server = server.inspect(|server| drop(node.ip(&format!("address add {server} dev lo"))));
        let server = server.unwrap_or(router);
        let dns = DnsServer::on(&node, server.into(), zone);
        let (first, last) = (format!("10.{number}.0.10"), format!("10.{number}.0.99"));
        Dnsmasq::on(&node, "customer")
            .argument("--port=0")
            .argument(&format!("--dhcp-option=option:dns-server,{server}"))
            .dhcp4(&first, &last, "10m")
            .start()
            .await;
        Dhcpcd::on(cable.near()).ipv4_only().start().await;
        Self { node, cable, dns }
    }
}

/// One network with this zone, mifd, and the network's PvD.
async fn one_network(
    universe: &Universe,
    zone: Vec<(&str, Reply)>,
) -> (Network, ServedHost, OwnedObjectPath) {
    let network = Network::start(universe, 1, None, zone).await;
    // A cable that is pulled is to count at once.
    let host =
        ServedHost::start_with(universe, |settings| settings.config("[interfaces]\ngrace-ms = 0\n")).await;
    let [pvd] = host.pvds(["eth1"], Family::Ipv4, true).await;
    (network, host, pvd)
}

async fn translate(
    connection: &Connection,
    pvd: &OwnedObjectPath,
    name: &str,
    options: &TranslateOptions,
) -> mif::Result<Translation> {
    let what = format!("the translation of {name}");
    completes(&what, mif::translate_name(connection, pvd, name, options)).await
}

async fn translate_any(host: &ServedHost, pvd: &OwnedObjectPath, name: &str) -> mif::Result<Translation> {
    translate(&host.connection, pvd, name, &TranslateOptions::default()).await
}

fn only(family: Family) -> TranslateOptions {
    TranslateOptions { family: Some(family), ..TranslateOptions::default() }
}

fn addresses(translation: &Translation) -> BTreeSet<IpAddr> {
    translation.answers.iter().map(|answer| answer.address).collect()
}

fn v4(text: &str) -> IpAddr {
    IpAddr::V4(text.parse().unwrap())
}

/// The messages about one translation, until it is finished.
async fn until_finished(messages: &mut Messages, id: u32) -> (Vec<IpAddr>, mif::Result<()>, Option<u16>) {
    let mut found = Vec::new();
    loop {
        match next(messages).await {
            Message::NameTranslation { translation_id, answer } if translation_id == id => {
                found.push(answer.address);
            }
            Message::TranslationFinished { translation_id, outcome, details } if translation_id == id => {
                return (found, outcome, details.rcode);
            }
            other => panic!("about something else: {other:?}"),
        }
    }
}

#[test]
fn each_pvd_gives_the_answer_of_its_own_isp() {
    universe::run(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        let links = [isps.first.link(), isps.second.link()];
        for family in [Family::Ipv4, Family::Ipv6] {
            let pvds = host.pvds(links, family.clone(), true).await;
            for (pvd, isp) in pvds.iter().zip([&isps.first, &isps.second]) {
                let translation = translate_any(&host, pvd, SHARED_NAME).await.unwrap();
                let expected = BTreeSet::from([isp.server_v4().into(), isp.server_v6().into()]);
                assert_eq!(addresses(&translation), expected, "{family} {translation:?}");
                let servers =
                    host.state().await.pvds().find(|known| known.path == *pvd).unwrap().dns_servers.clone();
                for answer in &translation.answers {
                    assert_eq!(answer.source, Some(TranslationSystem::Dns));
                    assert_eq!(answer.transport.as_deref(), Some("udp"));
                    let ttl = answer.ttl.unwrap();
                    assert!(Duration::ZERO < ttl && ttl <= Duration::from_secs(60), "{ttl:?}");
                    let server: IpAddr = answer.server.as_ref().unwrap().parse().unwrap();
                    assert!(servers.contains(&server), "{server} is none of {servers:?}");
                    assert!(!answer.encrypted && !answer.synthesized);
                }
                assert_eq!(translation.canonical_name.as_deref(), Some(SHARED_NAME));
                assert!(!translation.truncated);

                let narrow =
                    translate(&host.connection, pvd, SHARED_NAME, &only(Family::Ipv4)).await.unwrap();
                assert_eq!(addresses(&narrow), [isp.server_v4().into()].into());
                let narrow =
                    translate(&host.connection, pvd, SHARED_NAME, &only(Family::Ipv6)).await.unwrap();
                assert_eq!(addresses(&narrow), [isp.server_v6().into()].into());
            }
        }
    });
}

#[test]
fn a_single_label_is_looked_for_in_the_search_domains_of_its_pvd() {
    universe::run(async |universe| {
        let isps = TwoIsps::start(&universe).await;
        let host = ServedHost::start(&universe).await;
        let [first, second] = host.pvds([isps.first.link(), isps.second.link()], Family::Ipv4, true).await;
        for (pvd, isp, full) in
            [(&first, &isps.first, "only.isp1.test"), (&second, &isps.second, "only.isp2.test")]
        {
            let label = translate_any(&host, pvd, "only").await.unwrap();
            assert_eq!(addresses(&label), [isp.server_v4().into()].into());
            assert_eq!(label.canonical_name.as_deref(), Some(full));
            for spelling in [format!("{full}."), full.to_uppercase()] {
                let absolute = translate_any(&host, pvd, &spelling).await.unwrap();
                assert_eq!(addresses(&absolute), [isp.server_v4().into()].into(), "{spelling}");
            }
            // With a dot in it, or after it, a name is never completed.
            let (kind, text) = refusal(translate_any(&host, pvd, "only.").await);
            assert_eq!(kind, ErrorKind::NameNotFound, "{text}");
            let (kind, text) = refusal(translate_any(&host, pvd, "only.isp1").await);
            assert_ne!(kind, ErrorKind::InvalidArgs, "{text}");
        }
        // What the other ISP knows does not exist here.
        let (kind, _) = refusal(translate_any(&host, &first, "only.isp2.test").await);
        assert_eq!(kind, ErrorKind::NameNotFound);
        let (kind, _) = refusal(translate_any(&host, &second, "only.isp1.test").await);
        assert_eq!(kind, ErrorKind::NameNotFound);
        let log = isps.second.dnsmasq().log();
        assert!(log.contains("query[A] only.isp2.test"), "the log tells of queries: {log}");
        assert!(!log.contains(" only.isp2 ") && !log.contains("only.isp1.isp2"), "{log}");
    });
}

#[test]
fn literals_and_the_host_table_need_no_packet() {
    universe::run(async |universe| {
        let (network, host, pvd) = one_network(
            &universe,
            vec![("sentinel.test", Reply::addresses([Ipv4Addr::new(203, 0, 113, 1)]))],
        )
        .await;
        std::fs::write("/etc/hosts", "192.0.2.77 printer.example printer\n2001:db8::77 printer.example\n")
            .unwrap();
        let answer = translate_any(&host, &pvd, "printer.example").await.unwrap();
        assert_eq!(addresses(&answer), [v4("192.0.2.77"), "2001:db8::77".parse().unwrap()].into());
        assert!(answer.answers.iter().all(|answer| answer.source == Some(TranslationSystem::Hosts)));
        assert!(answer.answers.iter().all(|answer| answer.server.is_none() && answer.transport.is_none()));
        let label = translate(&host.connection, &pvd, "PRINTER", &only(Family::Ipv4)).await.unwrap();
        assert_eq!(addresses(&label), [v4("192.0.2.77")].into());

        for literal in ["192.0.2.200", "2001:db8::200"] {
            let answer = translate_any(&host, &pvd, literal).await.unwrap();
            assert_eq!(addresses(&answer), [literal.parse().unwrap()].into());
            assert_eq!(answer.answers[0].source, Some(TranslationSystem::Literal));
        }
        let other_family = translate(&host.connection, &pvd, "192.0.2.200", &only(Family::Ipv6)).await;
        assert_eq!(refusal(other_family).0, ErrorKind::NoAddress);

        // Only the host table is to be asked, and it does not know.
        let options = TranslateOptions { systems: vec![TranslationSystem::Hosts], ..Default::default() };
        let unknown = translate(&host.connection, &pvd, "scanner.example", &options).await;
        assert_eq!(refusal(unknown).0, ErrorKind::NameNotFound);
        // DNS only: what the host table knows is asked there all the same.
        let options = TranslateOptions { systems: vec![TranslationSystem::Dns], ..Default::default() };
        let dns = translate(&host.connection, &pvd, "printer.example", &options).await;
        assert_eq!(refusal(dns).0, ErrorKind::NameNotFound);

        translate_any(&host, &pvd, "sentinel.test").await.unwrap();
        let asked: BTreeSet<String> =
            network.dns.questions().into_iter().map(|question| question.name).collect();
        assert_eq!(asked, ["printer.example".to_owned(), "sentinel.test".to_owned()].into());
        assert_eq!(network.dns.count("printer.example"), 2, "once for each family, for DNS alone");
    });
}

#[test]
fn failures_are_told_apart() {
    universe::run(async |universe| {
        let zone = vec![
            ("v4.test", Reply::addresses([Ipv4Addr::new(203, 0, 113, 1)])),
            ("empty.test", Reply::addresses(Vec::<IpAddr>::new())),
            ("silent.test", Reply::silence()),
        ];
        let (_network, host, pvd) = one_network(&universe, zone).await;
        let (kind, text) = refusal(translate_any(&host, &pvd, "nowhere.test").await);
        assert_eq!(kind, ErrorKind::NameNotFound);
        assert!(text.contains("nowhere.test"), "{text}");
        let (kind, _) = refusal(translate_any(&host, &pvd, "empty.test").await);
        assert_eq!(kind, ErrorKind::NoAddress);
        let (kind, _) = refusal(translate(&host.connection, &pvd, "v4.test", &only(Family::Ipv6)).await);
        assert_eq!(kind, ErrorKind::NoAddress);

        let hasty = TranslateOptions { timeout: Some(Duration::from_millis(300)), ..Default::default() };
        let since = Instant::now();
        let (kind, _) = refusal(translate(&host.connection, &pvd, "silent.test", &hasty).await);
        assert_eq!(kind, ErrorKind::TimedOut);
        let took = since.elapsed();
        assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");

        // The same over messages, with the response code.
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "failures").await.unwrap();
        let cases = [
            ("nowhere.test", ErrorKind::NameNotFound, Some(3)),
            ("empty.test", ErrorKind::NoAddress, Some(0)),
            ("silent.test", ErrorKind::TimedOut, None),
        ];
        for (id, (name, expected, expected_rcode)) in (7..).zip(cases) {
            subscriber.translate_name(id, &pvd, name, &hasty).await.unwrap();
            let (found, outcome, rcode) = until_finished(&mut messages, id).await;
            assert!(found.is_empty());
            assert_eq!((refusal(outcome).0, rcode), (expected, expected_rcode), "{name}");
        }

        // A PvD that has no DNS server at all.
        let other = universe.node("other");
        let cable = Cable::between(universe.host().end("eth2"), other.end("lan")).await;
        cable.near().add_address("10.2.0.2/24");
        let [bare] = host.pvds(["eth2"], Family::Ipv4, false).await;
        let (kind, text) = refusal(translate_any(&host, &bare, "v4.test").await);
        assert_eq!(kind, ErrorKind::NoNameServers);
        assert!(text.contains("implicit:eth2:ipv4"), "{text}");
    });
}

#[test]
fn answers_are_whole_whatever_way_they_take() {
    universe::run(async |universe| {
        let many = |count: u8| (1..=count).map(|n| Ipv4Addr::new(203, 0, 113, n));
        let zone = vec![
            ("long.test", Reply::addresses(many(40)).over_tcp()),
            ("most.test", Reply::addresses(many(64)).over_tcp()),
            ("more.test", Reply::addresses(many(65)).over_tcp()),
            ("alias.test", Reply::addresses(many(1)).alias_of("canonical.example")),
        ];
        let (network, host, pvd) = one_network(&universe, zone).await;
        let alias = translate_any(&host, &pvd, "alias.test").await.unwrap();
        assert_eq!(alias.canonical_name.as_deref(), Some("canonical.example"));
        assert_eq!(addresses(&alias), [v4("203.0.113.1")].into());

        let long = translate(&host.connection, &pvd, "long.test", &only(Family::Ipv4)).await.unwrap();
        assert_eq!((long.answers.len(), long.truncated), (40, false));
        assert!(long.answers.iter().all(|answer| answer.transport.as_deref() == Some("tcp")));
        let ways: Vec<bool> =
            network.dns.questions().iter().filter(|it| it.name == "long.test").map(|it| it.tcp).collect();
        assert_eq!(ways, [false, true]);

        let most = translate(&host.connection, &pvd, "most.test", &only(Family::Ipv4)).await.unwrap();
        assert_eq!((most.answers.len(), most.truncated), (64, false));
        let more = translate(&host.connection, &pvd, "more.test", &only(Family::Ipv4)).await.unwrap();
        assert_eq!((more.answers.len(), more.truncated), (64, true));
        assert_eq!(addresses(&more), many(64).map(IpAddr::from).collect());

        // The words of the contract, as they travel.
        let proxy = ProvisioningDomainProxy::builder(&host.connection).path(&pvd).build().await.unwrap();
        let (listed, details) =
            proxy.translate_name("more.test", &TranslateNameOptions::default()).await.unwrap();
        assert_eq!(listed.len(), 64);
        assert_eq!((details.truncated, details.rcode), (Some(true), Some(0)));
        let entries = details.answers.unwrap();
        assert!(entries.iter().zip(&listed).all(|(entry, address)| entry.address.as_ref() == Some(address)));
    });
}

#[test]
fn an_address_does_not_wait_for_the_other_family() {
    universe::run(async |universe| {
        let both: [IpAddr; 2] = [Ipv4Addr::new(203, 0, 113, 1).into(), Ipv6Addr::LOCALHOST.into()];
        let (network, host, pvd) =
            one_network(&universe, vec![("slow6.test", Reply::addresses(both).hold_ipv6())]).await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "slow").await.unwrap();
        subscriber.translate_name(1, &pvd, "slow6.test", &TranslateOptions::default()).await.unwrap();
        let first = next(&mut messages).await;
        let Message::NameTranslation { translation_id: 1, answer } = first else { panic!("{first:?}") };
        assert_eq!(answer.address, both[0]);
        // The server says the rest only now.
        network.dns.release();
        let (rest, outcome, rcode) = until_finished(&mut messages, 1).await;
        outcome.unwrap();
        assert_eq!((rest, rcode), (vec![both[1]], Some(0)));
    });
}

/// Translations of names that are never answered: how many are under way shows in mifd's sockets.
async fn under_way(network: &Network, names: impl IntoIterator<Item = String>) {
    for name in names {
        eventually(&format!("both questions for {name}"), async || match network.dns.count(&name) {
            asked if asked >= 2 => Ok(()),
            asked => Err(asked),
        })
        .await;
    }
}

#[test]
fn what_is_stopped_is_silent_and_its_id_is_free() {
    universe::run(async |universe| {
        let answer = Reply::addresses([Ipv4Addr::new(203, 0, 113, 1)]);
        let zone = vec![("*.silent.test", Reply::silence()), ("www.test", answer)];
        let (network, host, pvd) = one_network(&universe, zone).await;
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "ids").await.unwrap();
        let options = TranslateOptions::default();
        // Of the first questions there is always something left: a resolver, a cache.
        subscriber.translate_name(1, &pvd, "www.test", &options).await.unwrap();
        until_finished(&mut messages, 1).await.1.unwrap();
        let before = host.descriptors();

        subscriber.translate_name(1, &pvd, "a.silent.test", &options).await.unwrap();
        under_way(&network, ["a.silent.test".to_owned()]).await;
        assert!(host.descriptors() > before, "questions have sockets");
        let (kind, text) = refusal(subscriber.translate_name(1, &pvd, "www.test", &options).await);
        assert_eq!(kind, ErrorKind::IdInUse);
        assert!(text.contains('1'), "{text}");
        // Other spaces: connections, and other subscribers of the same client.
        let (other, mut of_other) = Subscriber::create(&host.connection, "other").await.unwrap();
        other.translate_name(1, &pvd, "www.test", &options).await.unwrap();
        until_finished(&mut of_other, 1).await.1.unwrap();

        subscriber.stop_translating_name(1).await.unwrap();
        host.wait_for_descriptors(before).await;
        // Nothing came for it, and the id is free: the next message is of the next translation.
        subscriber.translate_name(1, &pvd, "www.test", &options).await.unwrap();
        let (found, outcome, _) = until_finished(&mut messages, 1).await;
        outcome.unwrap();
        assert_eq!(found, [v4("203.0.113.1")]);
        // Stopping what is over, or never was, is nothing.
        subscriber.stop_translating_name(1).await.unwrap();
        subscriber.stop_translating_name(4_000_000_000).await.unwrap();

        // Close ends what is under way, in silence.
        subscriber.translate_name(2, &pvd, "b.silent.test", &options).await.unwrap();
        under_way(&network, ["b.silent.test".to_owned()]).await;
        subscriber.close().await.unwrap();
        let last = next(&mut messages).await;
        assert!(matches!(last, Message::Closed { .. }), "{last:?}");
        host.wait_for_descriptors(before).await;
    });
}

#[test]
fn translations_end_with_their_pvd_and_with_their_client() {
    universe::run(async |universe| {
        let zone = vec![
            ("*.silent.test", Reply::silence()),
            ("www.test", Reply::addresses([Ipv4Addr::new(203, 0, 113, 1)])),
        ];
        let (network, host, pvd) = one_network(&universe, zone).await;
        translate_any(&host, &pvd, "www.test").await.unwrap();
        let before = host.descriptors();
        let options = TranslateOptions::default();

        // A client that leaves, with work on both faces.
        let leaving = host.bus.connect().await;
        let (subscriber, _messages) = Subscriber::create(&leaving, "leaving").await.unwrap();
        let names: Vec<String> = (0..8).map(|n| format!("n{n}.silent.test")).collect();
        for (id, name) in (0..).zip(&names[1..]) {
            subscriber.translate_name(id, &pvd, name, &options).await.unwrap();
        }
        let call = tokio::spawn({
            let (connection, pvd, name) = (leaving.clone(), pvd.clone(), names[0].clone());
            async move { drop(mif::translate_name(&connection, &pvd, &name, &TranslateOptions::default()).await) }
        });
        under_way(&network, names).await;
        assert!(host.descriptors() >= before + 8);
        call.abort();
        drop(subscriber);
        leaving.close().await.unwrap();
        host.wait_for_descriptors(before).await;

        // The cable goes, with work on both faces.
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "stays").await.unwrap();
        subscriber.translate_name(9, &pvd, "message.silent.test", &options).await.unwrap();
        let call = tokio::spawn({
            let (connection, pvd) = (host.connection.clone(), pvd.clone());
            async move {
                mif::translate_name(&connection, &pvd, "call.silent.test", &TranslateOptions::default()).await
            }
        });
        under_way(&network, ["message.silent.test".to_owned(), "call.silent.test".to_owned()]).await;
        network.cable.pull().await;
        let called = completes("the reply of the call", call).await.unwrap();
        assert_eq!(refusal(called).0, ErrorKind::PvdGone);
        let (found, outcome, _) = until_finished(&mut messages, 9).await;
        assert!(found.is_empty());
        assert_eq!(refusal(outcome).0, ErrorKind::PvdGone);
        host.wait_for_descriptors(before).await;
        let (kind, _) = refusal(subscriber.translate_name(9, &pvd, "www.test", &options).await);
        assert_eq!(kind, ErrorKind::PvdGone);
        assert_eq!(refusal(translate_any(&host, &pvd, "www.test").await).0, ErrorKind::UnknownObject);
    });
}

#[test]
fn a_thousand_silent_names_of_others_hold_nobody_up() {
    const CLIENTS: usize = 16;
    const NAMES: u32 = 64;
    universe::run(async |universe| {
        let answer = Reply::addresses([Ipv4Addr::new(203, 0, 113, 1)]);
        let zone = vec![("*.silent.test", Reply::silence()), ("*.test", answer)];
        let (_network, host, pvd) = one_network(&universe, zone).await;
        let (_, before) = (translate_any(&host, &pvd, "first.test").await.unwrap(), host.descriptors());
        let patient = TranslateOptions { timeout: Some(Duration::from_secs(120)), ..Default::default() };
        let mut others = Vec::new();
        for n in 0..CLIENTS {
            let connection = host.bus.connect().await;
            let (subscriber, messages) = Subscriber::create(&connection, "silent").await.unwrap();
            for id in 0..NAMES {
                let name = format!("n{id}.of{n}.silent.test");
                subscriber.translate_name(id, &pvd, &name, &patient).await.unwrap();
            }
            others.push((connection, subscriber, messages));
        }
        // In the same provisioning domain, of the same server.
        for n in 0..20 {
            let since = Instant::now();
            let found = translate_any(&host, &pvd, &format!("n{n}.test")).await.unwrap();
            assert_eq!(addresses(&found), [v4("203.0.113.1")].into());
            assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        }
        // 64 questions of all, and eight of each client; each is sent three times at most, from a port of its own. Of
        // each client there is a pidfd.
        let (held, most) = (host.descriptors(), before + 3 * (64 + 8 * CLIENTS) + CLIENTS);
        assert!((before + 64..=most).contains(&held), "{held} descriptors, {before} before");
        drop(
            futures_util::future::join_all(others.into_iter().map(|(connection, ..)| connection.close()))
                .await,
        );
        host.wait_for_descriptors(before).await;
    });
}

/// The server that both networks give out, each its own.
const SAME_SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 53);

/// How many translations go through each network.
const ROUNDS: u32 = 300;

/// Packets to any DNS server, by the network they are sent into: those with a source of this network, and
/// all others.
fn count_dns_packets(network: &Network, number: u8) {
    let rules = format!(
        "table ip dns {{\n chain input {{\n type filter hook input priority 0\n \
         iifname customer ip saddr 10.{number}.0.0/24 th dport 53 counter\n \
         iifname customer ip saddr != 10.{number}.0.0/24 th dport 53 counter\n }}\n }}"
    );
    network.node.run("nft", [rules]);
}

fn dns_packets(network: &Network) -> [u64; 2] {
    network.node.counters("ip", "dns")
}

#[test]
fn no_question_leaves_by_the_other_isp_though_both_give_the_same_server() {
    universe::run(async |universe| {
        let zone = |last| vec![("*.test", Reply::addresses([Ipv4Addr::new(203, 0, 113, last)]))];
        let networks = [
            Network::start(&universe, 1, Some(SAME_SERVER), zone(1)).await,
            Network::start(&universe, 2, Some(SAME_SERVER), zone(2)).await,
        ];
        let host = ServedHost::start(&universe).await;
        let pvds = host.pvds(["eth1", "eth2"], Family::Ipv4, true).await;
        for (network, number) in networks.iter().zip(1..) {
            count_dns_packets(network, number);
        }
        // Every translation has a name of its own, so that no cache saves a packet.
        let wanted =
            (0..2 * ROUNDS).map(|n| (usize::try_from(n % 2).unwrap(), format!("n{n}.of{}.test", n % 2)));
        let translated: Vec<(usize, Translation)> = stream::iter(wanted)
            .map(|(which, name)| {
                let (host, pvd) = (&host, &pvds[which]);
                async move { (which, translate_any(host, pvd, &name).await.unwrap()) }
            })
            .buffer_unordered(16)
            .collect()
            .await;
        let mut seen: BTreeMap<usize, u32> = BTreeMap::new();
        for (which, translation) in &translated {
            let own = [Ipv4Addr::new(203, 0, 113, u8::try_from(which + 1).unwrap()).into()];
            assert_eq!(addresses(translation), own.into());
            *seen.entry(*which).or_default() += 1;
        }
        assert_eq!(seen, [(0, ROUNDS), (1, ROUNDS)].into());
        for (which, network) in networks.iter().enumerate() {
            let foreign: Vec<_> = network
                .dns
                .questions()
                .into_iter()
                .filter(|question| !question.name.ends_with(&format!(".of{which}.test")))
                .collect();
            assert!(foreign.is_empty(), "questions of the other network: {foreign:?}");
            let [own, others] = dns_packets(network);
            assert!(own >= u64::from(2 * ROUNDS), "{own} packets for {ROUNDS} names of two families");
            assert_eq!(others, 0, "packets with the source of the other network");
        }
    });
}

#[test]
fn a_time_that_is_out_of_range_is_refused_before_any_packet() {
    universe::run(async |universe| {
        let (network, host, pvd) = one_network(&universe, vec![("www.test", Reply::silence())]).await;
        for timeout in [Duration::ZERO, Duration::from_secs(121)] {
            let options = TranslateOptions { timeout: Some(timeout), ..Default::default() };
            let (kind, text) = refusal(translate(&host.connection, &pvd, "www.test", &options).await);
            assert_eq!(kind, ErrorKind::InvalidArgs);
            assert!(text.contains("120000"), "{text}");
        }
        let unknown = TranslateOptions { family: Some(Family::Dual), ..Default::default() };
        let (kind, text) = refusal(translate(&host.connection, &pvd, "www.test", &unknown).await);
        assert_eq!(kind, ErrorKind::InvalidArgs);
        assert!(text.contains("any, ipv4, ipv6"), "{text}");
        let systems = vec![TranslationSystem::Llmnr];
        let options = TranslateOptions { systems, ..Default::default() };
        let (kind, text) = refusal(translate(&host.connection, &pvd, "www.test", &options).await);
        assert_eq!(kind, ErrorKind::NameNotFound, "{text}");
        assert!(text.contains("llmnr"), "{text}");
        assert_eq!(network.dns.questions(), []);
    });
}
