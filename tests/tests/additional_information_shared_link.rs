//! Two explicit provisioning domains on one link, each with additional information of its own (RFC 8801 4).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;
use std::time::Duration;

use mif::ProvisioningDomain;
use mif::wire::Element;
use mif_tests::cable::Cable;
use mif_tests::dns::{self, DnsServer};
use mif_tests::https::{Authority, HttpsServer, Reply};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::universe;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const HTTP: u16 = 0x8000;

/// One of the networks on the link: its PvD ID, and its prefix, DNS server and web server by its number.
struct Network {
    id: &'static str,
    number: u8,
}

const NETWORKS: [Network; 2] =
    [Network { id: "one.example.org", number: 1 }, Network { id: "two.example.org", number: 2 }];

impl Network {
    fn address(&self, host: &str) -> IpAddr {
        format!("2001:db8:{}::{host}", self.number).parse().unwrap()
    }

    fn advertisement(&self) -> RouterAdvertisement {
        let prefix = format!("2001:db8:{}::", self.number);
        // Outside of the option, for the kernel makes addresses of what it knows only.
        RouterAdvertisement::new(1800)
            .prefix(&prefix, 64, 3600, 1800)
            .dns_servers(3600, &[&self.address("53").to_string()])
            .pvd(HTTP, 1, self.id, &RouterAdvertisement::new(0))
    }

    /// What its web server says: what the zone is called shows who was asked.
    fn information(&self) -> Reply {
        let expires = (OffsetDateTime::now_utc() + Duration::from_secs(3600)).format(&Rfc3339).unwrap();
        let prefix = format!("2001:db8:{}::/64", self.number);
        let zone = format!("zone{}.example", self.number);
        let object = json!({
            "identifier": self.id, "expires": expires, "prefixes": [prefix], "dnsZones": [zone],
        });
        Reply::document("application/pvd+json", object.to_string())
    }

    fn owns(&self, address: IpAddr) -> bool {
        address.to_string().starts_with(&format!("2001:db8:{}:", self.number))
    }
}

fn informed(pvd: &ProvisioningDomain) -> bool {
    pvd.elements.contains(&Element::AdditionalInformation)
}

#[test]
fn each_of_two_on_one_link_asks_for_its_own() {
    universe::run(async |universe| {
        let authority = Authority::new("test");
        let router = universe.node("router");
        // A neighbour that does not say that it is a router loses its place as one (RFC 4861 7.2.5).
        router.forward();
        let cable = Cable::between(universe.host().end("eth1"), router.end("lan")).await;
        let mut servers = Vec::new();
        for network in &NETWORKS {
            for host in ["53", "80"] {
                cable.far().add_address(&format!("{}/64", network.address(host)));
            }
            // Either would name a server for the other, which nobody is to ask.
            let zone = NETWORKS.map(|any| (any.id, dns::Reply::addresses([network.address("80")])));
            let dns = DnsServer::on(&router, network.address("53"), zone);
            let identity = authority.vouch(&[network.id]);
            let web =
                HttpsServer::on(&router, network.address("80"), identity, move |_| network.information());
            servers.push((dns, web));
        }
        let file = authority.file("authority.pem");
        let host = ServedHost::start_with(&universe, |own| own.environment("SSL_CERT_FILE", file)).await;
        let sender = RawSender::on(cable.far());
        for network in &NETWORKS {
            sender.send(network.advertisement().bytes());
        }
        for (network, (dns, web)) in NETWORKS.iter().zip(&servers) {
            let pvd = host.pvd_where(network.id, informed).await;
            let data = host.configuration(&pvd, "additional-information").await;
            assert_eq!(data["dns-zones"]["data"], json!([format!("zone{}.example", network.number)]));
            let requests = web.requests();
            assert_eq!(requests.len(), 1, "{requests:?}");
            assert!(network.owns(requests[0].from), "{:?}", requests[0].from);
            assert!(requests[0].headers.contains(&format!("host: {}", network.id)), "{requests:?}");
            let questions = dns.questions();
            assert!(questions.iter().all(|question| question.name == network.id), "{questions:?}");
        }
    });
}
