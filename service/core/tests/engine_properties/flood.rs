//! Floods: whatever a network throws at a host, no list grows beyond its cap, and what is in use stays.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, address, route, up};
use crate::common::host::Host;
use mif_core::event::Event;
use mif_core::limits;
use proptest::collection::vec;
use proptest::prelude::*;

const ROUTER: &str = "implicit:eth0:ipv6:fe80::1";

/// A router among many with a lot to say. Its prefixes are its own unless `covers` lets it claim everything.
fn flooding(covers: bool) -> impl Strategy<Value = AdvertisementWords> {
    let numbers = || vec(0..400_u16, 0..40);
    (2..200_u16, 0..1800_u16, numbers(), numbers(), numbers(), numbers()).prop_map(
        move |(router, lifetime, prefixes, routes, servers, domains)| {
            let mut words = advertisement(ETH0, &format!("fe80::{router:x}")).router_lifetime(lifetime);
            if covers {
                words = words.prefix("2001:db8::/32", 7200, 3600);
            }
            for number in prefixes {
                words = words.prefix(&format!("2001:db9:{number:x}::/64"), 7200, 3600);
            }
            for number in routes {
                words = words.route(&format!("2001:dba:{number:x}::/48"), 600);
            }
            for number in servers {
                words = words.dns(&format!("2001:db8::{number:x}"), 900);
            }
            domains.into_iter().fold(words, |words, number| words.search(&format!("d{number}.test"), 900))
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_flat_map(flooding).prop_map(Event::from),
        2 => any::<u16>().prop_map(|number| address(ETH0, &format!("2001:db8::{number:x}/64")).into()),
        2 => any::<u8>().prop_map(|number| address(ETH0, &format!("10.0.0.{number}/8")).into()),
        2 => any::<u16>().prop_map(|number| route(ETH0, &format!("2001:dbb:{number:x}::/48")).into()),
        1 => any::<u8>().prop_map(|number| route(ETH0, &format!("10.{number}.0.0/16")).into()),
    ]
}

fn check_caps(host: &Host) {
    for interface in host.snapshot().interfaces() {
        assert!(interface.pvds.len() <= limits::PVDS_PER_INTERFACE);
        let facts = host.engine().facts().link(interface.ifindex).unwrap();
        assert!(facts.routers().len() <= limits::ROUTERS_PER_INTERFACE);
        assert!(facts.routes().count() <= limits::ROUTES_PER_INTERFACE);
        assert!(facts.addresses().count() <= limits::ADDRESSES_PER_INTERFACE);
    }
    for pvd in host.snapshot().pvds() {
        assert!(pvd.addresses.len() <= limits::ADDRESSES_PER_PVD);
        assert!(pvd.used.dns_servers.len() <= limits::SERVERS_PER_PVD);
        assert!(pvd.used.search_domains.len() <= limits::DOMAINS_PER_PVD);
        assert!(pvd.used.routers.len() <= limits::ROUTERS_PER_PVD);
        assert!(pvd.used.prefixes.len() <= limits::PREFIXES_PER_ROUTER + limits::ROUTES_PER_INTERFACE);
        assert!(pvd.used.routes.len() <= limits::ROUTES_PER_ROUTER + 1 + limits::ROUTES_PER_INTERFACE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..crate::config() })]

    #[test]
    fn no_list_grows_beyond_its_cap(batches in vec(vec(any_event(), 0..200), 1..6), resync in any::<bool>()) {
        let mut host = Host::started();
        host.see([up(ETH0)]);
        if resync {
            host.see([Event::ResyncBegin, up(ETH0)]);
        }
        let mut notices = Vec::new();
        for batch in batches {
            host.see(batch);
            notices.extend(host.last().notices.clone());
            check_caps(&host);
        }
        host.see([Event::ResyncEnd]);
        check_caps(&host);
        let said = notices.len();
        notices.sort_unstable();
        notices.dedup();
        prop_assert_eq!(notices.len(), said, "one notice a link and kind");
    }

    #[test]
    fn a_router_in_use_survives(floods in vec(flooding(false), 0..200), late in any::<bool>()) {
        let mut host = Host::started();
        host.see([up(ETH0)]);
        let used = advertisement(ETH0, "fe80::1").prefix("2001:db8:1::/64", 7200, 3600);
        host.see([address(ETH0, "2001:db8:1::5/64").autoconfigured()]);
        if !late {
            host.see([used.clone()]);
        }
        host.see(floods);
        if late {
            host.see([used]);
        }
        prop_assert_eq!(host.addresses(ROUTER), ["2001:db8:1::5/64 preferred ra"]);
    }
}
