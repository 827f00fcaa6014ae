//! Additional information (RFC 8801 4) and the captive portal API (RFC 8908) over real TLS, on real links.
//!
//! Each network is a cable to a router of its own, with a DNS server and an HTTPS server; all of them use the same
//! addresses of servers, so that a request on a wrong link would find somebody to answer it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mif::happy_eyeballs::{Options, Policy, Reserve, connect};
use mif::wire::Element;
use mif::{NameRequest, ProvisioningDomain, connect_to_name};
use mif_tests::cable::Cable;
use mif_tests::daemons::{Dhclient, MifdSettings};
use mif_tests::dns::{self, DnsServer};
use mif_tests::https::{Authority, HttpRequest, HttpsServer, Identity, Reply};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::topology::DhcpProvider;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::{completes, eventually};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const HTTP: u16 = 0x8000;
const ID: &str = "isp.example.org";
const DNS: &str = "2001:db8:ff::53";
const WEB: &str = "2001:db8:ff::80";

/// A network that is a cable away.
struct Network {
    cable: Cable,
    number: u8,
    dns: DnsServer,
    web: HttpsServer,
}

impl Network {
    /// Its PvD is `id`, `eth{number}` leads to it, and its servers answer so.
    async fn new(
        universe: &Universe,
        number: u8,
        id: &str,
        identity: Identity,
        answer: impl Fn(&HttpRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::named(universe, number, id, identity, &[WEB], WEB, answer).await
    }

    /// The same, where the DNS server says that `id` is at `addresses`, and the HTTPS server listens at `web`.
    async fn named(
        universe: &Universe,
        number: u8,
        id: &str,
        identity: Identity,
        addresses: &[&str],
        web: &str,
        answer: impl Fn(&HttpRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let router = universe.node(&format!("router{number}"));
        // A neighbour that does not say that it is a router loses its place as one (RFC 4861 7.2.5).
        router.forward();
        let mac = |side: u8| format!("02:00:00:00:{side:02x}:{number:02x}");
        let near = universe.host().end(&format!("eth{number}")).mac(&mac(1));
        let cable = Cable::between(near, router.end("lan").mac(&mac(0))).await;
        for address in [DNS, WEB] {
            cable.far().add_address(&format!("{address}/128"));
        }
        router.ip(&format!("route add 2001:db8:{number}::/64 dev lan"));
        let of_id = dns::Reply::addresses(addresses.iter().map(|address| ip(address)));
        let zone = [(id, of_id), ("web.example", dns::Reply::addresses([ip(WEB)]))];
        let dns = DnsServer::on(&router, ip(DNS), zone);
        let web = HttpsServer::on(&router, ip(web), identity, answer);
        Self { cable, number, dns, web }
    }

    /// Its router says what it has to say: its prefix, its server for names, and this PvD option.
    fn advertise(&self, flags: u16, sequence: u16, id: &str) {
        self.send(self.content().pvd(flags, sequence, id, &RouterAdvertisement::new(0)));
    }

    fn content(&self) -> RouterAdvertisement {
        RouterAdvertisement::new(1800)
            .prefix(&format!("2001:db8:{}::", self.number), 64, 3600, 1800)
            .dns_servers(3600, &[DNS])
    }

    fn send(&self, message: RouterAdvertisement) {
        RawSender::on(self.cable.far()).send(message.bytes());
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An object that is good for an hour.
fn information(id: &str, more: Value) -> String {
    let expires = OffsetDateTime::now_utc() + Duration::from_secs(3600);
    let expires = expires.format(&Rfc3339).unwrap();
    let mut object = json!({"identifier": id, "expires": expires, "prefixes": ["2001:db8::/32"]});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object.to_string()
}

fn pvd_json(body: impl Into<Vec<u8>>) -> Reply {
    Reply::document("application/pvd+json", body)
}

async fn served_trusting(universe: &Universe, authority: &Authority) -> ServedHost {
    served_with(universe, authority, |settings| settings).await
}

async fn served_with(
    universe: &Universe,
    authority: &Authority,
    settings: impl FnOnce(MifdSettings) -> MifdSettings,
) -> ServedHost {
    let file = authority.file("authority.pem");
    ServedHost::start_with(universe, |own| settings(own.environment("SSL_CERT_FILE", file))).await
}

fn informed(pvd: &ProvisioningDomain) -> bool {
    pvd.elements.contains(&Element::AdditionalInformation)
}

/// Flag H to announcement: the request says nothing of this host, and what came of it is shown.
#[test]
fn additional_information_is_asked_for_and_shown() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let more = json!({
            "noInternet": true,
            "dnsZones": ["Corp.Example.org."],
            "splitDnsClaims": [{"resolver": "dns.example.org", "parent": "example.org", "subdomains": ["*"],
                                "algorithm": "SHA384", "salt": "abc"}],
        });
        let network = Network::new(&universe, 1, ID, authority.vouch(&[ID]), move |_| {
            pvd_json(information(ID, more.clone()))
        })
        .await;
        let served = served_trusting(&universe, &authority).await;
        network.advertise(HTTP, 7, ID);
        let pvd = served.pvd_where(ID, informed).await;

        let requests = network.web.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(requests[0].line, "GET /.well-known/pvd HTTP/1.1");
        assert_eq!(requests[0].headers, ["host: isp.example.org", "accept: application/pvd+json"]);
        assert!(pvd.addresses.iter().any(|own| own.address == requests[0].from), "{:?}", requests[0].from);

        let data = served.configuration(&pvd, "additional-information").await;
        assert_eq!(data["no-internet"], json!({"type": "b", "data": true}));
        assert_eq!(data["dns-zones"], json!({"type": "as", "data": ["corp.example.org"]}));
        let text = data["additional-information"]["data"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap()["identifier"], ID);
        assert_eq!(data["additional-information-expires"]["type"], "t");
        let claim = &data["split-dns-claims"]["data"][0];
        assert_eq!(claim["parent"]["data"], "example.org");
        assert_eq!(claim["verified"]["data"], false);
        assert_eq!(served.configuration(&pvd, "any").await["no-internet"]["data"], true);

        // The same again changes nothing, and asks nobody; another sequence number ends it at once.
        network.send(network.content().search_domains(600, &["one.example"]).pvd(
            HTTP,
            7,
            ID,
            &RouterAdvertisement::new(0),
        ));
        let pvd = served.pvd_where(ID, |pvd| !pvd.search_domains.is_empty()).await;
        assert!(informed(&pvd));
        assert_eq!(network.web.requests().len(), 1);
        network.advertise(HTTP, 8, ID);
        served.pvd_where(ID, |pvd| !informed(pvd)).await;
        // Ten seconds after the first request at the earliest.
        served.pvd_where(ID, informed).await;
        assert_eq!(network.web.requests().len(), 2);
        network.advertise(0, 8, ID);
        served.pvd_where(ID, |pvd| !informed(pvd)).await;
    });
}

/// Everything that must not be used, each on a link of its own; one good network shows that there was time enough.
#[test]
fn what_is_wrong_is_not_used() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let nobody = Authority::new("nobody");
        let long = format!("{}\n", " ".repeat(70_000));
        let old = "2020-01-01T00:00:00Z";
        let deep = json!({"x": "[".repeat(3)})
            .to_string()
            .replace("\"[[[\"", &format!("{}{}", "[".repeat(40), "]".repeat(40)));
        let wrong: Vec<(&str, Reply)> = vec![
            ("identifier", pvd_json(information("other.example.org", json!({})))),
            ("prefixes", pvd_json(information(ID, json!({"prefixes": ["2001:db8:10::/48"]})))),
            ("expired", pvd_json(information(ID, json!({"expires": old})))),
            ("type", Reply::document("application/json", information(ID, json!({})))),
            ("status", Reply::status("404 Not Found")),
            ("length", pvd_json(information(ID, json!({})) + &long)),
            ("depth", pvd_json(deep)),
            ("json", pvd_json("{\"identifier\":")),
            ("text", pvd_json(b"{\"identifier\":\"\xff\"}".to_vec())),
        ];
        let mut networks = Vec::new();
        for (number, (_, reply)) in (10..).zip(&wrong) {
            let reply = reply.clone();
            let identity = authority.vouch(&[ID]);
            networks.push(Network::new(&universe, number, ID, identity, move |_| reply.clone()).await);
        }
        // Certificates of somebody else, and of an authority that nobody trusts.
        for (number, identity) in [(30, authority.vouch(&["other.example.org"])), (31, nobody.vouch(&[ID]))] {
            let good = |_: &HttpRequest| pvd_json(information(ID, json!({})));
            networks.push(Network::new(&universe, number, ID, identity, good).await);
        }
        let good =
            Network::new(&universe, 1, "good.example.org", authority.vouch(&["good.example.org"]), |_| {
                pvd_json(information("good.example.org", json!({})))
            })
            .await;
        let served = served_trusting(&universe, &authority).await;
        for network in &networks {
            network.advertise(HTTP, 1, ID);
        }
        for network in &networks {
            eventually("a connection to each server", async || {
                let made = network.web.connections();
                if made > 0 { Ok(()) } else { Err(network.number) }
            })
            .await;
        }
        good.advertise(HTTP, 1, "good.example.org");
        served.pvd_where("good.example.org", informed).await;
        eventually("every connection to end", async || {
            let open: Vec<u8> = networks.iter().filter(|it| it.web.open() > 0).map(|it| it.number).collect();
            if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
        })
        .await;

        for network in &networks {
            let link = format!("eth{}", network.number);
            let state = served.state().await;
            let on_link =
                |pvd: &&ProvisioningDomain| state.interface_of(pvd).is_some_and(|it| it.name == link);
            let pvd = state.pvds().find(on_link).expect(&link);
            assert!(!informed(pvd), "{link}");
            assert_eq!(network.web.connections(), 1, "{link}: once is enough");
        }
        let silent: Vec<usize> = networks[wrong.len()..].iter().map(|it| it.web.requests().len()).collect();
        assert_eq!(silent, [0, 0], "who is not believed is not even asked");
    });
}

/// A connection that breaks, and a certificate that begins to be valid later (as when this host's clock is not set yet),
/// say nothing of the server: it is asked again, after a pause.
#[test]
fn what_breaks_before_tls_stands_is_asked_again() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let good = |_: &HttpRequest| pvd_json(information(ID, json!({})));
        let broken = Network::new(&universe, 1, ID, authority.vouch(&[ID]), good).await;
        broken.web.hang_up_on(1);
        let served = served_trusting(&universe, &authority).await;
        let soon = OffsetDateTime::now_utc() + Duration::from_secs(9);
        let early = Network::new(&universe, 2, ID, authority.vouch_from(&[ID], soon), good).await;
        broken.advertise(HTTP, 1, ID);
        early.advertise(HTTP, 1, ID);
        served
            .until("both to be informed", |state| {
                (state.pvds().filter(|pvd| informed(pvd)).count() == 2).then_some(())
            })
            .await;
        for network in [&broken, &early] {
            let made = (network.web.connections(), network.web.requests().len());
            assert_eq!(made, (2, 1), "network {}", network.number);
        }
    });
}

/// One ID on two links: each is asked by its own servers for names, at its own server, from its own source.
#[test]
fn each_network_is_asked_inside_itself() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let mut networks = Vec::new();
        for number in [1_u8, 2] {
            let zone = format!("zone{number}.example");
            let identity = authority.vouch(&[ID]);
            let answer = move |_: &HttpRequest| pvd_json(information(ID, json!({"dnsZones": [zone]})));
            networks.push(Network::new(&universe, number, ID, identity, answer).await);
        }
        // Everything that is bound to nothing leaves by the first.
        universe.host().ip("-6 route add default via fe80::ff:fe00:1 dev eth1 metric 1");
        let served = served_trusting(&universe, &authority).await;
        for network in &networks {
            network.advertise(HTTP, 1, ID);
        }
        let links = served
            .until("both to be informed", |state| {
                let done: Vec<ProvisioningDomain> =
                    state.pvds().filter(|pvd| informed(pvd)).cloned().collect();
                (done.len() == 2).then_some(done)
            })
            .await;
        for pvd in links {
            let state = served.state().await;
            let link = state.interface_of(&pvd).unwrap().name.clone();
            let network = networks.iter().find(|it| format!("eth{}", it.number) == link).unwrap();
            let zones = served.configuration(&pvd, "any").await["dns-zones"]["data"].clone();
            assert_eq!(zones, json!([format!("zone{}.example", network.number)]));
            let own: Vec<IpAddr> = pvd.addresses.iter().map(|address| address.address).collect();
            let requests = network.web.requests();
            assert!(requests.len() == 1 && own.contains(&requests[0].from), "{link}: {requests:?} {own:?}");
            let questions = network.dns.questions();
            assert!(
                !questions.is_empty() && questions.iter().all(|it| own.contains(&it.from)),
                "{questions:?}"
            );
        }
    });
}

/// Redirections inside the network are followed, three at most; none leads to this host, to neighbours, to another
/// port or to plain HTTP.
#[test]
fn redirections_have_limits() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let own = "https://[2001:db8:13::5]/x";
        let to: [(u8, &str, usize); 6] = [
            (10, "https://[::1]/x", 1),
            (11, "https://[fe80::1]/x", 1),
            (12, "http://web.example/x", 1),
            (13, own, 1),
            (14, "https://web.example:8443/x", 1),
            (15, "/.well-known/pvd", 4),
        ];
        let mut networks = Vec::new();
        for (number, location, _) in to {
            let identity = authority.vouch(&[ID, "web.example"]);
            let answer = move |_: &HttpRequest| Reply::redirect(location);
            networks.push(Network::new(&universe, number, ID, identity, answer).await);
        }
        networks[3].cable.near().add_address("2001:db8:13::5/64");
        let identity = authority.vouch(&["good.example.org", "web.example"]);
        let good = Network::new(&universe, 1, "good.example.org", identity, |request| {
            match request.line.split(' ').nth(1).unwrap() {
                "/.well-known/pvd" => Reply::redirect("/second"),
                "/second" => Reply::redirect("https://web.example/third?x"),
                "/third?x" => Reply::redirect("fourth"),
                _ => pvd_json(information("good.example.org", json!({}))),
            }
        })
        .await;
        let served = served_trusting(&universe, &authority).await;
        for network in &networks {
            network.advertise(HTTP, 1, ID);
        }
        for (network, (_, _, expected)) in networks.iter().zip(to) {
            eventually("the requests to a server", async || {
                let requests = network.web.requests().len();
                if requests >= expected {
                    Ok(())
                } else {
                    Err(format!("{requests} of network {}", network.number))
                }
            })
            .await;
        }
        good.advertise(HTTP, 1, "good.example.org");
        served.pvd_where("good.example.org", informed).await;
        let hosts: Vec<String> =
            good.web.requests().iter().map(|request| request.headers[0].clone()).collect();
        assert_eq!(hosts[1..], ["host: good.example.org", "host: web.example", "host: web.example"]);
        assert_eq!(good.web.requests()[3].line, "GET /fourth HTTP/1.1");
        for (network, (_, location, expected)) in networks.iter().zip(to) {
            assert_eq!(network.web.requests().len(), expected, "{location}");
        }
        let state = served.state().await;
        assert_eq!(state.pvds().filter(|pvd| informed(pvd)).count(), 1);
    });
}

/// A network whose server has been asked and says nothing, and how many descriptors the service had before.
async fn asked_and_silent(universe: &Universe) -> (Network, ServedHost, usize) {
    let authority = Authority::new("test");
    let network = Network::new(universe, 1, ID, authority.vouch(&[ID]), |_| Reply::Silence).await;
    let served = served_trusting(universe, &authority).await;
    let descriptors = served.descriptors();
    network.advertise(HTTP, 1, ID);
    eventually("the request", async || if network.web.requests().len() == 1 { Ok(()) } else { Err(0) }).await;
    (network, served, descriptors)
}

/// A request ends with its provisioning domain, not when its time is up.
#[test]
fn a_request_ends_with_its_pvd() {
    universe::run(async |universe| {
        let (network, served, descriptors) = asked_and_silent(&universe).await;
        served.wait_for_descriptors(descriptors + 1).await;
        // Every lifetime is zero: nothing is left of it, not even the way to tell the server.
        let nothing = RouterAdvertisement::new(0).prefix("2001:db8:1::", 64, 0, 0).dns_servers(0, &[DNS]);
        network.send(nothing.pvd(HTTP, 1, ID, &RouterAdvertisement::new(0)));
        served.wait_for_descriptors(descriptors).await;
    });
}

/// A server that takes the question and says nothing costs ten seconds of one connection, and nothing else.
#[test]
fn a_request_without_an_answer_ends_after_ten_seconds() {
    universe::run(async |universe| {
        let (_network, served, descriptors) = asked_and_silent(&universe).await;
        let since = Instant::now();
        eventually("the end of the request", async || match served.descriptors() {
            open if open <= descriptors => Ok(()),
            open => Err(open),
        })
        .await;
        let took = since.elapsed();
        // It began a little before the server had read it.
        assert!(took > Duration::from_secs(9) && took < Duration::from_secs(15), "{took:?}");
        assert!(!informed(&served.pvd_where(ID, |pvd| !pvd.addresses.is_empty()).await));
    });
}

/// Both switches off: nobody is asked for anything, not even for a name.
#[test]
fn what_is_switched_off_is_not_asked() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let network = Network::new(&universe, 1, ID, authority.vouch(&[ID, "web.example"]), |_| {
            pvd_json(information(ID, json!({})))
        })
        .await;
        let off = "[web]\nadditional-information = false\ncaptive-portal = false\n";
        let served = served_with(&universe, &authority, |settings| settings.config(off)).await;
        let portal = captive_portal("https://web.example/api");
        network.send(network.content().raw(&portal).pvd(HTTP, 1, ID, &RouterAdvertisement::new(0)));
        served.pvd_where(ID, |pvd| !pvd.addresses.is_empty()).await;
        network.send(network.content().search_domains(600, &["x.example"]).pvd(
            HTTP,
            2,
            ID,
            &RouterAdvertisement::new(0),
        ));
        served.pvd_where(ID, |pvd| !pvd.search_domains.is_empty()).await;
        assert_eq!((network.web.connections(), network.dns.questions().len()), (0, 0));
    });
}

/// A network's own DNS may say that its server is this host, or a neighbour: nobody is asked there, though somebody would
/// answer.
#[test]
fn a_name_that_leads_to_this_host_or_to_neighbours_is_not_asked() {
    const REFUSED: &str = "a web server is not asked";
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let answer = |_: &HttpRequest| pvd_json(information(ID, json!({})));
        let own = "2001:db8:23::5";
        let to = [
            (20_u8, "::1"),
            (21, "127.0.0.1"),
            (22, "fe80::ff:fe00:16"),
            (23, own),
            (24, "::ffff:127.0.0.1"),
        ];
        let mut networks = Vec::new();
        for (number, address) in to {
            let identity = authority.vouch(&[ID]);
            // Everywhere on the router, its link-local address included.
            networks.push(Network::named(&universe, number, ID, identity, &[address], "::", answer).await);
        }
        networks[3].cable.near().add_address(&format!("{own}/64"));
        assert_eq!(networks[2].cable.far().link_local().to_string(), to[2].1);
        let here = HttpsServer::on(universe.host(), ip("::"), authority.vouch(&[ID]), answer);
        let served = served_trusting(&universe, &authority).await;
        for network in &networks {
            network.advertise(HTTP, 1, ID);
        }
        eventually("all to be refused", async || {
            let log = served.mifd.process().log();
            let refused = log.lines().filter(|line| line.contains(REFUSED)).count();
            if refused >= to.len() { Ok(()) } else { Err(log) }
        })
        .await;
        for network in &networks {
            assert!(!network.dns.questions().is_empty(), "network {}", network.number);
            assert_eq!(network.web.connections(), 0, "network {}", network.number);
        }
        assert_eq!(here.connections(), 0);
        let state = served.state().await;
        assert_eq!(state.pvds().filter(|pvd| informed(pvd)).count(), 0);
    });
}

/// A captive portal by RA option 37: captive, somebody logs in, free; asked at its own pace.
#[test]
fn a_captive_portal_is_asked_until_somebody_has_logged_in() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let free = Arc::new(AtomicBool::new(false));
        let logged_in = Arc::clone(&free);
        let network = Network::new(&universe, 1, ID, authority.vouch(&["web.example"]), move |_| {
            let captive = !logged_in.load(Ordering::SeqCst);
            let body = match captive {
                true => json!({"captive": true, "user-portal-url": "https://web.example/login"}),
                false => json!({"captive": false, "seconds-remaining": 600}),
            };
            Reply::document("application/captive+json", body.to_string())
                .header("Cache-Control: private, max-age=1")
        })
        .await;
        let served = served_trusting(&universe, &authority).await;
        network.send(network.content().raw(&captive_portal("https://web.example/api?me")));
        let router = network.cable.far().link_local();
        let id = format!("implicit:eth1:ipv6:{router}");
        let data = captivity_where(&served, &id, |data| data["captive"]["data"] == true).await;
        assert_eq!(data["captive-portal"]["data"], "https://web.example/api?me");
        assert_eq!(data["captive-portal-url"], json!({"type": "s", "data": "https://web.example/login"}));
        assert_eq!(data.get("captive-expires"), None);
        let requests = network.web.requests();
        assert_eq!(requests[0].line, "GET /api?me HTTP/1.1");
        assert_eq!(requests[0].headers, ["host: web.example", "accept: application/captive+json"]);
        free.store(true, Ordering::SeqCst);
        let data = captivity_where(&served, &id, |data| data["captive"]["data"] == false).await;
        assert_eq!(data["captive-expires"]["type"], "t");
        assert_eq!(network.web.requests().len(), 2, "ten seconds apart whatever the server says");
    });
}

/// The same by DHCPv4 option 114 and by DHCPv6 option 103 (RFC 8910 2.1, 2.2): each is asked in its own family.
#[test]
fn a_captive_portal_that_dhcp_names_is_asked() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let provider = DhcpProvider::new(&universe).await;
        let portal = |web: &'static str, dns: &'static str| {
            for address in [web, dns] {
                let length = if ip(address).is_ipv4() { 32 } else { 128 };
                provider.cable.far().add_address(&format!("{address}/{length}"));
            }
            let zone = [("portal.test", dns::Reply::addresses([ip(web)]))];
            let server = DnsServer::on(&provider.node, ip(dns), zone);
            let captive = |_: &HttpRequest| {
                Reply::document("application/captive+json", json!({"captive": true}).to_string())
            };
            (server, HttpsServer::on(&provider.node, ip(web), authority.vouch(&["portal.test"]), captive))
        };
        let (_dns4, four) = portal("192.0.2.80", "192.0.2.3");
        let (_dns6, six) = portal("2001:db8:1::80", "2001:db8:1::53");
        provider.serve("192.0.2.3").await;
        provider.serve_stateless_ipv6("2001:db8:1::53").await;
        // The provider also announces a resolver of encrypted DNS, which is not there.
        let plain = |settings: MifdSettings| settings.config("[dns]\nencryption = \"off\"\n");
        let served = served_with(&universe, &authority, plain).await;
        Dhclient::on(provider.cable.near()).start().await;
        let six_id = format!("implicit:eth1:ipv6:{}", provider.cable.far().link_local());
        for (id, path, server) in [("implicit:eth1:ipv4", "/api", &four), (&*six_id, "/6", &six)] {
            let data = captivity_where(&served, id, |data| data["captive"]["data"] == true).await;
            assert_eq!(data["captive-portal"]["data"], format!("https://portal.test{path}"));
            let requests = server.requests();
            assert_eq!(requests.len(), 1, "{requests:?}");
            assert_eq!(requests[0].line, format!("GET {path} HTTP/1.1"));
        }
    });
}

/// Without a certificate that holds there is no API, and what the network said of it stays (RFC 8908 4).
#[test]
fn a_portal_with_a_bad_certificate_is_none() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let captive = |_: &HttpRequest| {
            Reply::document("application/captive+json", json!({"captive": true}).to_string())
        };
        let bad = Network::new(&universe, 1, ID, authority.vouch(&["other.example"]), captive).await;
        let good = Network::new(&universe, 2, ID, authority.vouch(&["web.example"]), captive).await;
        let served = served_trusting(&universe, &authority).await;
        bad.send(bad.content().raw(&captive_portal("https://web.example/api")));
        eventually("a connection", async || if bad.web.connections() == 1 { Ok(()) } else { Err(0) }).await;
        good.send(good.content().raw(&captive_portal("https://web.example/api")));
        let id = |network: &Network| {
            format!("implicit:eth{}:ipv6:{}", network.number, network.cable.far().link_local())
        };
        captivity_where(&served, &id(&good), |data| data["captive"]["data"] == true).await;
        let pvd = served.pvd(&id(&bad)).await;
        let data = served.configuration(&pvd, "any").await;
        assert_eq!((data.get("captive"), bad.web.requests().len()), (None, 0));
        assert_eq!(data["captive-portal"]["data"], "https://web.example/api");
    });
}

/// A race uses the networks that say of themselves that they lead nowhere only when there is no other.
#[test]
fn a_race_leaves_captive_networks_and_those_without_internet_for_last() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let answer = |request: &HttpRequest| match request.line.contains("pvd") {
            true => pvd_json(information(ID, json!({"noInternet": true}))),
            false => Reply::document("application/captive+json", json!({"captive": true}).to_string()),
        };
        let identity = || authority.vouch(&["web.example", ID]);
        let captive = Network::new(&universe, 1, "captive.example", identity(), answer).await;
        let inner = Network::new(&universe, 2, ID, identity(), answer).await;
        let served = served_trusting(&universe, &authority).await;
        captive.send(captive.content().raw(&captive_portal("https://web.example/api")));
        inner.advertise(HTTP, 7, ID);
        let captive_id = format!("implicit:eth1:ipv6:{}", captive.cable.far().link_local());
        captivity_where(&served, &captive_id, |data| data["captive"]["data"] == true).await;
        served.pvd_where(ID, informed).await;

        let race = async |options: &Options| {
            completes("the end of the race", connect(&served.connection, "web.example", 443, options)).await
        };
        let strict = Policy { captive: Reserve::Never, no_internet: Reserve::Never, ..Policy::default() };
        let error = race(&Options { policy: strict, ..Options::default() }).await.unwrap_err();
        let mif::Error::Lost(lost) = &error else { panic!("{error}") };
        let told = lost.story.to_string();
        for why in ["a captive portal is in the way", "no Internet"] {
            assert!(told.contains(why), "{told}");
        }
        let last = race(&Options::default()).await.unwrap();
        assert!(last.pvd.id == captive_id || last.pvd.id == ID, "{}", last.story);

        // A third one, which comes last and says nothing of the kind.
        let free = Network::new(&universe, 3, "free.example", identity(), answer).await;
        free.send(free.content());
        let free_id = format!("implicit:eth3:ipv6:{}", free.cable.far().link_local());
        served.pvd_where(&free_id, |pvd| !pvd.dns_servers.is_empty() && !pvd.addresses.is_empty()).await;
        for _ in 0..3 {
            let won = race(&Options::default()).await.unwrap();
            assert_eq!(won.pvd.id, free_id, "{}", won.story);
        }
    });
}

/// `dnsZones`: the network whose servers know the zone has the first attempt, whether or not it leads to the Internet.
#[test]
fn a_race_begins_in_the_network_that_knows_the_zone() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let answer = |request: &HttpRequest| match request.line.contains("pvd") {
            true => pvd_json(information(ID, json!({"noInternet": true, "dnsZones": ["Web.example."]}))),
            false => Reply::document("text/plain", ""),
        };
        let identity = || authority.vouch(&["web.example", ID]);
        let free = Network::new(&universe, 1, "free.example", identity(), answer).await;
        let inner = Network::new(&universe, 2, ID, identity(), answer).await;
        let served = served_trusting(&universe, &authority).await;
        free.send(free.content());
        let free_id = format!("implicit:eth1:ipv6:{}", free.cable.far().link_local());
        served.pvd_where(&free_id, |pvd| !pvd.dns_servers.is_empty() && !pvd.addresses.is_empty()).await;
        inner.advertise(HTTP, 7, ID);
        served.pvd_where(ID, informed).await;
        for _ in 0..3 {
            let options = Options::default();
            let race = connect(&served.connection, "web.example", 443, &options);
            let won = completes("the end of the race", race).await.unwrap();
            assert_eq!(won.pvd.id, ID, "{}", won.story);
            let request = NameRequest::new("WEB.example", 443);
            let call = connect_to_name(&served.connection, &request);
            let connected = completes("the reply", call).await.unwrap();
            assert_eq!(connected.pvd_id, ID, "{}", connected.story.join("\n"));
        }
    });
}

async fn captivity_where(served: &ServedHost, id: &str, accept: impl Fn(&Value) -> bool) -> Value {
    let pvd = served.pvd(id).await;
    eventually("the word of the captive portal", async || {
        let data = served.configuration(&pvd, "any").await;
        if accept(&data) { Ok(data) } else { Err(data) }
    })
    .await
}

/// RFC 8910 2.3.
fn captive_portal(uri: &str) -> Vec<u8> {
    let mut option = vec![37, 0];
    option.extend(uri.as_bytes());
    option.resize(option.len().next_multiple_of(8), 0);
    option[1] = u8::try_from(option.len() / 8).unwrap();
    option
}
