//! Networks with a DNS server and an HTTPS server each, and a host that trusts the authority of those.

use std::net::IpAddr;
use std::time::Duration;

use mif::ProvisioningDomain;
use mif::wire::Element;
use mif_tests::cable::Cable;
use mif_tests::daemons::MifdSettings;
use mif_tests::dns::{self, DnsServer};
use mif_tests::https::{Authority, HttpRequest, HttpsServer, Identity, Reply};
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::universe::Universe;
use mif_tests::wait::eventually;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub const HTTP: u16 = 0x8000;
pub const ID: &str = "isp.example.org";
pub const DNS: &str = "2001:db8:ff::53";
pub const WEB: &str = "2001:db8:ff::80";

/// A network that is a cable away.
pub struct Network {
    pub cable: Cable,
    pub number: u8,
    pub dns: DnsServer,
    pub web: HttpsServer,
}

impl Network {
    /// Its PvD is `id`, `eth{number}` leads to it, and its servers answer so.
    pub async fn new(
        universe: &Universe,
        number: u8,
        id: &str,
        identity: Identity,
        answer: impl Fn(&HttpRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::named(universe, number, id, identity, &[WEB], WEB, answer).await
    }

    /// The same, where the DNS server says that `id` is at `addresses`, and the HTTPS server listens at `web`.
    pub async fn named(
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
    pub fn advertise(&self, flags: u16, sequence: u16, id: &str) {
        self.send(self.content().pvd(flags, sequence, id, &RouterAdvertisement::new(0)));
    }

    pub fn content(&self) -> RouterAdvertisement {
        RouterAdvertisement::new(1800)
            .prefix(&format!("2001:db8:{}::", self.number), 64, 3600, 1800)
            .dns_servers(3600, &[DNS])
    }

    pub fn send(&self, message: RouterAdvertisement) {
        RawSender::on(self.cable.far()).send(message.bytes());
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An object that is good for an hour.
pub fn information(id: &str, more: Value) -> String {
    let expires = OffsetDateTime::now_utc() + Duration::from_secs(3600);
    let expires = expires.format(&Rfc3339).unwrap();
    let mut object = json!({"identifier": id, "expires": expires, "prefixes": ["2001:db8::/32"]});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object.to_string()
}

pub fn pvd_json(body: impl Into<Vec<u8>>) -> Reply {
    Reply::document("application/pvd+json", body)
}

pub async fn served_trusting(universe: &Universe, authority: &Authority) -> ServedHost {
    served_with(universe, authority, |settings| settings).await
}

pub async fn served_with(
    universe: &Universe,
    authority: &Authority,
    settings: impl FnOnce(MifdSettings) -> MifdSettings,
) -> ServedHost {
    let file = authority.file("authority.pem");
    ServedHost::start_with(universe, |own| settings(own.environment("SSL_CERT_FILE", file))).await
}

pub fn informed(pvd: &ProvisioningDomain) -> bool {
    pvd.elements.contains(&Element::AdditionalInformation)
}

pub async fn captivity_where(served: &ServedHost, id: &str, accept: impl Fn(&Value) -> bool) -> Value {
    let pvd = served.pvd(id).await;
    eventually("the word of the captive portal", async || {
        let data = served.configuration(&pvd, "any").await;
        if accept(&data) { Ok(data) } else { Err(data) }
    })
    .await
}

/// RFC 8910 2.3.
pub fn captive_portal(uri: &str) -> Vec<u8> {
    let mut option = vec![37, 0];
    option.extend(uri.as_bytes());
    option.resize(option.len().next_multiple_of(8), 0);
    option[1] = u8::try_from(option.len() / 8).unwrap();
    option
}
