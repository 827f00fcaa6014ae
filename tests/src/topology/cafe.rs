//! A café: a network with a name of its own (explicit PvD), a captive portal, and everything else that a Router
//! Advertisement can say.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::cable::Cable;
use crate::dns::{self, DnsServer};
use crate::https::{Authority, HttpsServer, Reply};
use crate::router_advertisement::{RawSender, RouterAdvertisement};
use crate::universe::Universe;

/// The Id of its PvD.
pub const CAFE: &str = "cafe.example";

/// Where one signs in.
pub const SIGN_IN: &str = "https://web.example/login";

/// The café behind `eth{number}`.
#[derive(Debug)]
pub struct Cafe {
    cable: Cable,
    number: u8,
    captive: Arc<AtomicBool>,
    _dns: DnsServer,
    _web: HttpsServer,
}

impl Cafe {
    /// Opens it. mifd is to trust `authority`.
    ///
    /// # Panics
    /// When something of it does not come up.
    pub async fn open(universe: &Universe, number: u8, authority: &Authority) -> Self {
        let router = universe.node("cafe");
        router.forward();
        let near = universe.host().end(&format!("eth{number}"));
        let cable = Cable::between(near, router.end("lan")).await;
        let (dns, web): (IpAddr, IpAddr) = ("2001:db8:ff::53".parse().expect("an address"), web());
        for address in [dns, web] {
            cable.far().add_address(&format!("{address}/128"));
        }
        router.ip(&format!("route add 2001:db8:{number}::/64 dev lan"));
        let zone = [("web.example", dns::Reply::addresses([web]))];
        let dns = DnsServer::on(&router, dns, zone);
        let captive = Arc::new(AtomicBool::new(true));
        let still = captive.clone();
        let web = HttpsServer::on(&router, web, authority.vouch(&["web.example"]), move |_| {
            let body = match still.load(Ordering::SeqCst) {
                true => json!({"captive": true, "user-portal-url": SIGN_IN}),
                false => json!({"captive": false, "seconds-remaining": 2_460}),
            };
            Reply::document("application/captive+json", body.to_string())
        });
        Self { cable, number, captive, _dns: dns, _web: web }
    }

    /// Says everything.
    pub fn advertise(&self) {
        let message = RouterAdvertisement::new(1_800)
            .prefix(&format!("2001:db8:{}::", self.number), 64, 3_600, 1_800)
            .mtu(1_480)
            .route("2001:db8:aaaa::", 48, 1, 3_000)
            .dns_servers(2_400, &["2001:db8:ff::53"])
            .search_domains(2_400, &["cafe.example", "guests.cafe.example"])
            .pref64("64:ff9b::", 1_800)
            .raw(&captive_portal("https://web.example/api"))
            .pvd(0, 17, CAFE, &RouterAdvertisement::new(0));
        RawSender::on(self.cable.far()).send(message.bytes());
    }

    /// Somebody signs in.
    pub fn sign_in(&self) {
        self.captive.store(false, Ordering::SeqCst);
    }
}

fn web() -> IpAddr {
    "2001:db8:ff::80".parse().expect("an address")
}

/// The option of RFC 8910.
fn captive_portal(uri: &str) -> Vec<u8> {
    let length = (2 + uri.len()).div_ceil(8);
    let mut option = vec![37, u8::try_from(length).expect("a short URI")];
    option.extend_from_slice(uri.as_bytes());
    option.resize(length * 8, 0);
    option
}
