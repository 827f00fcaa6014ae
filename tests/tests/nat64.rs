//! Networks of IPv6 only, which reach IPv4 through a NAT64 (RFC 6147, RFC 7050, RFC 8781).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::net::{IpAddr, TcpListener};

use mif::wire::Family;
use mif::{ErrorKind, TranslateOptions, Translation};
use mif_tests::cable::Cable;
use mif_tests::dns::{DnsServer, Reply};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::{ServedHost, refusal};
use mif_tests::universe::{self, Universe};
use mif_tests::wait::completes;
use zbus::{Fd, Message, OwnedObjectPath, OwnedVariant, Variant};

const SERVER: &str = "2001:db8:1::53";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A network behind `eth1` with a DNS server that is no DNS64, and a host in it.
struct Network {
    cable: Cable,
    dns: DnsServer,
    host: ServedHost,
    pvd: OwnedObjectPath,
}

impl Network {
    async fn start(universe: &Universe, pref64: Option<&str>, ipv4_only: Option<Reply>) -> Self {
        let router = universe.node("router");
        router.forward();
        let near = universe.host().end("eth1").mac("02:00:00:00:00:09");
        let cable = Cable::between(near, router.end("lan").mac("02:00:00:00:00:01")).await;
        cable.far().add_address(&format!("{SERVER}/64"));
        let mut zone = vec![
            ("v4.test", Reply::addresses([ip("198.51.100.7"), ip("198.51.100.8")])),
            ("alias.test", Reply::addresses([ip("198.51.100.7")]).alias_of("v4.test")),
            ("v6.test", Reply::addresses([ip("2001:db8:ffff::7")])),
            ("both.test", Reply::addresses([ip("198.51.100.7"), ip("2001:db8:ffff::7")])),
            ("private.test", Reply::addresses([ip("10.1.2.3")])),
            ("mapped.test", Reply::addresses([ip("198.51.100.7"), ip("::ffff:198.51.100.7")])),
        ];
        zone.extend(ipv4_only.map(|reply| ("ipv4only.arpa", reply)));
        let dns = DnsServer::on(&router, ip(SERVER), zone);
        let host = ServedHost::start(universe).await;
        let mut message = RouterAdvertisement::new(1800)
            .prefix("2001:db8:1::", 64, 3600, 1800)
            .dns_servers(3600, &[SERVER]);
        if let Some(prefix) = pref64 {
            message = message.pref64(prefix, 1800);
        }
        RawSender::on(cable.far()).send(message.bytes());
        let [pvd] = host.pvds(["eth1"], Family::Ipv6, true).await;
        Self { cable, dns, host, pvd }
    }

    async fn connect(&self, address: &str) -> zbus::Result<Message> {
        let arguments = (address, 80_u16, HashMap::<&str, Variant<'_>>::new());
        let interface = Some("org.ietf.Mif1.ProvisioningDomain");
        let connection = &self.host.connection;
        let call = connection.call_method(
            Some("org.ietf.Mif1"),
            &self.pvd,
            interface,
            "ConnectToAddress",
            &arguments,
        );
        completes(&format!("the connection to {address}"), call).await
    }

    async fn translate(&self, name: &str, family: Option<Family>) -> mif::Result<Translation> {
        let options = TranslateOptions { family, ..TranslateOptions::default() };
        let asking = mif::translate_name(&self.host.connection, &self.pvd, name, &options);
        completes(&format!("the translation of {name}"), asking).await
    }

    /// Made and other addresses of a name, each sorted.
    async fn found(&self, name: &str, family: Option<Family>) -> (Vec<String>, Vec<String>) {
        let translation =
            self.translate(name, family).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (made, other): (Vec<_>, Vec<_>) =
            translation.answers.into_iter().partition(|answer| answer.synthesized);
        for answer in &made {
            assert!(answer.server.as_deref() == Some(SERVER) && answer.ttl.is_some(), "{answer:?}");
        }
        let sorted = |answers: Vec<mif::Answer>| {
            let mut text: Vec<String> = answers.iter().map(|answer| answer.address.to_string()).collect();
            text.sort();
            text
        };
        (sorted(made), sorted(other))
    }
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn addresses_are_made_with_the_prefix_that_the_network_announces() {
    universe::run(async |universe| {
        let network = Network::start(&universe, Some("64:ff9b::"), None).await;
        let both = ["64:ff9b::c633:6407".to_owned(), "64:ff9b::c633:6408".to_owned()].to_vec();
        let ipv4 = ["198.51.100.7".to_owned(), "198.51.100.8".to_owned()].to_vec();
        assert_eq!(network.found("v4.test", None).await, (both.clone(), ipv4.clone()));
        assert_eq!(network.found("v4.test", Some(Family::Ipv6)).await, (both, none()));
        assert_eq!(network.found("v4.test", Some(Family::Ipv4)).await, (none(), ipv4));
        let one = vec!["64:ff9b::c633:6407".to_owned()];
        assert_eq!(network.found("alias.test", Some(Family::Ipv6)).await, (one.clone(), none()));
        let alias = network.translate("alias.test", Some(Family::Ipv6)).await.unwrap();
        assert_eq!(alias.canonical_name.as_deref(), Some("v4.test"));
        // Not where there are IPv6 addresses, and mapped ones are none (RFC 6147 5.1.1, 5.1.4).
        let real = vec!["2001:db8:ffff::7".to_owned()];
        assert_eq!(network.found("v6.test", None).await, (none(), real.clone()));
        assert_eq!(network.found("both.test", Some(Family::Ipv6)).await, (none(), real));
        assert_eq!(network.found("mapped.test", Some(Family::Ipv6)).await, (one, none()));
        // The well-known prefix leads to no private network (RFC 6052 3.1), and what does not exist stays so.
        for (name, kind) in [("private.test", ErrorKind::NoAddress), ("absent.test", ErrorKind::NameNotFound)]
        {
            let failed = network.translate(name, Some(Family::Ipv6)).await;
            assert_eq!(refusal(failed).0, kind, "{name}");
        }
        assert_eq!(network.dns.count("ipv4only.arpa"), 0, "the announcement is enough");
    });
}

#[test]
fn the_prefix_is_learned_from_dns_where_none_is_announced() {
    universe::run(async |universe| {
        let dns64 = Reply::addresses([ip("2001:db8:64:0:c0:0:aa00::"), ip("2001:db8:64:0:c0:0:ab00::")]);
        let network = Network::start(&universe, None, Some(dns64)).await;
        let made = vec!["2001:db8:64:0:c6:3364:700:0".to_owned()];
        assert_eq!(network.found("alias.test", Some(Family::Ipv6)).await, (made.clone(), none()));
        let private = vec!["2001:db8:64:0:a:102:300:0".to_owned()];
        assert_eq!(network.found("private.test", Some(Family::Ipv6)).await, (private, none()));
        assert_eq!(network.found("both.test", Some(Family::Ipv6)).await.0, none());
        assert_eq!(network.dns.count("ipv4only.arpa"), 1, "asked once, by whoever needed it first");
    });
}

#[test]
fn nothing_is_made_without_a_translator() {
    universe::run(async |universe| {
        let network = Network::start(&universe, None, None).await;
        let failed = network.translate("v4.test", Some(Family::Ipv6)).await;
        assert_eq!(refusal(failed).0, ErrorKind::NoAddress);
        assert_eq!(network.found("private.test", None).await, (none(), vec!["10.1.2.3".to_owned()]));
        assert!(network.dns.count("ipv4only.arpa") > 0, "asked, and there is none");
    });
}

/// Connects to 198.51.100.7 in a network whose translator makes `behind` of that. The router plays the translator and
/// the server behind it.
async fn connects_through(network: &Network, behind: &str) {
    let router = network.cable.far().node();
    router.ip(&format!("address add {behind}/128 dev lo nodad"));
    let listener = router.within(|| TcpListener::bind((behind, 80)).unwrap());
    let message = network.connect("198.51.100.7").await.unwrap();
    let body = message.body();
    let (_socket, details): (Fd<'_>, HashMap<String, OwnedVariant>) = body.deserialize().unwrap();
    assert_eq!(details["remote-address"], Variant::from(behind).try_into().unwrap());
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(details["local-address"], Variant::from(peer.ip().to_string()).try_into().unwrap());
}

#[test]
fn an_ipv4_address_is_connected_to_through_the_translator() {
    universe::run(async |universe| {
        let network = Network::start(&universe, Some("64:ff9b::"), None).await;
        connects_through(&network, "64:ff9b::c633:6407").await;
        assert_eq!(network.dns.count("ipv4only.arpa"), 0, "the announcement is enough");
    });
}

/// RFC 7050.
#[test]
fn an_ipv4_address_is_connected_to_through_a_translator_that_only_dns_tells_of() {
    universe::run(async |universe| {
        let dns64 = Reply::addresses([ip("2001:db8:64::c000:aa"), ip("2001:db8:64::c000:ab")]);
        let network = Network::start(&universe, None, Some(dns64)).await;
        connects_through(&network, "2001:db8:64::c633:6407").await;
        // Nobody listens there any more.
        let refused = network.connect("198.51.100.7").await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("ConnectionRefused"), "{refused}");
        assert_eq!(network.dns.count("ipv4only.arpa"), 1, "asked once");
    });
}

#[test]
fn without_a_translator_there_is_no_way_to_an_ipv4_address() {
    universe::run(async |universe| {
        let network = Network::start(&universe, None, None).await;
        let refused = network.connect("198.51.100.7").await.map(drop).unwrap_err().to_string();
        for word in ["NetworkUnreachable", "does not provide IPv4"] {
            assert!(refused.contains(word), "{refused}");
        }
        assert!(network.dns.count("ipv4only.arpa") > 0, "asked, and there is none");
        // What is refused anyway is refused without a question.
        let before = network.dns.count("ipv4only.arpa");
        let refused = network.connect("127.0.0.1").await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("InvalidArgs"), "{refused}");
        assert_eq!(network.dns.count("ipv4only.arpa"), before);
    });
}
