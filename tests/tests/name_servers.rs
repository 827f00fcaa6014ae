//! Names asked of real name servers: knot, the authority of a zone, and unbound, a resolver in front of it that speaks
//! UDP, TCP, DoT and DoH.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use mif::wire::Family;
use mif::{ErrorKind, TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Knot, Unbound};
use mif_tests::dns::{DnsServer, Reply};
use mif_tests::encrypted_dns::{Authority, DOH_PATH, Protocol};
use mif_tests::node::Node;
use mif_tests::peers;
use mif_tests::process::Process;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use zbus::OwnedObjectPath;

/// The authentication domain name of the network's resolver.
const NAME: &str = "dns.isp.test";
/// Where the network's resolver is.
const SERVER: &str = "2001:db8:1::53";
/// Where the authority is, when that is somebody else.
const AUTHORITY: &str = "2001:db8:1::5";
const PREFIX: &str = "2001:db8:1::";
/// What unbound and knot can speak of what is announced.
const ANNOUNCED: [Protocol; 2] = [Protocol::Dot, Protocol::Doh];

/// A network behind link `eth1` of the host.
struct Network {
    cable: Cable,
    authority: Authority,
}

impl Network {
    async fn start(universe: &Universe) -> Self {
        peers::mount();
        let isp = universe.node("isp");
        let cable = Cable::between(universe.host().end("eth1"), isp.end("lan")).await;
        for address in [&format!("{PREFIX}1"), SERVER, AUTHORITY] {
            cable.far().add_address(&format!("{address}/64"));
        }
        Self { cable, authority: Authority::new("the ISP") }
    }

    fn node(&self) -> &Node {
        self.cable.far().node()
    }

    fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        self.authority.certify_files(name)
    }

    /// knot with the zone of these tests.
    async fn knot(&self, address: &str) -> Process {
        // Thirty addresses fit into a datagram of EDNS only, and sixty into none.
        let medium = (1..=30).map(|n| format!("medium AAAA 2001:db8:ffff::{n:x}"));
        let long = (1..=60).map(|n| format!("long AAAA 2001:db8:ffff::{n:x}"));
        let more = (1..=200).map(|n| format!("more A 203.0.113.{n}"));
        let lines = [
            "www A 203.0.113.7",
            "www AAAA 2001:db8:ffff::7",
            "v4only 300 A 203.0.113.8",
            "unkept 0 A 203.0.113.9",
            "brief 1 A 203.0.113.13",
            "first CNAME second",
            "second CNAME third.below",
            "third.below CNAME www",
            "loop CNAME pool",
            "pool CNAME loop",
            "away CNAME elsewhere.example.",
            "old DNAME new",
            "host.new A 203.0.113.10",
            "*.many A 203.0.113.11",
            "xn--bcher-kva A 203.0.113.12",
        ];
        let lines = lines.into_iter().map(str::to_owned).chain(medium).chain(long).chain(more);
        lines.fold(Knot::on(self.node(), ip(address)), |knot, line| knot.record(&line)).start().await
    }

    /// unbound in front of that, for DoT and DoH with a certificate of this name.
    fn unbound(&self, certified: &str) -> Unbound {
        Unbound::on(self.node(), ip(AUTHORITY)).encrypted(ip(SERVER), &self.certificate(certified))
    }

    /// Somebody who would answer in the clear, to see that nobody comes.
    fn plain(&self) -> DnsServer {
        DnsServer::on(self.node(), ip(SERVER), [("*.test", Reply::addresses([ip("192.0.2.66")]))])
    }

    /// mifd, and the PvD whose resolver is announced with these.
    async fn serve(
        &self,
        universe: &Universe,
        encryption: &str,
        protocols: &[Protocol],
    ) -> (ServedHost, OwnedObjectPath) {
        let authority = self.authority.file();
        let config = format!("[dns]\nencryption = \"{encryption}\"\ncertificates = {authority:?}\n");
        let host = ServedHost::start_with(universe, |settings| settings.config(&config)).await;
        let mut message =
            RouterAdvertisement::new(1800).prefix(PREFIX, 64, 3600, 1800).dns_servers(3600, &[SERVER]);
        if !protocols.is_empty() {
            let alpn: Vec<&str> = protocols.iter().map(|protocol| protocol.alpn()).collect();
            message = message.encrypted_dns(NAME, &[SERVER], &alpn, &format!("{DOH_PATH}{{?dns}}"));
        }
        RawSender::on(self.cable.far()).send(message.bytes());
        let [pvd] = host.pvds(["eth1"], Family::Ipv6, true).await;
        if !protocols.is_empty() {
            announced(&host, &pvd).await;
        }
        (host, pvd)
    }

    /// How many connections of TCP the servers of the network hold at this port.
    fn connections(&self, port: u16) -> usize {
        let filter = format!("sport = :{port}");
        let arguments = ["--no-header", "--numeric", "--tcp", "state", "established", filter.as_str()];
        self.node().run("ss", arguments).lines().count()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Waits until the service knows of the announced resolver.
async fn announced(host: &ServedHost, pvd: &OwnedObjectPath) {
    let interface = Some("org.ietf.Mif1.ProvisioningDomain");
    eventually("the announced resolver", async || {
        let about = ("any", "encrypted-dns");
        let asking = host.connection.call_method(
            Some("org.ietf.Mif1"),
            pvd,
            interface,
            "GetConfigurationData",
            &about,
        );
        asking.await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

async fn translate(host: &ServedHost, pvd: &OwnedObjectPath, name: &str) -> mif::Result<Translation> {
    let options = TranslateOptions::default();
    completes(name, mif::translate_name(&host.connection, pvd, name, &options)).await
}

/// Where the answers come from, and whether nobody could read them.
#[track_caller]
fn check_tags(translation: &Translation, transport: &str, encrypted: bool) {
    assert!(!translation.answers.is_empty());
    for answer in &translation.answers {
        assert_eq!(answer.server.as_deref(), Some(SERVER), "{answer:?}");
        assert_eq!(answer.transport.as_deref(), Some(transport), "{answer:?}");
        assert_eq!(answer.encrypted, encrypted, "{answer:?}");
    }
}

fn addresses(translation: &Translation) -> BTreeSet<IpAddr> {
    translation.answers.iter().map(|answer| answer.address).collect()
}

/// Names of the zone, whatever they come over; `short` is the transport of what fits into a datagram.
async fn check_zone(host: &ServedHost, pvd: &OwnedObjectPath, short: &str, encrypted: bool) {
    let both = vec!["203.0.113.7", "2001:db8:ffff::7"];
    for (name, expected, canonical) in [
        ("www.test", both.clone(), "www.test"),
        ("v4only.test", vec!["203.0.113.8"], "v4only.test"),
        ("first.test", both, "www.test"),
        ("host.old.test", vec!["203.0.113.10"], "host.new.test"),
        ("x.many.test", vec!["203.0.113.11"], "x.many.test"),
        ("bücher.test", vec!["203.0.113.12"], "xn--bcher-kva.test"),
    ] {
        let answer = translate(host, pvd, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(addresses(&answer), expected.into_iter().map(ip).collect(), "{name}");
        assert_eq!(answer.canonical_name.as_deref(), Some(canonical), "{name}");
        check_tags(&answer, short, encrypted);
    }
    let long = if encrypted { short } else { "tcp" };
    for (name, count, truncated, transport) in
        [("medium.test", 30, false, short), ("long.test", 60, false, long), ("more.test", 64, true, long)]
    {
        let answer = translate(host, pvd, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((answer.answers.len(), answer.truncated), (count, truncated), "{name}");
        check_tags(&answer, transport, encrypted);
    }
    let (kind, text) = refusal(translate(host, pvd, "nobody.test").await);
    assert_eq!(kind, ErrorKind::NameNotFound, "{text}");
}

#[test]
fn knot_answers() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        let knot = network.knot(SERVER).await;
        let (host, pvd) = network.serve(&universe, "announced", &[]).await;
        check_zone(&host, &pvd, "udp", false).await;
        let options = TranslateOptions { family: Some(Family::Ipv6), ..TranslateOptions::default() };
        let asking = mif::translate_name(&host.connection, &pvd, "v4only.test", &options);
        let (kind, text) = refusal(completes("a name without IPv6 addresses", asking).await);
        assert_eq!(kind, ErrorKind::NoAddress, "{text}");
        let (kind, text) = refusal(translate(&host, &pvd, "loop.test").await);
        assert_eq!(kind, ErrorKind::ServerFailure, "{text}");
        // It is the authority for nothing else.
        for name in ["elsewhere.example", "away.test"] {
            let (kind, text) = refusal(translate(&host, &pvd, name).await);
            assert_eq!(kind, ErrorKind::ServerFailure, "{name}: {text}");
        }
        // What may be kept answers when nobody else does any more.
        for (name, ttl) in [("v4only.test", 300), ("brief.test", 1), ("unkept.test", 0)] {
            let answer = translate(&host, &pvd, name).await.unwrap();
            let left = answer.answers[0].ttl.unwrap();
            assert!(left <= Duration::from_secs(ttl), "{name}: {left:?}");
            assert!(
                left >= Duration::from_secs(ttl).saturating_sub(Duration::from_mins(2)),
                "{name}: {left:?}"
            );
        }
        knot.kill().await;
        assert_eq!(
            addresses(&translate(&host, &pvd, "v4only.test").await.unwrap()),
            [ip("203.0.113.8")].into()
        );
        assert_eq!(refusal(translate(&host, &pvd, "nobody.test").await).0, ErrorKind::NameNotFound);
        assert_eq!(refusal(translate(&host, &pvd, "unkept.test").await).0, ErrorKind::ServerFailure);
        // It is gone when its second is over.
        let over = eventually("a short time to be over", async || {
            match translate(&host, &pvd, "brief.test").await {
                Ok(kept) => Err(format!("{kept:?}")),
                error => Ok(refusal(error).0),
            }
        })
        .await;
        assert_eq!(over, ErrorKind::ServerFailure);
        network.knot(SERVER).await;
        assert_eq!(
            addresses(&translate(&host, &pvd, "unkept.test").await.unwrap()),
            [ip("203.0.113.9")].into()
        );
    });
}

#[test]
fn unbound_answers_in_the_clear() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        network.knot(AUTHORITY).await;
        Unbound::on(network.node(), ip(AUTHORITY)).plain(ip(SERVER)).start().await;
        let (host, pvd) = network.serve(&universe, "announced", &[]).await;
        check_zone(&host, &pvd, "udp", false).await;
        // It knows no way to the rest of the world.
        let (kind, text) = refusal(translate(&host, &pvd, "elsewhere.example").await);
        assert_eq!(kind, ErrorKind::ServerFailure, "{text}");
    });
}

/// unbound behind one protocol of encrypted DNS: everything of the zone, many at a time, over connections that unbound
/// closes, and over its end.
async fn ask_encrypted(universe: Universe, protocol: Protocol) {
    let network = Network::start(&universe).await;
    network.knot(AUTHORITY).await;
    let plain = network.plain();
    // It closes connections that say nothing for two seconds.
    let unbound = network.unbound(NAME).line("tcp-idle-timeout: 2000");
    let process = unbound.clone().start().await;
    let (host, pvd) = network.serve(&universe, "announced", &[protocol]).await;
    check_zone(&host, &pvd, protocol.word(), true).await;
    let names = (0..200).map(|n| format!("n{n}.many.test"));
    stream::iter(names)
        .map(|name| {
            let (host, pvd) = (&host, &pvd);
            async move {
                let answer = translate(host, pvd, &name).await;
                let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
                check_tags(&answer, protocol.word(), true);
            }
        })
        .buffer_unordered(32)
        .collect::<Vec<()>>()
        .await;
    eventually("unbound to close its connections", async || match network.connections(protocol.port()) {
        0 => Ok(()),
        open => Err(open.to_string()),
    })
    .await;
    check_tags(&translate(&host, &pvd, "closed.many.test").await.unwrap(), protocol.word(), true);
    process.terminate().await;
    let (kind, text) = refusal(translate(&host, &pvd, "gone.many.test").await);
    assert_eq!(kind, ErrorKind::ServerFailure, "{text}");
    let process = unbound.start().await;
    check_tags(&translate(&host, &pvd, "back.many.test").await.unwrap(), protocol.word(), true);
    assert!(process.log().contains("back.many.test. A IN"), "{}", process.log());
    assert_eq!(plain.questions(), []);
}

#[test]
fn unbound_answers_over_tls() {
    universe::run(async |universe| ask_encrypted(universe, Protocol::Dot).await);
}

#[test]
fn unbound_answers_over_https() {
    universe::run(async |universe| ask_encrypted(universe, Protocol::Doh).await);
}

/// A certificate of another name, or of an authority that nobody trusts: strictly nothing is asked in the clear instead
/// (RFC 8310 5).
async fn refuse_another_name(universe: Universe, protocol: Protocol) {
    let network = Network::start(&universe).await;
    network.knot(AUTHORITY).await;
    let plain = network.plain();
    let (host, pvd) = network.serve(&universe, "announced", &[protocol]).await;
    for (certificate, why) in [
        (network.certificate("other.isp.test"), "not valid for name"),
        (Authority::new("somebody").certify_files(NAME), "UnknownIssuer"),
    ] {
        let unbound = Unbound::on(network.node(), ip(AUTHORITY)).encrypted(ip(SERVER), &certificate);
        let unbound = unbound.start().await;
        let (kind, text) = refusal(translate(&host, &pvd, "www.test").await);
        assert_eq!(kind, ErrorKind::ServerFailure, "{text}");
        assert!(text.contains("encrypted"), "{text}");
        assert!(host.mifd.process().log().contains(why), "{why}");
        assert!(!unbound.log().contains("www.test"), "{}", unbound.log());
        unbound.terminate().await;
    }
    network.unbound(NAME).start().await;
    check_tags(&translate(&host, &pvd, "www.test").await.unwrap(), protocol.word(), true);
    assert_eq!(plain.questions(), []);
}

#[test]
fn unbound_with_another_name_is_not_believed_over_tls() {
    universe::run(async |universe| refuse_another_name(universe, Protocol::Dot).await);
}

#[test]
fn unbound_with_another_name_is_not_believed_over_https() {
    universe::run(async |universe| refuse_another_name(universe, Protocol::Doh).await);
}

/// Where encryption is wished for, not required, such a resolver is asked in the clear, and the answer says so.
#[test]
fn unbound_with_another_name_is_asked_in_the_clear_where_that_is_allowed() {
    universe::run(async |universe| {
        let network = Network::start(&universe).await;
        network.knot(AUTHORITY).await;
        let unbound = network.unbound("other.isp.test").plain(ip(SERVER)).start().await;
        let (host, pvd) = network.serve(&universe, "opportunistic", &ANNOUNCED).await;
        check_tags(&translate(&host, &pvd, "www.test").await.unwrap(), "udp", false);
        assert!(unbound.log().contains("www.test. A IN"), "{}", unbound.log());
    });
}
