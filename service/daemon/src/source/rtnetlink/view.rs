//! From netlink messages to events: what the messages say, and what the kernel does without saying so.

use super::driver::Drivers;
use super::message::Message;
use super::route::NextHops;
use super::told_routes::ToldRoutes;
use super::{address, link, route};
use mif_core::configuration::AddressFamily;
use mif_core::event::{Address, Event, Ifindex, Link, Route};
use mif_core::{BootTime, text};
use netlink_packet_core::NLM_F_REPLACE;
use std::path::PathBuf;

/// What has been told of the kernel's state, as far as later messages are to be read against it.
#[derive(Clone, Debug)]
pub(super) struct View {
    drivers: Drivers,
    routes: ToldRoutes,
    stale: Vec<AddressFamily>,
}

impl View {
    /// A view of nothing; drivers are asked below `class_net`.
    pub(super) const fn new(class_net: PathBuf) -> Self {
        Self { drivers: Drivers::new(class_net), routes: ToldRoutes::NONE, stale: Vec::new() }
    }

    /// Forgets everything: a dump of everything begins.
    pub(super) fn forget_all(&mut self) {
        self.drivers.forget_all();
        self.routes = ToldRoutes::NONE;
        self.stale.clear();
    }

    /// Adds to `events` what `message`, read at `now`, comes to. Messages about other things are passed over.
    pub(super) fn take(&mut self, message: &Message<'_>, now: BootTime, events: &mut Vec<Event>) {
        match message.kind {
            libc::RTM_NEWLINK => events.extend(self.link(message.payload)),
            libc::RTM_DELLINK => {
                events.extend(link::decode_gone(message.payload).map(|ifindex| self.link_gone(ifindex)));
            }
            libc::RTM_NEWADDR => events.extend(address::decode(message.payload, now).map(Event::Address)),
            libc::RTM_DELADDR => {
                events
                    .extend(address::decode(message.payload, now).map(|address| self.address_gone(&address)));
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

    /// A family whose routes may have changed without a word; once for each such change.
    pub(super) fn take_stale(&mut self) -> Option<AddressFamily> {
        self.stale.pop()
    }

    /// Whether routes may have changed without a word.
    pub(super) fn is_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// Adds to `events` how the routes of `family` differ from `current`, a dump of them.
    pub(super) fn reconcile(&mut self, family: AddressFamily, current: &ToldRoutes, events: &mut Vec<Event>) {
        for route in self.routes.missing_from(current, family) {
            self.routes.remove(&route);
            events.push(Event::RouteGone { route });
        }
        let new: Vec<Route> = current.iter().filter(|route| self.routes.insert(route)).cloned().collect();
        events.extend(new.into_iter().map(Event::Route));
    }

    fn link(&mut self, payload: &[u8]) -> Option<Event> {
        let message = link::decode(payload)?;
        if !message.admin_up {
            // Set down: the kernel has flushed its IPv4 routes silently, and can be told to do so with IPv6.
            for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
                if self.routes.on_link(message.ifindex, family) {
                    self.mark_stale(family);
                }
            }
        }
        Some(Event::Link(Link {
            ifindex: message.ifindex,
            name: text::escape(&message.name),
            alias: message.alias.as_deref().map(text::escape),
            kind: self.drivers.kind(&message),
            state: message.state,
        }))
    }

    fn link_gone(&mut self, ifindex: Ifindex) -> Event {
        self.drivers.forget(ifindex);
        self.routes.remove_link(ifindex);
        Event::LinkGone { ifindex }
    }

    fn address_gone(&mut self, address: &Address) -> Event {
        // Routes that prefer it as their source, and all of a link without addresses, go silently.
        if address.key.address.is_ipv4() && self.routes.any(AddressFamily::Ipv4) {
            self.mark_stale(AddressFamily::Ipv4);
        }
        Event::AddressGone { key: address.key }
    }

    fn new_routes(&mut self, message: &Message<'_>, events: &mut Vec<Event>) {
        let routes = route::decode(message.payload, NextHops::Alive);
        // Which route it replaces is not said; only that it led to the same destination.
        if message.flags & NLM_F_REPLACE != 0
            && let Some(first) = routes.first()
            && self.routes.others_to(first.destination, &routes)
        {
            self.mark_stale(AddressFamily::of(first.destination.address));
        }
        events.extend(routes.into_iter().filter(|route| self.routes.insert(route)).map(Event::Route));
    }

    fn mark_stale(&mut self, family: AddressFamily) {
        if !self.stale.contains(&family) {
            self.stale.push(family);
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

    fn default_route(gateway: &str) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = WireFamily::Inet;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        message.header.protocol = RouteProtocol::Dhcp;
        let gateway = RouteAddress::Inet(gateway.parse().unwrap());
        message.attributes = vec![RouteAttribute::Oif(4), RouteAttribute::Gateway(gateway)];
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
    fn routes_are_looked_for_when_a_link_is_set_down() {
        let mut kernel = Kernel::new();
        let up = LinkFlags::Up | LinkFlags::LowerUp;
        kernel.say(libc::RTM_NEWLINK, 0, &link(up));
        let route = told(&kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1")));
        kernel.say(libc::RTM_NEWLINK, 0, &link(LinkFlags::Up));
        assert!(!kernel.view.is_stale(), "a lost carrier takes no routes");
        kernel.say(libc::RTM_NEWLINK, 0, &link(LinkFlags::empty()));
        assert_eq!(kernel.view.take_stale(), Some(AddressFamily::Ipv4));
        assert!(!kernel.view.is_stale());
        let mut events = Vec::new();
        kernel.view.reconcile(AddressFamily::Ipv4, &ToldRoutes::NONE, &mut events);
        assert_eq!(events, [Event::RouteGone { route }]);
    }

    #[test]
    fn routes_are_looked_for_when_an_ipv4_address_goes() {
        let mut kernel = Kernel::new();
        let mut message = AddressMessage::default();
        message.header.family = WireFamily::Inet;
        message.header.index = 4;
        message.header.prefix_len = 24;
        message.attributes = vec![AddressAttribute::Address("192.0.2.7".parse().unwrap())];
        assert!(matches!(kernel.say(libc::RTM_DELADDR, 0, &message)[..], [Event::AddressGone { .. }]));
        assert!(!kernel.view.is_stale(), "there was no route to lose");
        kernel.say(libc::RTM_NEWROUTE, 0, &default_route("192.0.2.1"));
        kernel.say(libc::RTM_DELADDR, 0, &message);
        assert!(kernel.view.is_stale());
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
