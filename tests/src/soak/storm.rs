//! What happens to networks and to the service, one thing at a time and without a pause.

use nix::sys::signal::Signal;

use super::random::Random;
use super::world::{Network, World};
use crate::node::Node;
use crate::router_advertisement::RouterAdvertisement;
use crate::served_host::ServedHost;

/// Links that are born and gone at once.
const SHORT_LIVED: usize = 20;
/// Carrier flaps in a row.
const FLAPS: usize = 10;
/// Router Advertisements in a row.
const ADVERTISEMENTS: usize = 200;

/// One thing, and how many events it was.
pub fn strike(world: &World, served: &ServedHost, random: &mut Random) -> u64 {
    let network = random.below(world.networks.len());
    let (host, elsewhere) = (world.host.clone(), world.elsewhere.clone());
    let network = &world.networks[network];
    let name = network.cable.near().name().to_owned();
    let events = match random.below(20) {
        0..=4 => address_comes_or_goes(&host, &name, random),
        5..=6 => flaps(network, random),
        7 => {
            // Its IPv6 addresses go with it.
            host.try_ip(&format!("link set {name} down"));
            host.try_ip(&format!("link set {name} up"));
            2
        }
        8 => renamed_and_back(&host, network, &name),
        9 => moved_and_back(&host, &elsewhere, &name),
        10 => born_and_gone(&host, random),
        11..=16 => advertised(network, random),
        17 => {
            served.mifd.process().signal(Signal::SIGHUP);
            1
        }
        18 => {
            host.try_ip(&format!("address flush dev {name} scope global"));
            1
        }
        _ => frozen(served, &host, &name),
    };
    events as u64
}

fn address_comes_or_goes(host: &Node, name: &str, random: &mut Random) -> usize {
    let number = random.below(8);
    let address = match random.below(2) {
        0 => format!("192.0.2.{}/28", 16 + number),
        _ => format!("2001:db8:99::{number}/64"),
    };
    let what = if random.once_in(2) { "add" } else { "del" };
    host.try_ip(&format!("address {what} {address} dev {name}"));
    1
}

fn flaps(network: &Network, random: &mut Random) -> usize {
    let far = network.cable.far().node();
    let times = 1 + random.below(FLAPS);
    for _ in 0..times {
        far.try_ip("link set lan down");
        far.try_ip("link set lan up");
    }
    2 * times
}

fn renamed_and_back(host: &Node, network: &Network, name: &str) -> usize {
    let odd = format!("odd{}", network.number);
    for (from, to) in [(name, &*odd), (&*odd, name)] {
        host.try_ip(&format!("link set {from} down"));
        host.try_ip(&format!("link set {from} name {to}"));
        host.try_ip(&format!("link set {to} up"));
    }
    6
}

fn moved_and_back(host: &Node, elsewhere: &Node, name: &str) -> usize {
    host.try_ip(&format!("link set {name} netns elsewhere"));
    elsewhere.try_ip(&format!("link set {name} netns host"));
    host.try_ip(&format!("link set {name} up"));
    3
}

fn born_and_gone(host: &Node, random: &mut Random) -> usize {
    let count = 1 + random.below(SHORT_LIVED);
    for number in 0..count {
        host.try_ip(&format!("link add short{number} type veth peer name other{number}"));
        host.try_ip(&format!("link set short{number} up"));
    }
    for number in 0..count {
        host.try_ip(&format!("link del short{number}"));
    }
    2 * count
}

/// Explicit PvDs come and go, are said again, changed, and more than there may be.
fn advertised(network: &Network, random: &mut Random) -> usize {
    let count = if random.once_in(4) { ADVERTISEMENTS } else { 5 };
    for _ in 0..count {
        // What a storm says is over before the next quiet point has been waited for.
        let lifetime = *random.one_of(&[0, 1, 2, 4]);
        let seconds = u32::from(lifetime);
        let among = if random.once_in(5) { 1_000 } else { 6 };
        let number = random.below(among);
        let inside = RouterAdvertisement::new(lifetime)
            .prefix(&format!("2001:db8:5:{number:x}::"), 64, seconds, seconds)
            .dns_servers(seconds, &[&format!("2001:db8:5::{number:x}")]);
        let sequence = u16::try_from(random.below(3)).unwrap_or(0);
        let message = if random.once_in(3) {
            inside
        } else {
            let id = format!("storm{number}.soak.example");
            RouterAdvertisement::new(lifetime).pvd(0, sequence, &id, &inside)
        };
        network.say(&message);
    }
    count
}

/// The service sleeps while things change, and has to catch up.
fn frozen(served: &ServedHost, host: &Node, name: &str) -> usize {
    served.mifd.process().signal(Signal::SIGSTOP);
    for number in 0..50 {
        host.try_ip(&format!("address add 198.51.100.{number}/32 dev {name}"));
    }
    for number in 0..50 {
        host.try_ip(&format!("address del 198.51.100.{number}/32 dev {name}"));
    }
    served.mifd.process().signal(Signal::SIGCONT);
    101
}
