//! What holds of every message, however broken. The fuzzer (tests/fuzz) checks the same.

use mif_core::captive_portal::{CaptivePortal, MAX_URI_LENGTH};
use mif_core::ra::{self, RouterAdvertisement};

fn is_safe(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// What holds of every message: nothing panics, every list keeps its limit, and no text is dangerous.
pub fn check(bytes: &[u8]) {
    let Ok((said, _)) = RouterAdvertisement::parse(bytes) else { return };
    assert!(said.prefixes.len() <= ra::MAX_PREFIXES);
    assert!(said.routes.len() <= ra::MAX_ROUTES);
    assert!(said.dns_servers.len() <= ra::MAX_DNS_SERVERS);
    assert!(said.search_domains.len() <= ra::MAX_SEARCH_DOMAINS);
    assert!(said.pref64.len() <= ra::MAX_PREF64);
    assert!(said.encrypted_dns.len() <= ra::MAX_ENCRYPTED_DNS);
    for prefix in &said.pref64 {
        assert!([32, 40, 48, 56, 64, 96].contains(&prefix.value.length), "{prefix:?}");
        assert!(prefix.value.covers(prefix.value.address), "host bits in {prefix:?}");
        assert!(prefix.lifetime <= 65_528 && prefix.lifetime.is_multiple_of(8));
    }
    if let Some(CaptivePortal::Uri(uri)) = &said.captive_portal {
        assert!(is_safe(uri) && uri.len() <= 4 * MAX_URI_LENGTH);
    }
    for resolver in said.encrypted_dns.iter().map(|resolver| &resolver.value) {
        assert!(is_safe(&resolver.name) && resolver.alpn.iter().all(|alpn| is_safe(alpn)));
        assert!(resolver.path.iter().all(|path| path.is_empty() || is_safe(path)));
        assert!(resolver.addresses.iter().all(|address| !address.is_multicast() && !address.is_loopback()));
    }
    if let Some(pvd) = &said.pvd {
        check_id(&pvd.id);
        assert!(pvd.delay <= 15);
    }
    let text = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<RouterAdvertisement>(&text).unwrap(), said, "recorded and read back");
}

/// An Id is made of labels of nothing but letters in lower case, digits, hyphens, underscores and escaped bytes:
/// it can be no path, no URL and no implicit Id.
fn check_id(id: &str) {
    for label in id.split('.') {
        let mut rest = label.bytes();
        let mut length = 0;
        while let Some(byte) = rest.next() {
            length += 1;
            if byte == b'\\' {
                let digits: Vec<u8> = rest.by_ref().take(3).collect();
                let value: u16 = std::str::from_utf8(&digits).unwrap().parse().expect(id);
                let value = u8::try_from(value).expect(id);
                assert!(!value.is_ascii_alphanumeric() && value != b'-' && value != b'_', "{id}");
            } else {
                let plain =
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
                assert!(plain, "{id}");
            }
        }
        assert!((1..=63).contains(&length), "{id}");
    }
}
