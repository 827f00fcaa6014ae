//! What can happen on two links, so few things that everything soon meets everything else.

use crate::common::advertisement::advertisement;
use crate::common::event::{ETH0, address, address_gone, down, gone, link, route, up};
use crate::common::lease::{lease, lease_gone};
use mif_core::BootTime;
use mif_core::event::{Event, Ifindex, Link, LinkState};
use proptest::prelude::*;
use std::time::Duration;

/// One thing that happens on a link.
#[derive(Clone, Debug)]
pub struct Happening {
    link: Ifindex,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Up,
    Down,
    Gone,
    Renamed(u8),
    Address { host: u8, life: Life },
    AddressGone { host: u8 },
    Lease { server: u8, seconds: u64 },
    LeaseGone,
    Advertisement { router: u8, server: u8, seconds: u16 },
    Route { metric: u32 },
    RouteGone { metric: u32 },
}

/// How an address lives.
#[derive(Clone, Copy, Debug)]
enum Life {
    Tentative,
    Permanent,
    Deprecated,
    /// Preferred for so many seconds, valid for twice as many.
    Seconds(u64),
}

/// What happens at once: one thing mostly, sometimes several.
pub fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(happening(), 1..4)
}

impl Happening {
    /// A source's word for it.
    pub fn event(&self, now: BootTime) -> Event {
        let ifindex = self.link;
        let net = ifindex;
        let within = |seconds| now.after(Duration::from_secs(seconds));
        match self.what {
            What::Up => up(ifindex),
            What::Down => down(ifindex),
            What::Gone => gone(ifindex),
            What::Renamed(number) => {
                Event::Link(Link { name: format!("net{number}"), ..link(ifindex, LinkState::Up) })
            }
            What::Address { host, life } => {
                let words = address(ifindex, &format!("192.0.{net}.{host}/24"));
                match life {
                    Life::Tentative => words.tentative(),
                    Life::Permanent => words,
                    Life::Deprecated => words.deprecated(),
                    Life::Seconds(seconds) => words.lasting(within(seconds), within(2 * seconds)),
                }
                .into()
            }
            What::AddressGone { host } => address_gone(ifindex, &format!("192.0.{net}.{host}/24")),
            What::Lease { server, seconds } => lease(ifindex, &format!("192.0.{net}.1/24"), within(seconds))
                .dns(&format!("192.0.{net}.{server}"))
                .into(),
            What::LeaseGone => lease_gone(ifindex),
            What::Advertisement { router, server, seconds } => {
                advertisement(ifindex, &format!("fe80::{router}"))
                    .router_lifetime(seconds)
                    .dns(&format!("2001:db8::{server}"), u32::from(seconds))
                    .into()
            }
            What::Route { metric } => route(ifindex, "0.0.0.0/0").metric(metric).into(),
            What::RouteGone { metric } => route(ifindex, "0.0.0.0/0").metric(metric).gone(),
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let host = || 1_u8..4;
    let server = || 53_u8..56;
    let life = prop_oneof![
        1 => Just(Life::Tentative),
        2 => Just(Life::Permanent),
        1 => Just(Life::Deprecated),
        2 => prop::sample::select(vec![2, 5, 7, 10]).prop_map(Life::Seconds),
    ];
    let what = prop_oneof![
        3 => Just(What::Up),
        1 => Just(What::Down),
        1 => Just(What::Gone),
        1 => (0_u8..2).prop_map(What::Renamed),
        6 => (host(), life).prop_map(|(host, life)| What::Address { host, life }),
        3 => host().prop_map(|host| What::AddressGone { host }),
        3 => (server(), 1_u64..20).prop_map(|(server, seconds)| What::Lease { server, seconds }),
        1 => Just(What::LeaseGone),
        3 => (1_u8..3, server(), 0_u16..20)
            .prop_map(|(router, server, seconds)| What::Advertisement { router, server, seconds }),
        1 => (1_u32..3).prop_map(|metric| What::Route { metric }),
        1 => (1_u32..3).prop_map(|metric| What::RouteGone { metric }),
    ];
    (ETH0..ETH0 + 2, what).prop_map(|(link, what)| Happening { link, what })
}
