//! Proof of path for multicast DNS, LLMNR and NIS: two networks with the same addresses everywhere, and not one packet of
//! a translation on the wrong link.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use futures_util::StreamExt;
use futures_util::stream;
use mif::TranslateOptions;
use mif::wire::{Family, TranslationSystem};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhcpcd, Dnsmasq};
use mif_tests::neighbour::Neighbour;
use mif_tests::node::Node;
use mif_tests::served_host::ServedHost;
use mif_tests::tally;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::completes;

/// Translations in all; `MIF_TRANSLATIONS` asks for more.
const TRANSLATIONS: u32 = 600;

/// A network behind `eth<number>`: 192.0.2.0/24, in which .1 is router, NIS server and neighbour.
struct Network {
    node: Node,
    neighbour: Neighbour,
}

impl Network {
    async fn start(universe: &Universe, number: u8) -> Self {
        let node = universe.node(&format!("network{number}"));
        let near = universe.host().end(&format!("eth{number}"));
        let cable = Cable::between(near, node.end("lan")).await;
        cable.far().add_address("192.0.2.1/24");
        let (v4, v6) = answers(usize::from(number - 1));
        let neighbour = Neighbour::on(cable.far(), v4, v6);
        let last = number * 50;
        Dnsmasq::on(&node, "lan")
            .argument("--port=0")
            .argument("--dhcp-option=option:dns-server,192.0.2.1")
            .argument("--dhcp-option-force=option:nis-domain,nis.test")
            .argument("--dhcp-option-force=option:nis-server,192.0.2.1")
            .dhcp4(&format!("192.0.2.{last}"), &format!("192.0.2.{}", last + 9), "10m")
            .start()
            .await;
        Dhcpcd::on(cable.near()).ipv4_only().start().await;
        Self { node, neighbour }
    }

    /// Counts packets that come from the link: to ports of these protocols, and of those the ones that do not carry
    /// this network's mark in their source.
    fn count(&self, number: u8) {
        let last = number * 50;
        let own = format!("192.0.2.{last}-192.0.2.{}", last + 9);
        let rules = format!(
            "table ip names {{\n chain input {{\n type filter hook input priority 0\n \
             iifname lan udp dport {{ 53, 111, 834, 5353, 5355 }} counter\n \
             iifname lan udp dport {{ 53, 111, 834, 5353, 5355 }} ip saddr != {own} counter\n }}\n }}"
        );
        self.node.run("nft", [rules]);
    }

    fn counted(&self) -> [u64; 2] {
        self.node.counters("ip", "names")
    }
}

fn answers(which: usize) -> (Ipv4Addr, Ipv6Addr) {
    let last = u8::try_from(which + 1).unwrap();
    (Ipv4Addr::new(203, 0, 113, last), Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, last.into()))
}

/// The name number `n` of a network, in one of the systems in turn.
fn question(n: u32) -> (usize, String, TranslationSystem) {
    let which = usize::try_from(n % 2).unwrap();
    match n / 2 % 3 {
        0 => (which, format!("n{n}.of{which}.local"), TranslationSystem::Mdns),
        1 => (which, format!("n{n}-of{which}"), TranslationSystem::Llmnr),
        _ => (which, format!("n{n}.of{which}.nis"), TranslationSystem::Nis),
    }
}

#[test]
fn no_question_is_ever_heard_on_the_other_link() {
    let translations =
        std::env::var("MIF_TRANSLATIONS").map_or(TRANSLATIONS, |number| number.parse().expect("a number"));
    // The universe does not inherit the count through anything but the environment.
    universe::run(async move |universe| {
        let networks = [Network::start(&universe, 1).await, Network::start(&universe, 2).await];
        let host = ServedHost::start(&universe).await;
        let pvds = host.pvds(["eth1", "eth2"], Family::Ipv4, true).await;
        for (network, number) in networks.iter().zip(1..) {
            network.count(number);
        }
        // What a program gets that knows nothing of provisioning domains leads to one of them, for all of it.
        universe.host().ip("route add 224.0.0.0/4 dev eth2");
        stream::iter((0..translations).map(question))
            .map(|(which, name, system)| {
                let (host, pvd) = (&host, &pvds[which]);
                async move {
                    let options = TranslateOptions { systems: vec![system.clone()], ..Default::default() };
                    let translation = mif::translate_name(&host.connection, pvd, &name, &options);
                    let translation = completes(&name, translation).await.unwrap();
                    let (v4, v6) = answers(which);
                    for answer in &translation.answers {
                        assert_eq!(answer.source, Some(system.clone()));
                        assert!(answer.address == v4 || answer.address == v6, "{name}: {answer:?}");
                    }
                    let both = if system == TranslationSystem::Nis { 1 } else { 2 };
                    assert_eq!(translation.answers.len(), both, "{name}");
                }
            })
            .buffer_unordered(32)
            .collect::<Vec<()>>()
            .await;
        let mut carried = 0;
        for (which, network) in networks.iter().enumerate() {
            let names = network.neighbour.names();
            let own = format!("of{which}");
            let foreign: Vec<_> = names.iter().filter(|name| !name.contains(&own)).collect();
            assert!(foreign.is_empty(), "questions of the other network: {foreign:?}");
            let [heard, others] = network.counted();
            assert!(heard >= u64::from(translations), "{heard} packets for {translations} translations");
            assert_eq!(others, 0, "packets with a source of the other network");
            carried += heard;
        }
        tally::figure(&format!(
            "{translations} translations over mDNS, LLMNR and NIS: {carried} packets, none on the wrong link"
        ));
    });
}
