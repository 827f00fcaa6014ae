//! GetConfigurationData and GetAllConfigurationData (draft 3.5.10 and 3.5.11): every word of the interface that routers and
//! DHCP servers give a value to, with its type, in one explicit provisioning domain. Those of web servers are in
//! `additional_information`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use mif::ProvisioningDomain;
use mif::wire::Element;
use mif_tests::daemons::Dhclient;
use mif_tests::router_advertisement::{RawSender, RouterAdvertisement};
use mif_tests::served_host::ServedHost;
use mif_tests::served_state::{busctl_call, try_busctl_call};
use mif_tests::topology::DhcpProvider;
use mif_tests::universe;
use serde_json::{Value, json};

const INTERFACE: &str = "org.ietf.Mif1.ProvisioningDomain";
const ID: &str = "everything.example.org";

/// The words and their types.
const WORDS: [(&str, &str); 18] = [
    ("captive-portal", "s"),
    ("dns-servers", "as"),
    ("domain-name", "s"),
    ("encrypted-dns", "aa{sv}"),
    ("lease-expires", "t"),
    ("mtu", "u"),
    ("nis-domain", "s"),
    ("nis-servers", "as"),
    ("ntp-servers", "as"),
    ("pref64", "as"),
    ("prefixes", "aa{sv}"),
    ("pvd-option-flags", "as"),
    ("pvd-option-sequence", "q"),
    ("routers", "as"),
    ("routes", "aa{sv}"),
    ("search-domains", "as"),
    ("server-identifier", "s"),
    ("told-by", "s"),
];

/// What the network has not said.
const NOT_SAID: [&str; 8] = [
    "additional-information",
    "additional-information-expires",
    "captive",
    "captive-expires",
    "captive-portal-url",
    "dns-zones",
    "no-internet",
    "split-dns-claims",
];

/// Everything that a Router Advertisement can say, in a PvD option with flag L: the lease joins it.
fn advertisement() -> RouterAdvertisement {
    let portal = [&[37, 4][..], b"https://portal.test/router\0\0\0\0"].concat();
    let inside = RouterAdvertisement::new(1800)
        .prefix("2001:db8:1::", 64, 3600, 1800)
        .mtu(1300)
        .route("2001:db8:9::", 48, 0x08, 1200)
        .dns_servers(3600, &["2001:db8:1::53"])
        .search_domains(3600, &["ra.test", "isp.test"])
        .pref64("64:ff9b::", 1200)
        .encrypted_dns("dns.isp.test", &["2001:db8:1::53"], &["dot"], "/q{?dns}")
        .raw(&portal);
    RouterAdvertisement::new(1800).pvd(0x4000 | 0x2000, 7, ID, &inside)
}

async fn one(pvd: &ProvisioningDomain, element: &str, word: &str) -> Value {
    busctl_call(pvd.path.as_str(), INTERFACE, "GetConfigurationData", &["ss", element, word]).await
}

/// Each word alone is as it is in the list of all, of the type that the interface gives it.
async fn check(pvd: &ProvisioningDomain, element: &str, all: &Value) -> BTreeSet<String> {
    let all = all.as_object().unwrap();
    for (word, value) in all {
        let known = WORDS.iter().find(|(known, _)| known == word);
        let (_, kind) = known.unwrap_or_else(|| panic!("{element} has {word}: {value}"));
        assert_eq!(value["type"], *kind, "{word}: {value}");
        assert_eq!(one(pvd, element, word).await, *value, "{element} {word}");
    }
    for word in NOT_SAID.iter().chain(WORDS.iter().map(|(word, _)| word)) {
        if !all.contains_key(*word) {
            let arguments = ["ss", element, word];
            let refused =
                try_busctl_call(pvd.path.as_str(), INTERFACE, "GetConfigurationData", &arguments).await;
            assert!(
                refused.code != 0 && refused.stderr.contains(word),
                "{element} {word} has no value: {refused:?}"
            );
        }
    }
    all.keys().cloned().collect()
}

#[test]
fn every_word_has_its_value_and_its_type() {
    universe::run(async |universe| {
        let provider = DhcpProvider::new(&universe).await;
        provider.serve("192.0.2.53").await;
        let host = ServedHost::start(&universe).await;
        Dhclient::on(provider.cable.near()).start().await;
        let sender = RawSender::on(provider.cable.far());
        // For the kernel, which knows no such option; then for the provisioning domain.
        sender.send(RouterAdvertisement::new(1800).prefix("2001:db8:1::", 64, 3600, 1800).bytes());
        sender.send(advertisement().bytes());
        let is_whole = |pvd: &ProvisioningDomain| {
            pvd.elements == [Element::Ra, Element::Dhcpv4] && pvd.addresses.len() == 2
        };
        let pvd = host.pvd_where(ID, is_whole).await;
        let (ra, dhcpv4) = (host.configuration(&pvd, "ra").await, host.configuration(&pvd, "dhcpv4").await);
        let said = check(&pvd, "ra", &ra).await;
        let said: BTreeSet<String> = said.union(&check(&pvd, "dhcpv4", &dhcpv4).await).cloned().collect();
        let words: BTreeSet<String> = WORDS.iter().map(|(word, _)| (*word).to_owned()).collect();
        assert_eq!(said, words);

        let any = host.configuration(&pvd, "any").await;
        check(&pvd, "any", &any).await;
        // Lists are joined in the order of the elements, without repeats; of other values the first counts.
        for (word, expected) in [
            ("dns-servers", json!(["2001:db8:1::53", "192.0.2.53"])),
            ("search-domains", json!(["ra.test", "isp.test"])),
            ("mtu", json!(1300)),
            ("captive-portal", json!("https://portal.test/router")),
            ("pref64", json!(["64:ff9b::/96"])),
            ("pvd-option-sequence", json!(7)),
            ("pvd-option-flags", json!(["legacy", "ra"])),
            ("domain-name", json!("isp.test")),
            ("server-identifier", json!("192.0.2.1")),
        ] {
            assert_eq!(any[word]["data"], expected, "{word}: {any:#}");
        }
        assert_eq!(dhcpv4["mtu"]["data"], json!(1400), "{dhcpv4:#}");
        for element in ["dhcpv6", "vpn", "static", "additional-information"] {
            assert_eq!(host.configuration(&pvd, element).await, json!({}), "{element}");
        }
    });
}
