//! The captive portal API (RFC 8908), whoever names the portal (RFC 8910).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::network::{ID, Network, captive_portal, captivity_where, ip, served_trusting, served_with};
use mif_tests::daemons::{Dhclient, MifdSettings};
use mif_tests::dns::{self, DnsServer};
use mif_tests::https::{Authority, HttpRequest, HttpsServer, Reply};
use mif_tests::topology::DhcpProvider;
use mif_tests::universe;
use mif_tests::wait::eventually;
use serde_json::json;

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
