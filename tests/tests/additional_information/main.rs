//! Additional information (RFC 8801 4) and the captive portal API (RFC 8908) over real TLS, on real links.
//!
//! Each network is a cable to a router of its own, with a DNS server and an HTTPS server; all of them use the same
//! addresses of servers, so that a request on a wrong link would find somebody to answer it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod network;
mod portals;
mod races;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::network::{
    DNS, HTTP, ID, Network, captive_portal, information, informed, ip, pvd_json, served_trusting, served_with,
};
use mif::ProvisioningDomain;
use mif_tests::https::{Authority, HttpRequest, HttpsServer, Reply};
use mif_tests::router_advertisement::RouterAdvertisement;
use mif_tests::served_host::ServedHost;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::eventually;
use serde_json::{Value, json};
use time::OffsetDateTime;

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
