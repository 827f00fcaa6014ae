//! Encrypted DNS that the network announces (RFC 9463): hickory's server behind a real link.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;
use std::time::Duration;

use mif::wire::Family;
use mif::{ErrorKind, Message, Subscriber, TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::dns::{DnsServer, Reply};
use mif_tests::encrypted_dns::{Authority, Certificate, DOH_PATH, EncryptedDns, Protocol};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, next, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use zbus::OwnedObjectPath;

/// The authentication domain name of the network's resolver.
const NAME: &str = "dns.isp.test";
/// Where it is; in the clear at the same address.
const SERVER: &str = "2001:db8:1::53";
const PREFIX: &str = "2001:db8:1::";

/// A network behind link `eth1` of the host, with one resolver that is both plain and encrypted.
struct Network {
    cable: Cable,
    authority: Authority,
    plain: DnsServer,
}

impl Network {
    async fn start(universe: &Universe) -> Self {
        Self::start_with(universe, zone()).await
    }

    /// With this zone in the clear.
    async fn start_with(universe: &Universe, zone: Vec<(&'static str, Reply)>) -> Self {
        let router = universe.node("router");
        let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
        let cable = Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await;
        for address in [&format!("{PREFIX}1/64"), &format!("{SERVER}/64")] {
            cable.far().add_address(address);
        }
        let plain = DnsServer::on(cable.far().node(), ip(SERVER), zone);
        Self { cable, authority: Authority::new("the ISP"), plain }
    }

    fn encrypted(&self, certificate: &Certificate) -> EncryptedDns {
        EncryptedDns::on(self.cable.far().node(), ip(SERVER), certificate, zone())
    }

    /// Advertises the plain server, and the encrypted one where it speaks anything.
    fn advertise(&self, protocols: &[Protocol]) {
        let mut message =
            RouterAdvertisement::new(1800).prefix(PREFIX, 64, 3600, 1800).dns_servers(3600, &[SERVER]);
        if !protocols.is_empty() {
            let alpn: Vec<&str> = protocols.iter().map(|protocol| protocol.alpn()).collect();
            message = message.encrypted_dns(NAME, &[SERVER], &alpn, &format!("{DOH_PATH}{{?dns}}"));
        }
        RawSender::on(self.cable.far()).send(message.bytes());
    }

    /// mifd, which trusts the network's authority.
    async fn serve(&self, universe: &Universe, encryption: &str) -> ServedHost {
        let config = format!(
            "[interfaces]\ngrace-ms = 0\n[dns]\nencryption = \"{encryption}\"\ncertificates = {:?}\n",
            self.authority.file()
        );
        ServedHost::start_with(universe, |settings| settings.config(&config)).await
    }

    /// The same, and the PvD with a resolver that speaks these.
    async fn serve_announced(
        &self,
        universe: &Universe,
        encryption: &str,
        protocols: &[Protocol],
    ) -> (ServedHost, OwnedObjectPath) {
        let host = self.serve(universe, encryption).await;
        self.advertise(protocols);
        let pvd = pvd(&host).await;
        announced(&host, &pvd).await;
        (host, pvd)
    }
}

fn zone() -> Vec<(&'static str, Reply)> {
    let reply = || Reply::addresses([ip("203.0.113.7"), ip("2001:db8:ffff::7")]);
    vec![("*.silent.test", Reply::silence()), ("*.test", reply()), ("slow.example", reply().hold_ipv6())]
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn pvd(host: &ServedHost) -> OwnedObjectPath {
    let [pvd] = host.pvds(["eth1"], Family::Ipv6, true).await;
    pvd
}

/// Waits until the service knows of the announced resolver.
async fn announced(host: &ServedHost, pvd: &OwnedObjectPath) {
    let known = || async {
        let reply = host
            .connection
            .call_method(
                Some("org.ietf.Mif1"),
                pvd,
                Some("org.ietf.Mif1.ProvisioningDomain"),
                "GetConfigurationData",
                &("any", "encrypted-dns"),
            )
            .await;
        reply.map(drop).map_err(|error| error.to_string())
    };
    eventually("the announced resolver", async || known().await).await;
}

async fn translate(host: &ServedHost, pvd: &OwnedObjectPath, name: &str) -> mif::Result<Translation> {
    let options = TranslateOptions::default();
    completes("a translation", mif::translate_name(&host.connection, pvd, name, &options)).await
}

#[track_caller]
fn check_tags(translation: &Translation, transport: &str, encrypted: bool) {
    assert_eq!(translation.answers.len(), 2, "{translation:?}");
    for answer in &translation.answers {
        assert_eq!(answer.transport.as_deref(), Some(transport), "{answer:?}");
        assert_eq!(answer.encrypted, encrypted, "{answer:?}");
        assert_eq!(answer.server.as_deref(), Some(SERVER), "{answer:?}");
    }
}

#[test]
fn each_protocol_is_spoken_and_nothing_is_sent_in_the_clear() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let server = network.encrypted(&network.authority.certify(NAME));
        let host = network.serve(&universe, "announced").await;
        for protocol in Protocol::ALL {
            let before = host.descriptors();
            network.advertise(&[protocol]);
            let pvd = pvd(&host).await;
            announced(&host, &pvd).await;
            // One connection carries all of them.
            for n in 0..20 {
                let name = format!("n{n}.{}.test", protocol.word());
                check_tags(&translate(&host, &pvd, &name).await.unwrap(), protocol.word(), true);
            }
            host.wait_for_descriptors(before + 1).await;
            let questions = server.questions();
            let of_it = questions.iter().filter(|(word, question)| {
                *word == protocol.word() && question.name.ends_with(&format!(".{word}.test"))
            });
            assert_eq!(of_it.count(), 40, "an A and an AAAA each: {questions:?}");
            // It goes with the PvD.
            network.cable.pull().await;
            host.until("the PvD to be gone", |state| state.pvds().next().is_none().then_some(())).await;
            host.wait_for_descriptors(before).await;
            let addresses = [format!("{PREFIX}1/64"), format!("{SERVER}/64")];
            network.cable.plug(&[&addresses[0], &addresses[1]]).await;
        }
        assert_eq!(network.plain.questions(), []);
    });
}

/// Another name, another authority, nobody at all: nothing of it is asked in the clear instead (RFC 8310 5, strict).
#[test]
fn a_resolver_that_cannot_prove_its_name_is_not_replaced() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let (host, pvd) = network.serve_announced(&universe, "announced", &[Protocol::Dot]).await;
        let failed = async |why: &str| {
            let (kind, text) = refusal(translate(&host, &pvd, "www.test").await);
            assert_eq!(kind, ErrorKind::ServerFailure, "{why}: {text}");
            assert!(text.contains("encrypted"), "{why}: {text}");
            assert!(host.mifd.process().log().contains(why), "{why}");
        };
        failed("refused").await;
        let other = network.encrypted(&network.authority.certify("other.isp.test"));
        failed("not valid for name").await;
        other.stop();
        let other = network.encrypted(&Authority::new("somebody").certify(NAME));
        failed("UnknownIssuer").await;
        other.stop();
        assert_eq!((network.plain.questions(), other.questions()), (vec![], vec![]));
        let _good = network.encrypted(&network.authority.certify(NAME));
        check_tags(&translate(&host, &pvd, "www.test").await.unwrap(), "dot", true);
    });
}

#[test]
fn opportunistic_encryption_does_without_where_it_must() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let host = network.serve(&universe, "opportunistic").await;
        network.advertise(&[]);
        let pvd = pvd(&host).await;
        // Nobody there speaks TLS.
        check_tags(&translate(&host, &pvd, "clear.test").await.unwrap(), "udp", false);
        assert_eq!(network.plain.count("clear.test"), 2);
    });
}

/// The opportunistic profile takes whoever answers at port 853 of a server that announced nothing, and says so.
#[test]
fn opportunistic_encryption_asks_for_no_proof() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let anybody = network.encrypted(&Authority::new("somebody").certify("whatever.test"));
        let host = network.serve(&universe, "opportunistic").await;
        network.advertise(&[]);
        let path = pvd(&host).await;
        check_tags(&translate(&host, &path, "www.test").await.unwrap(), "dot", false);
        assert_eq!(network.plain.questions(), []);
        // An announced one must prove its name also here; without, it is in the clear.
        network.advertise(&[Protocol::Dot]);
        announced(&host, &path).await;
        check_tags(&translate(&host, &path, "other.test").await.unwrap(), "udp", false);
        anybody.stop();
    });
}

#[test]
fn what_is_announced_can_be_switched_off() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let server = network.encrypted(&network.authority.certify(NAME));
        let (host, pvd) = network.serve_announced(&universe, "off", &Protocol::ALL).await;
        check_tags(&translate(&host, &pvd, "www.test").await.unwrap(), "udp", false);
        assert_eq!(server.questions(), []);
    });
}

/// The resolver restarts: a connection that is kept is no use any more, and nobody hears of it.
async fn reopen(universe: Universe, protocol: Protocol) {
    let network = Network::start(&universe).await;
    let certificate = network.authority.certify(NAME);
    let first = network.encrypted(&certificate);
    let (host, pvd) = network.serve_announced(&universe, "announced", &[protocol]).await;
    check_tags(&translate(&host, &pvd, "first.test").await.unwrap(), protocol.word(), true);
    first.stop();
    let second = network.encrypted(&certificate);
    check_tags(&translate(&host, &pvd, "second.test").await.unwrap(), protocol.word(), true);
    assert_eq!(second.questions().len(), 2);
}

#[test]
fn a_closed_connection_of_tls_is_opened_anew() {
    universe::run(async |universe| reopen(universe, Protocol::Dot).await);
}

#[test]
fn a_closed_connection_of_https_is_opened_anew() {
    universe::run(async |universe| reopen(universe, Protocol::Doh).await);
}

#[test]
fn a_closed_connection_of_quic_is_opened_anew() {
    universe::run(async |universe| reopen(universe, Protocol::Doq).await);
}

/// hickory's server takes a hundred questions over one connection of QUIC; then it is closed.
#[test]
fn more_translations_than_a_connection_takes() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let _server = network.encrypted(&network.authority.certify(NAME));
        let (host, pvd) = network.serve_announced(&universe, "announced", &[Protocol::Doq]).await;
        for n in 0..120 {
            check_tags(&translate(&host, &pvd, &format!("n{n}.test")).await.unwrap(), "doq", true);
        }
    });
}

/// A translation that is stopped leaves no connection of its own behind, and none of others breaks.
#[test]
fn stopping_closes_what_nobody_else_needs() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let server = network.encrypted(&network.authority.certify(NAME));
        let (host, pvd) = network.serve_announced(&universe, "announced", &[Protocol::Dot]).await;
        let before = host.descriptors();
        let (subscriber, mut messages) = Subscriber::create(&host.connection, "stops").await.unwrap();
        let options = TranslateOptions::default();
        subscriber.translate_name(1, &pvd, "x.silent.test", &options).await.unwrap();
        subscriber.translate_name(2, &pvd, "slow.example", &options).await.unwrap();
        eventually("four questions", async || match server.questions().len() {
            4 => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
        subscriber.stop_translating_name(1).await.unwrap();
        let a = next(&mut messages).await;
        assert!(
            matches!(&a, Message::NameTranslation { translation_id: 2, answer } if answer.address == ip("203.0.113.7")),
            "{a:?}"
        );
        server.release();
        let aaaa = next(&mut messages).await;
        assert!(matches!(aaaa, Message::NameTranslation { translation_id: 2, .. }), "{aaaa:?}");
        assert!(matches!(next(&mut messages).await, Message::TranslationFinished { translation_id: 2, .. }));
        subscriber.translate_name(3, &pvd, "y.silent.test", &options).await.unwrap();
        eventually("two more questions", async || match server.questions().len() {
            6 => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
        assert_eq!(host.descriptors(), before + 1);
        subscriber.stop_translating_name(3).await.unwrap();
        host.wait_for_descriptors(before).await;
    });
}

/// The record of the network's resolver in its own DNS (RFC 9461): DoT, at the address of `NAME`.
fn described() -> Reply {
    let service = [&[0, 1][..], &wire(NAME), &[0, 1, 0, 4, 3], b"dot"].concat();
    Reply::record(SVCB, service)
}

/// A name on the wire.
fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

const SVCB: u16 = 64;
const DESIGNATION: &str = "_dns.dns.isp.test";

/// The network of [`Network::start`], whose Router Advertisement only names its resolver. What of it is known in the
/// clear, and a translation in it.
async fn named(universe: &Universe, designation: Reply) -> (Network, ServedHost, OwnedObjectPath) {
    let mut zone = zone();
    zone.extend([(DESIGNATION, designation), (NAME, Reply::addresses([ip(SERVER)]))]);
    let network = Network::start_with(universe, zone).await;
    let host = network.serve(universe, "announced").await;
    let message = RouterAdvertisement::new(1800).prefix(PREFIX, 64, 3600, 1800).dns_servers(3600, &[SERVER]);
    RawSender::on(network.cable.far()).send(message.named_resolver(NAME).bytes());
    let pvd = pvd(&host).await;
    announced(&host, &pvd).await;
    (network, host, pvd)
}

/// RFC 9463 3.1.6, RFC 9462 5: only the resolver itself is asked for in the clear.
#[test]
fn a_resolver_that_is_only_named_is_looked_up() {
    universe::run(async |universe| {
        let (network, host, pvd) = named(&universe, described()).await;
        let server = network.encrypted(&network.authority.certify("other.isp.test"));
        let (kind, text) = refusal(translate(&host, &pvd, "www.test").await);
        assert_eq!(kind, ErrorKind::ServerFailure, "{text}");
        assert!(text.contains("encrypted"), "{text}");
        server.stop();
        let server = network.encrypted(&network.authority.certify(NAME));
        for name in ["www.test", "other.test"] {
            check_tags(&translate(&host, &pvd, name).await.unwrap(), "dot", true);
        }
        let asked: Vec<String> =
            network.plain.questions().into_iter().map(|question| question.name).collect();
        assert!(asked.iter().all(|name| [DESIGNATION, NAME].contains(&&**name)), "{asked:?}");
        assert_eq!(network.plain.count(DESIGNATION), 1, "asked once");
        assert_eq!(server.questions().len(), 4);
    });
}

#[test]
fn a_resolver_that_cannot_be_found_by_its_name_is_none() {
    universe::run(async |universe| {
        // An alias of nothing (RFC 9460 2.5.1): there is no such service.
        let (network, host, pvd) = named(&universe, Reply::record(SVCB, vec![0, 0, 0])).await;
        check_tags(&translate(&host, &pvd, "www.test").await.unwrap(), "udp", false);
        assert_eq!(network.plain.count(DESIGNATION), 1, "asked once");
    });
}

/// Whoever keeps back what there is to know of the resolver gets nothing in the clear for it.
#[test]
fn a_resolver_that_nobody_tells_of_is_not_replaced() {
    universe::run(async |universe| {
        let (network, host, pvd) = named(&universe, Reply::silence()).await;
        let options =
            TranslateOptions { timeout: Some(Duration::from_secs(15)), ..TranslateOptions::default() };
        let asking = mif::translate_name(&host.connection, &pvd, "www.test", &options);
        let (kind, text) = refusal(completes("the end of the translation", asking).await);
        assert!(matches!(kind, ErrorKind::ServerFailure | ErrorKind::TimedOut), "{text}");
        assert_eq!(network.plain.count("www.test"), 0);
    });
}
