#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;

/// One candidate from "ADDRESS" and flags behind it: `deprecated`, `temporary`, `care-of`.
fn candidate(text: &str) -> Candidate {
    let mut words = text.split_whitespace();
    let address: IpAddr = words.next().unwrap().parse().unwrap();
    let prefix_length = if address.is_ipv4() { 24 } else { 64 };
    let plain =
        Candidate { address, prefix_length, deprecated: false, temporary: false, mobility: Mobility::Home };
    words.fold(plain, |candidate, flag| match flag {
        "deprecated" => Candidate { deprecated: true, ..candidate },
        "temporary" => Candidate { temporary: true, ..candidate },
        "care-of" => Candidate { mobility: Mobility::CareOf, ..candidate },
        "home" => Candidate { mobility: Mobility::Home, ..candidate },
        other => panic!("unknown flag {other}"),
    })
}

fn candidates(text: &str) -> Vec<Candidate> {
    text.split(',').map(candidate).collect()
}

/// RFC 6724 10.1: destination, candidates, the choice, the rule that made it.
#[rustfmt::skip]
const SOURCES: &[(&str, &str, &str, Option<SourceRule>)] = &[
    ("2001:db8:1::1", "2001:db8:3::1, fe80::1", "2001:db8:3::1", Some(SourceRule::Scope)),
    ("ff05::1", "2001:db8:3::1, fe80::1", "2001:db8:3::1", Some(SourceRule::Scope)),
    ("2001:db8:1::1", "2001:db8:1::1 deprecated, 2001:db8:2::1", "2001:db8:1::1", Some(SourceRule::SameAddress)),
    ("fe80::1", "fe80::2 deprecated, 2001:db8:1::1", "fe80::2", Some(SourceRule::Scope)),
    ("2001:db8:1::1", "2001:db8:1::2, 2001:db8:3::2", "2001:db8:1::2", Some(SourceRule::LongestPrefix)),
    ("2001:db8:1::1", "2001:db8:1::2 care-of, 2001:db8:3::2 home", "2001:db8:3::2", Some(SourceRule::HomeAddress)),
    ("2002:c633:6401::1", "2002:c633:6401::d5e3:7953:13eb:22e8 temporary, 2001:db8:1::2",
        "2002:c633:6401::d5e3:7953:13eb:22e8", Some(SourceRule::Label)),
    ("2001:db8:1::d5e3:0:0:1", "2001:db8:1::2, 2001:db8:1::d5e3:7953:13eb:22e8 temporary",
        "2001:db8:1::d5e3:7953:13eb:22e8", Some(SourceRule::Temporary)),
    // Beyond the RFC's own table.
    ("2001:db8:1::1", "2001:db8:1::2 deprecated, 2001:db8:3::2", "2001:db8:3::2", Some(SourceRule::Deprecated)),
    ("198.51.100.9", "198.51.100.2, 203.0.113.2", "198.51.100.2", Some(SourceRule::LongestPrefix)),
    ("198.51.100.9", "169.254.1.1, 203.0.113.2", "203.0.113.2", Some(SourceRule::Scope)),
    ("198.51.100.9", "2001:db8::1, 203.0.113.2", "203.0.113.2", None),
];

#[test]
fn sources_of_section_10_1() {
    for (destination, given, expected, rule) in SOURCES {
        let ranked = rank_sources(destination.parse().unwrap(), candidates(given));
        let expected: IpAddr = expected.parse().unwrap();
        assert_eq!(ranked[0].candidate.address, expected, "{given} -> {destination}");
        assert_eq!(ranked[0].before_next_by, *rule, "{given} -> {destination}");
    }
}

/// RFC 6724 10.2: destinations, sources, the order, the rule that made it.
#[rustfmt::skip]
const DESTINATIONS: &[(&str, &str, &str, DestinationRule)] = &[
    ("2001:db8:1::1, 198.51.100.121", "2001:db8:1::2, fe80::1, 169.254.13.78",
        "2001:db8:1::1, 198.51.100.121", DestinationRule::Scope),
    ("2001:db8:1::1, 198.51.100.121", "fe80::1, 198.51.100.117",
        "198.51.100.121, 2001:db8:1::1", DestinationRule::Scope),
    ("2001:db8:1::1, 10.1.2.3", "2001:db8:1::2, fe80::1, 10.1.2.4",
        "2001:db8:1::1, 10.1.2.3", DestinationRule::Precedence),
    ("2001:db8:1::1, fe80::1", "2001:db8:1::2, fe80::2",
        "fe80::1, 2001:db8:1::1", DestinationRule::SmallerScope),
    ("2001:db8:1::1, fe80::1", "2001:db8:1::2 care-of, 2001:db8:3::1 home, fe80::2 care-of",
        "2001:db8:1::1, fe80::1", DestinationRule::HomeAddress),
    ("2001:db8:1::1, fe80::1", "2001:db8:1::2, fe80::2 deprecated",
        "2001:db8:1::1, fe80::1", DestinationRule::Deprecated),
    ("2001:db8:1::1, 2001:db8:3ffe::1", "2001:db8:1::2, 2001:db8:3f44::2, fe80::2",
        "2001:db8:1::1, 2001:db8:3ffe::1", DestinationRule::LongestPrefix),
    ("2002:c633:6401::1, 2001:db8:1::1", "2002:c633:6401::2, fe80::2",
        "2002:c633:6401::1, 2001:db8:1::1", DestinationRule::Label),
    ("2002:c633:6401::1, 2001:db8:1::1", "2002:c633:6401::2, 2001:db8:1::2, fe80::2",
        "2001:db8:1::1, 2002:c633:6401::1", DestinationRule::Precedence),
    // Beyond the RFC's own table.
    ("2001:db8:1::1, 198.51.100.121", "198.51.100.117",
        "198.51.100.121, 2001:db8:1::1", DestinationRule::Usable),
    ("2001:db8:1::8, 2001:db8:1::7", "2001:db8:1::2",
        "2001:db8:1::8, 2001:db8:1::7", DestinationRule::GivenOrder),
];

#[test]
fn destinations_of_section_10_2() {
    for (given, sources, expected, rule) in DESTINATIONS {
        let mut destinations: Vec<IpAddr> = given.split(", ").map(|text| text.parse().unwrap()).collect();
        let expected: Vec<IpAddr> = expected.split(", ").map(|text| text.parse().unwrap()).collect();
        let ranked = order_destinations(&destinations, &candidates(sources));
        let order: Vec<IpAddr> = ranked.iter().map(|ranked| ranked.address).collect();
        assert_eq!(order, expected, "{given} from {sources}");
        assert_eq!(ranked[0].before_next_by, Some(*rule), "{given} from {sources}");
        if *rule != DestinationRule::GivenOrder {
            destinations.reverse();
            let turned = order_destinations(&destinations, &candidates(sources));
            assert_eq!(turned, ranked, "{given} from {sources}, turned round");
        }
    }
}

/// Addresses that differ in everything that the rules look at.
fn any_address() -> impl Strategy<Value = IpAddr> {
    let bases = [
        "2001:db8:1::",
        "2001:db8:3ffe::",
        "2002:c633:6401::",
        "2001::",
        "fd00::",
        "fe80::",
        "fec0::",
        "3ffe::",
        "ff05::",
        "::ffff:198.51.100.0",
    ];
    let v6 = (prop::sample::select(bases.to_vec()), 1_u128..4).prop_map(|(base, host)| {
        let base: Ipv6Addr = base.parse().unwrap();
        IpAddr::V6((u128::from(base) | host).into())
    });
    let v4 = (prop::sample::select(vec!["198.51.100.0", "169.254.1.0", "10.0.0.0"]), 1_u32..4).prop_map(
        |(base, host)| {
            let base: std::net::Ipv4Addr = base.parse().unwrap();
            IpAddr::V4((u32::from(base) | host).into())
        },
    );
    prop_oneof![3 => v6, 1 => v4]
}

prop_compose! {
    fn any_candidate()(
        address in any_address(),
        prefix_length in prop::sample::select(vec![16_u8, 32]),
        deprecated in any::<bool>(),
        temporary in any::<bool>(),
        mobility in prop::sample::select(vec![Mobility::CareOf, Mobility::Home, Mobility::AtHome]),
    ) -> Candidate {
        Candidate { address, prefix_length, deprecated, temporary, mobility }
    }
}

proptest! {
    #[test]
    fn source_comparison_is_a_total_order(
        destination in any_address(), a in any_candidate(), b in any_candidate(), c in any_candidate(),
    ) {
        let compare = |x: &Candidate, y: &Candidate| compare_sources(destination, x, y).0;
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }

    #[test]
    fn destination_comparison_is_a_total_order(
        destinations in prop::array::uniform3(any_address()),
        sources in prop::array::uniform3(prop::option::of(any_candidate())),
    ) {
        let pairs: Vec<Destination> = destinations.into_iter().zip(sources)
            .map(|(destination, source)| Destination {
                address: destination,
                source: source.filter(|source| source.address.is_ipv4() == destination.is_ipv4()),
            })
            .collect();
        let compare = |x: usize, y: usize| compare_destinations(&pairs[x], &pairs[y]).0;
        prop_assert_eq!(compare(0, 1), compare(1, 0).reverse());
        if compare(0, 1).is_le() && compare(1, 2).is_le() {
            prop_assert!(compare(0, 2).is_le());
        }
    }

    #[test]
    fn the_order_of_candidates_is_of_no_account(
        destination in any_address(),
        (given, shuffled) in prop::collection::btree_map(any_address(), any_candidate(), 0..6)
            .prop_map(|map| {
                map.into_iter().map(|(address, rest)| Candidate { address, ..rest }).collect::<Vec<_>>()
            })
            .prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle())),
    ) {
        prop_assert_eq!(rank_sources(destination, given), rank_sources(destination, shuffled));
    }

    #[test]
    fn only_ties_depend_on_the_order_of_destinations(
        (given, shuffled) in prop::collection::btree_set(any_address(), 0..6)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>())
            .prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle())),
        sources in prop::collection::vec(any_candidate(), 0..6),
    ) {
        let ordered = order_destinations(&given, &sources);
        let other = order_destinations(&shuffled, &sources);
        let place = |address: IpAddr| other.iter().position(|ranked| ranked.address == address);
        for pair in ordered.windows(2) {
            if pair[0].before_next_by != Some(DestinationRule::GivenOrder) {
                prop_assert!(place(pair[0].address) < place(pair[1].address));
            }
        }
    }
}
