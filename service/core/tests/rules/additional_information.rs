//! Additional information of explicit provisioning domains (RFC 8801 4): when it is asked for, when it is used, and
//! what ends it. The limits on requests are tested with the schedule itself.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, ETH1, address, down, gone, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::ip;
use crate::common::web::{answered, failed, information, request, requests};
use mif_core::configuration::{Element, EncryptedDns};
use mif_core::engine::{Command, Engine};
use mif_core::fetch::{FetchFailure, FetchKind, Subject};
use serde_json::json;

const ISP: &str = "isp.example";
const AT: Element = Element::AdditionalInformation;

fn isp() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1")
        .pvd(ISP)
        .http()
        .sequence(1)
        .prefix("2001:db8:1::/64", 90_000, 90_000)
        .dns("2001:db8:1::53", 90_000)
}

/// A host with an address of `isp`, which has asked.
fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0), up(ETH1)]);
    host.see([isp()]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host
}

fn informed() -> Host {
    let mut host = host();
    let text = information(ISP, json!({"noInternet": true, "dnsZones": ["corp.example"]}));
    host.see([answered(&request(&host), &text)]);
    host
}

#[test]
fn flag_h_has_it_asked_for_once_there_is_an_address() {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host.see([isp()]);
    assert_eq!(requests(&host), [], "no address yet");
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured().tentative()]);
    assert_eq!(requests(&host), [], "duplicate address detection");
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    let fetch = request(&host);
    assert_eq!((fetch.ifindex, fetch.pvd), (ETH0, host.pvd(ISP).serial));
    assert_eq!(fetch.subject, Subject::AdditionalInformation { sequence: 1 });
    assert_eq!(fetch.url().unwrap().to_string(), "https://isp.example/.well-known/pvd");
    host.see([isp()]);
    host.wait(5);
    assert_eq!(requests(&host).len(), 1, "repeating it asks nothing anew");
}

/// RFC 9463: names can be looked up where there is no other server, once there is one that says where it is.
#[test]
fn a_designated_resolver_is_enough_to_find_the_server_by() {
    let mut host = Host::started();
    let says = || advertisement(ETH0, "fe80::1").pvd(ISP).http().prefix("2001:db8:1::/64", 90_000, 90_000);
    let resolver = |priority| EncryptedDns {
        priority,
        name: "dns.isp.example".to_owned(),
        addresses: vec![ip("2001:db8:1::53")],
        alpn: vec!["dot".to_owned()],
        ..EncryptedDns::default()
    };
    host.see(events![up(ETH0), says(), address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    host.see([says().resolver("dns.isp.example", 1, 600)]);
    host.see([says().designated(resolver(0), 600)]);
    host.see([says().designated(EncryptedDns { alpn: vec!["h3".to_owned()], ..resolver(2) }, 600)]);
    assert_eq!(requests(&host), [], "none of them can be asked");
    host.see([says().designated(resolver(3), 600).portal("https://portal.isp.example/api")]);
    let kinds: Vec<FetchKind> = requests(&host).iter().map(|fetch| fetch.subject.kind()).collect();
    assert_eq!(kinds, [FetchKind::AdditionalInformation, FetchKind::CaptivePortal]);
}

#[test]
fn without_the_flag_or_for_a_name_that_is_none_nobody_is_asked() {
    for (id, http) in [(ISP, false), ("odd\\032name.example", true), ("192.0.2.1", true)] {
        let mut host = Host::started();
        host.see([up(ETH0)]);
        let words = isp().pvd(id);
        host.see([if http { words.http() } else { words }]);
        host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
        host.wait(100);
        assert_eq!(requests(&host), [], "{id}");
    }
}

#[test]
fn it_becomes_an_element() {
    let mut host = host();
    let revision = host.pvd(ISP).revision;
    let text =
        information(ISP, json!({"noInternet": true, "dnsZones": ["corp.example"], "vendor-x": {"\u{7}": 1}}));
    host.see([answered(&request(&host), &text)]);
    assert_eq!(host.elements(ISP), ["additional-information", "ra"]);
    assert_eq!(host.announcements(), ["+additional-information"]);
    assert_eq!(host.pvd(ISP).revision, revision + 1);
    let known = host.pvd(ISP).used.additional_information.clone().unwrap();
    assert_eq!((known.no_internet, &known.dns_zones[..]), (Some(true), &["corp.example".to_owned()][..]));
    assert_eq!(known.expires, host.now().after(std::time::Duration::from_secs(3600)));
    assert!(known.text.contains(r#""\u0007""#), "{}", known.text);
}

#[test]
fn a_new_sequence_number_ends_it_at_once() {
    let mut host = informed();
    host.see([isp().sequence(2)]);
    assert_eq!(host.announcements(), ["-additional-information", "+ra"]);
    host.wait(12);
    assert_eq!(requests(&host).len(), 2);
    // What was asked at the old number says nothing now.
    let old = requests(&host)[0].clone();
    host.see([answered(&old, &information(ISP, json!({})))]);
    assert_eq!(host.elements(ISP), ["ra"]);
    let new = requests(&host)[1].clone();
    host.see([answered(&new, &information(ISP, json!({})))]);
    assert_eq!(host.elements(ISP), ["additional-information", "ra"]);
}

#[test]
fn a_flag_that_goes_ends_it_at_once() {
    let mut host = informed();
    host.see([isp().http_off()]);
    assert_eq!(host.elements(ISP), ["ra"]);
    host.wait(10_000);
    assert_eq!(requests(&host).len(), 1);
}

#[test]
fn its_own_end_ends_it() {
    let mut host = informed();
    // From half of its validity on it is asked for again; nobody answers.
    host.wait(3599);
    assert_eq!(host.elements(ISP), ["additional-information", "ra"]);
    assert!(requests(&host).len() >= 2);
    host.wait(1);
    assert_eq!(host.elements(ISP), ["ra"]);
    assert_eq!(host.announcements(), ["-additional-information"]);
}

#[test]
fn a_later_end_is_no_news() {
    let mut host = informed();
    host.wait(3599);
    let revision = host.pvd(ISP).revision;
    let again = requests(&host)[1].clone();
    let text = information(ISP, json!({"noInternet": true, "dnsZones": ["corp.example"]}));
    host.see([answered(&again, &text.replace("13:00:00", "14:00:00"))]);
    assert_eq!((host.announcements().len(), host.pvd(ISP).revision), (0, revision));
    host.wait(3600);
    assert_eq!(host.elements(ISP), ["additional-information", "ra"]);
}

#[test]
fn what_does_not_cover_every_prefix_is_not_used() {
    let mut host = host();
    let text = information(ISP, json!({"prefixes": ["2001:db8:10::/48", "2001:db8:2::/48"]}));
    host.see([answered(&request(&host), &text)]);
    assert_eq!(host.elements(ISP), ["ra"]);
    let (ifindex, report) = host.last().reports[0].clone();
    assert_eq!((ifindex, report.kind), (ETH0, FetchKind::AdditionalInformation));
    let why = report.result.unwrap_err().to_string();
    assert_eq!(why, "none of its prefixes covers 2001:db8:1::/64, which a router advertises");

    // Advertised later, outside of the option or inside, by whichever router of it.
    let mut host = informed();
    let other = advertisement(ETH0, "fe80::2").pvd(ISP).http().sequence(1);
    host.see([other.prefix("fd00:1::/64", 7200, 3600)]);
    assert_eq!(host.elements(ISP), ["ra"]);
    let other = advertisement(ETH0, "fe80::2").pvd(ISP).http().sequence(1);
    host.see([other.prefix("fd00:1::/64", 0, 0)]);
    assert_eq!(host.elements(ISP), ["additional-information", "ra"]);
}

#[test]
fn each_link_asks_for_itself() {
    let mut host = informed();
    let there = advertisement(ETH1, "fe80::9").pvd(ISP).http().sequence(1).dns("2001:db8:9::53", 9000);
    host.see([there.prefix("2001:db8:9::/64", 9000, 9000)]);
    host.see([address(ETH1, "2001:db8:9::5/64").autoconfigured()]);
    let other = requests(&host)[1].clone();
    assert_eq!(other.ifindex, ETH1);
    host.see([failed(&other, FetchFailure::Tls)]);
    let with: Vec<u32> = host
        .snapshot()
        .pvds_by_id(ISP)
        .filter(|pvd| pvd.elements.contains_key(&AT))
        .map(|pvd| pvd.ifindex)
        .collect();
    assert_eq!(with, [ETH0]);
}

#[test]
fn limits_are_those_of_one_attachment() {
    let mut host = host();
    host.see([failed(&request(&host), FetchFailure::Status(404))]);
    host.see([isp().sequence(2)]);
    host.wait(1000);
    assert_eq!(requests(&host).len(), 1, "never again in this network");
    host.see([down(ETH0)]);
    host.wait(3);
    host.see([up(ETH0)]);
    host.see([isp().sequence(2)]);
    assert_eq!(requests(&host).len(), 2, "it is another network now");
}

#[test]
fn a_request_that_nobody_wants_is_given_up() {
    let mut host = host();
    let pvd = host.pvd(ISP).serial;
    let cancel = Command::CancelFetch { pvd, kind: FetchKind::AdditionalInformation };
    host.see([isp().sequence(2)]);
    assert!(host.last().commands.contains(&cancel));
    host.see([gone(ETH0)]);
    assert!(host.ids().is_empty(), "which ends its requests by itself");
}

#[test]
fn what_must_not_be_asked_is_not() {
    let mut settings = crate::common::host::SETTINGS;
    settings.fetches.additional_information = false;
    let mut host = Host::of(Engine::new(settings));
    host.see([up(ETH0)]);
    host.see([isp().portal("https://portal.example/")]);
    host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
    assert_eq!(request(&host).subject.kind(), FetchKind::CaptivePortal);
}
