//! From netlink messages to events: what the messages say, and what the kernel does without saying so.

use super::driver::Drivers;
use super::message::Message;
use super::route::NextHops;
use super::told_addresses::{Left, ToldAddresses};
use super::told_routes::ToldRoutes;
use super::{address, link, route};
use mif_core::configuration::AddressFamily;
use mif_core::event::{Address, AddressKey, Event, Ifindex, Link, Route};
use mif_core::{BootTime, text};
use netlink_packet_core::NLM_F_REPLACE;
use std::path::PathBuf;

/// What has been told of the kernel's state, as far as later messages are to be read against it.
#[derive(Clone, Debug)]
pub(super) struct View {
    drivers: Drivers,
    addresses: ToldAddresses,
    routes: ToldRoutes,
    stale: Vec<Doubt>,
}

/// Told routes that may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Doubt {
    family: AddressFamily,
    /// Only those of this link, and only if there still are any when they are looked for.
    link: Option<Ifindex>,
}

impl View {
    /// A view of nothing; drivers are asked below `class_net`.
    pub(super) const fn new(class_net: PathBuf) -> Self {
        Self {
            drivers: Drivers::new(class_net),
            addresses: ToldAddresses::NONE,
            routes: ToldRoutes::NONE,
            stale: Vec::new(),
        }
    }

    /// Forgets everything: a dump of everything begins.
    pub(super) fn forget_all(&mut self) {
        self.drivers.forget_all();
        self.addresses = ToldAddresses::NONE;
        self.routes = ToldRoutes::NONE;
        self.stale.clear();
    }

    /// Adds to `events` what `message`, read at `now`, comes to. Messages about other things are passed over.
    pub(super) fn take(&mut self, message: &Message<'_>, now: BootTime, events: &mut Vec<Event>) {
        match message.kind {
            libc::RTM_NEWLINK => self.link(message.payload, events),
            libc::RTM_DELLINK => {
                events.extend(link::decode_gone(message.payload).map(|ifindex| self.link_gone(ifindex)));
            }
            libc::RTM_NEWADDR => {
                let address = address::decode(message.payload, now);
                events.extend(address.inspect(|new| self.addresses.insert(&new.key)).map(Event::Address));
            }
            libc::RTM_DELADDR => {
                if let Some(Address { key, .. }) = address::decode(message.payload, now) {
                    self.address_gone(key, events);
                }
            }
            libc::RTM_NEWROUTE => self.new_routes(message, events),
            libc::RTM_DELROUTE => {
                let gone = route::decode(message.payload, NextHops::All);
                let known = gone.into_iter().filter(|route| self.routes.remove(route));
                events.extend(known.map(|route| Event::RouteGone { route }));
            }
            _ => {}
        }
    }

    /// A family whose routes may have changed without a word; once for all such changes of it.
    pub(super) fn take_stale(&mut self) -> Option<AddressFamily> {
        while let Some(Doubt { family, link }) = self.stale.pop() {
            if link.is_none_or(|link| self.routes.on_link(link, family)) {
                self.stale.retain(|doubt| doubt.family != family);
                return Some(family);
            }
        }
        None
    }

    /// Whether routes may have changed without a word.
    pub(super) fn is_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// Adds the routes of a message to those of a dump.
    pub(super) fn note(current: &mut ToldRoutes, payload: &[u8]) {
        let routes = route::decode(payload, NextHops::Alive);
        if !routes.is_empty() {
            route::preferred_source(payload).into_iter().for_each(|source| current.note_source(source));
        }
        for route in routes {
            current.insert(&route);
        }
    }

    /// Adds to `events` how the routes of `family` differ from `current`, a dump of them.
    pub(super) fn reconcile(&mut self, family: AddressFamily, current: &ToldRoutes, events: &mut Vec<Event>) {
        for route in self.routes.missing_from(current, family) {
            self.routes.remove(&route);
            events.push(Event::RouteGone { route });
        }
        if family == AddressFamily::Ipv4 {
            self.routes.set_sources(current);
        }
        let new: Vec<Route> = current.iter().filter(|route| self.routes.insert(route)).cloned().collect();
        events.extend(new.into_iter().map(Event::Route));
    }

    fn link(&mut self, payload: &[u8], events: &mut Vec<Event>) {
        let Some(message) = link::decode(payload) else { return };
        if !message.admin_up {
            self.set_down(message.ifindex, events);
        }
        events.push(Event::Link(Link {
            ifindex: message.ifindex,
            name: text::escape(&message.name),
            alias: message.alias.as_deref().map(text::escape),
            kind: self.drivers.kind(&message),
            state: message.state,
            master: message.master,
        }));
    }

    /// The kernel has flushed the link's IPv4 routes silently, and can be told to do so with IPv6.
    fn set_down(&mut self, ifindex: Ifindex, events: &mut Vec<Event>) {
        self.ipv4_is_off(ifindex, events);
        if self.routes.on_link(ifindex, AddressFamily::Ipv6) {
            self.mark_stale(Doubt { family: AddressFamily::Ipv6, link: Some(ifindex) });
        }
    }

    /// No IPv4 route leads out of the link any more, and the kernel does not say so.
    fn ipv4_is_off(&mut self, ifindex: Ifindex, events: &mut Vec<Event>) {
        let gone = self.routes.take_from_link(ifindex, AddressFamily::Ipv4);
        events.extend(gone.into_iter().map(|route| Event::RouteGone { route }));
    }

    fn link_gone(&mut self, ifindex: Ifindex) -> Event {
        self.drivers.forget(ifindex);
        self.addresses.remove_link(ifindex);
        self.routes.remove_link(ifindex);
        Event::LinkGone { ifindex }
    }

    fn address_gone(&mut self, key: AddressKey, events: &mut Vec<Event>) {
        events.push(Event::AddressGone { key });
        if key.address.is_ipv4() {
            let left = self.addresses.remove(&key);
            if left == Left::None {
                self.ipv4_is_off(key.ifindex, events);
            }
            // Before Linux 6.7 those of other links that prefer it as their source go silently, too.
            if left == Left::Unknown || self.routes.may_prefer(key.address) {
                self.mark_stale(Doubt { family: AddressFamily::Ipv4, link: None });
            }
        }
    }

    fn new_routes(&mut self, message: &Message<'_>, events: &mut Vec<Event>) {
        let routes = route::decode(message.payload, NextHops::Alive);
        // Which route it replaces is not said; only that it led to the same destination.
        if message.flags & NLM_F_REPLACE != 0
            && let Some(first) = routes.first()
            && self.routes.others_to(first.destination, &routes)
        {
            let family = AddressFamily::of(first.destination.address);
            self.mark_stale(Doubt { family, link: None });
        }
        if !routes.is_empty() {
            route::preferred_source(message.payload).into_iter().for_each(|s| self.routes.note_source(s));
        }
        events.extend(routes.into_iter().filter(|route| self.routes.insert(route)).map(Event::Route));
    }

    fn mark_stale(&mut self, doubt: Doubt) {
        if !self.stale.contains(&doubt) {
            self.stale.push(doubt);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily as WireFamily;
    use netlink_packet_route::address::{AddressAttribute, AddressMessage};
    use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
    use netlink_packet_route::route::{
        RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
    };
    use std::net::IpAddr;

    struct Kernel {
        view: View,
        events: Vec<Event>,
    }

    impl Kernel {
        fn new() -> Self {
            Self { view: View::new(PathBuf::from("/nonexistent")), events: Vec::new() }
        }

        /// What `view` makes of a message.
        fn say(&mut self, kind: u16, flags: u16, body: &impl Emitable) -> Vec<Event> {
            let mut payload = vec![0; body.buffer_len()];
            body.emit(&mut payload);
            let message = Message { kind, flags, sequence: 0, payload: &payload };
            self.view.take(&message, BootTime::ZERO, &mut self.events);
            std::mem::take(&mut self.events)
        }
    }

    fn link(flags: LinkFlags) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 4;
        message.header.flags = flags;
        message.header.link_layer_type = LinkLayerType::Ether;
        message.attributes = vec![LinkAttribute::IfName("eth0".to_owned())];
        message
    }

    fn address(text: &str) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = WireFamily::Inet;
        message.header.index = 4;
        message.header.prefix_len = 24;
        message.attributes = vec![AddressAttribute::Address(text.parse().unwrap())];
        message
    }

    fn default_route(gateway: &str) -> RouteMessage {
        let gateway: IpAddr = gateway.parse().unwrap();
        let mut message = RouteMessage::default();
        message.header.address_family = if gateway.is_ipv4() { WireFamily::Inet } else { WireFamily::Inet6 };
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        message.header.protocol = RouteProtocol::Dhcp;
        message.attributes = vec![RouteAttribute::Oif(4), RouteAttribute::Gateway(gateway.into())];
        message
    }

    fn told(events: &[Event]) -> Route {
        match events {
            [Event::Route(route)] => route.clone(),
            other => panic!("one route was expected and not {other:?}"),
        }
    }

    #[test]
    fn a_route_is_told_once_and_its_end_once() {
        let mut kernel = Kernel::new();
        let route = told(&kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1")));
        assert_eq!(kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1")), []);
        let gone = kernel.say(libc::RTM_DELROUTE, 0, &default_route("192.0.2.1"));
        assert_eq!(gone, [Event::RouteGone { route }]);
        assert_eq!(kernel.say(libc::RTM_DELROUTE, 0, &default_route("192.0.2.1")), []);
        assert!(!kernel.view.is_stale());
    }

    #[test]
    fn a_replaced_route_is_looked_for() {
        let mut kernel = Kernel::new();
        let former = told(&kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1")));
        let latter = told(&kernel.say(libc::RTM_NEWROUTE, NLM_F_REPLACE, &default_route("192.0.2.2")));
        assert_eq!(kernel.view.take_stale(), Some(AddressFamily::Ipv4));
        let mut current = ToldRoutes::NONE;
        current.insert(&latter);
        let mut events = Vec::new();
        kernel.view.reconcile(AddressFamily::Ipv4, &current, &mut events);
        assert_eq!(events, [Event::RouteGone { route: former }]);
        assert!(!kernel.view.is_stale());
    }

    #[test]
    fn the_ipv4_routes_of_a_link_that_is_set_down_are_gone() {
        let mut kernel = Kernel::new();
        let up = LinkFlags::Up | LinkFlags::LowerUp;
        kernel.say(libc::RTM_NEWLINK, 0, &link(up));
        let route = told(&kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1")));
        let lost_carrier = kernel.say(libc::RTM_NEWLINK, 0, &link(LinkFlags::Up));
        assert!(matches!(lost_carrier[..], [Event::Link(_)]), "a lost carrier takes no routes");
        let set_down = kernel.say(libc::RTM_NEWLINK, 0, &link(LinkFlags::empty()));
        assert!(
            matches!(&set_down[..], [Event::RouteGone { route: gone }, Event::Link(_)] if *gone == route)
        );
        assert!(!kernel.view.is_stale(), "nothing to look for");
    }

    #[test]
    fn ipv6_routes_are_looked_for_when_a_link_is_set_down() {
        let mut kernel = Kernel::new();
        let route = told(&kernel.say(libc::RTM_NEWROUTE, 0, &default_route("2001:db8::1")));
        kernel.say(libc::RTM_NEWLINK, 0, &link(LinkFlags::empty()));
        assert!(kernel.view.is_stale());
        let mut told_after_all = kernel.view.clone();
        assert_eq!(kernel.view.take_stale(), Some(AddressFamily::Ipv6));
        assert!(!kernel.view.is_stale());
        let mut events = Vec::new();
        kernel.view.reconcile(AddressFamily::Ipv6, &ToldRoutes::NONE, &mut events);
        assert_eq!(events, [Event::RouteGone { route: route.clone() }]);
        assert!(told_after_all.routes.remove(&route));
        assert_eq!(told_after_all.take_stale(), None, "the kernel has told of it meanwhile");
    }

    #[test]
    fn the_last_ipv4_address_takes_the_routes_of_its_link() {
        let mut kernel = Kernel::new();
        for text in ["192.0.2.7", "192.0.2.8"] {
            kernel.say(libc::RTM_NEWADDR, 0, &address(text));
        }
        let route = told(&kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1")));
        let one_of_two = kernel.say(libc::RTM_DELADDR, 0, &address("192.0.2.7"));
        assert!(matches!(one_of_two[..], [Event::AddressGone { .. }]));
        let last = kernel.say(libc::RTM_DELADDR, 0, &address("192.0.2.8"));
        assert!(
            matches!(&last[..], [Event::AddressGone { .. }, Event::RouteGone { route: gone }] if *gone == route)
        );
        assert!(!kernel.view.is_stale(), "nothing to look for");
    }

    #[test]
    fn routes_are_looked_for_when_the_source_goes_that_one_prefers() {
        let mut kernel = Kernel::new();
        for text in ["192.0.2.7", "192.0.2.8", "192.0.2.9"] {
            kernel.say(libc::RTM_NEWADDR, 0, &address(text));
        }
        let mut route = default_route("192.0.2.1");
        route.attributes.push(RouteAttribute::PrefSource(RouteAddress::Inet("192.0.2.7".parse().unwrap())));
        kernel.say(libc::RTM_NEWROUTE, 0, &route);
        kernel.say(libc::RTM_DELADDR, 0, &address("192.0.2.8"));
        assert!(!kernel.view.is_stale(), "nobody preferred that");
        kernel.say(libc::RTM_DELADDR, 0, &address("192.0.2.7"));
        assert_eq!(kernel.view.take_stale(), Some(AddressFamily::Ipv4));
        kernel.view.reconcile(AddressFamily::Ipv4, &ToldRoutes::NONE, &mut Vec::new());
        kernel.say(libc::RTM_NEWADDR, 0, &address("192.0.2.7"));
        kernel.say(libc::RTM_DELADDR, 0, &address("192.0.2.7"));
        assert!(!kernel.view.is_stale(), "no route prefers it any more");
    }

    #[test]
    fn routes_are_looked_for_when_an_address_goes_that_nobody_told_of() {
        let mut kernel = Kernel::new();
        kernel.say(libc::RTM_DELADDR, 0, &address("192.0.2.7"));
        assert_eq!(kernel.view.take_stale(), Some(AddressFamily::Ipv4));
    }

    #[test]
    fn the_routes_of_a_gone_link_go_with_it() {
        let mut kernel = Kernel::new();
        kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1"));
        assert_eq!(
            kernel.say(libc::RTM_DELLINK, 0, &link(LinkFlags::empty())),
            [Event::LinkGone { ifindex: 4 }]
        );
        assert_eq!(kernel.say(libc::RTM_DELROUTE, 0, &default_route("192.0.2.1")), []);
    }
}
