//! Explain: what it says is what connecting does.

use super::*;
use crate::address_selection::SourceRule;
use crate::configuration::{Preference, Prefix, RouteData, RouteKey};

fn route(destination: &str, gateway: Option<&str>, preference: Preference) -> (RouteKey, RouteData) {
    let (address, length) = destination.split_once('/').unwrap();
    let destination = Prefix { address: ip(address), length: length.parse().unwrap() };
    let key = RouteKey { destination, gateway: gateway.map(ip) };
    (key, RouteData { preference, valid_until: BootTime::FOREVER })
}

fn to(destination: &str) -> ExplainRequest {
    ExplainRequest { address: ip(destination), source: None }
}

fn explained(pvd: &Pvd, request: ExplainRequest) -> Explanation {
    super::super::explain(&snapshot(std::slice::from_ref(pvd)), pvd.serial, request, &[]).unwrap()
}

/// `ADDRESS verdict`, in order.
fn sources(explanation: &Explanation) -> Vec<String> {
    explanation.sources.iter().map(|it| format!("{} {}", it.address.address, it.verdict.word())).collect()
}

/// `PREFIX via ROUTER verdict`, in order.
fn routes(explanation: &Explanation) -> Vec<String> {
    let show = |it: &ExplainedRoute| {
        let via = it.gateway.map_or_else(|| "on-link".to_owned(), |gateway| format!("via {gateway}"));
        format!("{} {via} {}", it.destination, it.verdict.word())
    };
    explanation.routes.iter().map(show).collect()
}

#[test]
fn each_address_has_its_reason() {
    let all =
        ["2001:db8:1::1/64", "2001:db8:2::2/64", "2001:db8:3::3/64", "2001:db8:4::4/64", "192.0.2.7/24"];
    let mut domain = pvd(1, 1, Family::Dual, &all, &[]);
    domain.addresses[0].state = AddressState::Deprecated;
    domain.addresses[2].state = AddressState::Tentative;
    let explanation = explained(&domain, to("2001:db8:4::9"));
    assert_eq!(
        sources(&explanation),
        [
            "2001:db8:4::4 chosen",
            "2001:db8:2::2 behind",
            "2001:db8:1::1 behind",
            "2001:db8:3::3 not-usable",
            "192.0.2.7 other-family",
        ]
    );
    let verdicts: Vec<SourceVerdict> = explanation.sources.iter().map(|source| source.verdict).collect();
    assert_eq!(verdicts[0], SourceVerdict::Chosen(SourceRule::LongestPrefix));
    assert_eq!(verdicts[2], SourceVerdict::Behind(SourceRule::Deprecated));
    assert_eq!(
        verdicts[2].to_string(),
        "the one before it is preferred, not deprecated (RFC 6724, source rule 3)"
    );
    assert_eq!(explanation.source().unwrap().address.address, ip("2001:db8:4::4"));

    let asked = ExplainRequest { source: Some(ip("2001:db8:2::2")), ..to("2001:db8:4::9") };
    let explanation = explained(&domain, asked);
    assert_eq!(sources(&explanation)[..2], ["2001:db8:2::2 chosen", "2001:db8:1::1 not-asked-for"]);
    assert_eq!(explanation.sources[0].verdict, SourceVerdict::Only);
}

#[test]
fn each_router_has_its_reason() {
    let mut domain = pvd(1, 1, Family::Ipv6, &["2001:db8:1::1/64"], &[]);
    domain.used.routes = [
        route("::/0", Some("fe80::1"), Preference::Medium),
        route("::/0", Some("fe80::2"), Preference::High),
        route("::/0", Some("fe80::3"), Preference::High),
        route("2001:db8:9::/48", Some("fe80::1"), Preference::Low),
        route("2001:db8:7::/48", Some("fe80::1"), Preference::Medium),
    ]
    .into();
    domain.used.routers = ["fe80::3", "fe80::2", "fe80::1"].map(ip).to_vec();
    assert_eq!(
        routes(&explained(&domain, to("2001:db8:8::1"))),
        [
            "::/0 via fe80::3 chosen",
            "::/0 via fe80::2 named-later",
            "::/0 via fe80::1 less-preferred",
            "fe80::/64 on-link elsewhere",
            "2001:db8:7::/48 via fe80::1 elsewhere",
            "2001:db8:9::/48 via fe80::1 elsewhere",
        ]
    );
    let explanation = explained(&domain, to("2001:db8:9::1"));
    assert_eq!(
        routes(&explanation)[..2],
        ["2001:db8:9::/48 via fe80::1 chosen", "::/0 via fe80::3 less-specific"]
    );
    assert_eq!(explanation.route().unwrap().gateway, Some(ip("fe80::1")));
}

#[test]
fn a_router_that_does_not_answer_is_behind_those_that_do() {
    let mut domain = pvd(1, 1, Family::Ipv4, &["192.0.2.7/24"], &[]);
    domain.used.routes = [
        route("0.0.0.0/0", Some("192.0.2.1"), Preference::High),
        route("0.0.0.0/0", Some("192.0.2.2"), Preference::Low),
    ]
    .into();
    let state = snapshot(std::slice::from_ref(&domain));
    let told = |silent: &[&str]| {
        let silent: Vec<IpAddr> = silent.iter().map(|router| ip(router)).collect();
        routes(&super::super::explain(&state, domain.serial, to("203.0.113.1"), &silent).unwrap())
    };
    assert_eq!(told(&[]), ["0.0.0.0/0 via 192.0.2.1 chosen", "0.0.0.0/0 via 192.0.2.2 less-preferred"]);
    assert_eq!(told(&["192.0.2.1"]), ["0.0.0.0/0 via 192.0.2.2 chosen", "0.0.0.0/0 via 192.0.2.1 silent"]);
}

#[test]
fn a_neighbour_needs_no_router() {
    let mut domain = pvd(1, 1, Family::Ipv4, &["192.0.2.7/24"], &[]);
    domain.used.routes = [
        route("192.0.2.0/24", None, Preference::Medium),
        route("192.0.2.0/24", Some("192.0.2.2"), Preference::High),
        route("0.0.0.0/0", Some("192.0.2.1"), Preference::Medium),
    ]
    .into();
    let explanation = explained(&domain, to("192.0.2.9"));
    assert_eq!(
        routes(&explanation),
        [
            "192.0.2.0/24 on-link chosen",
            "192.0.2.0/24 via 192.0.2.2 behind-on-link",
            "0.0.0.0/0 via 192.0.2.1 less-specific",
        ]
    );
    assert_eq!((explanation.device.as_str(), explanation.ifindex), ("e1", 1));
    assert_eq!(explanation.refusal, None);
    let nowhere = pvd(1, 1, Family::Ipv4, &["192.0.2.7/24"], &[]);
    assert_eq!(explained(&nowhere, to("203.0.113.1")).route(), None);
}

#[test]
fn behind_a_nat64_it_speaks_of_the_address_that_packets_are_sent_to() {
    let mut domain = pvd(1, 1, Family::Ipv6, &["2001:db8:1::1/64"], &[]);
    domain.used.routes = [route("::/0", Some("fe80::1"), Preference::Medium)].into();
    assert!(explained(&domain, to("192.0.2.33")).refusal.is_some());
    domain.used.pref64 = vec![Prefix { address: ip("64:ff9b::"), length: 96 }];
    let explanation = explained(&domain, to("192.0.2.33"));
    assert_eq!(explanation.refusal, None);
    assert_eq!(sources(&explanation), ["2001:db8:1::1 chosen"]);
    assert_eq!(explanation.route().unwrap().gateway, Some(ip("fe80::1")));
}

#[test]
fn a_refusal_is_part_of_it() {
    let domain = pvd(1, 1, Family::Ipv4, &["192.0.2.7/24"], &[]);
    let explanation = explained(&domain, to("127.0.0.1"));
    assert!(matches!(explanation.refusal, Some(Refusal::InvalidArgs(Invalid::Destination(..)))));
    assert_eq!(sources(&explanation), ["192.0.2.7 chosen"], "and what would be, were it not for that");
    let explanation = explained(&domain, to("2001:db8::1"));
    assert!(matches!(explanation.refusal, Some(Refusal::NetworkUnreachable(_))));
    assert_eq!((explanation.source(), explanation.route()), (None, None));
    let gone = super::super::explain(&snapshot(&[]), Serial(9), to("192.0.2.1"), &[]).unwrap_err();
    assert_eq!(gone, Refusal::PvdGone(Serial(9)));
}

proptest! {
    /// Whatever the addresses are: the order of the candidates is that of the plan, and each address is in it once.
    #[test]
    fn it_says_what_connecting_does(
        states in prop::collection::vec((0_u16..4, 0_u8..3, any::<bool>()), 0..6),
        destination in prop::sample::select(vec!["2001:db8:1::9", "2001:db8:3::9", "fe80::9", "fd00::9"]),
        source in prop::option::of(0_usize..6),
    ) {
        let addresses: Vec<PvdAddress> = (0..).zip(&states).map(|(number, (net, state, temporary))| {
            let state = [AddressState::Preferred, AddressState::Deprecated, AddressState::Tentative][*state as usize];
            PvdAddress { state, temporary: *temporary, ..address(&format!("2001:db8:{net}::{number}/64")) }
        }).collect();
        let source = source.and_then(|place| addresses.get(place)).map(|own| own.address);
        let domain = Pvd { addresses, ..pvd(1, 1, Family::Ipv6, &[], &[]) };
        let state = snapshot(std::slice::from_ref(&domain));
        let request = ExplainRequest { address: ip(destination), source };
        let explanation = super::super::explain(&state, Serial(1), request, &[]).unwrap();
        prop_assert_eq!(explanation.sources.len(), domain.addresses.len());
        let planned = connect(&state, Serial(1), &ConnectRequest { source, ..connecting(destination) });
        prop_assert_eq!(explanation.refusal.is_none(), planned.is_ok());
        if let Ok(plan) = planned {
            let tried = explanation.sources.iter().filter(|source| {
                matches!(source.verdict.word(), "chosen" | "behind")
            });
            let tried: Vec<IpAddr> = tried.map(|source| source.address.address).collect();
            prop_assert_eq!(tried, plan.sources);
        }
    }
}
