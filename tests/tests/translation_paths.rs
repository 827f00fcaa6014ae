//! No packet of a translation leaves by another provisioning domain: two ISPs whose resolvers have the same address,
//! and a default route that always leads to the first. One explicit PvD for each way to ask on each link.
//!
//! `MIF_TRANSLATIONS=10000 cargo test -p mif-tests --test translation_paths` runs that many.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures_util::{StreamExt, stream};
use mif::{TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::dns::{DnsServer, Reply};
use mif_tests::encrypted_dns::{Authority, Certificate, DOH_PATH, EncryptedDns, Protocol};
use mif_tests::node::Node;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::tally;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::completes;
use zbus::OwnedObjectPath;

/// The address of the resolver for way `n`, in both ISPs: an option that is repeated would move from one PvD to the
/// next (RFC 8801), so each way has its own.
fn server(n: usize) -> IpAddr {
    ip(&format!("2001:db8:53::{n}"))
}

const NAME: &str = "dns.test";
/// Translations at a time.
const OUTSTANDING: usize = 32;

/// A way to ask: how answers are tagged, and what the network announces for it.
const WAYS: [(&str, Option<Protocol>); 5] = [
    ("udp", None),
    ("tcp", None),
    ("dot", Some(Protocol::Dot)),
    ("doh", Some(Protocol::Doh)),
    ("doq", Some(Protocol::Doq)),
];

/// ISP `number` behind link `eth<number>`, with the addresses of 2001:db8:<number>::/48.
struct Isp {
    number: usize,
    node: Node,
    cable: Cable,
    plain: Vec<DnsServer>,
    encrypted: Vec<EncryptedDns>,
}

impl Isp {
    async fn start(universe: &Universe, number: usize, certificate: &Certificate) -> Self {
        let node = universe.node(&format!("isp{number}"));
        let near = universe.host().end(&format!("eth{number}"));
        let cable = Cable::between(near, node.end("lan")).await;
        // Who does not forward is no router, and hosts forget such a default router (RFC 4861 7.2.5).
        node.forward();
        for n in 0..WAYS.len() {
            cable.far().add_address(&format!("2001:db8:{number}:{n}::1/64"));
            node.ip(&format!("address add {}/128 dev lo nodad", server(n)));
        }
        let zone = || {
            let reply = || Reply::addresses([ip(&format!("203.0.113.{number}"))]);
            vec![("*.tcp.test", reply().over_tcp()), ("*.test", reply())]
        };
        // In the clear also where encryption is announced, to see that nobody comes.
        let plain = (0..WAYS.len()).map(|n| DnsServer::on(&node, server(n), zone())).collect();
        let encrypted =
            (0..WAYS.len()).map(|n| EncryptedDns::on(&node, server(n), certificate, zone())).collect();
        let own = "iifname lan ip6 daddr 2001:db8:53::/64 ip6 saddr";
        node.run(
            "nft",
            [format!(
                "table inet paths {{\n chain input {{\n type filter hook input priority 0\n \
                 {own} 2001:db8:{number}::/48 counter\n {own} != 2001:db8:{number}::/48 counter\n }}\n }}"
            )],
        );
        Self { number, node, cable, plain, encrypted }
    }

    fn id(&self, way: &str) -> String {
        format!("{way}.isp{}.test", self.number)
    }

    /// The first ISP is the better default router.
    fn advertise(&self) {
        let sender = RawSender::on(self.cable.far());
        let preference = if self.number == 1 { 0x08 } else { 0x18 };
        // The kernel makes addresses of the prefixes in the open; then each moves to its PvD.
        let prefix = |n: usize| format!("2001:db8:{}:{n}::", self.number);
        let open = RouterAdvertisement::new(1800).flags(preference);
        let open = (0..WAYS.len()).fold(open, |open, n| open.prefix(&prefix(n), 64, 3600, 1800));
        sender.send(open.bytes());
        for (n, (way, protocol)) in WAYS.iter().enumerate() {
            let server = server(n).to_string();
            let mut inside =
                RouterAdvertisement::new(0).prefix(&prefix(n), 64, 3600, 1800).dns_servers(3600, &[&server]);
            if let Some(protocol) = protocol {
                inside = inside.encrypted_dns(NAME, &[&server], &[protocol.alpn()], DOH_PATH);
            }
            let message = RouterAdvertisement::new(1800).flags(preference).pvd(0, 1, &self.id(way), &inside);
            sender.send(message.bytes());
        }
    }

    /// Packets to the resolver with a source of this ISP, and all others.
    fn packets(&self) -> [u64; 2] {
        self.node.counters("inet", "paths")
    }

    /// Every name that was asked for here, but for the one by which NAT64s are found (RFC 7050).
    fn names(&self) -> BTreeSet<String> {
        let plain = self.plain.iter().flat_map(DnsServer::questions).map(|question| question.name);
        let encrypted = self.encrypted.iter().flat_map(EncryptedDns::questions);
        let names = plain.chain(encrypted.map(|(_, question)| question.name));
        names.filter(|name| name != "ipv4only.arpa").collect()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn wanted() -> usize {
    std::env::var("MIF_TRANSLATIONS").map_or(500, |number| number.parse().expect("a number"))
}

#[test]
fn no_packet_leaves_by_another_provisioning_domain() {
    universe::run(async |universe| {
        let authority = Authority::new("both");
        let certificate = authority.certify(NAME);
        let isps =
            [Isp::start(&universe, 1, &certificate).await, Isp::start(&universe, 2, &certificate).await];
        let config = format!("[dns]\ncertificates = {:?}\n", authority.file());
        let host = ServedHost::start_with(&universe, |settings| settings.config(&config).log("warn")).await;
        let mut pvds: BTreeMap<(usize, &str), OwnedObjectPath> = BTreeMap::new();
        for isp in &isps {
            isp.advertise();
            for (way, _) in WAYS {
                let ready = |pvd: &mif::ProvisioningDomain| {
                    !pvd.dns_servers.is_empty() && pvd.addresses.iter().any(|own| own.address.is_ipv6())
                };
                let pvd = host.pvd_where(&isp.id(way), ready).await;
                pvds.insert((isp.number, way), pvd.path);
            }
        }
        let routes = universe.host().ip("-6 route show default");
        assert!(routes.lines().next().unwrap_or_default().contains("eth1"), "{routes}");
        assert_eq!(isps.each_ref().map(Isp::packets), [[0, 0]; 2]);

        let total = wanted();
        let asked: Vec<(usize, &str, Translation)> = stream::iter(0..total)
            .map(|n| {
                let (number, (way, _)) = (1 + n % 2, WAYS[n / 2 % WAYS.len()]);
                let (host, pvd) = (&host, &pvds[&(number, way)]);
                async move {
                    let name = format!("n{n}.of{number}.{way}.test");
                    let options = TranslateOptions::default();
                    let asking = mif::translate_name(&host.connection, pvd, &name, &options);
                    let answer = completes(&format!("the translation of {name}"), asking).await;
                    (number, way, answer.unwrap_or_else(|error| panic!("{name}: {error}")))
                }
            })
            .buffer_unordered(OUTSTANDING)
            .collect()
            .await;
        let mut ways: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for (number, way, translation) in &asked {
            let [answer] = &translation.answers[..] else { panic!("{way}: {translation:?}") };
            assert_eq!(answer.address, ip(&format!("203.0.113.{number}")), "{way}: {translation:?}");
            assert_eq!(answer.transport.as_deref(), Some(*way), "{translation:?}");
            *ways.entry((*number, way)).or_default() += 1;
        }
        assert_eq!(ways.len(), 2 * WAYS.len());
        let mut carried = 0;
        for isp in &isps {
            let foreign: Vec<String> = isp
                .names()
                .into_iter()
                .filter(|name| !name.contains(&format!(".of{}.", isp.number)))
                .collect();
            assert!(foreign.is_empty(), "names of the other ISP: {foreign:?}");
            let [own, others] = isp.packets();
            assert!(own as usize >= total / 2, "{own} packets for {} translations", total / 2);
            assert_eq!(others, 0, "packets with a source of the other ISP came to ISP {}", isp.number);
            carried += own;
        }
        tally::figure(&format!(
            "{total} translations over UDP, TCP, DoT, DoH and DoQ: {carried} packets, none on the wrong link"
        ));
    });
}
