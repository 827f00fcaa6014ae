//! What may happen: a few links, names, addresses, routers, prefixes and leases, and time.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{DHCP, KERNEL, STATIC, link};
use crate::common::lease::{LeaseWords, lease};
use crate::common::told::{Dhcpv6Words, dhcpv6, dhcpv6_gone};
use crate::common::{at, ip, with_length};
use mif_core::BootTime;
use mif_core::configuration::Preference;
use mif_core::event::{Address, AddressKey, Event, Ifindex, LeaseClient, Link, LinkKind, LinkState, Route};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// One step of a history.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most steps are events, and histories are short")]
pub enum Step {
    /// A source saw something.
    Event(Event),
    /// So many seconds pass, and the engine is woken whenever it wants to.
    Pass(u64),
    /// So many seconds pass with nothing running.
    Sleep(u64),
    /// What was seen so far is derived.
    Commit,
}

/// When histories begin.
pub const BEGINNING: BootTime = at(1000);
/// No lifetime in [`mortal_steps`] is longer, in seconds.
pub const LONGEST_LIFETIME: u64 = 10_000;

const ADDRESSES: [&str; 12] = [
    "192.0.2.5/24",
    "192.0.2.5/32",
    "192.0.2.6/24",
    "198.51.100.7/24",
    "169.254.7.7/16",
    "fe80::a/64",
    "2001:db8:1::5/64",
    "2001:db8:1::6/128",
    "2001:db8:2::5/64",
    "2001:db8:9::5/64",
    "fd00:1::5/64",
    "ff02::1/128",
];
const ROUTERS: [&str; 3] = ["fe80::1", "fe80::2", "fe80::3"];
const PREFIXES: [&str; 3] = ["2001:db8:1::/64", "2001:db8:2::/64", "fd00:1::/64"];
const SERVERS: [&str; 3] = ["2001:db8::53", "2001:db8::54", "2001:db8::55"];
const DOMAINS: [&str; 2] = ["a.test", "b.test"];
const PREF64: [&str; 2] = ["64:ff9b::/96", "2001:db8:64::/48"];
const PORTALS: [&str; 3] =
    ["https://a.test/api", "https://b.test/api", "urn:ietf:params:capport:unrestricted"];
const IDS: [&str; 3] = ["isp.example", "corp.example", "implicit\\058eth0"];
const DESTINATIONS: [&str; 4] = ["0.0.0.0/0", "203.0.113.0/24", "::/0", "2001:db8:ff::/48"];

/// A history in which anything may follow anything, dumps included.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(u32::MAX), 0..60)
}

/// A history in which nothing is for ever.
pub fn mortal_steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(1800), 0..60)
}

/// What the kernel did while nobody listened.
pub fn kernel_events() -> impl Strategy<Value = Vec<Event>> {
    vec(kernel_event(), 0..8)
}

fn step(longest: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => event(longest).prop_map(Step::Event),
        1 => Just(Step::Event(Event::ResyncBegin)),
        3 => Just(Step::Event(Event::ResyncEnd)),
        6 => seconds().prop_map(Step::Pass),
        2 => seconds().prop_map(Step::Sleep),
        8 => Just(Step::Commit),
    ]
}

fn seconds() -> impl Strategy<Value = u64> {
    select(vec![0_u64, 1, 2, 3, 4, 5, 30, 2000])
}

fn event(longest: u32) -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => kernel_event(),
        3 => advertised(longest),
        1 => leased(longest),
        1 => ifindex().prop_map(|ifindex| Event::LeaseGone { ifindex, client: LeaseClient::Dhcpcd }),
        1 => given_by_dhcpv6(longest),
        1 => ifindex().prop_map(dhcpv6_gone),
    ]
}

fn kernel_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => a_link().prop_map(Event::Link),
        1 => ifindex().prop_map(|ifindex| Event::LinkGone { ifindex }),
        6 => address().prop_map(Event::Address),
        2 => key().prop_map(|key| Event::AddressGone { key }),
        3 => route().prop_map(Event::Route),
        1 => route().prop_map(|route| Event::RouteGone { route }),
    ]
}

fn ifindex() -> impl Strategy<Value = Ifindex> {
    1..=4_u32
}

fn a_link() -> impl Strategy<Value = Link> {
    let state = select(vec![LinkState::Up, LinkState::Up, LinkState::Down, LinkState::Dormant]);
    let kind = prop_oneof![
        12 => Just(None),
        1 => select(vec![LinkKind::Ethernet, LinkKind::Tunnel, LinkKind::Loopback]).prop_map(Some),
    ];
    let name = prop_oneof![6 => Just(None), 1 => select(vec!["wan", "eth0"]).prop_map(Some)];
    let alias = prop_oneof![6 => Just(None), 1 => select(vec!["", "uplink"]).prop_map(Some)];
    let master = option::weighted(0.1, ifindex());
    (ifindex(), state, kind, name, alias, master).prop_map(|(ifindex, state, kind, name, alias, master)| {
        let usual = link(ifindex, state);
        Link {
            kind: kind.unwrap_or(usual.kind),
            name: name.map_or(usual.name, ToOwned::to_owned),
            alias: alias.map(ToOwned::to_owned),
            master,
            ..usual
        }
    })
}

fn key() -> impl Strategy<Value = AddressKey> {
    (ifindex(), select(&ADDRESSES[..])).prop_map(|(ifindex, text)| {
        let (address, prefix_length) = with_length(text);
        AddressKey { ifindex, address, prefix_length }
    })
}

fn address() -> impl Strategy<Value = Address> {
    let seldom = || proptest::bool::weighted(0.2);
    let flags = (seldom(), seldom(), seldom(), any::<bool>(), any::<bool>());
    (key(), deadline(u32::MAX), deadline(u32::MAX), flags).prop_map(|(key, preferred, valid, flags)| {
        let (tentative, deprecated, temporary, permanent, from_router_advertisement) = flags;
        Address {
            key,
            preferred_until: preferred,
            valid_until: valid,
            tentative,
            deprecated,
            temporary,
            permanent,
            from_router_advertisement,
            peer: None,
        }
    })
}

fn route() -> impl Strategy<Value = Route> {
    let metric = select(vec![100_u32, 200, 1024]);
    let protocol = select(vec![KERNEL, STATIC, crate::common::event::RA, DHCP]);
    (ifindex(), select(&DESTINATIONS[..]), any::<bool>(), metric, protocol, select(&ROUTERS[..])).prop_map(
        |(ifindex, destination, on_link, metric, protocol, router)| {
            let destination = crate::common::prefix(destination);
            let router = if destination.address.is_ipv4() { ip("192.0.2.1") } else { ip(router) };
            Route { ifindex, destination, gateway: (!on_link).then_some(router), metric, protocol }
        },
    )
}

fn advertised(longest: u32) -> impl Strategy<Value = Event> {
    let routes = vec((select(&DESTINATIONS[2..]), lifetime(longest)), 0..2);
    let header = (select(vec![0_u16, 4, 30, 1800]), any::<bool>(), preference());
    let who = (ifindex(), select(&ROUTERS[..]));
    let said = (header, routes, listed(longest), untimed(), option::weighted(0.6, pvd_option()));
    (who, said).prop_map(|((ifindex, router), (header, routes, listed, untimed, pvd))| {
        let (router_lifetime, managed, preference) = header;
        let words = advertisement(ifindex, router).router_lifetime(router_lifetime).preference(preference);
        let words = if managed { words.managed() } else { words };
        let words = routes.into_iter().fold(words, |words, (route, lifetime)| words.route(route, lifetime));
        let words = with_untimed(with_listed(words, listed), untimed);
        pvd.map_or_else(|| words.clone(), |pvd| with_pvd(words.clone(), pvd)).into()
    })
}

/// Values with a lifetime each.
type Listed<T> = Vec<(T, u32)>;
type AllListed = (
    Listed<(&'static str, bool)>,
    Listed<&'static str>,
    Listed<&'static str>,
    Listed<&'static str>,
    Listed<u16>,
);

fn listed(longest: u32) -> impl Strategy<Value = AllListed> {
    let prefixes = vec(((select(&PREFIXES[..]), any::<bool>()), lifetime(longest)), 0..3);
    let servers = vec((select(&SERVERS[..]), lifetime(longest)), 0..3);
    let domains = vec((select(&DOMAINS[..]), lifetime(longest)), 0..2);
    let pref64 = vec((select(&PREF64[..]), lifetime(longest)), 0..2);
    let resolvers = vec((0..3_u16, lifetime(longest)), 0..2);
    (prefixes, servers, domains, pref64, resolvers)
}

fn with_listed(words: AdvertisementWords, listed: AllListed) -> AdvertisementWords {
    let (prefixes, servers, domains, pref64, resolvers) = listed;
    let prefix = |words: AdvertisementWords, ((prefix, autonomous), lifetime)| {
        if autonomous {
            words.prefix(prefix, lifetime, lifetime / 2)
        } else {
            words.prefix_without_autoconfiguration(prefix, lifetime, lifetime / 2)
        }
    };
    let words = prefixes.into_iter().fold(words, prefix);
    let words = servers.into_iter().fold(words, |words, (server, lifetime)| words.dns(server, lifetime));
    let words = domains.into_iter().fold(words, |words, (domain, lifetime)| words.search(domain, lifetime));
    let words = pref64.into_iter().fold(words, |words, (prefix, lifetime)| words.pref64(prefix, lifetime));
    let resolver =
        |words: AdvertisementWords, (priority, lifetime)| words.resolver("dns.test", priority, lifetime);
    resolvers.into_iter().fold(words, resolver)
}

/// MTU and portal.
fn untimed() -> impl Strategy<Value = (Option<u32>, Option<&'static str>)> {
    (option::weighted(0.2, select(vec![1280_u32, 1480])), option::weighted(0.2, select(&PORTALS[..])))
}

fn with_untimed(
    words: AdvertisementWords,
    (mtu, portal): (Option<u32>, Option<&'static str>),
) -> AdvertisementWords {
    let words = mtu.into_iter().fold(words, AdvertisementWords::mtu);
    portal.into_iter().fold(words, AdvertisementWords::portal)
}

/// ID, flags H, L and R, and sequence number.
fn pvd_option() -> impl Strategy<Value = (&'static str, [bool; 3], u16)> {
    (select(&IDS[..]), any::<[bool; 3]>(), 0..3_u16)
}

fn with_pvd(
    words: AdvertisementWords,
    (id, [http, legacy, own_header], sequence): (&str, [bool; 3], u16),
) -> AdvertisementWords {
    let words = words.pvd(id).sequence(sequence);
    let words = if http { words.http() } else { words };
    let words = if legacy { words.legacy() } else { words };
    if own_header { words.own_header() } else { words }
}

fn preference() -> impl Strategy<Value = Preference> {
    select(vec![Preference::Low, Preference::Medium, Preference::High])
}

fn leased(longest: u32) -> impl Strategy<Value = Event> {
    let option = |value: &'static str| any::<bool>().prop_map(move |given| given.then_some(value));
    let options = (option("192.0.2.53"), option("192.0.2.1"), option("isp.test"));
    (ifindex(), select(&ADDRESSES[..4]), deadline(longest), options).prop_map(
        |(ifindex, address, expires, (server, router, domain))| {
            let words = lease(ifindex, address, expires);
            let words = server.into_iter().fold(words, LeaseWords::dns);
            let words = router.into_iter().fold(words, LeaseWords::router);
            domain.into_iter().fold(words, LeaseWords::domain).into()
        },
    )
}

fn given_by_dhcpv6(longest: u32) -> impl Strategy<Value = Event> {
    let address = option::of((select(vec!["2001:db8:1::6", "2001:db8:9::5"]), deadline(longest)));
    let server = option::of(select(&SERVERS[..]));
    (ifindex(), address, server).prop_map(|(ifindex, address, server)| {
        let words = server.into_iter().fold(dhcpv6(ifindex), Dhcpv6Words::dns);
        let with_address = |words: Dhcpv6Words, (address, expires)| words.address(address, expires);
        address.into_iter().fold(words, with_address).into()
    })
}

fn lifetime(longest: u32) -> impl Strategy<Value = u32> {
    select(vec![0_u32, 1, 4, 30, 1800, longest])
}

/// A deadline that may have passed when it is told.
fn deadline(longest: u32) -> impl Strategy<Value = BootTime> {
    let jitter = select(vec![0_u64, 1, 2, 3, 4, 30]);
    (select(vec![0_u32, 5, 60, 1800, longest]), jitter).prop_map(|(lifetime, jitter)| {
        let deadline = BEGINNING.after_lifetime(lifetime);
        if deadline == BootTime::FOREVER {
            return deadline;
        }
        deadline.after(std::time::Duration::from_secs(jitter))
    })
}
