//! Rules 3 and 5: an address stays in its provisioning domain when the prefix that it was made from ends before the kernel
//! lets the address go (the two-hour rule, RFC 4862 5.5.3 e). A provisioning domain of which nothing is advertised any
//! more ends all the same.

use crate::common::advertisement::{AdvertisementWords, advertisement};
use crate::common::event::{ETH0, address, address_gone, down, up};
use crate::common::events;
use crate::common::host::Host;
use crate::common::web::{answered, information, request};
use mif_core::configuration::Element;
use mif_core::limits;
use serde_json::json;

const ROUTER1: &str = "implicit:eth0:ipv6:fe80::1";
const ROUTER2: &str = "implicit:eth0:ipv6:fe80::2";
const NO_ROUTER: &str = "implicit:eth0:ipv6";
const RED: &str = "red.example";
const BLUE: &str = "blue.example";
const PREFIX: &str = "2001:db8:1::/64";
const OWN: &str = "2001:db8:1::5/64";
const PREFERRED: &str = "2001:db8:1::5/64 preferred ra";
const DEPRECATED: &str = "2001:db8:1::5/64 deprecated ra";

/// With a router, and an address of its prefix.
fn host(says: AdvertisementWords) -> Host {
    let mut host = Host::started();
    host.see(events![
        up(ETH0),
        address(ETH0, "fe80::a/64"),
        says.prefix(PREFIX, 7200, 3600),
        address(ETH0, OWN).autoconfigured(),
    ]);
    host
}

fn router1() -> AdvertisementWords {
    advertisement(ETH0, "fe80::1")
}

fn router2() -> AdvertisementWords {
    advertisement(ETH0, "fe80::2")
}

fn red() -> AdvertisementWords {
    router1().pvd(RED)
}

fn blue() -> AdvertisementWords {
    router1().pvd(BLUE)
}

/// The router says that the prefix is over; the kernel keeps the address for two hours.
fn withdraw(host: &mut Host, says: AdvertisementWords) {
    let (preferred, valid) = (host.within(0), host.within(7200));
    host.see(events![
        says.prefix(PREFIX, 0, 0),
        address(ETH0, OWN).autoconfigured().lasting(preferred, valid).deprecated(),
    ]);
}

fn prefixes(host: &Host, id: &str) -> usize {
    host.gave(id, Element::Ra).prefixes.len()
}

#[test]
fn a_withdrawn_prefix_keeps_its_address() {
    let mut host = host(router1());
    withdraw(&mut host, router1());
    for _ in 0..3 {
        host.wait(11);
        assert_eq!(host.ids(), [ROUTER1]);
        assert_eq!(host.addresses(ROUTER1), [DEPRECATED]);
        assert_eq!(prefixes(&host, ROUTER1), 0, "it is advertised no more");
    }
    host.see([address_gone(ETH0, OWN)]);
    assert_eq!((host.ids(), host.addresses(ROUTER1)), (vec![ROUTER1], vec![]));
    // Nothing of it is remembered then.
    host.see([address(ETH0, OWN).autoconfigured()]);
    host.wait(4);
    assert_eq!(host.addresses(NO_ROUTER), [PREFERRED]);
}

#[test]
fn so_does_one_that_ends_before_its_address() {
    let mut host = host(router1());
    host.see([router1().prefix(PREFIX, 10, 10)]);
    host.wait(11);
    assert_eq!((host.ids(), host.addresses(ROUTER1)), (vec![ROUTER1], vec![PREFERRED.to_owned()]));
    assert_eq!(prefixes(&host, ROUTER1), 0);
    host.wait(60);
    assert_eq!((host.ids(), host.addresses(ROUTER1)), (vec![ROUTER1], vec![PREFERRED.to_owned()]));
}

#[test]
fn what_is_taken_back_altogether_is_gone_and_its_address_makes_nothing_new() {
    for (says, id) in [(router1(), ROUTER1), (red(), RED)] {
        let mut host = host(says.clone().mtu(1400));
        withdraw(&mut host, says.clone().router_lifetime(0));
        for _ in 0..3 {
            assert_eq!(host.ids(), [""; 0]);
            host.wait(1000);
        }
        // Who comes back has the address again, and nothing else of before.
        host.see([says]);
        assert_eq!((host.ids(), host.addresses(id)), (vec![id], vec![DEPRECATED.to_owned()]));
        assert_eq!(host.gave(id, Element::Ra).mtu, None);
    }
}

#[test]
fn what_one_of_several_routers_takes_back_stays_with_the_others() {
    let mut host = host(red().mtu(1400));
    host.see([router2().pvd(RED).mtu(1500)]);
    // Its own word of the prefix is the last.
    withdraw(&mut host, red().router_lifetime(0));
    host.see([red().router_lifetime(0)]);
    host.wait(11);
    assert_eq!((host.ids(), host.addresses(RED)), (vec![RED], vec![DEPRECATED.to_owned()]));
    host.see([router2().pvd(RED)]);
    assert_eq!(host.gave(RED, Element::Ra).mtu, Some(1500));
    assert_eq!((host.ids(), host.addresses(RED)), (vec![RED], vec![DEPRECATED.to_owned()]));
}

#[test]
fn those_that_only_take_back_keep_nobody_out() {
    let mut host = host(router1());
    for number in 0..limits::ROUTERS_PER_INTERFACE + 10 {
        let stranger = advertisement(ETH0, &format!("fe80::1:{number:x}"));
        host.see([stranger.router_lifetime(0).prefix(PREFIX, 0, 0)]);
    }
    host.see([router2()]);
    host.wait(11);
    assert_eq!(host.ids(), [ROUTER1, ROUTER2]);
    assert_eq!(host.addresses(ROUTER1), [PREFERRED]);
}

#[test]
fn when_both_end_at_once_the_kernel_may_be_late() {
    for (says, id) in [(router1(), ROUTER1), (red(), RED)] {
        let mut host = Host::started();
        let until = host.within(60);
        let own = address(ETH0, OWN).autoconfigured().lasting(until, until);
        host.see(events![up(ETH0), says.router_lifetime(0).prefix(PREFIX, 60, 60), own]);
        host.wait(60);
        assert_eq!(host.announcements(), [format!("-{id}")]);
        host.wait(1);
        host.see([address_gone(ETH0, OWN)]);
        assert_eq!((host.announcements(), host.ids()), (vec![], vec![]));
    }
}

#[test]
fn an_explicit_one_keeps_its_source() {
    let mut host = host(red());
    withdraw(&mut host, red());
    host.wait(11);
    assert_eq!((host.ids(), host.addresses(RED)), (vec![RED], vec![DEPRECATED.to_owned()]));
}

#[test]
fn whichever_router_of_an_explicit_one_speaks() {
    let mut host = host(red());
    withdraw(&mut host, red());
    host.see([router2().pvd(RED)]);
    host.see([red().router_lifetime(0)]);
    host.wait(11);
    assert_eq!((host.ids(), host.addresses(RED)), (vec![RED], vec![DEPRECATED.to_owned()]));
}

#[test]
fn it_comes_back_to_life_where_it_was() {
    let mut host = host(router1());
    withdraw(&mut host, router1());
    host.wait(11);
    host.see(events![router1().prefix(PREFIX, 7200, 3600), address(ETH0, OWN).autoconfigured()]);
    assert_eq!((host.addresses(ROUTER1), prefixes(&host, ROUTER1)), (vec![PREFERRED.to_owned()], 1));
    assert_eq!(host.ids(), [ROUTER1]);
}

#[test]
fn whoever_advertises_it_next_has_it() {
    for (says, id) in [(router2(), ROUTER2), (router2().pvd(BLUE), BLUE), (blue(), BLUE)] {
        for (former, left) in [(router1(), ROUTER1), (red(), RED)] {
            let mut host = host(former.clone());
            withdraw(&mut host, former);
            host.wait(11);
            host.see([says.clone().prefix(PREFIX, 7200, 3600)]);
            assert_eq!((host.addresses(left), host.addresses(id)), (vec![], vec![DEPRECATED.to_owned()]));
            // And keeps it.
            host.see([says.clone().prefix(PREFIX, 0, 0)]);
            host.wait(11);
            assert_eq!((host.addresses(left), host.addresses(id)), (vec![], vec![DEPRECATED.to_owned()]));
        }
    }
}

#[test]
fn of_two_that_share_it_the_one_that_advertises_it_has_it() {
    let mut host = host(router1());
    host.see([router2().prefix(PREFIX, 60, 60)]);
    host.see([router1().prefix(PREFIX, 30, 30)]);
    host.wait(31);
    assert_eq!((host.addresses(ROUTER1), host.addresses(ROUTER2)), (vec![], vec![PREFERRED.to_owned()]));
    host.wait(60);
    assert_eq!((host.addresses(ROUTER1), host.addresses(ROUTER2)), (vec![], vec![PREFERRED.to_owned()]));
    assert_eq!(host.ids(), [ROUTER1, ROUTER2]);
}

#[test]
fn nothing_flaps_when_both_say_again_and_again_that_it_is_over() {
    let mut host = host(router1());
    host.see([router2().prefix(PREFIX, 7200, 3600)]);
    for _ in 0..3 {
        host.see([router1().prefix(PREFIX, 0, 0)]);
        host.wait(11);
        host.see([router2().prefix(PREFIX, 0, 0)]);
        host.wait(11);
        assert_eq!(host.ids(), [ROUTER1, ROUTER2]);
        assert_eq!((host.addresses(ROUTER1), host.addresses(ROUTER2)), (vec![], vec![PREFERRED.to_owned()]));
    }
}

#[test]
fn an_implicit_one_takes_nothing_from_an_explicit_one_by_ending_it() {
    let mut host = host(red());
    withdraw(&mut host, red());
    host.see([router1().prefix(PREFIX, 0, 0), router2().prefix(PREFIX, 0, 0)]);
    host.wait(11);
    assert_eq!(host.addresses(RED), [DEPRECATED]);
    assert_eq!((host.addresses(ROUTER1).len(), host.addresses(ROUTER2).len()), (0, 0));
}

#[test]
fn the_explicit_one_that_ends_what_another_holds_has_the_address() {
    for former in [router1(), red(), router2().pvd(RED)] {
        let mut host = host(former);
        withdraw(&mut host, blue());
        host.wait(11);
        assert_eq!(host.addresses(BLUE), [DEPRECATED]);
        assert!(!host.ids().contains(&NO_ROUTER));
    }
}

#[test]
fn a_withdrawal_explains_an_address_from_before() {
    let mut host = Host::started();
    host.see(events![up(ETH0), address(ETH0, OWN).autoconfigured().deprecated()]);
    host.see([router1().prefix(PREFIX, 0, 0)]);
    host.wait(11);
    assert_eq!((host.ids(), host.addresses(ROUTER1)), (vec![ROUTER1], vec![DEPRECATED.to_owned()]));
}

#[test]
fn one_made_by_a_client_that_the_kernel_does_not_know_stays_too() {
    let mut host = host(router1());
    let (preferred, valid) = (host.within(3600), host.within(7200));
    host.see([address(ETH0, "2001:db8:1::6/64").lasting(preferred, valid)]);
    host.see([address_gone(ETH0, OWN)]);
    host.see([router1().prefix(PREFIX, 0, 0)]);
    host.wait(11);
    assert_eq!(host.addresses(ROUTER1), ["2001:db8:1::6/64 preferred ra"]);
}

#[test]
fn by_hand_and_by_dhcpv6_it_goes_with_the_prefix() {
    let mut host = host(router1());
    let until = host.within(7200);
    host.see([address(ETH0, "2001:db8:1::7/128").lasting(until, until), address(ETH0, "2001:db8:1::8/64")]);
    assert_eq!(host.addresses(ROUTER1).len(), 3);
    host.see([router1().prefix(PREFIX, 0, 0)]);
    host.wait(11);
    assert_eq!(host.addresses(ROUTER1), [PREFERRED]);
    assert_eq!(
        host.addresses(NO_ROUTER),
        ["2001:db8:1::7/128 preferred dhcpv6", "2001:db8:1::8/64 preferred static"]
    );
}

#[test]
fn it_does_not_outlive_the_carrier() {
    let mut host = host(router1());
    withdraw(&mut host, router1());
    host.see([down(ETH0)]);
    host.wait(1);
    assert_eq!(host.addresses(ROUTER1), [DEPRECATED]);
    host.wait(1);
    host.see([up(ETH0)]);
    host.wait(4);
    assert_eq!(host.ids(), [NO_ROUTER], "what was heard before is not trusted");
}

/// RFC 8801 4.3 is about what is advertised.
#[test]
fn additional_information_need_not_name_it() {
    let mut host = host(red().http().dns("2001:db8::53", 7200).prefix("2001:db8:2::/64", 7200, 3600));
    withdraw(&mut host, red().http());
    let fetch = request(&host);
    host.see([answered(&fetch, &information(RED, json!({"prefixes": ["2001:db8:2::/64"]})))]);
    assert_eq!(host.elements(RED), ["additional-information", "ra"]);
}

#[test]
fn those_that_have_ended_count_among_the_prefixes() {
    let prefix = |number: usize| format!("2001:db8:{number:x}::/64");
    let cap = limits::PREFIXES_PER_ROUTER;
    let mut host = host(router1());
    let own = |number| address(ETH0, &format!("2001:db8:{number:x}::5/64")).autoconfigured();
    host.see((1..=cap + 10).map(own));
    for number in 1..=cap + 10 {
        host.see([router1().prefix(&prefix(number), 7200, 3600)]);
        host.see([router1().prefix(&prefix(number), 0, 0)]);
    }
    host.wait(11);
    assert_eq!(host.addresses(ROUTER1).len(), cap);
    assert_eq!(host.addresses(NO_ROUTER).len(), 10);
    // What nothing was made from takes no place.
    for number in 1000..1000 + cap {
        host.see([router1().prefix(&prefix(number), 0, 0)]);
    }
    host.see([address_gone(ETH0, OWN), router1().prefix(&prefix(2000), 7200, 3600).into()]);
    assert_eq!(prefixes(&host, ROUTER1), 1);
}
