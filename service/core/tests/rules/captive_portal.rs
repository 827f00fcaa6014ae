//! The captive portal API (RFC 8908), named by advertisements and leases (RFC 8910).

use crate::common::advertisement::advertisement;
use crate::common::at;
use crate::common::event::{ETH0, address, up};
use crate::common::host::Host;
use crate::common::lease::lease;
use crate::common::web::{answered, failed, request, requests};
use mif_core::captive_portal::Captivity;
use mif_core::configuration::Element;
use mif_core::fetch::{FetchFailure, Subject};
use std::time::Duration;

const API: &str = "https://portal.example/api";
const IPV4: &str = "implicit:eth0:ipv4";

/// A host with a lease that names the API.
fn leased() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host.see([address(ETH0, "192.0.2.5/24")]);
    host.see([lease(ETH0, "192.0.2.5/24", at(90_000)).dns("192.0.2.53").portal(API)]);
    host
}

#[test]
fn the_api_that_a_lease_names_is_asked() {
    let mut host = leased();
    let fetch = request(&host);
    assert_eq!(fetch.subject, Subject::CaptivePortal { uri: API.into() });
    assert_eq!((fetch.url().unwrap().to_string().as_str(), fetch.pvd), (API, host.pvd(IPV4).serial));
    host.see([answered(&fetch, r#"{"captive": true, "user-portal-url": "https://portal.example/login"}"#)]);
    assert_eq!(host.announcements(), ["+dhcpv4"]);
    let said = host.gave(IPV4, Element::Dhcpv4).captivity.clone().unwrap();
    assert_eq!((said.captive, said.portal_url.as_deref()), (true, Some("https://portal.example/login")));
    assert_eq!(host.pvd(IPV4).used.captivity, Some(said));
}

#[test]
fn somebody_logs_in_and_time_runs_out() {
    let mut host = leased();
    host.see([answered(&request(&host), r#"{"captive": true}"#)]);
    host.wait(30);
    let second = requests(&host)[1].clone();
    host.see([answered(&second, r#"{"captive": false, "seconds-remaining": 600}"#)]);
    let revision = host.pvd(IPV4).revision;
    let said = host.pvd(IPV4).used.captivity.clone().unwrap();
    assert_eq!(said.expires, Some(host.now().after(Duration::from_secs(600))));
    host.wait(600);
    let third = requests(&host)[2].clone();
    host.see([answered(&third, r#"{"captive": false, "seconds-remaining": 900}"#)]);
    assert_eq!(host.pvd(IPV4).revision, revision, "only a time is another one");
    host.wait(900);
    let fourth = requests(&host)[3].clone();
    host.see([answered(&fourth, r#"{"captive": true}"#)]);
    assert_eq!(host.pvd(IPV4).revision, revision + 1);
}

#[test]
fn errors_leave_the_last_word_and_a_bad_certificate_takes_it() {
    let mut host = leased();
    host.see([answered(&request(&host), r#"{"captive": true}"#)]);
    host.wait(30);
    let second = requests(&host)[1].clone();
    host.see([failed(&second, FetchFailure::Status(500))]);
    assert_eq!(host.pvd(IPV4).used.captivity, Some(Captivity { captive: true, ..Captivity::default() }));
    host.wait(10);
    let third = requests(&host)[2].clone();
    host.see([failed(&third, FetchFailure::Tls)]);
    assert_eq!(host.pvd(IPV4).used.captivity, None);
    assert_eq!(host.pvd(IPV4).used.captive_portal.as_deref(), Some(API), "which is what the lease said");
    host.wait(10_000);
    assert_eq!(requests(&host).len(), 3);
}

#[test]
fn only_https_is_asked_and_no_portal_is_none() {
    for uri in ["http://portal.example/", "urn:ietf:params:capport:unrestricted", "ftp://x/", "nonsense"] {
        let mut host = Host::started();
        host.see([up(ETH0)]);
        host.see([advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 9000, 9000).portal(uri)]);
        host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
        host.wait(100);
        assert_eq!(requests(&host), [], "{uri}");
    }
}

#[test]
fn a_name_needs_a_server_for_names_and_an_address_none() {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    let says = || advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 9000, 9000);
    host.see([says().portal(API)]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    assert_eq!(requests(&host), []);
    host.see([says().portal("https://[2001:db8:1::1]/api")]);
    assert_eq!(requests(&host).len(), 1);
    // The word about one API is none about another.
    let first = request(&host);
    host.see([answered(&first, r#"{"captive": true}"#)]);
    host.see([says().portal(API).dns("2001:db8:1::53", 9000)]);
    let id = "implicit:eth0:ipv6:fe80::1";
    assert_eq!(host.pvd(id).used.captivity, None);
    host.wait(10);
    assert_eq!(requests(&host).len(), 2);
}
