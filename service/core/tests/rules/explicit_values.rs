//! What an explicit provisioning domain tells besides addresses: the PvD option itself, NAT64 prefixes, captive
//! portals and designated resolvers, with their order and their ends.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, up};
use crate::common::host::Host;
use mif_core::configuration::{Configuration, Element};

const ISP: &str = "isp.example";
const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";
const URN: &str = "urn:ietf:params:capport:unrestricted";

fn host() -> Host {
    let mut host = Host::started();
    host.see([up(ETH0)]);
    host
}

fn isp() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1").pvd(ISP)
}

fn gave(host: &Host) -> &Configuration {
    host.gave(ISP, Element::Ra)
}

fn resolvers(host: &Host) -> Vec<&str> {
    gave(host).encrypted_dns.iter().map(|resolver| resolver.name.as_str()).collect()
}

#[test]
fn another_sequence_number_is_a_new_revision_and_announces_the_element() {
    let mut host = host();
    host.see([isp().http().sequence(65_535)]);
    host.see([isp().http().sequence(65_535)]);
    assert_eq!(host.last().changes, []);
    host.see([isp().http().sequence(0)]);
    assert_eq!(host.announcements(), ["+ra"]);
    assert_eq!(host.pvd(ISP).revision, 2);
    assert_eq!(gave(&host).pvd_option.unwrap().sequence, 0);
}

#[test]
fn other_flags_are_news_too_and_the_delay_is_none() {
    let mut host = host();
    host.see([isp()]);
    for (says, words) in [
        (isp().http(), vec!["http"]),
        (isp().legacy(), vec!["legacy"]),
        (isp().own_header().http(), vec!["http", "ra"]),
        (isp(), vec![]),
    ] {
        host.see([says]);
        assert_eq!(host.announcements(), ["+ra"]);
        assert_eq!(gave(&host).pvd_option.unwrap().words().collect::<Vec<_>>(), words);
    }
    assert_eq!(host.pvd(ISP).revision, 5);
}

#[test]
fn an_implicit_one_has_no_option() {
    let mut host = host();
    host.see([advertisement(ETH0, "fe80::1")]);
    assert_eq!(host.gave(ROUTER1, Element::Ra).pvd_option, None);
}

#[test]
fn nat64_prefixes_keep_their_order_and_end_one_by_one() {
    let mut host = host();
    host.see([isp().pref64("64:ff9b:1::/48", 80).pref64("64:ff9b::/96", 160)]);
    host.see([isp().pref64("64:ff9b::/96", 160)]);
    assert_eq!(host.last().changes, []);
    let prefixes = |host: &Host| gave(host).pref64.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(prefixes(&host), ["64:ff9b:1::/48", "64:ff9b::/96"]);
    host.wait(80);
    assert_eq!(
        (prefixes(&host), host.announcements()),
        (vec!["64:ff9b::/96".to_owned()], vec!["+ra".to_owned()])
    );
    host.wait(80);
    assert_eq!(prefixes(&host), [""; 0]);
}

#[test]
fn resolvers_are_told_best_first_and_end_one_by_one() {
    let mut host = host();
    host.see([isp().resolver("third.test", 20, 100).resolver("first.test", 1, 200)]);
    host.see([advertisement(ETH0, "fe80::2").pvd(ISP).resolver("second.test", 5, 300)]);
    assert_eq!(resolvers(&host), ["first.test", "second.test", "third.test"], "of whichever router");
    host.wait(100);
    assert_eq!(resolvers(&host), ["first.test", "second.test"]);
    host.wait(100);
    assert_eq!(resolvers(&host), ["second.test"]);
    host.wait(100);
    assert_eq!(resolvers(&host), [""; 0]);
    assert_eq!(host.ids(), [ISP]);
}

#[test]
fn a_portal_stays_until_another_one_is_told() {
    let mut host = host();
    host.see([isp().portal("https://one.test/api")]);
    host.see([isp()]);
    assert_eq!(gave(&host).captive_portal.as_deref(), Some("https://one.test/api"));
    host.see([isp().portal("https://two.test/api")]);
    assert_eq!(host.announcements(), ["+ra"]);
    assert_eq!(gave(&host).captive_portal.as_deref(), Some("https://two.test/api"));
}

#[test]
fn the_urn_says_that_there_is_no_portal() {
    let mut host = host();
    host.see([isp().portal(URN), advertisement(ETH0, "fe80::1").portal(URN)]);
    assert_eq!(gave(&host).captive_portal, None);
    assert_eq!(host.gave(ROUTER1, Element::Ra).captive_portal, None);
    host.see([isp().portal("https://one.test/api")]);
    host.see([isp().portal(URN)]);
    assert_eq!(gave(&host).captive_portal, None, "any more");
    assert_eq!(host.announcements(), ["+ra"]);
}

#[test]
fn each_has_a_portal_of_its_own() {
    let mut host = host();
    host.see([isp().portal("https://one.test"), advertisement(ETH0, "fe80::1").portal("https://two.test")]);
    assert_eq!(gave(&host).captive_portal.as_deref(), Some("https://one.test"));
    assert_eq!(host.gave(ROUTER1, Element::Ra).captive_portal.as_deref(), Some("https://two.test"));
}
