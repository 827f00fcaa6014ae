//! The JSON of additional information (RFC 8801 4.3).

use mif_core::BootTime;
use mif_core::configuration::{AddressFamily, Prefix};
use mif_core::pvd_info::{AdditionalInformation, Expected, MAX_CLAIMS, MAX_ZONES};

/// Reads any text as such an object. What is taken is fit to be shown, has its caps, and is the same when it is read
/// again from what is shown.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let now = BootTime::from_micros(1_000_000);
    let expected = Expected { id: "pvd.example.org", now, wall_clock: 1_700_000_000 };
    let Ok(read) = AdditionalInformation::read(&text, &expected) else { return };
    assert!(!read.text.chars().any(char::is_control), "{:?}", read.text);
    assert!(read.expires > now);
    assert!(read.dns_zones.len() <= MAX_ZONES && read.split_dns_claims.len() <= MAX_CLAIMS);
    let claims = read.split_dns_claims.iter();
    let names = claims.flat_map(|claim| claim.subdomains.iter().chain([&claim.resolver, &claim.parent]));
    for name in names.chain(&read.dns_zones) {
        assert!(!name.is_empty() && !name.chars().any(char::is_control), "{name:?}");
    }
    let everything = Prefix::default_route(AddressFamily::Ipv6);
    let outside = read.covers(&everything).is_err();
    assert!(!outside || !read.text.contains("\"::/0\""), "covered: {}", read.text);
    let again = AdditionalInformation::read(&read.text, &expected).expect("what is shown can be read");
    assert!(again.same_but_times(&read));
    assert_eq!(again, read);
}
