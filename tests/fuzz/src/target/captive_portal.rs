//! The URI of a captive portal in an option (RFC 8910), and the JSON that is there (RFC 8908 5).

use mif_core::BootTime;
use mif_core::captive_portal::{CaptivePortal, Captivity};

/// Reads any bytes as such an option and as such an object: people are sent to https only, and nobody is asked in a loop.
pub fn check(bytes: &[u8]) {
    if let Some(uri) = CaptivePortal::read(bytes).and_then(CaptivePortal::into_uri) {
        assert!(!uri.is_empty() && !uri.chars().any(char::is_control), "{uri:?}");
    }
    let text = String::from_utf8_lossy(bytes);
    let now = BootTime::from_micros(1_000_000);
    let Ok(read) = Captivity::read(&text, now) else { return };
    if let Some(url) = &read.portal_url {
        assert!(url.starts_with("https://") && !url.chars().any(char::is_control), "{url:?}");
    }
    assert!(!(read.captive && read.expires.is_some()));
    assert!(read.same_but_times(&read));
    for max_age in [None, Some(0), Some(60), Some(u32::MAX)] {
        let again = read.ask_again(now, max_age);
        assert!(again.is_none_or(|at| at > now), "{again:?}");
        assert!(again.is_some() || !read.captive, "whoever is captive asks again");
    }
}
